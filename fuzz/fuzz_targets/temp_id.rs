//! See [`gcs_fuzz::temp_id`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::temp_id(data));

#[cfg(not(fuzzing))]
fn main() {}

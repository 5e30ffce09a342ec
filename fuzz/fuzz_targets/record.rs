//! See [`gcs_fuzz::record`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::record(data));

#[cfg(not(fuzzing))]
fn main() {}

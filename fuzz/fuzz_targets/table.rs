//! See [`gcs_fuzz::table`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::table(data));

#[cfg(not(fuzzing))]
fn main() {}

//! See [`gcs_fuzz::set`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::set(data));

#[cfg(not(fuzzing))]
fn main() {}

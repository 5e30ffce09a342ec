//! See [`gcs_fuzz::path`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::path(data));

#[cfg(not(fuzzing))]
fn main() {}

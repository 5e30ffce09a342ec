//! See [`gcs_fuzz::manifest`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::manifest(data));

#[cfg(not(fuzzing))]
fn main() {}

//! See [`gcs_fuzz::seed_bundle`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::seed_bundle(data));

#[cfg(not(fuzzing))]
fn main() {}

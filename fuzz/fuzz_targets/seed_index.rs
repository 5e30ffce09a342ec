//! See [`gcs_fuzz::seed_index`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::seed_index(data));

#[cfg(not(fuzzing))]
fn main() {}

//! See [`gcs_fuzz::upload`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::upload(data));

#[cfg(not(fuzzing))]
fn main() {}

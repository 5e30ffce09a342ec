//! See [`gcs_fuzz::sync`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::sync(data));

#[cfg(not(fuzzing))]
fn main() {}

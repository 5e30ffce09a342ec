//! See [`gcs_fuzz::bundle`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::bundle(data));

#[cfg(not(fuzzing))]
fn main() {}

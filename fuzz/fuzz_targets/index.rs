//! See [`gcs_fuzz::index`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::index(data));

#[cfg(not(fuzzing))]
fn main() {}

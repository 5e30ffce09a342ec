//! See [`gcs_fuzz::publisher`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::publisher(data));

#[cfg(not(fuzzing))]
fn main() {}

//! See [`gcs_fuzz::exact`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::exact(data));

#[cfg(not(fuzzing))]
fn main() {}

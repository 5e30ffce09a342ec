//! See [`gcs_fuzz::delta`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::delta(data));

#[cfg(not(fuzzing))]
fn main() {}

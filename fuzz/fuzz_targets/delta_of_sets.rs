//! See [`gcs_fuzz::delta_of_sets`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::delta_of_sets(data));

#[cfg(not(fuzzing))]
fn main() {}

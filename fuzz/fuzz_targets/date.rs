//! See [`gcs_fuzz::date`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::date(data));

#[cfg(not(fuzzing))]
fn main() {}

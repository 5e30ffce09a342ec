//! See [`gcs_fuzz::export_zip`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::export_zip(data));

#[cfg(not(fuzzing))]
fn main() {}

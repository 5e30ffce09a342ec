//! See [`gcs_fuzz::export_list`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::export_list(data));

#[cfg(not(fuzzing))]
fn main() {}

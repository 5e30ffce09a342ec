//! See [`gcs_fuzz::tcn_report`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::tcn_report(data));

#[cfg(not(fuzzing))]
fn main() {}

//! See [`gcs_fuzz::packet`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::packet(data));

#[cfg(not(fuzzing))]
fn main() {}

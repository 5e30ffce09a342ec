//! See [`gcs_fuzz::code`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::code(data));

#[cfg(not(fuzzing))]
fn main() {}

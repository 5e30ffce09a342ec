//! See [`gcs_fuzz::event`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::event(data));

#[cfg(not(fuzzing))]
fn main() {}

//! See [`gcs_fuzz::set_resealed`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gcs_fuzz::set_resealed(data));

#[cfg(not(fuzzing))]
fn main() {}

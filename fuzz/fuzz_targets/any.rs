//! Every target in one program, so that a short run of all of them links once: the environment
//! variable `GCS_FUZZ_TARGET` names the target.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
static BODY: std::sync::LazyLock<fn(&[u8])> = std::sync::LazyLock::new(|| {
    let name = std::env::var("GCS_FUZZ_TARGET").expect("GCS_FUZZ_TARGET names a target");
    let target = gcs_fuzz::TARGETS.into_iter().find(|(target, _)| *target == name);
    target.expect("there is such a target").1
});

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(init: { std::sync::LazyLock::force(&BODY); }, |data: &[u8]| BODY(data));

#[cfg(not(fuzzing))]
fn main() {}

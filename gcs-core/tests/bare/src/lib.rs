//! The golden vectors, read where there is no std: `.ci/no-std` builds this for WebAssembly and
//! runs it with `run.mjs`; `.ci/big-endian` builds it for s390x and runs it with `run.c`.
//!
//! The assertions are those of the ordinary tests (`tests/outcome`).

#![cfg(gcs_bare)]
#![no_std]

// So that what the ordinary tests share compiles here as it stands.
extern crate alloc as std;

#[path = "../../golden/mod.rs"]
mod golden;
mod host;
#[path = "../../outcome/mod.rs"]
mod outcome;

/// Runs every case of the kind with this number; returns how many there are, 0 when there is no
/// such kind. A case that ends otherwise than it must is a panic.
#[unsafe(no_mangle)]
pub extern "C" fn run(kind: u32) -> u32 {
    let Some(&(name, decode)) = outcome::KINDS.get(kind as usize) else { return 0 };
    let cases = golden::cases(name);
    for case in &cases {
        outcome::expect_outcome(case, decode);
    }
    cases.len() as u32
}

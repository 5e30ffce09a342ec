//! What observers learn from the questions of phones: attacks on the real engine.
//!
//! Deployments and phones are simulated with the real publisher and the real sync engine;
//! everything is drawn from seeds. A full run writes its figures into `gcs-core/PRIVACY.md`;
//! with `--quick` a small run, which takes less than a minute, only looks whether a bound is
//! broken. Both fail if one is.

mod classify;
mod deployment;
mod figures;
mod guess;
mod lengths;
mod linked;
mod page;
mod phone;
mod population;
mod random;
mod rates;
mod refuse;
mod schedule;
mod stats;

use std::process::ExitCode;

use figures::{Figures, Scale};

fn main() -> ExitCode {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let scale = if is_quick { Scale::QUICK } else { Scale::FULL };
    let figures = Figures::measure(scale);
    let written = if is_quick { Ok(()) } else { page::write(&figures.tables) };
    let broken = figures.bounds.iter().filter(|bound| bound.is_broken());
    let faults = broken.map(ToString::to_string).chain(written.err());
    let faults: Vec<String> = faults.collect();
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

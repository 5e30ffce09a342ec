//! `gcs` makes compressed sets of elements from files of hashes, serial numbers or other lines, and
//! queries, compares, updates and combines them.

mod cli;
mod cmd;
mod element;
mod error;
mod finder;
mod hashing;
mod help;
mod incoming;
mod input;
mod interrupt;
mod kind;
mod load;
mod output;
mod plan;
mod progress;
mod quantity;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

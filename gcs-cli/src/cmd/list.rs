//! `gcs list`: the fingerprints of a set.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load;
use crate::output::Stdout;
use crate::report::Large;

/// Print the fingerprints of a set in ascending order.
#[derive(Args, Debug)]
#[command(after_help = "\
A fingerprint is a hash of an element, below the hash range F. Elements are found from it only by\n\
guessing.")]
pub(crate) struct List {
    /// The set
    #[arg(value_name = "SET")]
    set: PathBuf,
}

#[derive(Debug, Serialize)]
struct Entry {
    rank: u32,
    fingerprint: Large,
}

impl List {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let set = load::set(context, &self.set)?;
        let mut stdout = Stdout::new();
        for (rank, fingerprint) in (0..).zip(&set) {
            match context.json {
                true => stdout.json(&Entry { rank, fingerprint: Large(fingerprint) })?,
                false => stdout.line(fingerprint)?,
            }
        }
        stdout.flush()?;
        Ok(SUCCESS)
    }
}

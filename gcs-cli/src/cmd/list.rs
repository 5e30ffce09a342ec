//! `gcs list`: the fingerprints of a set.

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load::SetFile;
use crate::output::Stdout;
use crate::progress::Progress;
use crate::report::Large;

/// Print the fingerprints of a set in ascending order.
#[derive(Args, Debug)]
#[command(after_help = "\
A fingerprint is a hash of an element, below the hash range F. Elements are found from it only by \
guessing.")]
pub(crate) struct List {
    /// The set; - is standard input
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
        let file = SetFile::open(&self.set)?;
        // Nothing is printed of a set that is damaged further on.
        let verified = file.verify(context)?;
        let progress = Progress::new(context, "listing", Some(file.length()));
        let mut reader = file.reader(&progress)?;
        let mut stdout = Stdout::new();
        let mut rank = 0;
        while let Some(fingerprint) = reader.next_value().map_err(|error| file.failed(error))? {
            match context.json {
                true => stdout.json(&Entry { rank, fingerprint: Large(fingerprint) })?,
                false => stdout.line(fingerprint)?,
            }
            rank += 1;
        }
        if reader.finish().map_err(|error| file.failed(error))? != verified {
            return Err(Error::read(&self.set, io::Error::other("it changed while it was read")));
        }
        stdout.flush()?;
        Ok(SUCCESS)
    }
}

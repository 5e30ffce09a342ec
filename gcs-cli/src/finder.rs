//! Finding fingerprints in a set's file.

use std::path::Path;

use gcs_core::{ElementHasher, Match};

use crate::cli::Context;
use crate::error::Error;
use crate::load::SetFile;
use crate::progress::Progress;

/// A set's file in which fingerprints are found, in one pass for each batch.
#[derive(Debug)]
pub(crate) struct Finder {
    context: Context,
    file: SetFile,
    hasher: ElementHasher,
    rate: f64,
    is_verified: bool,
}

impl Finder {
    /// Opens a set. Nothing but its header is read.
    pub(crate) fn open(context: Context, path: &Path) -> Result<Finder, Error> {
        let file = SetFile::open(path)?;
        let silent = Progress::silent();
        let reader = file.reader(&silent)?;
        let (hasher, rate) =
            (reader.hasher(), reader.hash_range().false_positive_rate(reader.len()));
        drop(reader);
        Ok(Finder { context, file, hasher, rate, is_verified: false })
    }

    /// The hasher of the set.
    pub(crate) fn hasher(&self) -> ElementHasher {
        self.hasher
    }

    /// The false-positive rate of the set.
    pub(crate) fn false_positive_rate(&self) -> f64 {
        self.rate
    }

    /// Which of the fingerprints are in the set, in the order of their positions. The whole file
    /// is validated before anything is answered, also when nothing is asked for the first time.
    pub(crate) fn find(&mut self, fingerprints: &[u64]) -> Result<Vec<Match>, Error> {
        if fingerprints.is_empty() && self.is_verified {
            return Ok(Vec::new());
        }
        let progress = Progress::new(self.context, "searching", Some(self.file.length()));
        let found = self.file.reader(&progress)?.matches_fingerprints(fingerprints);
        let found = found.map_err(|error| self.file.failed(error))?;
        self.is_verified = true;
        Ok(found.into_vec())
    }
}

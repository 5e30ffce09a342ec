//! Finding fingerprints in a set's file, with its index file if there is one.

use std::path::{Path, PathBuf};

use gcs_core::set::SetInfo;
use gcs_core::{ElementHasher, IndexedFile, Match};

use crate::cli::Context;
use crate::error::Error;
use crate::load::{IndexFile, SetFile};
use crate::progress::Progress;

/// Which index is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IndexChoice {
    /// The one beside the set, if there is one.
    Beside,
    /// This one.
    File(PathBuf),
    /// None.
    None,
}

/// Finds fingerprints in a set's file.
pub(crate) struct Finder {
    context: Context,
    hasher: ElementHasher,
    rate: f64,
    source: Source,
}

enum Source {
    /// One pass over the file for each batch.
    Scan { file: SetFile, is_verified: bool },
    /// A few reads for each fingerprint.
    Index(Box<Indexed>),
}

/// A set's file with its index file.
struct Indexed {
    files: IndexedFile<SetFile, IndexFile>,
    set: PathBuf,
    index: PathBuf,
}

impl Finder {
    /// Opens a set. Nothing but headers is read.
    pub(crate) fn open(
        context: Context,
        path: &Path,
        choice: IndexChoice,
    ) -> Result<Finder, Error> {
        let file = SetFile::open(path)?;
        let index = match choice {
            IndexChoice::File(index) => Some(index),
            IndexChoice::Beside => Some(IndexFile::beside(path)).filter(|index| index.exists()),
            IndexChoice::None => None,
        };
        let Some(index) = index else { return Finder::scan(context, file) };
        let opened = IndexedFile::open(file, IndexFile::open(&index)?);
        let files = opened.map_err(|error| Error::of_index(path, &index, error))?;
        let SetInfo { salt, hash_range, len, .. } = files.info();
        Ok(Finder {
            context,
            hasher: ElementHasher::new(salt, hash_range),
            rate: hash_range.false_positive_rate(len),
            source: Source::Index(Box::new(Indexed { files, set: path.to_owned(), index })),
        })
    }

    fn scan(context: Context, file: SetFile) -> Result<Finder, Error> {
        let silent = Progress::silent();
        let reader = file.reader(&silent)?;
        let hasher = reader.hasher();
        let rate = reader.hash_range().false_positive_rate(reader.len());
        drop(reader);
        Ok(Finder { context, hasher, rate, source: Source::Scan { file, is_verified: false } })
    }

    /// The hasher of the set.
    pub(crate) fn hasher(&self) -> ElementHasher {
        self.hasher
    }

    /// The false-positive rate of the set.
    pub(crate) fn false_positive_rate(&self) -> f64 {
        self.rate
    }

    /// Whether an index is used, so that few queries cost little.
    pub(crate) fn is_indexed(&self) -> bool {
        matches!(self.source, Source::Index(_))
    }

    /// Which of the fingerprints are in the set, in the order of their positions. Without an
    /// index the whole file is validated before anything is answered, also when nothing is asked
    /// for the first time.
    pub(crate) fn find(&mut self, fingerprints: &[u64]) -> Result<Vec<Match>, Error> {
        match &mut self.source {
            Source::Index(indexed) => {
                let Indexed { files, set, index } = &**indexed;
                let found = files.matches_fingerprints(fingerprints);
                Ok(found.map_err(|error| Error::of_index(set, index, error))?.into_vec())
            }
            Source::Scan { is_verified: true, .. } if fingerprints.is_empty() => Ok(Vec::new()),
            Source::Scan { file, is_verified } => {
                let progress = Progress::new(self.context, "searching", Some(file.length()));
                let found = file.reader(&progress)?.matches_fingerprints(fingerprints);
                let found = found.map_err(|error| file.failed(error))?;
                *is_verified = true;
                Ok(found.into_vec())
            }
        }
    }
}

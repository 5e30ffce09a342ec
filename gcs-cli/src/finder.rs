//! Finding fingerprints in a set's file, with its index file if there is one.

use std::path::{Path, PathBuf};

use gcs_core::set::{IndexError, SetInfo};
use gcs_core::{ElementHasher, IndexedFile, Match};

use crate::cli::Context;
use crate::error::Error;
use crate::input::is_dash;
use crate::load::{self, IndexFile, SetFile};
use crate::output::note;
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
    /// Whether the user named the index with `--index`. A named index that cannot be used is an error.
    is_named: bool,
}

impl Finder {
    /// Opens a set. Nothing but headers is read, unless an index does not serve it.
    pub(crate) fn open(
        context: Context,
        path: &Path,
        choice: IndexChoice,
    ) -> Result<Finder, Error> {
        let file = SetFile::open(path)?;
        let (index, is_named) = match choice {
            IndexChoice::File(index) => (index, true),
            IndexChoice::Beside if !is_dash(path) && IndexFile::beside(path).exists() => {
                (IndexFile::beside(path), false)
            }
            IndexChoice::Beside | IndexChoice::None => return Finder::scan(context, file),
        };
        match open_indexed(context, path, file, &index, is_named) {
            Ok(files) => Ok(Finder::indexed(context, files, path, index, is_named)),
            Err(Unused::Index(error)) if !is_named => {
                set_aside(&error);
                Finder::scan(context, SetFile::open(path)?)
            }
            Err(unused) => Err(unused.into_error()),
        }
    }

    fn indexed(
        context: Context,
        files: IndexedFile<SetFile, IndexFile>,
        set: &Path,
        index: PathBuf,
        is_named: bool,
    ) -> Finder {
        let SetInfo { salt, hash_range, len, .. } = files.info();
        let source =
            Source::Index(Box::new(Indexed { files, set: set.to_owned(), index, is_named }));
        let rate = hash_range.false_positive_rate(len);
        Finder { context, hasher: ElementHasher::new(salt, hash_range), rate, source }
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
        if let Source::Index(indexed) = &self.source {
            match indexed.find(self.context, fingerprints) {
                Ok(found) => return Ok(found),
                Err(Unused::Index(error)) if !indexed.is_named => {
                    set_aside(&error);
                    let file = SetFile::open(&indexed.set)?;
                    self.source = Source::Scan { file, is_verified: false };
                }
                Err(unused) => return Err(unused.into_error()),
            }
        }
        match &mut self.source {
            Source::Scan { is_verified: true, .. } if fingerprints.is_empty() => Ok(Vec::new()),
            Source::Scan { file, is_verified } => {
                let progress = Progress::new(self.context, "searching", Some(file.length()));
                let found = file.reader(&progress)?.matches_fingerprints(fingerprints);
                let found = found.map_err(|error| file.failed(error))?;
                *is_verified = true;
                Ok(found.into_vec())
            }
            Source::Index(_) => Ok(Vec::new()),
        }
    }
}

impl Indexed {
    fn find(&self, context: Context, fingerprints: &[u64]) -> Result<Vec<Match>, Unused> {
        match self.files.matches_fingerprints(fingerprints) {
            Ok(found) => Ok(found.into_vec()),
            Err(error) => Err(unused(context, &self.set, &self.index, self.is_named, error)),
        }
    }
}

/// Why an index is not used.
enum Unused {
    /// The index does not serve; the set may be read without it.
    Index(Error),
    /// The set cannot be read with it or without it.
    Set(Error),
}

impl Unused {
    fn into_error(self) -> Error {
        match self {
            Unused::Index(error) | Unused::Set(error) => error,
        }
    }
}

/// Opens a set with an index.
fn open_indexed(
    context: Context,
    path: &Path,
    set: SetFile,
    index: &Path,
    is_named: bool,
) -> Result<IndexedFile<SetFile, IndexFile>, Unused> {
    let index_file = IndexFile::open(index).map_err(Unused::Index)?;
    let opened = IndexedFile::open(set, index_file);
    opened.map_err(|error| unused(context, path, index, is_named, error))
}

/// Which of the two files an error is of.
fn unused(context: Context, set: &Path, index: &Path, is_named: bool, error: IndexError) -> Unused {
    match error {
        IndexError::ReadSet(_) | IndexError::Set(_) => {
            Unused::Set(Error::of_index(set, index, error))
        }
        // The set is read anyway in place of an index that nobody named.
        IndexError::OtherSet { .. } if !is_named => {
            Unused::Index(Error::of_index(set, index, error))
        }
        error => match load::damage_behind(context, set, &error) {
            Some(damage) => Unused::Set(damage),
            None => Unused::Index(Error::of_index(set, index, error)),
        },
    }
}

/// Says that an index is not used which nobody asked for.
fn set_aside(error: &Error) {
    note(format_args!("gcs: {error}; until then the whole set is read"));
}

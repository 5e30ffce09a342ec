//! `gcs union`, `gcs intersect` and `gcs subtract`: one set of several.

use std::path::{Path, PathBuf};

use clap::Args;
use gcs_core::set::{SetInfo, algebra};
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load::{SetFile, Tracked};
use crate::output::{OutputArgs, answer_about};
use crate::progress::Progress;
use crate::quantity::{bytes, counted};
use crate::report::{SetReport, path_text};

/// Make one set of several.
#[derive(Args, Debug)]
#[command(after_help = "\
All sets must have one salt and one hash range: make them with --salt and --hash-range, or with \
--like FIRST.")]
pub(crate) struct Combine {
    /// Sets
    #[arg(value_name = "SET", required = true, num_args = 1..)]
    sets: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// How sets are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Union,
    Intersect,
    Subtract,
}

impl Operation {
    fn in_core(self) -> algebra::Operation {
        match self {
            Operation::Union => algebra::Operation::Union,
            Operation::Intersect => algebra::Operation::Intersection,
            Operation::Subtract => algebra::Operation::Difference,
        }
    }
}

/// A set that was made.
#[derive(Debug, Serialize)]
pub(super) struct Made<'a> {
    #[serde(serialize_with = "path_text")]
    file: &'a Path,
    #[serde(flatten)]
    set: SetReport,
}

impl<'a> Made<'a> {
    /// The set that is now in this file.
    pub(super) fn new(file: &'a Path, info: &SetInfo) -> Made<'a> {
        Made { file, set: SetReport::of(info) }
    }

    /// Tells the user about it.
    pub(super) fn tell(&self, context: Context) -> Result<u8, Error> {
        let text = format!(
            "{}: {}; {}; false positives: {}",
            self.file.display(),
            counted(self.set.fingerprints.into(), "fingerprint"),
            bytes(self.set.bytes),
            self.set.one_in()
        );
        answer_about(self.file, context.json, self, text)?;
        Ok(SUCCESS)
    }
}

impl Combine {
    pub(crate) fn run(&self, context: Context, operation: Operation) -> Result<u8, Error> {
        let mut output = self.output.create()?;
        let files: Vec<SetFile> =
            self.sets.iter().map(|path| SetFile::open(path)).collect::<Result<_, _>>()?;
        let total = files.iter().map(SetFile::length).sum();
        let progress = Progress::new(context, "combining", Some(total));
        let readers: Vec<Tracked<'_>> =
            files.iter().map(|file| file.tracked(&progress)).collect::<Result<_, _>>()?;
        let failed = |error| Error::of_stream(&self.sets, self.output.path(), error);
        let combined = operation.in_core().of_readers(readers).map_err(failed)?;
        let info = combined.write(output.file()).map_err(failed)?.1;
        output.finish()?;
        drop(progress);
        Made::new(self.output.path(), &info).tell(context)
    }
}

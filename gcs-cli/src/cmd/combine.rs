//! `gcs union`, `gcs intersect` and `gcs subtract`: one set of several.

use std::path::{Path, PathBuf};

use clap::Args;
use gcs_core::Set;
use gcs_core::set::{SetInfo, algebra};
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load;
use crate::output::{OutputArgs, answer};
use crate::quantity::{bytes, counted};
use crate::report::{SetReport, salt_text};

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

/// A set that was made.
#[derive(Debug, Serialize)]
pub(super) struct Made<'a> {
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
        answer(context.json, self, text)?;
        Ok(SUCCESS)
    }
}

/// Fails unless the sets have one salt and one hash range.
pub(super) fn expect_same_hashing(first: (&Path, &Set), other: (&Path, &Set)) -> Result<(), Error> {
    let differs = |what, expected: String, got: String| {
        let (path, first) = (other.0.to_owned(), first.0.to_owned());
        let difference = format!(
            "{what}: {got}, and not {expected}; make one of the two again with gcs encode --like"
        );
        Err(Error::Differs { path, first, difference })
    };
    let (first, other) = (first.1, other.1);
    if first.salt() != other.salt() {
        return differs("salt", salt_text(first.salt()), salt_text(other.salt()));
    }
    if first.hash_range() != other.hash_range() {
        let (first, other) = (first.hash_range().get(), other.hash_range().get());
        return differs("hash range", first.to_string(), other.to_string());
    }
    Ok(())
}

impl Combine {
    pub(crate) fn run(&self, context: Context, operation: Operation) -> Result<u8, Error> {
        let output = self.output.create()?;
        let sets: Vec<Set> =
            self.sets.iter().map(|path| load::set(context, path)).collect::<Result<_, _>>()?;
        for (path, set) in self.sets.iter().zip(&sets) {
            expect_same_hashing((&self.sets[0], &sets[0]), (path, set))?;
        }
        let operation = match operation {
            Operation::Union => algebra::Operation::Union,
            Operation::Intersect => algebra::Operation::Intersection,
            Operation::Subtract => algebra::Operation::Difference,
        };
        let set = operation.of(&sets)?.to_set()?;
        output.write(set.as_bytes())?;
        Made::new(self.output.path(), &set.info()).tell(context)
    }
}

//! `gcs union`, `gcs intersect` and `gcs subtract`: one set of several.

use std::path::{Path, PathBuf};

use clap::Args;
use gcs_core::Set;
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
    pub(super) fn new<D: AsRef<[u8]>>(file: &'a Path, set: &Set<D>) -> Made<'a> {
        Made { file, set: SetReport::of(set) }
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
        let (salt, hash_range) = (sets[0].salt(), sets[0].hash_range());
        let mut values: Vec<u64> = sets[0].iter().collect();
        for other in &sets[1..] {
            match operation {
                Operation::Union => values.extend(other),
                Operation::Intersect => retain(&mut values, other, true),
                Operation::Subtract => retain(&mut values, other, false),
            }
        }
        let set = Set::from_fingerprints(salt, hash_range, values)?;
        output.write(set.as_bytes())?;
        Made::new(self.output.path(), &set).tell(context)
    }
}

/// Keeps the ascending values that are in the other set, or those that are not.
fn retain(values: &mut Vec<u64>, other: &Set, is_common: bool) {
    let mut other = other.iter().peekable();
    values.retain(|value| {
        while other.next_if(|least| least < value).is_some() {}
        (other.peek() == Some(value)) == is_common
    });
}

//! What can go wrong, in one line each: what, why, what to do.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use gcs_core::set::algebra::AlgebraError;
use gcs_core::set::{ExternalError, IndexError, ReadError, SinkError, StreamError};
use gcs_core::{BuildError, DeltaError, ParseError};
use thiserror::Error;

use crate::element::Problem;
use crate::input::{Source, is_dash};
use crate::kind::Kind;
use crate::plan::PlanError;
use crate::quantity::{self, grouped};
use crate::report::salt_text;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The reader of standard output has gone. Nothing is said about it.
    #[error("standard output: its reader is gone")]
    ClosedPipe,
    #[error("standard output: {0}{advice}", advice = advice(.0))]
    Stdout(io::Error),
    #[error("{}: cannot be read: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{}: cannot be written: {error}{advice}", path.display(), advice = advice(.error))]
    Write { path: PathBuf, error: io::Error },
    #[error("{}: temporary files cannot be written there: {error}{advice}; --temp names another \
             folder", folder.display(), advice = advice(.error))]
    Spill { folder: PathBuf, error: io::Error },
    #[error("{}: is there already: name another file, or say --force to replace it", .0.display())]
    Exists(PathBuf),
    #[error("{}: cannot be replaced: it is no ordinary file; name another file", .0.display())]
    NoFile(PathBuf),
    #[error("{}: {article} was expected: this is {got}", path.display(), article = expected.named())]
    Kind { path: PathBuf, expected: Kind, got: Kind },
    #[error("{}: this is {got}: expected {expected}", path.display())]
    UnknownKind { path: PathBuf, got: Kind, expected: &'static str },
    #[error("{source_name}: lines of elements were expected: this is {got}; {remedy}")]
    NoLines { source_name: String, got: Kind, remedy: String },
    #[error("{}: is damaged: {error}; get a new copy", path.display())]
    Damaged { path: PathBuf, error: ParseError },
    #[error("{}: {error}; get a newer gcs", path.display())]
    Newer { path: PathBuf, error: ParseError },
    #[error("{failed} of {total} files are not valid: see above; get new copies")]
    Several { failed: usize, total: usize },
    #[error(
        "{source_name}: {unit} {}: {problem}; nothing was written (--on-error skip leaves such \
         {unit}s out)",
        grouped(*number)
    )]
    BadElement { source_name: String, unit: &'static str, number: u64, problem: Problem },
    #[error(
        "not one {unit} is an element: {} left out as bad; {done} (see --format, --field and \
         --length)",
        quantity::counted(*bad, unit)
    )]
    NoElement { unit: &'static str, bad: u64, done: &'static str },
    #[error("{place}: {problem}; nothing behind it was asked (--on-error skip leaves it out)")]
    BadQuery { place: String, problem: Problem },
    #[error(
        "{}: does not serve {}: {why}; make it again with gcs index --force",
        index.display(), set.display()
    )]
    Index { index: PathBuf, set: PathBuf, why: String },
    #[error(
        "{}: does not serve {}: {why}; if gcs verify finds the set valid, make the index again \
         with gcs index --force",
        index.display(), set.display()
    )]
    Unfit { index: PathBuf, set: PathBuf, why: String },
    #[error("{}: an index is read only beside its set: {} is not there", index.display(), set.display())]
    Alone { index: PathBuf, set: PathBuf },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("{}: differs from {} in its {difference}", path.display(), first.display())]
    Differs { path: PathBuf, first: PathBuf, difference: String },
    #[error("{}: does not apply to {}: {why}", delta.display(), base.display())]
    Apply { delta: PathBuf, base: PathBuf, why: String },
    #[error("{what}: {why}; {remedy}")]
    Usage { what: String, why: &'static str, remedy: String },
    #[error("no random salt: {0}; name one with --salt")]
    Random(getrandom::Error),
    #[error("{0}: {1}; try again")]
    Start(&'static str, String),
}

impl Error {
    /// An argument that cannot be used.
    pub(crate) fn usage(
        what: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Error {
        Error::Usage { what: what.into(), why, remedy: remedy.into() }
    }

    /// A failure to read a file.
    pub(crate) fn read(path: &Path, error: io::Error) -> Error {
        Error::Read { path: named(path, "standard input"), error }
    }

    /// A failure to write a file.
    pub(crate) fn write(path: &Path, error: io::Error) -> Error {
        Error::Write { path: named(path, "standard output"), error }
    }

    /// A failure to write to standard output.
    pub(crate) fn stdout(error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error::ClosedPipe,
            _ => Error::Stdout(error),
        }
    }

    /// A file of another kind than was expected.
    pub(crate) fn wrong_kind(path: &Path, expected: Kind, got: Kind) -> Error {
        Error::Kind { path: named(path, "standard input"), expected, got }
    }

    /// Input of a kind that has no elements.
    pub(crate) fn no_lines(source: &Source, got: Kind) -> Error {
        let source_name = source.to_string();
        let file = if *source == Source::Stdin { "FILE" } else { &source_name };
        let remedy = match (got.to_lines(file), got) {
            (Some(lines), _) => {
                format!("make lines of it: {lines} | gcs ... (encode needs --expected NUMBER then)")
            }
            (None, Kind::Set) => {
                "it is made already; gcs query SET asks it, gcs union combines several".to_owned()
            }
            (None, Kind::Delta) => "gcs apply SET DELTA makes a set with it".to_owned(),
            (None, _) => "name the list of elements itself".to_owned(),
        };
        Error::NoLines { source_name, got, remedy }
    }

    /// Two sets that do not fit together.
    pub(crate) fn differs(
        path: PathBuf,
        first: PathBuf,
        what: &str,
        expected: impl Display,
        got: impl Display,
    ) -> Error {
        let difference = format!(
            "{what}: {got}, and not {expected}; make one of the two again with gcs encode --like"
        );
        Error::Differs { path, first, difference }
    }

    /// A set that cannot be read to its end.
    pub(crate) fn of_read(path: &Path, error: ReadError) -> Error {
        match error {
            ReadError::Io(error) => Error::read(path, error),
            ReadError::Parse(error) => Error::damaged(path, error),
            error => Error::read(path, io::Error::other(error)),
        }
    }

    /// A set that cannot be written.
    pub(crate) fn of_sink(path: &Path, error: SinkError) -> Error {
        match error {
            SinkError::Io(error) => Error::write(path, error),
            SinkError::Build(error) => Error::Build(error),
            error => Error::write(path, io::Error::other(error)),
        }
    }

    /// A set that cannot be built.
    pub(crate) fn of_external(output: &Path, error: ExternalError) -> Error {
        match error {
            ExternalError::Build(error) => Error::Build(error),
            ExternalError::Sink(error) => Error::of_sink(output, error),
            ExternalError::Spill { folder, error } => Error::Spill { folder, error },
            ExternalError::MemoryLimit { least, got } => Error::usage(
                format!("--memory {got}"),
                "this is too little to sort anything",
                format!("say {least} or more"),
            ),
            ExternalError::Memory { bytes } => Error::usage(
                format!("{} of memory", quantity::bytes(bytes as u64)),
                "the system does not give so much",
                "say less with --memory",
            ),
            error => Error::write(output, io::Error::other(error)),
        }
    }

    /// An index that cannot be made or used.
    pub(crate) fn of_index(set: &Path, index: &Path, error: IndexError) -> Error {
        match error {
            IndexError::ReadSet(error) => Error::read(set, error),
            IndexError::ReadIndex(error) => Error::read(index, error),
            IndexError::Write(error) => Error::write(index, error),
            IndexError::Set(error) => Error::damaged(set, error),
            IndexError::Block { .. } | IndexError::Header => Error::Unfit {
                index: index.to_owned(),
                set: set.to_owned(),
                why: error.to_string(),
            },
            error => Error::Index {
                index: index.to_owned(),
                set: set.to_owned(),
                why: error.to_string(),
            },
        }
    }

    /// Sets that cannot be combined; `inputs` are their files.
    pub(crate) fn of_stream(inputs: &[PathBuf], output: &Path, error: StreamError) -> Error {
        let named = |position: usize| inputs.get(position).cloned().unwrap_or_default();
        match error {
            StreamError::Read { position, error } => Error::of_read(&named(position), error),
            StreamError::Sink(error) => Error::of_sink(output, error),
            StreamError::Delta(DeltaError::Salt { expected, got }) => {
                Error::differs(named(1), named(0), "salt", salt_text(expected), salt_text(got))
            }
            StreamError::Delta(DeltaError::HashRange { expected, got }) => {
                Error::differs(named(1), named(0), "hash range", expected, got)
            }
            StreamError::Algebra(AlgebraError::Salt { position, expected, got }) => Error::differs(
                named(position),
                named(0),
                "salt",
                salt_text(expected),
                salt_text(got),
            ),
            StreamError::Algebra(AlgebraError::HashRange { position, expected, got }) => {
                Error::differs(named(position), named(0), "hash range", expected, got)
            }
            error => Error::write(output, io::Error::other(error)),
        }
    }

    /// Bytes that are not what their magic says.
    pub(crate) fn damaged(path: &Path, error: ParseError) -> Error {
        let path = named(path, "standard input");
        match error {
            ParseError::Version { .. } => Error::Newer { path, error },
            _ => Error::Damaged { path, error },
        }
    }
}

/// The path, or what "-" stands for.
fn named(path: &Path, dash: &str) -> PathBuf {
    if is_dash(path) { dash.into() } else { path.to_owned() }
}

/// What to do about a full disk.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room there, or write to another disk"
        }
        io::ErrorKind::FileTooLarge => "; raise the limit on the size of a file (ulimit -f)",
        io::ErrorKind::PermissionDenied => "; write to a folder of your own",
        io::ErrorKind::NotFound => "; make the folder first",
        _ => "",
    }
}

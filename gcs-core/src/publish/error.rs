//! The errors of making a publication.

use thiserror::Error;

use crate::date::Date;
use crate::error::ParseError;
use crate::files::{BundleError, ManifestError};
#[cfg(feature = "gaen-export")]
use crate::identifiers::gaen::export::ExportError;
use crate::set::ParamsError;

/// Why a publication cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The number of the tick is not one more than the last.
    #[error("expected tick {expected}, got {got}")]
    Tick {
        /// One more than the last.
        expected: u32,
        /// The tick asked for.
        got: u32,
    },
    /// The time is before the last tick.
    #[error("the last tick was issued at {last}, now is {got}")]
    Clock {
        /// Unix time of the last tick.
        last: u64,
        /// Unix time now.
        got: u64,
    },
    /// A date is given twice.
    #[error("date {date} is given twice")]
    DateTwice {
        /// The date.
        date: Date,
    },
    /// More dates than a table holds.
    #[error("a table holds at most {max} dates, got {got}")]
    TooManyDates {
        /// The limit.
        max: usize,
        /// How many dates are due.
        got: usize,
    },
    /// More elements than a set may have fingerprints.
    #[error("date {date}: a date has at most 2^32 - 1 elements, got {got}")]
    TooManyElements {
        /// The date.
        date: Date,
        /// How many it has.
        got: usize,
    },
    /// An element is too short or too long.
    #[error("date {date}, element {index}: expected 16 to 64 bytes, got {got}")]
    ElementLength {
        /// The date.
        date: Date,
        /// Position among the date's elements.
        index: usize,
        /// Its length.
        got: usize,
    },
    /// More lists of seeds than a publication can have.
    #[error("a publication has at most {max} lists of seeds, got {got}")]
    TooManySeedLists {
        /// The limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// The time from one export to the next is too short or too long.
    #[error("exports are {least} to {most} seconds apart, got {got}")]
    ExportInterval {
        /// The least number of seconds.
        least: u64,
        /// The largest number of seconds.
        most: u64,
        /// The number of the settings.
        got: u64,
    },
    /// More export files than a list of exports names.
    #[error("a publication has at most {max} export files, got {got}")]
    TooManyExports {
        /// The limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// The keys of a date cannot be exported.
    #[cfg(feature = "gaen-export")]
    #[error("exports of date {date}: {error}")]
    Export {
        /// The date.
        date: Date,
        /// What is wrong with them.
        error: ExportError,
    },
    /// No hash range fits the date at the false-positive rate of the settings.
    #[error("date {date}: {error}")]
    Params {
        /// The date.
        date: Date,
        /// What is wrong with it.
        error: ParamsError,
    },
    /// A file that was made is not valid; nothing was published.
    #[error("a file that was made is not valid: {0}")]
    File(ParseError),
    /// A bundle that was made does not give the published sets; nothing was published.
    #[error("the bundle of span {span} that was made is not valid: {error}")]
    Bundle {
        /// Its span.
        span: u32,
        /// What is wrong with it.
        error: BundleError,
    },
    /// Clients would refuse the manifest, for example because the root does not list the online
    /// key or because the key list has expired; nothing was published.
    #[error("clients would refuse the manifest: {0}")]
    Manifest(ManifestError),
}

impl From<ParseError> for PublishError {
    fn from(error: ParseError) -> PublishError {
        PublishError::File(error)
    }
}

impl From<ManifestError> for PublishError {
    fn from(error: ManifestError) -> PublishError {
        PublishError::Manifest(error)
    }
}

//! The two ends of the protocol, and exact match.

use alloc::string::String;

use thiserror::Error;

use super::format::{ParamsError, ParseError};
use super::manifest::ManifestError;
use super::set::BundleError;
use crate::date::Date;
use crate::digest::Digest;

/// A publication that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A tick out of turn.
    #[error("expected tick {expected}, got {got}")]
    Tick {
        /// One more than the last.
        expected: u32,
        /// The tick asked for.
        got: u32,
    },
    /// The time went back.
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
    /// A date cannot be planned for.
    #[error("date {date}: {error}")]
    Params {
        /// The date.
        date: Date,
        /// What does not fit.
        error: ParamsError,
    },
    /// A file came out wrong; nothing was published.
    #[error("a file came out wrong: {0}")]
    File(#[from] ParseError),
    /// A bundle does not fold to the sets that it claims; nothing was published.
    #[error("the bundle of span {span} came out wrong: {error}")]
    Bundle {
        /// Its span.
        span: u32,
        /// What is wrong with it.
        error: BundleError,
    },
    /// The manifest would be refused by clients: a key that the root does not list, a key
    /// list that has expired; nothing was published.
    #[error("clients would refuse the manifest: {0}")]
    Manifest(#[from] ManifestError),
}

/// Why a client could not be brought up to date. What it had, it still has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The driver could not fetch a file.
    #[error("{path}: {message}")]
    Network {
        /// Its path.
        path: String,
        /// What the driver says.
        message: String,
    },
    /// The driver could not read, write or delete a file of the client's folder.
    #[error("own file {name}: {message}")]
    Storage {
        /// Its name.
        name: String,
        /// What the driver says.
        message: String,
    },
    /// A file that a manifest names is not there.
    #[error("{path}: no such file")]
    Missing {
        /// Its path.
        path: String,
    },
    /// A file is not what it should be.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A bundle does not lead where it should.
    #[error("{path}: {error}")]
    Bundle {
        /// Its path.
        path: String,
        /// What is wrong with it.
        error: BundleError,
    },
    /// The manifest is not to be trusted.
    #[error("manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The manifest is older than one seen before.
    #[error("manifest {got} is older than {seen}, which was seen before")]
    RolledBack {
        /// Newest version seen.
        seen: crate::sync::Version,
        /// Version of this manifest.
        got: crate::sync::Version,
    },
    /// Two manifests of one version differ: the publisher says different things to
    /// different clients.
    #[error("manifest {version} has state {got}, but was seen with state {seen}")]
    Equivocation {
        /// The version of both.
        version: crate::sync::Version,
        /// State seen before.
        seen: Digest,
        /// State of this manifest.
        got: Digest,
    },
}

/// An exact-match request that is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExactError {
    /// It is larger than any request.
    #[error("a request has at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Length at hand.
        got: usize,
    },
    /// It is not the JSON that it should be.
    #[error("{message}")]
    Json {
        /// What the parser says.
        message: String,
    },
    /// It has too many queries.
    #[error("a request has at most {max} queries, got {got}")]
    TooMany {
        /// The limit.
        max: usize,
        /// How many it has.
        got: usize,
    },
    /// An element is too short or too long.
    #[error("query {index}: expected an element of 16 to 64 bytes, got {got}")]
    ElementLength {
        /// Position of the query.
        index: usize,
        /// Length of its element.
        got: usize,
    },
}

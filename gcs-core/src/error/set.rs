//! Sets, deltas and bundles that cannot be made or applied.

use thiserror::Error;

use super::format::ParseError;
use crate::date::Date;
use crate::digest::Digest;
use crate::hash::Salt;

/// A set that cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A fingerprint is not below F.
    #[error("fingerprint {got} is not below the hash range {range}")]
    OutOfRange {
        /// F.
        range: u64,
        /// The fingerprint.
        got: u64,
    },
    /// More than `2^32 - 1` distinct fingerprints.
    #[error("a set holds at most 2^32 - 1 fingerprints, got {got}")]
    TooMany {
        /// How many there are.
        got: u64,
    },
}

/// A delta that cannot be made or applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// Base and target, or base and delta, have different salts.
    #[error("expected salt {expected:?}, got {got:?}")]
    Salt {
        /// Salt of the delta or of the base.
        expected: Salt,
        /// Salt of the set at hand.
        got: Salt,
    },
    /// Base and target, or base and delta, have different ranges.
    #[error("expected hash range {expected}, got {got}")]
    Range {
        /// F of the delta or of the base.
        expected: u64,
        /// F of the set at hand.
        got: u64,
    },
    /// The delta is for another base.
    #[error("expected a base of identity {expected}, got {got}")]
    Base {
        /// Identity that the delta starts from.
        expected: Digest,
        /// Identity of the set at hand.
        got: Digest,
    },
    /// The base has the right identity, but not the length that the delta declares: the
    /// delta is malformed.
    #[error("expected a base of {expected} fingerprints, got {got}")]
    BaseLength {
        /// Length that the delta declares.
        expected: u32,
        /// Length of the set at hand.
        got: u32,
    },
    /// The result is not the set that the delta promised.
    #[error("expected a result of identity {expected}, got {got}")]
    Target {
        /// Identity promised.
        expected: Digest,
        /// Identity of the result.
        got: Digest,
    },
    /// The delta adds a fingerprint that is in the base, perhaps one that it removes.
    #[error("fingerprint {value} is added, but is in the base already")]
    AlreadyPresent {
        /// The fingerprint.
        value: u64,
    },
    /// The result would have more than `2^32 - 1` fingerprints.
    #[error("a set holds at most 2^32 - 1 fingerprints, got {got}")]
    TooMany {
        /// How many there would be.
        got: u64,
    },
}

/// A bundle that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file is not of the format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The table is not the bundle's base.
    #[error("expected a base table of state {expected}, got {got}")]
    Before {
        /// State that the bundle starts from.
        expected: Digest,
        /// State of the table at hand.
        got: Digest,
    },
    /// The result is not the table that the bundle promised.
    #[error("expected a resulting table of state {expected}, got {got}")]
    After {
        /// State promised.
        expected: Digest,
        /// State of the result.
        got: Digest,
    },
    /// The bundle drops or changes a date that the base table has not got.
    #[error("date {date} is not in the base table")]
    NoSuchDate {
        /// The date.
        date: Date,
    },
    /// A set that the table names is not at hand.
    #[error("the set of date {date} is not at hand")]
    NoSuchSet {
        /// The date.
        date: Date,
    },
    /// A row does not fit its set, or the row before it.
    #[error("the row of date {date} does not describe its set")]
    Row {
        /// The date.
        date: Date,
    },
    /// A date's delta does not apply.
    #[error("date {date}: {error}")]
    Delta {
        /// The date.
        date: Date,
        /// What is wrong with it.
        error: DeltaError,
    },
}

//! The errors of planning and building sets, and of making and applying deltas.

use core::convert::Infallible;

use thiserror::Error;

use super::hash::Salt;
use crate::digest::Digest;

/// Why a hash range cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// The hash range is not in `1..2^57`.
    #[error("hash range {got} is not in 1..2^57")]
    HashRange {
        /// The hash range asked for.
        got: u64,
    },
    /// A set was planned for no elements.
    #[error("expected number of elements is 0")]
    Expected,
    /// The hash range of the plan would reach `2^57`.
    #[error("{expected} elements at rate 2^-{rate_bits} need a hash range of 2^57 or more")]
    Rate {
        /// The expected number of elements.
        expected: u32,
        /// The rate asked for, as a negative power of two.
        rate_bits: u32,
    },
}

/// Text that is not a salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a salt of 32 hexadecimal digits, got {length} bytes of something else")]
pub struct SaltError {
    /// Length of the text in bytes.
    pub length: usize,
}

/// The operating system gives no randomness.
#[cfg(feature = "random")]
#[derive(Clone, Copy, Debug, Error)]
#[error("the operating system gives no randomness: {0}")]
pub struct RandomError(pub getrandom::Error);

/// Why a set cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A fingerprint is not below F.
    #[error("fingerprint {got} at position {position} is not below the hash range {hash_range}")]
    OutOfRange {
        /// Its position among those given, from 0.
        position: u64,
        /// The hash range F.
        hash_range: u64,
        /// The fingerprint.
        got: u64,
    },
    /// Fingerprints that must ascend strictly do not.
    #[error("fingerprint {got} at position {position} is not above {previous}, the one before")]
    NotAscending {
        /// Position of the first fingerprint that is not above the one before, from 0.
        position: u64,
        /// The fingerprint before.
        previous: u64,
        /// The fingerprint at this position.
        got: u64,
    },
    /// More than `2^32 - 1` distinct fingerprints.
    #[error("a set holds at most 2^32 - 1 fingerprints, got {got}")]
    TooMany {
        /// How many there are, at least.
        got: u64,
    },
}

/// Why a delta cannot be made or applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// Base and target, or base and delta, have different salts.
    #[error("expected salt {expected:?}, got {got:?}")]
    Salt {
        /// Salt of the delta or of the base.
        expected: Salt,
        /// Salt of the set given.
        got: Salt,
    },
    /// Base and target, or base and delta, have different hash ranges.
    #[error("expected hash range {expected}, got {got}")]
    HashRange {
        /// F of the delta or of the base.
        expected: u64,
        /// F of the set given.
        got: u64,
    },
    /// The delta is for another base.
    #[error("expected a base of identity {expected}, got {got}")]
    Base {
        /// Identity that the delta starts from.
        expected: Digest,
        /// Identity of the set given.
        got: Digest,
    },
    /// The base has the right identity, but not the length that the delta declares: the
    /// delta is malformed.
    #[error("expected a base of {expected} fingerprints, got {got}")]
    BaseLength {
        /// Length that the delta declares.
        expected: u32,
        /// Length of the set given.
        got: u32,
    },
    /// The result is not the target that the delta declares.
    #[error("expected a result of identity {expected}, got {got}")]
    Target {
        /// Identity that the delta declares.
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

/// Sets in memory were validated, and reading them does not fail.
impl From<Infallible> for DeltaError {
    fn from(never: Infallible) -> DeltaError {
        match never {}
    }
}

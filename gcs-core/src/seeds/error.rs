//! The errors of building lists, and of applying deltas.

use thiserror::Error;

use crate::digest::Digest;
use crate::error::NoteError;

/// Why a list cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeedBuildError {
    /// A seed has something that has no place in a note.
    #[error("seed {position}: {error}")]
    Note {
        /// Its position among those given, from 0.
        position: u64,
        /// What has no place.
        error: NoteError,
    },
    /// More than `2^32 - 1` distinct seeds.
    #[error("a list holds at most 2^32 - 1 seeds, got {got}")]
    TooMany {
        /// How many there are.
        got: u64,
    },
}

/// Why a delta of lists cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeedDeltaError {
    /// The delta is for another base.
    #[error("expected a base of identity {expected}, got {got}")]
    Base {
        /// Identity that the delta starts from.
        expected: Digest,
        /// Identity of the list given.
        got: Digest,
    },
    /// The base has the right identity, but not the length that the delta declares: the
    /// delta is malformed.
    #[error("expected a base of {expected} seeds, got {got}")]
    BaseLength {
        /// Length that the delta declares.
        expected: u32,
        /// Length of the list given.
        got: u32,
    },
    /// The delta adds a seed that is in the base with the same note, perhaps one that it removes.
    #[error("the seed of rank {rank} is added, but is in the base already")]
    AlreadyPresent {
        /// Its rank in the base.
        rank: u32,
    },
    /// The result is not the target that the delta declares.
    #[error("expected a result of identity {expected}, got {got}")]
    Target {
        /// Identity that the delta declares.
        expected: Digest,
        /// Identity of the result.
        got: Digest,
    },
}

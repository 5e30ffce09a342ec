//! Kinds of seeds, chosen at run time.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::delta::SeedDelta;
use super::error::{SeedBuildError, SeedDeltaError};
use super::list::SeedList;
use super::seed::{ByteArray as _, Seed};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;

type Check = fn(&[u8]) -> Result<(), ParseError>;
type Between = fn(&[u8], &[u8]) -> Result<Vec<u8>, ParseError>;
type Apply = fn(&[u8], &[u8]) -> Result<Vec<u8>, ApplyError>;
type Build = fn(&mut dyn Iterator<Item = &[u8]>) -> Result<Vec<u8>, SeedBuildError>;

/// A kind of seed, for what handles lists of kinds that are known only at run time: publishers,
/// clients, stores. It does with bytes what the types do that have the kind as a parameter.
///
/// ```
/// # #[cfg(feature = "dp3t")] {
/// use gcs_core::identifiers::dp3t::{DayKeys, WindowSeed};
/// use gcs_core::seeds::{SeedKind, SeedList};
///
/// let (kind, other) = (SeedKind::of::<DayKeys>(), SeedKind::of::<WindowSeed>());
/// let list = SeedList::<DayKeys>::build::<DayKeys>([])?;
/// assert_eq!((kind.number(), kind.validate(list.as_bytes())), (1, Ok(())));
/// assert!(other.validate(list.as_bytes()).is_err());
/// # }
/// # Ok::<(), gcs_core::seeds::SeedBuildError>(())
/// ```
#[derive(Clone, Copy)]
pub struct SeedKind {
    number: u16,
    note_len: usize,
    time_len: usize,
    check: Check,
    between: Between,
    apply: Apply,
    build: Build,
}

/// Why a delta of bytes cannot be applied to a list of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// One of them is not of the format, or of another kind.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// They do not fit.
    #[error(transparent)]
    Delta(#[from] SeedDeltaError),
}

impl SeedKind {
    /// The kind of a type.
    pub const fn of<S: Seed>() -> SeedKind {
        SeedKind {
            number: S::KIND,
            note_len: S::Note::LEN,
            time_len: S::TIME_LEN,
            check: |list| SeedList::<S, _>::parse(list).map(|_| ()),
            between: |base, target| {
                let (base, target) = (SeedList::parse(base)?, SeedList::<S, _>::parse(target)?);
                Ok(SeedDelta::between(&base, &target).into_inner())
            },
            apply: |base, delta| {
                let (base, delta) = (SeedList::parse(base)?, SeedDelta::<S, _>::parse(delta)?);
                Ok(delta.apply(&base)?.into_inner())
            },
            build: |parts| {
                let seeds = parts.enumerate().map(|(position, parts)| {
                    let position = position as u64;
                    seed_of::<S>(parts).map_err(|error| SeedBuildError::Note { position, error })
                });
                let seeds = seeds.collect::<Result<Vec<S>, _>>()?;
                Ok(SeedList::<S>::build(seeds)?.into_inner())
            },
        }
    }

    /// Its number in files, a [`Seed::KIND`].
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Validates every byte of a list, as [`SeedList::parse`] does.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn validate(&self, list: &[u8]) -> Result<(), ParseError> {
        (self.check)(list)
    }

    /// The delta from one list to another, as [`SeedDelta::between`] gives it.
    ///
    /// # Errors
    /// A [`ParseError`] if one of them is no list of this kind.
    pub fn delta(&self, base: &[u8], target: &[u8]) -> Result<Vec<u8>, ParseError> {
        (self.between)(base, target)
    }

    /// Applies a delta to a list, as [`SeedDelta::apply`] does.
    ///
    /// # Errors
    /// An [`ApplyError`].
    pub fn apply(&self, base: &[u8], delta: &[u8]) -> Result<Vec<u8>, ApplyError> {
        (self.apply)(base, delta)
    }

    /// Builds a list of the parts of seeds: of each its note, then its bytes. Of seeds that differ in
    /// what their notes say besides the time of use ([`Seed::TIME_LEN`]), only the one with the least
    /// note is listed. O(n log n) time.
    ///
    /// # Errors
    /// As [`SeedList::build`].
    pub fn build<'p>(
        &self,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) -> Result<Vec<u8>, SeedBuildError> {
        let mut parts: Vec<&[u8]> = parts.into_iter().collect();
        // By time of use and bytes, then by what else the note says.
        let same = |parts: &'p [u8]| (parts.get(..self.time_len), parts.get(self.note_len..));
        parts.sort_unstable_by_key(|parts| (same(parts), *parts));
        parts.dedup_by_key(|parts| same(parts));
        (self.build)(&mut parts.into_iter())
    }
}

/// The seed of a note and bytes, one after the other.
pub(crate) fn seed_of<S: Seed>(parts: &[u8]) -> Result<S, crate::error::NoteError> {
    let (mut note, mut bytes) = (S::Note::ZERO, S::Bytes::ZERO);
    let most = S::Note::LEN + S::Bytes::LEN;
    let (got, most) = (parts.len() as i64, most as i64);
    crate::error::NoteError::unless_within("length of note and seed", most..=most, got)?;
    let (of_note, of_bytes) = parts.split_at(S::Note::LEN);
    note.as_mut().copy_from_slice(of_note);
    bytes.as_mut().copy_from_slice(of_bytes);
    S::from_parts(note, bytes)
}

/// Note and bytes of a seed, one after the other.
///
/// # Errors
/// As [`Seed::to_parts`].
pub fn parts_of<S: Seed>(seed: &S) -> Result<Vec<u8>, crate::error::NoteError> {
    let (note, bytes) = seed.to_parts()?;
    Ok([note.as_ref(), bytes.as_ref()].concat())
}

/// Two kinds are equal if their numbers are.
impl PartialEq for SeedKind {
    fn eq(&self, other: &SeedKind) -> bool {
        self.number == other.number
    }
}

impl Eq for SeedKind {}

impl fmt::Debug for SeedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeedKind").field(&self.number).finish()
    }
}

/// The seeds of one kind whose last day of use is a date, as a publisher takes them. Clones share
/// the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedDay {
    date: Date,
    kind: SeedKind,
    list: Arc<Vec<u8>>,
    sha256: Digest,
}

impl SeedDay {
    /// The list of the seeds whose last UTC date of use is `date`.
    pub fn new<S: Seed>(date: Date, list: SeedList<S>) -> SeedDay {
        SeedDay::with_bytes(date, SeedKind::of::<S>(), list.into_inner())
    }

    /// Builds the list of the parts of seeds, as [`SeedKind::build`] does.
    ///
    /// # Errors
    /// As [`SeedKind::build`].
    pub fn build<'p>(
        date: Date,
        kind: SeedKind,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) -> Result<SeedDay, SeedBuildError> {
        Ok(SeedDay::with_bytes(date, kind, kind.build(parts)?))
    }

    fn with_bytes(date: Date, kind: SeedKind, list: Vec<u8>) -> SeedDay {
        SeedDay { date, kind, sha256: Digest::of(&list), list: Arc::new(list) }
    }

    /// The date.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The kind of its seeds.
    pub fn kind(&self) -> SeedKind {
        self.kind
    }

    /// The whole file of the list.
    pub fn as_bytes(&self) -> &[u8] {
        &self.list
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    #[cfg(feature = "protocol")]
    pub(crate) fn shared(&self) -> &Arc<Vec<u8>> {
        &self.list
    }
}

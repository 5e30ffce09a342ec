//! The list itself: a header, a body, a trailer.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use super::body::{Body, Entries, Entry, Parts, Writer};
use super::error::SeedBuildError;
use super::groups::Layout;
use super::seed::{ByteArray as _, Seed};
use crate::bytes::{self, Cursor, Put, TRAILER_LEN};
use crate::digest::Digest;
use crate::error::ParseError;

pub(super) const MAGIC: &[u8; 6] = b"GCSSED";

/// Length of the header in bytes.
pub(super) const HEADER_LEN: usize = 12;

/// A list of seeds with their notes: exact, sorted, distinct, compressed, validated.
///
/// ```text
///  0  magic "GCSSED"
///  6  version          u16
///  8  kind of seed     u16, then 2 zero bytes
/// 12  number of groups u32
/// 16  bits of the code u64
/// 24  directory: each group's note, less what it shares with the one before, and its length
///     Rice codes of the first 6 bytes of the seeds, group by group, zero padded to a byte
///     the other bytes of each seed
/// end SHA-256 of everything before it: the list's identity
/// ```
///
/// Kind, notes and seeds determine every byte, so equal lists are equal files. Every list was
/// validated when it was built or parsed; no later call can fail.
///
/// `D` is the type that holds the bytes: a `Vec<u8>`, a slice, a memory map.
#[cfg_attr(
    feature = "dp3t",
    doc = r#"
```
use gcs_core::identifiers::dp3t::{DayKey, DayKeys};
use gcs_core::seeds::SeedList;

let first = |byte| Ok::<_, gcs_core::DateError>(DayKey::new("2020-04-10".parse()?, [byte; 32]));
let keys = [DayKeys::new(first(7)?, 5)?, DayKeys::new(first(5)?, 3)?];
let list = SeedList::<DayKeys>::build(&keys)?;

// A phone validates every byte, then computes what patients broadcast, and nothing beyond their days.
let received = SeedList::<DayKeys, _>::parse(list.as_bytes())?;
let broadcast = received.iter().flat_map(|keys| keys.elements());
assert_eq!(broadcast.count(), (5 + 3) * 96);
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]
pub struct SeedList<S, D = Vec<u8>> {
    data: D,
    parts: Parts,
    identity: Digest,
    seed: PhantomData<fn() -> S>,
}

impl<S: Seed> SeedList<S> {
    /// Builds the list of seeds in any order; those of equal bytes and note are merged.
    /// O(n log n) time; the memory of the parts of all seeds besides the result.
    ///
    /// # Errors
    /// [`SeedBuildError::Note`] for a seed that has something that has no place in a note, or whose
    /// note [`Seed::from_parts`] refuses, and [`SeedBuildError::TooMany`] for `2^32` distinct seeds or more.
    pub fn build<B: Borrow<S>>(
        seeds: impl IntoIterator<Item = B>,
    ) -> Result<SeedList<S>, SeedBuildError> {
        let parts = seeds.into_iter().enumerate().map(|(position, seed)| {
            let parts = seed.borrow().to_parts().and_then(|(note, bytes)| {
                // A reader checks the note like this.
                S::from_parts(note, S::Bytes::ZERO).map(|_| (note, bytes))
            });
            parts.map_err(|error| SeedBuildError::Note { position: position as u64, error })
        });
        let mut pairs = parts.collect::<Result<Vec<_>, _>>()?;
        pairs.sort_unstable();
        pairs.dedup();
        let got = pairs.len() as u64;
        if u32::try_from(got).is_err() {
            return Err(SeedBuildError::TooMany { got });
        }
        let mut writer = Writer::new(Layout::of::<S>());
        for (note, seed) in &pairs {
            writer.push(&Entry::new(note.as_ref(), seed.as_ref()));
        }
        Ok(SeedList::from_writer(writer))
    }

    pub(super) fn from_writer(writer: Writer) -> SeedList<S> {
        let mut data = Vec::open(MAGIC);
        data.put_u16(S::KIND).put_u16(0);
        let parts = writer.finish(&mut data);
        let identity = bytes::seal(&mut data);
        SeedList { data, parts, identity, seed: PhantomData }
    }
}

impl<S: Seed, D: AsRef<[u8]>> SeedList<S, D> {
    /// Validates every byte of a list: magic, version, kind, bounds, notes, exact length, zero
    /// padding, strictly ascending seeds, trailer. O(bytes) time, no allocation.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(data: D) -> Result<SeedList<S, D>, ParseError> {
        let bytes = data.as_ref();
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        parse_kind::<S>(&mut cursor)?;
        let body = cursor.rest();
        let Some(len) = body.len().checked_sub(TRAILER_LEN) else {
            let expected = (HEADER_LEN + TRAILER_LEN) as u64;
            return Err(ParseError::Length { expected, got: bytes.len() as u64 });
        };
        let parts = Body::parse(body, len, Layout::of::<S>())?;
        let identity = bytes::expect_trailer(bytes)?;
        Ok(SeedList { data, parts, identity, seed: PhantomData })
    }

    /// Number of seeds.
    pub fn len(&self) -> u32 {
        self.parts.len
    }

    /// Whether the list has no seed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The identity: SHA-256 of all bytes but the last 32, which hold it. Equal lists have
    /// equal identities.
    pub fn identity(&self) -> Digest {
        self.identity
    }

    /// The seeds in ascending order of their notes, then of their bytes, decoded as they are
    /// asked for.
    pub fn iter(&self) -> Seeds<'_, S> {
        Seeds::new(self.entries())
    }

    /// The whole file.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// Returns the bytes of the whole file.
    pub fn into_inner(self) -> D {
        self.data
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Body::new(&self.as_bytes()[HEADER_LEN..], self.parts, Layout::of::<S>()).entries()
    }
}

/// The kind of seed of a list or of a delta, a [`Seed::KIND`], from the header alone.
///
/// # Errors
/// [`ParseError`] if the file is neither, of another version, or cut off before the kind.
///
/// ```
/// use gcs_core::seeds::{FIRST_PRIVATE_KIND, seed_kind};
///
/// assert_eq!(seed_kind(b"GCSSED\x01\x00\x00\x80")?, FIRST_PRIVATE_KIND);
/// # Ok::<(), gcs_core::ParseError>(())
/// ```
pub fn seed_kind(file: &[u8]) -> Result<u16, ParseError> {
    let is_delta = file.starts_with(super::delta::MAGIC);
    Cursor::open(file, if is_delta { super::delta::MAGIC } else { MAGIC })?.u16()
}

/// Reads the kind of seed, which must be that of `S`, and a reserved field.
pub(super) fn parse_kind<S: Seed>(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    bytes::expect_equal("kind of seed", cursor.u16()?.into(), S::KIND.into())?;
    cursor.zeros(2)
}

impl<S, D: Clone> Clone for SeedList<S, D> {
    fn clone(&self) -> SeedList<S, D> {
        SeedList { data: self.data.clone(), ..*self }
    }
}

/// The whole file.
impl<S: Seed, D: AsRef<[u8]>> AsRef<[u8]> for SeedList<S, D> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Two lists are equal if their bytes are equal, whatever types hold them.
impl<S: Seed, D: AsRef<[u8]>, E: AsRef<[u8]>> PartialEq<SeedList<S, E>> for SeedList<S, D> {
    fn eq(&self, other: &SeedList<S, E>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<S: Seed, D: AsRef<[u8]>> Eq for SeedList<S, D> {}

impl<S, D> fmt::Debug for SeedList<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeedList")
            .field("len", &self.parts.len)
            .field("identity", &self.identity)
            .finish()
    }
}

impl<'a, S: Seed, D: AsRef<[u8]>> IntoIterator for &'a SeedList<S, D> {
    type Item = S;
    type IntoIter = Seeds<'a, S>;

    fn into_iter(self) -> Seeds<'a, S> {
        self.iter()
    }
}

/// Seeds in ascending order, made by [`SeedList::iter`] and [`SeedDelta::added`](super::SeedDelta::added).
#[derive(Clone)]
pub struct Seeds<'a, S> {
    /// None after a seed that could not be made.
    entries: Option<Entries<'a>>,
    seed: PhantomData<fn() -> S>,
}

impl<'a, S> Seeds<'a, S> {
    pub(super) fn new(entries: Entries<'a>) -> Seeds<'a, S> {
        Seeds { entries: Some(entries), seed: PhantomData }
    }

    fn remaining(&self) -> usize {
        self.entries.as_ref().map_or(0, Entries::remaining)
    }
}

/// How many seeds are still to come, and nothing of them.
impl<S> fmt::Debug for Seeds<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeds").field("remaining", &self.remaining()).finish()
    }
}

impl<S: Seed> Iterator for Seeds<'_, S> {
    type Item = S;

    fn next(&mut self) -> Option<S> {
        let entry = self.entries.as_mut()?.next()?;
        let (mut note, mut bytes) = (S::Note::ZERO, S::Bytes::ZERO);
        note.as_mut().copy_from_slice(&entry.note.0[..S::Note::LEN]);
        entry.write_seed(bytes.as_mut());
        // Notes were validated. If a seed refused one now, iteration would end here.
        let seed = S::from_parts(note, bytes).ok();
        if seed.is_none() {
            self.entries = None;
        }
        seed
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining(), Some(self.remaining()))
    }
}

impl<S: Seed> ExactSizeIterator for Seeds<'_, S> {}
impl<S: Seed> FusedIterator for Seeds<'_, S> {}

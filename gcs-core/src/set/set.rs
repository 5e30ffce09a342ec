//! The set itself: a header, one Rice code, a trailer.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::iter::FusedIterator;
use core::ops::RangeBounds;

use super::builder::SetBuilder;
use super::error::BuildError;
use super::hash::{ElementHasher, Salt};
use super::hash_range::HashRange;
use super::matches::{Matches, Queries};
use super::rice::{self, Codes, Decoded, RiceReader, RiceWriter, Shape, Values};
use crate::bytes::{self, Cursor, Put, TRAILER_LEN};
use crate::digest::Digest;
use crate::error::ParseError;

const MAGIC: &[u8; 6] = b"GCSSET";

/// Length of the header in bytes.
pub(super) const HEADER_LEN: usize = 48;

/// A Golomb-coded set of fingerprints: sorted, distinct, compressed, validated.
///
/// ```text
///  0  magic "GCSSET"           24  hash range F   u64
///  6  version      u16         32  length N       u32
///  8  salt         16 bytes    36  Rice parameter u8, then 3 zero bytes
///                              40  bit length     u64
/// 48  Rice code, zero padded to a byte
/// end SHA-256 of everything before it: the set's identity
/// ```
///
/// Salt, hash range and fingerprints determine every byte, so equal sets are equal files.
/// Every `Set` was validated when it was built or parsed; no later call can fail.
///
/// `D` is the type that holds the bytes: a `Vec<u8>`, a slice, a memory map.
///
/// ```
/// use gcs_core::{HashRange, Salt, Set};
///
/// let heard = ["identifier one..", "identifier two..", "identifier three"];
/// let hash_range = HashRange::for_expected(2, 20)?;
/// let set = Set::build(Salt([0; 16]), hash_range, &heard[..2])?;
/// assert!(set.contains(heard[0].as_bytes()));
///
/// // The receiver validates every byte, then asks which of its identifiers may be in the set.
/// let received = Set::parse(set.as_bytes())?;
/// let hits: Vec<usize> = received.matches(&heard).iter().map(|hit| hit.query).collect();
/// assert_eq!(hits, [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Set<D = Vec<u8>> {
    data: D,
    header: Header,
    identity: Digest,
}

/// Least and greatest length of the file of a set of `len` fingerprints below `hash_range`.
#[cfg(feature = "protocol")]
pub(crate) fn file_lengths(hash_range: HashRange, len: u32) -> (u64, u64) {
    let mut shape = Shape { bound: hash_range.get(), len, parameter: 0, bits: 0 };
    shape.parameter = shape.canonical_parameter();
    let (least, most) = shape.possible_bits();
    let fixed = (HEADER_LEN + TRAILER_LEN) as u64;
    (fixed + least.div_ceil(8), fixed + most.div_ceil(8))
}

/// The fields of a set's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: Salt,
    pub(super) hash_range: HashRange,
    pub(super) shape: Shape,
}

impl Set {
    /// Builds the set of the elements' fingerprints, in any order; elements of equal
    /// fingerprint are merged. O(n) time, 16 bytes of memory an element besides the
    /// result.
    ///
    /// # Errors
    /// [`BuildError::TooMany`] for `2^32` distinct fingerprints or more.
    pub fn build<E: AsRef<[u8]>>(
        salt: Salt,
        hash_range: HashRange,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<Set, BuildError> {
        let mut builder = SetBuilder::new(salt, hash_range);
        builder.extend(elements);
        builder.finish()
    }

    /// Builds the set of given fingerprints, in any order; duplicates are merged.
    ///
    /// # Errors
    /// [`BuildError::OutOfRange`] for a fingerprint not below F, and
    /// [`BuildError::TooMany`] as [`Set::build`].
    pub fn from_fingerprints(
        salt: Salt,
        hash_range: HashRange,
        fingerprints: impl IntoIterator<Item = u64>,
    ) -> Result<Set, BuildError> {
        let mut builder = SetBuilder::new(salt, hash_range);
        for fingerprint in fingerprints {
            builder.push_fingerprint(fingerprint)?;
        }
        builder.finish()
    }

    /// Writes the set of sorted values below the hash range, which may repeat.
    pub(super) fn from_sorted(
        salt: Salt,
        hash_range: HashRange,
        sorted: &[u64],
    ) -> Result<Set, BuildError> {
        let write = |len: u32| {
            let mut writer = SetWriter::new(salt, hash_range, len);
            writer.code.extend(sorted);
            writer
        };
        // The Rice parameter of all values is nearly always that of the distinct ones.
        let count = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        let distinct = |sorted: &[u64]| sorted.chunk_by(|a, b| a == b).count();
        if sorted.len() > count as usize {
            let got = distinct(sorted) as u64;
            let len = u32::try_from(got).map_err(|_| BuildError::TooMany { got })?;
            return Ok(write(len).finish());
        }
        Ok(write(count).finish_recoded())
    }

    /// Writes a set of values that are strictly ascending and below the hash range.
    #[cfg(feature = "protocol")]
    pub(crate) fn from_distinct(salt: Salt, hash_range: HashRange, values: &[u64]) -> Set {
        let mut writer = SetWriter::new(salt, hash_range, values.len() as u32);
        writer.extend(values);
        writer.finish()
    }
}

/// Writes a set value by value, in O(1) memory besides the result.
pub(crate) struct SetWriter {
    salt: Salt,
    hash_range: HashRange,
    parameter: u32,
    code: RiceWriter,
}

impl SetWriter {
    /// A writer of exactly `len` values.
    pub(crate) fn new(salt: Salt, hash_range: HashRange, len: u32) -> SetWriter {
        SetWriter::with_parameter(salt, hash_range, hash_range.rice_parameter(len), len)
    }

    /// A writer with the P of a guess, and room for `expected` values. [`Self::finish_recoded`]
    /// ends it.
    pub(crate) fn with_parameter(
        salt: Salt,
        hash_range: HashRange,
        parameter: u32,
        expected: u32,
    ) -> SetWriter {
        let code = RiceWriter::append_to(alloc::vec![0; HEADER_LEN], parameter, expected);
        SetWriter { salt, hash_range, parameter, code }
    }

    /// Writes values above all before them and below the hash range.
    pub(crate) fn extend(&mut self, values: &[u64]) {
        self.code.extend(values);
    }

    /// The Rice parameter P of its code.
    pub(super) fn parameter(&self) -> u32 {
        self.parameter
    }

    /// Its code, to which values above all before them and below the hash range can be added.
    pub(super) fn code(&mut self) -> &mut RiceWriter {
        &mut self.code
    }

    /// Ends a set whose P was a guess: codes it again if its length needs another P.
    pub(crate) fn finish_recoded(self) -> Set {
        let SetWriter { salt, hash_range, parameter, .. } = self;
        if hash_range.rice_parameter(self.code.len()) == parameter {
            return self.finish();
        }
        let (data, len, bits) = self.code.finish();
        let reader = RiceReader::new(&data[HEADER_LEN..], parameter, bits);
        let mut values = Values::new(reader, len);
        let mut writer = SetWriter::new(salt, hash_range, len);
        loop {
            let chunk = values.next_chunk();
            if chunk.is_empty() {
                return writer.finish();
            }
            writer.extend(chunk);
        }
    }

    pub(crate) fn finish(self) -> Set {
        let (mut data, len, bits) = self.code.finish();
        debug_assert_eq!(self.parameter, self.hash_range.rice_parameter(len));
        let shape = Shape { bound: self.hash_range.get(), len, parameter: self.parameter, bits };
        let header = Header { salt: self.salt, hash_range: self.hash_range, shape };
        data[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        let identity = bytes::seal(&mut data);
        Set { data, header, identity }
    }
}

impl<D: AsRef<[u8]>> Set<D> {
    /// Validates every byte of a set: magic, version, bounds, the canonical Rice parameter,
    /// exact length, zero padding, strictly ascending values below F, trailer. O(n) time,
    /// no allocation.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`]. Corrupt bytes are never "not
    /// in the set".
    pub fn parse(data: D) -> Result<Set<D>, ParseError> {
        Set::parse_with(data, |_, _: &[u64]| ())
    }

    /// [`Set::parse`], which shows the values to `visit` as it reads them, chunk by chunk. They
    /// are the set's only if it succeeds.
    pub(super) fn parse_with<T: Decoded>(
        data: D,
        mut visit: impl FnMut(&Shape, &[T]),
    ) -> Result<Set<D>, ParseError> {
        let bytes = data.as_ref();
        let header = Header::parse(bytes)?;
        bytes::expect_len(bytes, header.file_len())?;
        let code = &bytes[HEADER_LEN..];
        rice::validate_with(code, &header.shape, |chunk: &[T]| visit(&header.shape, chunk))?;
        let identity = bytes::expect_trailer(bytes)?;
        Ok(Set { data, header, identity })
    }

    /// Number of fingerprints N.
    pub fn len(&self) -> u32 {
        self.header.shape.len
    }

    /// Whether the set has no fingerprint.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The salt that keys its hashes.
    pub fn salt(&self) -> Salt {
        self.header.salt
    }

    /// The hash range F.
    pub fn hash_range(&self) -> HashRange {
        self.header.hash_range
    }

    /// The Rice parameter P of its code.
    pub fn rice_parameter(&self) -> u32 {
        self.header.shape.parameter
    }

    /// The identity: SHA-256 of all bytes but the last 32, which hold it. Equal sets have
    /// equal identities.
    pub fn identity(&self) -> Digest {
        self.identity
    }

    /// N/F: the chance that an element outside the set matches it.
    pub fn false_positive_rate(&self) -> f64 {
        self.hash_range().false_positive_rate(self.len())
    }

    /// The hasher of this set's salt and hash range.
    pub fn hasher(&self) -> ElementHasher {
        ElementHasher::new(self.salt(), self.hash_range())
    }

    /// Whether the element may be in the set: `false` is certain, `true` means *possible* and
    /// must be confirmed by the element's check. O(n): decodes half of the set on average. For
    /// many elements use [`Set::matches`], for many calls [`Set::index`].
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        self.contains_fingerprint(self.hasher().fingerprint(element.as_ref()))
    }

    /// Whether the fingerprint is in the set. O(n).
    pub fn contains_fingerprint(&self, fingerprint: u64) -> bool {
        self.rank_of(fingerprint).is_some()
    }

    /// The fingerprint's rank, which is the number of fingerprints below it, if it is in the
    /// set. O(n).
    pub fn rank_of(&self, fingerprint: u64) -> Option<u32> {
        let mut values = self.values();
        let mut rank = 0;
        loop {
            let chunk = values.next_chunk();
            if *chunk.last()? < fingerprint {
                rank += chunk.len() as u32;
            } else {
                return chunk.binary_search(&fingerprint).ok().map(|at| rank + at as u32);
            }
        }
    }

    /// The fingerprints in ascending order, decoded as they are asked for.
    pub fn iter(&self) -> Iter<'_> {
        Iter { values: self.values() }
    }

    /// The fingerprints within bounds, in ascending order. O(n).
    ///
    /// ```
    /// use gcs_core::{HashRange, Salt, Set};
    ///
    /// let set = Set::from_fingerprints(Salt([0; 16]), HashRange::new(100)?, [7, 21, 42])?;
    /// assert_eq!(set.iter_within(8..=42).collect::<Vec<_>>(), [21, 42]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter_within<R: RangeBounds<u64>>(&self, bounds: R) -> impl Iterator<Item = u64> {
        use core::ops::Bound;
        let (from, to) = (bounds.start_bound().cloned(), bounds.end_bound().cloned());
        self.iter()
            .skip_while(move |value| match from {
                Bound::Included(from) => *value < from,
                Bound::Excluded(from) => *value <= from,
                Bound::Unbounded => false,
            })
            .take_while(move |value| match to {
                Bound::Included(to) => *value <= to,
                Bound::Excluded(to) => *value < to,
                Bound::Unbounded => true,
            })
    }

    /// Which of the elements may be in the set: each with its position among the
    /// queries, in ascending order of position. One pass over the set, whatever the
    /// number of queries: O(n + q log q).
    pub fn matches<E: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = E>) -> Matches {
        Queries::of_fingerprints(self.hasher().fingerprints(elements)).scan(self.values())
    }

    /// [`Set::matches`] for fingerprints under this set's salt and hash range, in any order.
    pub fn matches_fingerprints<F: Borrow<u64>>(
        &self,
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Matches {
        Queries::of_fingerprints(fingerprints).scan(self.values())
    }

    /// The whole file.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// Returns the bytes of the whole file.
    pub fn into_inner(self) -> D {
        self.data
    }

    /// The same set, which borrows these bytes.
    pub fn as_slice(&self) -> Set<&[u8]> {
        Set { data: self.as_bytes(), header: self.header, identity: self.identity }
    }

    /// A copy of the set that owns its bytes.
    pub fn to_owned_set(&self) -> Set {
        Set { data: self.as_bytes().to_vec(), header: self.header, identity: self.identity }
    }

    pub(super) fn header(&self) -> Header {
        self.header
    }

    pub(crate) fn values(&self) -> Values<'_> {
        Values::new(self.reader(), self.len())
    }

    pub(super) fn codes(&self) -> Codes<'_> {
        Codes::new(self.reader(), self.len())
    }

    pub(crate) fn reader(&self) -> RiceReader<'_> {
        let Shape { parameter, bits, .. } = self.header.shape;
        RiceReader::new(&self.data.as_ref()[HEADER_LEN..], parameter, bits)
    }
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Header, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let salt = Salt::parse(&mut cursor)?;
        let hash_range = HashRange::parse(&mut cursor)?;
        let len = cursor.u32()?;
        let parameter = u32::from(cursor.u8()?);
        cursor.zeros(3)?;
        let bits = cursor.u64()?;
        let shape = Shape { bound: hash_range.get(), len, parameter, bits };
        shape.validate()?;
        Ok(Header { salt, hash_range, shape })
    }

    /// Length of the whole file.
    pub(super) fn file_len(&self) -> u64 {
        (HEADER_LEN + TRAILER_LEN) as u64 + self.shape.bytes()
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes
            .put(&self.salt.0)
            .put_u64(self.shape.bound)
            .put_u32(self.shape.len)
            .put_u8(self.shape.parameter as u8)
            .put(&[0; 3])
            .put_u64(self.shape.bits);
        bytes
    }
}

/// The whole file.
impl<D: AsRef<[u8]>> AsRef<[u8]> for Set<D> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Two sets are equal if their bytes are equal, whatever types hold them.
impl<D: AsRef<[u8]>, E: AsRef<[u8]>> PartialEq<Set<E>> for Set<D> {
    fn eq(&self, other: &Set<E>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<D: AsRef<[u8]>> Eq for Set<D> {}

impl<D: AsRef<[u8]>> core::fmt::Debug for Set<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Set")
            .field("len", &self.len())
            .field("hash_range", &self.hash_range().get())
            .field("salt", &self.salt())
            .field("identity", &self.identity)
            .finish()
    }
}

impl<'a, D: AsRef<[u8]>> IntoIterator for &'a Set<D> {
    type Item = u64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Ascending fingerprints of a [`Set`], made by [`Set::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    values: Values<'a>,
}

impl Iterator for Iter<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        self.values.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = usize::try_from(self.values.remaining());
        (remaining.unwrap_or(usize::MAX), remaining.ok())
    }

    /// Works on whole chunks, so `sum`, `for_each` and their like decode fastest.
    fn fold<B, F: FnMut(B, u64) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            let chunk = self.values.next_chunk();
            if chunk.is_empty() {
                return folded;
            }
            for &value in chunk {
                folded = f(folded, value);
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::delta::Delta;
    use crate::set::matches::Match;
    use core::ops::Bound;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SALT: Salt = Salt([9; 16]);

    fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
        Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
    }

    /// Hash ranges of every size, and values that are dense, sparse or clustered in them.
    fn hash_range_and_values() -> impl Strategy<Value = (u64, BTreeSet<u64>)> {
        (1u64..58, any::<u64>()).prop_flat_map(|(bits, low)| {
            let hash_range =
                ((1u64 << (bits - 1)) | (low & ((1 << (bits - 1)) - 1))).min((1 << 57) - 1);
            let value = prop_oneof![
                0..hash_range,
                (hash_range - hash_range.min(50))..hash_range,
                0..hash_range.min(600)
            ];
            (Just(hash_range), prop::collection::btree_set(value, 0..800))
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_btree_set((hash_range, model) in hash_range_and_values(), extra in prop::collection::vec(any::<u64>(), 0..50)) {
            let set = set_of(hash_range, model.iter().copied());
            let parsed = Set::parse(set.as_bytes()).unwrap();
            prop_assert_eq!(&parsed, &set);
            prop_assert_eq!(parsed.identity(), set.identity());
            prop_assert_eq!(set.len() as usize, model.len());
            prop_assert_eq!(set.iter().len(), model.len());
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(set.iter().fold(0u64, u64::wrapping_add), model.iter().fold(0u64, |a, b| a.wrapping_add(*b)));

            let queries: Vec<u64> = extra.iter().map(|value| value % hash_range)
                .chain(model.iter().copied().step_by(3))
                .chain(model.iter().copied().take(2))
                .chain(model.iter().map(|value| value + 1))
                .collect();
            let index = set.index();
            let mut expected = Vec::new();
            for (query, value) in queries.iter().enumerate() {
                let rank = model.range(..value).count() as u32;
                prop_assert_eq!(set.contains_fingerprint(*value), model.contains(value));
                prop_assert_eq!(index.contains_fingerprint(*value), model.contains(value));
                prop_assert_eq!(set.rank_of(*value), model.contains(value).then_some(rank));
                prop_assert_eq!(index.rank_of(*value), model.contains(value).then_some(rank));
                if model.contains(value) {
                    expected.push(Match { query, rank });
                }
            }
            prop_assert_eq!(&set.matches_fingerprints(&queries)[..], &expected[..]);
            prop_assert_eq!(&index.matches_fingerprints(&queries)[..], &expected[..]);

            let (low, high) = (hash_range / 3, hash_range / 2 + 1);
            prop_assert!(set.iter_within(low..high).eq(model.range(low..high).copied()));
        }

        #[test]
        fn deltas_equal_a_fresh_build((hash_range, all) in hash_range_and_values(), picks in prop::collection::vec(0u8..3, 800)) {
            // Each value is in the base, in the target, or in both.
            let side = |skip: u8| all.iter().zip(&picks).filter(move |(_, pick)| **pick != skip).map(|(value, _)| *value);
            let (base, target) = (set_of(hash_range, side(0)), set_of(hash_range, side(1)));
            let delta = Delta::between(&base, &target).unwrap();
            let delta = Delta::parse(delta.as_bytes()).unwrap();
            prop_assert_eq!(&delta.apply(&base).unwrap(), &target);
            let ranks: Vec<u32> = base.iter().filter(|value| !target.contains_fingerprint(*value)).filter_map(|value| base.rank_of(value)).collect();
            prop_assert_eq!(delta.removed().collect::<Vec<_>>(), ranks);
            prop_assert!(delta.added().eq(target.iter().filter(|value| !base.contains_fingerprint(*value))));
        }

        #[test]
        fn one_changed_byte_never_passes((hash_range, model) in hash_range_and_values(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let set = set_of(hash_range, model);
            let mut bytes = set.into_inner();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(Set::parse(&bytes).is_err());
            bytes[at] ^= flip;
            prop_assert!(Set::parse(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn sets_of_extreme_sizes_are_valid() {
        let max = HashRange::MAX.get();
        for (hash_range, values) in [
            (1, &[][..]),
            (1, &[0]),
            (max, &[]),
            (max, &[0]),
            (max, &[max - 1]),
            (max, &[0, max - 1]),
        ] {
            let set = set_of(hash_range, values.iter().copied());
            let parsed = Set::parse(set.as_bytes()).unwrap();
            assert!(parsed.iter().eq(values.iter().copied()));
            assert!(values.iter().all(|value| set.index().rank_of(*value).is_some()));
        }
        assert_eq!(set_of(1, []).as_bytes().len(), HEADER_LEN + TRAILER_LEN);
        let full = set_of(1000, 0..1000);
        assert_eq!(full.as_bytes().len(), HEADER_LEN + 125 + TRAILER_LEN);
    }

    #[test]
    fn queries_may_be_slices_vectors_arrays_and_iterators() {
        let hash_range = HashRange::for_expected(2, 20).unwrap();
        let elements = alloc::vec![b"identifier one..".to_vec(), b"identifier two..".to_vec()];
        let set = Set::build(SALT, hash_range, &elements).unwrap();
        let index = set.index();
        assert!(set.contains("identifier one..") && index.contains("identifier one.."));
        assert!(set.contains(&elements[1]) && index.contains(elements[1].clone()));
        assert!(set.contains(b"identifier one..") && !index.contains(&b"another one"[..]));
        let both = set.matches(&elements);
        assert_eq!(both.len(), 2);
        assert_eq!(set.matches(&elements[..]), both);
        assert_eq!(set.matches(elements.iter().map(Vec::as_slice)), both);
        assert_eq!(set.matches(elements.clone()), both);
        assert_eq!(index.matches(&elements), both);
        assert_eq!(index.matches(["identifier one..", "identifier two.."]), both);

        let fingerprints: Vec<u64> =
            elements.iter().map(|element| set.hasher().fingerprint(element)).collect();
        assert_eq!(set.matches_fingerprints(&fingerprints), both);
        assert_eq!(set.matches_fingerprints(fingerprints.iter().copied()), both);
        assert_eq!(index.matches_fingerprints(&fingerprints[..]), both);
        assert_eq!(index.matches_fingerprints(fingerprints), both);
    }

    #[test]
    fn a_set_tells_what_it_is() {
        let (none, two, other) = (set_of(100, []), set_of(100, [7, 21]), set_of(100, [7, 22]));
        assert!(none.is_empty() && !two.is_empty());
        assert!(two == two.as_slice() && two != other && two != none);
        assert_eq!(AsRef::<[u8]>::as_ref(&two), two.as_bytes());
        assert_eq!((none.false_positive_rate(), two.false_positive_rate()), (0.0, 0.02));
        let mut rest = two.iter();
        assert_eq!(rest.size_hint(), (2, Some(2)));
        rest.next();
        assert_eq!(rest.size_hint(), (1, Some(1)));
        assert!(std::format!("{two:?}").starts_with("Set { len: 2, hash_range: 100,"));
    }

    #[test]
    fn a_delta_tells_what_it_is() {
        let (base, target) = (set_of(100, [7, 21, 42, 63]), set_of(100, [7, 22, 42, 64, 77]));
        let delta = Delta::between(&base, &target).unwrap();
        assert_eq!((delta.removed_len(), delta.added_len()), (2, 3));
        assert!(delta.removed().eq([1, 3]) && delta.added().eq([22, 64, 77]));
        assert!(delta == Delta::parse(delta.as_bytes()).unwrap());
        assert!(delta != Delta::between(&target, &base).unwrap());
        assert_eq!(AsRef::<[u8]>::as_ref(&delta), delta.as_bytes());
        assert!(std::format!("{delta:?}").ends_with("removed: 2, added: 3 }"));
    }

    /// Bounds of every kind, at a fingerprint and beside it.
    #[test]
    fn fingerprints_within_bounds_are_those_of_a_btree_set() {
        let model = BTreeSet::from([7, 21, 42]);
        let set = set_of(100, model.iter().copied());
        let bounds = |at| [Bound::Included(at), Bound::Excluded(at), Bound::Unbounded];
        for from in [6, 7, 8].into_iter().flat_map(bounds) {
            for to in [41, 42, 43].into_iter().flat_map(bounds) {
                let found = set.iter_within((from, to));
                assert!(found.eq(model.range((from, to)).copied()), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn elements_of_equal_fingerprint_are_one() {
        let hash_range = HashRange::new(50).unwrap();
        let elements: Vec<[u8; 16]> = (0..200u8).map(|i| [i; 16]).collect();
        let set = Set::build(SALT, hash_range, &elements).unwrap();
        assert!(set.len() <= 50);
        assert!(elements.iter().all(|element| set.contains(element)));
        assert_eq!(set.matches(&elements).len(), 200);
        let fingerprint = hash_range.get();
        assert_eq!(
            Set::from_fingerprints(SALT, hash_range, [3, fingerprint]),
            Err(BuildError::OutOfRange { position: 1, hash_range: 50, got: 50 })
        );
    }
}

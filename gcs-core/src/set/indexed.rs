//! A set with an index in memory, for queries that do not decode the whole set.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;

use super::buckets::{BUCKET, Buckets, BucketsWriter, CodePlace};
use super::hash::ElementHasher;
use super::matches::{Match, Matches, Method, Queries};
use super::set::Set;
use crate::error::ParseError;

/// A [`Set`] and an index over it, in one struct.
///
/// An index pays from the second batch of queries on. It takes 11 bits of memory an element
/// ([`IndexedSet::memory`]). Of five fingerprints that are not in the set four are answered by
/// one memory access; of others some 8 codes are read.
///
/// The set's bytes are owned or borrowed as `D` is: [`Set::index`] borrows them,
/// [`Set::into_indexed`] and [`IndexedSet::parse`] take them.
///
/// ```
/// use gcs_core::{HashRange, IndexedSet, Salt, Set};
///
/// let hash_range = HashRange::for_expected(1_000, 20)?;
/// let set = Set::build(Salt([0; 16]), hash_range, (0..1_000u64).map(|i| i.to_le_bytes()))?;
///
/// // Validated and indexed in one pass.
/// let indexed = IndexedSet::parse(set.as_bytes().to_vec())?;
/// assert!(indexed.contains(17u64.to_le_bytes()));
/// let fingerprint = set.hasher().fingerprint(&17u64.to_le_bytes());
/// assert_eq!(indexed.rank_of(fingerprint), set.rank_of(fingerprint));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct IndexedSet<D = Vec<u8>> {
    set: Set<D>,
    hasher: ElementHasher,
    buckets: Buckets,
}

impl<D: AsRef<[u8]>> Set<D> {
    /// An index over this set, which borrows it. O(n).
    pub fn index(&self) -> IndexedSet<&[u8]> {
        self.as_slice().into_indexed()
    }

    /// This set with an index. O(n).
    pub fn into_indexed(self) -> IndexedSet<D> {
        let mut writer = BucketsWriter::new(self.hash_range().get(), self.len());
        let mut codes = self.codes();
        loop {
            let chunk = codes.chunk();
            let count = chunk.len();
            if count == 0 {
                break;
            }
            writer.take(chunk);
            codes.consume(count);
        }
        IndexedSet { hasher: self.hasher(), buckets: writer.finish(), set: self }
    }
}

impl<D: AsRef<[u8]>> IndexedSet<D> {
    /// Validates every byte of a set, as [`Set::parse`], and indexes it in the same pass. O(n).
    ///
    /// # Errors
    /// Those of [`Set::parse`].
    pub fn parse(data: D) -> Result<IndexedSet<D>, ParseError> {
        let mut writer = None;
        let set = Set::parse_with(data, |shape, chunk| {
            writer.get_or_insert_with(|| BucketsWriter::new(shape.bound, shape.len)).take(chunk);
        })?;
        let writer = writer.unwrap_or_else(|| BucketsWriter::new(set.hash_range().get(), 0));
        Ok(IndexedSet { hasher: set.hasher(), buckets: writer.finish(), set })
    }

    /// The set that is indexed.
    pub fn set(&self) -> &Set<D> {
        &self.set
    }

    /// Drops the index.
    pub fn into_set(self) -> Set<D> {
        self.set
    }

    /// Bytes of memory that the index takes, besides those of the set: 64 for every 48 elements.
    pub fn memory(&self) -> usize {
        self.buckets.memory()
    }

    /// Whether the element may be in the set; see [`Set::contains`]. O(1) for elements.
    #[inline]
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        self.contains_fingerprint(self.hasher.fingerprint(element.as_ref()))
    }

    /// Whether the fingerprint is in the set. Reads one bucket, if any.
    #[inline]
    pub fn contains_fingerprint(&self, fingerprint: u64) -> bool {
        self.rank_of(fingerprint).is_some()
    }

    /// The fingerprint's rank, if it is in the set; see [`Set::rank_of`]. Reads one bucket, if
    /// any.
    #[inline]
    pub fn rank_of(&self, fingerprint: u64) -> Option<u32> {
        let place = self.buckets.find(fingerprint)?;
        self.fetch(place);
        self.rank_behind(place, fingerprint)
    }

    /// Loads the code of the bucket that begins at `place`, which lies in one cache line or two:
    /// to be had together, both are asked for before the code is read.
    #[inline]
    fn fetch(&self, place: CodePlace) {
        let code = self.set.reader();
        code.touch(place.bit);
        code.touch(place.bit + BUCKET * u64::from(self.set.rice_parameter() + 2));
    }

    /// The rank of a fingerprint whose bucket begins at `place`.
    #[inline]
    fn rank_behind(&self, place: CodePlace, fingerprint: u64) -> Option<u32> {
        let code = self.set.reader().resume(place.bit, place.next);
        Some(place.rank + code.steps_to(fingerprint, self.set.len() - place.rank)?)
    }

    /// Which of the elements may be in the set, as [`Set::matches`]. O(q) for q elements, or
    /// O(n + q log q) if they are so many that one pass over the set is faster: by the least
    /// number that the iterator says it has. [`Matches::method`] tells.
    pub fn matches<E: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = E>) -> Matches {
        self.look_up(self.hasher.fingerprints(elements))
    }

    /// [`IndexedSet::matches`] for fingerprints under this set's salt and hash range, in any
    /// order.
    pub fn matches_fingerprints<F: Borrow<u64>>(
        &self,
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Matches {
        self.look_up(fingerprints.into_iter().map(|fingerprint| *fingerprint.borrow()))
    }

    fn look_up(&self, fingerprints: impl Iterator<Item = u64>) -> Matches {
        match Method::for_queries(fingerprints.size_hint().0, self.set.len()) {
            Method::Scan => Queries::of_fingerprints(fingerprints).scan(self.set.values()),
            Method::Index => self.look_up_staged(fingerprints),
        }
    }

    /// Looks up a stage of queries at a time, so that their accesses to memory overlap: first all
    /// cells, then the codes of those that are not empty.
    fn look_up_staged(&self, fingerprints: impl Iterator<Item = u64>) -> Matches {
        let mut found = Vec::new();
        let mut stage = Vec::with_capacity(STAGE);
        let mut first = 0;
        let mut answer = |stage: &mut Vec<u64>| {
            self.answer_stage(first, stage, &mut found);
            first += stage.len();
            stage.clear();
        };
        fingerprints.for_each(|fingerprint| {
            stage.push(fingerprint);
            if stage.len() == STAGE {
                answer(&mut stage);
            }
        });
        answer(&mut stage);
        Matches::new(found, Method::Index)
    }

    fn answer_stage(&self, first: usize, stage: &[u64], found: &mut Vec<Match>) {
        let (mut possible, mut count) = ([0; STAGE], 0);
        for (at, &fingerprint) in stage.iter().enumerate().take(STAGE) {
            possible[count] = at;
            count += usize::from(self.buckets.may_hold(fingerprint));
        }
        let mut places = [CodePlace::default(); STAGE];
        for (place, &at) in places.iter_mut().zip(&possible[..count]) {
            if let Some(found) = self.buckets.find(stage[at]) {
                self.fetch(found);
                *place = found;
            }
        }
        for (&at, &place) in possible[..count].iter().zip(&places) {
            if let Some(rank) = self.rank_behind(place, stage[at]) {
                found.push(Match { query: first + at, rank });
            }
        }
    }
}

/// Queries of a stage: as many cache misses as a processor has in flight.
const STAGE: usize = 32;

impl<D: AsRef<[u8]>> fmt::Debug for IndexedSet<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedSet")
            .field("set", &self.set)
            .field("memory", &self.memory())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::{HashRange, Salt};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SALT: Salt = Salt([4; 16]);

    /// Values evenly spread, crowded in one place, or both; in hash ranges of every size.
    fn values() -> impl Strategy<Value = (u64, BTreeSet<u64>)> {
        (1u32..57, any::<u64>(), 0u32..57).prop_flat_map(|(bits, place, crowd)| {
            let bound = 1u64 << bits;
            let crowded = (any::<u64>(), 0u64..1 << crowd.min(bits))
                .prop_map(move |(_, near)| place.wrapping_add(near) % bound);
            let value = prop_oneof![0..bound, crowded];
            (Just(bound), prop::collection::btree_set(value, 0..2500))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn ranks_are_those_of_a_btree_set((bound, model) in values(), others in prop::collection::vec(any::<u64>(), 0..200)) {
            let hash_range = HashRange::new(bound).unwrap();
            let set = Set::from_fingerprints(SALT, hash_range, model.iter().copied()).unwrap();
            let indexed = IndexedSet::parse(set.as_bytes()).unwrap();
            let neighbours = model.iter().flat_map(|&value| [value, value + 1, value.saturating_sub(1)]);
            let queries: Vec<u64> = neighbours.chain(others).collect();
            let ranks: std::collections::BTreeMap<u64, u32> = model.iter().copied().zip(0..).collect();
            for query in &queries {
                prop_assert_eq!(indexed.rank_of(*query), ranks.get(query).copied());
            }
            let expected: Vec<Match> = queries.iter().enumerate()
                .filter_map(|(query, value)| Some(Match { query, rank: *ranks.get(value)? }))
                .collect();
            // Three times as many queries as elements are answered by a scan, a few by the index.
            let all = indexed.matches_fingerprints(&queries);
            prop_assert_eq!(&all[..], &expected[..]);
            let few = queries.len().min(model.len() / 4);
            let some = indexed.matches_fingerprints(&queries[..few]);
            prop_assert_eq!(some.method(), Method::Index);
            let expected: Vec<Match> = expected.into_iter().filter(|found| found.query < few).collect();
            prop_assert_eq!(some.into_vec(), expected);
        }

        #[test]
        fn wrong_bytes_are_refused_as_by_a_set(
            (bound, model) in values(),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let hash_range = HashRange::new(bound).unwrap();
            let set = Set::from_fingerprints(SALT, hash_range, model).unwrap();
            let mut bytes = set.into_inner();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(IndexedSet::parse(&bytes).err(), Set::parse(&bytes).err());
        }
    }

    #[test]
    fn an_index_is_as_large_as_it_says_and_says_how_it_answers() {
        let hash_range = HashRange::for_expected(64_000, 20).unwrap();
        let elements: Vec<[u8; 16]> = (0..64_000u128).map(|i| (i * i).to_le_bytes()).collect();
        let indexed = Set::build(SALT, hash_range, &elements).unwrap().into_indexed();
        assert_eq!(indexed.memory(), 64_000_usize.div_ceil(48) * 64);
        assert_eq!(indexed.matches(&elements[..10]).method(), Method::Index);
        assert_eq!(indexed.matches(&elements).method(), Method::Scan);
        assert_eq!(indexed.matches(&elements).len(), 64_000);
        assert_eq!(indexed.set().matches(&elements[..10]).method(), Method::Scan);
    }
}

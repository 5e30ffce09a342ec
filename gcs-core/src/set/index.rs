//! An index in memory over one set, for queries that do not decode the whole set.

use alloc::vec::Vec;
use core::borrow::Borrow;

use super::hash::ElementHasher;
use super::matches::{Match, Queries};
use super::rice::CHUNK;
use super::set::Set;

/// Most elements that an entry of the index covers on average; it covers at least half as many.
const TARGET: u64 = 16;

/// An index over a [`Set`], built in memory in one decoding pass.
///
/// Building it pays from the second batch of queries on. It takes 12 to 24 bits of memory
/// an element; a query decodes 8 to 16 elements on average.
///
/// ```
/// use gcs_core::{HashRange, Salt, Set};
///
/// let hash_range = HashRange::for_expected(1_000, 20)?;
/// let set = Set::build(Salt([0; 16]), hash_range, (0..1_000u64).map(|i| i.to_le_bytes()))?;
/// let index = set.index();
/// let fingerprint = set.hasher().fingerprint(&17u64.to_le_bytes());
/// assert!(index.contains_fingerprint(fingerprint));
/// assert_eq!(index.rank_of(fingerprint), set.rank_of(fingerprint));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Index<'a, D: AsRef<[u8]>> {
    set: &'a Set<D>,
    hasher: ElementHasher,
    /// Fingerprints are bucketed by their high bits.
    shift: u32,
    /// Where each bucket's first value is coded, and one more entry for the end of the code.
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    bit: u64,
    /// One more than the last value of the bucket before.
    next: u64,
    rank: u32,
}

impl<D: AsRef<[u8]>> Set<D> {
    /// Builds an [`Index`] over this set. O(n).
    pub fn index(&self) -> Index<'_, D> {
        Index::new(self)
    }
}

impl<'a, D: AsRef<[u8]>> Index<'a, D> {
    fn new(set: &'a Set<D>) -> Index<'a, D> {
        let wanted = (u64::from(set.len()) / TARGET).max(1);
        let shift = (set.hash_range().get() / wanted).max(1).ilog2();
        let last = (set.hash_range().get() - 1) >> shift;
        let mut buckets = Vec::with_capacity(last as usize + 2);
        let mut reader = set.reader();
        let parameter = set.rice_parameter();
        let mut here = Bucket { bit: 0, next: 0, rank: 0 };
        let mut chunk = [0; CHUNK];
        let mut left = set.len() as usize;
        while left > 0 {
            let now = left.min(CHUNK);
            left -= now;
            if reader.fill(&mut chunk[..now]).is_err() {
                break; // Cannot happen, since the set is valid.
            }
            for &value in &chunk[..now] {
                while buckets.len() as u64 <= value >> shift {
                    buckets.push(here);
                }
                let quotient = (value - here.next) >> parameter;
                here.bit += quotient + 1 + u64::from(parameter);
                here.next = value + 1;
                here.rank += 1;
            }
        }
        while buckets.len() as u64 <= last + 1 {
            buckets.push(here);
        }
        Index { set, hasher: set.hasher(), shift, buckets }
    }

    /// The set that is indexed.
    pub fn set(&self) -> &'a Set<D> {
        self.set
    }

    /// Whether the element may be in the set; see [`Set::contains`].
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        self.contains_fingerprint(self.hasher.fingerprint(element.as_ref()))
    }

    /// Whether the fingerprint is in the set. Decodes one bucket.
    pub fn contains_fingerprint(&self, fingerprint: u64) -> bool {
        self.rank_of(fingerprint).is_some()
    }

    /// The fingerprint's rank, if it is in the set; see [`Set::rank_of`]. Decodes one bucket.
    pub fn rank_of(&self, fingerprint: u64) -> Option<u32> {
        let bucket = usize::try_from(fingerprint >> self.shift).ok()?;
        let [start, end] = self.buckets.get(bucket..)?.first_chunk::<2>()?;
        let mut reader = self.set.reader().resume(start.bit, start.next);
        let mut chunk = [0; 2 * TARGET as usize];
        let mut rank = start.rank;
        while rank < end.rank {
            let now = ((end.rank - rank) as usize).min(chunk.len());
            let values = &mut chunk[..now];
            reader.fill(values).ok()?;
            if fingerprint <= values[now - 1] {
                return values.binary_search(&fingerprint).ok().map(|at| rank + at as u32);
            }
            rank += now as u32;
        }
        None
    }

    /// Which of the elements may be in the set, as [`Set::matches`]. O(q log q).
    pub fn matches<E: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = E>) -> Vec<Match> {
        self.look_up(&Queries::of_elements(&self.hasher, elements))
    }

    /// [`Index::matches`] for fingerprints under this set's salt and hash range, in any order.
    pub fn matches_fingerprints<F: Borrow<u64>>(
        &self,
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Vec<Match> {
        self.look_up(&Queries::of_fingerprints(fingerprints))
    }

    fn look_up(&self, queries: &Queries) -> Vec<Match> {
        let found = |&(fingerprint, query): &(u64, usize)| {
            self.rank_of(fingerprint).map(|rank| Match { query, rank })
        };
        let mut matches: Vec<Match> = queries.sorted().iter().filter_map(found).collect();
        matches.sort_unstable();
        matches
    }
}

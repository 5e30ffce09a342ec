//! Finding which of many queries are in a set.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

use super::rice::Values;
use super::sort;

/// A query that may be in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Position among the queries.
    pub query: usize,
    /// Rank of its fingerprint in the set, by which its check is found.
    pub rank: u32,
}

/// How a batch of queries was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One pass over the whole set.
    Scan,
    /// A look into the index for each query.
    Index,
}

impl Method {
    /// The faster method for this many queries of an indexed set. Looking one up takes as long
    /// as decoding 8 fingerprints, or more when the set does not fit into a cache.
    pub(crate) fn for_queries(queries: usize, len: u32) -> Method {
        if queries as u64 > u64::from(len) / 4 { Method::Scan } else { Method::Index }
    }
}

/// The queries that may be in a set, in ascending order of position among the queries.
///
/// A slice of [`Match`]es that also says how they were found.
#[derive(Clone)]
pub struct Matches {
    found: Vec<Match>,
    method: Method,
}

impl Matches {
    pub(crate) fn new(found: Vec<Match>, method: Method) -> Matches {
        Matches { found, method }
    }

    /// How they were found.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The matches alone.
    pub fn into_vec(self) -> Vec<Match> {
        self.found
    }
}

/// Equal if they have the same matches, however these were found.
impl PartialEq for Matches {
    fn eq(&self, other: &Matches) -> bool {
        self.found == other.found
    }
}

impl Eq for Matches {}

impl Deref for Matches {
    type Target = [Match];

    fn deref(&self) -> &[Match] {
        &self.found
    }
}

impl IntoIterator for Matches {
    type Item = Match;
    type IntoIter = alloc::vec::IntoIter<Match>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a> IntoIterator for &'a Matches {
    type Item = &'a Match;
    type IntoIter = core::slice::Iter<'a, Match>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}

/// Shows how many there are, and not which.
impl fmt::Debug for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matches")
            .field("len", &self.found.len())
            .field("method", &self.method)
            .finish()
    }
}

/// Fingerprints to look for, sorted, each with its position among the queries.
#[derive(Debug)]
pub(crate) enum Queries {
    /// Fingerprint and position in one word, which is faster to sort.
    Words { words: Vec<u64>, position_bits: u32 },
    /// Fingerprints and positions that do not fit into a word.
    Pairs(Vec<(u64, usize)>),
}

impl Queries {
    /// Takes fingerprints in any order, and remembers their positions.
    pub(crate) fn of_fingerprints<F: Borrow<u64>>(
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Queries {
        let fingerprints = fingerprints.into_iter();
        let (mut words, mut all_bits) = (Vec::with_capacity(fingerprints.size_hint().0), 0);
        fingerprints.for_each(|fingerprint| {
            all_bits |= *fingerprint.borrow();
            words.push(*fingerprint.borrow());
        });
        let position_bits = u64::BITS - (words.len() as u64).leading_zeros();
        let bits = u64::BITS - all_bits.leading_zeros() + position_bits;
        if bits >= u64::BITS {
            let mut pairs: Vec<(u64, usize)> = words.into_iter().zip(0..).collect();
            pairs.sort_unstable();
            return Queries::Pairs(pairs);
        }
        for (position, word) in (0u64..).zip(&mut words) {
            *word = (*word << position_bits) | position;
        }
        sort::sort(&mut words, &mut Vec::new(), bits);
        Queries::Words { words, position_bits }
    }

    /// The query at a place in sorted order: fingerprint and position.
    #[inline]
    fn get(&self, at: usize) -> Option<(u64, usize)> {
        match self {
            Queries::Words { words, position_bits } => {
                let word = *words.get(at)?;
                Some((word >> position_bits, (word & ((1 << position_bits) - 1)) as usize))
            }
            Queries::Pairs(pairs) => pairs.get(at).copied(),
        }
    }

    /// Merges the queries with all values of a set, a chunk at a time.
    pub(crate) fn scan(&self, mut values: Values<'_>) -> Matches {
        let mut scan = self.begin_scan();
        while scan.take(values.next_chunk()) {}
        scan.finish()
    }

    /// A scan, which is given the values by its caller.
    pub(crate) fn begin_scan(&self) -> Scan<'_> {
        Scan { queries: self, at: 0, rank: 0, found: Vec::new() }
    }
}

/// A merge of queries with the values of a set.
#[derive(Debug)]
pub(crate) struct Scan<'q> {
    queries: &'q Queries,
    /// How many queries are answered.
    at: usize,
    /// How many values were taken.
    rank: u32,
    found: Vec<Match>,
}

impl Scan<'_> {
    /// Takes the next values of the set; `false` when there are none, or no queries any more.
    pub(crate) fn take(&mut self, chunk: &[u64]) -> bool {
        let Some(&last) = chunk.last() else { return false };
        let mut below = 0;
        loop {
            let Some((fingerprint, query)) = self.queries.get(self.at) else { return false };
            if fingerprint > last {
                break;
            }
            below += lower_bound(&chunk[below..], fingerprint);
            if chunk[below] == fingerprint {
                self.found.push(Match { query, rank: self.rank + below as u32 });
            }
            self.at += 1;
        }
        self.rank += chunk.len() as u32;
        true
    }

    pub(crate) fn finish(mut self) -> Matches {
        self.found.sort_unstable();
        Matches::new(self.found, Method::Scan)
    }
}

/// For sets of which only parts are read.
#[cfg(feature = "std")]
impl Scan<'_> {
    /// The fingerprints of the queries that are not answered yet, in ascending order.
    pub(crate) fn left(&self) -> impl Iterator<Item = u64> {
        (self.at..).map_while(|at| self.queries.get(at)).map(|(fingerprint, _)| fingerprint)
    }

    /// Goes on at the value of this rank. No query may be for a value between.
    pub(crate) fn go_on_at(&mut self, rank: u32) {
        self.rank = rank;
    }

    /// Passes the next queries that `is_missing` says are not in the set.
    pub(crate) fn skip_while(&mut self, is_missing: impl Fn(u64) -> bool) {
        self.at += self.left().take_while(|&fingerprint| is_missing(fingerprint)).count();
    }
}

/// How many of the ascending values are below a fingerprint: few, so a look at every 8th and a
/// count without branches is faster than a binary search.
fn lower_bound(values: &[u64], fingerprint: u64) -> usize {
    let (blocks, rest) = values.as_chunks::<8>();
    let below = |values: &[u64]| values.iter().filter(|value| **value < fingerprint).count();
    for (number, block) in blocks.iter().enumerate() {
        if block[7] >= fingerprint {
            return 8 * number + below(block);
        }
    }
    8 * blocks.len() + below(rest)
}

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
#[derive(Clone, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default)]
pub(crate) struct Queries {
    sorted: Vec<(u64, usize)>,
}

impl Queries {
    /// Takes fingerprints in any order, and remembers their positions.
    pub(crate) fn of_fingerprints<F: Borrow<u64>>(
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Queries {
        let mut fingerprints = fingerprints.into_iter();
        let mut all = Vec::with_capacity(fingerprints.size_hint().0);
        fingerprints.by_ref().for_each(|fingerprint| all.push(*fingerprint.borrow()));
        let sorted = sort_in_words(&all).unwrap_or_else(|| {
            let mut sorted: Vec<(u64, usize)> = all.iter().copied().zip(0..).collect();
            sorted.sort_unstable();
            sorted
        });
        Queries { sorted }
    }

    /// Merges the queries with all values of a set, a chunk at a time.
    pub(crate) fn scan(&self, mut values: Values<'_>) -> Matches {
        let mut matches = Vec::new();
        let mut queries = &self.sorted[..];
        let mut rank = 0;
        while !queries.is_empty() {
            let chunk = values.next_chunk();
            let Some(&last) = chunk.last() else { break };
            // A chunk has few queries: search for each of them in the rest of the chunk.
            let mut from = 0;
            while let Some((&(fingerprint, query), rest)) = queries.split_first() {
                if fingerprint > last {
                    break;
                }
                from += chunk[from..].partition_point(|&value| value < fingerprint);
                if chunk[from] == fingerprint {
                    matches.push(Match { query, rank: rank + from as u32 });
                }
                queries = rest;
            }
            rank += chunk.len() as u32;
        }
        matches.sort_unstable();
        Matches::new(matches, Method::Scan)
    }
}

/// Sorts fingerprints with their positions behind them, if one word has room for both.
fn sort_in_words(fingerprints: &[u64]) -> Option<Vec<(u64, usize)>> {
    let largest = fingerprints.iter().fold(0, |a, b| a | b);
    let position_bits = u64::BITS - (fingerprints.len() as u64).leading_zeros();
    let bits = u64::BITS - largest.leading_zeros() + position_bits;
    if bits >= u64::BITS {
        return None;
    }
    let positions = (0u64..).zip(fingerprints);
    let mut words: Vec<u64> = positions
        .map(|(position, fingerprint)| (fingerprint << position_bits) | position)
        .collect();
    sort::sort(&mut words, &mut Vec::new(), bits);
    let mask = (1 << position_bits) - 1;
    Some(words.iter().map(|word| (word >> position_bits, (word & mask) as usize)).collect())
}

//! Finding which of many queries are in a set.

use alloc::vec::Vec;
use core::borrow::Borrow;

use super::hash::ElementHasher;
use super::rice::Values;

/// A query that may be in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Position among the queries.
    pub query: usize,
    /// Rank of its fingerprint in the set, by which its check is found.
    pub rank: u32,
}

/// Fingerprints to look for, sorted, each with its position among the queries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queries {
    sorted: Vec<(u64, usize)>,
}

impl Queries {
    /// Hashes elements as a set's hasher does.
    pub(crate) fn of_elements<E: AsRef<[u8]>>(
        hasher: &ElementHasher,
        elements: impl IntoIterator<Item = E>,
    ) -> Queries {
        let elements = elements.into_iter();
        Queries::of_fingerprints(elements.map(|element| hasher.fingerprint(element.as_ref())))
    }

    /// Takes fingerprints in any order, and remembers their positions.
    pub(crate) fn of_fingerprints<F: Borrow<u64>>(
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Queries {
        let fingerprints = fingerprints.into_iter().enumerate();
        let mut sorted: Vec<(u64, usize)> =
            fingerprints.map(|(query, fingerprint)| (*fingerprint.borrow(), query)).collect();
        sorted.sort_unstable();
        Queries { sorted }
    }

    pub(crate) fn sorted(&self) -> &[(u64, usize)] {
        &self.sorted
    }

    /// Merges the queries with all values of a set, a chunk at a time.
    pub(crate) fn scan(&self, mut values: Values<'_>) -> Vec<Match> {
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
        matches
    }
}

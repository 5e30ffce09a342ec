//! Sets and deltas.

use std::ops::{Bound, Range};

use gcs_core::{Delta, HashRange, Match, Salt, Set};

use crate::naive::{self, class, sealed};
use crate::reader::{Reader, pair};
use crate::streams;

/// About as many values as two sets of [`delta_of_sets`] have together at most.
const MOST_VALUES: usize = 9_000;

/// Where a delta file has the lengths of its base and target, their identities, its body.
const LENGTHS: usize = 32;
const BASE: Range<usize> = 40..72;
const TARGET: Range<usize> = 72..104;
const BODY: usize = 104;

/// The input is a set file. [`Set::parse`] accepts it if and only if the naive reader does, with
/// the same values, and otherwise gives the same class of error; a reader in pieces gives just that too. Encoding the values gives the
/// same bytes. Scan, index, iterators and a sorted vector give the same answers.
pub fn set(data: &[u8]) {
    let (parsed, naive) = (Set::parse(data), naive::set::Set::parse(data));
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    streams::expect_parsed(data, &parsed);
    let (Ok(set), Ok(naive)) = (parsed, naive) else { return };
    let values: Vec<u64> = naive.fingerprints.into_iter().collect();
    assert_eq!((set.salt().0, set.hash_range().get()), (naive.salt, naive.range));
    assert_eq!((set.len() as usize, set.is_empty()), (values.len(), values.is_empty()));
    assert!(set.iter().eq(values.iter().copied()));
    assert_eq!(set.iter().len(), values.len());
    assert_eq!(set.identity().0, naive.identity);

    let again = Set::from_fingerprints(set.salt(), set.hash_range(), set.iter());
    let again = again.expect("fingerprints of a set make a set");
    assert_eq!(again, set);
    assert_eq!(again.identity(), set.identity());
    ask(&set, &values);
}

/// [`set`], with the right trailer appended to the input.
pub fn set_resealed(data: &[u8]) {
    set(&sealed(data));
}

/// Compares every kind of query with a sorted vector.
fn ask<D: AsRef<[u8]>>(set: &Set<D>, values: &[u64]) {
    let sum = values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value));
    assert_eq!(set.iter().fold(0, u64::wrapping_add), sum);

    let range = set.hash_range().get();
    let edges = [0, 1, range / 2, range - 1, range, u64::MAX];
    let some = values.iter().step_by(values.len() / 5 + 1).chain(values.last());
    let around = some.flat_map(|value| [value.saturating_sub(1), *value, value + 1]);
    let queries: Vec<u64> = edges.into_iter().chain(around).collect();
    let index = set.index();
    let mut expected = Vec::new();
    for (query, value) in queries.iter().enumerate() {
        let rank = values.partition_point(|other| other < value) as u32;
        let is_there = values.binary_search(value).is_ok();
        assert_eq!(set.rank_of(*value), is_there.then_some(rank));
        assert_eq!(set.contains_fingerprint(*value), is_there);
        assert_eq!(index.rank_of(*value), is_there.then_some(rank));
        if is_there {
            expected.push(Match { query, rank });
        }
        let above = values.iter().copied().filter(|other| other > value);
        assert!(set.iter_within((Bound::Excluded(*value), Bound::Unbounded)).eq(above));
    }
    assert_eq!(set.matches_fingerprints(&queries)[..], expected[..]);
    assert_eq!(index.matches_fingerprints(&queries)[..], expected[..]);
}

/// The input is a set file behind its length, then a delta file. [`Delta::parse`] accepts it if and
/// only if the naive reader does, with the same changes. Applying it to the set gives the same
/// bytes, or the same class of error, as with the naive reader. The delta between base and result
/// is the same bytes.
pub fn delta(data: &[u8]) {
    let Some((base, delta)) = pair(data) else { return };
    if let Some(target) = expect_delta(base, delta) {
        set(target.as_bytes());
    }
}

/// [`delta`] of a set and a delta without trailers, which are appended. The delta's header is also
/// made right: its base is the set, its target length follows from the other lengths, and its
/// target is the result of the naive reader, if the delta applies.
pub fn delta_resealed(data: &[u8]) {
    let Some((base, delta)) = pair(data) else { return };
    let (base, mut delta) = (sealed(base), delta.to_vec());
    if let (Ok(base), true) = (naive::set::Set::parse(&base), delta.len() >= BODY + 8) {
        delta[BASE].copy_from_slice(&base.identity);
        let number = |at| delta[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let length = number(LENGTHS).wrapping_sub(number(BODY)).wrapping_add(number(BODY + 4));
        delta[LENGTHS + 4..BASE.start].copy_from_slice(&length.to_le_bytes());
        let parsed = naive::delta::Delta::parse(&sealed(&delta));
        if let Ok(target) = parsed.and_then(|delta| delta.body.result(&base)) {
            delta[TARGET].copy_from_slice(&target[target.len() - 32..]);
        }
    }
    if let Some(target) = expect_delta(&base, &sealed(&delta)) {
        set(target.as_bytes());
    }
}

/// Asserts everything but the properties of the resulting set, and returns that set if there is one.
fn expect_delta(base: &[u8], bytes: &[u8]) -> Option<Set> {
    let (parsed, naive) = (Delta::parse(bytes), naive::delta::Delta::parse(bytes));
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(delta), Ok(naive)) = (parsed, naive) else { return None };
    assert_eq!((delta.salt().0, delta.hash_range().get()), (naive.salt, naive.range));
    assert_eq!((delta.base().0, delta.target().0), (naive.base, naive.target));
    assert!(delta.removed().map(u64::from).eq(naive.body.removed.iter().copied()));
    assert!(delta.added().eq(naive.body.added.iter().copied()));
    assert_eq!(delta.removed_len() as usize, naive.body.removed.len());
    assert_eq!(delta.added_len() as usize, naive.body.added.len());

    let naive_base = naive::set::Set::parse(base).ok()?;
    let base = Set::parse(base).expect("the naive reader reads it");
    let (applied, expected) = (delta.apply(&base), naive.apply(&naive_base));
    assert_eq!(class(&applied), expected.as_ref().map(drop).map_err(Clone::clone));
    streams::expect_applied(&delta, base.as_bytes(), applied.as_ref().ok());
    let target = applied.ok()?;
    assert_eq!(Ok(target.as_bytes()), expected.as_deref());
    let again = Delta::between(&base, &target).expect("salt and range are the same");
    assert_eq!(again.as_bytes(), bytes);
    Some(target)
}

/// The input describes two sets of one salt and hash range. The delta between them leads from one
/// to the other, byte for byte. Its changes are those between two sorted vectors. It does not
/// apply to the wrong set. Every operation on the two sets is that on sorted vectors.
pub fn delta_of_sets(data: &[u8]) {
    let mut reader = Reader::new(data);
    let salt = Salt(reader.array());
    let range = HashRange::new(reader.u64() >> (7 + reader.u8() % 57)).unwrap_or(HashRange::MAX);
    let (mut base, mut target) = (Vec::new(), Vec::new());
    let mut next = 0u64;
    while !reader.is_empty() && base.len() + target.len() < MOST_VALUES {
        // Two bits say which sets the values are in, two how wide their gaps are: below 16,
        // below 2^16, of any width; or many values with one gap.
        let kind = reader.u8();
        let (gap, count) = match (kind >> 2) & 3 {
            0 => (u64::from(kind >> 4), 1),
            1 => (u64::from(reader.u16()), 1),
            2 => (reader.u64() >> (11 + 3 * (kind >> 4)), 1),
            _ => (u64::from(reader.u32() >> (2 * (kind >> 4))), reader.u16() % 2048),
        };
        for _ in 0..count {
            let value = next.saturating_add(gap);
            if value >= range.get() {
                break;
            }
            next = value + 1;
            if kind & 3 != 1 {
                base.push(value);
            }
            if kind & 3 != 2 {
                target.push(value);
            }
        }
    }
    let build = |values: &[u64]| {
        Set::from_fingerprints(salt, range, values.iter().rev().copied()).expect("below the range")
    };
    let (old, new) = (build(&base), build(&target));
    set(old.as_bytes());
    set(new.as_bytes());
    streams::expect_algebra([(&old, &base), (&new, &target)]);
    let delta = Delta::between(&old, &new).expect("salt and range are the same");
    assert!(delta.added().eq(target.iter().copied().filter(|v| base.binary_search(v).is_err())));
    let removed = (0u32..).zip(&base).filter(|(_, value)| target.binary_search(value).is_err());
    assert!(delta.removed().eq(removed.map(|(rank, _)| rank)));
    assert_eq!(delta.apply(&old).as_ref(), Ok(&new));
    assert_eq!(delta.apply(&new).is_ok(), old == new);
    assert_eq!(expect_delta(old.as_bytes(), delta.as_bytes()), Some(new));
}

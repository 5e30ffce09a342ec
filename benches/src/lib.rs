//! Parts that the benchmarks share: seeded data, one hash range for both sides, the peer.
//!
//! Our sets and the peer's filters hold the same elements, under the same SipHash-2-4 key,
//! mapped into the same hash range. So they code the same numbers, as a test asserts. The code
//! that writes and reads them differs, and ours has a SHA-256 trailer.

use std::time::Duration;

use criterion::Criterion;
use gcs_core::{HashRange, Salt, Set};

pub mod bip158;

/// Sizes of the sets, in elements.
pub const SIZES: [usize; 2] = [100_000, 1_000_000];

/// Elements in a batch of queries.
pub const QUERIES: usize = 10_000;

/// Key of all SipHashes; the peer takes it as two little-endian words.
pub const SALT: Salt = Salt(*b"gcs-benches salt");

/// Seeds of the elements in the base set, of those added to it, and of the queries.
/// The last is chosen so that no query is in any set, not even by accident; the
/// benchmarks assert it before they measure.
pub const SEEDS: Seeds = Seeds { base: 1, added: 2, queries: 3 };

/// See [`SEEDS`].
pub struct Seeds {
    /// Elements in the base set.
    pub base: u64,
    /// Elements added to it.
    pub added: u64,
    /// Elements to look for, which are in neither.
    pub queries: u64,
}

/// An identifier: 16 bytes that look random.
pub type Element = [u8; 16];

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator; each seed starts a sequence far from those of other small seeds.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64(SplitMix64(seed).next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// An endless sequence of elements.
impl Iterator for SplitMix64 {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        let mut element = [0; 16];
        element[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        element[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        Some(element)
    }
}

/// The first `len` elements of a seed.
pub fn elements(seed: u64, len: usize) -> Vec<Element> {
    SplitMix64::new(seed).take(len).collect()
}

/// The peer's hash range for `len` elements, `len · 784931`: it gives the same numbers, the same
/// Rice parameter 19, and the same false-positive rate of one in 784 931.
pub fn range(len: usize) -> HashRange {
    HashRange::new(len as u64 * bip158::M).expect("the sizes are far below 2^53 / M")
}

/// Our set of the elements, with the hash range for `planned` elements.
pub fn set(planned: usize, elements: &[Element]) -> Set {
    Set::build(SALT, range(planned), elements).expect("less than 2^32 elements")
}

/// A base set and the set a day later: 1 % of the elements removed, as many others added.
pub fn two_days(len: usize) -> (Set, Set) {
    let changed = len / 100;
    let mut elements = elements(SEEDS.base, len);
    let base = set(len, &elements);
    elements[..changed].copy_from_slice(&self::elements(SEEDS.added, changed));
    (base, set(len, &elements))
}

/// An element whose fingerprint is above all of the set, so that a search for it decodes the
/// whole set and finds nothing.
pub fn beyond(set: &Set) -> Element {
    let (hasher, last) = (set.hasher(), set.iter().last());
    SplitMix64::new(SEEDS.queries)
        .find(|element| Some(hasher.fingerprint(element)) > last)
        .expect("the generator does not end")
}

/// The settings of all measurements: few samples, so that the whole run takes only minutes.
pub fn criterion() -> Criterion {
    let criterion = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    if cfg!(feature = "plots") { criterion } else { criterion.without_plots() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcs_core::Delta;

    const LEN: usize = 20_000;

    /// The reference implementation's first outputs for seed 0.
    #[test]
    fn generator_is_splitmix64() {
        let mut generator = SplitMix64(0);
        assert_eq!(generator.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(generator.next_u64(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(generator.next_u64(), 0x06c4_5d18_8009_454f);
    }

    #[test]
    fn both_sides_code_the_same_numbers() {
        let elements = elements(SEEDS.base, LEN);
        let ours = set(LEN, &elements);
        let theirs = bip158::build(&elements);
        assert_eq!(ours.rice_parameter(), u32::from(bip158::P));
        // Colliding fingerprints are merged here and repeated there.
        let mut values = bip158::values(&theirs);
        assert_eq!(values.len(), LEN);
        values.dedup();
        assert_eq!(ours.iter().collect::<Vec<_>>(), values);
        // 80 bytes of header and trailer here, 3 of length there; gaps less one here.
        assert!(ours.as_bytes().len().abs_diff(theirs.len()) < 100);
    }

    #[test]
    fn both_sides_find_the_same_elements() {
        let elements = elements(SEEDS.base, LEN);
        let ours = set(LEN, &elements);
        let theirs = bip158::build(&elements);
        let queries = self::elements(SEEDS.queries, 200);
        for query in elements.iter().step_by(100).chain(&queries) {
            let found = bip158::match_any(&theirs, &[*query]);
            assert_eq!(ours.contains(query), found);
            assert_eq!(ours.index().contains(query), found);
        }
        assert!(elements.iter().step_by(100).all(|element| ours.contains(element)));
    }

    #[test]
    fn nothing_is_beyond_the_end() {
        let elements = elements(SEEDS.base, LEN);
        let ours = set(LEN, &elements);
        let query = beyond(&ours);
        assert_eq!(ours.rank_of(ours.hasher().fingerprint(&query)), None);
        assert!(!bip158::match_any(&bip158::build(&elements), &[query]));
    }

    #[test]
    fn a_day_changes_one_percent_each_way() {
        let (base, target) = two_days(LEN);
        let delta = Delta::between(&base, &target).unwrap();
        assert_eq!(delta.removed_len() as usize, LEN / 100);
        assert_eq!(delta.added_len() as usize, LEN / 100);
        assert_eq!(delta.apply(&base).unwrap(), target);
    }
}

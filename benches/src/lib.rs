//! Benchmarks of gcs-core beside its peers, and the report that they make.
//!
//! | module | what it has |
//! |---|---|
//! | [`data`], [`plan`] | seeded elements; a number of them and a false-positive rate |
//! | [`settings`] | what the environment sets: n, rate, hashing |
//! | [`structure`] | what all structures under test have in common |
//! | [`ours`], [`peers`] | an adapter for each |
//! | [`queries`] | elements to ask for |
//! | [`timing`] | interleaved passes and their medians |
//! | [`bits`] | sizes as a measurement of criterion |
//! | [`postgres`] | a PostgreSQL server of a benchmark's own |
//! | [`server`], [`client`] | a gcs-server of a benchmark's own, and clients of it |
//! | [`log`] | a log that is made without a server |
//! | [`report`] | tables, sentences, plots |
//!
//! Sets of fingerprints hold the same numbers on every side: the same elements, under the same
//! SipHash-2-4 key, mapped into the same hash range, as a test asserts. The code that stores them
//! differs.

pub mod bits;
pub mod client;
pub mod data;
pub mod log;
pub mod ours;
pub mod peers;
pub mod plan;
pub mod postgres;
pub mod queries;
pub mod report;
pub mod server;
pub mod settings;
pub mod structure;
pub mod tick;
pub mod timing;

pub use self::data::{Element, SALT, SEEDS, Seeds, SplitMix64, elements};
pub use self::peers::bip158;
pub use self::plan::Plan;

use gcs_core::Set;

use self::structure::Structure;

/// Elements in a batch of queries.
pub const QUERIES: usize = 10_000;

/// All structures of the groups: ours, then the peers.
pub fn structures() -> Vec<Structure> {
    [ours::PLAIN, ours::INDEXED].into_iter().chain(peers::PEERS).collect()
}

/// A base set of BIP 158's rate and the set a day later: 1 % of the elements removed, as many
/// others added.
pub fn two_days(len: usize) -> (Set, Set) {
    ours::changed_by(&Plan::new(len), len / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Keys, sip_hasher};

    const LEN: usize = 20_000;

    #[test]
    fn both_sides_code_the_same_numbers() {
        let elements = elements(SEEDS.base, LEN);
        let ours = ours::set(&Plan::new(LEN), &elements);
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
    fn all_find_what_they_were_built_from() {
        let elements = elements(SEEDS.base, LEN);
        let hashes: Vec<u64> = elements.iter().map(|element| sip_hasher().hash(element)).collect();
        let plan = Plan::new(LEN);
        for structure in structures() {
            let built = (structure.build)(&plan, Keys::Elements(&elements));
            let some = Keys::Elements(&elements[..QUERIES]);
            assert_eq!(built.count(some), QUERIES, "{}", structure.name);
            let found = if structure.name == "bip158" { 1 } else { QUERIES };
            assert_eq!(built.matches(some), found, "{}", structure.name);
            if structure.takes_hashes {
                let hashed = (structure.build)(&plan, Keys::Hashes(&hashes));
                assert_eq!(hashed.count(Keys::Hashes(&hashes)), LEN, "{}", structure.name);
                assert_eq!(hashed.matches(some), QUERIES, "{}", structure.name);
                assert_eq!(hashed.bytes(), built.bytes(), "{}", structure.name);
            }
        }
    }

    /// Rates that are high enough to be counted in 100,000 queries.
    #[test]
    fn false_positives_are_as_frequent_as_stated() {
        const ABSENT: usize = 100_000;
        let (elements, absent) = (elements(SEEDS.base, LEN), elements(SEEDS.queries, ABSENT));
        let plan = Plan { len: LEN, rate_bits: 8 };
        let fuse = [peers::FUSE8, peers::FUSE16];
        for structure in structures().into_iter().chain(fuse) {
            let built = (structure.build)(&plan, Keys::Elements(&elements));
            let expected = (structure.rate)(&plan) * ABSENT as f64;
            let found = built.count(Keys::Elements(&absent)) as f64;
            // Six standard deviations of a Poisson distribution, and a little where few are expected.
            let tolerance = 6.0 * expected.sqrt() + 3.0;
            let name = structure.name;
            assert!((found - expected).abs() < tolerance, "{name}: {found}, expected {expected}");
        }
    }

    #[test]
    fn all_that_list_add_up_to_the_same() {
        let (elements, plan) = (elements(SEEDS.base, LEN), Plan::new(LEN));
        let set = ours::set(&plan, &elements);
        let (beyond, sum) = (ours::beyond(&set), set.iter().fold(0, u64::wrapping_add));
        for structure in structures() {
            let built = (structure.build)(&plan, Keys::Elements(&elements));
            let expected = match structure.name {
                "bip158" => Some(0), // It looks for the element beyond, and does not find it.
                _ => structure.is_listable.then_some(sum),
            };
            assert_eq!(built.decode(&beyond), expected, "{}", structure.name);
        }
    }

    #[test]
    fn a_day_changes_one_percent_each_way() {
        let (base, target) = two_days(LEN);
        let delta = ours::between(&base, &target);
        assert_eq!(delta.removed_len() as usize, LEN / 100);
        assert_eq!(delta.added_len() as usize, LEN / 100);
        assert_eq!(delta.apply(&base).unwrap(), target);
    }
}

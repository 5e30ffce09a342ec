//! A peer without a library: a sorted `Vec` of fingerprints and binary search.

use super::bytes_of;
use crate::data::Element;
use crate::plan::Plan;
use crate::structure::{Adapter, Fingerprints, Key, Structure, boxed};

/// The sorted `Vec` in the groups.
pub const SORTED: Structure = Structure {
    name: "sorted Vec",
    package: "",
    build: boxed::<Sorted>,
    rate: Plan::rate,
    is_indexed: true,
    is_listable: true,
    takes_hashes: true,
};

/// The same fingerprints as ours, 8 bytes each.
struct Sorted {
    fingerprints: Fingerprints,
    values: Vec<u64>,
}

impl Adapter for Sorted {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Sorted {
        let fingerprints = Fingerprints::new(plan);
        Sorted { fingerprints, values: fingerprints.sorted(keys) }
    }

    #[inline]
    fn contains<K: Key>(&self, key: &K) -> bool {
        self.values.binary_search(&self.fingerprints.of(key)).is_ok()
    }

    fn decode(&self, _: &Element) -> Option<u64> {
        Some(self.values.iter().copied().fold(0, u64::wrapping_add))
    }

    fn bytes(&self) -> usize {
        bytes_of(&self.values)
    }
}

//! The `RoaringTreemap` of the `roaring` crate: made for dense or clustered numbers.

use roaring::RoaringTreemap;

use crate::data::Element;
use crate::plan::Plan;
use crate::structure::{Adapter, Fingerprints, Key, Structure, boxed};

/// The roaring bitmap in the groups.
pub const TREEMAP: Structure = Structure {
    name: "roaring Treemap",
    package: "roaring",
    build: boxed::<Treemap>,
    rate: Plan::rate,
    is_indexed: true,
    is_listable: true,
    takes_hashes: true,
};

/// The same fingerprints as ours, in a compressed bitmap.
struct Treemap {
    fingerprints: Fingerprints,
    bitmap: RoaringTreemap,
}

impl Adapter for Treemap {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Treemap {
        let fingerprints = Fingerprints::new(plan);
        let bitmap =
            RoaringTreemap::from_sorted_iter(fingerprints.sorted(keys)).expect("the values ascend");
        Treemap { fingerprints, bitmap }
    }

    #[inline]
    fn contains<K: Key>(&self, key: &K) -> bool {
        self.bitmap.contains(self.fingerprints.of(key))
    }

    fn decode(&self, _: &Element) -> Option<u64> {
        Some(self.bitmap.iter().fold(0, u64::wrapping_add))
    }

    fn bytes(&self) -> usize {
        self.bitmap.serialized_size()
    }
}

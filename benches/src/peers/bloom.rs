//! The Bloom filter of the `fastbloom` crate.

use fastbloom::BloomFilter;
use siphasher::sip::SipHasher24;

use super::bytes_of;
use crate::plan::Plan;
use crate::structure::{Adapter, Key, Structure, boxed, sip_hasher};

/// The Bloom filter in the groups.
pub const BLOOM: Structure = Structure {
    name: "fastbloom",
    package: "fastbloom",
    build: boxed::<Bloom>,
    rate: Plan::rate,
    is_indexed: true,
    is_listable: false,
    takes_hashes: true,
};

/// A Bloom filter of the plan's rate. The crate derives all bits of an element from one hash.
struct Bloom {
    hasher: SipHasher24,
    filter: BloomFilter,
}

impl Adapter for Bloom {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Bloom {
        let hasher = sip_hasher();
        let mut filter =
            BloomFilter::with_false_pos(plan.rate()).seed(&0).expected_items(keys.len().max(1));
        for key in keys {
            filter.insert_hash(key.hash(&hasher));
        }
        Bloom { hasher, filter }
    }

    #[inline]
    fn contains<K: Key>(&self, key: &K) -> bool {
        self.filter.contains_hash(key.hash(&self.hasher))
    }

    fn bytes(&self) -> usize {
        bytes_of(self.filter.as_slice())
    }
}

//! The Elias-Fano dictionary of the `sux` crate.

use mem_dbg::{MemSize, SizeFlags};
use sux::dict::{EfDict, EliasFanoBuilder};
use sux::traits::IndexedDict;

use crate::data::Element;
use crate::plan::Plan;
use crate::structure::{Adapter, Fingerprints, Key, Structure, boxed};

/// The Elias-Fano dictionary in the groups.
pub const ELIAS_FANO: Structure = Structure {
    name: "sux EfDict",
    package: "sux",
    build: boxed::<EliasFano>,
    rate: Plan::rate,
    is_indexed: true,
    is_listable: true,
    takes_hashes: true,
};

/// The same fingerprints as ours, in Elias-Fano code with the selection structure for lookups.
struct EliasFano {
    fingerprints: Fingerprints,
    dictionary: EfDict<u64>,
}

impl Adapter for EliasFano {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> EliasFano {
        let fingerprints = Fingerprints::new(plan);
        let values = fingerprints.sorted(keys);
        let mut builder = EliasFanoBuilder::new(values.len(), plan.range().get());
        for value in values {
            builder.push(value);
        }
        EliasFano { fingerprints, dictionary: builder.build_with_dict() }
    }

    #[inline]
    fn contains<K: Key>(&self, key: &K) -> bool {
        self.dictionary.contains(self.fingerprints.of(key))
    }

    fn decode(&self, _: &Element) -> Option<u64> {
        Some(self.dictionary.iter().fold(0, u64::wrapping_add))
    }

    fn bytes(&self) -> usize {
        self.dictionary.mem_size(SizeFlags::default())
    }
}

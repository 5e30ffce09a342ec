//! The ribbon filters of the `pleat` crate: homogeneous with rows of 64 bits, and standard with
//! rows of 128 bits.

use pleat::filter::{Ribbon, StdRibbon};
use siphasher::sip::SipHasher24;

use crate::plan::Plan;
use crate::structure::{Adapter, Built, Key, Keys, Structure, boxed, sip_hasher};

/// The homogeneous ribbon filter in the groups: quicker.
pub const RIBBON64: Structure = Structure {
    name: "ribbon w=64",
    package: "pleat",
    build: |plan, keys| build::<64>(plan, keys),
    rate,
    is_indexed: true,
    is_listable: false,
    takes_hashes: true,
};

/// The standard ribbon filter in the groups: smaller.
pub const RIBBON128: Structure =
    Structure { name: "ribbon w=128", build: |plan, keys| build::<128>(plan, keys), ..RIBBON64 };

/// Result bits that are compiled; a plan takes the first that keeps its rate, or the last.
const WIDTHS: [u32; 8] = [5, 8, 12, 16, 20, 24, 28, 32];

fn width(plan: &Plan) -> u32 {
    let wanted = plan.modulus();
    WIDTHS.into_iter().find(|width| 1 << width >= wanted).unwrap_or(32)
}

fn rate(plan: &Plan) -> f64 {
    2f64.powi(-(width(plan) as i32))
}

fn build<const ROW: usize>(plan: &Plan, keys: Keys<'_>) -> Box<dyn Built> {
    macro_rules! at_width {
        ($($width:literal)*) => {
            match (ROW, width(plan)) {
                $((64, $width) => boxed::<Homogeneous<$width>>(plan, keys),)*
                $((_, $width) => boxed::<Standard<$width>>(plan, keys),)*
                _ => unreachable!("one of the widths"),
            }
        };
    }
    at_width!(5 8 12 16 20 24 28 32)
}

macro_rules! ribbon {
    ($name:ident, $filter:ident, $text:literal, $build:expr) => {
        #[doc = $text]
        struct $name<const R: usize> {
            hasher: SipHasher24,
            filter: $filter<R>,
        }

        impl<const R: usize> Adapter for $name<R> {
            fn build<K: Key>(_: &Plan, keys: &[K]) -> $name<R> {
                let hasher = sip_hasher();
                let hashes: Vec<u64> = keys.iter().map(|key| key.hash(&hasher)).collect();
                let build: fn(&[u64]) -> $filter<R> = $build;
                $name { hasher, filter: build(&hashes) }
            }

            #[inline]
            fn contains<K: Key>(&self, key: &K) -> bool {
                self.filter.contains(key.hash(&self.hasher))
            }

            /// By the crate's own batch call, which fetches memory ahead.
            fn matches<K: Key>(&self, keys: &[K]) -> Vec<usize> {
                let hashes: Vec<u64> = keys.iter().map(|key| key.hash(&self.hasher)).collect();
                let mut found = vec![false; hashes.len()];
                self.filter.contains_batch(&hashes, &mut found);
                let found = found.iter().enumerate().filter(|(_, found)| **found);
                found.map(|(position, _)| position).collect()
            }

            fn bytes(&self) -> usize {
                self.filter.size_bytes()
            }
        }
    };
}

ribbon!(Homogeneous, Ribbon, "Rows of 64 bits.", |hashes| Ribbon::from_keys_pleated(hashes));
ribbon!(Standard, StdRibbon, "Rows of 128 bits.", |hashes| {
    StdRibbon::from_keys_pleated(hashes).expect("one of 64 seeds solves")
});

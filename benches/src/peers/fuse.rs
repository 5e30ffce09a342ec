//! The binary fuse filters of the `xorf` crate.

use siphasher::sip::SipHasher24;
use xorf::{BinaryFuse8, BinaryFuse16, BinaryFuse32, Filter};

use super::bytes_of;
use crate::plan::Plan;
use crate::structure::{Adapter, Key, Structure, boxed, sip_hasher};

macro_rules! fuse {
    ($structure:ident, $name:ident, $filter:ident, $text:literal, $bits:literal) => {
        #[doc = concat!("`", $text, "`: its rate is 2^-", stringify!($bits), ", whatever is asked for.")]
        pub const $structure: Structure = Structure {
            name: $text,
            package: "xorf",
            build: boxed::<$name>,
            rate: |_| 2f64.powi(-$bits),
            is_indexed: true,
            is_listable: false,
            takes_hashes: true,
        };

        /// A binary fuse filter of the elements' hashes.
        struct $name {
            hasher: SipHasher24,
            filter: $filter,
        }

        impl Adapter for $name {
            fn build<K: Key>(_: &Plan, keys: &[K]) -> $name {
                let hasher = sip_hasher();
                // The crate advises an array of hashes, since it reads them several times.
                let hashes: Vec<u64> = keys.iter().map(|key| key.hash(&hasher)).collect();
                let filter = $filter::try_from(&hashes).expect("no hash is there twice");
                $name { hasher, filter }
            }

            #[inline]
            fn contains<K: Key>(&self, key: &K) -> bool {
                self.filter.contains(&key.hash(&self.hasher))
            }

            fn bytes(&self) -> usize {
                bytes_of(&self.filter.fingerprints)
            }
        }
    };
}

fuse!(FUSE8, Fuse8, BinaryFuse8, "BinaryFuse8", 8);
fuse!(FUSE16, Fuse16, BinaryFuse16, "BinaryFuse16", 16);
fuse!(FUSE32, Fuse32, BinaryFuse32, "BinaryFuse32", 32);

//! Filler: elements that belong to no person, published to hide how few reports there are.

use core::fmt;
use core::hash::Hasher as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use siphasher::sip::SipHasher13;

use crate::date::Date;
use crate::version::Version;

/// The secret that filler is derived from. Whoever knows it can tell filler from elements of
/// patients.
#[derive(Clone)]
pub struct FillerKey([u8; 32]);

impl FillerKey {
    /// A key of 32 secret bytes from a cryptographic source of randomness.
    pub fn new(secret: [u8; 32]) -> FillerKey {
        FillerKey(secret)
    }

    /// HMAC-SHA256 of "gcs filler v1", series, tick, date and number, each as a
    /// little-endian u32.
    pub(super) fn element(&self, version: Version, date: Date, number: u32) -> [u8; 32] {
        let parts = [version.series, version.tick, date.days(), number];
        self.derive(b"gcs filler v1", &parts)
    }

    fn derive(&self, label: &[u8], parts: &[u32]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(label);
        for part in parts {
            mac.update(&part.to_le_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// A hasher for tables of elements. Elements that collide in it cannot be made without
    /// the key.
    pub(super) fn table_hasher(&self) -> TableHasher {
        let derived = self.derive(b"gcs table v1", &[]);
        let mut key = [0; 16];
        key.copy_from_slice(&derived[..16]);
        TableHasher(SipHasher13::new_with_key(&key))
    }
}

impl fmt::Debug for FillerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FillerKey(..)")
    }
}

#[derive(Clone)]
pub(super) struct TableHasher(SipHasher13);

impl TableHasher {
    pub(super) fn hash(&self, element: &[u8]) -> u64 {
        let mut hasher = self.0;
        hasher.write(element);
        hasher.finish()
    }
}

impl fmt::Debug for TableHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableHasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every release must publish the same bytes from the same log.
    #[test]
    fn filler_is_the_golden_bytes() {
        let key = FillerKey::new([7; 32]);
        let date: Date = "2026-01-05".parse().unwrap();
        let filler = key.element(Version { series: 1, tick: 2 }, date, 3);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&filler),
            "3a7cd5cd79aeda11a441e5c64cebda81942cd09d90fb7e7b56560570d79b551b"
        );
    }
}

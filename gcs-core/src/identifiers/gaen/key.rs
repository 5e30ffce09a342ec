//! Keys, and the identifiers made from them.

use core::fmt;
use core::ops::Range;

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher as _};
use aes::{Aes128, Block};
use thiserror::Error;

use super::INTERVALS_A_DAY;
use crate::identifiers::secret::{Secret, hkdf};

/// Numbers with which there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExposureKeyError {
    /// The rolling period is 0, or longer than a day.
    #[error("a rolling period is 1 to {INTERVALS_A_DAY} intervals, got {got}")]
    RollingPeriod {
        /// The period in intervals.
        got: u32,
    },
    /// The rolling start is so late that intervals after it have no number.
    #[error("a rolling start is at most {max}, got {got}")]
    RollingStart {
        /// The last interval at which a key may start.
        max: u32,
        /// The start.
        got: u32,
    },
}

/// A temporary exposure key (TEK), and the intervals for which it is used. Its memory is wiped
/// when dropped; `Debug` shows only the intervals.
#[derive(Clone, PartialEq, Eq)]
pub struct ExposureKey {
    data: Secret<16>,
    rolling_start: u32,
    rolling_period: u32,
}

/// What phones derive from a key to broadcast. Its memory is wiped when dropped; `Debug` shows
/// nothing of it.
#[derive(Clone)]
pub struct RollingKeys {
    /// Under RPIK.
    identifiers: Aes128,
    /// AEMK.
    metadata: Secret<16>,
}

impl ExposureKey {
    /// The last interval at which a key may start.
    pub const MAX_ROLLING_START: u32 = u32::MAX - INTERVALS_A_DAY;

    /// A key of 16 bytes, used for `rolling_period` intervals, 1 to 144, from `rolling_start` on.
    ///
    /// # Errors
    /// [`ExposureKeyError`].
    pub fn new(
        data: [u8; 16],
        rolling_start: u32,
        rolling_period: u32,
    ) -> Result<ExposureKey, ExposureKeyError> {
        let max = ExposureKey::MAX_ROLLING_START;
        if !(1..=INTERVALS_A_DAY).contains(&rolling_period) {
            Err(ExposureKeyError::RollingPeriod { got: rolling_period })
        } else if rolling_start > max {
            Err(ExposureKeyError::RollingStart { max, got: rolling_start })
        } else {
            Ok(ExposureKey { data: Secret(data), rolling_start, rolling_period })
        }
    }

    /// The 16 bytes of the key. Whoever has them knows all its identifiers.
    pub fn to_bytes(&self) -> [u8; 16] {
        self.data.0
    }

    /// The first interval in which it is used.
    pub fn rolling_start(&self) -> u32 {
        self.rolling_start
    }

    /// The number of intervals in which it is used, 1 to 144.
    pub fn rolling_period(&self) -> u32 {
        self.rolling_period
    }

    /// The intervals in which it is used.
    pub fn intervals(&self) -> Range<u32> {
        self.rolling_start..self.rolling_start + self.rolling_period
    }

    /// What phones derive from the key: RPIK = HKDF-SHA256(TEK, no salt, "EN-RPIK"), 16 bytes, and
    /// AEMK = HKDF-SHA256(TEK, no salt, "EN-AEMK"), 16 bytes.
    pub fn rolling_keys(&self) -> RollingKeys {
        let rpik: Secret<16> = hkdf(&self.data.0, &[b"EN-RPIK"]);
        let metadata = hkdf(&self.data.0, &[b"EN-AEMK"]);
        RollingKeys { identifiers: Aes128::new((&rpik.0).into()), metadata }
    }

    /// The rolling proximity identifiers of all its intervals, in their order: the elements that
    /// phones test. One AES block each.
    pub fn identifiers(&self) -> impl Iterator<Item = [u8; 16]> + use<> {
        let keys = self.rolling_keys();
        self.intervals().map(move |interval| keys.identifier(interval))
    }
}

impl fmt::Debug for ExposureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExposureKey({:?})", self.intervals())
    }
}

impl RollingKeys {
    /// The rolling proximity identifier (RPI) of an interval: AES-128(RPIK, "EN-RPI" ‖ six zero
    /// bytes ‖ interval as a little-endian u32).
    pub fn identifier(&self, interval: u32) -> [u8; 16] {
        let mut block = [0; 16];
        block[..6].copy_from_slice(b"EN-RPI");
        block[12..].copy_from_slice(&interval.to_le_bytes());
        let mut block = Block::from(block);
        self.identifiers.encrypt_block(&mut block);
        block.into()
    }

    /// The associated encrypted metadata (AEM) of [`metadata`](super::metadata), or the other way
    /// round: AES-128-CTR under AEMK, with the identifier as the first counter.
    pub fn crypt_metadata(&self, identifier: &[u8; 16], mut metadata: [u8; 4]) -> [u8; 4] {
        let key = (&self.metadata.0).into();
        let mut stream = ctr::Ctr128BE::<Aes128>::new(key, identifier.into());
        stream.apply_keystream(&mut metadata);
        metadata
    }
}

impl fmt::Debug for RollingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RollingKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::identifiers::gaen::{interval_of, metadata};
    use alloc::format;
    use alloc::vec::Vec;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
    }

    /// What a phone broadcasts with a key in a day, and the first and last of it.
    fn broadcasts(tek: &str, start: u32, metadata: &str) -> (ExposureKey, Vec<[u8; 20]>) {
        let key = ExposureKey::new(bytes(tek), start, 144).unwrap();
        let keys = key.rolling_keys();
        let broadcast = |identifier: [u8; 16]| {
            let aem = keys.crypt_metadata(&identifier, bytes(metadata));
            assert_eq!(keys.crypt_metadata(&identifier, aem), bytes::<4>(metadata));
            let mut advert = [0; 20];
            advert[..16].copy_from_slice(&identifier);
            advert[16..].copy_from_slice(&aem);
            advert
        };
        let all = key.identifiers().map(broadcast).collect();
        (key, all)
    }

    /// From google/exposure-notifications-internals (Apache-2.0), and one of another key.
    #[test]
    fn identifiers_and_metadata_are_those_of_the_reference_implementation() {
        for (tek, start, metadata, rpik, aemk, first, last, digest) in [
            (
                "75c734c6dd1a782de7a965da5eb93125",
                2_642_976,
                "40080000",
                "185ad91db69ec7dd048960f1f3ba6175",
                "d57c46af7a1d83965b9bed8bd152936a",
                "8be6cd371c5c891604bfbe49df84509672033874",
                "f431b62ecf443102ce4ed0407de54bd41215e57e",
                "0e691522b0c307d0ea092217a7eebb74d6c04d9c5fa7decf02bd28e0bee01e6c",
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                2_649_600,
                "40f40000",
                "4c3615250075e094e42e1b72e538ded2",
                "3454dd8d8c8c835029754c15df6d44d7",
                "607299fb5dc2a364374a6b893f563c2beaea98d9",
                "680a9c44f6afe7f8f3d28ac1f7d3440db0bfb78b",
                "f57491222317469d72214733e1c98c8549bf0e47d607776dba427c55c10998a3",
            ),
        ] {
            let (key, all) = broadcasts(tek, start, metadata);
            assert_eq!(hkdf(&key.data.0, &[b"EN-RPIK"]), Secret(bytes::<16>(rpik)));
            assert_eq!(key.rolling_keys().metadata, Secret(bytes(aemk)));
            assert_eq!(all.len(), 144);
            assert_eq!(HEXLOWER.encode(&all[0]), first);
            assert_eq!(HEXLOWER.encode(&all[143]), last);
            assert_eq!(Digest::of(&all.concat()).0, bytes(digest));
        }
        assert_eq!(interval_of(1_585_785_600), Some(2_642_976));
        assert_eq!(metadata(8), bytes("40080000"));
        assert_eq!(metadata(-12), bytes("40f40000"));
    }

    /// Each of them, not only the digest.
    #[test]
    fn all_144_identifiers_are_those_of_the_reference_implementation() {
        let file = include_str!("../../../tests/vectors/foreign/gaen-rpi-144.json");
        let hex = |text: &str| {
            text.split('"').filter(|part| part.len() == 32).collect::<Vec<_>>().join("")
        };
        let expected: Vec<u8> = HEXLOWER.decode(hex(file).as_bytes()).unwrap();
        let (tek, expected) = expected.split_at(16);
        let key = ExposureKey::new(tek.try_into().unwrap(), 2_642_976, 144).unwrap();
        assert_eq!(key.identifiers().collect::<Vec<_>>().concat(), expected);
        assert_eq!(expected.len(), 144 * 16);
    }

    #[test]
    fn periods_and_starts_out_of_bounds_are_refused() {
        let new =
            |start, period| ExposureKey::new([1; 16], start, period).map(|key| key.intervals());
        for got in [0, 145, u32::MAX] {
            assert_eq!(new(0, got), Err(ExposureKeyError::RollingPeriod { got }));
        }
        let max = u32::MAX - 144;
        assert_eq!(new(max + 1, 1), Err(ExposureKeyError::RollingStart { max, got: max + 1 }));
        assert_eq!(new(max, 144), Ok(max..u32::MAX));
        assert_eq!(interval_of(u64::MAX), None);
    }

    #[test]
    fn keys_are_wiped() {
        use crate::identifiers::secret::wiped;
        let keys = ExposureKey::new([1; 16], 0, 1).unwrap().rolling_keys();
        let RollingKeys { identifiers, metadata } = &keys;
        wiped(identifiers);
        wiped(metadata);
        wiped(&ctr::Ctr128BE::<Aes128>::new(&[0; 16].into(), &[0; 16].into()));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = ExposureKey::new([0xab; 16], 5, 2).unwrap();
        assert_eq!(
            format!("{key:?} {:?}", key.rolling_keys()),
            "ExposureKey(5..7) RollingKeys(..)"
        );
    }

    proptest! {
        #[test]
        fn a_shorter_period_has_the_first_identifiers_of_a_longer(tek: [u8; 16], start in 0..ExposureKey::MAX_ROLLING_START, period in 1u32..144) {
            let of = |period| ExposureKey::new(tek, start, period).unwrap().identifiers().collect::<Vec<_>>();
            prop_assert_eq!(&of(144)[..period as usize], of(period));
        }
    }
}

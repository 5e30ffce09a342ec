//! Fingerprints and checks: two keyed hashes of one element.

use core::fmt;
use core::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use super::error::SaltError;
use super::hash_range::HashRange;
use super::sip::{self, SipKey};
use crate::bytes::Cursor;
use crate::digest::Digest;
use crate::error::ParseError;

/// Label under which the key of the check is derived from the salt.
const CHECK_LABEL: &[u8] = b"gcs check v1";

/// Shortest and longest element, in bytes, that can be published, heard or reported.
/// A set alone hashes elements of any length.
pub const ELEMENT_LEN: core::ops::RangeInclusive<usize> = 16..=64;

/// 16 public random bytes that key SipHash for one set.
///
/// It must stay unknown until the set is published: whoever knew it earlier could search for
/// identifiers that match the set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// A salt from the randomness of the operating system.
    ///
    /// ```
    /// use gcs_core::Salt;
    ///
    /// let salt = Salt::random()?;
    /// assert_eq!(salt.to_string().parse(), Ok(salt));
    /// # Ok::<(), gcs_core::set::RandomError>(())
    /// ```
    ///
    /// # Errors
    /// A [`RandomError`](super::RandomError) when the system has none.
    #[cfg(feature = "random")]
    pub fn random() -> Result<Salt, super::RandomError> {
        let mut salt = Salt([0; 16]);
        getrandom::fill(&mut salt.0).map_err(super::RandomError)?;
        Ok(salt)
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Salt, ParseError> {
        cursor.array().map(Salt)
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads 32 hexadecimal digits of either case.
impl FromStr for Salt {
    type Err = SaltError;

    fn from_str(text: &str) -> Result<Salt, SaltError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let salt = bytes.and_then(|bytes| bytes.try_into().ok()).map(Salt);
        salt.ok_or(SaltError { length: text.len() })
    }
}

impl AsRef<[u8]> for Salt {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// As 32 hexadecimal digits.
#[cfg(feature = "serde")]
impl serde::Serialize for Salt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Salt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Salt, D::Error> {
        let text = alloc::string::String::deserialize(deserializer)?;
        text.parse().map_err(<D::Error as serde::de::Error>::custom)
    }
}

/// Hashes elements for one salt and hash range.
///
/// - The **fingerprint** is SipHash-2-4 (Aumasson and Bernstein, 2012) of the element
///   under the salt, mapped into `[0, F)` by multiply-high, which preserves order.
/// - The **check** is SipHash-2-4 of the element under a second key, the first 16
///   bytes of SHA-256("gcs check v1" ‖ salt), and never 0 (0 becomes 1; check records
///   use 0 as a mark). A fingerprint in the set makes the element *possible*; its check decides.
///
/// SipHash under a public key is not a cryptographic hash. It suffices for elements
/// of high entropy: finding one that hits a set takes about 1/rate tries whatever the
/// hash is, and such an element fails the check.
///
/// ```
/// use gcs_core::{ElementHasher, HashRange, Salt};
///
/// let hash_range = HashRange::for_expected(1_000, 20)?;
/// let hasher = ElementHasher::new(Salt([7; 16]), hash_range);
/// assert!(hasher.fingerprint(b"sixteen bytes id") < hash_range.get());
/// # Ok::<(), gcs_core::ParamsError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ElementHasher {
    hash_range: u64,
    fingerprint: SipKey,
    check: SipKey,
}

impl ElementHasher {
    /// A hasher for `salt` and `hash_range`. Costs one SHA-256.
    pub fn new(salt: Salt, hash_range: HashRange) -> ElementHasher {
        let derived = Digest::of_parts(&[CHECK_LABEL, &salt.0]);
        let mut check_key = [0; 16];
        check_key.copy_from_slice(&derived.0[..16]);
        ElementHasher {
            hash_range: hash_range.get(),
            fingerprint: SipKey::new(&salt.0),
            check: SipKey::new(&check_key),
        }
    }

    /// The element's fingerprint, below F.
    #[inline]
    pub fn fingerprint(&self, element: &[u8]) -> u64 {
        self.map(self.fingerprint.hash(element))
    }

    /// The fingerprints of many elements, in their order: faster than one by one where elements
    /// have 16 bytes.
    ///
    /// ```
    /// # use gcs_core::{ElementHasher, HashRange, Salt};
    /// let hasher = ElementHasher::new(Salt([7; 16]), HashRange::for_expected(1_000, 20)?);
    /// let heard = [b"identifier one..", b"identifier two..", b"identifier three"];
    /// let fingerprints: Vec<u64> = hasher.fingerprints(heard).collect();
    /// assert_eq!(fingerprints[2], hasher.fingerprint(heard[2]));
    /// # Ok::<(), gcs_core::ParamsError>(())
    /// ```
    pub fn fingerprints<E: AsRef<[u8]>, I: IntoIterator<Item = E>>(
        &self,
        elements: I,
    ) -> Fingerprints<I::IntoIter> {
        Fingerprints { hasher: *self, elements: elements.into_iter(), second: None }
    }

    /// The element's check, never 0.
    #[inline]
    pub fn check(&self, element: &[u8]) -> u64 {
        self.check.hash(element).max(1)
    }

    /// The element's fingerprint and check, faster than one by one.
    #[cfg(feature = "protocol")]
    #[inline]
    pub(crate) fn fingerprint_and_check(&self, element: &[u8]) -> (u64, u64) {
        match element.try_into() {
            Ok(element) => {
                let [hash, check] = sip::hash_16([&self.fingerprint, &self.check], [element; 2]);
                (self.map(hash), check.max(1))
            }
            Err(_) => (self.fingerprint(element), self.check(element)),
        }
    }

    #[inline]
    fn fingerprints_of_two(&self, elements: [&[u8]; 2]) -> [u64; 2] {
        if let [Ok(first), Ok(second)] = elements.map(<&[u8; 16]>::try_from) {
            sip::hash_16([&self.fingerprint; 2], [first, second]).map(|hash| self.map(hash))
        } else {
            elements.map(|element| self.fingerprint(element))
        }
    }

    /// Maps a hash into `[0, F)` by multiply-high.
    #[inline]
    fn map(&self, hash: u64) -> u64 {
        ((u128::from(hash) * u128::from(self.hash_range)) >> 64) as u64
    }
}

/// Fingerprints of many elements, made by [`ElementHasher::fingerprints`].
#[derive(Clone)]
pub struct Fingerprints<I> {
    hasher: ElementHasher,
    elements: I,
    /// The fingerprint of the second element of a pair, while the first is handed out.
    second: Option<u64>,
}

impl<E: AsRef<[u8]>, I: Iterator<Item = E>> Iterator for Fingerprints<I> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if let Some(second) = self.second.take() {
            return Some(second);
        }
        let first = self.elements.next()?;
        let Some(second) = self.elements.next() else {
            return Some(self.hasher.fingerprint(first.as_ref()));
        };
        let [first, second] = self.hasher.fingerprints_of_two([first.as_ref(), second.as_ref()]);
        self.second = Some(second);
        Some(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.second.is_some());
        let (least, most) = self.elements.size_hint();
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }

    /// Works on whole pairs, so `for_each` and its like hash fastest.
    #[inline]
    fn fold<B, F: FnMut(B, u64) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = match self.second.take() {
            Some(second) => f(init, second),
            None => init,
        };
        while let Some(first) = self.elements.next() {
            let Some(second) = self.elements.next() else {
                return f(folded, self.hasher.fingerprint(first.as_ref()));
            };
            let pair = self.hasher.fingerprints_of_two([first.as_ref(), second.as_ref()]);
            folded = f(folded, pair[0]);
            folded = f(folded, pair[1]);
        }
        folded
    }
}

impl<I> fmt::Debug for Fingerprints<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprints").field("hasher", &self.hasher).finish_non_exhaustive()
    }
}

impl fmt::Debug for ElementHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElementHasher")
            .field("hash_range", &self.hash_range)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The reference vector of the SipHash paper, appendix A: key 00..0f, message 00..0e.
    #[test]
    fn fingerprint_is_siphash_2_4_mapped_by_multiply_high() {
        let salt = Salt(core::array::from_fn(|i| i as u8));
        let message: [u8; 15] = core::array::from_fn(|i| i as u8);
        let hash_range = HashRange::new(1_000_003).unwrap();
        let hash = 0xa129_ca61_49be_45e5_u64;
        let expected = (u128::from(hash) * 1_000_003) >> 64;
        let hasher = ElementHasher::new(salt, hash_range);
        assert_eq!(u128::from(hasher.fingerprint(&message)), expected);
        assert_ne!(hasher.check(&message), hash);
    }

    #[test]
    fn a_salt_is_read_as_it_is_shown_and_in_upper_case() {
        let salt = Salt(core::array::from_fn(|i| 0xf0 + i as u8));
        assert_eq!(salt.to_string(), "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        assert_eq!(salt.to_string().parse(), Ok(salt));
        assert_eq!(salt.to_string().to_uppercase().parse(), Ok(salt));
        assert_eq!("f0".parse::<Salt>(), Err(SaltError { length: 2 }));
        assert_eq!("g".repeat(32).parse::<Salt>(), Err(SaltError { length: 32 }));
    }

    proptest! {
        /// Whatever their lengths, and wherever the iteration turns from one by one to the rest.
        #[test]
        fn many_are_hashed_as_one_by_one(
            elements in prop::collection::vec(prop::collection::vec(any::<u8>(), 15..18), 0..20),
            taken in 0usize..20,
        ) {
            let hasher = ElementHasher::new(Salt([3; 16]), HashRange::MAX);
            let expected: Vec<u64> = elements.iter().map(|e| hasher.fingerprint(e)).collect();
            let mut fingerprints = hasher.fingerprints(&elements);
            let mut got: Vec<u64> = fingerprints.by_ref().take(taken).collect();
            prop_assert_eq!(fingerprints.size_hint().0, elements.len() - got.len());
            fingerprints.for_each(|fingerprint| got.push(fingerprint));
            prop_assert_eq!(got, expected);
        }
    }
}

//! Fingerprints and checks: two keyed hashes of one element.

use core::fmt;

use siphasher::sip::SipHasher24;

use super::hash_range::HashRange;
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
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Salt, ParseError> {
        cursor.array().map(Salt)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
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
    fingerprint: SipHasher24,
    check: SipHasher24,
}

impl ElementHasher {
    /// A hasher for `salt` and `hash_range`. Costs one SHA-256.
    pub fn new(salt: Salt, hash_range: HashRange) -> ElementHasher {
        let derived = Digest::of_parts(&[CHECK_LABEL, &salt.0]);
        let mut check_key = [0; 16];
        check_key.copy_from_slice(&derived.0[..16]);
        ElementHasher {
            hash_range: hash_range.get(),
            fingerprint: SipHasher24::new_with_key(&salt.0),
            check: SipHasher24::new_with_key(&check_key),
        }
    }

    /// The element's fingerprint, below F.
    #[inline]
    pub fn fingerprint(&self, element: &[u8]) -> u64 {
        let hash = self.fingerprint.hash(element);
        ((u128::from(hash) * u128::from(self.hash_range)) >> 64) as u64
    }

    /// The element's check, never 0.
    #[inline]
    pub fn check(&self, element: &[u8]) -> u64 {
        self.check.hash(element).max(1)
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
}

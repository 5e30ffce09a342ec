//! What a set's file says about itself.

use super::hash::Salt;
use super::hash_range::HashRange;
use super::set::{Header, Set};
use crate::digest::Digest;

/// The statistics of a set: everything about its file but the elements.
///
/// From a set in memory by [`Set::info`]; with the feature `std` also from a reader or writer
/// of a file, in constant memory.
///
/// ```
/// use gcs_core::{HashRange, Salt, Set};
///
/// let hash_range = HashRange::for_expected(1_000, 20)?;
/// let set = Set::build(Salt([0; 16]), hash_range, (0..1_000u64).map(|i| i.to_le_bytes()))?;
/// let info = set.info();
/// assert_eq!((info.len, info.bytes), (1_000, set.as_bytes().len() as u64));
/// let above = info.bits_per_element().unwrap() - info.bound().unwrap();
/// assert!(above < 0.1, "{above} bits an element above the bound");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetInfo {
    /// The salt of its hashes.
    pub salt: Salt,
    /// The hash range F.
    pub hash_range: HashRange,
    /// Number of fingerprints N.
    pub len: u32,
    /// The Rice parameter P.
    pub rice_parameter: u32,
    /// Length of the Rice code in bits, without header and trailer.
    pub code_bits: u64,
    /// Length of the whole file in bytes.
    pub bytes: u64,
    /// SHA-256 of all bytes but the last 32, which hold it.
    pub identity: Digest,
}

impl SetInfo {
    /// Bits of code an element, header and trailer excluded; `None` for an empty set.
    pub fn bits_per_element(&self) -> Option<f64> {
        (self.len > 0).then(|| self.code_bits as f64 / f64::from(self.len))
    }

    /// The fewest bits an element that any stored set of N random fingerprints below F can
    /// take when N is far below F: log2(F/N) + log2(e). `None` for an empty set.
    pub fn bound(&self) -> Option<f64> {
        let modulus = self.hash_range.modulus(self.len);
        (self.len > 0).then(|| log2(modulus) + core::f64::consts::LOG2_E)
    }

    /// N/F: the chance that an element outside the set matches it.
    pub fn false_positive_rate(&self) -> f64 {
        self.hash_range.false_positive_rate(self.len)
    }
}

impl<D: AsRef<[u8]>> Set<D> {
    /// The statistics of this set. O(1).
    pub fn info(&self) -> SetInfo {
        self.header().info(self.identity())
    }
}

impl Header {
    /// The statistics of a valid file of this header.
    pub(super) fn info(&self, identity: Digest) -> SetInfo {
        let Header { salt, hash_range, shape } = *self;
        SetInfo {
            salt,
            hash_range,
            len: shape.len,
            rice_parameter: shape.parameter,
            code_bits: shape.bits,
            bytes: self.file_len(),
            identity,
        }
    }
}

/// The binary logarithm of a finite number of at least 1. (`core` has none yet.)
fn log2(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    let mantissa = f64::from_bits((x.to_bits() & ((1 << 52) - 1)) | (1023 << 52));
    // ln m = 2 artanh t with t = (m - 1)/(m + 1) < 1/3: each term is a ninth of the one before.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let (mut power, mut sum) = (t, 0.0);
    for odd in (1..40).step_by(2) {
        sum += power / f64::from(odd);
        power *= t * t;
    }
    f64::from(exponent) + 2.0 * sum * core::f64::consts::LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log2_is_that_of_std() {
        for x in [1.0, 1.5, 1.999_999, 2.0, 3.0, 1_569_861.926, 1e17, (1u64 << 57) as f64] {
            assert!((log2(x) - f64::log2(x)).abs() < 1e-13 * x.log2().max(1.0), "{x}");
        }
    }

    #[test]
    fn statistics_of_small_sets() {
        let (salt, hash_range) = (Salt([1; 16]), HashRange::new(1 << 20).unwrap());
        let empty = Set::from_fingerprints(salt, hash_range, []).unwrap().info();
        assert_eq!((empty.len, empty.code_bits, empty.bytes), (0, 0, 80));
        assert_eq!((empty.bits_per_element(), empty.bound()), (None, None));
        assert_eq!(empty.false_positive_rate(), 0.0);

        let set = Set::from_fingerprints(salt, hash_range, [3, 70]).unwrap();
        let info = set.info();
        let [a, b, ..] = set.as_bytes()[40..48] else { unreachable!() };
        assert_eq!(info.code_bits, u64::from(a) + 256 * u64::from(b));
        assert_eq!((info.salt, info.hash_range, info.identity), (salt, hash_range, set.identity()));
        assert_eq!(info.bits_per_element(), Some(info.code_bits as f64 / 2.0));
        assert_eq!(info.bound(), Some(19.0 + core::f64::consts::LOG2_E));
    }
}

//! Planning a set: the hash range F and the Rice parameter P.
//!
//! Every choice that reaches the wire is made in integers, so that every
//! implementation makes the same one.

use core::fmt;

use super::error::ParamsError;
use crate::bytes::Cursor;
use crate::error::ParseError;

/// Numerator of 1.497137, the mean gap over `2^P` at which Rice coding comes
/// within 0.03 bit of the bound for stored sets (derived in BIP 158).
const TUNED_NUMERATOR: u128 = 1_497_137;
const TUNED_DENOMINATOR: u128 = 1_000_000;

/// The hash range F: fingerprints lie in `[0, F)`.
///
/// F is fixed for the life of a set. (BIP 158 maps into `N·M` instead; there, one
/// more element moves every value, and a delta would be the whole set again.)
/// It lies in `1..2^57`, so that any remainder is read with one load: a billion elements at
/// one false positive in a hundred million fit. In a publication it lies in `1..2^53`, so that
/// it is exact even in languages whose numbers are doubles.
///
/// ```
/// use gcs_core::HashRange;
///
/// // Planned for a million elements at a false-positive rate below 2^-20.
/// let hash_range = HashRange::for_expected(1_000_000, 20)?;
/// assert_eq!(hash_range.get(), 1_569_861_926_912);
/// assert_eq!(hash_range.rice_parameter(1_000_000), 20);
/// assert!(hash_range.false_positive_rate(1_000_000) < 1.0 / 1_048_576.0);
/// # Ok::<(), gcs_core::ParamsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashRange(u64);

impl HashRange {
    /// The largest hash range: `2^57 - 1`.
    pub const MAX: HashRange = HashRange((1 << 57) - 1);

    /// The largest hash range of a set in a publication: `2^53 - 1`.
    pub const MAX_PUBLISHED: HashRange = HashRange((1 << 53) - 1);

    /// A hash range of exactly this many values.
    ///
    /// # Errors
    /// [`ParamsError::HashRange`] outside `1..2^57`.
    pub const fn new(hash_range: u64) -> Result<HashRange, ParamsError> {
        if hash_range == 0 || hash_range > HashRange::MAX.0 {
            return Err(ParamsError::HashRange { got: hash_range });
        }
        Ok(HashRange(hash_range))
    }

    /// The hash range for `expected` elements at a false-positive rate below
    /// `2^-rate_bits`: `floor(expected · 2^rate_bits · 1497137 / 10^6)`.
    ///
    /// At the expected size a set costs within 0.03 bit of the bound per element,
    /// at any other size within 0.14 bit. The rate stays below `2^-rate_bits` up to
    /// 1.497 times the expected size ([`HashRange::capacity`]).
    ///
    /// # Errors
    /// [`ParamsError::Expected`] for `expected` 0; [`ParamsError::Rate`] when the hash
    /// range would reach `2^57`.
    pub const fn for_expected(expected: u32, rate_bits: u32) -> Result<HashRange, ParamsError> {
        if expected == 0 {
            return Err(ParamsError::Expected);
        }
        let error = ParamsError::Rate { expected, rate_bits };
        if rate_bits > 56 {
            return Err(error);
        }
        let hash_range = (((expected as u128) << rate_bits) * TUNED_NUMERATOR) / TUNED_DENOMINATOR;
        if hash_range > HashRange::MAX.0 as u128 {
            return Err(error);
        }
        Ok(HashRange(hash_range as u64))
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<HashRange, ParseError> {
        let got = cursor.u64()?;
        let max = HashRange::MAX.get();
        HashRange::new(got).map_err(|_| ParseError::Limit { field: "hash range", max, got })
    }

    /// F itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The Rice parameter P of `len` values in this hash range: the largest `p` with
    /// `26·F ≥ 27·len·2^p`, or 0 when there is none (also for no values at all).
    ///
    /// P is at most 56, so that every remainder is read with one 64-bit load. All quotients
    /// of one set together are at most `F >> P`.
    pub const fn rice_parameter(self, len: u32) -> u32 {
        if len == 0 {
            return 0;
        }
        // Both sides are integers, so (26·F >> p) ≥ 27·len says the same.
        let ratio = (26 * self.0) / (27 * len as u64);
        if ratio == 0 { 0 } else { ratio.ilog2() }
    }

    /// The largest number of elements whose false-positive rate is `2^-rate_bits` or less.
    pub const fn capacity(self, rate_bits: u32) -> u64 {
        match self.0.checked_shr(rate_bits) {
            Some(capacity) => capacity,
            None => 0,
        }
    }

    /// The modulus M = F/N: the mean gap between `len` values. Infinite if `len` is 0.
    pub fn modulus(self, len: u32) -> f64 {
        self.0 as f64 / f64::from(len)
    }

    /// N/F: the chance that an element outside a set of `len` values matches it.
    pub fn false_positive_rate(self, len: u32) -> f64 {
        f64::from(len) / self.0 as f64
    }
}

/// As its number of values.
impl fmt::Display for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// As a number.
#[cfg(feature = "serde")]
impl serde::Serialize for HashRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for HashRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<HashRange, D::Error> {
        let hash_range = u64::deserialize(deserializer)?;
        HashRange::new(hash_range).map_err(<D::Error as serde::de::Error>::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of FORMAT.md, section 3, in 128-bit integers.
    fn by_definition(hash_range: u64, len: u32) -> u32 {
        (0..=63)
            .rev()
            .find(|&p| 26 * u128::from(hash_range) >= (27 * u128::from(len)) << p)
            .unwrap_or(0)
    }

    #[test]
    fn rice_parameter_is_the_definition_at_every_boundary() {
        for len in [1, 2, 3, 26, 27, 1000, 1_000_000, u32::MAX] {
            for p in 0..=56 {
                let boundary = ((27 * u128::from(len)) << p).div_ceil(26);
                for hash_range in [boundary - 1, boundary, boundary + 1] {
                    if let Ok(hash_range) = u64::try_from(hash_range)
                        .map_err(drop)
                        .and_then(|r| HashRange::new(r).map_err(drop))
                    {
                        assert_eq!(
                            hash_range.rice_parameter(len),
                            by_definition(hash_range.get(), len)
                        );
                        assert!(hash_range.rice_parameter(len) <= 56);
                    }
                }
            }
        }
        assert_eq!(HashRange::MAX.rice_parameter(0), 0);
        assert_eq!(HashRange::MAX.rice_parameter(1), 56);
    }

    #[test]
    fn planning_stays_below_the_rate_and_refuses_what_does_not_fit() {
        for (expected, bits) in
            [(1, 0), (1, 56), (71_429, 20), (1_000_000_000, 26), (4_000_000_000, 24)]
        {
            let hash_range = HashRange::for_expected(expected, bits).unwrap();
            assert!(hash_range.capacity(bits) >= u64::from(expected));
            assert_eq!(hash_range.capacity(64), 0);
        }
        assert_eq!(HashRange::for_expected(0, 20), Err(ParamsError::Expected));
        let too_large = |expected, rate_bits| ParamsError::Rate { expected, rate_bits };
        assert_eq!(HashRange::for_expected(u32::MAX, 25), Err(too_large(u32::MAX, 25)));
        assert_eq!(HashRange::for_expected(1, 57), Err(too_large(1, 57)));
        assert_eq!(HashRange::for_expected(1, u32::MAX), Err(too_large(1, u32::MAX)));
        assert_eq!(HashRange::new(0), Err(ParamsError::HashRange { got: 0 }));
        assert_eq!(HashRange::new(1 << 57), Err(ParamsError::HashRange { got: 1 << 57 }));
    }

    #[test]
    fn a_hash_range_is_shown_as_its_number_and_has_a_mean_gap_and_a_rate() {
        let hash_range = HashRange::new(50).unwrap();
        assert_eq!(std::format!("{hash_range:>4}"), "  50");
        assert_eq!((hash_range.modulus(5), hash_range.false_positive_rate(5)), (10.0, 0.1));
    }

    /// Expected bits per element by the geometric model, P + 1/(1 - e^(-2^P/M)),
    /// beside the bound log2(M) + 1.4427.
    #[test]
    fn overhead_is_within_the_stated_bits() {
        let overhead = |modulus: f64| {
            let hash_range = HashRange::new((modulus * 1e6) as u64).unwrap();
            let p = hash_range.rice_parameter(1_000_000);
            let bits = f64::from(p) + 1.0 / (1.0 - (-f64::from(1u32 << p) / modulus).exp());
            bits - (modulus.log2() + std::f64::consts::LOG2_E)
        };
        assert!(overhead(1.497_137 * 1_048_576.0) < 0.03);
        for step in 0..=100 {
            let modulus = 1_048_576.0 * (1.0 + f64::from(step) / 100.0);
            assert!(overhead(modulus) < 0.14, "{modulus}");
        }
    }
}

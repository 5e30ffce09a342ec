//! Planning a set: from a rate or a size, and the number of elements, to the hash range.

use gcs_core::{HashRange, ParamsError};
use thiserror::Error;

use crate::quantity::{Rate, bytes, grouped};

/// What a set is to be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// At this false-positive rate or below.
    Rate(Rate),
    /// Below one in 2 to this power.
    RateBits(u32),
    /// About so many bytes, at the lowest rate that fits.
    Size(u64),
}

/// Why there is no hash range for a goal.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum PlanError {
    #[error(
        "{} elements: a set holds at most 4,294,967,295; make several sets",
        grouped(*expected)
    )]
    TooMany { expected: u64 },
    #[error(
        "{} elements at a rate of {asked}: the hash range would reach 2^57; ask for a rate of \
         {least:.1e} or more",
        grouped(*expected)
    )]
    Rate { expected: u64, asked: String, least: f64 },
    #[error(
        "{} elements in {}: too little; they take {} even if every second answer is wrong",
        grouped(*expected), bytes(*size), bytes(*least)
    )]
    Size { expected: u64, size: u64, least: u64 },
}

impl Goal {
    /// The hash range at which `expected` elements reach the goal.
    pub(crate) fn hash_range(self, expected: u64) -> Result<HashRange, PlanError> {
        // A set planned for nothing is as one planned for one element.
        let len = u32::try_from(expected.max(1)).map_err(|_| PlanError::TooMany { expected })?;
        let too_low = |asked: String| {
            let least = f64::from(len) / HashRange::MAX.get() as f64;
            // Rounded up to the digits that are shown.
            let unit = 10f64.powf(least.log10().floor() - 1.0);
            let least = (least / unit).ceil() * unit;
            PlanError::Rate { expected, asked, least }
        };
        match self {
            Goal::RateBits(bits) => HashRange::for_expected(len, bits)
                .map_err(|_: ParamsError| too_low(format!("2^-{bits}"))),
            Goal::Rate(Rate::OneIn(many)) => {
                let range = u64::from(len).checked_mul(many);
                let range = range.and_then(|range| HashRange::new(range).ok());
                range.ok_or_else(|| too_low(format!("1/{many}")))
            }
            Goal::Rate(Rate::Decimal(rate)) => {
                let range = (f64::from(len) / rate).ceil();
                let range = (range < 2f64.powi(57)).then_some(range as u64);
                let range = range.and_then(|range| HashRange::new(range).ok());
                range.ok_or_else(|| too_low(format!("{rate:e}")))
            }
            Goal::Size(size) => largest_within(len, size).ok_or_else(|| PlanError::Size {
                expected,
                size,
                least: bytes_of(len, 2 * u64::from(len)),
            }),
        }
    }
}

/// Length of a set's file without its code.
const FIXED: u64 = 48 + 32;

/// The length of a set's file to be expected.
pub(crate) fn expected_bytes(len: u64, hash_range: HashRange) -> u64 {
    bytes_of(u32::try_from(len).unwrap_or(u32::MAX).max(1), hash_range.get())
}

/// The length of a set's file to be expected, with a margin that one set in 30,000 exceeds.
fn bytes_of(len: u32, range: u64) -> u64 {
    let parameter = HashRange::new(range).map_or(0, |range| range.rice_parameter(len));
    let gap = range as f64 / f64::from(len);
    // A gap is geometric. Its remainder has P bits, its quotient one bit for each 2^P, and a stop bit.
    let quotient_and_stop = 1.0 / -(-(2f64.powi(parameter as i32) / gap)).exp_m1();
    let code = f64::from(len) * (f64::from(parameter) + quotient_and_stop);
    // The quotients add up to F/2^P less what the remainders hold: their sum varies by a third of
    // the root of N.
    let margin = 4.0 * (f64::from(len) / 12.0).sqrt();
    FIXED + ((code + margin) / 8.0).ceil() as u64
}

/// The largest hash range at which a set stays within `size`, if that is twice its length at least.
fn largest_within(len: u32, size: u64) -> Option<HashRange> {
    let fits = |range: u64| bytes_of(len, range) <= size;
    let (mut low, mut high) = (2 * u64::from(len), HashRange::MAX.get());
    if !fits(low) {
        return None;
    }
    // The length grows with the range but for a few bytes where P changes, so what is found fits.
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    HashRange::new(low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcs_core::{Salt, Set};

    fn built(len: u32, goal: Goal) -> Set {
        let range = goal.hash_range(u64::from(len)).unwrap();
        Set::build(Salt([3; 16]), range, (0..u64::from(len)).map(u64::to_le_bytes)).unwrap()
    }

    #[test]
    fn a_rate_is_kept_to_the_last_element() {
        for rate in [0.5, 0.1, 1e-3, 1e-6, 1e-9] {
            let range = Goal::Rate(Rate::Decimal(rate)).hash_range(1000).unwrap();
            let got = range.false_positive_rate(1000);
            assert!(got <= rate * (1.0 + 1e-12) && got > rate * 0.99, "{rate} {got}");
        }
        let range = Goal::Rate(Rate::OneIn(1_000_000)).hash_range(1_000_000_000).unwrap();
        assert_eq!(range.get(), 1_000_000_000_000_000);
        assert_eq!(Goal::RateBits(20).hash_range(1_000_000).unwrap().get(), 1_569_861_926_912);
        assert_eq!(Goal::RateBits(20).hash_range(0), Goal::RateBits(20).hash_range(1));
    }

    #[test]
    fn a_size_is_used_and_not_exceeded() {
        for len in [1000, 20_000] {
            for bits in [4, 10, 21, 22, 23, 40] {
                let size = FIXED + u64::from(len) * bits / 8;
                let set = built(len, Goal::Size(size));
                let got = set.as_bytes().len() as u64;
                assert!(got <= size, "{len} {bits}: {got} > {size}");
                // At a high rate many elements share a fingerprint, and less is needed.
                if bits >= 20 {
                    let margin = f64::from(len).sqrt() as u64;
                    assert!(got + margin / 2 >= size, "{len} {bits}: {got} << {size}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_does() {
        let refused = |goal: Goal, expected| goal.hash_range(expected).unwrap_err();
        let error = refused(Goal::Rate(Rate::Decimal(1e-12)), 1_000_000);
        let PlanError::Rate { least, .. } = error else { panic!("{error}") };
        assert!(Goal::Rate(Rate::Decimal(least)).hash_range(1_000_000).is_ok());
        assert!(error.to_string().contains("ask for a rate of 7.0e-12 or more"), "{error}");
        for goal in
            [Goal::RateBits(57), Goal::RateBits(u32::MAX), Goal::Rate(Rate::OneIn(u64::MAX))]
        {
            assert!(matches!(refused(goal, 10), PlanError::Rate { .. }), "{goal:?}");
        }
        let error = refused(Goal::RateBits(20), 1 << 32);
        assert_eq!(error, PlanError::TooMany { expected: 1 << 32 });
        let error = refused(Goal::Size(100), 1000);
        let PlanError::Size { least, .. } = error else { panic!("{error}") };
        assert!(Goal::Size(least).hash_range(1000).is_ok());
        assert!(Goal::Size(least - 1).hash_range(1000).is_err());
        assert!(Goal::Size(u64::MAX).hash_range(1000).is_ok());
    }
}

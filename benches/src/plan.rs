//! The plan of a structure: a number of elements and a false-positive rate.

use gcs_core::HashRange;

/// A number of elements and a false-positive rate, from which every structure is made.
///
/// The rate is that of BIP 158, `1 / (1.497137 · 2^rate_bits)`: with 19 bits it is one in
/// 784,931 or 2^-19.58. Sets of fingerprints (ours, `bip158`, Elias-Fano, sorted `Vec`, roaring)
/// have exactly this rate; the others take the nearest that they offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Number of elements n.
    pub len: usize,
    /// The rate is below `2^-rate_bits`; also the Rice parameter.
    pub rate_bits: u32,
}

impl Plan {
    /// The plan of the fewest surprises: BIP 158's rate.
    pub const RATE_BITS: u32 = 19;

    /// The largest `rate_bits`: 10 million elements then still fit into a hash range.
    pub const MAX_RATE_BITS: u32 = 31;

    /// A plan for `len` elements at the rate of BIP 158.
    pub fn new(len: usize) -> Plan {
        Plan { len, rate_bits: Plan::RATE_BITS }
    }

    /// The inverse of the false-positive rate, M.
    pub fn modulus(&self) -> u64 {
        ((1_497_137u64 << self.rate_bits) + 500_000) / 1_000_000
    }

    /// The false-positive rate that is asked for.
    pub fn rate(&self) -> f64 {
        1.0 / self.modulus() as f64
    }

    /// The hash range F, `len · M` as in BIP 158: so all sets of fingerprints hold the same numbers.
    pub fn range(&self) -> HashRange {
        HashRange::new(self.len.max(1) as u64 * self.modulus())
            .expect("the settings allow only lengths and rates that fit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_bip_158() {
        let plan = Plan::new(1_000_000);
        assert_eq!(plan.modulus(), 784_931);
        assert_eq!(plan.range().get(), 784_931_000_000);
        assert_eq!(plan.range().rice_parameter(1_000_000), 19);
    }

    #[test]
    fn the_largest_plan_fits() {
        let plan = Plan { len: 10_000_000, rate_bits: Plan::MAX_RATE_BITS };
        assert_eq!(plan.range().rice_parameter(10_000_000), Plan::MAX_RATE_BITS);
    }
}

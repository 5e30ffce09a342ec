//! What no code can go below.

/// `log2` of the binomial coefficient: the bits that tell which `k` of `n` were chosen.
/// A sum of `k` logarithms, so exact to the last digits of a float. O(k).
pub(super) fn log2_choose(n: u64, k: u64) -> f64 {
    let term = |i: u64| ((n - i) as f64 / (k - i) as f64).log2();
    (0..k).map(term).sum()
}

/// Bytes that any code of a change takes: which `removed` of `len` elements, and which `added` of
/// the numbers below `range` that are not in the set.
pub(super) fn delta_bytes(range: u64, len: u64, removed: u64, added: u64) -> f64 {
    (log2_choose(range - len, added) + log2_choose(len, removed)) / 8.0
}

/// Bits an element that any code of a set takes whose elements have the rate `len / range`: for a
/// large set, `log2(range / len) + 1.4427`.
pub(super) fn set_bits(range: u64, len: u64) -> f64 {
    (range as f64 / len as f64).log2() + std::f64::consts::LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_coefficients_are_exact() {
        assert!((log2_choose(5, 2) - 10f64.log2()).abs() < 1e-12);
        assert!((log2_choose(52, 5) - 2_598_960f64.log2()).abs() < 1e-9);
        assert_eq!(log2_choose(7, 0), 0.0);
        assert!(log2_choose(7, 7).abs() < 1e-12);
    }

    /// The figures of the design's notes: 10,000 each way of a million at 784,931 a million.
    #[test]
    fn a_day_of_one_percent() {
        let bytes = delta_bytes(784_931_000_000, 1_000_000, 10_000, 10_000);
        assert!((bytes - 44_683.0).abs() < 2.0, "{bytes}");
    }

    #[test]
    fn sets_approach_their_bound() {
        let (range, len) = (78_493_100_000, 100_000);
        let exact = log2_choose(range, len) / len as f64;
        assert!((exact - set_bits(range, len)).abs() < 1e-3, "{exact}");
    }
}

//! Sorting fingerprints.

use alloc::vec;
use alloc::vec::Vec;

/// Below this length the standard sort is as fast, and needs no second buffer.
const RADIX_FROM: usize = 4096;

/// Widest digit in bits: a histogram of 2048 counters stays in a first-level cache.
const DIGIT_BITS: u32 = 11;

/// Sorts values below `range`: for many of them by least-significant-digit radix sort over
/// the bits that the range uses, about twice as fast as comparing on uniform values.
pub(crate) fn sort_below(range: u64, values: &mut Vec<u64>) {
    if values.len() < RADIX_FROM {
        values.sort_unstable();
        return;
    }
    let bits = u64::BITS - range.leading_zeros();
    let digit_bits = bits.div_ceil(bits.div_ceil(DIGIT_BITS));
    let mut sorted = vec![0; values.len()];
    for shift in (0..bits).step_by(digit_bits as usize) {
        scatter(values, &mut sorted, shift, digit_bits);
        core::mem::swap(values, &mut sorted);
    }
}

/// Copies `from` to `to` in ascending order of one digit, otherwise in the order it has.
fn scatter(from: &[u64], to: &mut [u64], shift: u32, digit_bits: u32) {
    let digit = |value: u64| (value >> shift) as usize & ((1 << digit_bits) - 1);
    let mut places = [0usize; 1 << DIGIT_BITS];
    for value in from {
        places[digit(*value)] += 1;
    }
    let mut next = 0;
    for place in &mut places {
        let count = core::mem::replace(place, next);
        next += count;
    }
    for value in from {
        let place = &mut places[digit(*value)];
        to[*place] = *value;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn sorts_as_the_standard_sort_does(
            bits in 1u32..=53,
            seed in any::<u64>(),
            len in prop_oneof![0usize..50, RADIX_FROM - 2..RADIX_FROM + 2, 5000usize..9000],
        ) {
            let range = (1u64 << (bits - 1)) | (seed & ((1 << (bits - 1)) - 1));
            let mut values: Vec<u64> = (0..len as u64)
                .map(|at| (at ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) % range)
                .collect();
            let mut expected = values.clone();
            expected.sort_unstable();
            sort_below(range, &mut values);
            prop_assert_eq!(values, expected);
        }
    }
}

//! Seeded randomness, the same in every run.

use gcs_core::Digest;

/// A generator (SplitMix64), named by what it is for.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of a label and numbers.
    pub(crate) fn of(label: &str, numbers: &[u64]) -> Random {
        Random(u64::from_le_bytes(secret(label, numbers)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 if that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something happens that does so in one of `times` cases.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Puts things into an order that says nothing.
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            things.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// Stands for up to 32 random bytes, so that every run is the same.
pub(crate) fn secret<const N: usize>(label: &str, numbers: &[u64]) -> [u8; N] {
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    let digest = Digest::of(&[b"protocols/", label.as_bytes(), b"/", &numbers[..]].concat());
    let mut secret = [0; N];
    secret.copy_from_slice(&digest.0[..N]);
    secret
}

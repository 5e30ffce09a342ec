//! Seeded elements: the same on every machine and in every run.

use gcs_core::Salt;

/// Key of all SipHashes; the peers take it as two little-endian words.
pub const SALT: Salt = Salt(*b"gcs-benches salt");

/// Seeds of the elements in the base set, of those added to it, and of the queries.
/// No element is drawn twice: they are 128 bits wide.
pub const SEEDS: Seeds = Seeds { base: 1, added: 2, queries: 3 };

/// See [`SEEDS`].
pub struct Seeds {
    /// Elements in the base set.
    pub base: u64,
    /// Elements added to it.
    pub added: u64,
    /// Elements to look for, which are in neither.
    pub queries: u64,
}

/// An identifier: 16 bytes that look random.
pub type Element = [u8; 16];

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator; each seed starts a sequence far from those of other small seeds.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64(SplitMix64(seed).next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// An endless sequence of elements.
impl Iterator for SplitMix64 {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        let mut element = [0; 16];
        element[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        element[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        Some(element)
    }
}

/// The first `len` elements of a seed.
pub fn elements(seed: u64, len: usize) -> Vec<Element> {
    SplitMix64::new(seed).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's first outputs for seed 0.
    #[test]
    fn generator_is_splitmix64() {
        let mut generator = SplitMix64(0);
        assert_eq!(generator.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(generator.next_u64(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(generator.next_u64(), 0x06c4_5d18_8009_454f);
    }
}

//! Seeded randomness, the same everywhere.

use gcs_benches::SplitMix64;

/// A generator with the draws that a simulation needs.
#[derive(Clone, Debug)]
pub(crate) struct Random(SplitMix64);

impl Random {
    /// The generator of a place in the simulation: its parts name it.
    pub(crate) fn of(parts: &[u64]) -> Random {
        let mix = |seed, part: &u64| SplitMix64::new(seed ^ part).next_u64();
        Random(SplitMix64::new(parts.iter().fold(0x6f62_7365_7276_6572, mix)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, or 0 if that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The time to the next of independent events, of which `rate` come in a unit of time.
    pub(crate) fn wait(&mut self, rate: f64) -> f64 {
        -(1.0 - self.unit()).ln() / rate
    }

    pub(crate) fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&self.next().to_le_bytes()));
        bytes
    }
}

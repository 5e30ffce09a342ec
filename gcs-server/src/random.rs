//! Where random bytes come from: the system, or a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gcs_core::Digest;
pub use getrandom::Error;

/// Where random bytes come from.
#[derive(Clone, Debug)]
pub enum Random {
    /// The operating system.
    System,
    /// A seed that a test chose: the same seed gives the same bytes. Clones share one sequence.
    Seeded {
        /// The seed.
        seed: u64,
        /// Number of times that bytes were drawn.
        drawn: Arc<AtomicU64>,
    },
}

impl Random {
    /// Bytes that depend only on a test's seed.
    pub fn seeded(seed: u64) -> Random {
        Random::Seeded { seed, drawn: Arc::default() }
    }

    /// Up to 32 random bytes.
    ///
    /// # Errors
    /// When the system cannot give random bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Error> {
        const { assert!(N <= 32) };
        let mut bytes = [0; N];
        match self {
            Random::System => getrandom::fill(&mut bytes)?,
            Random::Seeded { seed, drawn } => {
                let drawn = drawn.fetch_add(1, Ordering::Relaxed);
                let input = [seed.to_le_bytes(), drawn.to_le_bytes()].concat();
                bytes.copy_from_slice(&Digest::of(&input).0[..N]);
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_never_the_same_twice() {
        let (one, two) = (Random::seeded(1), Random::seeded(1));
        let first: [u8; 32] = one.bytes().unwrap();
        assert_eq!(two.bytes(), Ok(first));
        assert_ne!(one.clone().bytes(), Ok(first));
        assert_ne!(Random::seeded(2).bytes(), Ok(first));
        assert_ne!(Random::System.bytes::<32>(), Random::System.bytes());
    }
}

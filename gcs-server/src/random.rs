//! Where random bytes come from: the system, or a test.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gcs_core::Digest;
pub use getrandom::Error;
use zeroize::Zeroizing;

/// Most bytes that are drawn from the system at once.
const MOST_AHEAD: usize = 4 << 10;

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

    /// Draws for so many values at a time, since asking the system costs more than the bytes.
    pub fn ahead(&self, values: usize) -> Ahead<'_> {
        Ahead {
            random: self,
            at_once: (values * 32).clamp(32, MOST_AHEAD),
            left: Vec::new().into(),
        }
    }
}

/// Random bytes that are drawn for several values at a time. None of them is given twice, and nothing is left
/// when it is dropped.
pub struct Ahead<'r> {
    random: &'r Random,
    /// Bytes that are drawn at once.
    at_once: usize,
    left: Zeroizing<Vec<u8>>,
}

impl Ahead<'_> {
    /// Up to 32 random bytes, as [`Random::bytes`].
    ///
    /// # Errors
    /// When the system cannot give random bytes.
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        const { assert!(N <= 32) };
        if let Random::Seeded { .. } = self.random {
            return self.random.bytes();
        }
        if self.left.len() < N {
            self.left.resize(self.at_once, 0);
            getrandom::fill(&mut self.left)?;
        }
        let mut bytes = [0; N];
        let rest = self.left.len() - N;
        bytes.copy_from_slice(&self.left[rest..]);
        self.left.truncate(rest);
        Ok(bytes)
    }
}

impl fmt::Debug for Ahead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn what_is_drawn_ahead_is_given_once() {
        let random = Random::System;
        for values in [0, 1, 7, 1000] {
            let mut ahead = random.ahead(values);
            let given: BTreeSet<[u8; 32]> = (0..300).map(|_| ahead.bytes().unwrap()).collect();
            assert_eq!(given.len(), 300);
            // Of another length than what is left.
            let short: BTreeSet<[u8; 20]> = (0..300).map(|_| ahead.bytes().unwrap()).collect();
            assert_eq!(short.len(), 300);
            assert!(!given.iter().any(|given| short.iter().any(|short| given.ends_with(short))));
        }
    }

    #[test]
    fn a_seed_gives_the_same_bytes_ahead() {
        let (one, two) = (Random::seeded(1), Random::seeded(1));
        let mut ahead = one.ahead(5);
        assert!((0..9).all(|_| ahead.bytes::<32>() == two.bytes()));
    }
}

//! Building a set with all cores.

use alloc::vec::Vec;

use rayon::prelude::*;

use super::error::BuildError;
use super::hash::{ElementHasher, Salt};
use super::hash_range::HashRange;
use super::set::{Set, SetWriter};
use super::sort::{self, BUCKETS};

/// Fewest elements that are worth a thread.
const SHARE: usize = 1 << 14;

/// Most elements of a share: places within it are 32-bit numbers.
const MOST_IN_SHARE: usize = 1 << 30;

impl Set {
    /// [`Set::build`] with the threads of rayon's current pool; the result is the same, byte for
    /// byte. Hashing and sorting are shared, coding and SHA-256 are not: two threads take 0.6 of
    /// the time of one. 24 bytes of memory an element besides the result.
    ///
    /// ```
    /// use gcs_core::{HashRange, Salt, Set};
    ///
    /// let elements: Vec<[u8; 16]> = (0..100_000u128).map(u128::to_le_bytes).collect();
    /// let (salt, hash_range) = (Salt([1; 16]), HashRange::for_expected(100_000, 20)?);
    /// let set = Set::build_parallel(salt, hash_range, &elements)?;
    /// assert_eq!(set, Set::build(salt, hash_range, &elements)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Set::build`].
    pub fn build_parallel<E: AsRef<[u8]> + Sync>(
        salt: Salt,
        hash_range: HashRange,
        elements: &[E],
    ) -> Result<Set, BuildError> {
        let hasher = ElementHasher::new(salt, hash_range);
        let bits = u64::BITS - (hash_range.get() - 1).leading_zeros();
        let part_bits = sort::part_bits(elements.len(), bits);
        let low_bits = bits - part_bits;
        let share = elements.len().div_ceil(rayon::current_num_threads());
        let shares: Vec<Share> = elements
            .par_chunks(share.clamp(SHARE, MOST_IN_SHARE))
            .map(|elements| Share::hash(elements, &hasher, part_bits, low_bits))
            .collect();
        let parts: Vec<Vec<u64>> = (0..1usize << part_bits)
            .into_par_iter()
            .map_init(
                || [0; BUCKETS],
                |buckets, part| sorted_part(&shares, part, low_bits, buckets),
            )
            .collect();
        drop(shares);
        // A fingerprint is in one part only.
        let got = parts.iter().map(|part| part.len() as u64).sum();
        let len = u32::try_from(got).map_err(|_| BuildError::TooMany { got })?;
        let mut writer = SetWriter::new(salt, hash_range, len);
        for part in &parts {
            writer.extend(part);
        }
        Ok(writer.finish())
    }
}

/// The fingerprints of a share of the elements, part by part.
struct Share {
    fingerprints: Vec<u64>,
    ends: Vec<u32>,
}

impl Share {
    fn hash<E: AsRef<[u8]>>(
        elements: &[E],
        hasher: &ElementHasher,
        part_bits: u32,
        low_bits: u32,
    ) -> Share {
        let mut hashed = Vec::with_capacity(elements.len());
        hasher.fingerprints(elements).for_each(|fingerprint| hashed.push(fingerprint));
        let mut fingerprints = alloc::vec![0; hashed.len()];
        let mut ends = alloc::vec![0; 1 << part_bits];
        sort::distribute(&hashed, &mut fingerprints, &mut ends, |value| value >> low_bits);
        Share { fingerprints, ends }
    }

    fn part(&self, part: usize) -> &[u64] {
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.fingerprints[start as usize..self.ends[part] as usize]
    }
}

/// One part of all shares, sorted, each fingerprint once.
fn sorted_part(shares: &[Share], part: usize, low_bits: u32, buckets: &mut [u32]) -> Vec<u64> {
    let gathered: Vec<u64> = shares.iter().flat_map(|share| share.part(part)).copied().collect();
    let mut sorted = alloc::vec![0; gathered.len()];
    if u32::try_from(gathered.len()).is_ok() {
        sort::sort_part(&gathered, &mut sorted, low_bits, buckets, |value| *value);
    } else {
        sorted.copy_from_slice(&gathered);
        sorted.sort_unstable();
    }
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn gives_the_bytes_of_one_thread(
            length in prop_oneof![0usize..100, 0usize..200_000],
            bits in 0u32..57,
            repeated in 1u64..10,
        ) {
            let (salt, hash_range) = (Salt([8; 16]), HashRange::new(1 << bits).unwrap());
            let elements: Vec<[u8; 8]> =
                (0..length as u64).map(|number| (number / repeated).to_le_bytes()).collect();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let set = pool.install(|| Set::build_parallel(salt, hash_range, &elements));
            prop_assert_eq!(set, Set::build(salt, hash_range, &elements));
        }
    }
}

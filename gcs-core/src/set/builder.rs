//! Building many sets with one allocation of memory.

use alloc::vec::Vec;
use core::fmt;

use super::error::BuildError;
use super::hash::{ElementHasher, Salt};
use super::hash_range::HashRange;
use super::set::Set;
use super::sort;

/// Builds sets, one after the other, and keeps its memory between them.
///
/// [`Set::build`] makes a new one for each set. Memory is 16 bytes an element pushed, besides the
/// result: fingerprints, and as much again to sort them.
///
/// ```
/// use gcs_core::{HashRange, Salt, Set, SetBuilder};
///
/// let hash_range = HashRange::for_expected(2, 20)?;
/// let mut builder = SetBuilder::new(Salt([1; 16]), hash_range);
/// builder.push("identifier one..");
/// builder.extend(["identifier two..", "identifier one.."]);
/// let monday = builder.finish()?;
/// assert_eq!(monday.len(), 2);
///
/// builder.restart(Salt([2; 16]), hash_range);
/// builder.push("identifier three");
/// let tuesday = builder.finish()?;
/// assert_eq!(tuesday, Set::build(Salt([2; 16]), hash_range, ["identifier three"])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SetBuilder {
    salt: Salt,
    hash_range: HashRange,
    hasher: ElementHasher,
    fingerprints: Vec<u64>,
    scratch: Vec<u64>,
}

impl SetBuilder {
    /// A builder of a set with this salt and hash range.
    pub fn new(salt: Salt, hash_range: HashRange) -> SetBuilder {
        let hasher = ElementHasher::new(salt, hash_range);
        SetBuilder { salt, hash_range, hasher, fingerprints: Vec::new(), scratch: Vec::new() }
    }

    /// Begins another set, which may have another salt and hash range. What was pushed and not
    /// built is dropped.
    pub fn restart(&mut self, salt: Salt, hash_range: HashRange) {
        self.hasher = ElementHasher::new(salt, hash_range);
        (self.salt, self.hash_range) = (salt, hash_range);
        self.fingerprints.clear();
    }

    /// How many elements and fingerprints were pushed since the last set, equal ones counted each.
    pub fn pushed(&self) -> usize {
        self.fingerprints.len()
    }

    /// Adds an element. For many, [`SetBuilder::extend`] is faster.
    pub fn push(&mut self, element: impl AsRef<[u8]>) {
        self.fingerprints.push(self.hasher.fingerprint(element.as_ref()));
    }

    /// Adds a fingerprint.
    ///
    /// # Errors
    /// [`BuildError::OutOfRange`] if it is not below F; then it is not added.
    pub fn push_fingerprint(&mut self, fingerprint: u64) -> Result<(), BuildError> {
        if fingerprint >= self.hash_range.get() {
            let (position, hash_range) = (self.fingerprints.len() as u64, self.hash_range.get());
            return Err(BuildError::OutOfRange { position, hash_range, got: fingerprint });
        }
        self.fingerprints.push(fingerprint);
        Ok(())
    }

    /// Builds the set of all that was pushed, and begins another with the same salt and hash
    /// range. Elements of equal fingerprint are merged. O(n) time for elements, whose
    /// fingerprints are evenly spread.
    ///
    /// # Errors
    /// [`BuildError::TooMany`] for `2^32` distinct fingerprints or more.
    pub fn finish(&mut self) -> Result<Set, BuildError> {
        let bits = u64::BITS - (self.hash_range.get() - 1).leading_zeros();
        sort::sort(&mut self.fingerprints, &mut self.scratch, bits);
        let set = Set::from_sorted(self.salt, self.hash_range, &self.fingerprints);
        self.fingerprints.clear();
        set
    }
}

/// Adds elements, hashed in pairs.
impl<E: AsRef<[u8]>> Extend<E> for SetBuilder {
    fn extend<I: IntoIterator<Item = E>>(&mut self, elements: I) {
        let fingerprints = self.hasher.fingerprints(elements);
        // A vector of its own keeps its length in a register: through `self` this is slower.
        self.fingerprints.reserve(fingerprints.size_hint().0);
        let mut all = core::mem::take(&mut self.fingerprints);
        fingerprints.for_each(|fingerprint| all.push(fingerprint));
        self.fingerprints = all;
    }
}

/// Shows how much was pushed, and neither what nor the salt, which may not be public yet.
impl fmt::Debug for SetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetBuilder")
            .field("hash_range", &self.hash_range)
            .field("pushed", &self.fingerprints.len())
            .finish_non_exhaustive()
    }
}

//! The algebra of sets: union, intersection, difference and symmetric difference of any
//! number of sets of one salt and hash range, as streams.
//!
//! The result is byte for byte the set that one build of the resulting fingerprints gives. So
//! many machines can each encode a part, and the union of the parts is the whole.
//!
//! ```
//! use gcs_core::set::algebra;
//! use gcs_core::{HashRange, Salt, Set};
//!
//! let (salt, hash_range) = (Salt([0; 16]), HashRange::for_expected(900, 20)?);
//! let elements: Vec<_> = (0..900u64).map(u64::to_le_bytes).collect();
//! let parts: Vec<Set> = elements
//!     .chunks(300)
//!     .map(|part| Set::build(salt, hash_range, part))
//!     .collect::<Result<_, _>>()?;
//! let whole = algebra::union(&parts)?.to_set()?;
//! assert_eq!(whole, Set::build(salt, hash_range, &elements)?);
//!
//! let rest = algebra::difference([&whole, &parts[0]])?;
//! assert!(rest.eq(algebra::union(&parts[1..])?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;

use thiserror::Error;

use super::ascending::AscendingBuilder;
use super::error::BuildError;
use super::hash::Salt;
use super::hash_range::HashRange;
use super::merge::{Pairing, Source, Tree};
use super::rice::Values;
use super::set::Set;

/// An operation on any number of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// What is in at least one set.
    Union,
    /// What is in every set.
    Intersection,
    /// What is in the first set and in none of the others.
    Difference,
    /// What is in an odd number of sets; of two, what is in just one.
    SymmetricDifference,
}

/// Why sets cannot be combined. Positions are those among the sets given, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AlgebraError {
    /// No set was given, so that the result has no salt and no hash range.
    #[error("expected at least one set, got none")]
    NoSets,
    /// A set has another salt than the first.
    #[error("set {position} has salt {got:?}, but the first has {expected:?}")]
    Salt {
        /// Which set.
        position: usize,
        /// Salt of the first set.
        expected: Salt,
        /// Salt of this set.
        got: Salt,
    },
    /// A set has another hash range than the first.
    #[error("set {position} has hash range {got}, but the first has {expected}")]
    HashRange {
        /// Which set.
        position: usize,
        /// F of the first set.
        expected: u64,
        /// F of this set.
        got: u64,
    },
}

/// The union: what is in at least one of the sets.
///
/// # Errors
/// [`AlgebraError`] when there is no set, or when two differ in salt or hash range.
pub fn union<'a, D: AsRef<[u8]> + 'a>(
    sets: impl IntoIterator<Item = &'a Set<D>>,
) -> Result<Combined<'a>, AlgebraError> {
    Operation::Union.of(sets)
}

/// The intersection: what is in every set.
///
/// # Errors
/// As [`union`].
pub fn intersection<'a, D: AsRef<[u8]> + 'a>(
    sets: impl IntoIterator<Item = &'a Set<D>>,
) -> Result<Combined<'a>, AlgebraError> {
    Operation::Intersection.of(sets)
}

/// The difference: what is in the first set and in none of the others.
///
/// # Errors
/// As [`union`].
pub fn difference<'a, D: AsRef<[u8]> + 'a>(
    sets: impl IntoIterator<Item = &'a Set<D>>,
) -> Result<Combined<'a>, AlgebraError> {
    Operation::Difference.of(sets)
}

/// The symmetric difference: what is in an odd number of the sets; of two, what is in one
/// and not in the other.
///
/// # Errors
/// As [`union`].
pub fn symmetric_difference<'a, D: AsRef<[u8]> + 'a>(
    sets: impl IntoIterator<Item = &'a Set<D>>,
) -> Result<Combined<'a>, AlgebraError> {
    Operation::SymmetricDifference.of(sets)
}

impl Operation {
    /// Combines sets in memory by this operation. O(k) for k sets: nothing is decoded yet.
    ///
    /// # Errors
    /// [`AlgebraError`] when there is no set, or when two differ in salt or hash range.
    pub fn of<'a, D: AsRef<[u8]> + 'a>(
        self,
        sets: impl IntoIterator<Item = &'a Set<D>>,
    ) -> Result<Combined<'a>, AlgebraError> {
        let sets: Vec<&Set<D>> = sets.into_iter().collect();
        let hashing = sets.iter().map(|set| (set.salt(), set.hash_range()));
        let (salt, hash_range) = expect_one_hashing(hashing)?;
        let values = sets.into_iter().map(Set::values).collect();
        let tree = self.tree(values).ok_or(AlgebraError::NoSets)?;
        Ok(Combined { salt, hash_range, tree })
    }

    /// The tree of this operation; `None` for no streams.
    pub(crate) fn tree<S>(self, mut streams: Vec<S>) -> Option<Tree<S>> {
        match self {
            Operation::Union => Tree::balanced(Pairing::Either, streams),
            Operation::Intersection => Tree::balanced(Pairing::Both, streams),
            Operation::SymmetricDifference => Tree::balanced(Pairing::OnlyOne, streams),
            Operation::Difference => {
                let others = streams.split_off(streams.len().min(1));
                let first = Tree::balanced(Pairing::Either, streams)?;
                Some(match Tree::balanced(Pairing::Either, others) {
                    Some(others) => Tree::pair(Pairing::OnlyFirst, first, others),
                    None => first,
                })
            }
        }
    }
}

/// The one salt and hash range of all sets.
pub(crate) fn expect_one_hashing(
    hashing: impl IntoIterator<Item = (Salt, HashRange)>,
) -> Result<(Salt, HashRange), AlgebraError> {
    let mut hashing = hashing.into_iter();
    let (salt, hash_range) = hashing.next().ok_or(AlgebraError::NoSets)?;
    for (position, (got_salt, got_range)) in (1..).zip(hashing) {
        if got_salt != salt {
            return Err(AlgebraError::Salt { position, expected: salt, got: got_salt });
        }
        if got_range != hash_range {
            let (expected, got) = (hash_range.get(), got_range.get());
            return Err(AlgebraError::HashRange { position, expected, got });
        }
    }
    Ok((salt, hash_range))
}

/// Sets combined by an [`Operation`]: the resulting fingerprints in ascending order, computed
/// as they are asked for.
///
/// Memory for k sets: about 4 KiB a set, whatever their sizes. Time: O(log k) for each
/// fingerprint of each set.
#[derive(Clone)]
pub struct Combined<'a> {
    salt: Salt,
    hash_range: HashRange,
    tree: Tree<Values<'a>>,
}

impl Combined<'_> {
    /// The salt of the sets and of the result.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// The hash range F of the sets and of the result.
    pub fn hash_range(&self) -> HashRange {
        self.hash_range
    }

    /// The set of the fingerprints that are still to come: all, if none was asked for yet. Its
    /// bytes are those of one build. Time as for the iteration, and for the coding of the result.
    ///
    /// # Errors
    /// [`BuildError::TooMany`] when the result has `2^32` fingerprints or more.
    pub fn to_set(&self) -> Result<Set, BuildError> {
        let mut tree = self.tree.clone();
        let mut builder = AscendingBuilder::new(self.salt, self.hash_range, tree.lengths())?;
        loop {
            let Ok(chunk) = tree.chunk();
            if chunk.is_empty() {
                return Ok(builder.finish());
            }
            builder.extend(chunk)?;
            let count = chunk.len();
            tree.consume(count);
        }
    }
}

impl Iterator for Combined<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let Ok(chunk) = self.tree.chunk();
        let value = chunk.first().copied()?;
        self.tree.consume(1);
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let lengths = self.tree.lengths();
        let most = lengths.most.min(self.hash_range.get());
        (usize::try_from(lengths.least).unwrap_or(usize::MAX), usize::try_from(most).ok())
    }

    /// Works on whole chunks, so `count`, `for_each` and their like are fastest.
    fn fold<B, F: FnMut(B, u64) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            let Ok(chunk) = self.tree.chunk();
            if chunk.is_empty() {
                return folded;
            }
            let count = chunk.len();
            for &value in chunk {
                folded = f(folded, value);
            }
            self.tree.consume(count);
        }
    }
}

impl FusedIterator for Combined<'_> {}

impl fmt::Debug for Combined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Combined")
            .field("salt", &self.salt)
            .field("hash_range", &self.hash_range.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SALT: Salt = Salt([3; 16]);
    const ALL: [Operation; 4] = [
        Operation::Union,
        Operation::Intersection,
        Operation::Difference,
        Operation::SymmetricDifference,
    ];

    type Model = BTreeSet<u64>;

    fn build(hash_range: u64, model: &Model) -> Set {
        let hash_range = HashRange::new(hash_range).unwrap();
        Set::from_fingerprints(SALT, hash_range, model.iter().copied()).unwrap()
    }

    /// The operations by their definition.
    fn by_definition(operation: Operation, models: &[Model]) -> Model {
        let all: Model = models.iter().flatten().copied().collect();
        let count = |value: &u64| models.iter().filter(|model| model.contains(value)).count();
        let is_in = |value: &u64| match operation {
            Operation::Union => true,
            Operation::Intersection => count(value) == models.len(),
            Operation::Difference => models[0].contains(value) && count(value) == 1,
            Operation::SymmetricDifference => count(value) % 2 == 1,
        };
        all.into_iter().filter(is_in).collect()
    }

    /// Up to 40 sets in one hash range: dense or sparse, alike or not, some equal, some empty.
    fn sets() -> impl Strategy<Value = (u64, Vec<Model>)> {
        let hash_range = prop_oneof![
            1 => Just(1u64),
            1 => Just((1 << 57) - 1),
            4 => 2u64..2_000,
            2 => 2u64..1 << 57
        ];
        let count = prop_oneof![3 => 1usize..4, 1 => 4usize..=40];
        (hash_range, count).prop_flat_map(|(hash_range, count)| {
            let value = prop_oneof![
                0..hash_range,
                0..hash_range.min(300),
                (hash_range - hash_range.min(300))..hash_range
            ];
            let model = prop::collection::btree_set(value, 0..700 / count + 300);
            let picked = prop_oneof![
                3 => model.clone().prop_map(Some),
                1 => Just(None),
            ];
            // `None` stands for a set equal to the first.
            (Just(hash_range), model, prop::collection::vec(picked, count - 1)).prop_map(
                |(hash_range, first, others)| {
                    let others = others.into_iter().map(|other| other.unwrap_or(first.clone()));
                    (hash_range, core::iter::once(first.clone()).chain(others).collect())
                },
            )
        })
    }

    proptest! {
        #[test]
        fn results_are_those_of_the_definition_byte_for_byte((hash_range, models) in sets()) {
            let sets: Vec<Set> = models.iter().map(|model| build(hash_range, model)).collect();
            for operation in ALL {
                let expected = by_definition(operation, &models);
                let combined = operation.of(&sets).unwrap();
                let (least, most) = combined.size_hint();
                prop_assert!(least <= expected.len() && expected.len() <= most.unwrap());
                prop_assert_eq!(combined.to_set().unwrap(), build(hash_range, &expected));
                prop_assert!(combined.clone().eq(expected.iter().copied()));
                prop_assert_eq!(combined.clone().count(), expected.len());

                // From the middle, the rest is the same, however it is taken.
                let mut rest = combined;
                let taken = expected.len() / 2;
                for value in expected.iter().take(taken) {
                    prop_assert_eq!(rest.next(), Some(*value));
                }
                let (least, most) = rest.size_hint();
                prop_assert!(least <= expected.len() - taken && expected.len() - taken <= most.unwrap());
                let mut folded = Vec::new();
                rest.clone().for_each(|value| folded.push(value));
                prop_assert!(folded.iter().eq(expected.iter().skip(taken)));
                let rest = rest.to_set().unwrap();
                prop_assert!(rest.iter().eq(expected.iter().copied().skip(taken)));
            }
        }

        #[test]
        fn laws((hash_range, models) in sets(), universe in any::<prop::sample::Index>()) {
            let sets: Vec<Set> = models.iter().map(|model| build(hash_range, model)).collect();
            let of = |operation: Operation, sets: &[&Set]| operation.of(sets.iter().copied()).unwrap().to_set().unwrap();
            let empty = build(hash_range, &Model::new());
            let a = &sets[0];
            let b = sets.last().unwrap();
            let c = &sets[universe.index(sets.len())];
            use Operation::{Difference, Intersection, SymmetricDifference, Union};

            // Commutative and associative, whatever the order and grouping.
            for operation in [Union, Intersection, SymmetricDifference] {
                let all: Vec<&Set> = sets.iter().collect();
                let reversed: Vec<&Set> = sets.iter().rev().collect();
                prop_assert_eq!(of(operation, &all), of(operation, &reversed));
                prop_assert_eq!(of(operation, &[a, b]), of(operation, &[b, a]));
                let left = of(operation, &[&of(operation, &[a, b]), c]);
                prop_assert_eq!(&left, &of(operation, &[a, &of(operation, &[b, c])]));
                prop_assert_eq!(left, of(operation, &[a, b, c]));
            }
            // Idempotent; the empty set; a set and itself.
            prop_assert_eq!(&of(Union, &[a, a]), a);
            prop_assert_eq!(&of(Intersection, &[a, a, a]), a);
            prop_assert_eq!(&of(Difference, &[a, a]), &empty);
            prop_assert_eq!(&of(SymmetricDifference, &[a, a]), &empty);
            prop_assert_eq!(&of(SymmetricDifference, &[a, a, a]), a);
            for operation in [Union, Difference, SymmetricDifference] {
                prop_assert_eq!(&of(operation, &[a, &empty]), a);
            }
            prop_assert_eq!(&of(Intersection, &[a, &empty]), &empty);
            prop_assert_eq!(&of(Difference, &[&empty, a]), &empty);
            for operation in ALL {
                prop_assert_eq!(&of(operation, &[a]), a);
            }
            // De Morgan, in the universe of all that is in any set.
            let universe = of(Union, &sets.iter().collect::<Vec<_>>());
            let not = |set: &Set| of(Difference, &[&universe, set]);
            prop_assert_eq!(not(&of(Union, &[a, b])), of(Intersection, &[&not(a), &not(b)]));
            prop_assert_eq!(not(&of(Intersection, &[a, b])), of(Union, &[&not(a), &not(b)]));
            prop_assert_eq!(&not(&not(a)), a);
            // Between the operations.
            let (either, both) = (of(Union, &[a, b]), of(Intersection, &[a, b]));
            prop_assert_eq!(of(SymmetricDifference, &[a, b]), of(Difference, &[&either, &both]));
            prop_assert_eq!(of(SymmetricDifference, &[a, b]), of(Union, &[&of(Difference, &[a, b]), &of(Difference, &[b, a])]));
            prop_assert_eq!(of(Difference, &[a, b]), of(Intersection, &[a, &not(b)]));
            prop_assert_eq!(of(Difference, &[a, b, c]), of(Difference, &[a, &of(Union, &[b, c])]));
            prop_assert_eq!(&of(Union, &[&of(Difference, &[a, b]), &both]), a);
            prop_assert_eq!(u64::from(either.len()) + u64::from(both.len()), u64::from(a.len()) + u64::from(b.len()));
        }
    }

    /// Random values, so many that P of the result is guessed and not P of any of the sets.
    #[test]
    fn large_sets_too() {
        let hash_range = 1 << 36;
        let value = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 28;
        let models: Vec<Model> = (0..5u64)
            .map(|set| (set * 15_000..set * 15_000 + 30_000).map(value).collect())
            .collect();
        let sets: Vec<Set> = models.iter().map(|model| build(hash_range, model)).collect();
        for operation in ALL {
            let expected = build(hash_range, &by_definition(operation, &models));
            assert!(operation.of(&sets).unwrap().to_set().unwrap() == expected, "{operation:?}");
        }
        assert_ne!(
            union(&sets).unwrap().to_set().unwrap().rice_parameter(),
            sets[0].rice_parameter()
        );
    }

    #[test]
    fn sets_that_do_not_fit_together_are_named() {
        let set = |salt, hash_range| {
            Set::from_fingerprints(Salt([salt; 16]), HashRange::new(hash_range).unwrap(), [1])
                .unwrap()
        };
        let (first, other_salt, other_range) = (set(1, 50), set(2, 50), set(1, 51));
        for operation in ALL {
            let none = operation.of(core::iter::empty::<&Set>()).map(drop);
            assert_eq!(none, Err(AlgebraError::NoSets));
            let salts = operation.of([&first, &first, &other_salt]).map(drop);
            let (expected, got) = (Salt([1; 16]), Salt([2; 16]));
            assert_eq!(salts, Err(AlgebraError::Salt { position: 2, expected, got }));
            let ranges = operation.of([&first, &other_range, &other_salt]).map(drop);
            let (expected, got) = (50, 51);
            assert_eq!(ranges, Err(AlgebraError::HashRange { position: 1, expected, got }));
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let set = build(1 << 50, &[123_456_789].into());
        let mut both = union([&set, &set]).unwrap();
        let shown = |both: &Combined<'_>| std::format!("{both:?}");
        assert!(shown(&both).starts_with("Combined {"));
        assert!(!shown(&both).contains("123456789"));
        both.next();
        assert!(!shown(&both).contains("123456789"));
    }
}

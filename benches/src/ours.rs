//! Our side: the one file that knows how gcs-core is called.

use std::cell::RefCell;

use gcs_core::set::SetBuilder;
use gcs_core::set::algebra::Operation;
use gcs_core::{Delta, ElementHasher, IndexedSet, Set};

use crate::data::{Element, SALT, SEEDS, SplitMix64, elements};
use crate::plan::Plan;
use crate::structure::{Adapter, Fingerprints, Key, Keys, Structure, boxed};
use crate::timing::Case;

/// Bytes of a set's file that are not code: the header and the trailer.
pub const SET_FRAME: usize = 48 + 32;

/// Bytes of a delta's file that are not code: the header, the fixed part of the body, the trailer.
pub const DELTA_FRAME: usize = 104 + 28 + 32;

/// The set's file as it is: queries decode it.
pub const PLAIN: Structure = Structure {
    name: "ours",
    package: "gcs-core",
    build: boxed::<Plain>,
    rate: Plan::rate,
    is_indexed: false,
    is_listable: true,
    takes_hashes: true,
};

/// The set with its index in memory.
pub const INDEXED: Structure =
    Structure { name: "ours with index", build: boxed::<Indexed>, is_indexed: true, ..PLAIN };

/// The set of the keys.
fn build_set<K: Key>(plan: &Plan, keys: &[K]) -> Set {
    let set = match K::keys(keys) {
        Keys::Elements(elements) => Set::build(SALT, plan.range(), elements),
        Keys::Hashes(hashes) => {
            let fingerprints = Fingerprints::new(plan);
            let values = hashes.iter().map(|hash| fingerprints.of(hash));
            Set::from_fingerprints(SALT, plan.range(), values)
        }
    };
    set.expect("fewer than 2^32 elements, and fingerprints of the range")
}

/// The set of the plan's first elements.
pub fn set(plan: &Plan, elements: &[Element]) -> Set {
    build_set(plan, elements)
}

/// The same by the threads of rayon's current pool.
pub fn set_by_threads(plan: &Plan, elements: &[Element]) -> Set {
    Set::build_parallel(SALT, plan.range(), elements).expect("fewer than 2^32 elements")
}

/// A set, of which every query is a scan.
struct Plain {
    fingerprints: Fingerprints,
    set: Set,
}

impl Adapter for Plain {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Plain {
        Plain { fingerprints: Fingerprints::new(plan), set: build_set(plan, keys) }
    }

    fn contains<K: Key>(&self, key: &K) -> bool {
        match K::keys(std::slice::from_ref(key)) {
            Keys::Elements(elements) => elements.iter().any(|element| self.set.contains(element)),
            Keys::Hashes(_) => self.set.contains_fingerprint(self.fingerprints.of(key)),
        }
    }

    fn matches<K: Key>(&self, keys: &[K]) -> Vec<usize> {
        let matches = match K::keys(keys) {
            Keys::Elements(elements) => self.set.matches(elements),
            Keys::Hashes(hashes) => {
                let values = hashes.iter().map(|hash| self.fingerprints.of(hash));
                self.set.matches_fingerprints(values)
            }
        };
        matches.into_iter().map(|found| found.query).collect()
    }

    /// One scan for all: a scan each would take days.
    fn count<K: Key>(&self, keys: &[K]) -> usize {
        self.matches(keys).len()
    }

    fn decode(&self, _: &Element) -> Option<u64> {
        Some(self.set.iter().fold(0, u64::wrapping_add))
    }

    fn bytes(&self) -> usize {
        self.set.as_bytes().len()
    }
}

/// A set and its index in memory.
struct Indexed {
    fingerprints: Fingerprints,
    set: IndexedSet,
}

impl Adapter for Indexed {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Indexed {
        let set = build_set(plan, keys).into_indexed();
        Indexed { fingerprints: Fingerprints::new(plan), set }
    }

    #[inline]
    fn contains<K: Key>(&self, key: &K) -> bool {
        match K::keys(std::slice::from_ref(key)) {
            Keys::Elements(elements) => elements.iter().any(|element| self.set.contains(element)),
            Keys::Hashes(_) => self.set.contains_fingerprint(self.fingerprints.of(key)),
        }
    }

    fn matches<K: Key>(&self, keys: &[K]) -> Vec<usize> {
        let matches = match K::keys(keys) {
            Keys::Elements(elements) => self.set.matches(elements),
            Keys::Hashes(hashes) => {
                let values = hashes.iter().map(|hash| self.fingerprints.of(hash));
                self.set.matches_fingerprints(values)
            }
        };
        matches.into_iter().map(|found| found.query).collect()
    }

    fn decode(&self, _: &Element) -> Option<u64> {
        Some(self.set.set().iter().fold(0, u64::wrapping_add))
    }

    /// The file and its index.
    fn bytes(&self) -> usize {
        self.set.set().as_bytes().len() + self.set.memory()
    }
}

/// Validates a file and builds its index. Returns the number of elements, 0 if it is not valid.
pub fn parse_and_index(bytes: &[u8]) -> u64 {
    IndexedSet::parse(bytes).map_or(0, |set| u64::from(set.set().len()))
}

/// Name of [`rebuilding`] in tables.
pub const ONE_BUILDER: &str = "ours (one builder)";

/// Building the same set again and again with one builder, which keeps its memory.
pub fn rebuilding<'a>(plan: &Plan, keys: Keys<'a>) -> Case<'a> {
    let fingerprints = Fingerprints::new(plan);
    let builder = RefCell::new(SetBuilder::new(SALT, plan.range()));
    Case::new(ONE_BUILDER, keys.len(), move || {
        let mut builder = builder.borrow_mut();
        match keys {
            Keys::Elements(elements) => builder.extend(elements),
            Keys::Hashes(hashes) => {
                let values = hashes.iter().map(|hash| fingerprints.of(hash));
                values.for_each(|value| builder.push_fingerprint(value).expect("it is in range"));
            }
        }
        builder.finish().map_or(0, |set| set.as_bytes().len() as u64)
    })
}

/// The set that an operation makes of two sets of one plan.
pub fn combined(operation: Operation, sets: &[Set]) -> Set {
    let combined = operation.of(sets).expect("sets of one salt and hash range");
    combined.to_set().expect("fewer than 2^32 elements")
}

/// The sum of the fingerprints of elements, hashed as a build hashes them.
pub fn sum_of_fingerprints(hasher: &ElementHasher, elements: &[Element]) -> u64 {
    hasher.fingerprints(elements).fold(0, u64::wrapping_add)
}

/// A base set and the set a day later: `changed` of the elements removed, as many others added.
pub fn changed_by(plan: &Plan, changed: usize) -> (Set, Set) {
    let mut elements = elements(SEEDS.base, plan.len);
    let base = set(plan, &elements);
    let changed = changed.min(plan.len);
    elements[..changed].copy_from_slice(&crate::data::elements(SEEDS.added, changed));
    (base, set(plan, &elements))
}

/// The delta from one set to another of the same plan.
pub fn between(base: &Set, target: &Set) -> Delta {
    Delta::between(base, target).expect("sets of one salt and hash range")
}

/// An element whose fingerprint is above all of the set, so that a search for it decodes the
/// whole set and finds nothing.
pub fn beyond(set: &Set) -> Element {
    let (hasher, last) = (set.hasher(), set.iter().last());
    SplitMix64::new(SEEDS.queries)
        .find(|element| Some(hasher.fingerprint(element)) > last)
        .expect("the generator does not end")
}

/// The hasher that our sets of this plan use.
pub fn hasher(plan: &Plan) -> ElementHasher {
    ElementHasher::new(SALT, plan.range())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside the frame, a set has its code and nothing else.
    #[test]
    fn frames_are_what_files_without_code_take() {
        let empty = set(&Plan::new(0), &[]);
        assert_eq!(empty.as_bytes().len(), SET_FRAME);
        assert_eq!(between(&empty, &empty).as_bytes().len(), DELTA_FRAME);
    }

    #[test]
    fn nothing_is_beyond_the_end() {
        let plan = Plan::new(20_000);
        let set = set(&plan, &elements(SEEDS.base, plan.len));
        let fingerprint = set.hasher().fingerprint(&beyond(&set));
        assert!(set.iter().all(|value| value < fingerprint));
    }

    #[test]
    fn threads_build_the_same() {
        let plan = Plan::new(50_000);
        let elements = elements(SEEDS.base, plan.len);
        assert_eq!(set_by_threads(&plan, &elements), set(&plan, &elements));
    }

    #[test]
    fn changes_are_removed_and_added() {
        let (base, target) = changed_by(&Plan::new(20_000), 200);
        let delta = between(&base, &target);
        assert_eq!((delta.removed_len(), delta.added_len()), (200, 200));
        assert_eq!(delta.apply(&base), Ok(target));
    }
}

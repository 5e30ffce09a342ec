//! The elements and hashes from which structures are built, and for which they are asked.

use std::cell::Cell;

use crate::QUERIES;
use crate::data::{Element, SEEDS, SplitMix64, elements};
use crate::ours;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::structure::{Keys, sip_hasher};

/// Most queries that a pool holds.
const POOL: usize = 1_000_000;

/// Elements, or their hashes if hashing is not measured, given out whole or by batches.
pub struct Pool {
    elements: Vec<Element>,
    hashes: Option<Vec<u64>>,
    next: Cell<usize>,
}

impl Pool {
    /// A pool of these elements.
    pub fn of(elements: Vec<Element>, settings: &Settings) -> Pool {
        let hasher = sip_hasher();
        let hash = |elements: &[Element]| elements.iter().map(|e| hasher.hash(e)).collect();
        let hashes = (!settings.is_hashing).then(|| hash(&elements));
        Pool { elements, hashes, next: Cell::new(0) }
    }

    /// The elements of which the sets are made.
    pub fn base(plan: &Plan, settings: &Settings) -> Pool {
        Pool::of(elements(SEEDS.base, plan.len), settings)
    }

    /// Elements that are in the sets: of a large set, a million of them.
    pub fn present(plan: &Plan, settings: &Settings) -> Pool {
        Pool::of(elements(SEEDS.base, plan.len.min(POOL)), settings)
    }

    /// A million elements of which none is in the sets, not even by accident: their fingerprints
    /// differ from all that sets of fingerprints hold. So `bip158`, which stops at the first match,
    /// reads to the end.
    pub fn absent(plan: &Plan, settings: &Settings) -> Pool {
        let set = ours::set(plan, &elements(SEEDS.base, plan.len));
        let mut queries = elements(SEEDS.queries, POOL);
        let found = set.matches(&queries);
        for found in found.iter().rev() {
            queries.swap_remove(found.query);
        }
        Pool::of(queries, settings)
    }

    /// All of them.
    pub fn all(&self) -> Keys<'_> {
        self.part(0, self.elements.len())
    }

    /// The next batch of 10,000, or of all if there are fewer: another one at each call, so that
    /// neither caches nor the branch predictor have seen the same queries just before.
    pub fn batch(&self) -> Keys<'_> {
        let start = self.next.get();
        let len = self.elements.len().min(QUERIES);
        let start = if start + len > self.elements.len() { 0 } else { start };
        self.next.set(start + len);
        self.part(start, len)
    }

    fn part(&self, start: usize, len: usize) -> Keys<'_> {
        match &self.hashes {
            Some(hashes) => Keys::Hashes(&hashes[start..start + len]),
            None => Keys::Elements(&self.elements[start..start + len]),
        }
    }
}

/// Absent elements of which nothing is known but that they were not put in, in batches.
pub fn unknown(count: usize) -> impl Iterator<Item = Vec<Element>> {
    let mut generator = SplitMix64::new(SEEDS.queries);
    (0..count.div_ceil(POOL)).map(move |batch| {
        let len = (count - batch * POOL).min(POOL);
        generator.by_ref().take(len).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures;

    #[test]
    fn batches_go_round_and_hold_nothing_that_matches() {
        let (plan, settings) = (Plan::new(2_000), Settings::default());
        let pool = Pool::absent(&plan, &settings);
        let Keys::Elements(first) = pool.batch() else { panic!("hashing is included") };
        let Keys::Elements(second) = pool.batch() else { panic!("hashing is included") };
        assert_eq!((first.len(), second.len()), (QUERIES, QUERIES));
        assert_ne!(first[0], second[0]);
        for _ in 2..pool.all().len() / QUERIES {
            pool.batch();
        }
        let Keys::Elements(again) = pool.batch() else { panic!("hashing is included") };
        assert_eq!(first[0], again[0]);
        let base = Pool::base(&plan, &settings);
        for structure in structures().iter().filter(|s| (s.rate)(&plan) == plan.rate()) {
            if structure.name != "fastbloom" {
                let built = (structure.build)(&plan, base.all());
                assert_eq!(built.matches(pool.batch()), 0, "{}", structure.name);
            }
        }
    }

    #[test]
    fn hashes_stand_for_the_elements() {
        let plan = Plan { len: 500, rate_bits: 19 };
        let settings = Settings { is_hashing: false, ..Settings::default() };
        let base = Pool::base(&plan, &settings);
        let Keys::Hashes(hashes) = base.all() else { panic!("hashing is excluded") };
        assert_eq!(hashes.len(), 500);
        assert_eq!(hashes[7], sip_hasher().hash(&elements(SEEDS.base, 8)[7]));
    }

    #[test]
    fn unknown_elements_come_to_the_count() {
        let batches: Vec<usize> = unknown(POOL + 3).map(|batch| batch.len()).collect();
        assert_eq!(batches, [POOL, 3]);
    }
}

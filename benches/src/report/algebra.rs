//! The section on sets that are combined.

use std::error::Error;
use std::fmt::Write as _;

use gcs_core::Set;
use gcs_core::set::algebra::Operation;
use roaring::RoaringTreemap;

use super::times::Times;
use super::{Scope, Section, words};
use crate::data::{SEEDS, elements};
use crate::ours;
use crate::timing::{Case, interleave};

/// An operation of ours and of the peer, with its names.
type Pair = (&'static str, &'static str, &'static str, Operation, Combine);
/// An operation of the peer.
type Combine = fn(&RoaringTreemap, &RoaringTreemap) -> RoaringTreemap;

const OPERATIONS: [Pair; 4] = [
    ("union", "ours: union", "roaring: union", Operation::Union, |a, b| a | b),
    (
        "intersection",
        "ours: intersection",
        "roaring: intersection",
        Operation::Intersection,
        |a, b| a & b,
    ),
    ("difference", "ours: difference", "roaring: difference", Operation::Difference, |a, b| a - b),
    (
        "symmetric difference",
        "ours: symmetric difference",
        "roaring: symmetric difference",
        Operation::SymmetricDifference,
        |a, b| a ^ b,
    ),
];

/// Parts of which one set is put together.
const PARTS: usize = 14;

/// Two sets, of which each has half of its elements in common with the other.
fn two_sets(scope: &Scope, len: usize) -> [Set; 2] {
    let plan = scope.plan(len);
    let elements = elements(SEEDS.base, len + len / 2);
    [ours::set(&plan, &elements[..len]), ours::set(&plan, &elements[len / 2..])]
}

/// Sets combined with sets.
pub(super) fn algebra(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut times = Times::default();
    let mut section = Section::new("Algebra", String::new());
    let mut sentences = String::new();
    for &len in &scope.settings.lens {
        scope.say(&format!("algebra, n = {len}"));
        let sets = two_sets(scope, len);
        let bitmaps: Vec<RoaringTreemap> = sets
            .iter()
            .map(|set| RoaringTreemap::from_sorted_iter(set.iter()))
            .collect::<Result<_, _>>()?;
        let all = elements(SEEDS.base, len);
        let plan = scope.plan(len);
        let parts: Vec<Set> =
            all.chunks(len.div_ceil(PARTS)).map(|part| ours::set(&plan, part)).collect();
        let read = || sets.iter().flat_map(Set::iter).fold(0, u64::wrapping_add);
        let mut cases = vec![Case::new("ours: decode both", 2 * len, read)];
        for (_, name, peer, operation, combine) in OPERATIONS {
            let (sets, bitmaps) = (&sets, &bitmaps);
            cases.push(Case::new(name, 2 * len, move || {
                u64::from(ours::combined(operation, sets).len())
            }));
            cases.push(Case::new(peer, 2 * len, move || combine(&bitmaps[0], &bitmaps[1]).len()));
        }
        cases.push(Case::new("ours: union of 14 parts", len, || {
            u64::from(ours::combined(Operation::Union, &parts).len())
        }));
        times.add(len, interleave(&cases, scope.passes(len)));
        for (operation, name, peer, ..) in OPERATIONS {
            let median = |name| times.median(name, len).unwrap_or(f64::NAN);
            let line = words::faster(("ours", median(name)), ("roaring", median(peer)));
            let n = words::count(len);
            let _written = writeln!(sentences, "- {operation}, n = {n}: {line}.");
            section.glance.push((format!("algebra, {operation}"), n, line));
        }
    }
    section.text = format!(
        "Nanoseconds an element of all sets. Two sets of n elements share half of them; ours gives a \
         whole file, coded and with its SHA-256, roaring a bitmap in memory. The 14 parts together \
         are one set of n elements, and their union is that set byte for byte. The other peers that \
         list what they hold have no such operations.\n\n{}\n{sentences}",
        times.table(),
    );
    section.csvs.push(("algebra.csv", times.csv()));
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_combine_to_the_same_numbers() {
        let scope = Scope::of_environment(true, "unused".into(), "unused".into()).unwrap();
        let sets = two_sets(&scope, 2_000);
        let [a, b] =
            sets.each_ref().map(|set| RoaringTreemap::from_sorted_iter(set.iter()).unwrap());
        for (operation, _, _, of_ours, peer) in OPERATIONS {
            let combined = ours::combined(of_ours, &sets);
            assert!(combined.iter().eq(peer(&a, &b)), "{operation}");
            let expected = match operation {
                "union" => 3_000,
                "intersection" | "difference" => 1_000,
                _ => 2_000,
            };
            assert_eq!(combined.len(), expected, "{operation}");
        }
    }
}

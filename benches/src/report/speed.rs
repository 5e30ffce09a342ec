//! The sections that time all structures: build, decode, contains, batch.

use std::error::Error;

use super::times::Times;
use super::{Scope, Section};
use crate::data::{Element, SEEDS, elements};
use crate::queries::Pool;
use crate::structure::{Built, Structure};
use crate::timing::{Case, interleave};
use crate::{QUERIES, ours, structures};

/// The structures that take part: all, or those that take hashes when hashing is excluded.
pub(super) fn taking_part(scope: &Scope) -> Vec<Structure> {
    let is_hashing = scope.settings.is_hashing;
    structures().into_iter().filter(|structure| is_hashing || structure.takes_hashes).collect()
}

/// The title of a plot, which says whether hashing is part of it.
fn titled(scope: &Scope, what: &str) -> String {
    format!("{what}, hashing {}", if scope.settings.is_hashing { "included" } else { "excluded" })
}

/// Building from elements.
pub(super) fn build(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut times = Times::default();
    let structures = taking_part(scope);
    for &len in &scope.settings.lens {
        scope.say(&format!("build, n = {len}"));
        let plan = scope.plan(len);
        let base = Pool::base(&plan, &scope.settings);
        let (base, plan) = (&base, &plan);
        let mut cases: Vec<Case<'_>> = structures
            .iter()
            .map(|structure| {
                let build = structure.build;
                Case::new(structure.name, len, move || build(plan, base.all()).bytes() as u64)
            })
            .collect();
        cases.insert(2, ours::rebuilding(plan, base.all()));
        times.add(len, interleave(&cases, scope.passes(len)));
    }
    let text = format!(
        "Nanoseconds an element, from elements in memory to a structure that can be asked or sent. \
         Ours hashes, sorts, codes, and computes the SHA-256 that the file ends with. \
         *{}* also builds the index in memory; *{}* builds one set after another and keeps its \
         memory.\n\n{}\n{}\nWith one builder:\n\n{}",
        ours::INDEXED.name,
        ours::ONE_BUILDER,
        times.table(),
        times.sentences(ours::PLAIN.name),
        times.sentences(ours::ONE_BUILDER),
    );
    let mut section = Section::new("Build", text);
    section.times("build.csv", &times, ours::PLAIN.name, &["bip158", "BinaryFuse16", "sux EfDict"]);
    section.glance(&times, "build, one builder", ours::ONE_BUILDER, &["BinaryFuse16"]);
    section.plots.push(times.plot("build.svg", &titled(scope, "Build"), "ns an element"));
    Ok(section)
}

/// Structures of one n, built once.
struct Stand {
    built: Vec<(Structure, Box<dyn Built>)>,
}

impl Stand {
    fn new(scope: &Scope, len: usize, takes_part: impl Fn(&Structure) -> bool) -> Stand {
        let plan = scope.plan(len);
        let base = Pool::base(&plan, &scope.settings);
        let structures = taking_part(scope).into_iter().filter(takes_part);
        let built =
            structures.map(|structure| (structure, (structure.build)(&plan, base.all()))).collect();
        Stand { built }
    }

    fn cases<'a>(
        &'a self,
        operations: usize,
        run: impl Fn(&dyn Built) -> u64 + Copy + 'a,
    ) -> Vec<Case<'a>> {
        let case = |(structure, built): &'a (Structure, Box<dyn Built>)| {
            Case::new(structure.name, operations, move || run(&**built))
        };
        self.built.iter().map(case).collect()
    }
}

/// Decoding everything in order.
pub(super) fn decode(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut times = Times::default();
    for &len in &scope.settings.lens {
        scope.say(&format!("decode, n = {len}"));
        let stand = Stand::new(scope, len, |one| one.is_listable && one.name != ours::INDEXED.name);
        let plan = scope.plan(len);
        let beyond = ours::beyond(&ours::set(&plan, &elements(SEEDS.base, len)));
        let read = |built: &dyn Built| built.decode(&beyond).unwrap_or(0);
        times.add(len, interleave(&stand.cases(len, read), scope.passes(len)));
    }
    let text = format!(
        "Nanoseconds an element: all values in order, added up. `bip158` has no iterator: it looks \
         for an element beyond its last. The other peers cannot list what they hold.\n\n{}\n{}",
        times.table(),
        times.sentences(ours::PLAIN.name),
    );
    let mut section = Section::new("Decode", text);
    section.times("decode.csv", &times, ours::PLAIN.name, &["bip158", "sux EfDict"]);
    Ok(section)
}

/// One query after another.
pub(super) fn contains(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let (mut absent, mut present) = (Times::default(), Times::default());
    for &len in &scope.settings.lens {
        scope.say(&format!("contains, n = {len}"));
        let stand = Stand::new(scope, len, |one| one.is_indexed);
        let plan = scope.plan(len);
        for (times, queries) in [
            (&mut absent, Pool::absent(&plan, &scope.settings)),
            (&mut present, Pool::present(&plan, &scope.settings)),
        ] {
            let batch = queries.batch().len();
            let ask = |built: &dyn Built| built.count(queries.batch()) as u64;
            times.add(len, interleave(&stand.cases(batch, ask), scope.passes(len)));
        }
    }
    let indexed = ours::INDEXED.name;
    let text = format!(
        "Nanoseconds a query, one query after another, each for another element. Without its index, \
         one query of a Golomb-coded set decodes half of it on average; so `bip158` is not here, and \
         neither is our file without its index.\n\nAbsent elements:\n\n{}\n{}\nPresent elements:\n\n{}\n{}",
        absent.table(),
        absent.sentences(indexed),
        present.table(),
        present.sentences(indexed),
    );
    let mut section = Section::new("Single query", text);
    section.times("contains-absent.csv", &absent, indexed, &["sux EfDict", "BinaryFuse16"]);
    section.csvs.push(("contains-present.csv", present.csv()));
    let title = titled(scope, "Single query for an absent element");
    section.plots.push(absent.plot("contains.svg", &title, "ns a query"));
    Ok(section)
}

/// 10,000 queries at once.
pub(super) fn batch(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut times = Times::default();
    for &len in &scope.settings.lens {
        scope.say(&format!("batch, n = {len}"));
        let stand = Stand::new(scope, len, |_| true);
        let queries = Pool::absent(&scope.plan(len), &scope.settings);
        let ask = |built: &dyn Built| built.matches(queries.batch()) as u64;
        times.add(len, interleave(&stand.cases(QUERIES, ask), scope.passes(len)));
    }
    let (plain, indexed) = (ours::PLAIN.name, ours::INDEXED.name);
    let text = format!(
        "Nanoseconds a query: 10,000 absent elements at once, another 10,000 each time; the answer is \
         which of them match (`bip158`: whether any does). *{plain}* and `bip158` decode the whole set \
         once; the others look each element up.\n\n{}\nFrom the index:\n\n{}\nBy one pass over the file:\n\n{}",
        times.table(),
        times.sentences(indexed),
        times.sentences(plain),
    );
    let mut section = Section::new("Batch of 10,000 queries", text);
    section.times("batch.csv", &times, indexed, &["bip158", "sux EfDict", "BinaryFuse16"]);
    section.glance(&times, "batch, one pass", plain, &["bip158"]);
    let title = titled(scope, "Batch of 10,000 absent elements");
    section.plots.push(times.plot("batch.svg", &title, "ns a query"));
    Ok(section)
}

/// Hashing one element after another.
pub(super) fn hash(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    scope.say("hash");
    let len = QUERIES;
    let plan = scope.plan(scope.settings.middle());
    let elements: Vec<Element> = elements(SEEDS.base, len);
    let (hasher, peer) = (ours::hasher(&plan), crate::structure::Fingerprints::new(&plan));
    let cases = [
        Case::new("ours", len, || ours::sum_of_fingerprints(&hasher, &elements)),
        Case::new("ours (one by one)", len, || {
            elements.iter().map(|element| hasher.fingerprint(element)).fold(0, u64::wrapping_add)
        }),
        Case::new("siphasher", len, || {
            elements.iter().map(|element| peer.of(element)).fold(0, u64::wrapping_add)
        }),
    ];
    let mut times = Times::default();
    times.add(len, interleave(&cases, scope.passes(1)));
    let text = format!(
        "Nanoseconds a hash: 10,000 elements by SipHash-2-4, mapped into the range; ours as builds and \
         batches hash them, and one by one. The `siphasher` crate is what all peers hash with.\n\n{}\n{}",
        times.table(),
        times.sentences("ours"),
    );
    let mut section = Section::new("Hash", text);
    section.times("hash.csv", &times, "ours", &["siphasher"]);
    Ok(section)
}

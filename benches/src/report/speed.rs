//! The sections that time structures: build, decode, contains, batch.

use std::error::Error;

use super::times::Times;
use super::{Scope, Section};
use crate::data::{Element, SEEDS, elements};
use crate::queries::Pool;
use crate::structure::{Built, Structure};
use crate::timing::{Case, Passes, Timing, interleave};
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
    passes: Passes,
}

impl Stand {
    fn new(scope: &Scope, len: usize) -> Stand {
        let plan = scope.plan(len);
        let base = Pool::base(&plan, &scope.settings);
        let structures = taking_part(scope).into_iter();
        let built =
            structures.map(|structure| (structure, (structure.build)(&plan, base.all()))).collect();
        Stand { built, passes: scope.passes(len) }
    }

    /// Times the same work of all structures that can do it.
    fn time(
        &self,
        operations: usize,
        takes_part: impl Fn(&Structure) -> bool,
        run: impl Fn(&dyn Built) -> u64,
    ) -> Vec<Timing> {
        let run = &run;
        let built = self.built.iter().filter(|(structure, _)| takes_part(structure));
        let cases: Vec<Case<'_>> = built
            .map(|(structure, built)| Case::new(structure.name, operations, move || run(&**built)))
            .collect();
        interleave(&cases, self.passes)
    }
}

/// What structures that are built once are timed at.
#[derive(Default)]
pub(super) struct Answers {
    decode: Times,
    absent: Times,
    present: Times,
    batch: Times,
}

impl Answers {
    /// Times all structures at every n.
    pub(super) fn measure(scope: &Scope) -> Answers {
        let mut answers = Answers::default();
        for &len in &scope.settings.lens {
            scope.say(&format!("structures to ask, n = {len}"));
            answers.measure_at(scope, len);
        }
        answers
    }

    fn measure_at(&mut self, scope: &Scope, len: usize) {
        let plan = scope.plan(len);
        let stand = Stand::new(scope, len);
        let beyond = ours::beyond(&ours::set(&plan, &elements(SEEDS.base, len)));
        let absent = Pool::absent(&plan, &scope.settings);
        let present = Pool::present(&plan, &scope.settings);

        scope.say(&format!("decode, n = {len}"));
        let lists = |one: &Structure| one.is_listable && one.name != ours::INDEXED.name;
        let decode = |built: &dyn Built| built.decode(&beyond).unwrap_or(0);
        self.decode.add(len, stand.time(len, lists, decode));

        scope.say(&format!("contains, n = {len}"));
        for (times, queries) in [(&mut self.absent, &absent), (&mut self.present, &present)] {
            let operations = queries.batch().len();
            let ask = |built: &dyn Built| built.count(queries.batch()) as u64;
            times.add(len, stand.time(operations, |one| one.is_indexed, ask));
        }

        scope.say(&format!("batch, n = {len}"));
        let ask = |built: &dyn Built| built.matches(absent.batch()) as u64;
        self.batch.add(len, stand.time(QUERIES, |_| true, ask));
    }

    /// Decoding everything in order.
    pub(super) fn decode(&self) -> Section {
        let times = &self.decode;
        let text = format!(
            "Nanoseconds an element: all values in order, added up. `bip158` has no iterator: it looks \
             for an element beyond its last. The other peers cannot list what they hold.\n\n{}\n{}",
            times.table(),
            times.sentences(ours::PLAIN.name),
        );
        let mut section = Section::new("Decode", text);
        section.times("decode.csv", times, ours::PLAIN.name, &["bip158", "sux EfDict"]);
        section
    }

    /// One query after another.
    pub(super) fn contains(&self, scope: &Scope) -> Section {
        let (absent, present, indexed) = (&self.absent, &self.present, ours::INDEXED.name);
        let text = format!(
            "Nanoseconds a query, one query after another, each for another element. Without its index, \
             one query of a Golomb-coded set decodes half of it on average; so `bip158` is not here, and \
             neither is our file without its index.\n\nAbsent elements:\n\n{}\n{}\nPresent \
             elements:\n\n{}\n{}",
            absent.table(),
            absent.sentences(indexed),
            present.table(),
            present.sentences(indexed),
        );
        let mut section = Section::new("Single query", text);
        let peers = ["sux EfDict", "BinaryFuse16"];
        section.times("contains-absent.csv", absent, indexed, &peers);
        section.times("contains-present.csv", present, indexed, &peers);
        let title = titled(scope, "Single query for an absent element");
        section.plots.push(absent.plot("contains.svg", &title, "ns a query"));
        section
    }

    /// 10,000 queries at once.
    pub(super) fn batch(&self, scope: &Scope) -> Section {
        let (times, plain, indexed) = (&self.batch, ours::PLAIN.name, ours::INDEXED.name);
        let text = format!(
            "Nanoseconds a query: 10,000 absent elements at once, another 10,000 each time; the answer \
             is which of them match (`bip158`: whether any does). *{plain}* and `bip158` decode the \
             whole set once; the others look each element up.\n\n{}\nFrom the index:\n\n{}\nBy one \
             pass over the file:\n\n{}",
            times.table(),
            times.sentences(indexed),
            times.sentences(plain),
        );
        let mut section = Section::new("Batch of 10,000 queries", text);
        let peers = ["bip158", "sux EfDict", "BinaryFuse16"];
        section.times("batch.csv", times, indexed, &peers);
        section.glance(times, "batch, one pass", plain, &["bip158"]);
        let title = titled(scope, "Batch of 10,000 absent elements");
        section.plots.push(times.plot("batch.svg", &title, "ns a query"));
        section
    }
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

//! Whoever takes all export files has just the keys that are published.

use std::collections::BTreeMap;

use gcs_core::files::Path;
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::live::{Act, FillerKey, Live, LiveDay, LiveSeedDay, LiveSettings};
use gcs_core::publish::{Keys, Publication, Publisher, PublisherSettings};
use gcs_core::report::{Diagnosis, GaenKey, Item, Kinds};
use gcs_core::seeds::{SeedDay, SeedList};
use gcs_core::{Date, Version};
use proptest::prelude::*;

use crate::phone::{Phone, Shelf};
use crate::{date, settings, signing_key};

/// What a report has: keys of some dates, every other one of two dates.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = (0u32..6, 0u8..8, any::<bool>()).prop_map(|(at, secret, is_likely)| {
        let diagnosis = if is_likely { Diagnosis::Likely } else { Diagnosis::Confirmed };
        let start = (date(at).start() / 600) as u32 + if secret % 2 == 0 { 0 } else { 72 };
        let bytes = [secret * 8 + at as u8; 16];
        Item::Gaen(GaenKey { diagnosis, ..GaenKey::new(bytes, start, 144) })
    });
    prop::collection::vec(item, 1..5)
}

#[derive(Clone, Debug)]
enum Step {
    Report(Vec<Item>),
    Correct(Act, usize),
    Tick(u64),
    /// From now on exports are so far apart.
    Interval(u64),
    /// A new series.
    Series,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    let interval = prop_oneof![Just(900u64), Just(14_400), Just(86_400)];
    let step = prop_oneof![
        6 => items().prop_map(Step::Report),
        4 => (act, 0usize..12).prop_map(|(act, at)| Step::Correct(act, at)),
        10 => (600u64..30_000).prop_map(Step::Tick),
        1 => interval.prop_map(Step::Interval),
        1 => Just(Step::Series),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a tick is made of.
struct Input {
    version: Version,
    now: u64,
    interval: u64,
    days: Vec<LiveDay>,
    lists: Vec<SeedDay>,
}

impl Input {
    fn ready(&self, publisher: &Publisher) -> Publisher {
        let publisher = publisher.begin_series(self.version.series);
        publisher.with_exports(settings(self.interval), self.lists.clone())
    }

    fn publish(&self, publisher: &Publisher, keys: &Keys) -> Publication {
        self.ready(publisher).publish(self.version.tick, self.now, &self.days, keys).unwrap()
    }

    fn skip(&self, publisher: &Publisher, keys: &Keys) -> Publisher {
        let (tick, derivation) = (self.version.tick, &keys.derivation);
        self.ready(publisher).skip(tick, self.now, &self.days, derivation).unwrap()
    }

    /// The same after a purge of the reports of all dates before `since`.
    fn purge(&mut self, since: Date) {
        self.days.retain(|day| day.date() >= since);
        self.lists.retain(|list| list.date() >= since);
    }
}

/// The ticks of some steps, over dates that expire after three days.
fn inputs(steps: Vec<Step>, min_reports: u32) -> Vec<Input> {
    let retention = LiveSettings { retention_days: 3, max_hold: 7200, ..LiveSettings::default() };
    let live_settings = LiveSettings { min_reports, ..retention };
    let mut live = Live::new(FillerKey::new([7; 32]));
    let (mut now, mut version) = (date(3).start(), Version { series: 1, tick: 0 });
    let (mut interval, mut number) = (14_400, 0);
    let mut inputs = Vec::new();
    for step in steps {
        match step {
            Step::Report(items) => {
                number += 1;
                let counts = |item: &&Item| {
                    !item.counts(now).any(|(date, _)| date.is_expired(now, 3) || date.start() > now)
                };
                let items: Vec<Item> = items.iter().filter(counts).cloned().collect();
                live.add(number, now, items.iter().flat_map(|item| item.elements(now))).unwrap();
                live.add_seeds(number, items.iter().filter_map(|item| item.seed(now)));
            }
            Step::Correct(act, at) => live.correct(act, at as u64 + 1),
            Step::Interval(other) => interval = other,
            Step::Series => version = Version { series: version.series + 1, tick: 0 },
            Step::Tick(wait) => {
                (now, version.tick) = (now + wait, version.tick + 1);
                live.tick(version, now, &live_settings);
                let lists = LiveSeedDay::build_all(&live.seeds(Kinds::ALL)).unwrap();
                inputs.push(Input { version, now, interval, days: live.days(), lists });
            }
        }
    }
    inputs
}

fn keys_of(list: &SeedDay) -> Vec<ExportKey> {
    let list = SeedList::<ExportKey, _>::parse(list.as_bytes()).unwrap();
    let mut keys: Vec<ExportKey> = list.iter().collect();
    keys.sort_by_key(|key| key.key.to_bytes());
    keys
}

fn keys() -> Keys {
    Keys::from_secret([5; 32], date(900).start())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A phone that takes files as they come, and one that takes all of them at once, have the keys that
    /// were published at the last export; what has expired is not revoked.
    #[test]
    fn all_export_files_together_say_what_the_lists_hold(steps in steps(), min_reports in 1u32..3, misses: u32) {
        let (keys, public) = (keys(), signing_key().public());
        let mut publisher = Publisher::new(PublisherSettings::default(), 1);
        let (mut shelf, mut phone, mut often_off) = (Shelf::default(), Phone::default(), Phone::default());
        // Of each date what was exported last, also of dates that have expired.
        let mut expected: BTreeMap<Date, Vec<ExportKey>> = BTreeMap::new();
        for (at, input) in inputs(steps, min_reports).into_iter().enumerate() {
            let is_time = publisher.is_export_time(input.now, input.interval);
            let made = input.publish(&publisher, &keys);
            // The same from what was saved, as after a restart.
            let restored = Publisher::from_bytes(&publisher.to_bytes()).unwrap();
            let again = input.publish(&restored, &keys);
            prop_assert_eq!(&made.files, &again.files);
            prop_assert_eq!(&made.delete, &again.delete);
            prop_assert_eq!(made.publisher.to_bytes(), again.publisher.to_bytes());

            shelf.write(&made);
            let table = made.publisher.table().unwrap();
            for row in table.rows().iter().filter(|_| is_time) {
                let list = input.lists.iter().find(|list| list.date() == row.date);
                expected.insert(row.date, list.map(keys_of).unwrap_or_default());
            }
            let exports = made.publisher.exports().unwrap();
            prop_assert!(exports.files.iter().all(|(date, _)| table.row(*date).is_some()));
            let is_new = |path: Path| made.files.iter().any(|file| file.path == path);
            prop_assert!(is_time || !exports.paths().any(is_new));

            phone.take(&shelf, &made.manifest, &public);
            for (date, keys) in &expected {
                prop_assert!(phone.of(*date).into_iter().eq(keys), "{date}");
            }
            let mut late = Phone::default();
            late.take(&shelf, &made.manifest, &public);
            if misses >> (at % 32) & 1 == 0 {
                often_off.take(&shelf, &made.manifest, &public);
            } else {
                often_off = late.clone();
            }
            for phone in [&late, &often_off] {
                for row in table.rows() {
                    prop_assert!(phone.of(row.date).into_iter().eq(expected.get(&row.date).into_iter().flatten()));
                }
            }
            publisher = made.publisher;
        }
    }

    /// Publications that were left out, and reports of expired dates that are gone, change no byte of the
    /// export files that are named in the end.
    #[test]
    fn a_rebuild_after_a_purge_has_the_same_files(steps in steps(), skipped in any::<prop::sample::Index>()) {
        let keys = keys();
        let first = || Publisher::new(PublisherSettings::default(), 1);
        let mut inputs = inputs(steps, 1);
        prop_assume!(!inputs.is_empty());
        let (mut shelf, mut publisher, mut last) = (Shelf::default(), first(), None);
        for input in &inputs {
            let made = input.publish(&publisher, &keys);
            shelf.write(&made);
            (publisher, last) = (made.publisher, Some(made.manifest));
        }
        let (last, table) = (last.unwrap(), publisher.table().unwrap().clone());
        let kept = table.rows().first().map_or(Date::MAX, |row| row.date);
        inputs.iter_mut().for_each(|input| input.purge(kept));

        let (skips, publishes) = inputs.split_at(skipped.index(inputs.len()));
        let mut rebuilt = skips.iter().fold(first(), |publisher, input| input.skip(&publisher, &keys));
        let (mut again, mut manifest) = (Shelf::default(), None);
        for (at, input) in publishes.iter().enumerate() {
            // Also if it was saved between.
            let saved = Publisher::from_bytes(&rebuilt.to_bytes()).unwrap();
            prop_assert_eq!(saved.to_bytes(), rebuilt.to_bytes());
            let made = input.publish(if at == 0 { &saved } else { &rebuilt }, &keys);
            again.write(&made);
            (rebuilt, manifest) = (made.publisher, Some(made.manifest));
        }
        let manifest = manifest.unwrap();
        prop_assert_eq!(manifest.exports, last.exports);
        prop_assert_eq!(again.exports(&manifest), shelf.exports(&last));
        let interval = inputs.last().unwrap().interval;
        let soon = inputs.last().unwrap().now + 600;
        prop_assert_eq!(rebuilt.is_export_time(soon, interval), publisher.is_export_time(soon, interval));
    }
}

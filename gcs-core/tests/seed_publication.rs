//! Lists of seeds beside sets: from reports to files, and from files to what a phone expands.
#![cfg(feature = "protocol")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::files::{Manifest, Path, SeedBundle, SeedIndex, SeedRow, SeedTable};
use gcs_core::identifiers::dp3t::{DayKeys, HybridWindow, WindowSeed, low_cost_element};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::live::{Act, FillerKey, Live, LiveSeedDay, LiveSettings};
use gcs_core::publish::{Keys, Publication, Publisher, PublisherSettings};
use gcs_core::report::{GaenKey, Item, Kind, Kinds};
use gcs_core::seeds::{SeedDay, SeedKind, SeedList};
use gcs_core::{DAY_SECONDS, Date, Element, Version};
use proptest::prelude::*;

const FIRST: u32 = 20_000;

fn date(at: u32) -> Date {
    Date::from_days(FIRST + at).unwrap()
}

fn kinds() -> Vec<SeedKind> {
    Kind::ALL.into_iter().filter_map(Kind::seeds).collect()
}

/// The lists that are published.
fn lists_of(live: &Live) -> Vec<SeedDay> {
    LiveSeedDay::build_all(&live.seeds(Kinds::ALL)).unwrap()
}

/// The elements that a list's seeds expand to, by date, as a phone computes them.
fn expand(kind: u16, list: &[u8]) -> BTreeSet<(Date, Element)> {
    let of_time = |time: u64| Date::of_time(time);
    let mut found = BTreeSet::new();
    match kind {
        1 => SeedList::<DayKeys, _>::parse(list).unwrap().iter().for_each(|keys| {
            for key in keys.keys() {
                let ids = key.ephemeral_ids().map(|id| low_cost_element(&id, key.date()));
                found.extend(ids.map(|element| (key.date(), Element::from(&element[..]))));
            }
        }),
        2 => SeedList::<WindowSeed, _>::parse(list).unwrap().iter().for_each(|seed| {
            let date = of_time(u64::from(seed.window) * seed.windows.seconds());
            found.extend(seed.elements().map(|element| (date, Element::from(&element[..]))));
        }),
        _ => SeedList::<ExportKey, _>::parse(list).unwrap().iter().for_each(|export| {
            let dates = export.key.intervals().map(|at| of_time(u64::from(at) * 600));
            found.extend(dates.zip(export.key.identifiers().map(Element::from)));
        }),
    }
    found
}

/// What a report has: which kind, from which date on, and which secret.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = (0u8..4, 0u32..5, 0u8..12).prop_map(|(kind, at, secret)| match kind {
        0 => Item::Dp3tLowCost { date: date(at), key: [secret; 32] },
        1 => {
            let windows = HybridWindow::FourHours;
            let window = windows.of_time(date(at).start()).unwrap() + u32::from(secret % 6);
            Item::Dp3tHybrid { windows, window, seed: [secret; 16] }
        }
        _ => {
            // Every other key is of two dates.
            let start = (date(at).start() / 600) as u32 + if kind == 2 { 0 } else { 72 };
            Item::Gaen(GaenKey::new([secret; 16], start, 144))
        }
    });
    prop::collection::vec(item, 1..5)
}

#[derive(Clone, Debug)]
enum Step {
    Report(Vec<Item>),
    Correct(Act, usize),
    Tick(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    let step = prop_oneof![
        3 => items().prop_map(Step::Report),
        2 => (act, 0usize..20).prop_map(|(act, at)| Step::Correct(act, at)),
        4 => (600u64..30_000).prop_map(Step::Tick),
    ];
    prop::collection::vec(step, 1..40)
}

fn version(tick: u32) -> Version {
    Version { series: 1, tick }
}

/// The published elements without filler, which has 32 bytes.
fn published(live: &Live) -> BTreeSet<(Date, Element)> {
    let days = live.days();
    let of = |day: &gcs_core::live::LiveDay| {
        let date = day.date();
        let real = day.elements().filter(|element| element.len() < 32);
        real.map(|element| (date, Element::from(element))).collect::<Vec<_>>()
    };
    days.iter().flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Seeds are never published before all of their elements are, and leave with them; and once
    /// nothing waits, they expand to just what the sets hold.
    #[test]
    fn lists_expand_to_what_the_sets_hold(steps in steps(), min_reports in 1u32..4) {
        let settings = LiveSettings { min_reports, max_hold: 7200, retention_days: 3, ..LiveSettings::default() };
        let mut live = Live::new(FillerKey::new([7; 32]));
        let (mut now, mut tick) = (date(5).start(), 0);
        let mut sent: Vec<(u64, Vec<Item>, u64)> = Vec::new();
        let mut retracted = BTreeSet::new();
        let last = [Step::Tick(600), Step::Tick(2 * DAY_SECONDS)];
        for step in steps.into_iter().chain(last) {
            match step {
                Step::Report(items) => {
                    let number = sent.len() as u64 + 1;
                    let rules = |item: &&Item| !item.counts(now).any(|(date, _)| date.is_expired(now, 3));
                    let items: Vec<Item> = items.iter().filter(rules).cloned().collect();
                    live.add(number, now, items.iter().flat_map(|item| item.elements(now))).unwrap();
                    live.add_seeds(number, items.iter().filter_map(|item| item.seed(now)));
                    sent.push((number, items, now));
                }
                Step::Correct(act, at) => {
                    let number = at as u64 + 1;
                    live.correct(act, number);
                    if act == Act::Retract { retracted.insert(number); } else { retracted.remove(&number); }
                }
                Step::Tick(wait) => {
                    (now, tick) = (now + wait, tick + 1);
                    live.tick(version(tick), now, &settings);
                    let sets = published(&live);
                    let lists = lists_of(&live);
                    let mut listed = BTreeSet::new();
                    for list in &lists {
                        prop_assert!(live.days().iter().any(|day| day.date() == list.date()));
                        listed.extend(expand(list.kind().number(), list.as_bytes()));
                    }
                    for list in lists.iter().filter(|list| list.kind().number() == 1) {
                        let keys = SeedList::<DayKeys, _>::parse(list.as_bytes()).unwrap();
                        prop_assert!(keys.iter().all(|keys| !keys.first().date().is_expired(now, 3)));
                    }
                    let dates: BTreeSet<Date> = live.days().iter().map(gcs_core::live::LiveDay::date).collect();
                    listed.retain(|(date, _)| dates.contains(date));
                    prop_assert!(listed.is_subset(&sets));
                    // What all of a seed's dates have released is listed, once it has waited for long enough.
                    for (number, items, accepted) in &sent {
                        let is_out = |date| !live.has(*number, date)
                            || live.report(*number).unwrap().dates.iter()
                                .any(|brought| brought.date == date && brought.since.is_some());
                        for seed in items.iter().filter_map(|item| item.seed(*accepted)) {
                            let whole = items.iter().filter(|item| item.seed(*accepted).as_ref() == Some(&seed));
                            let of: Vec<_> = whole.flat_map(|item| item.elements(*accepted)).collect();
                            let is_late = seed.last.entry().max(*accepted) + 7200 <= now;
                            let is_due = is_late && of.iter().all(|(date, _)| is_out(*date))
                                && live.has(*number, seed.last) && !retracted.contains(number);
                            if is_due {
                                let of = of.into_iter().filter(|(date, _)| dates.contains(date));
                                prop_assert!(of.collect::<BTreeSet<_>>().is_subset(&listed));
                            }
                        }
                    }
                    let stored = postcard::to_allocvec(&live.image()).unwrap();
                    let mut reader = postcard::Deserializer::from_bytes(&stored);
                    let again = Live::restore(&mut reader, FillerKey::new([7; 32])).unwrap();
                    prop_assert_eq!(lists_of(&again), lists);
                    prop_assert_eq!(postcard::to_allocvec(&again).unwrap(), stored);
                }
            }
        }
        // Nothing waits any more: two days have passed.
        let mut listed = BTreeSet::new();
        for list in lists_of(&live) {
            listed.extend(expand(list.kind().number(), list.as_bytes()));
        }
        let dates: BTreeSet<Date> = live.days().iter().map(gcs_core::live::LiveDay::date).collect();
        listed.retain(|(date, _)| dates.contains(date));
        prop_assert_eq!(listed, published(&live));
    }
}

/// Of each list its kind and the number of its seeds.
fn counts(live: &Live) -> Vec<(u16, u64)> {
    let count = |list: &SeedDay| {
        let len = match list.kind().number() {
            2 => SeedList::<WindowSeed, _>::parse(list.as_bytes()).unwrap().len(),
            _ => SeedList::<ExportKey, _>::parse(list.as_bytes()).unwrap().len(),
        };
        (list.kind().number(), len.into())
    };
    lists_of(live).iter().map(count).collect()
}

/// Otherwise whoever compares lists with those of the tick before could tell which seeds are of one report.
#[test]
fn seeds_wait_for_those_of_other_reports() {
    use gcs_core::report::Diagnosis;

    let settings = LiveSettings { min_reports: 3, max_hold: 7200, ..LiveSettings::default() };
    let (mut now, mut tick) = (date(1).entry(), 0);
    let mut live = Live::new(FillerKey::new([7; 32]));
    let mut after = |live: &mut Live, now| {
        tick += 1;
        live.tick(version(tick), now, &settings);
        counts(live)
    };
    let windows = HybridWindow::FourHours;
    let window = windows.of_time(date(1).start()).unwrap();
    let hybrid = |byte| Item::Dp3tHybrid { windows, window, seed: [byte; 16] };
    let noon = (date(0).start() / 600) as u32 + 72;
    let key = |byte, start| Item::Gaen(GaenKey::new([byte; 16], start, 144));
    let mut reported = 0;
    let mut report = |live: &mut Live, now, items: &[Item]| {
        reported += 1;
        live.add(reported, now, items.iter().flat_map(|item| item.elements(now))).unwrap();
        live.add_seeds(reported, items.iter().filter_map(|item| item.seed(now)));
        reported
    };
    // Enough reports for the set, and for one list; of the other there is one key, of two dates.
    report(&mut live, now, &[hybrid(1), key(1, noon)]);
    report(&mut live, now, &[hybrid(2)]);
    report(&mut live, now, &[hybrid(3)]);
    assert_eq!(after(&mut live, now), [(2, 3)]);
    // One that is taken back does not count, and nor does one whose seeds are there already.
    let back = report(&mut live, now, &[key(9, noon + 72)]);
    live.retract(back);
    for _ in 0..3 {
        report(&mut live, now, &[key(1, noon), hybrid(1)]);
    }
    report(&mut live, now, &[key(2, noon + 72), hybrid(1)]);
    assert_eq!(after(&mut live, now + 900), [(2, 3)]);
    // With a third they come out, once the one of two dates does.
    report(&mut live, now + 900, &[key(3, noon + 72)]);
    report(&mut live, now + 900, &[hybrid(4)]);
    assert_eq!(after(&mut live, now + 1800), [(2, 3)]);
    now += 7200;
    assert_eq!(after(&mut live, now), [(2, 3), (3, 3)]);
    // The elements of the other one are out, and it waits for as long as it may.
    assert!(live.is_published(date(1), &hybrid(4).elements(now).next().unwrap().1));
    assert_eq!(after(&mut live, now + 899), [(2, 3), (3, 3)]);
    assert_eq!(after(&mut live, now + 900), [(2, 4), (3, 3)]);
    // A report that adds nothing to the sets waits as well.
    now += 1800;
    let GaenKey { key: bytes, .. } = GaenKey::new([3; 16], noon + 72, 144);
    let likely = GaenKey { diagnosis: Diagnosis::Likely, ..GaenKey::new(bytes, noon + 72, 144) };
    let only = report(&mut live, now, &[Item::Gaen(likely)]);
    live.retract(only - 2);
    assert_eq!(after(&mut live, now), [(2, 4), (3, 2)]);
    assert_eq!(after(&mut live, now + 7199), [(2, 4), (3, 2)]);
    assert_eq!(after(&mut live, now + 7200), [(2, 4), (3, 3)]);
}

/// A phone that holds lists, and takes bundles where they fit.
#[derive(Default)]
struct Phone {
    table: SeedTable,
    lists: BTreeMap<(Date, u16), Vec<u8>>,
}

type Files = BTreeMap<Path, Vec<u8>>;

impl Phone {
    fn seeds(&self, files: &Files, manifest: &Manifest) -> SeedIndex {
        let named = manifest.seeds.unwrap();
        let index = SeedIndex::parse(&files[&Path::Seeds(named.index.sha256)]).unwrap();
        assert_eq!(index.table.state(), named.state);
        index
    }

    /// Takes every list whole.
    fn fetch(&mut self, files: &Files, manifest: &Manifest) {
        let index = self.seeds(files, manifest);
        let list = |row: &SeedRow| ((row.date, row.kind), files[&Path::Seeds(row.sha256)].clone());
        self.lists = index.table.rows().iter().map(list).collect();
        self.table = index.table;
    }

    /// Applies the newest bundle that leads from what it holds; whether there is one.
    fn follow(&mut self, files: &Files, manifest: &Manifest) -> bool {
        let index = self.seeds(files, manifest);
        for entry in index.bundles.iter().rev().filter(|entry| entry.to == index.tick) {
            let bundle = SeedBundle::parse(&files[&Path::Seeds(entry.sha256)]).unwrap();
            if bundle.before() != self.table.state() {
                continue;
            }
            let list_of = |row: &SeedRow| self.lists.get(&(row.date, row.kind)).map(Vec::as_slice);
            let (table, lists) = bundle.apply(&self.table, &kinds(), list_of).unwrap();
            self.table = table;
            self.lists.retain(|(date, kind), _| self.table.row(*date, *kind).is_some());
            self.lists.extend(lists.into_iter().map(|(row, list)| ((row.date, row.kind), list)));
            return true;
        }
        false
    }
}

fn is_bundle(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GCSSDB")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn bundles_lead_to_the_lists_that_are_served(steps in steps(), breaks in any::<u16>()) {
        let settings = LiveSettings { min_reports: 1, retention_days: 3, ..LiveSettings::default() };
        let mut live = Live::new(FillerKey::new([7; 32]));
        let mut now = date(5).start();
        let keys = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
        let mut publisher = Publisher::new(PublisherSettings::default(), 1);
        let mut files = Files::new();
        let (mut phone, mut tick, mut number) = (Phone::default(), 0u32, 0);
        for step in steps {
            match step {
                Step::Report(items) => {
                    number += 1;
                    live.add(number, now, items.iter().flat_map(|item| item.elements(now))).unwrap();
                    live.add_seeds(number, items.iter().filter_map(|item| item.seed(now)));
                }
                Step::Correct(act, at) => live.correct(act, at as u64 + 1),
                Step::Tick(wait) => {
                    (now, tick) = (now + wait, tick + 1);
                    live.tick(version(tick), now, &settings);
                    let (days, lists) = (live.days(), lists_of(&live));
                    let ready = publisher.with_seeds(lists.clone());
                    let made: Publication = ready.publish_next(now, &days, &keys).unwrap();
                    // The same from what was saved, as after a restart.
                    let restored = Publisher::from_bytes(&publisher.to_bytes()).unwrap();
                    let again = restored.with_seeds(lists.clone()).publish_next(now, &days, &keys).unwrap();
                    prop_assert_eq!(&made.files, &again.files);
                    prop_assert_eq!(made.publisher.to_bytes(), again.publisher.to_bytes());
                    files.extend(made.files.iter().map(|file| (file.path, file.bytes.clone())));
                    for path in &made.delete {
                        files.remove(path);
                    }
                    for path in made.publisher.all_files() {
                        prop_assert!(files.contains_key(path), "{}", path);
                    }
                    // A phone that missed some ticks fetches everything.
                    if breaks >> (tick % 16) & 1 == 1 || !phone.follow(&files, &made.manifest) {
                        phone = Phone::default();
                        phone.fetch(&files, &made.manifest);
                    }
                    let held = phone.lists.values().map(Vec::as_slice);
                    prop_assert!(held.eq(lists.iter().map(SeedDay::as_bytes)));
                    prop_assert_eq!(Some(&phone.table), made.publisher.seed_table());
                    publisher = made.publisher;
                }
            }
        }
        prop_assert!(publisher.last_tick().is_none_or(|last| last < 2) || files.values().any(|file| is_bundle(file)));
    }
}

fn hybrid(secret: u8) -> Item {
    let windows = HybridWindow::FourHours;
    let window = windows.of_time(date(0).start()).unwrap();
    Item::Dp3tHybrid { windows, window, seed: [secret; 16] }
}

/// One step of publishing what is live.
fn publish(live: &mut Live, publisher: &Publisher, keys: &Keys, now: u64) -> Publication {
    let tick = publisher.last_tick().unwrap_or(0) + 1;
    live.tick(version(tick), now, &LiveSettings { min_reports: 1, ..LiveSettings::default() });
    let ready = publisher.with_seeds(lists_of(live));
    ready.publish_next(now, &live.days(), keys).unwrap()
}

#[test]
fn without_lists_nothing_speaks_of_seeds() {
    let (now, mut live) = (date(0).entry(), Live::new(FillerKey::new([7; 32])));
    live.add(1, now, hybrid(1).elements(now)).unwrap();
    live.add_seeds(1, hybrid(1).seed(now));
    live.tick(version(1), now, &LiveSettings { min_reports: 1, ..LiveSettings::default() });
    let keys = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
    let publisher = Publisher::new(PublisherSettings::default(), 1);
    let made = publisher.publish_next(now, &live.days(), &keys).unwrap();
    assert_eq!(made.manifest.seeds, None);
    assert!(!made.files.iter().any(|file| matches!(file.path, Path::Seeds(_))));
    let made = made.publisher.with_seeds(Vec::new());
    let made = made.publish_next(now, &live.days(), &keys).unwrap();
    assert_eq!(made.publisher.seed_table(), Some(&SeedTable::default()));
}

#[test]
fn a_seed_that_was_a_mistake_leaves_by_a_small_delta() {
    let mut now = date(0).entry();
    let mut live = Live::new(FillerKey::new([7; 32]));
    let keys = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
    for number in 1..=100 {
        live.add(number, now, hybrid(number as u8).elements(now)).unwrap();
        live.add_seeds(number, hybrid(number as u8).seed(now));
    }
    let first = publish(&mut live, &Publisher::new(PublisherSettings::default(), 1), &keys, now);
    live.retract(50);
    now += 900;
    let second = publish(&mut live, &first.publisher, &keys, now);
    let bundle = second.manifest.seeds.unwrap().bundle.unwrap();
    assert!(bundle.bytes < 400, "{}", bundle.bytes);
    // Nothing changes: no list is written again.
    let third = publish(&mut live, &second.publisher, &keys, now + 900);
    let lists = third.files.iter().filter(|file| file.bytes.starts_with(b"GCSSED"));
    assert_eq!(lists.count(), 0);
    assert_eq!(third.manifest.seeds.unwrap().state, second.manifest.seeds.unwrap().state);
}

#[test]
fn a_key_whose_report_is_confirmed_later_is_listed_once() {
    use gcs_core::identifiers::gaen::ReportType;
    use gcs_core::report::Diagnosis;

    let now = date(0).entry();
    let mut live = Live::new(FillerKey::new([7; 32]));
    let keys = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
    let start = (date(0).start() / 600) as u32;
    let key = |diagnosis| Item::Gaen(GaenKey { diagnosis, ..GaenKey::new([1; 16], start, 144) });
    let mut publisher = Publisher::new(PublisherSettings::default(), 1);
    let reported = [Diagnosis::Likely, Diagnosis::Confirmed];
    let expected = [ReportType::ConfirmedClinicalDiagnosis, ReportType::ConfirmedTest];
    for (number, (diagnosis, expected)) in (1..).zip(reported.into_iter().zip(expected)) {
        live.add(number, now, key(diagnosis).elements(now)).unwrap();
        live.add_seeds(number, key(diagnosis).seed(now));
        publisher = publish(&mut live, &publisher, &keys, now + 900 * number).publisher;
        let day = lists_of(&live).remove(0);
        let list = SeedList::<ExportKey, _>::parse(day.as_bytes()).unwrap();
        let types: Vec<_> = list.iter().map(|key| key.report_type).collect();
        assert_eq!(types, [Some(expected)]);
    }
    live.retract(1);
    live.retract(2);
    assert_eq!(
        publish(&mut live, &publisher, &keys, now + 2700).publisher.seed_table().unwrap().rows(),
        []
    );
}

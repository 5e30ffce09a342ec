//! Live elements, beside a model that is too simple to be wrong.
#![cfg(feature = "protocol")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::live::{Act, FillerKey, Live, LiveDay, LiveSettings};
use gcs_core::publish::{Keys, PublishError, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, Day, DayElements, ENTRY_DELAY, Element, Version};
use proptest::prelude::*;
use world::{START, date};

const HOUR: u64 = 3600;

/// The n-th element: 16 bytes, so that no filler can be taken for it.
fn element(number: u64) -> Element {
    Element::from_slice(&world::element(number))
}

fn version(tick: u32) -> Version {
    Version { series: 1, tick }
}

/// A report as the model knows it.
struct Sent {
    number: u64,
    received: u64,
    retracted: bool,
    dates: BTreeMap<Date, Brought>,
}

#[derive(Default)]
struct Brought {
    elements: BTreeSet<Element>,
    released: bool,
    expired: bool,
}

/// Reports, which elements were released, and how much filler went with them.
#[derive(Default)]
struct Model {
    sent: Vec<Sent>,
    released: BTreeSet<(Date, Element)>,
    filler: BTreeMap<Date, usize>,
    listed: BTreeSet<Date>,
}

impl Model {
    fn supporters(&self, date: Date) -> impl Iterator<Item = (&Sent, &Brought)> {
        let live = self.sent.iter().filter(|sent| !sent.retracted);
        let brought = live.filter_map(move |sent| Some((sent, sent.dates.get(&date)?)));
        brought.filter(|(_, brought)| !brought.expired)
    }

    fn tick(&mut self, now: u64, settings: &LiveSettings) {
        let dates = self.sent.iter().flat_map(|sent| sent.dates.keys().copied());
        for date in dates.collect::<BTreeSet<_>>() {
            if date.end() + u64::from(settings.retention_days) * DAY_SECONDS <= now {
                self.released.retain(|(other, _)| *other != date);
                self.filler.remove(&date);
                self.listed.remove(&date);
                let dates = self.sent.iter_mut().filter_map(|sent| sent.dates.get_mut(&date));
                dates.for_each(|brought| brought.expired = true);
            } else if self.listed.contains(&date) || date.end() + ENTRY_DELAY <= now {
                self.release(date, now, settings);
            }
        }
    }

    fn release(&mut self, date: Date, now: u64, settings: &LiveSettings) {
        let waiting: Vec<_> =
            self.supporters(date).filter(|(_, brought)| !brought.released).collect();
        let (mut sizes, mut before) = (Vec::new(), BTreeSet::new());
        for (_, brought) in &waiting {
            let adds = |element: &&Element| {
                !self.released.contains(&(date, (*element).clone())) && !before.contains(*element)
            };
            if brought.elements.iter().any(|element| adds(&element)) {
                sizes.push(brought.elements.len());
            }
            before.extend(brought.elements.iter().cloned());
        }
        let due =
            |sent: &Sent| sent.received.max(date.end() + ENTRY_DELAY) + settings.max_hold <= now;
        let is_late = waiting.iter().any(|(sent, _)| due(sent));
        let enough = settings.min_reports as usize;
        if waiting.is_empty() || (!sizes.is_empty() && sizes.len() < enough && !is_late) {
            return;
        }
        self.released.extend(before.into_iter().map(|element| (date, element)));
        if !sizes.is_empty() {
            let missing = sizes.len()..enough;
            let wanted = missing.map(|at| sizes[at % sizes.len()]).sum::<usize>();
            let filler = self.filler.entry(date).or_default();
            *filler = (*filler + wanted).min((settings.max_filler as usize).max(*filler));
        }
        self.listed.insert(date);
        for sent in self.sent.iter_mut().filter(|sent| !sent.retracted) {
            if let Some(brought) = sent.dates.get_mut(&date).filter(|brought| !brought.expired) {
                brought.released = true;
            }
        }
    }

    /// What phones should find, without filler.
    fn published(&self) -> BTreeMap<Date, BTreeSet<Element>> {
        let real = |date: &Date| {
            let elements = self.supporters(*date).flat_map(|(_, brought)| brought.elements.clone());
            elements.filter(|element| self.released.contains(&(*date, element.clone()))).collect()
        };
        self.listed.iter().map(|date| (*date, real(date))).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Elements by days ago and number.
    Report(Vec<(u64, u64)>),
    Correct(Act, Vec<prop::sample::Index>),
    Tick(u64),
    Settings(LiveSettings),
}

fn any_step() -> impl Strategy<Value = Step> {
    let elements = prop::collection::vec((0..4u64, 0..10u64), 1..7);
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    let reports = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    let settings = (1..5u32, 0..8 * HOUR, 1..4u32, 0..12u32).prop_map(
        |(min_reports, max_hold, retention_days, max_filler)| LiveSettings {
            min_reports,
            max_hold,
            retention_days,
            max_filler,
        },
    );
    prop_oneof![
        8 => elements.prop_map(Step::Report),
        4 => (act, reports).prop_map(|(act, reports)| Step::Correct(act, reports)),
        8 => (1..14 * HOUR).prop_map(Step::Tick),
        1 => settings.prop_map(Step::Settings),
    ]
}

/// Live elements and the model beside them.
struct World {
    live: Live,
    model: Model,
    now: u64,
    ticks: u32,
    settings: LiveSettings,
}

impl World {
    fn new() -> World {
        let live = Live::new(FillerKey::new([7; 32]));
        let settings = LiveSettings {
            min_reports: 2,
            max_hold: 2 * HOUR,
            retention_days: 2,
            ..LiveSettings::default()
        };
        World { live, model: Model::default(), now: START + 5 * DAY_SECONDS, ticks: 0, settings }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Report(elements) => self.report(elements),
            Step::Correct(act, reports) => self.correct(*act, reports),
            Step::Tick(seconds) => {
                self.now += seconds;
                self.ticks += 1;
                self.live.tick(version(self.ticks), self.now, &self.settings);
                self.model.tick(self.now, &self.settings);
            }
            Step::Settings(settings) => self.settings = *settings,
        }
        assert_eq!(self.real(), self.model.published());
        let filler = |(date, live): (Date, &gcs_core::live::LiveDate)| {
            (live.filler_len() > 0).then_some((date, live.filler_len() as usize))
        };
        let filler: BTreeMap<Date, usize> = self.live.dates().filter_map(filler).collect();
        self.model.filler.retain(|_, count| *count > 0);
        assert_eq!(filler, self.model.filler);
        for day in self.live.days() {
            let live = self.live.date(day.date()).unwrap();
            assert_eq!(live.published_len(), day.len() as u64);
            assert_eq!(day.elements().count(), day.len());
            assert!(day.elements().all(|element| self.live.is_published(day.date(), element)));
        }
    }

    fn report(&mut self, elements: &[(u64, u64)]) {
        let today = (self.now - START) / DAY_SECONDS;
        let items: Vec<(Date, Element)> =
            elements.iter().map(|(ago, number)| (date(today - ago), element(*number))).collect();
        let number = self.model.sent.len() as u64 + 1;
        self.live.add(number, self.now, items.clone()).unwrap();
        let mut dates: BTreeMap<Date, Brought> = BTreeMap::new();
        for (date, element) in items {
            dates.entry(date).or_default().elements.insert(element);
        }
        self.model.sent.push(Sent { number, received: self.now, retracted: false, dates });
    }

    /// Corrections never wait, and the preview says what they do.
    fn correct(&mut self, act: Act, reports: &[prop::sample::Index]) {
        if self.model.sent.is_empty() {
            return;
        }
        let chosen = reports.iter().map(|index| index.index(self.model.sent.len()));
        let chosen: BTreeSet<usize> = chosen.collect();
        let numbers: Vec<u64> = chosen.iter().map(|at| self.model.sent[*at].number).collect();
        let (preview, before) = (self.live.preview(act, &numbers), self.real());
        for at in chosen {
            self.model.sent[at].retracted = act == Act::Retract;
        }
        for number in numbers {
            self.live.correct(act, number);
        }
        let after = self.real();
        for (date, before) in before {
            let change = preview.get(&date).copied().unwrap_or_default();
            assert_eq!(change.elements_out, before.difference(&after[&date]).count() as u64);
            assert_eq!(change.elements_back, after[&date].difference(&before).count() as u64);
        }
    }

    /// What is published but filler, by date. Dates that the clock has passed stay listed,
    /// so `days` has them all.
    fn real(&self) -> BTreeMap<Date, BTreeSet<Element>> {
        let real = |day: &LiveDay| {
            let elements = day.elements().filter(|element| element.len() == 16);
            elements.map(Element::from_slice).collect()
        };
        self.live.days().iter().map(|day| (day.date(), real(day))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn published_is_what_was_released_and_has_a_supporter(
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let mut again = World::new();
        steps.iter().for_each(|step| again.step(step));
        prop_assert_eq!(format!("{:?}", world.live), format!("{:?}", again.live));
    }

    /// Whatever was changed before and after, one that was serialised goes on like the original; and
    /// a clone and an image stay as they were.
    #[test]
    fn what_is_restored_goes_on_like_the_original(
        before in prop::collection::vec(any_step(), 1..30),
        after in prop::collection::vec(any_step(), 1..20),
    ) {
        let (mut original, mut restored) = (World::new(), World::new());
        before.iter().for_each(|step| original.step(step));
        before.iter().for_each(|step| restored.step(step));
        let (clone, image) = (original.live.clone(), original.live.image());
        let stored = postcard::to_allocvec(&clone).unwrap();
        restored.live = restore(&stored).unwrap();
        for step in &after {
            original.step(step);
            restored.step(step);
        }
        prop_assert_eq!(&postcard::to_allocvec(&clone).unwrap(), &stored);
        prop_assert_eq!(postcard::to_allocvec(&image).unwrap(), stored);
        prop_assert_eq!(
            postcard::to_allocvec(&original.live).unwrap(),
            postcard::to_allocvec(&restored.live).unwrap()
        );
    }
}

fn restore(stored: &[u8]) -> Result<Live, postcard::Error> {
    Live::restore(&mut postcard::Deserializer::from_bytes(stored), FillerKey::new([7; 32]))
}

/// Many elements of several lengths on one date, some of them twice.
fn crowd() -> Live {
    let mut live = Live::new(FillerKey::new([7; 32]));
    for report in 1..=40u64 {
        let elements = (0..100).map(|number| {
            let number = report * 90 + number;
            let length = 16 + (number % 3) as usize * 9;
            (date(0), Element::from_slice(&world::element(number).repeat(3)[..length]))
        });
        live.add(report, date(0).end(), elements).unwrap();
    }
    let settings = LiveSettings { min_reports: 1, ..LiveSettings::default() };
    live.tick(version(1), date(0).entry(), &settings);
    live
}

#[test]
fn a_date_that_stays_is_given_in_the_same_memory() {
    let mut live = crowd();
    let same = |live: &Live, day: &LiveDay| {
        let (one, other) = (live.days()[0].shared().unwrap(), day.shared().unwrap());
        std::sync::Arc::ptr_eq(&one, &other)
    };
    let first = live.days().remove(0);
    assert_eq!(first.len(), 40 * 90 + 10);
    let settings = LiveSettings { min_reports: 1, ..LiveSettings::default() };
    live.tick(version(2), date(0).entry() + 900, &settings);
    live.add(41, date(0).end(), [(date(0), element(1))]).unwrap();
    assert!(same(&live, &first), "nothing new is published yet");
    let elements: Vec<Vec<u8>> = first.elements().map(<[u8]>::to_vec).collect();
    live.retract(1);
    assert!(!same(&live, &first) && live.days()[0].len() == first.len() - 90);
    live.tick(version(3), date(0).entry() + 1800, &settings);
    let second = live.days().remove(0);
    assert!(same(&live, &second) && second.len() == first.len() - 89);
    assert!(first.elements().eq(elements.iter().map(Vec::as_slice)), "it changed");
}

#[test]
fn what_is_shared_is_published_like_what_is_copied() {
    let mut live = crowd();
    let keys = Keys::from_secret([5; 32], date(0).end() + 400 * DAY_SECONDS);
    let settings = LiveSettings { min_reports: 1, ..LiveSettings::default() };
    let fresh = || Publisher::new(PublisherSettings::default(), 1);
    let (mut shared, mut copied) = (fresh(), fresh());
    for tick in 1..8 {
        let now = date(0).entry() + tick * 900;
        if tick % 3 == 0 {
            live.retract(tick);
            live.add(100 + tick, now, [(date(0), element(tick))]).unwrap();
        }
        live.tick(version(tick as u32 + 1), now, &settings);
        let days = live.days();
        let copies: Vec<Day<Vec<u8>>> = days
            .iter()
            .map(|day| Day {
                date: day.date(),
                elements: day.elements().map(<[u8]>::to_vec).collect(),
            })
            .collect();
        let one = shared.publish_next(now, &days, &keys).unwrap();
        let other = copied.publish_next(now, &copies, &keys).unwrap();
        assert_eq!(one.files, other.files);
        (shared, copied) = (one.publisher, other.publisher);
    }
    // An element that is too long for a publication is found in both forms.
    let long = Element::from_slice(&[7; 65]);
    live.add(200, date(0).end(), [(date(0), long)]).unwrap();
    live.tick(version(9), date(0).entry() + 9000, &settings);
    let refused = shared.publish_next(date(0).entry() + 9000, &live.days(), &keys);
    assert!(matches!(refused, Err(PublishError::ElementLength { got: 65, .. })));
}

/// Bytes that were not serialised give an error, or something else, and never a panic.
#[test]
fn damaged_bytes_are_restored_or_refused() {
    let stored = postcard::to_allocvec(&crowd()).unwrap();
    assert!(restore(&stored).is_ok());
    for length in (0..stored.len()).step_by(97) {
        assert!(restore(&stored[..length]).is_err(), "{length}");
    }
    let mut refused = 0;
    for at in (0..stored.len()).step_by(53) {
        let mut damaged = stored.clone();
        damaged[at] ^= 0x85;
        match restore(&damaged) {
            Err(_) => refused += 1,
            Ok(mut live) => {
                (1..45).for_each(|report| live.retract(report));
                (1..45).for_each(|report| live.reinstate(report));
                live.tick(version(2), date(0).entry() + 900, &LiveSettings::default());
                live.days().iter().for_each(|day| assert!(day.elements().count() <= 8000));
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_date_that_comes_back_knows_nothing_of_reports_from_before() {
    let mut live = Live::new(FillerKey::new([7; 32]));
    let short = LiveSettings { min_reports: 1, retention_days: 1, ..LiveSettings::default() };
    let long = LiveSettings { retention_days: 5, ..short };
    live.add(1, date(0).end(), [(date(0), element(1)), (date(0), element(2))]).unwrap();
    live.tick(version(1), date(0).entry(), &short);
    assert!(live.has(1, date(0)) && live.is_published(date(0), &element(1)));
    assert_eq!(live.tick(version(2), date(2).start(), &short), [date(0)]);
    assert!(!live.has(1, date(0)) && live.days().is_empty());
    live.add(2, date(2).start(), [(date(0), element(5)), (date(0), element(6))]).unwrap();
    live.tick(version(3), date(2).start(), &long);
    assert!(live.preview(Act::Retract, &[1]).is_empty());
    live.retract(1);
    assert!(live.is_published(date(0), &element(5)) && live.is_published(date(0), &element(6)));
}

#[test]
fn a_number_that_does_not_ascend_is_refused() {
    let mut live = Live::new(FillerKey::new([7; 32]));
    live.add(5, 0, [(date(0), element(1))]).unwrap();
    for number in [0, 4, 5] {
        let error = live.add(number, 0, [(date(0), element(2))]).unwrap_err();
        assert_eq!((error.last, error.got), (5, number));
    }
    live.retract(4); // Nobody knows it, and nothing happens.
    live.forget(5);
    live.add(1, 0, []).unwrap();
    assert!(live.report(1).is_some_and(|report| report.dates.is_empty()));
}

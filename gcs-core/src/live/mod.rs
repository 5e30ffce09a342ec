//! Live elements: what a backend publishes for each date, and the reports that support it.
//!
//! An element is published as long as one report that has it is not retracted. The elements
//! that a report adds to a date wait for those of other reports. Otherwise an observer of the
//! publications could tell which elements belong to one patient: see
//! [`LiveSettings::min_reports`]. The same calls in the same order give the same elements,
//! filler included.
//!
//! ```
//! use gcs_core::live::{FillerKey, Live, LiveSettings};
//! use gcs_core::{Date, Element, Version};
//!
//! let date: Date = "2026-01-05".parse()?;
//! let (alice, bob) = (Element::from(*b"one that is hers"), Element::from(*b"and one that is "));
//! let mut live = Live::new(FillerKey::new([7; 32])); // In production: secret and random.
//! live.add(1, date.end(), [(date, alice.clone()), (date, bob.clone())])?;
//! live.add(2, date.end(), [(date, bob.clone())])?;
//!
//! let settings = LiveSettings { min_reports: 1, ..LiveSettings::default() };
//! live.tick(Version { series: 1, tick: 1 }, date.entry(), &settings);
//! live.retract(1);
//! assert!(!live.is_published(date, &alice) && live.is_published(date, &bob));
//! let days = live.days(); // For `Publisher::publish`.
//! assert!(days[0].elements().eq([&bob[..]]));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod date;
mod day;
mod elements;
mod filler;
mod numbered;
mod seed_day;
mod seeds;
mod stored;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

pub use self::date::{Change, LiveDate};
pub use self::day::LiveDay;
pub use self::filler::FillerKey;
pub use self::seed_day::LiveSeedDay;

use self::date::{Release, StoredDate, after};
use self::numbered::Numbered;
use self::seeds::{LiveSeeds, SeedTick, StoredSeeds};
use crate::date::Date;
use crate::element::Element;
use crate::report::{ItemSeed, Kind, Kinds};
use crate::version::Version;

/// When additions are published, and for how long dates are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// A date's additions wait until this many reports have some for it, so that they are
    /// published together. Default 10; with 1 they wait for no other report.
    pub min_reports: u32,
    /// Longest time that additions wait, in seconds. They are published then with filler in
    /// place of the reports that are missing. Default two hours.
    pub max_hold: u64,
    /// Days for which a date is kept after its end. Default 14.
    pub retention_days: u32,
    /// Largest number of filler elements that a date may have. Once it has them, additions that are
    /// late are published without more filler, and hide among fewer. Default 100,000.
    pub max_filler: u32,
}

impl Default for LiveSettings {
    fn default() -> LiveSettings {
        LiveSettings {
            min_reports: 10,
            max_hold: 2 * 3600,
            retention_days: 14,
            max_filler: 100_000,
        }
    }
}

impl LiveSettings {
    /// Longest time that additions wait in fact, in seconds: none with `min_reports` 1.
    pub fn longest_hold(&self) -> u64 {
        if self.min_reports > 1 { self.max_hold } else { 0 }
    }
}

/// What a correction does to reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The reports no longer support their elements.
    Retract,
    /// They support them again.
    Reinstate,
}

/// The live elements of all dates, and the reports that support them.
///
/// A clone shares almost everything with the original until one of them changes. So it is made in
/// a moment, however many elements there are. To serialise it while the original goes on, take a
/// [`Live::image`], for which less is copied.
#[derive(Clone, Debug, Serialize)]
pub struct Live {
    dates: BTreeMap<Date, LiveDate>,
    reports: Numbered<LiveReport>,
    /// Unix time of the last tick.
    now: u64,
    seeds: LiveSeeds,
    #[serde(skip)]
    filler: FillerKey,
}

/// A copy of a [`Live`] of one moment, to be serialised while the `Live` goes on. It has no tables
/// to find elements by, so that none of them is copied when the `Live` changes.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct LiveImage(Live);

/// A `Live` as it was serialised.
#[derive(Deserialize)]
struct StoredLive {
    dates: BTreeMap<Date, StoredDate>,
    reports: Numbered<LiveReport>,
    now: u64,
    seeds: StoredSeeds,
}

/// A report, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveReport {
    /// Unix time at which it was received.
    pub received: u64,
    /// Whether it is retracted.
    pub retracted: bool,
    /// Its elements for each date, by ascending date.
    pub dates: Vec<ReportDate>,
}

/// The elements of a report for one date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportDate {
    /// The date.
    pub date: Date,
    /// The publication that first had all of its elements; `None` while they wait.
    pub since: Option<Version>,
    /// Its elements, as their indices among those of the date.
    elements: Vec<u32>,
}

/// A report whose number does not ascend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a report's number must be above {last}, got {got}")]
pub struct ReportNumberError {
    /// The largest number known.
    pub last: u64,
    /// The number given.
    pub got: u64,
}

impl Live {
    /// A `Live` without reports. Filler is derived from `filler`, which must be secret.
    pub fn new(filler: FillerKey) -> Live {
        let (dates, reports, seeds) = Default::default();
        Live { dates, reports, now: 0, seeds, filler }
    }

    /// A copy of the live elements and reports of this moment, to be serialised later. It gives the
    /// bytes that this `Live` would give now: see [`Live::restore`].
    pub fn image(&self) -> LiveImage {
        let dates = self.dates.iter().map(|(date, live)| (*date, live.image())).collect();
        let (reports, seeds) = (self.reports.clone(), self.seeds.image());
        LiveImage(Live { dates, reports, now: self.now, seeds, filler: self.filler.clone() })
    }

    /// A `Live` that was serialised, or its [`LiveImage`]. The key is not serialised with it: give
    /// the one that it was made with. O(n) time for n elements.
    ///
    /// ```
    /// use gcs_core::live::{FillerKey, Live};
    /// use gcs_core::{Date, Element};
    ///
    /// let date: Date = "2026-01-05".parse()?;
    /// let mut live = Live::new(FillerKey::new([7; 32]));
    /// live.add(1, date.end(), [(date, Element::from(*b"one that is hers"))])?;
    ///
    /// let stored = postcard::to_allocvec(&live)?;
    /// let mut reader = postcard::Deserializer::from_bytes(&stored);
    /// let again = Live::restore(&mut reader, FillerKey::new([7; 32]))?;
    /// assert_eq!(again.report(1), live.report(1));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be read, or was not serialised by this version of the library.
    pub fn restore<'de, D: Deserializer<'de>>(
        deserializer: D,
        filler: FillerKey,
    ) -> Result<Live, D::Error> {
        let StoredLive { dates, reports, now, seeds } = StoredLive::deserialize(deserializer)?;
        let restore = |(date, stored)| Ok((date, LiveDate::restore::<D::Error>(stored, &filler)?));
        let dates = dates.into_iter().map(restore).collect::<Result<_, D::Error>>()?;
        let seeds = LiveSeeds::restore(seeds, &filler)?;
        Ok(Live { dates, reports, now, seeds, filler })
    }

    /// Adds a report. The caller numbers reports in ascending order, for example with a counter
    /// or with positions in a log. The elements wait for a tick. A date that has expired already
    /// is dropped at the next tick.
    ///
    /// # Errors
    /// A [`ReportNumberError`]; nothing has changed then.
    pub fn add(
        &mut self,
        report: u64,
        received: u64,
        elements: impl IntoIterator<Item = (Date, Element)>,
    ) -> Result<(), ReportNumberError> {
        if let Some(last) = self.reports.last().filter(|last| *last >= report) {
            return Err(ReportNumberError { last, got: report });
        }
        let mut by_date: BTreeMap<Date, BTreeSet<Element>> = BTreeMap::new();
        for (date, element) in elements {
            by_date.entry(date).or_default().insert(element);
        }
        let mut dates = Vec::with_capacity(by_date.len());
        for (date, elements) in by_date {
            let filler = &self.filler;
            let live = self.dates.entry(date).or_insert_with(|| LiveDate::new(report, filler));
            let elements = live.add(report, elements);
            dates.push(ReportDate { date, since: None, elements });
        }
        self.reports.insert(report, LiveReport { received, retracted: false, dates });
        Ok(())
    }

    /// Adds the seeds of a report that was just added with all elements of these seeds, for phones
    /// that expand seeds themselves.
    ///
    /// A seed can be published once its report's additions for each of its dates have been. Then it waits for those
    /// of other reports: until [`LiveSettings::min_reports`] reports have new seeds of its kind and
    /// last date, or one has waited for `max_hold`; all that can be published come out together. A seed
    /// leaves with the last of the reports that support it, and with its last date. A key of DP-3T's low-cost
    /// design is published as the key of the first date that has not expired.
    pub fn add_seeds(&mut self, report: u64, seeds: impl IntoIterator<Item = ItemSeed>) {
        self.seeds.add(report, seeds, &self.filler);
    }

    /// Retracts a report: it no longer supports its elements. Nothing happens if it is unknown
    /// or retracted already.
    pub fn retract(&mut self, report: u64) {
        self.correct(Act::Retract, report);
    }

    /// Reinstates a retracted report: it supports its elements again.
    pub fn reinstate(&mut self, report: u64) {
        self.correct(Act::Reinstate, report);
    }

    /// Retracts or reinstates a report.
    pub fn correct(&mut self, act: Act, report: u64) {
        let Some(found) = self.reports.get_mut(report) else { return };
        if found.is(act) {
            return;
        }
        found.retracted = act == Act::Retract;
        self.seeds.correct(act, report);
        for brought in &found.dates {
            let date = self.dates.get_mut(&brought.date).filter(|date| date.knows(report));
            if let Some(date) = date {
                date.correct(act, &brought.elements);
            }
        }
    }

    /// Counts what a correction of these reports would change, by date, and changes nothing.
    pub fn preview(&self, act: Act, reports: &[u64]) -> BTreeMap<Date, Change> {
        let mut touched: BTreeMap<Date, (&LiveDate, Vec<&[u32]>)> = BTreeMap::new();
        let known = reports.iter().filter_map(|number| Some((*number, self.reports.get(*number)?)));
        for (number, report) in known.filter(|(_, report)| !report.is(act)) {
            for brought in &report.dates {
                let date = self.dates.get(&brought.date).filter(|date| date.knows(number));
                let Some(date) = date else { continue };
                touched.entry(brought.date).or_insert((date, Vec::new())).1.push(&brought.elements);
            }
        }
        let change = |(date, (live, elements)): (Date, (&LiveDate, Vec<&[u32]>))| {
            (date, live.preview(act, &elements))
        };
        touched.into_iter().map(change).collect()
    }

    /// Prepares the publication `version` at the Unix time `now`: dates that have expired
    /// are dropped, and additions of enough reports, or that have waited long enough, are
    /// published from now on. Returns the dates that were dropped.
    pub fn tick(&mut self, version: Version, now: u64, settings: &LiveSettings) -> Vec<Date> {
        let is_expired = |date: &&Date| date.is_expired(now, settings.retention_days);
        let dropped: Vec<Date> = self.dates.keys().filter(is_expired).copied().collect();
        for date in &dropped {
            self.dates.remove(date);
        }
        for (date, live) in &mut self.dates {
            if live.is_listed() || date.entry() <= now {
                let release = Release { date: *date, version, now, settings, key: &self.filler };
                live.release(&release, &mut self.reports);
                live.keep(*date);
            }
        }
        let (dates, reports) = (&self.dates, &self.reports);
        self.seeds.tick(&SeedTick { now, settings, dates, reports });
        self.now = now;
        dropped
    }

    /// The elements that are published at the last tick, by ascending date. They are shared, not
    /// copied: a date whose elements have not changed since the last tick gives the same memory
    /// again, by which a publisher knows that it has nothing to compute.
    ///
    /// If a date was published early because the clock was ahead, and the clock has been
    /// corrected since, the date waits again.
    pub fn days(&self) -> Vec<LiveDay> {
        let is_due = |date: &Date| date.entry() <= self.now;
        let listed = self.dates.iter().filter(|(date, live)| live.is_listed() && is_due(date));
        listed.map(|(date, live)| live.published(*date)).collect()
    }

    /// The seeds of some kinds that are published at the last tick, for
    /// [`Publisher::with_seeds`](crate::publish::Publisher::with_seeds), by ascending date. Nothing is
    /// built: [`LiveSeedDay::build`] does that, once for as long as the seeds of a date stay the same. There is no
    /// filler among seeds: see [`crate::seeds`].
    pub fn seeds(&self, kinds: Kinds) -> Vec<LiveSeedDay> {
        let is_wanted =
            |day: &LiveSeedDay| kinds.iter().filter_map(Kind::seeds).any(|kind| kind == day.kind());
        let is_due = |day: &LiveSeedDay| day.date().entry() <= self.now;
        self.seeds.days().filter(|day| is_due(day) && is_wanted(day)).collect()
    }

    /// Whether an element is published for a date, without false positives. O(1) time.
    pub fn is_published(&self, date: Date, element: &[u8]) -> bool {
        self.dates.get(&date).is_some_and(|live| live.is_published(element))
    }

    /// Whether a report that is not retracted has an element of a date. O(1) time.
    pub fn is_supported(&self, date: Date, element: &[u8]) -> bool {
        self.dates.get(&date).is_some_and(|live| live.is_supported(element))
    }

    /// Whether a report brought an element of a date, retracted or not. O(n) time for n elements of the
    /// report.
    pub fn brought(&self, report: u64, date: Date, element: &[u8]) -> bool {
        let live = self.dates.get(&date).filter(|live| live.knows(report));
        let index = live.and_then(|live| live.find(element));
        let dates = self.reports.get(report).into_iter().flat_map(|report| &report.dates);
        index.is_some_and(|index| {
            dates.filter(|brought| brought.date == date).any(|of| of.elements.contains(&index))
        })
    }

    /// The dates that have not expired.
    pub fn dates(&self) -> impl Iterator<Item = (Date, &LiveDate)> + Clone {
        self.dates.iter().map(|(date, live)| (*date, live))
    }

    /// A date that has not expired.
    pub fn date(&self, date: Date) -> Option<&LiveDate> {
        self.dates.get(&date)
    }

    /// Whether a date still has the elements that this report brought for it. It does not if it
    /// has expired since, even if it came back under a longer retention.
    pub fn has(&self, report: u64, date: Date) -> bool {
        self.dates.get(&date).is_some_and(|live| live.knows(report))
    }

    /// A report by its number.
    pub fn report(&self, report: u64) -> Option<&LiveReport> {
        self.reports.get(report)
    }

    /// All reports by their numbers.
    pub fn reports(&self) -> impl Iterator<Item = (u64, &LiveReport)> {
        self.reports.iter()
    }

    /// Forgets a report. Call it only once all dates of the report have expired: earlier, its
    /// elements would stay published and could not be retracted any more.
    pub fn forget(&mut self, report: u64) {
        self.seeds.forget(report);
        self.reports.remove(report);
    }
}

impl LiveReport {
    /// Whether an act would change nothing.
    pub fn is(&self, act: Act) -> bool {
        self.retracted == (act == Act::Retract)
    }
}

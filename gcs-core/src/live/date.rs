//! One date: its elements, which reports support them, and which of them are published.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::day::LiveDay;
use super::elements::{Elements, StoredElements, Support};
use super::filler::FillerKey;
use super::numbered::Numbered;
use super::{Act, LiveReport, LiveSettings};
use crate::date::Date;
use crate::element::Element;
use crate::version::Version;

/// A date that has not expired.
#[derive(Clone, Debug, Serialize)]
pub struct LiveDate {
    /// Number of its first report. Reports before that may have had elements for the same date;
    /// those were dropped when the date expired, before it came back under a longer retention.
    begun: u64,
    elements: Elements,
    /// Numbers of the reports whose additions wait.
    waiting: Vec<u64>,
    filler: Elements,
    listed: bool,
    /// The published elements, if they have not changed since the last tick.
    #[serde(skip)]
    day: Option<LiveDay>,
}

/// A date as it was serialised.
#[derive(Deserialize)]
pub(super) struct StoredDate {
    begun: u64,
    elements: StoredElements,
    waiting: Vec<u64>,
    filler: StoredElements,
    listed: bool,
}

/// What a correction changes for one date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Reports that have elements for it.
    pub reports: u64,
    /// Elements that will no longer be published.
    pub elements_out: u64,
    /// Elements that will be published again.
    pub elements_back: u64,
    /// Elements of these reports for which nothing changes: another report supports them,
    /// or they have not been published yet.
    pub unchanged: u64,
}

/// The publication for which a date releases additions.
pub(super) struct Release<'a> {
    pub date: Date,
    pub version: Version,
    pub now: u64,
    pub settings: &'a LiveSettings,
    pub key: &'a FillerKey,
}

impl LiveDate {
    /// A date whose first report has this number.
    pub(super) fn new(begun: u64, key: &FillerKey) -> LiveDate {
        LiveDate {
            begun,
            elements: Elements::new(key.table_hasher()),
            waiting: Vec::new(),
            filler: Elements::new(key.table_hasher()),
            listed: false,
            day: None,
        }
    }

    /// A date that was serialised.
    pub(super) fn restore<E: serde::de::Error>(
        stored: StoredDate,
        key: &FillerKey,
    ) -> Result<LiveDate, E> {
        let StoredDate { begun, elements, waiting, filler, listed } = stored;
        let elements = Elements::restore(elements, key.table_hasher())?;
        let filler = Elements::restore(filler, key.table_hasher())?;
        Ok(LiveDate { begun, elements, waiting, filler, listed, day: None })
    }

    /// The same date, to be serialised and nothing else.
    pub(super) fn image(&self) -> LiveDate {
        LiveDate {
            begun: self.begun,
            elements: self.elements.image(),
            waiting: self.waiting.clone(),
            filler: self.filler.image(),
            listed: self.listed,
            day: None,
        }
    }

    /// Whether the date still has the elements that a report brought for it.
    pub(super) fn knows(&self, report: u64) -> bool {
        self.begun <= report
    }

    /// Adds a report that waits, and returns the indices of its elements.
    pub(super) fn add(&mut self, report: u64, elements: BTreeSet<Element>) -> Vec<u32> {
        self.waiting.push(report);
        let support = |element: Element| {
            let index = self.elements.insert(&element)?;
            self.change(index, |support| support.with_reports(support.reports() + 1));
            Some(index)
        };
        elements.into_iter().filter_map(support).collect()
    }

    fn change(&mut self, index: u32, change: impl FnOnce(Support) -> Support) {
        if self.elements.change(index, change) {
            self.day = None;
        }
    }

    pub(super) fn correct(&mut self, act: Act, elements: &[u32]) {
        for index in elements {
            self.change(*index, |support| support.with_reports(after(act, support.reports(), 1)));
        }
    }

    /// Publishes the additions that wait, if enough reports have some or if they have waited
    /// for long enough.
    pub(super) fn release(&mut self, release: &Release<'_>, reports: &mut Numbered<LiveReport>) {
        let Release { date, version, now, settings, key } = *release;
        let enough = settings.min_reports as usize;
        let live = self.live_waiting(date, reports);
        let sizes = self.sizes_of_additions(&live);
        let received = live.iter().map(|waiting| waiting.received.max(date.entry())).min();
        let is_late = received.is_some_and(|time| time.saturating_add(settings.max_hold) <= now);
        if live.is_empty() || (!sizes.is_empty() && sizes.len() < enough && !is_late) {
            return;
        }
        let numbers: Vec<u64> = live.iter().map(|waiting| waiting.number).collect();
        let indices: Vec<u32> =
            live.iter().flat_map(|waiting| waiting.elements.iter().copied()).collect();
        for index in indices {
            self.change(index, Support::released);
        }
        for number in &numbers {
            let brought = reports.get_mut(*number).into_iter().flat_map(|report| &mut report.dates);
            brought.filter(|brought| brought.date == date).for_each(|brought| {
                brought.since = Some(version);
            });
        }
        self.waiting.retain(|number| numbers.binary_search(number).is_err());
        self.listed = true;
        if !sizes.is_empty() {
            let missing = sizes.len()..enough;
            let wanted: usize = missing.map(|report| sizes[report % sizes.len()]).sum();
            let room = (settings.max_filler as usize).saturating_sub(self.filler_len() as usize);
            for number in 0..wanted.min(room) as u32 {
                self.filler.insert_filler(&key.element(version, date, number));
            }
            self.day = None;
        }
    }

    /// The reports that wait and are not retracted.
    fn live_waiting<'r>(&self, date: Date, reports: &'r Numbered<LiveReport>) -> Vec<Waiting<'r>> {
        let waiting = |number: &u64| {
            let report = reports.get(*number).filter(|report| !report.retracted)?;
            let brought = report.dates.iter().find(|brought| brought.date == date)?;
            let (number, received) = (*number, report.received);
            Some(Waiting { number, received, elements: &brought.elements })
        };
        self.waiting.iter().filter_map(waiting).collect()
    }

    /// The number of elements of each report that has additions. A report that adds nothing
    /// to those before it, such as the same one with another code, does not count.
    fn sizes_of_additions(&self, reports: &[Waiting<'_>]) -> Vec<usize> {
        let mut added = BTreeSet::new();
        let mut sizes = Vec::new();
        for report in reports {
            let is_new = |index: &&u32| {
                self.elements.support(**index).is_some_and(|support| !support.is_released())
            };
            let new = report.elements.iter().filter(is_new);
            if new.filter(|index| added.insert(**index)).count() > 0 {
                sizes.push(report.elements.len());
            }
        }
        sizes
    }

    /// Elements that phones test, filler included.
    pub(super) fn published(&self, date: Date) -> LiveDay {
        let build =
            || LiveDay::new(date, self.elements.share(), self.filler.share(), self.published_len());
        self.day.clone().unwrap_or_else(build)
    }

    /// Keeps the published elements, to be given as long as they stay the same.
    pub(super) fn keep(&mut self, date: Date) {
        self.day = Some(self.published(date));
    }

    pub(super) fn is_published(&self, element: &[u8]) -> bool {
        let support = |index| self.elements.support(index);
        self.elements.find(element).and_then(support).is_some_and(Support::is_published)
            || self.filler.find(element).is_some()
    }

    pub(super) fn find(&self, element: &[u8]) -> Option<u32> {
        self.elements.find(element)
    }

    pub(super) fn is_supported(&self, element: &[u8]) -> bool {
        let support = self.find(element).and_then(|index| self.elements.support(index));
        support.is_some_and(|support| support.reports() > 0)
    }

    /// Counts what a correction of reports with these elements would change.
    pub(super) fn preview(&self, act: Act, reports: &[&[u32]]) -> Change {
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for index in reports.iter().copied().flatten() {
            *times.entry(*index).or_default() += 1;
        }
        let mut change = Change { reports: reports.len() as u64, ..Change::default() };
        for (index, times) in times {
            let Some(support) = self.elements.support(index) else { continue };
            let corrected = support.with_reports(after(act, support.reports(), times));
            match (support.is_published(), corrected.is_published()) {
                (true, false) => change.elements_out += 1,
                (false, true) => change.elements_back += 1,
                _ => change.unchanged += 1,
            }
        }
        change
    }

    /// Whether it has been published.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// Number of elements that phones test, filler included.
    pub fn published_len(&self) -> u64 {
        u64::from(self.elements.published_len()) + self.filler_len()
    }

    /// Number of filler elements.
    pub fn filler_len(&self) -> u64 {
        u64::from(self.filler.published_len())
    }

    /// Number of reports whose additions wait.
    pub fn waiting_len(&self) -> u64 {
        self.waiting.len() as u64
    }
}

/// A report that waits.
struct Waiting<'r> {
    number: u64,
    received: u64,
    elements: &'r [u32],
}

/// The number of supporters after `times` of them were retracted or reinstated.
pub(super) fn after(act: Act, reports: u32, times: u32) -> u32 {
    match act {
        Act::Retract => reports.saturating_sub(times),
        Act::Reinstate => reports.saturating_add(times),
    }
}

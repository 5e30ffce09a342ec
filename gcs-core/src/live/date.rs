//! One date: its elements, which reports support them, and which of them are published.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use super::filler::{FillerKey, TableHasher};
use super::{Act, LiveReport, LiveSettings};
use crate::date::Date;
use crate::element::Element;
use crate::version::Version;

/// The support that reports give to an element.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Support {
    /// Number of reports that have it and are not retracted.
    reports: u32,
    /// Whether it has been released: it is published as long as a report supports it.
    released: bool,
}

impl Support {
    fn is_published(&self) -> bool {
        self.released && self.reports > 0
    }
}

/// A date that has not expired.
#[derive(Clone, Debug, Serialize)]
pub struct LiveDate {
    /// Number of its first report. Reports before that may have had elements for the same date;
    /// those were dropped when the date expired, before it came back under a longer retention.
    begun: u64,
    elements: IndexMap<Element, Support, TableHasher>,
    /// Numbers of the reports whose additions wait.
    waiting: Vec<u64>,
    filler: IndexSet<[u8; 32], TableHasher>,
    listed: bool,
    /// Number of elements that are published, without filler.
    #[serde(skip)]
    published: u64,
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
            elements: IndexMap::with_hasher(key.table_hasher()),
            waiting: Vec::new(),
            filler: IndexSet::with_hasher(key.table_hasher()),
            listed: false,
            published: 0,
        }
    }

    /// Whether the date still has the elements that a report brought for it.
    pub(super) fn knows(&self, report: u64) -> bool {
        self.begun <= report
    }

    /// Adds a report that waits, and returns the indices of its elements.
    pub(super) fn add(&mut self, report: u64, elements: BTreeSet<Element>) -> Vec<u32> {
        self.waiting.push(report);
        let support = |element| {
            let entry = self.elements.entry(element);
            let index = entry.index() as u32;
            entry.or_default();
            self.change(index, |support| support.reports += 1);
            index
        };
        elements.into_iter().map(support).collect()
    }

    fn support(&self, index: u32) -> Option<&Support> {
        self.elements.get_index(index as usize).map(|(_, support)| support)
    }

    fn change(&mut self, index: u32, change: impl FnOnce(&mut Support)) {
        let Some((_, support)) = self.elements.get_index_mut(index as usize) else { return };
        let before = support.is_published();
        change(support);
        match (before, support.is_published()) {
            (false, true) => self.published += 1,
            (true, false) => self.published -= 1,
            _ => {}
        }
    }

    pub(super) fn correct(&mut self, act: Act, elements: &[u32]) {
        for index in elements {
            self.change(*index, |support| support.reports = after(act, support.reports, 1));
        }
    }

    /// Publishes the additions that wait, if enough reports have some or if they have waited
    /// for long enough.
    pub(super) fn release(
        &mut self,
        release: &Release<'_>,
        reports: &mut BTreeMap<u64, LiveReport>,
    ) {
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
            self.change(index, |support| support.released = true);
        }
        for number in &numbers {
            let brought = reports.get_mut(number).into_iter().flat_map(|report| &mut report.dates);
            brought.filter(|brought| brought.date == date).for_each(|brought| {
                brought.since = Some(version);
            });
        }
        self.waiting.retain(|number| numbers.binary_search(number).is_err());
        self.listed = true;
        if !sizes.is_empty() {
            let missing = sizes.len()..enough;
            let wanted: usize = missing.map(|report| sizes[report % sizes.len()]).sum();
            let room = (settings.max_filler as usize).saturating_sub(self.filler.len());
            let element = |number| key.element(version, date, number);
            self.filler.extend((0..wanted.min(room) as u32).map(element));
        }
    }

    /// The reports that wait and are not retracted.
    fn live_waiting<'r>(
        &self,
        date: Date,
        reports: &'r BTreeMap<u64, LiveReport>,
    ) -> Vec<Waiting<'r>> {
        let waiting = |number: &u64| {
            let report = reports.get(number).filter(|report| !report.retracted)?;
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
            let is_new =
                |index: &&u32| self.support(**index).is_some_and(|support| !support.released);
            let new = report.elements.iter().filter(is_new);
            if new.filter(|index| added.insert(**index)).count() > 0 {
                sizes.push(report.elements.len());
            }
        }
        sizes
    }

    /// Elements that phones test, filler included.
    pub(super) fn published(&self) -> Vec<Element> {
        let real = self.elements.iter().filter(|(_, support)| support.is_published());
        let real = real.map(|(element, _)| element.clone());
        real.chain(self.filler.iter().map(|filler| Element::from(*filler))).collect()
    }

    pub(super) fn is_published(&self, element: &[u8]) -> bool {
        self.elements.get(element).is_some_and(Support::is_published)
            || <&[u8; 32]>::try_from(element).is_ok_and(|element| self.filler.contains(element))
    }

    /// Counts what a correction of reports with these elements would change.
    pub(super) fn preview(&self, act: Act, reports: &[&[u32]]) -> Change {
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for index in reports.iter().copied().flatten() {
            *times.entry(*index).or_default() += 1;
        }
        let mut change = Change { reports: reports.len() as u64, ..Change::default() };
        for (index, times) in times {
            let Some(support) = self.support(index) else { continue };
            let corrected = Support { reports: after(act, support.reports, times), ..*support };
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
        self.published + self.filler.len() as u64
    }

    /// Number of filler elements.
    pub fn filler_len(&self) -> u64 {
        self.filler.len() as u64
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
fn after(act: Act, reports: u32, times: u32) -> u32 {
    match act {
        Act::Retract => reports.saturating_sub(times),
        Act::Reinstate => reports.saturating_add(times),
    }
}

//! One date: its elements, who supports them, and which of them are out.
//!
//! Unlinkability: what a report adds to a date waits until `min_reports` reports have
//! additions for it, `max_hold` at most. Then all of it goes out at once, topped up with
//! filler, so that nobody can tell one patient's elements by when they came. Filler is
//! random, of as many elements as a patient's, and stays until its date expires.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::Date;
use gcs_core::ENTRY_DELAY;
use hmac::{Hmac, KeyInit as _, Mac as _};
use indexmap::IndexMap;
use serde::Serialize;
use sha2::Sha256;

use super::reports::{ReportDay, Reports};
use super::{LastTick, Version};
use crate::domain::item::Element;
use crate::domain::policy::Policy;

/// The key that filler is derived from.
#[derive(Clone)]
pub struct FillerKey(pub [u8; 32]);

impl std::fmt::Debug for FillerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FillerKey(..)")
    }
}

impl FillerKey {
    /// HMAC-SHA256 of label, tick, date and number.
    fn element(&self, version: Version, date: Date, number: u32) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(b"gcs filler v1");
        for part in [version.series, version.tick, date.days(), number] {
            mac.update(&part.to_le_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

/// Who supports an element.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Support {
    /// Number of live reports that brought it.
    reports: u32,
    /// Whether it was let go: published as long as someone supports it.
    out: bool,
}

/// A date that has not expired.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Position of its first report. Those before it brought something to the same date
    /// when it was there before: it was dropped since, and came back under another policy.
    begun: u64,
    elements: IndexMap<Element, Support>,
    /// Reports with additions that wait, by position.
    waiting: Vec<u64>,
    filler: Vec<[u8; 32]>,
    /// Whether it has been published.
    pub listed: bool,
}

/// What a correction changes on a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Reports that have elements for it.
    pub reports: u64,
    /// Elements that phones will lose.
    pub elements_out: u64,
    /// Elements that phones will get back.
    pub elements_back: u64,
    /// Elements of these reports for which nothing changes: another report supports them,
    /// or they have not been published yet.
    pub unchanged: u64,
}

impl Day {
    /// A date that a report brings.
    pub(super) fn new(begun: u64) -> Day {
        Day {
            begun,
            elements: IndexMap::new(),
            waiting: Vec::new(),
            filler: Vec::new(),
            listed: false,
        }
    }

    /// Whether it has the elements of the report at a position.
    pub(super) fn knows(&self, report: u64) -> bool {
        self.begun <= report
    }

    /// Adds a supporter to an element and returns its place.
    pub(super) fn support(&mut self, element: Element) -> u32 {
        let entry = self.elements.entry(element);
        let place = entry.index();
        entry.or_default().reports += 1;
        place as u32
    }

    /// Lets a report wait for a tick.
    pub(super) fn wait(&mut self, report: u64) {
        self.waiting.push(report);
    }

    fn place(&mut self, place: u32) -> Option<&mut Support> {
        self.elements.get_index_mut(place as usize).map(|(_, support)| support)
    }

    pub(super) fn correct(&mut self, places: &[u32], retract: bool) {
        for place in places {
            if let Some(support) = self.place(*place) {
                let reports = &mut support.reports;
                *reports = if retract { reports.saturating_sub(1) } else { *reports + 1 };
            }
        }
    }

    /// Lets go what waits, if it has enough company or has waited for long enough.
    pub(super) fn release(
        &mut self,
        date: Date,
        tick: LastTick,
        policy: &Policy,
        reports: &mut Reports,
        filler: &FillerKey,
    ) {
        let live: Vec<(u64, &ReportDay, u64)> = self
            .waiting
            .iter()
            .filter_map(|position| {
                let (brought, received) = reports.waiting(*position, date)?;
                Some((*position, brought, received))
            })
            .collect();
        // Held back are additions; a report that adds nothing to those before it, such as the
        // same one with another code, is no company for them.
        let mut added = BTreeSet::new();
        let mut sizes = Vec::new();
        for (_, brought, _) in &live {
            let places = brought.elements.iter().copied();
            let new = places.filter(|place| !self.elements[*place as usize].out);
            if new.filter(|place| added.insert(*place)).count() > 0 {
                sizes.push(brought.elements.len());
            }
        }
        let entered = date.end() + ENTRY_DELAY;
        let since = live.iter().map(|(_, _, received)| (*received).max(entered)).min();
        let enough = policy.min_reports as usize;
        let is_late = since.is_some_and(|since| since.saturating_add(policy.max_hold) <= tick.time);
        if live.is_empty() || (!sizes.is_empty() && sizes.len() < enough && !is_late) {
            return;
        }
        let positions: Vec<u64> = live.iter().map(|(position, ..)| *position).collect();
        let places: Vec<u32> =
            live.iter().flat_map(|(_, brought, _)| brought.elements.iter().copied()).collect();
        for place in places {
            if let Some(support) = self.place(place) {
                support.out = true;
            }
        }
        for position in &positions {
            reports.published(*position, date, tick.version);
        }
        self.waiting.retain(|position| positions.binary_search(position).is_err());
        self.listed = true;
        if !sizes.is_empty() && sizes.len() < enough {
            let missing = sizes.len()..enough;
            let count: usize = missing.map(|patient| sizes[patient % sizes.len()]).sum();
            let number = |number| filler.element(tick.version, date, number);
            self.filler.extend((0..count as u32).map(number));
        }
    }

    /// Elements that phones test: let go and supported, and filler.
    pub(super) fn published(&self) -> Vec<Element> {
        let is_out = |support: &Support| support.out && support.reports > 0;
        let real = self.elements.iter().filter(|(_, support)| is_out(support));
        let real = real.map(|(element, _)| element.clone());
        real.chain(self.filler.iter().map(|filler| Element::from_buf(*filler))).collect()
    }

    pub(super) fn is_published(&self, element: &[u8]) -> bool {
        let support = self.elements.get(element);
        support.is_some_and(|support| support.out && support.reports > 0)
            || self.filler.iter().any(|filler| filler == element)
    }

    /// Counts what a correction would change.
    pub(super) fn preview(&self, reports: &[&[u32]], retract: bool) -> Change {
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for place in reports.iter().copied().flatten() {
            *times.entry(*place).or_default() += 1;
        }
        let mut change = Change { reports: reports.len() as u64, ..Change::default() };
        for (place, times) in times {
            let Some((_, support)) = self.elements.get_index(place as usize) else { continue };
            let before = support.out && support.reports > 0;
            let after = if retract {
                support.reports.saturating_sub(times)
            } else {
                support.reports + times
            };
            match (before, support.out && after > 0) {
                (true, false) => change.elements_out += 1,
                (false, true) => change.elements_back += 1,
                _ => change.unchanged += 1,
            }
        }
        change
    }

    /// Elements that phones test, filler included.
    pub fn published_len(&self) -> u64 {
        let is_out = |support: &&Support| support.out && support.reports > 0;
        self.elements.values().filter(is_out).count() as u64 + self.filler.len() as u64
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

//! Reports, and what became of them.

use std::collections::{BTreeMap, HashMap};

use gcs_core::Date;
use serde::Serialize;

use super::Version;
use super::days::{Change, Day};
use crate::domain::item::ItemProblem;
use crate::domain::log::event;
use crate::domain::log::event::{Act, CodeId, TrackingId};

/// A report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The code that authorised it.
    pub code: CodeId,
    /// SHA-256 of what was sent.
    pub payload: [u8; 32],
    /// Its number for its sender.
    pub tracking: TrackingId,
    /// Unix time at which it was accepted.
    pub received: u64,
    /// Number of items that were accepted, without duplicates.
    pub accepted: u32,
    /// The items that were not, by index.
    pub problems: Vec<(u32, ItemProblem)>,
    /// Whether it is retracted.
    pub retracted: bool,
    /// What it brought, by date.
    pub days: Vec<ReportDay>,
}

/// What a report brought for one date.
#[derive(Debug, Serialize)]
pub struct ReportDay {
    /// The date.
    pub date: Date,
    /// Its elements, as places among the date's.
    pub(super) elements: Vec<u32>,
    /// The publication that first had them all.
    pub since: Option<Version>,
}

/// Reports by their positions in the log.
#[derive(Debug, Default, Serialize)]
pub struct Reports {
    by_position: BTreeMap<u64, Report>,
    #[serde(skip)]
    by_tracking: HashMap<TrackingId, u64>,
    #[serde(skip)]
    by_code: HashMap<CodeId, u64>,
}

impl Reports {
    /// A report by its position.
    pub fn get(&self, position: u64) -> Option<&Report> {
        self.by_position.get(&position)
    }

    /// A report by its tracking id.
    pub fn by_tracking(&self, tracking: &TrackingId) -> Option<(u64, &Report)> {
        let position = *self.by_tracking.get(tracking)?;
        Some((position, self.by_position.get(&position)?))
    }

    /// The report that a code brought.
    pub fn by_code(&self, code: CodeId) -> Option<(u64, &Report)> {
        let position = *self.by_code.get(&code)?;
        Some((position, self.by_position.get(&position)?))
    }

    /// All of them, by position.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Report)> {
        self.by_position.iter().map(|(position, report)| (*position, report))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_position.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_position.is_empty()
    }

    /// `Err` if its code has brought another one.
    pub(super) fn add(
        &mut self,
        position: u64,
        received: u64,
        report: &event::ReportAccepted,
        days: &mut BTreeMap<Date, Day>,
    ) -> Result<(), ()> {
        let mut places: BTreeMap<Date, Vec<u32>> = BTreeMap::new();
        for item in &report.items {
            let date = item.date();
            let day = days.entry(date).or_insert_with(|| Day::new(position));
            let place = day.support(item.element());
            places.entry(date).or_default().push(place);
        }
        let mut brought = Vec::with_capacity(places.len());
        for (date, elements) in places {
            days.entry(date).or_insert_with(|| Day::new(position)).wait(position);
            brought.push(ReportDay { date, elements, since: None });
        }
        let added = Report {
            code: report.code,
            payload: report.payload,
            tracking: report.tracking,
            received,
            accepted: report.items.len() as u32,
            problems: report.problems.clone(),
            retracted: false,
            days: brought,
        };
        self.by_tracking.insert(report.tracking, position);
        self.by_position.insert(position, added);
        match self.by_code.insert(report.code, position) {
            Some(_) => Err(()),
            None => Ok(()),
        }
    }

    /// Retracts or reinstates a report; one that is so already stays as it is.
    pub(super) fn correct(&mut self, position: u64, act: Act, days: &mut BTreeMap<Date, Day>) {
        let retract = act == Act::Retract;
        let Some(report) = self.by_position.get_mut(&position) else { return };
        if report.retracted == retract {
            return;
        }
        report.retracted = retract;
        for brought in &report.days {
            if let Some(day) = days.get_mut(&brought.date).filter(|day| day.knows(position)) {
                day.correct(&brought.elements, retract);
            }
        }
    }

    pub(super) fn preview(
        &self,
        act: Act,
        positions: &[u64],
        days: &BTreeMap<Date, Day>,
    ) -> BTreeMap<Date, Change> {
        let retract = act == Act::Retract;
        let reports =
            positions.iter().filter_map(|position| Some((position, self.get(*position)?)));
        let mut places: BTreeMap<Date, (&Day, Vec<&[u32]>)> = BTreeMap::new();
        for (position, report) in reports.filter(|(_, report)| report.retracted != retract) {
            for brought in &report.days {
                let day = days.get(&brought.date).filter(|day| day.knows(*position));
                let Some(day) = day else { continue };
                places.entry(brought.date).or_insert((day, Vec::new())).1.push(&brought.elements);
            }
        }
        let change = |(date, (day, places)): (Date, (&Day, Vec<&[u32]>))| {
            (date, day.preview(&places, retract))
        };
        places.into_iter().map(change).collect()
    }

    pub(super) fn published(&mut self, position: u64, date: Date, version: Version) {
        let report = self.by_position.get_mut(&position);
        let days = report.into_iter().flat_map(|report| &mut report.days);
        for brought in days.filter(|brought| brought.date == date) {
            brought.since = Some(version);
        }
    }

    /// What a report brought for a date, and when it was received; `None` if it is
    /// retracted.
    pub(super) fn waiting(&self, position: u64, date: Date) -> Option<(&ReportDay, u64)> {
        let report = self.by_position.get(&position).filter(|report| !report.retracted)?;
        let brought = report.days.iter().find(|brought| brought.date == date)?;
        Some((brought, report.received))
    }

    /// Forgets a report, and says which code brought it.
    pub(super) fn remove(&mut self, position: u64) -> Option<CodeId> {
        let report = self.by_position.remove(&position)?;
        self.by_tracking.remove(&report.tracking);
        self.by_code.remove(&report.code);
        Some(report.code)
    }
}

//! Reports without their elements, which are in `gcs_core::live`.

use std::collections::{BTreeMap, HashMap};

use gcs_core::report::ItemProblem;
use serde::{Deserialize, Serialize};

use crate::domain::events::{CodeId, ReportAccepted, TrackingId};

/// A report without its elements.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportRecord {
    /// The code that authorised it.
    pub code: CodeId,
    /// SHA-256 of the set of items that was sent. A retry is recognised by it.
    pub payload: [u8; 32],
    /// Random number by which the sender asks for the report's status.
    pub tracking: TrackingId,
    /// Number of items that were accepted, without duplicates.
    pub accepted: u32,
    /// The items that were not accepted, by index, each with what is wrong with it.
    pub problems: Vec<(u32, ItemProblem)>,
}

/// Reports by their positions in the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<u64, ReportRecord>")]
pub struct Reports {
    by_position: BTreeMap<u64, ReportRecord>,
    #[serde(skip)]
    by_tracking: HashMap<TrackingId, u64>,
    #[serde(skip)]
    by_code: HashMap<CodeId, u64>,
}

impl From<BTreeMap<u64, ReportRecord>> for Reports {
    fn from(by_position: BTreeMap<u64, ReportRecord>) -> Reports {
        let reports = by_position.iter();
        let by_tracking = reports.clone().map(|(at, report)| (report.tracking, *at)).collect();
        let by_code = reports.map(|(at, report)| (report.code, *at)).collect();
        Reports { by_position, by_tracking, by_code }
    }
}

impl Reports {
    /// A report by its position.
    pub fn get(&self, position: u64) -> Option<&ReportRecord> {
        self.by_position.get(&position)
    }

    /// A report by its tracking id.
    pub fn by_tracking(&self, tracking: &TrackingId) -> Option<(u64, &ReportRecord)> {
        let position = *self.by_tracking.get(tracking)?;
        Some((position, self.by_position.get(&position)?))
    }

    /// The report that a code brought.
    pub fn by_code(&self, code: CodeId) -> Option<(u64, &ReportRecord)> {
        let position = *self.by_code.get(&code)?;
        Some((position, self.by_position.get(&position)?))
    }

    /// All reports with their positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &ReportRecord)> {
        self.by_position.iter().map(|(position, report)| (*position, report))
    }

    /// The number of reports.
    pub fn len(&self) -> usize {
        self.by_position.len()
    }

    /// Whether there is no report.
    pub fn is_empty(&self) -> bool {
        self.by_position.is_empty()
    }

    /// Adds a report. Returns whether its code had brought another report before.
    pub(super) fn add(&mut self, position: u64, report: &ReportAccepted) -> bool {
        let record = ReportRecord {
            code: report.code,
            payload: report.payload,
            tracking: report.tracking,
            accepted: report.items.len() as u32,
            problems: report.problems.clone(),
        };
        self.by_tracking.insert(report.tracking, position);
        self.by_position.insert(position, record);
        self.by_code.insert(report.code, position).is_some()
    }

    /// Forgets a report. Returns the code that brought it.
    pub(super) fn remove(&mut self, position: u64) -> Option<CodeId> {
        let report = self.by_position.remove(&position)?;
        self.by_tracking.remove(&report.tracking);
        self.by_code.remove(&report.code);
        Some(report.code)
    }
}

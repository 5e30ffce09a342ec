//! What is known of reports besides their elements.

use std::collections::{BTreeMap, HashMap};

use gcs_core::report::ItemProblem;
use serde::Serialize;

use crate::domain::events::{CodeId, ReportAccepted, TrackingId};

/// What is known of a report besides its elements.
#[derive(Debug, Serialize)]
pub struct ReportRecord {
    /// The code that authorised it.
    pub code: CodeId,
    /// SHA-256 of what was sent.
    pub payload: [u8; 32],
    /// Its number for its sender.
    pub tracking: TrackingId,
    /// Number of items that were accepted, without duplicates.
    pub accepted: u32,
    /// The items that were not, by index.
    pub problems: Vec<(u32, ItemProblem)>,
}

/// Reports by their positions in the log.
#[derive(Debug, Default, Serialize)]
pub struct Reports {
    by_position: BTreeMap<u64, ReportRecord>,
    #[serde(skip)]
    by_tracking: HashMap<TrackingId, u64>,
    #[serde(skip)]
    by_code: HashMap<CodeId, u64>,
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

    /// All of them, by position.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &ReportRecord)> {
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

    /// Adds a report, and says whether its code has brought another one.
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

    /// Forgets a report, and says which code brought it.
    pub(super) fn remove(&mut self, position: u64) -> Option<CodeId> {
        let report = self.by_position.remove(&position)?;
        self.by_tracking.remove(&report.tracking);
        self.by_code.remove(&report.code);
        Some(report.code)
    }
}

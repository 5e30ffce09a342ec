//! What became of reports that were answered with 202, where they are no reports of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::events::{SpooledReportJudged, TrackingId, Verdict};

/// Seconds for which a verdict is remembered: 30 days.
const REMEMBERED: u64 = 30 * gcs_core::DAY_SECONDS;

/// Verdicts by the tracking ids that the 202s gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdicts(BTreeMap<TrackingId, Remembered>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Remembered {
    /// Unix time, in seconds, of the event.
    time: u64,
    verdict: Verdict,
}

impl Verdicts {
    /// The verdict on the report that has a tracking id.
    pub fn get(&self, tracking: &TrackingId) -> Option<Verdict> {
        Some(self.0.get(tracking)?.verdict)
    }

    /// The number of verdicts that are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no verdict is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, judged: &SpooledReportJudged, time: u64) {
        self.0.insert(judged.tracking, Remembered { time, verdict: judged.verdict });
    }

    pub(super) fn forget_old(&mut self, now: u64) {
        self.0.retain(|_, known| known.time.saturating_add(REMEMBERED) > now);
    }
}

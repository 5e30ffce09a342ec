//! The events of reports: accepted, corrected, erased.

use gcs_core::live::Act;
use gcs_core::report::{Item, ItemProblem};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{CodeId, TrackingId};

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAccepted {
    /// The code that authorised it.
    pub code: CodeId,
    /// SHA-256 of the set of items that was sent. A retry is recognised by it.
    pub payload: [u8; 32],
    /// Random number made by the server, by which the sender asks for the report's status.
    pub tracking: TrackingId,
    /// The items that were accepted, without duplicates.
    pub items: Vec<Item>,
    /// The items that were not accepted, by index, each with what is wrong with it.
    pub problems: Vec<(u32, ItemProblem)>,
}

/// Reports retracted or reinstated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Whether the reports are retracted or reinstated.
    pub act: Act,
    /// The reports, by their positions in the log.
    pub reports: Vec<u64>,
    /// How the reports were selected, as text for people who read the log.
    pub selection: String,
}

/// Bodies of reports that were erased, because all dates of these reports expired days ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Positions of the reports.
    pub reports: Vec<u64>,
    /// The codes of these reports whose ranges have not expired: they stay used. They are sorted,
    /// so that nothing says which code belongs to which report.
    pub used: Vec<CodeId>,
}

/// What became of a report that was answered with 202, where the log did not take it as a report of its
/// own. It has nothing of the report and of its sender, so that it can stay for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpooledReportJudged {
    /// The tracking id that the 202 gave.
    pub tracking: TrackingId,
    /// What became of the report.
    pub verdict: Verdict,
}

/// What became of a report that was answered with 202, if it is no report of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The log has the same report already, at this position: it was sent again, to another server.
    Known(u64),
    /// It was refused.
    Refused(Refusal),
}

/// Why a report that was answered with 202 was refused. The name of each is that of the problem with
/// which the report would have been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// No key of the code's provider made it.
    CodeInvalid,
    /// The code has brought another report.
    CodeUsed,
    /// The code had expired.
    CodeExpired,
    /// The code was revoked.
    CodeRevoked,
    /// The code's provider was suspended.
    CodeSuspended,
    /// The code's range was not open.
    CodeNotOpen,
    /// None of the items could be accepted.
    NoItems,
}

//! The status of a report, as its sender can ask for it.

use gcs_core::live::{LiveReport, ReportDate};
use gcs_core::{Date, Version};
use serde::Serialize;

use crate::domain::events::{Refusal, TrackingId, Verdict};
use crate::domain::problem::Problem;
use crate::domain::state::State;

/// The status of a report, or of its elements of one date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A server took it while the log could not be reached, and it has not been judged yet.
    Received,
    /// It was taken while the log could not be reached, and then it was not accepted.
    Refused,
    /// It waits to be published.
    Held,
    /// All of it that has not expired is published.
    Published,
    /// It was retracted.
    Retracted,
    /// All its dates have expired.
    Expired,
}

/// The status of a report, as a whole and by date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportStatus {
    /// The status of the whole report.
    pub status: Status,
    /// The status of its elements, by date.
    pub dates: Vec<DateStatus>,
    /// Why it was refused, if it was: the code of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl ReportStatus {
    /// The status of a report that has not been judged yet.
    pub fn received() -> ReportStatus {
        ReportStatus { status: Status::Received, dates: Vec::new(), code: None }
    }

    fn refused(refusal: Refusal) -> ReportStatus {
        ReportStatus { status: Status::Refused, dates: Vec::new(), code: Some(refusal.into()) }
    }
}

/// The status of a report's elements of one date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DateStatus {
    /// The UTC date.
    pub date: Date,
    /// The status of these elements.
    pub status: Status,
    /// The first publication that had them, if they are published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Version>,
}

/// The status of the report that has a tracking id. `published` is the newest publication that
/// phones can fetch: the log may be ahead of it.
///
/// # Errors
/// [`Problem::ReportUnknown`].
pub fn report_status(
    state: &State,
    tracking: &TrackingId,
    published: Option<Version>,
) -> Result<ReportStatus, Problem> {
    if let Some(Verdict::Refused(refusal)) = state.verdicts.get(tracking) {
        return Ok(ReportStatus::refused(refusal));
    }
    let position = state.tracked(tracking).ok_or(Problem::ReportUnknown)?;
    let report = state.live.report(position).ok_or(Problem::ReportUnknown)?;
    let dates = report.dates.iter().map(|brought| {
        let is_expired = !state.live.has(position, brought.date);
        date_status(report, brought, is_expired, published)
    });
    let dates: Vec<DateStatus> = dates.collect();
    Ok(ReportStatus { status: overall(report, &dates), dates, code: None })
}

fn date_status(
    report: &LiveReport,
    brought: &ReportDate,
    is_expired: bool,
    published: Option<Version>,
) -> DateStatus {
    let since = brought.since.filter(|since| published >= Some(*since));
    let status = match since {
        _ if is_expired => Status::Expired,
        _ if report.retracted => Status::Retracted,
        Some(_) => Status::Published,
        None => Status::Held,
    };
    DateStatus { date: brought.date, status, since: since.filter(|_| status == Status::Published) }
}

fn overall(report: &LiveReport, dates: &[DateStatus]) -> Status {
    let any = |status| dates.iter().any(|date| date.status == status);
    if report.retracted {
        Status::Retracted
    } else if any(Status::Held) {
        Status::Held
    } else if any(Status::Published) {
        Status::Published
    } else {
        Status::Expired
    }
}

//! Corrections: retracting and reinstating reports.

use gcs_core::Date;
use gcs_core::live::{Act, Change, LiveReport};
use gcs_core::report::Code;
use serde::{Deserialize, Serialize};

use super::reports::authenticate;
use super::{Decision, Judgement};
use crate::domain::events::{CodeId, Correction, Event, TrackingId};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::state::{ReportRecord, State};

/// Largest number of reports in one event, so that no batch of the log is large.
const REPORTS_PER_EVENT: usize = 20_000;

/// The reports that a correction is about: those that fit every field that is given.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// The report of this tracking id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// The report that this code brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Reports that this provider's codes brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<u16>,
    /// Reports of the range that begins with this serial number. The range is of the key of
    /// `generation`, or of the provider's present key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<u32>,
    /// Reports made with codes of the provider's key of this generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Reports accepted at this Unix time, in seconds, or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_from: Option<u64>,
    /// Reports accepted before this Unix time, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_until: Option<u64>,
}

/// What a correction changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorrectionAnswer {
    /// The position in the log up to which reports were looked at. A correction up to this
    /// position changes just these reports.
    pub position: u64,
    /// Number of reports that the correction changes.
    pub reports: u64,
    /// Number of selected reports that are retracted, or not retracted, already.
    pub unchanged: u64,
    /// What changes for phones, by date.
    pub dates: Vec<DateChange>,
}

/// What a correction changes on a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DateChange {
    /// The date.
    pub date: Date,
    /// What changes for phones on this date.
    #[serde(flatten)]
    pub change: Change,
}

/// A selection whose tracking id, code and range have been looked up.
struct Filter {
    /// Position of the one report that is selected, 0 if there is none.
    report: Option<u64>,
    code: Option<CodeId>,
    provider: Option<u16>,
    generation: Option<u32>,
    serials: Option<std::ops::Range<u32>>,
    received: std::ops::Range<u64>,
    until: u64,
}

impl Filter {
    fn new(
        state: &State,
        keys: &DeploymentKeys,
        selection: &Selection,
        until: u64,
    ) -> Result<Filter, Problem> {
        let Selection { report, code, provider, range, generation, received_from, received_until } =
            selection;
        if provider.is_none() && (range.is_some() || generation.is_some()) {
            return Err(Problem::SelectionRange);
        }
        if report.is_none()
            && code.is_none()
            && provider.is_none()
            && received_from.is_none()
            && received_until.is_none()
        {
            return Err(Problem::SelectionEmpty);
        }
        let tracking = report.as_deref().map(parse_tracking).transpose()?;
        let report = tracking.map(|tracking| state.tracked(&tracking).unwrap_or(0));
        let code = code.as_deref().map(|code| {
            let code: Code = code.parse().map_err(|_| Problem::CodeInvalid)?;
            authenticate(state, keys, &code).ok_or(Problem::CodeInvalid)
        });
        let (mut generation, mut serials) = (*generation, None);
        if let Some(provider) = *provider {
            let known = state.providers.get(&provider);
            let known = known.ok_or(Problem::ProviderUnknown { provider })?;
            if let Some(first) = *range {
                let of = generation.unwrap_or(known.generation);
                let range = known.ranges.get(&(of, first));
                let unknown = Problem::RangeUnknown { generation: of, first };
                let range = range.ok_or(unknown)?;
                (generation, serials) = (Some(of), Some(first..first + range.count));
            }
        }
        Ok(Filter {
            report,
            code: code.transpose()?,
            provider: *provider,
            generation,
            serials,
            received: received_from.unwrap_or(0)..received_until.unwrap_or(u64::MAX),
            until,
        })
    }

    fn takes(&self, position: u64, report: &ReportRecord, live: &LiveReport) -> bool {
        position <= self.until
            && self.received.contains(&live.received)
            && self.report.is_none_or(|selected| selected == position)
            && self.code.is_none_or(|code| report.code == code)
            && self.provider.is_none_or(|provider| report.code.provider == provider)
            && self.generation.is_none_or(|generation| report.code.generation == generation)
            && self.serials.as_ref().is_none_or(|serials| serials.contains(&report.code.serial))
    }
}

/// Reads a tracking id.
pub(crate) fn parse_tracking(text: &str) -> Result<TrackingId, Problem> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Problem::ReportUnknown)
}

/// What a correction would change at a position of the log, the present one by default.
///
/// # Errors
/// A selection that is empty, names something that does not exist, or fits no report; a position
/// that the log has not reached.
pub fn preview(
    state: &State,
    keys: &DeploymentKeys,
    act: Act,
    selection: &Selection,
    position: Option<u64>,
) -> Result<CorrectionAnswer, Problem> {
    select(state, keys, act, selection, position).map(|(answer, _)| answer)
}

fn select(
    state: &State,
    keys: &DeploymentKeys,
    act: Act,
    selection: &Selection,
    position: Option<u64>,
) -> Result<(CorrectionAnswer, Vec<u64>), Problem> {
    let position = position.unwrap_or(state.position);
    if position > state.position {
        return Err(Problem::PositionAhead { last: state.position, got: position });
    }
    let filter = Filter::new(state, keys, selection, position)?;
    let reports = state.reports.iter();
    let both = reports.filter_map(|(at, report)| Some((at, report, state.live.report(at)?)));
    let selected = both.filter(|(at, report, live)| filter.takes(*at, report, live));
    let (same, change): (Vec<_>, Vec<_>) = selected.partition(|(_, _, live)| live.is(act));
    if change.is_empty() && same.is_empty() {
        return Err(Problem::SelectionNone { position });
    }
    let reports: Vec<u64> = change.into_iter().map(|(at, ..)| at).collect();
    let dates = state.live.preview(act, &reports);
    let answer = CorrectionAnswer {
        position,
        reports: reports.len() as u64,
        unchanged: same.len() as u64,
        dates: dates.into_iter().map(|(date, change)| DateChange { date, change }).collect(),
    };
    Ok((answer, reports))
}

/// Retracts or reinstates the selected reports up to a position of the log.
///
/// # Errors
/// As [`preview`].
pub fn correct(
    state: &State,
    keys: &DeploymentKeys,
    act: Act,
    selection: &Selection,
    position: u64,
) -> Judgement<CorrectionAnswer> {
    let (answer, reports) = select(state, keys, act, selection, Some(position))?;
    let description = describe(selection);
    let event = |reports: &[u64]| {
        let (reports, selection) = (reports.to_vec(), description.clone());
        Event::from(Correction { act, reports, selection })
    };
    Ok(Decision { events: reports.chunks(REPORTS_PER_EVENT).map(event).collect(), answer })
}

/// A selection as text for people who read the log, without code and tracking id.
fn describe(selection: &Selection) -> String {
    let code = selection.code.as_ref().map(|_| "(a code)".to_owned());
    let report = selection.report.as_ref().map(|_| "(a tracking id)".to_owned());
    let shown = Selection { report, code, ..selection.clone() };
    serde_json::to_string(&shown).unwrap_or_default()
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&describe(self))
    }
}

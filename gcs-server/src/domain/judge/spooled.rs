//! Reports that arrive while the log cannot be reached: what can be said of them then, and the
//! judgement once it is back.

use gcs_core::DAY_SECONDS;
use gcs_core::report::{Code, ItemProblem, ReceivedReport, ReportAnswer};

use super::publication::SMALL_STEP;
use super::reports::{Sent, authenticate, first_answer, judge_sent};
use super::{Decision, Judgement, RequestContext};
use crate::domain::events::{CodeId, Refusal, SpooledReportJudged, Verdict};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::spooled::SpooledReport;
use crate::domain::state::{CodeStatus, State};

/// Seconds for which the time of arrival decides whether a spooled report's code had expired. A report
/// that waited for longer is judged by the time at which it is judged.
pub(super) const LONGEST_WAIT: u64 = 14 * DAY_SECONDS;

/// Number of keys after the last known one that a code is tried with: another server may have given its
/// provider a new key meanwhile.
const KEYS_AHEAD: u32 = 8;

/// What is known of a report that cannot be judged now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was accepted before, with this answer.
    Accepted(ReportAnswer),
    /// It has to wait.
    Waits {
        /// The identity of its code.
        code: CodeId,
        /// Whether the last known state lets the code bring a report.
        is_open: bool,
    },
}

/// What a server knows while it cannot reach the log.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The last state that is known.
    pub state: &'a State,
    /// Whether the log led to this state in this run of the server. The state of a checkpoint may be old, or
    /// that of a log that has lost its end since.
    pub is_certain: bool,
    /// Unix time in seconds.
    pub now: u64,
    /// Whether the time can be trusted.
    pub is_time_trusted: bool,
}

/// What can be said of a report without the log. Only what cannot become wrong is said: what another server
/// may have changed meanwhile is left for the judgement.
///
/// # Errors
/// [`Problem::CodeInvalid`] if the code is not authentic, or [`Problem::LogUnusable`] if too little is known
/// to say so. [`Problem::CodeUsed`],
/// [`Problem::CodeRevoked`] and, if the time can be trusted, [`Problem::CodeExpired`]: these last.
/// [`Problem::NoItems`] if none of the items is one.
pub fn arrival(
    Known { state, is_certain, now, is_time_trusted }: Known<'_>,
    keys: &DeploymentKeys,
    received: &ReceivedReport,
) -> Result<Arrival, Problem> {
    let known = authenticate(state, keys, &received.code);
    let ahead = || authenticate_ahead(state, keys, &received.code).map(|code| (code, true));
    let unknown = if is_certain { Problem::CodeInvalid } else { Problem::LogUnusable };
    let (code, is_ahead) = known.map(|code| (code, false)).or_else(ahead).ok_or(unknown)?;
    let status = if is_ahead { CodeStatus::NotOpen } else { state.code_status(code, now) };
    match status {
        CodeStatus::Used if is_certain => {
            let first = state.reports.by_code(code).map(|(_, report)| report);
            first_answer(first, received).map(Arrival::Accepted).ok_or(Problem::CodeUsed)
        }
        CodeStatus::Revoked if is_certain => Err(Problem::CodeRevoked),
        CodeStatus::Expired if is_certain && is_time_trusted => Err(Problem::CodeExpired),
        status => {
            expect_an_item(&received.items)?;
            Ok(Arrival::Waits { code, is_open: status == CodeStatus::Open })
        }
    }
}

/// The identity of a code, if a key of its provider made it that the state does not have yet.
fn authenticate_ahead(state: &State, keys: &DeploymentKeys, code: &Code) -> Option<CodeId> {
    let provider = code.provider();
    let first = match state.providers.get(&provider) {
        Some(known) => known.generation.saturating_add(1),
        None => state.first_generation,
    };
    let generation = (first..first.saturating_add(KEYS_AHEAD))
        .find(|generation| code.is_authentic(&keys.provider(provider, *generation)))?;
    Some(CodeId { provider, generation, serial: code.serial() })
}

fn expect_an_item<T>(items: &[Result<T, ItemProblem>]) -> Result<(), Problem> {
    if items.iter().any(Result::is_ok) {
        return Ok(());
    }
    let problems = (0..).zip(items).filter_map(|(at, item)| Some((at, *item.as_ref().err()?)));
    Err(Problem::NoItems { problems: problems.collect() })
}

/// What became of a report that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is accepted, under the tracking id that the 202 gave.
    Accepted,
    /// The log has the same report from elsewhere.
    Known,
    /// It is refused, and whoever asks is told why.
    Refused,
    /// The log has the judgement already.
    Before,
}

/// Judges a report that waited. Its code and the future of its items are judged by the time at which it
/// arrived, if that can be trusted and is not too long ago; whether its items can still be published, by
/// the present.
///
/// # Errors
/// [`Problem::ClockDoubt`]: the report has to wait on.
pub fn spooled_report(
    state: &State,
    keys: &DeploymentKeys,
    context: RequestContext,
    spooled: &SpooledReport,
) -> Judgement<Judged> {
    let tracking = spooled.tracking;
    if state.is_judged(&tracking) {
        return Ok(Decision::nothing(Judged::Before));
    }
    let arrived = time_that_counts(spooled, context.now);
    let sent = Sent { received: &spooled.report, arrived, tracking };
    let verdict = match judge_sent(state, keys, context, &sent) {
        Ok(Decision { events, .. }) if !events.is_empty() => {
            return Ok(Decision { events, answer: Judged::Accepted });
        }
        Ok(_) => {
            let known = authenticate(state, keys, &spooled.report.code)
                .and_then(|code| state.reports.by_code(code));
            Verdict::Known(known.ok_or(Problem::Internal)?.0)
        }
        Err(problem) => Verdict::Refused(refusal(problem)?),
    };
    let answer = match verdict {
        Verdict::Known(_) => Judged::Known,
        Verdict::Refused(_) => Judged::Refused,
    };
    Ok(Decision::one(SpooledReportJudged { tracking, verdict }, answer))
}

/// The time by which it is judged whether a code had expired.
fn time_that_counts(spooled: &SpooledReport, now: u64) -> u64 {
    let recent = now.saturating_sub(LONGEST_WAIT)..=now.saturating_add(SMALL_STEP);
    if spooled.is_time_trusted && recent.contains(&spooled.arrived) {
        spooled.arrived.min(now)
    } else {
        now
    }
}

/// The refusal that a problem is; the problem itself if it is none.
fn refusal(problem: Problem) -> Result<Refusal, Problem> {
    Ok(match problem {
        Problem::CodeInvalid => Refusal::CodeInvalid,
        Problem::CodeUsed => Refusal::CodeUsed,
        Problem::CodeExpired => Refusal::CodeExpired,
        Problem::CodeRevoked => Refusal::CodeRevoked,
        Problem::CodeSuspended => Refusal::CodeSuspended,
        Problem::CodeNotOpen => Refusal::CodeNotOpen,
        Problem::NoItems { .. } => Refusal::NoItems,
        problem => return Err(problem),
    })
}

//! Reports of patients.

use std::borrow::Cow;

use gcs_core::report::{AcceptedItems, Code, Item, ItemProblem, ReceivedReport, ReportAnswer};

use super::publication::expect_trusted_clock;
use super::{Decision, Judgement, RequestContext};
use crate::domain::events::{CodeId, ReportAccepted, TrackingId};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::state::{CodeStatus, ReportRecord, State};

/// Largest number of a provider's keys that a code is tried with. It bounds the work for a guess.
const MOST_KEYS: usize = 64;

/// Accepts a report, or gives a retry its first answer.
///
/// # Errors
/// [`Problem::CodeInvalid`] if the code is not authentic, whatever else is wrong, so that guessing
/// codes reveals nothing. [`Problem::ClockDoubt`] where the answer depends on a clock that is in
/// doubt. Otherwise the problem of the code or of the items.
pub fn report(
    state: &State,
    keys: &DeploymentKeys,
    context: RequestContext,
    received: &ReceivedReport,
) -> Judgement<ReportAnswer> {
    let mut tracking = TrackingId::default();
    tracking.copy_from_slice(&context.random[..16]);
    judge_sent(state, keys, context, &Sent { received, arrived: context.now, tracking })
}

/// A report with what it is judged by besides the state and the clock.
pub(super) struct Sent<'a> {
    pub(super) received: &'a ReceivedReport,
    /// Unix time, in seconds, at which it arrived.
    pub(super) arrived: u64,
    /// The tracking id that it gets if it is accepted.
    pub(super) tracking: TrackingId,
}

/// As [`report`].
pub(super) fn judge_sent(
    state: &State,
    keys: &DeploymentKeys,
    context: RequestContext,
    sent: &Sent<'_>,
) -> Judgement<ReportAnswer> {
    let code = authenticate(state, keys, &sent.received.code).ok_or(Problem::CodeInvalid)?;
    let status = state.code_status(code, sent.arrived);
    if matches!(status, CodeStatus::Open | CodeStatus::Suspended | CodeStatus::Expired) {
        expect_trusted_clock(state, context)?;
    }
    match status {
        CodeStatus::Open => accept(state, context, code, sent),
        CodeStatus::Used => {
            let first = state.reports.by_code(code).map(|(_, report)| report);
            first_answer(first, sent.received).map(Decision::nothing).ok_or(Problem::CodeUsed)
        }
        CodeStatus::Expired => Err(Problem::CodeExpired),
        CodeStatus::Revoked => Err(Problem::CodeRevoked),
        CodeStatus::Suspended => Err(Problem::CodeSuspended),
        CodeStatus::NotOpen => Err(Problem::CodeNotOpen),
    }
}

/// The answer that the first report of a code got, if it is the same report.
pub(super) fn first_answer(
    first: Option<&ReportRecord>,
    received: &ReceivedReport,
) -> Option<ReportAnswer> {
    let first = first.filter(|first| first.payload == received.payload)?;
    Some(ReportAnswer::new(&first.tracking, first.accepted, &first.problems))
}

/// The identity of a code, if a key of its provider made it.
pub(super) fn authenticate(state: &State, keys: &DeploymentKeys, code: &Code) -> Option<CodeId> {
    let provider = code.provider();
    let made_by = |generation: &u32| code.is_authentic(&keys.provider(provider, *generation));
    let Some(known) = state.providers.get(&provider) else {
        // This takes about as long as for a known provider.
        let _never = std::hint::black_box(made_by(&state.first_generation));
        return None;
    };
    // Earlier keys too: a retry still gets its first answer after the provider got a new key.
    let generation = known.generations().take(MOST_KEYS).find(made_by)?;
    Some(CodeId { provider, generation, serial: code.serial() })
}

fn accept(
    state: &State,
    context: RequestContext,
    code: CodeId,
    sent: &Sent<'_>,
) -> Judgement<ReportAnswer> {
    let rules = state.policy.items();
    let items = without_later(sent, context.now);
    let AcceptedItems { items, problems } = rules.accept(&items, context.now);
    if items.is_empty() {
        return Err(Problem::NoItems { problems });
    }
    let tracking = sent.tracking;
    let answer = ReportAnswer::new(&tracking, items.len() as u32, &problems);
    let payload = sent.received.payload;
    Ok(Decision::one(ReportAccepted { code, payload, tracking, items, problems }, answer))
}

/// The items of a report. Those that were in the future when it arrived are not accepted, although they
/// would be now.
fn without_later<'a>(sent: &Sent<'a>, now: u64) -> Cow<'a, [Result<Item, ItemProblem>]> {
    let items = &sent.received.items;
    if sent.arrived == now {
        return Cow::Borrowed(items);
    }
    let look = |item: &Result<Item, ItemProblem>| {
        let item = item.clone()?;
        item.expect_begun(sent.arrived).map(|()| item)
    };
    Cow::Owned(items.iter().map(look).collect())
}

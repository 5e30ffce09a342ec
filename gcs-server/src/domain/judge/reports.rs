//! Reports.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::Date;

use super::{Decision, Judgement};
use crate::domain::code::Code;
use crate::domain::item::{Item, ItemProblem};
use crate::domain::keys::KeyFile;
use crate::domain::log::event;
use crate::domain::log::event::{CodeId, TrackingId};
use crate::domain::policy::Policy;
use crate::domain::problem::Problem;
use crate::domain::state::{CodeStatus, Report, State};
use crate::random;

/// Most items of a report.
pub const MAX_ITEMS: usize = 4096;

/// How many earlier keys of a provider a code is tried with, so that a retry still gets its
/// first answer after the key was raised.
const EARLIER_KEYS: u32 = 4;

/// What a patient's app sent.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The code, whose check symbol fits.
    pub code: Code,
    /// Every item in order, or what is wrong with its shape.
    pub items: Vec<Result<Item, ItemProblem>>,
    /// SHA-256 of all items as they were sent.
    pub payload: [u8; 32],
}

/// What the app is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportAnswer {
    /// 32 hexadecimal digits to ask for the report's status by.
    pub tracking_id: String,
    /// Number of items accepted, duplicates counted once.
    pub accepted: u32,
    /// Items that were not.
    pub problems: Vec<ProblemItem>,
}

/// An item that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemItem {
    /// Its index among the items sent.
    pub index: u32,
    /// What is wrong with it.
    pub code: ItemProblem,
}

impl ReportAnswer {
    fn new(tracking: &TrackingId, accepted: u32, problems: &[(u32, ItemProblem)]) -> ReportAnswer {
        ReportAnswer {
            tracking_id: data_encoding::HEXLOWER.encode(tracking),
            accepted,
            problems: ProblemItem::list(problems),
        }
    }
}

impl ProblemItem {
    pub(crate) fn list(problems: &[(u32, ItemProblem)]) -> Vec<ProblemItem> {
        let item = |(index, code): &(u32, ItemProblem)| ProblemItem { index: *index, code: *code };
        problems.iter().map(item).collect()
    }
}

/// Accepts a report, gives a retry its first answer, or says why not.
///
/// # Errors
/// Until the code is known to be authentic there is one refusal, so that nobody learns
/// anything by guessing.
pub fn report(
    state: &State,
    keys: &KeyFile,
    now: u64,
    submission: &Submission,
) -> Judgement<ReportAnswer> {
    let code = authenticate(state, keys, &submission.code).ok_or(Problem::CodeInvalid)?;
    match state.code_status(code, now) {
        CodeStatus::Open => accept(state, now, code, submission),
        CodeStatus::Used => {
            let first = state.reports.by_code(code).map(|(_, report)| report);
            first_answer(first, submission).map(Decision::nothing).ok_or(Problem::CodeUsed)
        }
        CodeStatus::Expired => Err(Problem::CodeExpired),
        CodeStatus::Revoked => Err(Problem::CodeRevoked),
        CodeStatus::Suspended => Err(Problem::CodeSuspended),
        CodeStatus::NotOpen => Err(Problem::CodeNotOpen),
    }
}

fn first_answer(first: Option<&Report>, submission: &Submission) -> Option<ReportAnswer> {
    let first = first.filter(|first| first.payload == submission.payload)?;
    Some(ReportAnswer::new(&first.tracking, first.accepted, &first.problems))
}

/// Which code it is, if a key of its provider made it.
pub(super) fn authenticate(state: &State, keys: &KeyFile, code: &Code) -> Option<CodeId> {
    let provider = code.provider();
    // An unknown number takes as long as a known one.
    let newest = state.providers.get(&provider).map_or(1, |provider| provider.generation);
    let oldest = newest.saturating_sub(EARLIER_KEYS).max(1);
    let made_by = |generation: &u32| code.is_authentic(&keys.provider(provider, *generation));
    let generation = (oldest..=newest).rev().find(made_by)?;
    let code = CodeId { provider, generation, serial: code.serial() };
    state.providers.contains_key(&provider).then_some(code)
}

fn accept(
    state: &State,
    now: u64,
    code: CodeId,
    submission: &Submission,
) -> Judgement<ReportAnswer> {
    let (items, problems) = sort_out(&submission.items, now, &state.policy);
    if items.is_empty() {
        return Err(Problem::NoItems { problems });
    }
    let tracking: TrackingId = random::bytes().map_err(|_| Problem::Internal)?;
    let answer = ReportAnswer::new(&tracking, items.len() as u32, &problems);
    let payload = submission.payload;
    Ok(Decision::one(event::ReportAccepted { code, payload, tracking, items, problems }, answer))
}

/// The good items without duplicates, and what is wrong with the others.
fn sort_out(
    items: &[Result<Item, ItemProblem>],
    now: u64,
    policy: &Policy,
) -> (Vec<Item>, Vec<(u32, ItemProblem)>) {
    let mut good = BTreeSet::new();
    let mut per_date: BTreeMap<Date, u32> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, item) in (0..).zip(items) {
        let checked = item.as_ref().map_err(|problem| *problem).and_then(|item| {
            item.check(now, policy.retention_days, policy.raw)?;
            Ok(item)
        });
        match checked {
            Err(problem) => problems.push((index, problem)),
            Ok(item) if good.contains(item) => {}
            Ok(item) => {
                let count = per_date.entry(item.date()).or_default();
                if *count < policy.max_items_per_date {
                    *count += 1;
                    good.insert(item.clone());
                } else {
                    problems.push((index, ItemProblem::TooManyForDate));
                }
            }
        }
    }
    (good.into_iter().collect(), problems)
}

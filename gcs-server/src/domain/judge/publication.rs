//! Ticks, the clock, series, settings and purges.

use gcs_core::files::SignedKeyList;
use gcs_core::live::LiveReport;
use gcs_core::{DAY_SECONDS, Version};

use super::bluetrace::remove_authorities;
use super::spooled::LONGEST_WAIT;
use super::{Decision, Judgement, RequestContext};
use crate::domain::events::{
    ClockResumed, CodeId, Event, KeyListSet, LogRecovered, PolicySet, Purge, SeriesStarted,
    TickMade,
};
use crate::domain::keys::{DeploymentKeys, KEY_LIST_SECONDS};
use crate::domain::policy::Policy;
use crate::domain::problem::Problem;
use crate::domain::state::{LastTick, State};

/// Seconds by which the clock may be after the last tick. If it is later, ticks wait until the
/// operator says that the clock is right.
const LONGEST_PAUSE: u64 = DAY_SECONDS;

/// Seconds by which a clock may go back while it is put right.
pub(crate) const SMALL_STEP: u64 = 300;

/// Seconds from the tick that drops a date to the purge of its reports, at least. A wrong clock can
/// be noticed before anything is erased.
const SETTLED_SECONDS: u64 = 3 * DAY_SECONDS;

/// Largest number of reports that one purge erases.
const PURGE_REPORTS: usize = 10_000;

/// Makes the next tick, and before it a new list of online keys when half the validity of the
/// present list is over.
///
/// # Errors
/// When the clock is in doubt, or before the last tick.
pub fn tick(state: &State, keys: &DeploymentKeys, context: RequestContext) -> Judgement<Version> {
    let now = context.now;
    expect_steady_clock(state, context)?;
    let number = state.last_tick.map_or(1, |last| last.version.tick.saturating_add(1));
    let series = state.series;
    let mut events: Vec<Event> = renewed_key_list(state, keys, now)?.into_iter().collect();
    events.push(TickMade { series, number }.into());
    Ok(Decision { events, answer: Version { series, tick: number } })
}

/// Makes sure that everything can be judged by the clock.
///
/// # Errors
/// What is wrong with it.
pub fn expect_right_clock(state: &State, context: RequestContext) -> Result<(), Problem> {
    expect_steady_clock(state, context)?;
    expect_trusted_clock(state, context)
}

/// Makes sure that the clock has not gone back, since phones do not accept an earlier publication
/// time, and has not jumped ahead, since that would drop dates.
///
/// # Errors
/// [`Problem::ClockMoved`], [`Problem::ClockBehind`], [`Problem::ClockLeap`].
fn expect_steady_clock(state: &State, context: RequestContext) -> Result<(), Problem> {
    expect_unmoved_clock(context)?;
    let now = context.now;
    if now < state.clock {
        let seconds = state.clock - now;
        return Err(Problem::ClockBehind { seconds });
    }
    match now - state.clock {
        seconds if seconds > LONGEST_PAUSE => Err(Problem::ClockLeap { seconds }),
        _ => Ok(()),
    }
}

fn expect_unmoved_clock(context: RequestContext) -> Result<(), Problem> {
    context.leap.map_or(Ok(()), |seconds| Err(Problem::ClockMoved { seconds }))
}

/// Makes sure that the clock is not in doubt: that it did not leap while the machine ran, and that the
/// log has nothing against it.
///
/// # Errors
/// [`Problem::ClockDoubt`].
pub(super) fn expect_trusted_clock(state: &State, context: RequestContext) -> Result<(), Problem> {
    let is_trusted = context.leap.is_none() && agrees_with_log(state, context.now);
    if is_trusted { Ok(()) } else { Err(Problem::ClockDoubt) }
}

/// Whether a time is neither clearly before the last one that the log has seen, nor more than a day after
/// it.
pub fn agrees_with_log(state: &State, now: u64) -> bool {
    let is_behind = now.saturating_add(SMALL_STEP) < state.seen;
    let is_ahead = now > state.seen.saturating_add(LONGEST_PAUSE);
    !is_behind && !is_ahead
}

fn renewed_key_list(
    state: &State,
    keys: &DeploymentKeys,
    now: u64,
) -> Result<Option<Event>, Problem> {
    let present = SignedKeyList::from_json(&state.key_list)
        .and_then(|list| list.verify(&keys.root()))
        .map_err(|_| Problem::Internal)?;
    let is_listed = present.keys.contains(&keys.online().public());
    if is_listed && present.expires.saturating_sub(now) > KEY_LIST_SECONDS / 2 {
        return Ok(None);
    }
    let signed = keys.sign_key_list(present.version.saturating_add(1), now);
    let signed = signed.map_err(|_| Problem::Internal)?.to_json();
    Ok(Some(KeyListSet { signed }.into()))
}

/// The event of the first list of online keys.
///
/// # Errors
/// When the list is longer than the format allows, which does not happen with one key.
pub fn set_key_list(keys: &DeploymentKeys, now: u64) -> Result<Event, Problem> {
    let signed = keys.sign_key_list(1, now).map_err(|_| Problem::Internal)?;
    Ok(KeyListSet { signed: signed.to_json() }.into())
}

/// Trusts the clock again after it leapt.
///
/// # Errors
/// When the clock is before the last tick, since phones do not accept an earlier publication time.
/// When the next tick drops dates, unless `drop_dates` allows it.
pub fn resume_clock(state: &State, context: RequestContext, drop_dates: bool) -> Judgement<()> {
    let now = context.now;
    if expect_right_clock(state, context).is_ok() {
        return Ok(Decision::nothing(()));
    }
    expect_kept_dates(state, now, state.policy.retention_days, drop_dates)?;
    match state.last_tick {
        Some(last) if last.version.series == state.series && now < last.time => {
            Err(Problem::ClockBehind { seconds: last.time - now })
        }
        _ => Ok(Decision::one(ClockResumed {}, ())),
    }
}

/// Begins a new series: phones then compare all their sets with the published ones, and fetch
/// those that differ.
///
/// # Errors
/// When the clock leapt while the machine ran. When it is more than a day after the last tick, and the next
/// one drops dates, unless `drop_dates` allows it: the new series has no earlier time by which the clock would
/// be doubted.
pub fn start_series(state: &State, context: RequestContext, drop_dates: bool) -> Judgement<u32> {
    expect_unmoved_clock(context)?;
    expect_kept_by_clock(state, context.now, drop_dates)?;
    let series = state.series.checked_add(1).ok_or(Problem::Internal)?;
    Ok(Decision::one(SeriesStarted { series }, series))
}

/// What an operator allows when a log goes on whose end was lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery {
    /// Whether the codes that are out become void.
    pub void_codes: bool,
    /// Whether dates that have expired by the clock may be dropped with all their reports.
    pub drop_dates: bool,
    /// Whether users of BlueTrace may be registered again whose withdrawal is lost.
    pub users_return: bool,
}

/// Goes on with a log whose end was lost. `published` is the newest series that is known to have been
/// published.
///
/// The numbers of the new series and of the new keys are the Unix time: whatever the lost events
/// brought out has smaller ones, as long as nobody got more than one key a second. So the clock must not
/// be before the log's.
///
/// Other authorities of BlueTrace are removed: what is lost may have removed one of them, or changed its key.
///
/// # Errors
/// [`Problem::ClockDoubt`] if the clock is before the log's, or beyond the year 2105. When it is more than a
/// day after the log's, and the next tick drops dates, unless `drop_dates` allows it.
pub fn recover(
    state: &State,
    context: RequestContext,
    published: u32,
    Recovery { void_codes, drop_dates, .. }: Recovery,
) -> Judgement<LogRecovered> {
    let now = context.now;
    // Far from the end of what a number can hold.
    let time = u32::try_from(now).ok().filter(|time| *time < u32::MAX - (1 << 24));
    let time = time.filter(|_| now.saturating_add(SMALL_STEP) >= state.seen);
    let time = time.ok_or(Problem::ClockDoubt)?;
    expect_kept_by_clock(state, now, drop_dates)?;
    let known = state.providers.values().map(|provider| provider.generation);
    let newest = known.max().unwrap_or(0).max(state.first_generation);
    let recovered = LogRecovered {
        series: published.max(state.series).saturating_add(1).max(time),
        generation: newest.saturating_add(1).max(time),
        void_codes,
    };
    let mut decision = Decision::one(recovered.clone(), recovered);
    decision.events.extend(remove_authorities(state));
    Ok(decision)
}

/// Makes sure that a clock that jumped ahead drops no dates, unless `drop_dates` allows it. A date that
/// expires as time goes by is no reason to wait.
fn expect_kept_by_clock(state: &State, now: u64, drop_dates: bool) -> Result<(), Problem> {
    if now <= state.clock.saturating_add(LONGEST_PAUSE) {
        return Ok(());
    }
    expect_kept_dates(state, now, state.policy.retention_days, drop_dates)
}

/// Makes sure that the next tick drops no dates, unless `drop_dates` allows it.
fn expect_kept_dates(
    state: &State,
    now: u64,
    retention: u32,
    drop_dates: bool,
) -> Result<(), Problem> {
    let dates = state.live.dates();
    match dates.filter(|(date, _)| date.is_expired(now, retention)).count() {
        dates if dates > 0 && !drop_dates => Err(Problem::DatesDropped { dates }),
        _ => Ok(()),
    }
}

/// Replaces the settings.
///
/// # Errors
/// A setting out of bounds; a shorter retention that drops dates, unless `drop_dates` allows it, or while
/// the clock is in doubt.
pub fn set_policy(
    state: &State,
    context: RequestContext,
    policy: &Policy,
    drop_dates: bool,
) -> Judgement<()> {
    // A log of before `max_filler` has it without bound, which is no reason to keep other settings.
    let max_filler =
        if policy.max_filler == state.policy.max_filler { 0 } else { policy.max_filler };
    Policy { max_filler, ..policy.clone() }.validate()?;
    if *policy == state.policy {
        return Ok(Decision::nothing(()));
    }
    if policy.retention_days < state.policy.retention_days {
        expect_unmoved_clock(context)?;
        expect_kept_dates(state, context.now, policy.retention_days, drop_dates)?;
    }
    Ok(Decision::one(PolicySet { policy: policy.clone() }, ()))
}

/// Erases reports that nothing depends on any more.
pub fn purge(state: &State) -> Judgement<Vec<u64>> {
    let Some(last) = state.last_tick else { return Ok(Decision::nothing(Vec::new())) };
    let old = state.live.reports().filter(|(_, report)| is_settled(state, last, report));
    let code = |(position, _)| Some((position, state.reports.get(position)?.code));
    let old: Vec<(u64, CodeId)> = old.filter_map(code).take(PURGE_REPORTS).collect();
    if old.is_empty() {
        return Ok(Decision::nothing(Vec::new()));
    }
    let reports: Vec<u64> = old.iter().map(|(position, _)| *position).collect();
    // Codes of ranges that expired long ago cannot be used again, so it need not be recorded that they
    // were used. A report may still wait in a spool that arrived before its code expired.
    let since = last.time.saturating_sub(LONGEST_WAIT);
    let counts = |code: &CodeId| {
        let provider = state.providers.get(&code.provider);
        let is_bound = |state: &State| state.bluetrace.as_ref()?.cases.by_code(*code).map(drop);
        provider.is_some_and(|provider| provider.is_in_force(*code, since))
            || is_bound(state).is_some()
    };
    let mut used: Vec<CodeId> = old.into_iter().map(|(_, code)| code).filter(counts).collect();
    used.sort_unstable();
    Ok(Decision::one(Purge { reports: reports.clone(), used }, reports))
}

/// Whether all dates of a report were dropped, long enough ago. One that took keys back has none, and is kept
/// for as long after its arrival.
fn is_settled(state: &State, last: LastTick, report: &LiveReport) -> bool {
    if report.dates.is_empty() {
        return last.time.saturating_sub(report.received) >= SETTLED_SECONDS;
    }
    let retention = state.policy.retention_days;
    report.dates.iter().all(|day| {
        let is_gone =
            state.live.date(day.date).is_none() && day.date.is_expired(last.time, retention);
        is_gone
            && state.dropped.get(&day.date).is_some_and(|dropped| {
                // Files outlive the last manifest that named them by a day.
                let settled = dropped.settled.map(|settled| settled.saturating_add(DAY_SECONDS));
                settled.is_some_and(|settled| settled <= last.time)
                    && last.time.saturating_sub(dropped.tick.time) >= SETTLED_SECONDS
            })
    })
}

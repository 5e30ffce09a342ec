//! Ticks, epochs, policy and purges.

use gcs_core::files::SignedKeyList;
use gcs_core::{DAY_SECONDS, Date};

use super::{Decision, Judgement};
use crate::domain::item;
use crate::domain::keys::{KEY_LIST_SECONDS, KeyFile};
use crate::domain::log::Event;
use crate::domain::log::event::{
    ClockResumed, CodeId, KeyListSet, PolicySet, Purge, SeriesStarted, Tick,
};
use crate::domain::policy::Policy;
use crate::domain::problem::Problem;
use crate::domain::state::{LastTick, Report, State, Version};

/// How far the clock may move on from the last tick before someone has to look.
const LEAP: u64 = DAY_SECONDS;

/// Least time from the tick that drops a date to the purge of its reports: in it a clock
/// that was wrong is noticed.
const SETTLED_SECONDS: u64 = 3 * DAY_SECONDS;

/// Most reports that one purge erases.
const PURGE_REPORTS: usize = 10_000;

/// The next publication. With it comes a new list of online keys, when half the time of
/// the present one is over.
///
/// # Errors
/// When the clock leapt.
pub fn tick(state: &State, keys: &KeyFile, now: u64) -> Judgement<Version> {
    check_clock(state, now)?;
    let number = state.last_tick.map_or(1, |last| last.version.tick.saturating_add(1));
    let series = state.series;
    let mut events: Vec<Event> = renewed_key_list(state, keys, now)?.into_iter().collect();
    events.push(Tick { series, number }.into());
    Ok(Decision { events, answer: Version { series, tick: number } })
}

/// A clock that goes back, or leaps ahead, would drop dates or be refused by phones.
fn check_clock(state: &State, now: u64) -> Result<(), Problem> {
    if now < state.clock {
        let seconds = state.clock - now;
        return Err(Problem::ClockBehind { seconds });
    }
    match now - state.clock {
        seconds if seconds > LEAP => Err(Problem::ClockLeap { seconds }),
        _ => Ok(()),
    }
}

fn renewed_key_list(state: &State, keys: &KeyFile, now: u64) -> Result<Option<Event>, Problem> {
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

/// The first list of online keys.
///
/// # Errors
/// Only for a list out of bounds, which this is not.
pub fn set_key_list(keys: &KeyFile, now: u64) -> Result<Event, Problem> {
    let signed = keys.sign_key_list(1, now).map_err(|_| Problem::Internal)?;
    Ok(KeyListSet { signed: signed.to_json() }.into())
}

/// Takes the clock for right, after a leap.
///
/// # Errors
/// When it is behind the last tick: phones would refuse what goes back. When the next tick
/// drops dates, unless they may be.
pub fn resume_clock(state: &State, now: u64, drop_dates: bool) -> Judgement<()> {
    if check_clock(state, now).is_ok() {
        return Ok(Decision::nothing(()));
    }
    check_dates(state, now, state.policy.retention_days, drop_dates)?;
    match state.last_tick {
        Some(last) if last.version.series == state.series && now < last.time => {
            Err(Problem::ClockBehind { seconds: last.time - now })
        }
        _ => Ok(Decision::one(ClockResumed {}, ())),
    }
}

/// Raises the series: phones fetch whole whatever differs.
///
/// # Errors
/// None.
pub fn start_series(state: &State) -> Judgement<u32> {
    let series = state.series.saturating_add(1);
    Ok(Decision::one(SeriesStarted { series }, series))
}

/// Published dates that the next tick drops for good.
fn check_dates(state: &State, now: u64, retention: u32, drop_dates: bool) -> Result<(), Problem> {
    let is_dropped = |date: &&Date| item::is_expired(**date, now, retention);
    match state.days.keys().filter(is_dropped).count() {
        dates if dates > 0 && !drop_dates => Err(Problem::DatesDropped { dates }),
        _ => Ok(()),
    }
}

/// Replaces the settings.
///
/// # Errors
/// A setting out of bounds; a shorter retention that drops dates, unless they may be.
pub fn set_policy(state: &State, now: u64, policy: &Policy, drop_dates: bool) -> Judgement<()> {
    policy.check()?;
    if *policy == state.policy {
        return Ok(Decision::nothing(()));
    }
    if policy.retention_days < state.policy.retention_days {
        check_dates(state, now, policy.retention_days, drop_dates)?;
    }
    Ok(Decision::one(PolicySet { policy: policy.clone() }, ()))
}

/// Erases reports on which nothing depends any more.
///
/// # Errors
/// None.
pub fn purge(state: &State) -> Judgement<Vec<u64>> {
    let Some(last) = state.last_tick else { return Ok(Decision::nothing(Vec::new())) };
    let old = state.reports.iter().filter(|(_, report)| is_settled(state, last, report));
    let old: Vec<(u64, CodeId)> =
        old.take(PURGE_REPORTS).map(|(position, report)| (position, report.code)).collect();
    if old.is_empty() {
        return Ok(Decision::nothing(Vec::new()));
    }
    let reports: Vec<u64> = old.iter().map(|(position, _)| *position).collect();
    // Codes of ranges that expired cannot be used again anyhow: nothing need say they were.
    let counts = |code: &CodeId| {
        let provider = state.providers.get(&code.provider);
        provider.is_some_and(|provider| provider.counts(*code, last.time))
    };
    let mut used: Vec<CodeId> = old.into_iter().map(|(_, code)| code).filter(counts).collect();
    used.sort_unstable();
    Ok(Decision::one(Purge { reports: reports.clone(), used }, reports))
}

/// Whether all dates of a report were dropped, long enough ago.
fn is_settled(state: &State, last: LastTick, report: &Report) -> bool {
    let retention = state.policy.retention_days;
    report.days.iter().all(|day| {
        let is_gone =
            !state.days.contains_key(&day.date) && item::is_expired(day.date, last.time, retention);
        is_gone
            && state.dropped.get(&day.date).is_some_and(|dropped| {
                // Files outlive the last manifest that named them by a day.
                let settled = dropped.settled.map(|settled| settled.saturating_add(DAY_SECONDS));
                settled.is_some_and(|settled| settled <= last.time)
                    && last.time.saturating_sub(dropped.tick.time) >= SETTLED_SECONDS
            })
    })
}

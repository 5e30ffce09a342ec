//! The erasure of what BlueTrace does not need any more.

use gcs_core::{DAY_SECONDS, Date};

use crate::domain::events::{BlueTracePurge, CodeId, DayKeysAdvanced, Event};
use crate::domain::judge::spooled::LONGEST_WAIT;
use crate::domain::judge::{Decision, Judgement};
use crate::domain::state::State;
use crate::domain::state::bluetrace::{BlueTrace, Upload};

/// Days for which cases, their uploads and their codes are kept.
pub const KEPT_DAYS: u64 = 21;

/// Largest number of bodies that one purge erases.
const PURGE_EVENTS: usize = 10_000;

/// Erases bodies that are not needed any more, and destroys day keys that are too old. What is
/// erased for its age waits until the ticks of a day have shown that the clock is steady. Says how
/// many bodies are erased.
pub fn purge_bluetrace(state: &State) -> Judgement<usize> {
    let nothing = Ok(Decision::nothing(0));
    let Some(bluetrace) = &state.bluetrace else { return nothing };
    let mut events: Vec<Event> = Vec::new();
    let steady = state.last_tick.and_then(|last| bluetrace.steady_time(last.time));
    let over = erasable(bluetrace, steady);
    if !over.is_empty() {
        let stays_used = |code: &CodeId| {
            let provider = state.providers.get(&code.provider);
            // A report may still wait in a spool that arrived before its code expired.
            let last = state.last_tick.map_or(0, |last| last.time);
            let since = last.saturating_sub(LONGEST_WAIT);
            provider.is_some_and(|provider| provider.is_in_force(*code, since))
                || state.reports.by_code(*code).is_some()
        };
        let mut used: Vec<CodeId> =
            over.iter().filter_map(|(_, code)| *code).filter(stays_used).collect();
        used.sort_unstable();
        used.dedup();
        let mut positions: Vec<u64> = over.iter().map(|(position, _)| *position).collect();
        positions.sort_unstable();
        positions.dedup();
        events.push(BlueTracePurge { events: positions, used }.into());
    }
    if let Some(date) = steady.map(Date::of_time).filter(|date| Some(*date) > bluetrace.keys_date) {
        events.push(DayKeysAdvanced { date }.into());
    }
    Ok(Decision { events, answer: over.len() })
}

/// Positions of bodies to erase, with the codes in them.
fn erasable(bluetrace: &BlueTrace, steady: Option<u64>) -> Vec<(u64, Option<CodeId>)> {
    let unneeded = bluetrace.unneeded.iter().map(|(position, code)| (*position, *code));
    let mut over: Vec<_> = unneeded.take(PURGE_EVENTS).collect();
    let Some(now) = steady else { return over };
    let is_old = |time: u64| time.saturating_add(KEPT_DAYS * DAY_SECONDS) <= now;
    for (position, made) in &bluetrace.short_codes {
        if over.len() >= PURGE_EVENTS {
            return over;
        }
        if made.expires.saturating_add((KEPT_DAYS - 1) * DAY_SECONDS) <= now {
            over.push((*position, None));
        }
    }
    let room = PURGE_EVENTS.saturating_sub(over.len());
    over.extend(bluetrace.federation.expired(now).take(room).map(|position| (position, None)));
    // A clock may have gone back between two cases, so that the older one comes later.
    for (position, case) in bluetrace.cases.iter().filter(|(_, case)| is_old(case.since)) {
        if over.len() >= PURGE_EVENTS {
            return over;
        }
        over.push((position, Some(case.code)));
        for piece in case.upload.iter().flat_map(Upload::positions) {
            let answers = bluetrace.federation.answered_of(piece);
            let answers = answers.map(|(_, batch)| batch.answer);
            over.extend(answers.chain([piece]).map(|position| (position, None)));
        }
        let follow_ups = bluetrace.federation.follow_ups_of(position);
        over.extend(follow_ups.map(|(position, _)| (position, None)));
    }
    over
}

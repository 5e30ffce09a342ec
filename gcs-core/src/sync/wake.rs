//! One wake, from beginning to end: syncs, matches, confirms.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::engine::Engine;
use super::error::SyncError;
use super::mailbox::DriverProxy;
use super::queue::Queue;
use super::seeds::HeldSeeds;
use super::state::ClientState;
use super::store::ClientStore;
use super::{Asked, ClientSettings, Outcome, Wake, matching, update};
use crate::date::DAY_SECONDS;
use crate::keys::Stream;

/// How long to wait after a sync that failed, in seconds, and as much again at random.
const RETRY_AFTER: u64 = 600;

/// Shortest time from one wake to the next, in seconds.
pub(super) const SOONEST: u64 = 60;

/// Does everything that is due: syncs, matches, confirms.
pub(super) async fn run(driver: DriverProxy, settings: ClientSettings, wake: Wake) -> Outcome {
    let mut random = Stream::new(wake.entropy);
    match ClientStore::open(driver, settings.root).await {
        Ok(store) => {
            let (now, offline, failed_sets) = (wake.now, false, BTreeMap::new());
            let seeds = None;
            Engine { store, settings, now, random, offline, failed_sets, seeds }.run(wake).await
        }
        Err(error) => Outcome {
            held: None,
            up_to_date: false,
            error: Some(error),
            contacts: None,
            undecided: 0,
            asked: None,
            seeds: None,
            dates: Vec::new(),
            incidents: Vec::new(),
            next_wake: wake.now.saturating_add(RETRY_AFTER + random.below(RETRY_AFTER)),
        },
    }
}

impl Engine {
    async fn run(mut self, wake: Wake) -> Outcome {
        repair_schedule(&mut self.store.state, &self.settings, self.now, &mut self.random);
        let slot_is_due = self.now >= self.store.state.next_slot;
        let sync_is_due = slot_is_due || self.now >= self.store.state.next_poll;
        let (mut synced, mut error) = (false, None);
        match self.store.load_seeds(self.settings.seeds).await {
            Ok(held) => self.seeds = held,
            Err(failure) => error = Some(failure),
        }
        if sync_is_due {
            match update::run(&mut self).await {
                Ok(missing) => (synced, error) = (true, error.or(missing)),
                Err(failure) => {
                    self.postpone();
                    error = error.or(Some(failure));
                }
            }
        }
        let (mut queue, mut asked) = (None, None);
        match self.match_and_confirm(&wake, &mut queue, synced && slot_is_due).await {
            Ok(answer) => asked = answer,
            Err(failure) => error = error.or(Some(failure)),
        }
        self.outcome(queue.as_ref(), asked, error)
    }

    async fn match_and_confirm(
        &mut self,
        wake: &Wake,
        matched: &mut Option<Queue>,
        slot_is_due: bool,
    ) -> Result<Option<Asked>, SyncError> {
        let stored = self.store.load_queue().await?;
        let usual_heard = self.settings.usual_heard;
        let found = matching::find(&mut self.store, &stored, &wake.heard, usual_heard);
        let queue = matched.insert(found.queue);
        let asks = asks(found.false_hits, &self.settings);
        if !asks {
            queue.accept(None);
            self.store.state.question = None;
        }
        let mut asked = None;
        if slot_is_due {
            self.draw_slot();
            if asks {
                asked = self.ask(queue, found.false_hits).await?;
            }
        }
        self.store.save_queue(queue).await?;
        self.store.save_state().await?;
        Ok(asked)
    }

    /// Draws the time of the next confirmation slot.
    fn draw_slot(&mut self) {
        let every = self.settings.confirm_every.max(1);
        let wait = (every / 2).saturating_add(self.random.below(every));
        self.store.state.next_slot = self.now.saturating_add(wait.max(1));
    }

    /// Puts the next poll off, unless it is later already, and slots that come before it.
    fn postpone(&mut self) {
        let later = self.now.saturating_add(RETRY_AFTER + self.random.below(RETRY_AFTER));
        let state = &mut self.store.state;
        state.next_poll = state.next_poll.max(later);
        state.next_slot = state.next_slot.max(state.next_poll);
    }

    /// Whether it has the lists of seeds of the newest manifest seen, as far as the settings want some.
    fn has_seeds(&self) -> bool {
        let seen = self.store.state.seen.map(|seen| seen.version);
        self.settings.seeds.is_none() || self.seeds.as_ref().is_some_and(|held| held.is_at(seen))
    }

    fn outcome(
        self,
        queue: Option<&Queue>,
        asked: Option<Asked>,
        error: Option<SyncError>,
    ) -> Outcome {
        let state = &self.store.state;
        let held = state.held.filter(|_| self.store.complete);
        // A slot that could not be used because the folder failed is still due.
        let soonest = self.now.saturating_add(SOONEST);
        Outcome {
            held: held.map(|held| held.version),
            up_to_date: held.is_some()
                && held == state.seen
                && self.now < state.expires
                && self.has_seeds(),
            error,
            contacts: queue.map(Queue::contacts),
            undecided: queue.map_or(0, Queue::undecided),
            asked,
            seeds: self.seeds.as_ref().map(HeldSeeds::rows),
            dates: self.store.newest_table().rows().iter().map(|row| row.date).collect(),
            next_wake: state.next_poll.min(state.next_slot).max(soonest),
            incidents: self.store.incidents,
        }
    }
}

/// Draws the first slot. Also sets a poll or a slot anew that is further away than one is
/// ever drawn, which happens when the phone's clock was wrong and has been corrected.
fn repair_schedule(
    state: &mut ClientState,
    settings: &ClientSettings,
    now: u64,
    random: &mut Stream,
) {
    let every = settings.confirm_every;
    let last_poll = now.saturating_add(DAY_SECONDS + RETRY_AFTER);
    if state.next_poll > last_poll.saturating_add(settings.poll_jitter) {
        state.next_poll = now;
    }
    let last_slot = now.saturating_add(every).saturating_add(every / 2 + 1);
    // After a sync that failed, a slot waits for the next poll.
    if state.next_slot == 0 || state.next_slot > last_slot.max(state.next_poll) {
        state.next_slot = now.saturating_add(random.below(every));
    }
}

/// Whether a hit is a candidate to ask for, when so many false positives are expected, in units
/// of 2^-64. If false alarms are rarer than is tolerated, it is a contact at once, and no question
/// is asked, not even a dummy.
fn asks(false_hits: u128, settings: &ClientSettings) -> bool {
    let tolerated = (1u128 << 64).checked_div(u128::from(settings.false_alarm_one_in));
    tolerated.is_none_or(|tolerated| false_hits > tolerated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    const NOW: u64 = 1_000_000_000;

    fn settings() -> ClientSettings {
        let settings = ClientSettings::new(SigningKey::from_seed([1; 32]).public());
        ClientSettings { confirm_every: 10_000, poll_jitter: 50, ..settings }
    }

    /// Next poll and slot after a repair, of those before it.
    fn repaired(next_poll: u64, next_slot: u64) -> (u64, u64) {
        let settings = settings();
        let mut state = ClientState { next_poll, next_slot, ..ClientState::new(settings.root) };
        repair_schedule(&mut state, &settings, NOW, &mut Stream::new([3; 32]));
        (state.next_poll, state.next_slot)
    }

    #[test]
    fn a_schedule_is_repaired_just_beyond_what_is_drawn() {
        let slots = NOW..NOW + 10_000;
        let (last_poll, last_slot) = (NOW + DAY_SECONDS + 600 + 50, NOW + 15_001);
        assert_eq!(repaired(last_poll, NOW + 5), (last_poll, NOW + 5));
        assert_eq!(repaired(last_poll + 1, NOW + 5), (NOW, NOW + 5));
        assert_eq!(repaired(NOW, last_slot), (NOW, last_slot));
        assert!(slots.contains(&repaired(NOW, last_slot + 1).1));
        // A slot that waits for a poll.
        assert_eq!(repaired(last_slot + 7, last_slot + 7), (last_slot + 7, last_slot + 7));
        assert!(slots.contains(&repaired(last_slot + 7, last_slot + 8).1));
        // The first slot.
        assert!(slots.contains(&repaired(NOW, 0).1));
    }

    #[test]
    fn a_hit_is_asked_for_when_false_alarms_are_more_frequent_than_tolerated() {
        let asks =
            |one_in, hits| asks(hits, &ClientSettings { false_alarm_one_in: one_in, ..settings() });
        assert!(!asks(1 << 10, 1 << 54));
        assert!(asks(1 << 10, (1 << 54) + 1));
        assert!(asks(0, 0), "none is tolerated");
    }
}

//! Phones: what they heard, and what they should find out.

use gcs_core::identifiers::dp3t::{EPOCH_SECONDS, EPOCHS_A_DAY};
use gcs_core::sync::{ClientSettings, Contact, Heard, Outcome, Wake};
use gcs_core::{DAY_SECONDS, Date};

use super::client::Client;
use super::people::{Patient, stranger};
use super::{Checked, ensure};

/// Identifiers that each phone heard.
pub(super) const HEARD: usize = 10_000;

/// Longest time between two hits of one episode.
const EPISODE_GAP: u64 = 30 * 60;

/// Epochs of a day.
const DAY: u64 = EPOCHS_A_DAY as u64;

/// Something heard of someone who is, or will be, reported.
struct Hit {
    time: u64,
    element: Vec<u8>,
    /// Date on which it was broadcast.
    date: Date,
    /// Number of the patient, if it is one of ours.
    patient: Option<u32>,
}

pub(super) struct Phone {
    pub(super) client: Client,
    number: u64,
    pub(super) heard: Vec<Heard>,
    hits: Vec<Hit>,
    wakes: u64,
    pub(super) next_wake: u64,
}

impl Phone {
    /// A phone that has heard nothing yet.
    pub(super) fn new(number: u64, server: &str, settings: ClientSettings) -> Phone {
        let client = Client::new(server, settings);
        Phone { client, number, heard: Vec::new(), hits: Vec::new(), wakes: 0, next_wake: 0 }
    }

    fn hear(&mut self, time: u64, element: &[u8]) {
        self.heard.push(Heard { time, element: element.to_vec() });
    }

    fn meet(&mut self, patient: Patient, at: u64, later: i64) {
        let (broadcast, element) = patient.broadcast(at);
        let time = broadcast.saturating_add_signed(later);
        self.hear(time, &element);
        let (date, patient) = (Date::of_time(broadcast), Some(patient.number));
        self.hits.push(Hit { time, element: element.to_vec(), date, patient });
    }

    /// Spends four epochs, an hour, with a patient.
    pub(super) fn meet_for_an_hour(&mut self, patient: Patient, from: u64) {
        (from..from + 4).for_each(|at| self.meet(patient, at, 200));
    }

    /// Hears a patient's last epoch of a day a few minutes after midnight, and the first
    /// of another day a few minutes before: clocks differ, and radio lingers.
    pub(super) fn meet_at_midnight(&mut self, patient: Patient) {
        self.meet(patient, DAY - 1, EPOCH_SECONDS as i64 + 240);
        self.meet(patient, 3 * DAY, -180);
    }

    /// Is near a phone with Exposure Notification for a while.
    pub(super) fn meet_exposure_notification(&mut self, day: &[(u64, [u8; 16])]) {
        for (time, element) in day {
            self.hear(time + 30, element);
            let (element, date) = (element.to_vec(), Date::of_time(*time));
            self.hits.push(Hit { time: time + 30, element, date, patient: None });
        }
    }

    /// Fills up with strangers, spread over `days` dates from `first`.
    pub(super) fn hear_strangers(&mut self, first: Date, days: u64) {
        let missing = HEARD.saturating_sub(self.heard.len()) as u64;
        for at in 0..missing {
            let time = first.start() + at * days * DAY_SECONDS / missing;
            self.hear(time, &stranger(self.number * 1_000_000 + at));
        }
    }

    pub(super) fn wake(&mut self, now: u64) -> Outcome {
        self.wakes += 1;
        let mut entropy = [0; 32]; // Stands for 32 random bytes.
        entropy[..8].copy_from_slice(&self.wakes.to_le_bytes());
        entropy[8..16].copy_from_slice(&self.number.to_le_bytes());
        let outcome = self.client.wake(Wake { now, entropy, heard: self.heard.clone() });
        self.next_wake = outcome.next_wake;
        outcome
    }

    /// Wakes from `now` on whenever the engine wants to, until it is up to date and nothing
    /// is undecided; then checks that its contacts are the true ones. How many there are.
    pub(super) fn confirm_all(&mut self, now: u64) -> Checked<usize> {
        let mut now = now.max(self.next_wake);
        let until = now + DAY_SECONDS;
        loop {
            let outcome = self.wake(now);
            let fine = outcome.up_to_date && outcome.incidents.is_empty();
            ensure(fine, || format!("phone {} could not sync: {outcome:?}", self.number))?;
            if outcome.undecided == 0 {
                return self.check(outcome.contacts.as_deref().unwrap_or_default());
            }
            now = outcome.next_wake;
            ensure(now < until, || format!("{} hits undecided after a day", outcome.undecided))?;
        }
    }

    /// Every true contact confirmed, nothing else.
    fn check(&self, contacts: &[Contact]) -> Checked<usize> {
        let is_within =
            |contact: &Contact, hit: &Hit| (contact.first..=contact.last).contains(&hit.time);
        for contact in contacts {
            let is_hit = |hit: &Hit| hit.element == contact.element && is_within(contact, hit);
            let is_true = self.hits.iter().any(is_hit);
            ensure(is_true, || format!("{contact:?} is confirmed, but is no contact"))?;
        }
        for hit in &self.hits {
            let found = contacts.iter().any(|contact| is_within(contact, hit));
            ensure(found, || format!("the contact at {} is not confirmed", hit.time))?;
        }
        let (got, expected) = (contacts.len(), self.episodes());
        ensure(got == expected, || format!("{got} contacts confirmed of {expected}"))?;
        Ok(got)
    }

    /// How many runs the true hits make.
    pub(super) fn episodes(&self) -> usize {
        let mut times: Vec<u64> = self.hits.iter().map(|hit| hit.time).collect();
        times.sort_unstable();
        let breaks = times.windows(2).filter(|pair| pair[1] - pair[0] > EPISODE_GAP).count();
        if times.is_empty() { 0 } else { breaks + 1 }
    }

    /// Some patients' reports were mistakes: to have met them is no contact any more.
    pub(super) fn forget_patients(&mut self, is_retracted: impl Fn(u32) -> bool) {
        self.hits.retain(|hit| !hit.patient.is_some_and(&is_retracted));
    }

    /// A date has expired.
    pub(super) fn forget_date(&mut self, date: Date) {
        self.hits.retain(|hit| hit.date != date);
    }
}

/// Lets all phones wake until nothing is undecided, some at the same time, and checks each.
/// How many contacts there are.
pub(super) fn confirm_all(phones: &mut [Phone], now: u64) -> Checked<usize> {
    let half = phones.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        let confirm = |phones: &mut [Phone]| -> Checked<usize> {
            phones.iter_mut().map(|phone| phone.confirm_all(now)).sum()
        };
        let threads: Vec<_> =
            phones.chunks_mut(half).map(|phones| scope.spawn(move || confirm(phones))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Checked<usize>>| {
            thread.join().unwrap_or_else(|_| Err("a phone's thread has ended".into()))
        };
        threads.into_iter().map(join).sum()
    })
}

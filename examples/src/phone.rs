//! Phones: what they heard, and which contacts they should find.

use std::fmt::Debug;

use gcs_core::files::Verdict;
use gcs_core::identifiers::dp3t::{EPOCH_SECONDS, EPOCHS_A_DAY};
use gcs_core::sync::{Asked, ClientSettings, Contact, Fetch, Heard, Outcome, Session, Wake};
use gcs_core::{DAY_SECONDS, Date};

use crate::memory::MemoryDriver;
use crate::people::{Patient, stranger};
use crate::traffic::{Counted, Traffic};
use crate::{Checked, ensure};

/// Identifiers that each phone heard.
pub const HEARD: usize = 10_000;

/// Mean time between the confirmation slots of a phone in a hurry, in seconds.
const OFTEN: u64 = 900;

/// The settings of a phone in a hurry: it asks for every hit and often, so that a demo need not
/// wait for days. It hides its contacts badly.
#[must_use]
pub fn hurried(settings: ClientSettings) -> ClientSettings {
    let (confirm_every, crowd, crowd_wait, false_alarm_one_in) = (OFTEN, 0, 0, 0);
    ClientSettings { confirm_every, crowd, crowd_wait, false_alarm_one_in, ..settings }
}

/// Longest time between two hits of one episode.
const EPISODE_GAP: u64 = 30 * 60;

/// Number of epochs in a day.
const DAY: u64 = EPOCHS_A_DAY as u64;

/// An identifier that was heard of a person who is, or will be, reported.
#[derive(Clone, Debug)]
struct Hit {
    time: u64,
    element: Vec<u8>,
    /// Date on which it was broadcast.
    date: Date,
    /// Number of the patient, if it is a [`Patient`].
    patient: Option<u32>,
}

/// A phone that keeps its files in memory and fetches with `F`.
#[derive(Clone, Debug)]
pub struct Phone<F> {
    number: u64,
    settings: ClientSettings,
    /// All of its I/O.
    pub driver: MemoryDriver<Counted<F>>,
    /// What it heard, of patients and strangers.
    pub heard: Vec<Heard>,
    hits: Vec<Hit>,
    wakes: u64,
    /// When the engine wants to be woken next.
    pub next_wake: u64,
    /// Hits that a check record has shown to be no contacts.
    pub false_positives: u64,
}

impl<F: Fetch + Debug> Phone<F> {
    /// A phone that has heard nothing yet.
    pub fn new(number: u64, settings: ClientSettings, fetch: F) -> Phone<F> {
        let driver = MemoryDriver::new(Counted::new(fetch));
        let (heard, hits) = Default::default();
        let (wakes, next_wake, false_positives) = Default::default();
        Phone { number, settings, driver, heard, hits, wakes, next_wake, false_positives }
    }

    /// What it fetched since the count began.
    pub fn traffic(&self) -> Traffic {
        self.driver.remote.traffic
    }

    /// Sets the count of what it fetches to zero.
    pub fn count_anew(&mut self) {
        self.driver.remote.traffic = Traffic::default();
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
    pub fn meet_for_an_hour(&mut self, patient: Patient, from: u64) {
        (from..from + 4).for_each(|at| self.meet(patient, at, 200));
    }

    /// Hears a patient's last epoch of a day a few minutes after midnight, and the first
    /// of another day a few minutes before midnight, because clocks differ.
    pub fn meet_at_midnight(&mut self, patient: Patient) {
        self.meet(patient, DAY - 1, EPOCH_SECONDS as i64 + 240);
        self.meet(patient, 3 * DAY, -180);
    }

    /// Is near a phone with Exposure Notification for a while.
    pub fn meet_exposure_notification(&mut self, day: &[(u64, [u8; 16])]) {
        for (time, element) in day {
            self.hear(time + 30, element);
            let (element, date) = (element.to_vec(), Date::of_time(*time));
            self.hits.push(Hit { time: time + 30, element, date, patient: None });
        }
    }

    /// Hears strangers, spread over `days` dates from `first`, until it has heard [`HEARD`]
    /// identifiers.
    pub fn hear_strangers(&mut self, first: Date, days: u64) {
        let missing = HEARD.saturating_sub(self.heard.len()) as u64;
        for at in 0..missing {
            let time = first.start() + at * days * DAY_SECONDS / missing;
            self.hear(time, &stranger(self.number * 1_000_000 + at));
        }
    }

    /// One wake, from beginning to end. All it needs of the phone's other parts is the time,
    /// randomness, and what was heard.
    pub fn wake(&mut self, now: u64) -> Outcome {
        self.wakes += 1;
        let mut entropy = [0; 32]; // Stands for 32 random bytes.
        entropy[..8].copy_from_slice(&self.wakes.to_le_bytes());
        entropy[8..16].copy_from_slice(&self.number.to_le_bytes());
        let wake = Wake { now, entropy, heard: self.heard.clone() };
        let outcome = Session::new(&self.settings, wake).run(&mut self.driver);
        if outcome.asked == Some(Asked::Candidate(Verdict::FalsePositive)) {
            self.false_positives += 1;
        }
        self.next_wake = outcome.next_wake;
        outcome
    }

    /// One wake that must end up to date, with nothing wrong on the way.
    ///
    /// # Errors
    /// If it does not.
    pub fn sync(&mut self, now: u64) -> Checked<Outcome> {
        let outcome = self.wake(now);
        let is_fine = outcome.up_to_date && outcome.incidents.is_empty();
        ensure(is_fine, || format!("phone {} could not sync: {outcome:?}", self.number))?;
        Ok(outcome)
    }

    /// Wakes from `now` on in a hurry, whenever the engine wants to, until it is up to date and
    /// nothing is undecided. Then makes sure that its contacts are the true ones, and returns how many
    /// there are.
    ///
    /// # Errors
    /// If it cannot sync, if a hit is undecided after a day, or if its contacts are not the true
    /// ones.
    pub fn confirm_all(&mut self, now: u64) -> Checked<usize> {
        let unhurried = self.settings;
        self.settings = hurried(unhurried);
        let mut now = now.max(self.next_wake);
        let until = now + DAY_SECONDS;
        loop {
            let outcome = self.sync(now)?;
            if outcome.undecided == 0 {
                self.settings = unhurried;
                return self.expect_true(outcome.contacts.as_deref().unwrap_or_default());
            }
            now = outcome.next_wake;
            ensure(now < until, || format!("{} hits undecided after a day", outcome.undecided))?;
        }
    }

    /// Fails unless every true contact is confirmed, and nothing else. Returns how many there
    /// are.
    ///
    /// # Errors
    /// If the contacts are not the true ones.
    pub fn expect_true(&self, contacts: &[Contact]) -> Checked<usize> {
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

    /// How many episodes the true hits make.
    pub fn episodes(&self) -> usize {
        let mut times: Vec<u64> = self.hits.iter().map(|hit| hit.time).collect();
        times.sort_unstable();
        let breaks = times.windows(2).filter(|pair| pair[1] - pair[0] > EPISODE_GAP).count();
        if times.is_empty() { 0 } else { breaks + 1 }
    }

    /// Forgets the contacts with some patients, whose reports were mistakes.
    pub fn forget_patients(&mut self, is_retracted: impl Fn(u32) -> bool) {
        self.hits.retain(|hit| !hit.patient.is_some_and(&is_retracted));
    }

    /// Forgets the contacts of a date, which has expired.
    pub fn forget_date(&mut self, date: Date) {
        self.hits.retain(|hit| hit.date != date);
    }
}

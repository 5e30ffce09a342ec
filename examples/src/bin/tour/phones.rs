//! Phones: what they heard, and what they should find out.

use std::collections::BTreeSet;
use std::error::Error;

use gcs_core::files::Verdict;
use gcs_core::sync::{Asked, ClientSettings, Contact, Heard, Outcome, Wake};
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::{Folder, FolderClient};

use crate::ensure;
use crate::people::{EPOCH_SECONDS, EPOCHS_A_DAY, Element, Patient, stranger};

/// Identifiers that each phone heard.
pub(crate) const HEARD: usize = 10_000;

/// Longest time between two hits of one episode.
const EPISODE_GAP: u64 = 30 * 60;

pub(crate) struct Phone {
    pub(crate) client: FolderClient,
    pub(crate) heard: Vec<Heard>,
    /// Which of them are patients', with the time they were heard.
    pub(crate) true_hits: BTreeSet<(u64, Vec<u8>)>,
    pub(crate) wakes: u64,
    pub(crate) false_positives: u32,
    pub(crate) next_wake: u64,
}

impl Phone {
    /// A phone that has heard nothing yet.
    pub(crate) fn new(own: Folder, server: &Folder, settings: ClientSettings) -> Phone {
        Phone {
            client: FolderClient::new(own, server.clone(), settings),
            heard: Vec::new(),
            true_hits: BTreeSet::new(),
            wakes: 0,
            false_positives: 0,
            next_wake: 0,
        }
    }

    fn hear(&mut self, time: u64, element: Element) {
        self.heard.push(Heard { time, element: element.as_ref().to_vec() });
    }

    /// Meets someone who is, or will be, reported.
    pub(crate) fn meet(&mut self, time: u64, element: Element) {
        self.hear(time, element);
        self.true_hits.insert((time, element.as_ref().to_vec()));
    }

    /// Spends four epochs, an hour, with a patient.
    pub(crate) fn meet_for_an_hour(&mut self, patient: Patient, from: u64) {
        for at in from..from + 4 {
            let (time, element) = patient.report(at);
            self.meet(time + 200, element);
        }
    }

    /// Hears a patient's last epoch of a day a few minutes after midnight, and the first
    /// of another day a few minutes before: clocks differ, and radio lingers.
    pub(crate) fn meet_at_midnight(&mut self, patient: Patient) {
        let (time, element) = patient.report(EPOCHS_A_DAY - 1);
        self.meet(time + EPOCH_SECONDS + 240, element);
        let (time, element) = patient.report(3 * EPOCHS_A_DAY);
        self.meet(time - 180, element);
    }

    /// Fills up with strangers, spread over `days` dates from `first`.
    pub(crate) fn hear_strangers(&mut self, seed: u64, first: Date, days: u64) {
        let missing = HEARD - self.heard.len();
        for at in 0..missing as u64 {
            let time = first.start() + at * days * DAY_SECONDS / missing as u64;
            self.hear(time, stranger(seed * 1_000_000 + at));
        }
    }

    pub(crate) fn wake(&mut self, now: u64) -> Outcome {
        self.wake_with(now, |_path, bytes| bytes)
    }

    pub(crate) fn wake_with(
        &mut self,
        now: u64,
        mirror: impl Fn(&str, Vec<u8>) -> Vec<u8>,
    ) -> Outcome {
        self.wakes += 1;
        let mut entropy = [0; 32]; // Stands for 32 random bytes.
        entropy[..8].copy_from_slice(&self.wakes.to_le_bytes());
        entropy[8..16].copy_from_slice(&(self.heard.len() as u64).to_le_bytes());
        entropy[16..24].copy_from_slice(&self.heard[0].time.to_le_bytes());
        let wake = Wake { now, entropy, heard: self.heard.clone() };
        let outcome = self.client.wake_with(wake, mirror);
        if outcome.asked == Some(Asked::Candidate(Verdict::FalsePositive)) {
            self.false_positives += 1;
        }
        self.next_wake = outcome.next_wake;
        outcome
    }

    /// Wakes whenever the engine wants to, until nothing is undecided.
    pub(crate) fn confirm_all(&mut self, mut now: u64) -> Result<Outcome, Box<dyn Error>> {
        let until = now + DAY_SECONDS;
        loop {
            let outcome = self.wake(now);
            ensure(outcome.up_to_date, || format!("a phone could not sync: {outcome:?}"))?;
            if outcome.undecided == 0 {
                return Ok(outcome);
            }
            now = outcome.next_wake;
            ensure(now < until, || format!("{} hits undecided after a day", outcome.undecided))?;
        }
    }

    /// Every true contact confirmed, nothing else.
    pub(crate) fn check(&self, contacts: &[Contact]) -> Result<(), Box<dyn Error>> {
        for contact in contacts {
            let is_true = self.true_hits.iter().any(|(time, element)| {
                *element == contact.element && (contact.first..=contact.last).contains(time)
            });
            ensure(is_true, || format!("{contact:?} is confirmed, but is no contact"))?;
        }
        for (time, _) in &self.true_hits {
            let found =
                contacts.iter().any(|contact| (contact.first..=contact.last).contains(time));
            ensure(found, || format!("the contact at {time} is not confirmed"))?;
        }
        let (got, expected) = (contacts.len(), self.episodes());
        ensure(got == expected, || format!("{got} contacts confirmed of {expected}"))
    }

    /// How many runs the true hits make.
    pub(crate) fn episodes(&self) -> usize {
        let times: Vec<u64> = self.true_hits.iter().map(|hit| hit.0).collect();
        let breaks = times.windows(2).filter(|pair| pair[1] - pair[0] > EPISODE_GAP).count();
        if times.is_empty() { 0 } else { breaks + 1 }
    }
}

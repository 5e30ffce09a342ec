//! A phone that fetches, matches and confirms.

use std::mem;

use gcs_core::DAY_SECONDS;
use gcs_core::sync::{ClientSettings, Fetch, Heard, Outcome, Session, Wake};
use gcs_examples::memory::{Files, MemoryDriver, MemoryFetch};
use gcs_examples::phone::hurried;
use gcs_examples::traffic::{Counted, Traffic};
use gcs_examples::{Checked, ensure};

use crate::random::secret;
use crate::town::Person;

/// A phone, its files, and what it heard.
#[derive(Clone)]
pub(crate) struct Handset<'t> {
    number: u64,
    person: &'t Person,
    settings: ClientSettings,
    /// In ascending order of time.
    heard: &'t [Heard],
    own: Files,
    /// What it fetched since this was zero.
    pub(crate) traffic: Traffic,
    wakes: u64,
    /// When it wants to be woken next.
    pub(crate) next_wake: u64,
}

/// When a contact was first and last heard, by the phone's clock.
pub(crate) type Spans = Vec<(u64, u64)>;

impl<'t> Handset<'t> {
    /// A phone that was just set up.
    pub(crate) fn new(
        number: u64,
        person: &'t Person,
        settings: ClientSettings,
        heard: &'t [Heard],
        now: u64,
    ) -> Handset<'t> {
        let (own, traffic) = (Files::new(), Traffic::default());
        Handset { number, person, settings, heard, own, traffic, wakes: 0, next_wake: now }
    }

    /// The same phone, as if it had heard this.
    pub(crate) fn with_heard<'h>(&self, heard: &'h [Heard]) -> Handset<'h>
    where
        't: 'h,
    {
        Handset { heard, ..self.clone() }
    }

    /// The same phone as if it had just been set up.
    pub(crate) fn anew(&self, now: u64) -> Handset<'t> {
        Handset::new(self.number, self.person, self.settings, self.heard, now)
    }

    /// One wake, with a network.
    pub(crate) fn wake(&mut self, now: u64, files: &Files) -> Checked<Outcome> {
        let outcome = self.wake_with(now, MemoryFetch(files));
        let is_fine = outcome.up_to_date && outcome.error.is_none() && outcome.incidents.is_empty();
        ensure(is_fine, || format!("phone {} could not sync at {now}: {outcome:?}", self.number))?;
        Ok(outcome)
    }

    /// One wake, whatever comes of it.
    pub(crate) fn wake_with(&mut self, now: u64, fetch: impl Fetch) -> Outcome {
        self.wakes += 1;
        let clock = self.person.clock(now);
        let entropy = secret("entropy", &[self.number, self.wakes]);
        let heard = self.heard[..self.heard.partition_point(|heard| heard.time <= clock)].to_vec();
        let remote = Counted { inner: fetch, traffic: self.traffic };
        let mut driver = MemoryDriver { own: mem::take(&mut self.own), remote };
        let wake = Wake { now: clock, entropy, heard };
        let outcome = Session::new(&self.settings, wake).run(&mut driver);
        (self.own, self.traffic) = (driver.own, driver.remote.traffic);
        self.next_wake = self.person.time_of(outcome.next_wake);
        outcome
    }

    /// Wakes in a hurry until nothing is undecided, and gives its contacts.
    pub(crate) fn decide(&mut self, now: u64, files: &Files) -> Checked<Spans> {
        self.settings = hurried(self.settings);
        let mut now = now;
        let until = now + DAY_SECONDS / 2;
        loop {
            let outcome = self.wake(now, files)?;
            if outcome.undecided == 0 {
                let contacts = outcome.contacts.ok_or("no contacts of a phone that is fine")?;
                return Ok(contacts.iter().map(|contact| (contact.first, contact.last)).collect());
            }
            now = self.next_wake;
            ensure(now < until, || format!("{} hits undecided", outcome.undecided))?;
        }
    }

    /// Its tables and sets, which are equal for any two phones of one publication.
    pub(crate) fn state(&self) -> Files {
        let driver = MemoryDriver { own: self.own.clone(), remote: () };
        driver.state().map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
    }
}

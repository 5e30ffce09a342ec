//! A day of ticks after the first: new patients all the time, a retraction, a date that
//! expires and one that is added.

use gcs_core::identifiers::dp3t::EPOCH_SECONDS;
use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::http::HttpFetch;
use gcs_examples::people::Patient;
use gcs_examples::traffic::Traffic;
use gcs_examples::{Checked, ensure};
use serde_json::json;

use crate::api::number;
use crate::story::{DATES, Phone, Story, confirm_all, is_at_the_test_centre};
use crate::voice::{doing, progress, say};

/// For how many epochs, five days, each new patient reports at most.
const NEW_EPOCHS: u64 = 5 * 96;

/// Number of the first new patient.
const NEW_PATIENTS: u32 = 10_000;

impl Story {
    /// Each tick changes every date.
    pub(crate) fn a_day_of_ticks(&mut self) -> Checked<()> {
        let ticks = self.scale.ticks;
        say(format!("\nA day of {ticks} ticks, each with new patients on every date:"))?;
        doing("a day of ticks");
        self.steady.count_anew();
        self.phones.iter_mut().for_each(Phone::count_anew);
        for tick in 1..=ticks {
            self.server.set_clock(self.server.now + self.scale.interval())?;
            self.new_patients(tick)?;
            let is_retraction = tick == ticks / 2 + 2;
            let expires = self.is_about_to_expire()?;
            let before = if is_retraction { self.a_provider_was_wrong()? } else { 0 };
            let ticked = self.server.tick()?;
            self.figures.ticks.push(ticked.took);
            self.observer.look(self.server.now)?;
            self.observer.expect_changed(|date| date != self.first || !self.is_closing())?;
            if is_retraction {
                self.the_contact_is_withdrawn(before)?;
            }
            if expires {
                self.a_date_has_expired()?;
            }
            let due = self.steady.next_wake;
            if due < self.server.now + self.scale.interval() {
                self.steady.sync(due.max(self.server.now))?;
            }
            progress(format!("{tick} of {ticks} ticks"));
            if tick % (ticks / 4) == 0 {
                say(format!("  {tick} of {ticks}"))?;
            }
        }
        let (dates, newest) = (self.observer.rows()?.len(), self.date(DATES));
        ensure(dates as u64 == DATES, || format!("{dates} dates, expected {DATES} again"))?;
        let is_in = self.observer.rows()?.iter().any(|row| row.date == newest);
        ensure(is_in, || format!("{newest} has ended, but is not published"))?;
        say(format!("  {newest}, which ended in the night, is published now"))?;
        Ok(())
    }

    /// A date by its distance from the first.
    pub(crate) fn date(&self, days: u64) -> Date {
        Date::of_time(self.first.start() + days * DAY_SECONDS)
    }

    fn new_patients(&mut self, tick: u64) -> Checked<()> {
        let apps = self.server.apps();
        for (at, days) in (0..).zip([u64::from(self.is_closing()), 5, 10]) {
            // The number does not end in 9, so the patient was not at the test centre.
            let number = NEW_PATIENTS + 10 * tick as u32 + at;
            let first = self.date(days);
            // Only what was broadcast by now.
            let epochs = NEW_EPOCHS.min((self.server.now - first.start()) / EPOCH_SECONDS);
            let report = self.report_of(Patient { number, first, epochs })?;
            self.tracking.push(report.accepted(&apps)?);
            self.figures.added += epochs;
        }
        Ok(())
    }

    /// Whether the first date may expire before the second tick from now. Nothing is accepted for
    /// it then, since it might not be published.
    fn is_closing(&self) -> bool {
        self.server.now + 2 * self.scale.interval() >= self.end_of_the_first_date()
    }

    /// The time at which the first date ended 14 days ago.
    fn end_of_the_first_date(&self) -> u64 {
        self.first.end() + 14 * DAY_SECONDS
    }

    fn is_about_to_expire(&self) -> Checked<bool> {
        let is_there = self.observer.rows()?.iter().any(|row| row.date == self.first);
        Ok(is_there && self.server.now >= self.end_of_the_first_date())
    }

    /// Makes sure that nothing is left of the first date.
    fn a_date_has_expired(&mut self) -> Checked<()> {
        let expired = self.first;
        ensure(self.server.date(expired)?.is_none(), || format!("{expired} is still there"))?;
        let is_there = self.observer.rows()?.iter().any(|row| row.date == expired);
        ensure(!is_there, || format!("{expired} is still published"))?;
        let status = self.server.report_status(&self.tracking[0])?;
        let states = (&status["status"], &status["dates"][0]["status"]);
        ensure(states.0 == "published" && states.1 == "expired", || format!("{status}"))?;
        self.steady.forget_date(expired);
        let before: usize = self.phones.iter().map(Phone::episodes).sum();
        self.phones.iter_mut().for_each(|phone| phone.forget_date(expired));
        self.figures.expired = before - self.phones.iter().map(Phone::episodes).sum::<usize>();
        say(format!("  {expired} ended 14 days ago: it is not published any more"))?;
        Ok(())
    }

    /// Retracts a provider's reports. Returns how many contacts a phone has before the next tick.
    fn a_provider_was_wrong(&mut self) -> Checked<usize> {
        // A phone that is up to date, and met one of the patients.
        let before = self.phones[0].confirm_all(self.server.now - 60)?;
        let wrong = self.patients.iter().filter(|patient| is_at_the_test_centre(patient.number));
        let (reports, elements) =
            wrong.fold((0, 0), |(reports, elements), wrong| (reports + 1, elements + wrong.epochs));
        let provider = &self.desks[1].provider;
        let done = self.server.retract(&json!({ "provider": provider.number }))?;
        let dates = done["dates"].as_array().ok_or("no dates in a correction")?;
        let out: Checked<u64> = dates.iter().map(|date| number(date, "elements_out")).sum();
        let (got, out) = (number(&done, "reports")?, out?);
        ensure((got, out) == (reports, elements), || format!("retracted: {done}"))?;
        say(format!(
            "  all reports of {} are retracted, as previewed: {got} reports, {out} elements",
            provider.name
        ))?;
        self.figures.retracted = (got, out);
        Ok(before)
    }

    /// Makes sure that a phone drops the contact after the bundle of the next tick.
    fn the_contact_is_withdrawn(&mut self, before: usize) -> Checked<()> {
        let phones = std::iter::once(&mut self.steady).chain(&mut self.phones);
        phones.for_each(|phone| phone.forget_patients(is_at_the_test_centre));
        let traffic = self.phones[0].traffic();
        let after = self.phones[0].confirm_all(self.server.now)?;
        ensure(after + 1 == before, || format!("{before} contacts, then {after}"))?;
        let bundles = self.phones[0].traffic().bundles - traffic.bundles;
        ensure(self.phones[0].traffic().sets == traffic.sets, || "whole sets".into())?;
        say(format!("  a bundle of {bundles} bytes, and the contact is withdrawn"))?;
        self.figures.retraction_bytes = bundles;
        Ok(())
    }

    /// Compares a phone that synced at every tick, some that slept for the day, and a fresh one.
    pub(crate) fn everyone_ends_in_the_same_state(&mut self) -> Checked<()> {
        doing("phones catch up");
        let now = self.server.now + 400;
        self.day = self.steady.traffic();
        self.steady.confirm_all(now)?;
        let still = confirm_all(&mut self.phones, now)?;
        self.figures.withdrawn = self.figures.confirmed - self.figures.expired - still;
        let withdrawn = self.figures.withdrawn;
        ensure(withdrawn as u64 == self.scale.deceived(), || format!("{withdrawn} withdrawn"))?;
        let slept: Vec<Traffic> = self.phones[1..].iter().map(Phone::traffic).collect();
        let sets = slept.iter().filter(|traffic| traffic.sets > 0).count();
        ensure(sets == 0, || format!("{sets} phones fetched whole sets"))?;
        let caught = slept.iter().map(|traffic| traffic.bundles).sum::<u64>();
        self.figures.catch_up = caught / slept.len() as u64;

        let settings = ClientSettings::new(self.server.root);
        let mut fresh = Phone::new(99, settings, HttpFetch::new(&self.server.public));
        fresh.hear_strangers(self.first, DATES);
        fresh.confirm_all(now)?;
        let files = fresh.driver.state().count();
        ensure(files as u64 == DATES + 1, || format!("{files} files, not a table and its sets"))?;
        for phone in self.phones.iter().chain([&self.steady]) {
            let same = phone.driver.state().eq(fresh.driver.state());
            ensure(same, || "two phones ended in different states".into())?;
        }
        say(format!(
            "A phone a day behind catches up with {} bytes of bundles; the sets would be {}.",
            self.figures.catch_up,
            fresh.driver.sets()
        ))?;
        say(
            "A phone that synced at every tick, those that slept and a fresh one hold the same bytes.",
        )?;
        say(format!(
            "{withdrawn} contacts are withdrawn, {} have expired, the others remain.",
            self.figures.expired
        ))?;
        Ok(())
    }
}

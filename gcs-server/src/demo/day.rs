//! What happens after the first tick: a day of ticks, a retraction, a report that is held,
//! a date that expires, another kill.

use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};
use serde_json::json;

use super::api::{number, text};
use super::backend::{Backend, Ticked};
use super::client::Traffic;
use super::people::Patient;
use super::phones::{Phone, confirm_all};
use super::{Checked, DATES, INTERVAL, PHONES, Story, ensure, is_at_the_test_centre, say};

/// Ticks of the day.
pub(super) const DAY_TICKS: u64 = 96;

/// The one that carries the retraction.
const RETRACTION: u64 = 50;

/// Dates, from the first, on which each tick's new patients begin, and for how many epochs
/// they report: every date changes in every tick.
const NEW_PATIENTS: [u64; 3] = [0, 5, 9];
const NEW_EPOCHS: u64 = 5 * 96;

/// Number of the patient who reports alone.
const LONE: u32 = 20_000;

impl Story {
    /// Ticks, each with new patients on every date; one retraction.
    pub(super) fn a_day_of_ticks(&mut self) -> Checked<()> {
        say(format!("\nA day of {DAY_TICKS} ticks, each with new patients on every date:"));
        self.steady.client.traffic = Traffic::default();
        self.phones.iter_mut().for_each(|phone| phone.client.traffic = Traffic::default());
        for tick in 1..=DAY_TICKS {
            self.backend.set_clock(self.backend.now + INTERVAL)?;
            self.new_patients(tick)?;
            if tick == RETRACTION {
                self.a_provider_was_wrong()?;
            } else {
                let ticked = self.backend.tick()?;
                self.figures.ticks.push(ticked.took);
            }
            let due = self.steady.next_wake;
            if due < self.backend.now + INTERVAL {
                let outcome = self.steady.wake(due.max(self.backend.now));
                let fine = outcome.up_to_date && outcome.incidents.is_empty();
                ensure(fine, || format!("tick {tick} of the day: {outcome:?}"))?;
            }
            if tick % 24 == 0 {
                say(format!("  {tick} of {DAY_TICKS}"));
            }
        }
        Ok(())
    }

    fn new_patients(&mut self, tick: u64) -> Checked<()> {
        let apps = self.backend.apps();
        for (at, offset) in (0..).zip(NEW_PATIENTS) {
            // Not the test centre's: it is none whose number ends in 9.
            let number = 10_000 + 10 * tick as u32 + at;
            let first = Date::of_time(self.first.start() + offset * DAY_SECONDS);
            let report = self.report_of(Patient { number, first, epochs: NEW_EPOCHS })?;
            self.tracking.push(report.accepted(&apps)?);
            self.figures.added += NEW_EPOCHS;
        }
        Ok(())
    }

    /// A provider's reports are retracted; the next tick's bundle tells the phones.
    fn a_provider_was_wrong(&mut self) -> Checked<()> {
        // A phone that is up to date, and met one of the patients.
        let now = self.backend.now - 60;
        let before = self.phones[0].confirm_all(now)?;
        let wrong = self.patients.iter().filter(|patient| is_at_the_test_centre(patient.number));
        let (reports, elements) =
            wrong.fold((0, 0), |(reports, elements), wrong| (reports + 1, elements + wrong.epochs));
        let provider = &self.desks[1].provider;
        let done = self.backend.retract(&json!({ "provider": provider.number }))?;
        let dates = done["dates"].as_array().ok_or("no dates in a correction")?;
        let out: Checked<u64> = dates.iter().map(|date| number(date, "elements_out")).sum();
        let (got, out) = (number(&done, "reports")?, out?);
        ensure((got, out) == (reports, elements), || format!("retracted: {done}"))?;
        say(format!(
            "  all reports of {} are retracted, as previewed: {got} reports, {out} elements",
            provider.name
        ));
        let ticked = self.backend.tick()?;
        self.figures.ticks.push(ticked.took);

        let phones = std::iter::once(&mut self.steady).chain(&mut self.phones);
        phones.for_each(|phone| phone.forget_patients(is_at_the_test_centre));
        let traffic = self.phones[0].client.traffic;
        let after = self.phones[0].confirm_all(self.backend.now)?;
        ensure(after + 1 == before, || format!("{before} contacts, then {after}"))?;
        let bundles = self.phones[0].client.traffic.bundles - traffic.bundles;
        ensure(self.phones[0].client.traffic.sets == traffic.sets, || "whole sets".into())?;
        say(format!("  tick {}: a bundle of {bundles} bytes, and the contact is withdrawn", {
            ticked.tick
        }));
        self.figures.retracted = (got, out);
        self.figures.retraction_bytes = bundles;
        Ok(())
    }

    /// One that synced at every tick, some that slept for the day, one from nothing.
    pub(super) fn everyone_ends_in_the_same_state(&mut self) -> Checked<()> {
        let now = self.backend.now + 400;
        self.figures.last_elements = self.backend.elements()?;
        let steady = self.steady.client.traffic;
        self.steady.confirm_all(now)?;
        // Whatever that took is not of the day.
        self.steady.client.traffic = steady;
        let still = confirm_all(&mut self.phones, now)?;
        self.figures.withdrawn = self.figures.confirmed - still;
        ensure(self.figures.withdrawn == 6, || format!("{} withdrawn", self.figures.withdrawn))?;
        let sleepers = &self.phones[1..];
        let sets = sleepers.iter().filter(|phone| phone.client.traffic.sets > 0).count();
        ensure(sets == 0, || format!("{sets} phones fetched whole sets"))?;
        let caught = sleepers.iter().map(|phone| phone.client.traffic.bundles).sum::<u64>();
        self.figures.catch_up = caught / (PHONES - 1);

        let settings = ClientSettings::new(self.backend.root);
        let mut fresh = Phone::new(99, &self.backend.public, settings);
        fresh.hear_strangers(self.first, DATES);
        fresh.confirm_all(now)?;
        for phone in self.phones.iter().chain([&self.steady]) {
            let same = phone.client.state().eq(fresh.client.state());
            ensure(same, || "two phones ended in different states".into())?;
        }
        self.figures.last_sets = fresh.client.sets();
        say(format!(
            "A phone a day behind catches up with {} bytes of bundles; the sets would be {}.",
            self.figures.catch_up, self.figures.last_sets
        ));
        say("One that fetched all along, those that slept, and a fresh one hold the same bytes.");
        say(format!("{} contacts are withdrawn, the others stand.", self.figures.withdrawn));
        Ok(())
    }

    /// With `min_reports` 3, one patient's report waits, and then does not go alone.
    pub(super) fn a_lone_report_is_held(&mut self) -> Checked<()> {
        let max_hold = 2 * 3600;
        self.backend.change_policy(&json!({ "min_reports": 3, "max_hold": max_hold }))?;
        let date = Date::of_time(self.first.start() + 9 * DAY_SECONDS);
        let lone = Patient { number: LONE, first: date, epochs: 96 };
        let before = self.backend.date(date)?.ok_or("the date is not there")?;
        let apps = self.backend.apps();
        let tracking = self.report_of(lone)?.accepted(&apps)?;
        self.tracking.push(tracking.clone());

        self.backend.set_clock(self.backend.now + INTERVAL)?;
        self.backend.tick()?;
        let state = |backend: &Backend| -> Checked<String> {
            text(&backend.apps().get(&format!("/v1/reports/{tracking}"))?.expect(200)?, "status")
        };
        let is_out = |backend: &Backend| backend.exact(date, &lone.broadcast(60).1);
        let held = (state(&self.backend)?, is_out(&self.backend)?, self.backend.date(date)?);
        ensure(held == ("held".into(), false, Some(before)), || format!("not held: {held:?}"))?;
        say("\nFrom now on at least 3 reports go out together. A lone one waits: held.");

        self.backend.set_clock(self.backend.now + max_hold)?;
        self.backend.tick()?;
        let (elements, filler) = (before.0 + 3 * lone.epochs, before.1 + 2 * lone.epochs);
        let out = (state(&self.backend)?, is_out(&self.backend)?, self.backend.date(date)?);
        let expected = ("published".into(), true, Some((elements, filler)));
        ensure(out == expected, || format!("{out:?}, expected {expected:?}"))?;
        self.figures.filler = 2 * lone.epochs;
        let phone = &mut self.phones[1];
        phone.meet_for_an_hour(lone, 60);
        phone.confirm_all(self.backend.now + 60)?;
        say(format!(
            "After {} hours it goes out, with filler of {} elements as company: published.",
            max_hold / 3600,
            self.figures.filler
        ));
        Ok(())
    }

    /// The clock moves on until the first date has been over for a fortnight.
    pub(super) fn a_date_expires(&mut self) -> Checked<()> {
        let expired = self.first;
        ensure(self.backend.date(expired)?.is_some(), || "the first date is not there".into())?;
        self.backend.set_clock(expired.end() + 14 * DAY_SECONDS)?;
        self.backend.tick()?;
        ensure(self.backend.date(expired)?.is_none(), || format!("{expired} is still there"))?;
        let tracking = &self.tracking[0];
        let status = self.backend.apps().get(&format!("/v1/reports/{tracking}"))?.expect(200)?;
        let states = (&status["status"], &status["dates"][0]["status"]);
        ensure(states.0 == "published" && states.1 == "expired", || format!("{status}"))?;
        let before: usize = self.phones.iter().map(Phone::episodes).sum();
        self.phones.iter_mut().for_each(|phone| phone.forget_date(expired));
        let after = confirm_all(&mut self.phones, self.backend.now + 60)?;
        say(format!(
            "{} has been over for 14 days: it is gone, and so are {} contacts of that date.",
            expired,
            before - after
        ));
        Ok(())
    }

    /// Killed again, now with everything in the log: the same state, the same manifest.
    pub(super) fn killed_with_everything_in_it(&mut self) -> Checked<()> {
        let manifest = |backend: &Backend| backend.apps().text("/v1/manifest");
        let before = (self.backend.status()?, manifest(&self.backend)?);
        self.backend.kill()?;
        let restart = self.backend.restart()?;
        let after = (self.backend.status()?, manifest(&self.backend)?);
        ensure(before == after, || format!("before: {before:?}\nafter: {after:?}"))?;
        let reports = number(&after.0, "reports")? as usize;
        ensure(reports == self.tracking.len(), || format!("{reports} reports"))?;
        say(format!(
            "kill -9 once more: ready after {} ms, with the same {reports} reports and manifest.",
            restart.as_millis()
        ));
        self.figures.restarts.push((restart, reports));
        Ok(())
    }

    /// The tick after the kill goes on from what was there, with one correction more.
    pub(super) fn the_next_tick_goes_on(&mut self) -> Checked<()> {
        let lone = self.tracking.last().ok_or("no reports")?;
        self.backend.retract(&json!({ "report": lone }))?;
        self.backend.set_clock(self.backend.now + INTERVAL)?;
        let Ticked { tick, .. } = self.backend.tick()?;
        for phone in &mut self.phones {
            phone.forget_patients(|patient| patient == LONE);
            phone.client.traffic = Traffic::default();
        }
        confirm_all(&mut self.phones, self.backend.now + 60)?;
        let by_bundle = |traffic: Traffic| traffic.bundles > 0 && traffic.sets == 0;
        let others = self.phones.iter().filter(|phone| !by_bundle(phone.client.traffic)).count();
        ensure(others == 0, || format!("{others} phones needed more than a bundle"))?;
        say(format!("Tick {tick} retracts the lone report; for all phones it is a delta more."));
        Ok(())
    }
}

//! The last scenes of the demo, after the day of ticks: a report that is held, another kill, one more correction.

use gcs_examples::people::Patient;
use gcs_examples::traffic::Traffic;
use gcs_examples::{Checked, ensure};
use serde_json::json;

use crate::api::{number, text};
use crate::server::{Server, Ticked};
use crate::story::{Story, confirm_all};
use crate::voice::{doing, say};

/// Number of the patient who reports alone.
const LONE: u32 = 20_000;

/// Longest time that additions wait, in seconds.
const MAX_HOLD: u64 = 2 * 3600;

impl Story {
    /// With `min_reports` 3, the report of one patient waits, and then is published with filler.
    pub(crate) fn a_lone_report_is_held(&mut self) -> Checked<()> {
        doing("a lone report");
        self.server.change_policy(&json!({ "min_reports": 3, "max_hold": MAX_HOLD }))?;
        let date = self.date(9);
        let lone = Patient { number: LONE, first: date, epochs: 96 };
        let before = self.server.date(date)?.ok_or("the date is not there")?;
        let apps = self.server.apps();
        let tracking = self.report_of(lone)?.accepted(&apps)?;
        self.tracking.push(tracking.clone());

        self.server.set_clock(self.server.now + 900)?;
        self.server.tick()?;
        let state = |server: &Server| text(&server.report_status(&tracking)?, "status");
        let is_out = |server: &Server| server.exact(date, &lone.broadcast(60).1);
        let held = (state(&self.server)?, is_out(&self.server)?, self.server.date(date)?);
        ensure(held == ("held".into(), false, Some(before)), || format!("not held: {held:?}"))?;
        say(
            "\nFrom now on at least 3 reports are published together. A single one waits (status: held).",
        )?;

        self.server.set_clock(self.server.now + MAX_HOLD)?;
        self.server.tick()?;
        let filler = 2 * lone.epochs;
        let (elements, filler_then) = (before.0 + lone.epochs + filler, before.1 + filler);
        let out = (state(&self.server)?, is_out(&self.server)?, self.server.date(date)?);
        let expected = ("published".into(), true, Some((elements, filler_then)));
        ensure(out == expected, || format!("{out:?}, expected {expected:?}"))?;
        let phone = &mut self.phones[1];
        phone.meet_for_an_hour(lone, 60);
        phone.confirm_all(self.server.now + 60)?;
        say(format!(
            "After {} hours it is published with {filler} elements of filler (status: published).",
            MAX_HOLD / 3600,
        ))?;
        Ok(())
    }

    /// Kills the server again, now with everything in the log: state and manifest stay the same.
    pub(crate) fn killed_with_everything_in_it(&mut self) -> Checked<()> {
        doing("the server starts again");
        let manifest = |server: &Server| server.apps().text("/v1/manifest");
        let before = (self.server.status()?, manifest(&self.server)?);
        self.server.kill()?;
        let restart = self.server.restart()?;
        let after = (self.server.status()?, manifest(&self.server)?);
        ensure(before == after, || format!("before: {before:?}\nafter: {after:?}"))?;
        let reports = number(&after.0, "reports")? as usize;
        ensure(reports == self.tracking.len(), || format!("{reports} reports"))?;
        say(format!(
            "kill -9 once more: ready after {} ms, with the same {reports} reports and manifest.",
            restart.as_millis()
        ))?;
        self.figures.restarts.push((restart, reports));
        Ok(())
    }

    /// Publishes after the kill, with one more correction.
    pub(crate) fn the_next_tick_goes_on(&mut self) -> Checked<()> {
        doing("the last tick");
        let lone = self.tracking.last().ok_or("no reports")?;
        self.server.retract(&json!({ "report": lone }))?;
        self.server.set_clock(self.server.now + self.scale.interval())?;
        let Ticked { tick, .. } = self.server.tick()?;
        for phone in &mut self.phones {
            phone.forget_patients(|patient| patient == LONE);
            phone.count_anew();
        }
        confirm_all(&mut self.phones, self.server.now + 60)?;
        let by_bundle = |traffic: Traffic| traffic.bundles > 0 && traffic.sets == 0;
        let others = self.phones.iter().filter(|phone| !by_bundle(phone.traffic())).count();
        ensure(others == 0, || format!("{others} phones needed more than a bundle"))?;
        say(format!("Tick {tick} retracts the single report; all phones need only its bundle."))?;
        Ok(())
    }
}

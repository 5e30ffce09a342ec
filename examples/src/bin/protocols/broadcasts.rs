//! From a design and what the radio carried to a trial.

use gcs_core::sync::Heard;
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::Checked;

use crate::design::{Design, dates};
use crate::radio::Reception;
use crate::reports::{LATER, Report, elsewhere, in_town, recorded};
use crate::town::{DAYS, Town};
use crate::trial::{Replay, Trial};
use crate::truth;

/// The identifiers that the phones of all people broadcast on each day.
struct Broadcasts<'t> {
    town: &'t Town,
    /// Of each person, of each day.
    identifiers: Vec<Vec<Vec<[u8; 16]>>>,
}

impl<'t> Broadcasts<'t> {
    fn new(town: &'t Town, design: &dyn Design) -> Checked<Broadcasts<'t>> {
        let last = Date::from_days(town.first.days() + DAYS as u32 - 1)?;
        let of = |person| {
            dates(town.first, last).map(|date| design.identifiers(person as u64, date)).collect()
        };
        Ok(Broadcasts { town, identifiers: (0..town.people.len()).map(of).collect() })
    }

    /// The identifier that a phone broadcasts at a given time: each identifier of a date for an equal part of the day,
    /// by the phone's clock.
    fn at(&self, person: usize, time: u64) -> [u8; 16] {
        let second = self.town.people[person].clock(time) - self.town.first.start();
        let identifiers = &self.identifiers[person][(second / DAY_SECONDS) as usize];
        let part = DAY_SECONDS / identifiers.len() as u64;
        identifiers[(second % DAY_SECONDS / part) as usize]
    }
}

/// The trial of a protocol whose identifiers count for spans of so many seconds.
pub(crate) fn trial<'t>(
    town: &'t Town,
    receptions: &[Reception],
    design: &dyn Design,
    span: u64,
) -> Checked<Trial<'t>> {
    let broadcasts = Broadcasts::new(town, design)?;
    let keep = |identifier: &[u8; 16], clock| {
        let elements = design.sighting(identifier, clock).into_iter();
        elements.map(move |element| Heard { time: clock, element })
    };
    let mut heard = vec![Vec::new(); town.people.len()];
    for Reception { time, from, to } in receptions.iter().copied() {
        heard[to].extend(keep(&broadcasts.at(from, time), town.people[to].clock(time)));
    }
    let (who, time) = recorded(town);
    let replay = |later: &u64| Replay {
        heard: keep(&broadcasts.at(who, time), time + later).collect(),
        is_found: truth::replay_is_found(span, time, *later),
    };
    Ok(Trial {
        name: design.name(),
        town,
        heard,
        reports: reports(town, design)?,
        expected: truth::beacons(town, receptions),
        replays: LATER.iter().map(replay).collect(),
    })
}

/// Everybody's reports, as a backend reads them.
fn reports(town: &Town, design: &dyn Design) -> Checked<Vec<Report>> {
    let report = |number: u64, time, clock, person| {
        let messages = design.messages(number, town.first, clock)?;
        let bytes = messages.iter().map(|message| message.len() as u64).sum();
        let expand = |message: &Vec<u8>| design.expand(message, Date::of_time(time));
        let elements = messages.iter().map(expand).collect::<Checked<Vec<_>>>()?.concat();
        Ok(Report { time, bytes, elements, person })
    };
    let of_town = in_town(town).map(|(person, time)| {
        report(person as u64, time, town.people[person].clock(time), Some(person))
    });
    let others = elsewhere(town).map(|(number, time)| report(number, time, time, None));
    of_town.chain(others).collect()
}

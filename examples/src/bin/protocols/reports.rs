//! Who reports when, and what comes of it.

use gcs_core::DAY_SECONDS;
use gcs_examples::Checked;

use crate::design::Dated;
use crate::health::Authority;
use crate::town::{DAYS, Person, Town};

/// Patients a day who live elsewhere and report to the same authority.
pub(crate) const ELSEWHERE: u64 = 100;

/// A report and what follows from it.
#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) time: u64,
    /// Bytes that the phone sent.
    pub(crate) bytes: u64,
    pub(crate) elements: Dated,
    /// Who reported, if it was somebody of the town.
    pub(crate) person: Option<usize>,
}

/// Who is recorded, and who replays how much later what was broadcast 36 hours after the first
/// midnight.
const RECORDED: usize = 24;
const RECORDED_AT: u64 = 36 * 3600 + 600;
pub(crate) const LATER: [u64; 2] = [1800, DAY_SECONDS];

/// When each patient elsewhere reports, and which number the person has.
pub(crate) fn elsewhere(town: &Town) -> impl Iterator<Item = (u64, u64)> {
    let first = town.first.end();
    let step = DAY_SECONDS / ELSEWHERE;
    (0..DAYS * ELSEWHERE).map(move |number| (1000 + number, first + number * step))
}

/// When each person of the town reports who does.
pub(crate) fn in_town(town: &Town) -> impl Iterator<Item = (usize, u64)> {
    let reports =
        |(number, person): (usize, &Person)| Some((number, person.online_from(person.reports?)));
    town.people.iter().enumerate().filter_map(reports)
}

/// When the identifier that is replayed was broadcast, and by whom.
pub(crate) fn recorded(town: &Town) -> (usize, u64) {
    (RECORDED, town.first.start() + RECORDED_AT)
}

/// Reports on their way to an authority, which also corrects the mistaken one.
pub(crate) struct Inbox<'t> {
    town: &'t Town,
    /// In order of time.
    reports: Vec<&'t Report>,
    received: usize,
    /// Number of the report that is to be retracted.
    mistaken: Option<u64>,
}

impl<'t> Inbox<'t> {
    pub(crate) fn new(town: &'t Town, reports: &'t [Report]) -> Inbox<'t> {
        let mut reports: Vec<&Report> = reports.iter().collect();
        reports.sort_by_key(|report| report.time);
        Inbox { town, reports, received: 0, mistaken: None }
    }

    /// Gives an authority what has come until now.
    pub(crate) fn deliver(&mut self, now: u64, authority: &mut Authority) -> Checked<()> {
        let new = self.reports[self.received..].iter().take_while(|report| report.time <= now);
        for report in new {
            let number = authority.receive(report.time, report.elements.clone())?;
            if report.person.is_some_and(|person| self.town.people[person].is_mistaken) {
                self.mistaken = Some(number);
            }
            self.received += 1;
        }
        if now >= self.town.corrected() {
            self.mistaken.take().into_iter().for_each(|report| authority.retract(report));
        }
        Ok(())
    }
}

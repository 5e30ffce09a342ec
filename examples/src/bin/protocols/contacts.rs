//! Which meetings were found.

use gcs_examples::{Checked, ensure};

use crate::classic::Learned;
use crate::handset::Spans;
use crate::town::{Meeting, Town};
use crate::truth;

/// Seconds of a meeting that counts.
pub(crate) const LONG: u64 = 15 * 60;

/// The meetings with patients that last long enough, each with the person who met the patient.
pub(crate) fn long_meetings(town: &Town) -> impl Iterator<Item = (usize, &Meeting)> {
    let of = |person| town.with_patients(person).map(move |meeting| (person, meeting));
    (0..town.people.len()).flat_map(of).filter(|(_, meeting)| meeting.seconds() >= LONG)
}

/// Whether a person's contacts cover some of a meeting.
pub(crate) fn is_found(town: &Town, person: usize, meeting: &Meeting, contacts: &Spans) -> bool {
    contacts.iter().any(|contact| covers(town, person, meeting, contact))
}

fn covers(town: &Town, person: usize, meeting: &Meeting, contact: &(u64, u64)) -> bool {
    let at = |clock| town.people[person].time_of(clock);
    at(contact.0) < meeting.time.end && meeting.time.start <= at(contact.1)
}

/// Contacts of people who were not near a patient then.
pub(crate) fn false_alarms(town: &Town, contacts: &[Spans]) -> usize {
    let of = |(person, contacts): (usize, &Spans)| {
        let is_true = |contact: &&(u64, u64)| {
            town.with_patients(person).any(|meeting| covers(town, person, meeting, contact))
        };
        contacts.len() - contacts.iter().filter(is_true).count()
    };
    contacts.iter().enumerate().map(of).sum()
}

/// In which of BlueTrace's modes meetings were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) both: usize,
    pub(crate) only_classic: usize,
    pub(crate) only_published: usize,
    pub(crate) neither: usize,
}

/// Compares the modes.
///
/// # Errors
/// If one of them misses a meeting in which both phones broadcast TempIDs that were valid.
pub(crate) fn agreement(town: &Town, learned: &Learned, contacts: &[Spans]) -> Checked<Agreement> {
    let mut agreement = Agreement::default();
    for (person, meeting) in long_meetings(town) {
        let classic = learned.knows(town, person, meeting);
        let published = is_found(town, person, meeting, &contacts[person]);
        *(match (classic, published) {
            (true, true) => &mut agreement.both,
            (true, false) => &mut agreement.only_classic,
            (false, true) => &mut agreement.only_published,
            (false, false) => &mut agreement.neither,
        }) += 1;
        let is_current =
            |time| meeting.people.iter().all(|person| truth::is_current(town, *person, time));
        let is_easy = meeting.time.clone().step_by(60).all(is_current);
        ensure(!is_easy || classic && published, || {
            format!("{meeting:?} was missed: classic {classic}, published {published}")
        })?;
    }
    Ok(agreement)
}

//! Checks at the end of every trial, of all but the contacts that were found.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Range;

use gcs_core::sync::{Fetch, Heard};
use gcs_core::{Date, HashRange, Salt, Set};
use gcs_examples::memory::{Files, MemoryFetch};
use gcs_examples::{Checked, ensure};

use crate::handset::Handset;
use crate::health::Authority;
use crate::random::secret;
use crate::town::DAYS;
use crate::trial::{Replay, Trial};

/// The coarse rate is 2 to the power of minus this.
pub(crate) const COARSE_BITS: u32 = 8;

/// Everything that should be found is published, and nothing else of what phones heard. Contacts
/// alone do not show it: one sighting is enough for a contact of hours.
pub(crate) fn every_sighting(trial: &Trial<'_>, authority: &Authority) -> Checked<()> {
    for (number, (heard, expected)) in trial.heard.iter().zip(&trial.expected).enumerate() {
        let is_found = |heard: &&Heard| {
            dates(heard.time).any(|date| authority.is_published(date, &heard.element))
        };
        let found: BTreeSet<u64> = heard.iter().filter(is_found).map(|heard| heard.time).collect();
        ensure(found == *expected, || {
            let wrong = found.symmetric_difference(expected).next();
            format!("phone {number} should and should not find what it heard at {wrong:?}")
        })?;
    }
    Ok(())
}

/// Phones that came by bundles, early or late, end with the same bytes as one that fetches all
/// sets whole: so the deltas, removals included, make the full sets.
pub(crate) fn same_state(
    phones: &[Handset<'_>],
    behind: &[Handset<'_>],
    authority: &Authority,
    end: u64,
) -> Checked<()> {
    let fresh = fresh(&phones[0], authority, end)?;
    let mut late = behind.to_vec();
    for phone in &mut late {
        phone.wake(end, &authority.files)?;
    }
    for phone in phones.iter().chain(&late) {
        let (got, expected) = (phone.state(), &fresh);
        ensure(got == *expected, || {
            format!("a phone has {:?}, a fresh one {:?}", got.keys(), expected.keys())
        })?;
    }
    ensure(fresh.len() as u64 > DAYS, || "there are no sets".into())
}

/// The state of a phone that fetches everything anew.
fn fresh(phone: &Handset<'_>, authority: &Authority, end: u64) -> Checked<Files> {
    let mut fresh = phone.anew(end);
    fresh.wake(end, &authority.files)?;
    Ok(fresh.state())
}

/// A mirror that alters every file of a kind.
struct Mirror<'f> {
    files: MemoryFetch<'f>,
    kind: &'static str,
    alter: fn(&mut Vec<u8>),
    /// How many files it altered.
    altered: &'f mut u64,
}

impl Fetch for Mirror<'_> {
    type Error = Infallible;

    fn fetch(
        &mut self,
        path: &str,
        part: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Infallible> {
        let mut fetched = self.files.fetch(path, part, limit)?;
        if let Some(bytes) = fetched.as_mut().filter(|_| path.split('/').nth(2) == Some(self.kind))
        {
            (self.alter)(bytes);
            *self.altered += 1;
        }
        Ok(fetched)
    }
}

/// A wrong bit, or half of the file.
const ALTERATIONS: [fn(&mut Vec<u8>); 2] = [
    |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    },
    |bytes| bytes.truncate(bytes.len() / 2),
];

/// Files with a wrong bit, or cut short, are noticed: a phone gets what it needs in another way, or
/// stays as it was and says so, and an honest server helps it afterwards.
pub(crate) fn wrong_files_are_refused(
    behind: &[Handset<'_>],
    authority: &Authority,
    end: u64,
) -> Checked<()> {
    let anew = behind[0].anew(end);
    let honest = fresh(&anew, authority, end)?;
    for kind in ["manifest", "index", "bundles", "sets"] {
        for alter in ALTERATIONS {
            let mut altered = 0;
            for phone in behind.iter().chain([&anew]) {
                let (mut phone, was) = (phone.clone(), phone.state());
                let (files, before) = (MemoryFetch(&authority.files), altered);
                let mirror = Mirror { files, kind, alter, altered: &mut altered };
                let outcome = phone.wake_with(end, mirror);
                let is_told = outcome.error.is_some() || !outcome.incidents.is_empty();
                let is_right = !outcome.up_to_date || [&honest, &was].contains(&&phone.state());
                ensure(altered == before || is_told && is_right, || {
                    format!("a wrong {kind} was believed: {outcome:?}")
                })?;
                let again = phone.next_wake.max(end);
                phone.wake(again, &authority.files)?;
                ensure(phone.state() == honest, || format!("a wrong {kind} left traces"))?;
            }
            ensure(altered > 0, || format!("no {kind} was fetched"))?;
        }
    }
    Ok(())
}

/// The phones that met no patient, and what they heard.
fn strangers<'a>(trial: &'a Trial<'_>) -> impl Iterator<Item = (usize, &'a [Heard])> {
    trial.town.strangers().map(|number| (number, &trial.heard[number][..]))
}

/// Replays an identifier of a patient to every phone that met none, half an hour and a day later.
/// Returns how many of them took the first for a contact.
pub(crate) fn replayed(
    trial: &Trial<'_>,
    phones: &[Handset<'_>],
    authority: &Authority,
    end: u64,
) -> Checked<(usize, usize)> {
    let mut alarmed = Vec::new();
    for Replay { heard: replayed, is_found } in &trial.replays {
        let mut alarms = 0;
        for (number, heard) in strangers(trial) {
            let mut heard = [heard, replayed].concat();
            heard.sort_by_key(|heard| heard.time);
            let mut phone = phones[number].with_heard(&heard);
            let now = phone.next_wake.max(end);
            let found = phone.decide(now, &authority.files)?;
            ensure(found.is_empty() != *is_found, || {
                format!("a replay was taken for {found:?}, and should be found: {is_found}")
            })?;
            alarms += usize::from(!found.is_empty());
        }
        alarmed.push(alarms);
    }
    let strangers = strangers(trial).count();
    ensure(strangers > 0, || "everybody met a patient".into())?;
    Ok((alarmed[0], strangers))
}

/// The dates whose sets a phone tests: within two hours of midnight the other date too.
fn dates(time: u64) -> impl Iterator<Item = Date> {
    [time - 7200, time, time + 7199].map(Date::of_time).into_iter()
}

/// The dates and elements that a phone tests.
fn tests(heard: &[Heard]) -> BTreeSet<(Date, &[u8])> {
    let mut tests = BTreeSet::new();
    for Heard { time, element } in heard {
        tests.extend(dates(*time).map(|date| (date, &element[..])));
    }
    tests
}

/// Counts the hits of phones that met no patient, in sets of the same elements at a coarse rate.
/// Returns how many there are, and how many are expected: more than chance explains are an error.
pub(crate) fn coarse(trial: &Trial<'_>, authority: &Authority) -> Checked<(u64, f64)> {
    let (mut hits, mut expected) = (0, 0.0);
    for day in authority.days() {
        let count = u32::try_from(day.len())?;
        let set = Set::build(
            Salt(secret("coarse", &[day.date().start()])),
            HashRange::for_expected(count, COARSE_BITS)?,
            day.elements().map(<[u8]>::to_vec),
        )?;
        for (_, heard) in strangers(trial) {
            let tests = tests(heard).into_iter().filter(|(date, _)| *date == day.date());
            let elements: Vec<&[u8]> = tests.map(|(_, element)| element).collect();
            expected += elements.len() as f64 * set.false_positive_rate();
            hits += set.matches(&elements).len() as u64;
        }
    }
    // Four standard deviations above what is expected.
    let most = expected + 4.0 * expected.sqrt();
    ensure((hits as f64) < most, || format!("{hits} false hits, {expected:.0} expected"))?;
    Ok((hits, expected))
}

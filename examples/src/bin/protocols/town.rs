//! A town of 50 people for three days: who is where, and so who is near whom.

use std::ops::Range;

use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::Checked;

use crate::random::Random;

/// Number of people, each with a phone.
pub(crate) const PEOPLE: usize = 50;

/// Days for which they meet.
pub(crate) const DAYS: u64 = 3;

/// Most seconds by which a phone's clock is ahead of the time, or behind it.
const MOST_SKEW: u64 = 60;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Longest time between two places that is not spent at home, in seconds.
const WAY: u64 = 45 * MINUTE;

/// Who reports, and after how many hours of the three days and the next.
const PATIENTS: [(usize, u64); 5] = [(7, 42), (18, 58), (24, 60), (29, 81), (42, 82)];

/// Who reports by mistake, and after how many hours; the report is retracted later.
const MISTAKEN: (usize, u64) = (36, 60);

/// After how many hours the mistake is corrected.
const CORRECTED: u64 = 84;

/// A person and a phone.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Seconds by which the phone's clock is ahead of the time.
    pub(crate) ahead: i64,
    /// When the phone has no network. It goes on broadcasting and hearing.
    pub(crate) offline: Option<Range<u64>>,
    /// When the person reports, if ever. From then on the phone is off and the person alone.
    pub(crate) reports: Option<u64>,
    /// Whether the report is a mistake, which is corrected.
    pub(crate) is_mistaken: bool,
    /// When the person registered with BlueTrace and the phone first fetched TempIDs.
    pub(crate) registered: u64,
    /// Whether the BlueTrace app is like OpenTrace's for iOS, and not that for Android.
    pub(crate) is_ios: bool,
}

impl Person {
    /// What the phone's clock shows at a time.
    pub(crate) fn clock(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.ahead)
    }

    /// The time at which the phone's clock shows this.
    pub(crate) fn time_of(&self, clock: u64) -> u64 {
        clock.saturating_add_signed(-self.ahead)
    }

    /// The first time from `time` on at which the phone has a network.
    pub(crate) fn online_from(&self, time: u64) -> u64 {
        match &self.offline {
            Some(offline) if offline.contains(&time) => offline.end,
            _ => time,
        }
    }

    /// Whether the person is a patient, and reported rightly.
    pub(crate) fn is_patient(&self) -> bool {
        self.reports.is_some() && !self.is_mistaken
    }
}

/// Two people within radio range of each other.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) people: [usize; 2],
    pub(crate) time: Range<u64>,
}

impl Meeting {
    /// Whether these two meet at a time.
    pub(crate) fn is_of(&self, people: [usize; 2], time: u64) -> bool {
        let [one, other] = people;
        [people, [other, one]].contains(&self.people) && self.time.contains(&time)
    }

    /// How long it lasts, in seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.time.end - self.time.start
    }
}

/// The people, and every meeting of two of them.
#[derive(Clone, Debug)]
pub(crate) struct Town {
    /// The first date.
    pub(crate) first: Date,
    pub(crate) people: Vec<Person>,
    /// In ascending order of their begin.
    pub(crate) meetings: Vec<Meeting>,
}

/// A time that somebody spends in one place, where all are in range of each other.
#[derive(Clone, Debug)]
struct Stay {
    place: (Kind, u64),
    time: Range<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Home,
    Bus,
    Office,
    Table,
    Shop,
}

impl Town {
    /// The town; always the same.
    pub(crate) fn new() -> Checked<Town> {
        let first: Date = "2026-03-02".parse()?;
        let people: Vec<Person> = (0..PEOPLE).map(|number| person(number, first.start())).collect();
        let stays: Vec<Vec<Stay>> = people
            .iter()
            .enumerate()
            .map(|(number, person)| stays(number, person, first))
            .collect();
        let mut meetings = Vec::new();
        for one in 0..PEOPLE {
            for other in one + 1..PEOPLE {
                let overlaps = overlaps(&stays[one], &stays[other]);
                meetings.extend(overlaps.map(|time| Meeting { people: [one, other], time }));
            }
        }
        meetings.sort_by_key(|meeting| (meeting.time.start, meeting.people));
        Ok(Town { first, people, meetings })
    }

    /// When the mistaken report is retracted.
    pub(crate) fn corrected(&self) -> u64 {
        self.first.start() + CORRECTED * HOUR
    }

    /// The people who met no patient.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = usize> {
        (0..self.people.len()).filter(|person| self.with_patients(*person).next().is_none())
    }

    /// The meetings of a person with patients.
    pub(crate) fn with_patients(&self, person: usize) -> impl Iterator<Item = &Meeting> {
        self.meetings.iter().filter(move |meeting| {
            let [one, other] = meeting.people;
            one == person && self.people[other].is_patient()
                || other == person && self.people[one].is_patient()
        })
    }
}

fn person(number: usize, start: u64) -> Person {
    let mut random = Random::of("person", &[number as u64]);
    let most = MOST_SKEW as i64;
    // Half of the clocks are as wrong as can be.
    let ahead = match number % 4 {
        0 => most,
        1 => -most,
        _ => random.below(2 * MOST_SKEW + 1) as i64 - most,
    };
    // One in four loses the network for 12 to 24 hours at some time of the first day.
    let from = start + 4 * HOUR + random.below(20 * HOUR);
    let length = 12 * HOUR + random.below(12 * HOUR + 1);
    let offline = (number % 4 == 2).then(|| from..from + length);
    let is_mistaken = number == MISTAKEN.0;
    let reports = PATIENTS.iter().chain([&MISTAKEN]).find(|(patient, _)| *patient == number);
    let reports = reports.map(|(_, hours)| start + hours * HOUR);
    let registered = start - random.below(12 * HOUR);
    Person { ahead, offline, reports, is_mistaken, registered, is_ios: number % 10 == 9 }
}

/// Where somebody is, one stay after the other, from ten minutes after the first midnight until
/// ten minutes before the last.
fn stays(number: usize, person: &Person, first: Date) -> Vec<Stay> {
    let start = first.start();
    let end = start + DAYS * DAY_SECONDS - 10 * MINUTE;
    let end = end.min(person.reports.unwrap_or(end));
    let mut stays = Vec::new();
    let mut since = start + 10 * MINUTE;
    let home = |time| Stay { place: (Kind::Home, household(number)), time };
    for day in 0..DAYS {
        for out in outings(number, day, start + day * DAY_SECONDS) {
            // Between two places that are close in time, the person is on the way.
            if out.time.start - since > WAY {
                stays.push(home(since..out.time.start));
            }
            since = out.time.end;
            stays.push(out);
        }
    }
    stays.push(home(since..end));
    for stay in &mut stays {
        stay.time.end = stay.time.end.min(end);
    }
    stays.retain(|stay| !stay.time.is_empty());
    stays
}

/// Households have one to four people.
fn household(number: usize) -> u64 {
    const OF_TEN: [u64; 10] = [0, 1, 1, 2, 2, 2, 3, 3, 3, 3];
    (number / 10 * 4) as u64 + OF_TEN[number % 10]
}

/// The stays of one day that are not at home, in order.
fn outings(number: usize, day: u64, midnight: u64) -> Vec<Stay> {
    let mut random = Random::of("outings", &[number as u64, day]);
    let mut outings = Vec::new();
    let mut go = |kind, which, from: u64, minutes: u64| {
        let from = midnight + from;
        outings.push(Stay { place: (kind, which), time: from..from + minutes * MINUTE });
    };
    if !number.is_multiple_of(5) {
        // Offices of four, of people who do not live together.
        let office = (number * 7 % PEOPLE / 4) as u64;
        let late = random.below(600);
        go(Kind::Bus, 10 * day + random.below(6), 7 * HOUR + 1800 + random.below(300), 20);
        go(Kind::Office, office, 8 * HOUR + late, 230);
        go(Kind::Table, 100 * day + random.below(9), 12 * HOUR + 900 + random.below(300), 35);
        go(Kind::Office, office, 13 * HOUR + late, 220 + random.below(40));
    }
    if random.one_in(4) {
        go(
            Kind::Shop,
            random.below(5),
            17 * HOUR + 1800 + random.below(1800),
            10 + random.below(20),
        );
    }
    if random.one_in(8) {
        let friend = random.below(PEOPLE as u64) as usize;
        go(Kind::Home, household(friend), 19 * HOUR + random.below(1800), 100 + random.below(60));
    }
    outings
}

fn overlaps(one: &[Stay], other: &[Stay]) -> impl Iterator<Item = Range<u64>> {
    let overlap = |one: &Stay, other: &Stay| {
        let time = one.time.start.max(other.time.start)..one.time.end.min(other.time.end);
        (one.place == other.place && !time.is_empty()).then_some(time)
    };
    one.iter().flat_map(move |one| other.iter().filter_map(move |other| overlap(one, other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the simulation would show less than it says.
    #[test]
    fn the_town_has_everything_that_the_protocols_are_tried_with() {
        let town = Town::new().unwrap();
        let long = |person: usize| {
            let of = |meeting: &&Meeting| meeting.people.contains(&person);
            town.meetings.iter().filter(of).filter(|meeting| meeting.seconds() > 900).count()
        };
        let count = |is: fn(&Person) -> bool| town.people.iter().filter(|one| is(one)).count();
        assert!(town.strangers().count() >= 5);
        assert!(long(MISTAKEN.0) > 5);
        assert!(PATIENTS.iter().all(|(patient, _)| long(*patient) > 5));
        assert!(count(|one| one.is_patient() && one.is_ios) > 0);
        assert!(count(|one| one.is_patient() && one.offline.is_some()) > 0);
        let hours = |range: &Range<u64>| (range.end - range.start) / HOUR;
        let offline = town.people.iter().filter_map(|one| one.offline.as_ref()).map(hours);
        assert!(offline.clone().count() > 10 && offline.clone().all(|hours| hours >= 12));
        assert!(offline.clone().any(|hours| hours > 20) && offline.clone().max() <= Some(24));
        assert!(count(|one| one.ahead > 40) > 3 && count(|one| one.ahead < -40) > 3);
        assert!(town.people.iter().all(|one| one.ahead.unsigned_abs() <= MOST_SKEW));
    }

    #[test]
    fn nobody_is_in_two_places_and_patients_meet_nobody_after_their_report() {
        let town = Town::new().unwrap();
        for (number, person) in town.people.iter().enumerate() {
            let stays = stays(number, person, town.first);
            assert!(stays.windows(2).all(|two| two[0].time.end <= two[1].time.start));
            let mut meetings = town.meetings.iter().filter(|one| one.people.contains(&number));
            assert!(meetings.all(|one| person.reports.is_none_or(|time| one.time.end <= time)));
        }
    }
}

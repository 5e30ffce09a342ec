//! Whom a case met, by person and date.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gcs_core::Date;
use gcs_core::identifiers::bluetrace::PseudoId;
use serde::Serialize;
use utoipa::ToSchema;

use super::foreign::ForeignMeetings;
use crate::domain::events::Sighting;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::state::bluetrace::Users;
use crate::time;

/// Seconds without a sighting after which a meeting is over.
const PAUSE: u32 = 300;

/// A person whom a case met on a date: one of our users, or another authority's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Encounter {
    /// The person's phone number; null of another authority's user.
    #[schema(example = "+6591234567")]
    pub number: Option<String>,
    /// HAI of the authority whose user it is; null of ours.
    #[schema(example = "NZ_MOH")]
    pub authority: Option<String>,
    /// What that authority calls the user; null of ours.
    #[schema(example = "GWZ92PM27AAwFsqbJz3G2Q")]
    pub pseudo_id: Option<String>,
    /// The UTC date, as YYYY-MM-DD.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    pub date: Date,
    /// UTC time of the first sighting, in RFC 3339.
    #[schema(example = "2026-01-05T09:00:00Z")]
    pub first: String,
    /// UTC time of the last sighting, in RFC 3339.
    #[schema(example = "2026-01-05T09:30:00Z")]
    pub last: String,
    /// Seconds that they were together: from the first to the last sighting of each meeting, which is over when
    /// nothing was heard for five minutes. One sighting alone counts 0.
    #[schema(example = 1800)]
    pub seconds: u32,
    /// Number of sightings.
    #[schema(example = 45)]
    pub sightings: u32,
    /// Those of them whose TempID was not valid any more, or not yet: phones of some makes do that, and others may
    /// have sent it again.
    #[schema(example = 0)]
    pub expired: u32,
    /// Strongest signal in dBm, if any was recorded.
    #[schema(example = -58)]
    pub strongest_rssi: Option<i8>,
    /// Mean signal in dBm, rounded, if any was recorded.
    #[schema(example = -67)]
    pub mean_rssi: Option<i8>,
}

/// A person whom a case met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Person {
    /// A user, by the phone number.
    Ours(u64),
    /// A user of another authority.
    Foreign(String, PseudoId),
}

/// The encounters of sightings of our users, by date and then number. Who has withdrawn is left out.
pub fn encounters(sightings: &[Sighting], users: &Users) -> Vec<Encounter> {
    by_date(sightings.iter().filter_map(|sighting| {
        let user = users.get(sighting.user)?;
        Some((Person::Ours(user.number), sighting))
    }))
}

/// The encounters with users of other authorities, by date, authority and PseudoID.
pub fn foreign_encounters(meetings: &ForeignMeetings) -> Vec<Encounter> {
    by_date(meetings.of_users.iter().flat_map(|((hai, pseudo_id), sightings)| {
        let person = Person::Foreign(hai.clone(), *pseudo_id);
        sightings.iter().map(move |sighting| (person.clone(), sighting))
    }))
}

fn by_date<'s>(sightings: impl Iterator<Item = (Person, &'s Sighting)>) -> Vec<Encounter> {
    let mut days: BTreeMap<(Date, Person), Vec<&Sighting>> = BTreeMap::new();
    for (person, sighting) in sightings {
        let date = Date::of_time(sighting.time.into());
        days.entry((date, person)).or_default().push(sighting);
    }
    let of = |((date, person), heard)| encounter(date, person, heard);
    days.into_iter().map(of).collect()
}

fn encounter(date: Date, person: Person, mut heard: Vec<&Sighting>) -> Encounter {
    heard.sort_unstable_by_key(|sighting| sighting.time);
    let times = || heard.iter().map(|sighting| sighting.time);
    let gaps = times().zip(times().skip(1)).map(|(one, next)| next - one);
    let signals: Vec<i64> =
        heard.iter().filter_map(|sighting| sighting.rssi).map(i64::from).collect();
    let mean = signals.iter().sum::<i64>().checked_div(signals.len() as i64);
    let [first, last] = [times().next(), times().next_back()];
    let (number, authority, pseudo_id) = match person {
        Person::Ours(number) => (Some(PhoneNumber::from_digits(number).to_string()), None, None),
        Person::Foreign(hai, pseudo_id) => (None, Some(hai), Some(pseudo_id.to_string())),
    };
    Encounter {
        number,
        authority,
        pseudo_id,
        date,
        first: time::utc(first.unwrap_or_default().into()),
        last: time::utc(last.unwrap_or_default().into()),
        seconds: gaps.filter(|gap| *gap <= PAUSE).sum(),
        sightings: heard.len() as u32,
        expired: heard.iter().filter(|sighting| sighting.expired).count() as u32,
        strongest_rssi: signals.iter().max().map(|rssi| *rssi as i8),
        mean_rssi: mean.map(|rssi| rssi as i8),
    }
}

/// Encounters as CSV (RFC 4180), with a line of names.
pub fn to_csv(encounters: &[Encounter]) -> String {
    let mut csv =
        "number,authority,pseudo_id,date,first,last,seconds,sightings,expired,strongest_rssi,mean_rssi\r\n"
            .to_owned();
    for one in encounters {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let [number, authority, pseudo_id] =
            [&one.number, &one.authority, &one.pseudo_id].map(text);
        let Encounter { date, first, last, seconds, sightings, expired, .. } = one;
        let [strongest, mean] = [one.strongest_rssi, one.mean_rssi]
            .map(|rssi| rssi.map_or(String::new(), |rssi| rssi.to_string()));
        // Writing to a string does not fail.
        let _infallible = write!(
            csv,
            "{number},{authority},{pseudo_id},{date},{first},{last},{seconds},{sightings},{expired},{strongest},{mean}\r\n"
        );
    }
    csv
}

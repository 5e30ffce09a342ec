//! What each protocol should find, computed from the town and the radio alone: from who was near
//! whom, the clocks, the networks and the protocols' specifications. Nothing here knows an
//! identifier.

use std::collections::BTreeSet;

use crate::handset::Spans;
use crate::radio::{Exchange, Reception};
use crate::town::{Person, Town};

/// A TempID is valid for a quarter of an hour.
const WINDOW: u64 = 900;

/// A BlueTrace phone fetches 100 TempIDs, and the next after 12 hours.
const BATCH: u64 = 100;
const REFRESH: u64 = 12 * 3600;

/// In published mode clocks may be apart by so many seconds.
const TOLERANCE: u64 = 60;

/// Contacts are one episode if they are heard within half an hour of each other.
const EPISODE_GAP: u64 = 1800;

/// Times, by the phone's own clock, at which each phone heard patients, without connections. Every
/// phone makes its identifiers itself, with a network or without, and two clocks are never
/// further apart than these protocols tolerate: so all of it should be found.
pub(crate) fn beacons(town: &Town, receptions: &[Reception]) -> Vec<BTreeSet<u64>> {
    let mut times = vec![BTreeSet::new(); town.people.len()];
    for heard in receptions.iter().filter(|heard| town.people[heard.from].is_patient()) {
        times[heard.to].insert(town.people[heard.to].clock(heard.time));
    }
    times
}

/// The same for BlueTrace in published mode: what a phone keeps is found if the window of the
/// TempID is that of the phone's clock, or the next one within a minute. All windows of a
/// patient up to the report are published.
pub(crate) fn published(town: &Town, exchanges: &[Exchange]) -> Vec<BTreeSet<u64>> {
    let mut times = vec![BTreeSet::new(); town.people.len()];
    for (time, from, to) in exchanges.iter().flat_map(packets) {
        let clock = town.people[to].clock(time);
        let windows = (clock - TOLERANCE) / WINDOW..=(clock + TOLERANCE) / WINDOW;
        if town.people[from].is_patient() && windows.contains(&window(town, from, time)) {
            times[to].insert(clock);
        }
    }
    times
}

/// A record of a patient's phone, as a classic authority should judge it.
pub(crate) type Judged = (u64, usize, Option<&'static str>);

/// What an authority should find in a patient's upload: by the time of each record on the
/// patient's clock, whom it heard, and whether the TempID had expired or was not valid yet.
pub(crate) fn classic(town: &Town, exchanges: &[Exchange], patient: usize) -> Vec<Judged> {
    let heard = exchanges.iter().flat_map(packets).filter(|(_, _, to)| *to == patient);
    let mut judged: Vec<Judged> = heard
        .map(|(time, from, _)| {
            let clock = town.people[patient].clock(time);
            let start = window(town, from, time) * WINDOW;
            let is_valid = (start..=start + WINDOW).contains(&clock);
            (clock, from, if is_valid { None } else { Some("expired_id") })
        })
        .collect();
    judged.sort_unstable();
    judged
}

/// Whether a BlueTrace phone broadcasts the TempID of the window that its clock shows.
pub(crate) fn is_current(town: &Town, person: usize, time: u64) -> bool {
    window(town, person, time) == town.people[person].clock(time) / WINDOW
}

/// The packets of a connection: when, of whom, to whom.
fn packets(exchange: &Exchange) -> impl Iterator<Item = (u64, usize, usize)> {
    let Exchange { time, central, peripheral, is_written, .. } = *exchange;
    let written = is_written.then_some((time, central, peripheral));
    [Some((time, peripheral, central)), written].into_iter().flatten()
}

/// The window of the TempID that a BlueTrace phone broadcasts at a time. The app for Android uses
/// the one that is valid by its clock, or the nearest that it has; the app for iOS the first that
/// it fetched.
fn window(town: &Town, person: usize, time: u64) -> u64 {
    let Person { is_ios, .. } = town.people[person];
    let first = last_fetch(town, person, time) / WINDOW;
    let now = town.people[person].clock(time) / WINDOW;
    if is_ios { first } else { now.clamp(first, first + BATCH - 1) }
}

/// When a phone last fetched TempIDs: 12 hours after the time before, by its clock, or once it had
/// a network again.
fn last_fetch(town: &Town, person: usize, time: u64) -> u64 {
    let phone = &town.people[person];
    let mut last = phone.registered;
    loop {
        let mut next = (last + REFRESH).saturating_add_signed(-phone.ahead);
        if let Some(offline) = phone.offline.as_ref().filter(|offline| offline.contains(&next)) {
            next = offline.end;
        }
        if next > time {
            return last;
        }
        last = next;
    }
}

/// The begin and the end of each episode.
pub(crate) fn episodes(times: &BTreeSet<u64>) -> Spans {
    let mut episodes = Spans::new();
    for time in times {
        match episodes.last_mut() {
            Some((_, last)) if time - *last <= EPISODE_GAP => *last = *time,
            _ => episodes.push((*time, *time)),
        }
    }
    episodes
}

/// Whether an identifier that counts for spans of so many seconds is found when it is heard
/// `later` seconds after it was broadcast at `time`.
pub(crate) fn replay_is_found(span: u64, time: u64, later: u64) -> bool {
    time / span == (time + later) / span
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midnight of the first date, which is the begin of a window.
    const START: u64 = 20_500 * 86_400;

    fn town(people: Vec<Person>) -> Town {
        let first = gcs_core::Date::of_time(START);
        Town { first, people, meetings: Vec::new() }
    }

    fn phone(ahead: i64, is_ios: bool) -> Person {
        let (offline, reports, is_mistaken, registered) = (None, None, false, START);
        Person { ahead, offline, reports, is_mistaken, registered, is_ios }
    }

    fn windows(person: Person, hours: &[u64]) -> Vec<u64> {
        let town = town(vec![person]);
        let window = |hour: &u64| window(&town, 0, START + hour * 3600) - START / WINDOW;
        hours.iter().map(window).collect()
    }

    #[test]
    fn a_phone_with_a_network_broadcasts_the_tempid_of_now_on_android() {
        assert_eq!(windows(phone(0, false), &[0, 1, 11, 12, 71]), [0, 4, 44, 48, 284]);
        assert_eq!(windows(phone(0, true), &[0, 1, 11, 12, 23, 71]), [0, 0, 0, 48, 48, 240]);
        // Its clock is ahead or behind.
        assert_eq!(windows(phone(60, false), &[1]), [4]);
        assert_eq!(windows(phone(-60, false), &[1]), [3]);
    }

    #[test]
    fn a_phone_without_a_network_goes_on_until_its_batch_ends() {
        let offline = Some(START + 2 * 3600..START + 40 * 3600);
        let person = Person { offline, ..phone(0, false) };
        assert_eq!(windows(person, &[12, 24, 25, 30, 39, 40]), [48, 96, 99, 99, 99, 160]);
    }

    #[test]
    fn records_are_judged_by_the_clock_of_the_phone_that_has_them() {
        let time = START + 900;
        let patient = |ahead| Person { reports: Some(u64::MAX), ..phone(ahead, false) };
        let exchange = |is_written| {
            let (central, peripheral, rssi) = (1, 0, -60);
            Exchange { time, central, peripheral, rssi, is_written }
        };
        let reason = |ahead, other| {
            let town = town(vec![patient(ahead), phone(other, false)]);
            assert_eq!(classic(&town, &[exchange(false)], 0), []);
            let judged = classic(&town, &[exchange(true)], 0);
            assert_eq!((judged.len(), judged[0].1), (1, 1));
            judged[0].2
        };
        assert_eq!(reason(0, 0), None);
        // Expiry is inclusive, start as well.
        assert_eq!(reason(0, -1), None);
        assert_eq!(reason(1, -1), Some("expired_id"));
        assert_eq!(reason(-1, 0), Some("expired_id"));
    }

    #[test]
    fn in_published_mode_clocks_may_differ_by_a_minute() {
        let found = |ahead, other| {
            let patient = Person { reports: Some(u64::MAX), ..phone(ahead, false) };
            let town = town(vec![patient, phone(other, false)]);
            let (time, rssi) = (START + 900, -60);
            let exchange = Exchange { time, central: 1, peripheral: 0, rssi, is_written: false };
            let times = published(&town, &[exchange]);
            assert!(times[0].is_empty());
            times[1].len()
        };
        assert_eq!([found(0, 0), found(-1, 59), found(-1, 60), found(0, -60)], [1, 1, 0, 1]);
        assert_eq!([found(0, -61), found(-1, -60)], [0, 1]);
    }

    #[test]
    fn episodes_end_after_half_an_hour() {
        let times = [10, 1810, 3611, 3700].into();
        assert_eq!(episodes(&times), [(10, 1810), (3611, 3700)]);
        assert!(replay_is_found(3600, 7200, 1800) && !replay_is_found(900, 7200, 1800));
    }
}

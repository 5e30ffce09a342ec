//! What phones exchange over Bluetooth while they are near each other, whatever the protocol.

use std::collections::BTreeMap;
use std::ops::Range;

use gcs_core::DAY_SECONDS;

use crate::random::Random;
use crate::town::{DAYS, Meeting, Town};

/// An advertisement that was heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reception {
    pub(crate) time: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// A connection of two BlueTrace phones: the central reads the peripheral's packet, then writes
/// its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) time: u64,
    pub(crate) central: usize,
    pub(crate) peripheral: usize,
    /// Signal strength in dBm that the central measured.
    pub(crate) rssi: i8,
    /// Whether the central's packet arrived, or the connection ended before.
    pub(crate) is_written: bool,
}

/// How a phone scans: for how long, and after how long again.
struct Scanning {
    seconds: u64,
    every: Range<u64>,
}

/// Protocols without connections scan for 4 seconds about every three and a half minutes, and
/// advertise all the time.
const BEACONS: Scanning = Scanning { seconds: 4, every: 150..271 };

/// OpenTrace for Android.
const ANDROID: Scanning = Scanning { seconds: 8, every: 36..44 };

/// OpenTrace for iOS.
const IOS: Scanning = Scanning { seconds: 10, every: 60..61 };

/// OpenTrace advertises for 180 seconds, with a gap of 5.
const ADVERTISING: u64 = 180;
const GAP: u64 = 5;

/// Time for which two phones do not connect again, in seconds.
const BLACKLIST: u64 = 100;

/// Of so many advertisements or packets, one is lost.
const LOST: u64 = 10;

/// Everything that is heard in protocols without connections, in ascending order of time.
pub(crate) fn receptions(town: &Town) -> Vec<Reception> {
    let scans: Vec<_> = (0..town.people.len()).map(|to| scans(town, to, &BEACONS)).collect();
    let mut receptions = Vec::new();
    for (number, meeting) in town.meetings.iter().enumerate() {
        let mut random = Random::of("reception", &[number as u64]);
        let [one, other] = meeting.people;
        for (from, to) in [(one, other), (other, one)] {
            for scan in during(&scans[to], meeting) {
                let time = scan + random.below(BEACONS.seconds);
                if meeting.time.contains(&time) && !random.one_in(LOST) {
                    receptions.push(Reception { time, from, to });
                }
            }
        }
    }
    receptions.sort_by_key(|heard| (heard.time, heard.to, heard.from));
    receptions
}

/// Every connection of BlueTrace, in ascending order of time.
pub(crate) fn exchanges(town: &Town) -> Vec<Exchange> {
    let scanning = |person: usize| if town.people[person].is_ios { &IOS } else { &ANDROID };
    let scans: Vec<_> =
        (0..town.people.len()).map(|person| scans(town, person, scanning(person))).collect();
    let mut blacklisted: BTreeMap<[usize; 2], u64> = BTreeMap::new();
    let mut exchanges = Vec::new();
    for (number, meeting) in town.meetings.iter().enumerate() {
        let mut random = Random::of("exchange", &[number as u64]);
        let [one, other] = meeting.people;
        let mut attempts = Vec::new();
        for (central, peripheral) in [(one, other), (other, one)] {
            let seconds = scanning(central).seconds;
            let times = during(&scans[central], meeting).map(|scan| scan + random.below(seconds));
            attempts.extend(times.map(|time| (time, central, peripheral)));
        }
        attempts.sort_unstable();
        let until = blacklisted.entry(meeting.people).or_default();
        for (time, central, peripheral) in attempts {
            let is_free = time >= *until && meeting.time.contains(&time);
            if is_free && advertises(peripheral, time) && !random.one_in(LOST) {
                let rssi = -50 - random.below(40) as i8;
                let is_written = !random.one_in(LOST);
                exchanges.push(Exchange { time, central, peripheral, rssi, is_written });
                *until = time + BLACKLIST;
            }
        }
    }
    exchanges.sort_by_key(|exchange| (exchange.time, exchange.central, exchange.peripheral));
    exchanges
}

/// The times at which a phone begins to scan.
fn scans(town: &Town, person: usize, scanning: &Scanning) -> Vec<u64> {
    let mut random = Random::of("scans", &[person as u64, scanning.seconds]);
    let Range { start, end } = scanning.every;
    let mut time = town.first.start() + random.below(start);
    let last = town.first.start() + DAYS * DAY_SECONDS;
    let mut scans = Vec::new();
    while time < last {
        scans.push(time);
        time += start + random.below(end - start);
    }
    scans
}

/// The scans that may hear something of a meeting.
fn during<'s>(scans: &'s [u64], meeting: &Meeting) -> impl Iterator<Item = u64> + use<'s> {
    let first = scans.partition_point(|scan| *scan + ANDROID.seconds < meeting.time.start);
    let last = scans.partition_point(|scan| *scan < meeting.time.end);
    scans[first..last.max(first)].iter().copied()
}

/// Whether a BlueTrace phone advertises at a time.
fn advertises(person: usize, time: u64) -> bool {
    let phase = Random::of("advertising", &[person as u64]).below(ADVERTISING + GAP);
    (time + phase) % (ADVERTISING + GAP) < ADVERTISING
}

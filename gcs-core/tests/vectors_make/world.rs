//! Two small publishers: one of eleven ticks and three dates, one of a single date with
//! more elements than its check records hold.

use std::collections::BTreeMap;

use gcs_core::files::{KeyList, SignedKeyList};
use gcs_core::files::{Manifest, Path, Row, Table};
use gcs_core::publish::{Day, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, DerivationKey, ElementHasher, SigningKey};

use crate::raw;

/// A key that signs, in both of the shapes that are needed.
pub(crate) struct Signer {
    pub dalek: ed25519_dalek::SigningKey,
    pub ours: SigningKey,
}

/// The signer whose seed is this byte repeated.
pub(crate) fn signer(seed: u8) -> Signer {
    let seed = [seed; 32];
    Signer {
        dalek: ed25519_dalek::SigningKey::from_bytes(&seed),
        ours: SigningKey::from_seed(seed),
    }
}

/// Seeds of the keys.
pub(crate) const ROOT: u8 = 1;
pub(crate) const ONLINE: u8 = 2;

/// The dates of the small world, ascending.
pub(crate) fn dates() -> [Date; 3] {
    ["2026-01-05", "2026-01-06", "2026-01-07"].map(|text| text.parse().unwrap())
}

/// Unix time at which the key list expires.
pub(crate) fn keys_expire() -> u64 {
    dates()[2].end() + 60 * DAY_SECONDS
}

/// What was published.
pub(crate) struct World {
    /// The small world, by tick.
    pub ticks: BTreeMap<u32, Publication>,
    /// The date with more elements than its records hold.
    pub crowd: Publication,
    /// The elements of that date.
    pub crowd_elements: Vec<[u8; 16]>,
    /// An element of the first date at tick 7 that shares its fingerprint with another.
    pub shared: [u8; 16],
    /// Every file but the manifests, by path.
    files: BTreeMap<Path, Vec<u8>>,
}

type Elements = Vec<Day<[u8; 16]>>;

impl World {
    pub(crate) fn run() -> World {
        let (ticks, shared) = small();
        let (crowd, crowd_elements) = crowd();
        let published = ticks.values().chain([&crowd]).flat_map(|tick| &tick.files);
        let files = published.map(|file| (file.path, file.bytes.clone())).collect();
        World { ticks, crowd, crowd_elements, shared, files }
    }

    pub(crate) fn table(&self, tick: u32) -> &Table {
        self.ticks[&tick].publisher.table().unwrap()
    }

    pub(crate) fn manifest(&self, tick: u32) -> &Manifest {
        &self.ticks[&tick].manifest
    }

    pub(crate) fn index(&self, tick: u32) -> &[u8] {
        &self.files[&Path::Index(self.manifest(tick).index.sha256)]
    }

    pub(crate) fn bundle(&self, span: u32, to: u32) -> &[u8] {
        &self.files[&Path::Bundle { span, series: 1, to }]
    }

    pub(crate) fn set(&self, row: &Row) -> &[u8] {
        &self.files[&Path::Set { date: row.date, identity: row.identity }]
    }

    pub(crate) fn checks(&self, row: &Row) -> &[u8] {
        &self.files[&Path::Checks { date: row.date, root: row.check_root }]
    }
}

pub(crate) fn key_list() -> KeyList {
    KeyList { version: 3, expires: keys_expire(), keys: vec![signer(ONLINE).ours.public()] }
}

fn keys() -> Keys {
    let root = signer(ROOT).ours;
    let key_list: SignedKeyList = key_list().sign(&root).unwrap();
    let derivation = DerivationKey::new([3; 32]);
    Keys { root: root.public(), key_list, online: signer(ONLINE).ours, derivation }
}

fn day(date: Date, numbers: impl IntoIterator<Item = u32>) -> Day<[u8; 16]> {
    Day { date, elements: numbers.into_iter().map(raw::element).collect() }
}

/// Unix time of a tick.
pub(crate) fn time_of(tick: u32) -> u64 {
    dates()[2].end() + 7_200 + 900 * u64::from(tick)
}

/// Ticks 4 to 11 of series 1: see the days for what changes.
fn small() -> (BTreeMap<u32, Publication>, [u8; 16]) {
    let policy = PublisherSettings { rate_bits: 4, expected_per_date: 8, interval: 900 };
    let mut publisher = Publisher::new(policy, 1);
    let mut ticks = BTreeMap::new();
    let mut shared = [0; 16];
    for number in 4..=11 {
        let mut days = days_of(number);
        if number == 7 {
            shared = sharing(publisher.table().unwrap(), &days[0]);
            days[0].elements.push(shared);
        }
        let publication = publisher.publish(number, time_of(number), &days, &keys()).unwrap();
        assert!(publication.left_out.is_empty() && publication.waiting.is_empty());
        publisher = publication.publisher.clone();
        ticks.insert(number, publication);
    }
    (ticks, shared)
}

fn days_of(tick: u32) -> Elements {
    let [first, second, third] = dates();
    match tick {
        // The first publication.
        4 => vec![day(first, 0..10)],
        // One element less, two more: a delta.
        5 => vec![day(first, 1..12)],
        // A new date: a whole set.
        6 => vec![day(first, 1..12), day(second, 100..103)],
        // An element of a fingerprint that is there (see `small`): the same set.
        7 => vec![day(first, 1..12), day(second, 100..103)],
        // A date dropped, and a new one without elements.
        8 => vec![day(second, 100..103), day(third, [])],
        // Nothing.
        9 => vec![day(second, 100..103), day(third, [])],
        // A date that outgrows its range, and is based anew.
        10 => vec![day(second, 100..115), day(third, [])],
        // Two dates at once.
        _ => vec![day(second, 101..116), day(third, 200..202)],
    }
}

/// An element that shares its fingerprint with one of the day.
fn sharing(table: &Table, day: &Day<[u8; 16]>) -> [u8; 16] {
    let row = table.row(day.date).unwrap();
    let hasher = ElementHasher::new(row.salt, row.hash_range);
    let wanted = hasher.fingerprint(&day.elements[3]);
    (1_000..).map(raw::element).find(|element| hasher.fingerprint(element) == wanted).unwrap()
}

/// 6000 elements at rate 1: some 4400 fingerprints, three records, more than 256 extra
/// checks in the first two.
fn crowd() -> (Publication, Vec<[u8; 16]>) {
    let policy = PublisherSettings { rate_bits: 0, expected_per_date: 1, interval: 900 };
    let days = [day(dates()[0], 0..6_000)];
    let publication = Publisher::new(policy, 1).publish(1, time_of(1), &days, &keys()).unwrap();
    assert!(!publication.left_out.is_empty());
    let [day] = days;
    (publication, day.elements)
}

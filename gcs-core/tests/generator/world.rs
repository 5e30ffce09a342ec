//! Two small deployments: one of eleven ticks and three dates, one of a single date with
//! more elements than its check records hold.

use std::collections::BTreeMap;

use gcs_core::files::{Manifest, Path, Row, Table};
use gcs_core::publish::{Publication, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, ElementHasher};

use super::raw::element;
use crate::world::{self, Days, keys_of, online_key, root_key};

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

/// A deployment without dates whose next tick is this one.
fn before(tick: u32, settings: PublisherSettings) -> world::World {
    let keys = keys_of(&root_key(), &online_key(), 3, keys_expire());
    let now = dates()[2].end() + 7_200 + 900 * u64::from(tick);
    world::World { keys, tick: tick - 1, now, ..world::World::empty(settings) }
}

/// These dates with the elements of these numbers.
fn days<const N: usize>(days: [(Date, std::ops::Range<u32>); N]) -> Days {
    let elements = |numbers: std::ops::Range<u32>| numbers.map(|number| element(number).into());
    days.into_iter().map(|(date, numbers)| (date, elements(numbers).collect())).collect()
}

/// Ticks 4 to 11 of series 1: see the days for what changes.
fn small() -> (BTreeMap<u32, Publication>, [u8; 16]) {
    let settings = PublisherSettings { rate_bits: 4, expected_per_date: 8, interval: 900 };
    let mut world = before(4, settings);
    let mut ticks = BTreeMap::new();
    let mut shared = [0; 16];
    for number in 4..=11 {
        world.days = days_of(number);
        if number == 7 {
            let row = world.table().row(dates()[0]).unwrap();
            shared = sharing(row, &element(4));
            world.days.entry(row.date).or_default().insert(shared.into());
        }
        let publication = world.publish();
        assert!(publication.left_out.is_empty() && publication.waiting.is_empty());
        ticks.insert(number, publication);
    }
    (ticks, shared)
}

fn days_of(tick: u32) -> Days {
    let [first, second, third] = dates();
    match tick {
        // The first publication.
        4 => days([(first, 0..10)]),
        // One element less, two more: a delta.
        5 => days([(first, 1..12)]),
        // A new date: a whole set. Then an element of a fingerprint that is there (see `small`).
        6 | 7 => days([(first, 1..12), (second, 100..103)]),
        // A date dropped, and a new one without elements; then nothing.
        8 | 9 => days([(second, 100..103), (third, 0..0)]),
        // A date that outgrows its range, and is based anew.
        10 => days([(second, 100..115), (third, 0..0)]),
        // Two dates at once.
        _ => days([(second, 101..116), (third, 200..202)]),
    }
}

/// Another element with the fingerprint that this one has in the row's set.
fn sharing(row: &Row, one: &[u8]) -> [u8; 16] {
    let hasher = ElementHasher::new(row.salt, row.hash_range);
    let wanted = hasher.fingerprint(one);
    (1_000..).map(element).find(|element| hasher.fingerprint(element) == wanted).unwrap()
}

/// 6000 elements at rate 1: some 4400 fingerprints, three records, more than 256 extra
/// checks in the first two.
fn crowd() -> (Publication, Vec<[u8; 16]>) {
    let settings = PublisherSettings { rate_bits: 0, expected_per_date: 1, interval: 900 };
    let mut world = before(1, settings);
    world.days = days([(dates()[0], 0..6_000)]);
    let publication = world.publish();
    assert!(!publication.left_out.is_empty());
    (publication, (0..6_000).map(element).collect())
}

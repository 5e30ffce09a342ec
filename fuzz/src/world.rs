//! A small deployment, published once, always the same bytes: what files, envelopes and
//! clients are checked against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use gcs_core::Version;
use gcs_core::files::KeyList;
use gcs_core::files::{Manifest, Path, Row, Table};
use gcs_core::publish::{Day, File, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, DerivationKey, Digest, PublicKey, Set, SigningKey};

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;

/// First tick, chosen so that bundles of spans 1, 4 and 24 exist.
const FIRST: u32 = 24;

/// Last tick of the first series, and of the second but for one more, two days later.
const SERIES: u32 = 49;
const LAST: u32 = 53;

const ROOT_SEED: [u8; 32] = [1; 32];

/// Seed of the online key; whoever has it can sign any manifest.
pub(crate) const ONLINE_SEED: [u8; 32] = [2; 32];

/// The files that are out there after a tick, by path.
pub(crate) type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// One publication.
pub(crate) struct Tick {
    pub version: Version,
    /// Unix time at which it was issued.
    pub issued: u64,
    pub table: Table,
    pub manifest: Manifest,
    pub files: Files,
}

impl Tick {
    /// Path of its index.
    pub(crate) fn index(&self) -> Path {
        Path::Index(self.manifest.index.sha256)
    }
}

/// All publications.
pub(crate) struct World {
    pub ticks: Vec<Tick>,
    /// Every set that was ever published, by identity.
    pub sets: BTreeMap<Digest, Set>,
    /// Every element that was ever published, with its date.
    pub elements: BTreeSet<(Date, Vec<u8>)>,
}

/// One date of three check records, the last of them not full.
pub(crate) struct Records {
    pub row: Row,
    pub set: Set,
    pub elements: Vec<Vec<u8>>,
    pub file: Vec<u8>,
}

pub(crate) fn root() -> PublicKey {
    SigningKey::from_seed(ROOT_SEED).public()
}

/// Version of the key list.
pub(crate) const KEYS_VERSION: u32 = 7;

/// The keys of all publications.
pub(crate) fn keys() -> Keys {
    let root = SigningKey::from_seed(ROOT_SEED);
    let online = SigningKey::from_seed(ONLINE_SEED);
    let expires = START + 400 * DAY_SECONDS;
    let list = KeyList { version: KEYS_VERSION, expires, keys: vec![online.public()] };
    Keys {
        root: root.public(),
        key_list: list.sign(&root).expect("one key"),
        online,
        derivation: DerivationKey::new([3; 32]),
    }
}

/// The n-th element.
pub(crate) fn element(number: u64) -> Vec<u8> {
    Digest::of(&number.to_le_bytes()).0[..16].to_vec()
}

/// The n-th date.
pub(crate) fn date(number: u64) -> Date {
    Date::of_time(START + number * DAY_SECONDS)
}

impl World {
    /// The one world, published at the first call.
    pub(crate) fn get() -> &'static World {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(World::publish)
    }

    /// The last tick at which clients meet mischief; two days before the very last.
    pub(crate) fn last_hostile(&self) -> usize {
        self.ticks.len() - 2
    }

    /// The last tick of all.
    pub(crate) fn last(&self) -> &Tick {
        &self.ticks[self.ticks.len() - 1]
    }

    /// The tick that has this state.
    pub(crate) fn with_state(&self, state: Digest) -> Option<&Tick> {
        self.ticks.iter().find(|tick| tick.manifest.state == state)
    }

    /// The tick of this version.
    pub(crate) fn with_version(&self, version: Version) -> Option<&Tick> {
        self.ticks.iter().find(|tick| tick.version == version)
    }

    /// The sets of a table, by identity.
    pub(crate) fn sets_of(&self, table: &Table) -> BTreeMap<Digest, &Set> {
        let identities = table.rows().iter().map(|row| row.identity);
        identities.filter_map(|identity| Some((identity, self.sets.get(&identity)?))).collect()
    }

    fn publish() -> World {
        // Few bits and a small plan: collisions and re-based dates are frequent.
        let policy = PublisherSettings { rate_bits: 3, expected_per_date: 10, interval: 900 };
        let mut world =
            World { ticks: Vec::new(), sets: BTreeMap::new(), elements: BTreeSet::new() };
        let mut publisher = Publisher::new(policy, 1);
        let mut files = Files::new();
        let mut days: BTreeMap<Date, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for number in 0..5 {
            days.insert(date(number), (0..12).map(|at| element(number * 1000 + at)).collect());
        }
        days.insert(date(1), BTreeSet::new());
        let mut now = START + 3 * DAY_SECONDS + 3 * 3600;
        for number in FIRST..=LAST + 1 {
            if number == SERIES + 1 {
                publisher = publisher.next_series();
            }
            if number == LAST + 1 {
                now += 2 * DAY_SECONDS;
            }
            change(&mut days, u64::from(number));
            for (date, elements) in &days {
                world.elements.extend(elements.iter().map(|element| (*date, element.clone())));
            }
            let publication = publish_days(&publisher, number, now, &days);
            for File { path, bytes } in publication.files {
                if let Path::Set { identity, .. } = path {
                    let set = Set::parse(bytes.clone()).expect("a published set is a set");
                    world.sets.insert(identity, set);
                }
                files.insert(path.to_string(), Arc::new(bytes));
            }
            for path in publication.delete {
                files.remove(&path.to_string());
            }
            publisher = publication.publisher;
            let table = publisher.table().expect("published").clone();
            let version = Version { series: publisher.series(), tick: number };
            let (manifest, files) = (publication.manifest, files.clone());
            world.ticks.push(Tick { version, issued: now, table, manifest, files });
            now += 900;
        }
        world
    }
}

/// What changes before a tick; at every fifth nothing does.
fn change(days: &mut BTreeMap<Date, BTreeSet<Vec<u8>>>, number: u64) {
    if number == 40 {
        days.remove(&date(0));
    }
    for at in (0..number % 5).filter(|_| number > u64::from(FIRST)) {
        let in_date = (number * 7 + at) % 5;
        let Some(day) = days.get_mut(&date(in_date)) else { continue };
        if at == 1 {
            day.pop_first();
        } else {
            day.insert(element(in_date * 1000 + 100 + number * 5 + at));
        }
    }
}

/// A publication of these elements.
pub(crate) fn publish_days(
    publisher: &Publisher,
    number: u32,
    now: u64,
    days: &BTreeMap<Date, BTreeSet<Vec<u8>>>,
) -> Publication {
    let day = |(date, elements): (&Date, &BTreeSet<Vec<u8>>)| Day {
        date: *date,
        elements: elements.iter().cloned().collect(),
    };
    let days: Vec<Day<Vec<u8>>> = days.iter().map(day).collect();
    publisher.publish(number, now, &days, &keys()).expect("a legal publication")
}

impl Records {
    /// The one date, published at the first call.
    pub(crate) fn get() -> &'static Records {
        static RECORDS: OnceLock<Records> = OnceLock::new();
        RECORDS.get_or_init(Records::publish)
    }

    /// The bytes of a record.
    pub(crate) fn record(&self, number: u32) -> Option<&[u8]> {
        self.file.chunks_exact(self.row.record_len() as usize).nth(number as usize)
    }

    fn publish() -> Records {
        let publisher =
            Publisher::new(PublisherSettings { rate_bits: 10, ..PublisherSettings::default() }, 1);
        let elements: Vec<Vec<u8>> = (0..5000).map(element).collect();
        let days = BTreeMap::from([(date(0), elements.iter().cloned().collect())]);
        let publication = publish_days(&publisher, 1, START + 2 * DAY_SECONDS, &days);
        let table = publication.publisher.table().expect("published");
        let row = *table.row(date(0)).expect("due");
        let bytes = |wanted: Path| {
            let file = publication.files.iter().find(|file| file.path == wanted);
            file.expect("published").bytes.clone()
        };
        let set = bytes(Path::Set { date: row.date, identity: row.identity });
        let set = Set::parse(set).expect("a published set is a set");
        let file = bytes(Path::Checks { date: row.date, root: row.check_root });
        Records { row, set, elements, file }
    }
}

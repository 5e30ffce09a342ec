//! A publisher, what it has put out, and phones with folders in memory.
//!
//! Every test that needs a small deployment begins with this one: those of gcs-core and of the server,
//! the golden vectors, the fuzz targets.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod phone;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use gcs_core::Version;
use gcs_core::files::{KeyList, Table};
use gcs_core::publish::{Day, Keys, Publication, PublishError, Publisher, PublisherSettings};
use gcs_core::sync::Answer;
use gcs_core::{DAY_SECONDS, Date, DerivationKey, Digest, SigningKey};

pub use phone::{Client, Intercepted, hasty, serve};

/// Files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The elements of each date.
pub type Days = BTreeMap<Date, BTreeSet<Vec<u8>>>;

/// 2026-01-01T00:00:00Z, where every world begins.
pub const START: u64 = 1_767_225_600;

/// Seed of the root key.
pub const ROOT_SEED: [u8; 32] = [1; 32];

/// Seed of the online key; whoever has it can sign any manifest.
pub const ONLINE_SEED: [u8; 32] = [2; 32];

pub fn root_key() -> SigningKey {
    SigningKey::from_seed(ROOT_SEED)
}

pub fn online_key() -> SigningKey {
    SigningKey::from_seed(ONLINE_SEED)
}

pub fn keys() -> Keys {
    keys_of(&root_key(), &online_key(), 1, START + 400 * DAY_SECONDS)
}

/// Keys with a list of this version that expires at this time.
pub fn keys_of(root: &SigningKey, online: &SigningKey, version: u32, expires: u64) -> Keys {
    let list = KeyList { version, expires, keys: vec![online.public()] };
    Keys {
        root: root.public(),
        key_list: list.sign(root).unwrap(),
        online: online.clone(),
        derivation: DerivationKey::new([3; 32]),
    }
}

/// The n-th element: 16 distinct bytes.
pub fn element(number: u64) -> Vec<u8> {
    Digest::of(&number.to_le_bytes()).0[..16].to_vec()
}

/// The n-th date of the world.
pub fn date(number: u64) -> Date {
    Date::of_time(START + number * DAY_SECONDS)
}

/// Few bits and a small plan: collisions and re-based dates are frequent.
pub fn crowded() -> PublisherSettings {
    PublisherSettings { rate_bits: 3, expected_per_date: 10, interval: 900 }
}

/// A publishing backend, and the files that are out there.
#[derive(Clone)]
pub struct World {
    pub keys: Keys,
    pub publisher: Publisher,
    pub files: Files,
    pub days: Days,
    /// The last tick.
    pub tick: u32,
    /// When the next one comes.
    pub now: u64,
    /// All tables that were ever published.
    pub history: BTreeMap<Version, Table>,
}

impl World {
    /// A world without dates, before its first tick.
    pub fn empty(settings: PublisherSettings) -> World {
        World {
            keys: keys(),
            publisher: Publisher::new(settings, 1),
            files: Files::new(),
            days: Days::new(),
            tick: 0,
            now: START + 3 * DAY_SECONDS + 3 * 3600,
            history: BTreeMap::new(),
        }
    }

    /// A world of three dates that are over, with a few elements each.
    pub fn new(settings: PublisherSettings) -> World {
        let mut world = World::empty(settings);
        for number in 0..3 {
            for at in 0..20 {
                world.add(number, number * 1000 + at);
            }
        }
        world
    }

    pub fn add(&mut self, date_number: u64, element_number: u64) {
        self.days.entry(date(date_number)).or_default().insert(element(element_number));
    }

    pub fn remove(&mut self, date_number: u64, element_number: u64) {
        if let Some(day) = self.days.get_mut(&date(date_number)) {
            day.remove(&element(element_number));
        }
    }

    pub fn days(&self) -> Vec<Day<Vec<u8>>> {
        let day = |(date, elements): (&Date, &BTreeSet<Vec<u8>>)| Day {
            date: *date,
            elements: elements.iter().cloned().collect(),
        };
        self.days.iter().map(day).collect()
    }

    pub fn try_publish(&self) -> Result<Publication, PublishError> {
        let (number, now, days) = (self.tick + 1, self.now, self.days());
        // The first tick of a series may have any number.
        if self.publisher.last_tick().unwrap_or(0) == self.tick {
            return self.publisher.publish_next(now, &days, &self.keys);
        }
        self.publisher.publish(number, now, &days, &self.keys)
    }

    /// Publishes the next tick, and lets the time pass until the one after it.
    pub fn publish(&mut self) -> Publication {
        let publication = self.try_publish().unwrap();
        for file in &publication.files {
            self.files.insert(file.path.to_string(), file.bytes.clone());
        }
        for path in &publication.delete {
            assert!(self.files.remove(&path.to_string()).is_some(), "{path} was there");
        }
        self.publisher = publication.publisher.clone();
        self.tick += 1;
        self.now = publication.manifest.next;
        self.history.insert(self.version(), self.table().clone());
        publication
    }

    /// What was published last.
    pub fn version(&self) -> Version {
        Version { series: self.publisher.series(), tick: self.tick }
    }

    pub fn table(&self) -> &Table {
        self.publisher.table().unwrap()
    }

    pub fn serve(&self, path: &str, part: Option<Range<u64>>) -> Answer {
        serve(&self.files, path, part)
    }
}

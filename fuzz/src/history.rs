//! A small deployment, published once and always with the same bytes, with which files,
//! envelopes and clients are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use gcs_core::files::{Manifest, Path, Row, Table};
use gcs_core::publish::{Keys, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, Digest, PublicKey, Set, Version};

use crate::naive;
use crate::world::{
    Days, Files, START, World, crowded, date, element, keys_of, online_key, root_key,
};

/// First tick, chosen so that bundles of spans 1, 4 and 24 exist.
const FIRST: u32 = 24;

/// Last tick of the first series.
const SERIES: u32 = 49;

/// Last tick before the very last one, which follows two days later.
const LAST: u32 = 53;

/// Version of the key list.
pub(crate) const KEYS_VERSION: u32 = 7;

/// One publication.
pub(crate) struct Tick {
    pub version: Version,
    /// Unix time at which it was issued.
    pub issued: u64,
    pub table: Table,
    pub manifest: Manifest,
    /// The files that are served after it.
    pub files: Files,
}

impl Tick {
    /// Path of its index.
    pub(crate) fn index(&self) -> Path {
        Path::Index(self.manifest.index.sha256)
    }
}

/// All publications.
pub(crate) struct History {
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
    root_key().public()
}

/// The keys of all publications.
pub(crate) fn keys() -> Keys {
    keys_of(&root_key(), &online_key(), KEYS_VERSION, START + 400 * DAY_SECONDS)
}

/// A deployment whose next tick is this one, at this time.
pub(crate) fn before(publisher: Publisher, number: u32, now: u64, days: Days) -> World {
    let empty = World::empty(crowded());
    World { publisher, keys: keys(), tick: number - 1, now, days, ..empty }
}

impl History {
    /// The one history, published at the first call.
    pub(crate) fn get() -> &'static History {
        static HISTORY: OnceLock<History> = OnceLock::new();
        HISTORY.get_or_init(History::publish)
    }

    /// The last tick at which clients meet faults, two days before the last tick of all.
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

    /// The table and the sets of a tick, as the naive reader has them.
    pub(crate) fn naive_state(&self, tick: &Tick) -> naive::bundle::State {
        let table = naive::table::Table::parse(&tick.table.to_bytes()).expect("published");
        let set = |row: &naive::table::Row| {
            let set = &self.sets[&Digest(row.identity)];
            (row.identity, naive::set::Set::parse(set.as_bytes()).expect("published"))
        };
        let sets = table.rows.iter().map(set).collect();
        naive::bundle::State { table, sets }
    }

    fn publish() -> History {
        let mut history =
            History { ticks: Vec::new(), sets: BTreeMap::new(), elements: BTreeSet::new() };
        let mut days = Days::new();
        for number in 0..5 {
            days.insert(date(number), (0..12).map(|at| element(number * 1000 + at)).collect());
        }
        days.insert(date(1), BTreeSet::new());
        let begin = START + 3 * DAY_SECONDS + 3 * 3600;
        let mut world = before(Publisher::new(crowded(), 1), FIRST, begin, days);
        for number in FIRST..=LAST + 1 {
            if number == SERIES + 1 {
                world.publisher = world.publisher.next_series();
            }
            if number == LAST + 1 {
                world.now += 2 * DAY_SECONDS;
            }
            change(&mut world.days, u64::from(number));
            for (date, elements) in &world.days {
                history.elements.extend(elements.iter().map(|element| (*date, element.clone())));
            }
            let issued = world.now;
            let publication = world.publish();
            for file in &publication.files {
                if let Path::Set { identity, .. } = file.path {
                    let set = Set::parse(file.bytes.clone()).expect("a published set is a set");
                    history.sets.insert(identity, set);
                }
            }
            history.ticks.push(Tick {
                version: world.version(),
                issued,
                table: world.table().clone(),
                manifest: publication.manifest,
                files: world.files.clone(),
            });
        }
        history
    }
}

/// The changes before a tick; every fifth tick has none.
fn change(days: &mut Days, number: u64) {
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

impl Records {
    /// The one date, published at the first call.
    pub(crate) fn get() -> &'static Records {
        static RECORDS: OnceLock<Records> = OnceLock::new();
        RECORDS.get_or_init(Records::publish)
    }

    /// The bytes of a record.
    pub(crate) fn record(&self, number: u32) -> Option<&[u8]> {
        self.file.chunks_exact(self.row.record_shape.record_len() as usize).nth(number as usize)
    }

    /// The row as the naive reader has it.
    pub(crate) fn naive_row(&self) -> naive::table::Row {
        let row = &self.row;
        naive::table::Row {
            date: row.date.days(),
            count: row.len,
            salt: row.salt.0,
            range: row.hash_range.get(),
            length: row.bytes,
            identity: row.identity.0,
            check_root: row.check_root.0,
            ranks: row.record_shape.ranks,
            spares: row.record_shape.spare_slots,
        }
    }

    fn publish() -> Records {
        let settings = PublisherSettings { rate_bits: 10, ..PublisherSettings::default() };
        let elements: Vec<Vec<u8>> = (0..5000).map(element).collect();
        let days = Days::from([(date(0), elements.iter().cloned().collect())]);
        let mut world = before(Publisher::new(settings, 1), 1, START + 2 * DAY_SECONDS, days);
        world.publish();
        let row = *world.table().row(date(0)).expect("due");
        let bytes = |path: Path| world.files[&path.to_string()].clone();
        let set = bytes(Path::Set { date: row.date, identity: row.identity });
        let set = Set::parse(set).expect("a published set is a set");
        let file = bytes(Path::Checks { date: row.date, root: row.check_root });
        Records { row, set, elements, file }
    }
}

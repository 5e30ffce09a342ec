//! A publisher, what it has put out, and clients with folders in memory.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::Version;
use gcs_core::files::KeyList;
use gcs_core::files::Table;
use gcs_core::publish::PublishError;
use gcs_core::publish::{Day, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::sync::{Answer, ClientSettings, Heard, Outcome, Session, Step, Wake};
use gcs_core::{DAY_SECONDS, Date, DerivationKey, Digest, SigningKey};

pub type Files = BTreeMap<String, Vec<u8>>;

/// 2026-01-01T00:00:00Z, where every world begins.
pub const START: u64 = 1_767_225_600;

pub fn root_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

pub fn online_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

pub fn keys() -> Keys {
    keys_of(&root_key(), &online_key(), 1, START + 400 * DAY_SECONDS)
}

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

/// A publishing backend, and the files that are out there.
#[derive(Clone)]
pub struct World {
    pub keys: Keys,
    pub publisher: Publisher,
    pub files: Files,
    pub days: BTreeMap<Date, BTreeSet<Vec<u8>>>,
    pub tick: u32,
    pub now: u64,
    /// All tables that were ever published.
    pub history: BTreeMap<Version, Table>,
}

impl World {
    /// A world of three dates that are over, with a few elements each.
    pub fn new(policy: PublisherSettings) -> World {
        let mut world = World {
            keys: keys(),
            publisher: Publisher::new(policy, 1),
            files: Files::new(),
            days: BTreeMap::new(),
            tick: 0,
            now: START + 3 * DAY_SECONDS + 3 * 3600,
            history: BTreeMap::new(),
        };
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
        self.publisher.publish(number, now, &days, &self.keys)
    }

    /// Publishes the next tick, and lets a quarter of an hour pass.
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
        self.now += 900;
        let version = Version { series: publication.manifest.series, tick: self.tick };
        self.history.insert(version, self.table().clone());
        publication
    }

    pub fn table(&self) -> &Table {
        self.publisher.table().unwrap()
    }

    pub fn serve(&self, path: &str, range: Option<(u64, u64)>) -> Answer {
        serve(&self.files, path, range)
    }
}

/// What a static file server answers.
pub fn serve(files: &Files, path: &str, range: Option<(u64, u64)>) -> Answer {
    let Some(bytes) = files.get(path) else { return Answer::Missing };
    let part = match range {
        None => Some(&bytes[..]),
        Some((from, length)) => bytes.get(from as usize..(from + length) as usize),
    };
    part.map_or(Answer::Missing, |part| Answer::Bytes(part.to_vec()))
}

/// A phone.
#[derive(Clone)]
pub struct Client {
    pub settings: ClientSettings,
    pub folder: Files,
    pub heard: Vec<Heard>,
    pub wakes: u8,
    /// Paths fetched in the last wake.
    pub fetched: Vec<String>,
    /// Bytes fetched in the last wake.
    pub bytes: u64,
}

impl Client {
    pub fn new() -> Client {
        Client {
            settings: ClientSettings::new(root_key().public()),
            folder: Files::new(),
            heard: Vec::new(),
            wakes: 0,
            fetched: Vec::new(),
            bytes: 0,
        }
    }

    pub fn hear(&mut self, time: u64, element_number: u64) {
        self.heard.push(Heard { time, element: element(element_number) });
    }

    pub fn session(&mut self, now: u64) -> Session {
        self.wakes += 1;
        self.fetched.clear();
        self.bytes = 0;
        let wake = Wake { now, entropy: [self.wakes; 32], heard: self.heard.clone() };
        Session::new(&self.settings, wake)
    }

    /// Answers one step from the folder or from `server`.
    pub fn answer(
        &mut self,
        step: Step,
        server: &mut impl FnMut(&str, Option<(u64, u64)>) -> Answer,
    ) -> Result<Answer, Box<Outcome>> {
        Ok(match step {
            Step::Fetch { path, byte_range, limit } => {
                let range = byte_range.map(|part| (part.start, part.end - part.start));
                let mut answer = server(&path, range);
                if let Answer::Bytes(bytes) = &mut answer {
                    bytes.truncate(limit as usize + 1);
                    self.bytes += bytes.len() as u64;
                }
                self.fetched.push(path);
                answer
            }
            Step::Get { name } => {
                self.folder.get(&name).cloned().map_or(Answer::Missing, Answer::Bytes)
            }
            Step::Put { name, bytes } => {
                assert!(name != "state" || bytes.len() <= 4096);
                self.folder.insert(name, bytes);
                Answer::Done
            }
            Step::Delete { name } => {
                self.folder.remove(&name);
                Answer::Done
            }
            Step::Done(outcome) => return Err(outcome),
        })
    }

    /// One wake with any server.
    pub fn wake_with(
        &mut self,
        now: u64,
        mut server: impl FnMut(&str, Option<(u64, u64)>) -> Answer,
    ) -> Outcome {
        let mut session = self.session(now);
        let mut answer = Answer::Start;
        loop {
            match self.answer(session.resume(answer), &mut server) {
                Ok(next) => answer = next,
                Err(outcome) => return *outcome,
            }
        }
    }

    /// One wake with an honest server.
    pub fn wake(&mut self, world: &World, now: u64) -> Outcome {
        self.wake_with(now, |path, range| world.serve(path, range))
    }

    /// A wake that is cut off after `steps` steps. Whether it ended before that.
    pub fn wake_cut_off(&mut self, world: &World, now: u64, steps: usize) -> bool {
        let mut session = self.session(now);
        let mut answer = Answer::Start;
        for _ in 0..steps {
            let mut server = |path: &str, range| world.serve(path, range);
            match self.answer(session.resume(answer), &mut server) {
                Ok(next) => answer = next,
                Err(_) => return true,
            }
        }
        false
    }

    /// State of the table in the folder, and whether every set of it is there, and
    /// nothing besides.
    pub fn assert_clean(&self, expected: &Table) {
        let mut names: BTreeSet<String> =
            expected.rows().iter().map(|row| format!("set-{}", row.identity)).collect();
        names.insert(format!("table-{}", expected.state()));
        names.insert("state".into());
        let found: BTreeSet<String> =
            self.folder.keys().filter(|name| *name != "queue").cloned().collect();
        assert_eq!(found, names);
    }
}

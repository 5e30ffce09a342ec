//! What the server's tests share: a log, its keys, a clock, and the state that goes with them, here;
//! a data folder and the servers on it, over HTTP or not, in this process or one of their own, below.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses a part of it")]

pub mod api;
pub mod home;
pub mod process;
pub mod server;
pub mod shelf;
#[path = "../../../gcs-core/tests/world/mod.rs"]
pub mod world;

use std::sync::Arc;

use gcs_core::publish::Day;
use gcs_core::{DAY_SECONDS, Digest};
use gcs_server::domain::code::Code;
use gcs_server::domain::item::{Element, Item};
use gcs_server::domain::judge;
use gcs_server::domain::judge::{Judgement, ReportAnswer, Submission};
use gcs_server::domain::keys::KeyFile;
use gcs_server::domain::log::event::{Deployment, OperatorTokenSet, PolicySet};
use gcs_server::domain::log::{Event, Writer};
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::domain::state::{State, Version};
use gcs_server::node::replay;
use gcs_server::store::{Batch, MemoryStore, Store};

pub use world::{START, date};

pub const HOUR: u64 = 3600;

/// Every batch of a log.
pub const ALL: usize = usize::MAX;

/// The n-th element: 16 bytes, so that no filler can be taken for it.
pub fn element(number: u64) -> Element {
    Element::from_slice(&world::element(number))
}

pub fn raw(date_number: u64, element_number: u64) -> Item {
    Item::Raw { date: date(date_number), element: element(element_number) }
}

/// Small, open, and without any waiting.
pub fn policy() -> Policy {
    Policy { raw: true, min_reports: 1, expected_per_date: 16, rate_bits: 8, ..Policy::default() }
}

/// What an app would send.
pub fn submission(code: Code, items: &[Item]) -> Submission {
    let payload = Digest::of(format!("{items:?}").as_bytes()).0;
    Submission { code, items: items.iter().cloned().map(Ok).collect(), payload }
}

/// The first events of a log.
pub fn begin(keys: &KeyFile, policy: &Policy, now: u64) -> Vec<Event> {
    let deployment =
        Deployment { id: [7; 16], root: keys.root().0, master_check: keys.master_check() };
    vec![
        deployment.into(),
        PolicySet { policy: policy.clone() }.into(),
        judge::set_key_list(keys, now).unwrap(),
        OperatorTokenSet { token: [8; 32] }.into(),
    ]
}

/// Seals events as the batch that follows `state`.
pub fn seal(position: u64, head: [u8; 32], events: &[Event], now: u64) -> Batch {
    let mut writer = Writer { position, head };
    let events = events.iter().map(|event| writer.seal(event, now).unwrap().1).collect();
    Batch { first: position + 1, id: gcs_server::random::bytes().unwrap(), events }
}

/// Everything in a store, from its first event.
pub fn fold(store: &mut dyn Store, keys: &KeyFile) -> State {
    replay(store, Some(keys), |_, _| Ok(())).unwrap().state
}

/// Judges, appends and applies, one act after the other, in memory.
pub struct Ledger {
    pub keys: Arc<KeyFile>,
    pub store: MemoryStore,
    pub state: State,
    pub now: u64,
}

impl Ledger {
    /// A deployment with one provider, number 1, at noon of the fourth date.
    pub fn new(policy: &Policy) -> Ledger {
        let keys = Arc::new(KeyFile::draw().unwrap());
        let state = State::new(keys.filler());
        let now = START + 3 * DAY_SECONDS + 12 * HOUR;
        let mut ledger = Ledger { keys, store: MemoryStore::new(), state, now };
        ledger.append(&begin(&ledger.keys, policy, now));
        ledger.act(|state, _, _| judge::add_provider(state, "a clinic")).unwrap();
        ledger
    }

    /// The same with a range of so many codes, from serial number 0.
    pub fn with_codes(policy: &Policy, count: u32) -> Ledger {
        let mut ledger = Ledger::new(policy);
        ledger.open(count, 365);
        ledger
    }

    pub fn append(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut writer = Writer { position: self.state.position, head: self.state.head };
        let mut stored = Vec::new();
        for event in events {
            let (record, sealed) = writer.seal(event, self.now).unwrap();
            self.state.apply(&record).unwrap();
            stored.push(sealed);
        }
        let first = writer.position + 1 - stored.len() as u64;
        let id = gcs_server::random::bytes().unwrap();
        self.store.append(&Batch { first, id, events: stored }).unwrap();
    }

    pub fn act<T>(
        &mut self,
        judge: impl FnOnce(&State, &KeyFile, u64) -> Judgement<T>,
    ) -> Result<T, Problem> {
        let decision = judge(&self.state, &self.keys, self.now)?;
        self.append(&decision.events);
        Ok(decision.answer)
    }

    pub fn open(&mut self, count: u32, days: u32) -> u32 {
        self.act(|state, _, now| judge::open_range(state, now, 1, count, days)).unwrap().first
    }

    /// A code of provider 1 under its first key.
    pub fn code(&self, serial: u32) -> Code {
        self.code_of(1, 1, serial)
    }

    pub fn code_of(&self, provider: u16, generation: u32, serial: u32) -> Code {
        Code::issue(&self.keys.provider(provider, generation), provider, serial).unwrap()
    }

    pub fn submit(&mut self, submission: &Submission) -> Result<ReportAnswer, Problem> {
        self.act(|state, keys, now| judge::report(state, keys, now, submission))
    }

    /// A report by a code of provider 1; its position in the log.
    pub fn report(&mut self, serial: u32, items: &[Item]) -> u64 {
        self.submit(&submission(self.code(serial), items)).unwrap();
        self.state.position
    }

    pub fn tick(&mut self) -> Version {
        self.act(judge::tick).unwrap()
    }

    /// Ticks a quarter of an hour apart, until so much time has passed.
    pub fn live(&mut self, seconds: u64) {
        for _ in 0..seconds / 900 {
            self.now += 900;
            self.tick();
        }
    }

    /// What the purge of now erases, if it is not cut off.
    pub fn purge(&mut self, erase: bool) -> Vec<u64> {
        let purged = self.act(|state, _, _| judge::purge(state)).unwrap();
        if erase {
            self.store.erase(&purged).unwrap();
        }
        purged
    }

    /// The state as the log tells it.
    pub fn folded(&self) -> State {
        fold(&mut self.store.clone(), &self.keys)
    }

    /// What is published for a date, in order; `None` if the date is not.
    pub fn published(&self, date_number: u64) -> Option<Vec<Element>> {
        let day = |day: &Day<Element>| day.date == date(date_number);
        let mut elements = self.state.published().into_iter().find(day)?.elements;
        elements.sort();
        Some(elements)
    }

    pub fn batches(&self) -> Vec<Batch> {
        self.store.clone().read(1, ALL).unwrap()
    }
}

/// The elements of these numbers, in order.
pub fn elements(numbers: &[u64]) -> Vec<Element> {
    let mut elements: Vec<Element> = numbers.iter().map(|number| element(*number)).collect();
    elements.sort();
    elements
}

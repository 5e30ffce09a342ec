//! What the server's tests share: a log, its keys, a clock, and the state that goes with them, here;
//! a data folder and the servers on it, over HTTP or not, in this process or one of their own, below.

pub mod api;
#[cfg(unix)]
pub mod authority;
pub mod foreign;
pub mod home;
#[allow(dead_code, reason = "the tests of faults use the rest")]
pub mod postgres;
pub mod process;
pub mod s3;
pub mod s3_proxy;
pub mod server;
pub mod shelf;
#[path = "../../../../gcs-core/tests/small_disk/mod.rs"]
pub mod small_disk;
pub mod untested;
#[allow(dead_code, reason = "the tests of faults use a part of it")]
pub mod wait;
pub mod wal;
#[path = "../../../../gcs-core/tests/world/mod.rs"]
pub mod world;

use std::sync::Arc;

use gcs_core::DAY_SECONDS;
use gcs_core::Element;
use gcs_core::Version;
use gcs_core::report::Code;
use gcs_core::report::{Item, Kinds};
use gcs_core::report::{ReceivedReport, ReportAnswer};
use gcs_server::domain::chain::{Chain, EventHeader};
use gcs_server::domain::events::Event;
use gcs_server::domain::events::{Deployment, OperatorTokenSet, PolicySet};
use gcs_server::domain::judge;
use gcs_server::domain::judge::{Judgement, RequestContext};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::domain::state::State;
use gcs_server::node::{SealedBatch, replay};
use gcs_server::random::Random;
use gcs_server::store::{Batch, MemoryStore, Store, StoredEvent};

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
    let kinds = Kinds::ALL;
    Policy { kinds, min_reports: 1, expected_per_date: 16, rate_bits: 8, ..Policy::default() }
}

/// What an app would send.
pub fn submission(code: Code, items: &[Item]) -> ReceivedReport {
    ReceivedReport::new(code, items.iter().cloned().map(Ok).collect())
}

/// The first events of a log.
pub fn begin(keys: &DeploymentKeys, policy: &Policy, now: u64) -> Vec<Event> {
    let deployment =
        Deployment { id: [7; 16], root: keys.root().0, master_check: keys.master_check() };
    vec![
        deployment.into(),
        PolicySet { policy: policy.clone() }.into(),
        judge::set_key_list(keys, now).unwrap(),
        OperatorTokenSet { token: [8; 32] }.into(),
    ]
}

/// The keys of a deployment that a test chose by a number.
pub fn keys(seed: u64) -> DeploymentKeys {
    gcs_server::app::key_file::draw(&Random::seeded(seed)).unwrap()
}

/// Seals events as the batch that follows a place in the chain.
pub fn seal(position: u64, head: [u8; 32], events: &[Event], now: u64) -> Batch {
    let sealed = gcs_server::node::seal(
        Chain { position, head },
        events,
        now,
        &Random::seeded(1000 + position),
    );
    sealed.unwrap().unwrap().batch
}

/// Makes the first event of a batch one of a newer release, which has other kinds or outcomes.
pub fn make_newer(batch: &mut Batch, kind: u16, outcome: u8) -> EventHeader {
    let StoredEvent { header: bytes, body } = &mut batch.events[0];
    let body = body.as_ref().unwrap();
    let mut header = EventHeader { kind, outcome, ..EventHeader::from_bytes(bytes).unwrap() };
    header.commitment = header.commitment_to(&body.salt, &body.bytes);
    *bytes = header.to_bytes().to_vec();
    header
}

/// Everything in a store, from its first event.
pub fn fold(store: &mut dyn Store, keys: &DeploymentKeys) -> State {
    replay(store, Some(keys), |_, _| Ok(())).unwrap().state
}

/// Judges, appends and applies, one act after the other, in memory.
pub struct Ledger {
    pub keys: Arc<DeploymentKeys>,
    pub store: MemoryStore,
    pub state: State,
    pub now: u64,
    pub leap: Option<i64>,
    pub random: Random,
}

impl Ledger {
    /// A deployment with one provider, number 1, at noon of the fourth date.
    pub fn new(policy: &Policy) -> Ledger {
        Ledger::seeded(1, policy)
    }

    /// The same with other keys and other randomness for each seed.
    pub fn seeded(seed: u64, policy: &Policy) -> Ledger {
        let random = Random::seeded(seed);
        let keys = Arc::new(gcs_server::app::key_file::draw(&random).unwrap());
        let state = State::new(keys.filler());
        let now = START + 3 * DAY_SECONDS + 12 * HOUR;
        let mut ledger = Ledger { keys, store: MemoryStore::new(), state, now, leap: None, random };
        ledger.append(&begin(&ledger.keys, policy, now));
        ledger.act(|state, _, now| judge::add_provider(state, now, "a clinic")).unwrap();
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
        let chain = self.state.chain();
        let sealed = gcs_server::node::seal(chain, events, self.now, &self.random);
        let SealedBatch { logged, batch } = sealed.unwrap().unwrap();
        logged.iter().for_each(|logged| self.state.apply(logged).unwrap());
        self.store.append(&batch).unwrap();
    }

    pub fn act<T>(
        &mut self,
        judge: impl FnOnce(&State, &DeploymentKeys, RequestContext) -> Judgement<T>,
    ) -> Result<T, Problem> {
        let context =
            RequestContext { now: self.now, leap: self.leap, random: self.random.bytes().unwrap() };
        let decision = judge(&self.state, &self.keys, context)?;
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

    pub fn submit(&mut self, submission: &ReceivedReport) -> Result<ReportAnswer, Problem> {
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
        let days = self.state.live.days();
        let day = days.iter().find(|day| day.date() == date(date_number))?;
        let mut elements: Vec<Element> = day.elements().map(Element::from_slice).collect();
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

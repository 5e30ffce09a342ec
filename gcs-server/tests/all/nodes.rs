//! Nodes under load, on stores that fail, and beside each other.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::common::wait;
use crate::common::{ALL, begin, fold, make_newer, policy, raw, seal, submission};
use futures_util::future::join_all;
use gcs_core::report::{Code, ReportAnswer};
use gcs_server::clock::Clock;
use gcs_server::domain::events::Event;
use gcs_server::domain::events::ProviderAdded;
use gcs_server::domain::judge;
use gcs_server::domain::judge::{Decision, RequestContext};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::domain::state::State;
use gcs_server::node::{Node, PublicationInput};
use gcs_server::random::Random;
use gcs_server::store::{
    AppendError, Batch, Failure, MemoryStore, News, SqliteStore, Store, StoreError,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub const NOW: u64 = crate::common::START + 3 * 86_400 + 12 * 3600;

/// A node, and what it would publish.
struct Host {
    node: Node,
    inputs: mpsc::Receiver<PublicationInput>,
    keys: Arc<DeploymentKeys>,
}

impl Host {
    fn on(mut store: Box<dyn Store>, keys: &Arc<DeploymentKeys>) -> Host {
        let state = fold(&mut *store, keys);
        let clock = Clock::Manual(Arc::new(NOW.into()));
        let (sender, inputs) = mpsc::channel(100);
        let (node, _thread) = Node::start(store, state, clock, random(), sender).unwrap();
        Host { node, inputs, keys: Arc::clone(keys) }
    }

    fn code(&self, serial: u32) -> Code {
        Code::issue(&self.keys.provider(1, 1), 1, serial).unwrap()
    }

    /// A report of one element by a code.
    async fn report(&self, serial: u32, element: u64) -> Result<ReportAnswer, Problem> {
        let sent = submission(self.code(serial), &[raw(2, element)]);
        let keys = Arc::clone(&self.keys);
        let judge = move |state: &State, now| judge::report(state, &keys, now, &sent);
        // A node that hangs would hang the test.
        let answer = self.node.act_on_code(1, serial, judge);
        tokio::time::timeout(Duration::from_secs(100), answer).await.expect("an answer in time")
    }

    async fn set_hold(&self, max_hold: u64) -> Result<(), Problem> {
        let policy = Policy { max_hold, ..policy() };
        self.node.act(move |state, now| judge::set_policy(state, now, &policy, true)).await
    }

    fn position(&self) -> u64 {
        self.node.state().position
    }
}

/// Another at each call within a test, as of another machine.
pub fn random() -> Random {
    thread_local! {
        static CALLS: Cell<u64> = const { Cell::new(0) };
    }
    CALLS.set(CALLS.get() + 1);
    Random::seeded(CALLS.get())
}

/// A log with one provider and 1,000 codes, in any store.
pub fn furnish(store: &mut dyn Store) -> Arc<DeploymentKeys> {
    let keys = Arc::new(crate::common::keys(1));
    let mut events = begin(&keys, &policy(), NOW);
    events.push(ProviderAdded { provider: 1, name: "a clinic".into(), token: [1; 32] }.into());
    store.append(&seal(0, [0; 32], &events, NOW)).unwrap();
    let state = fold(store, &keys);
    let range = judge::open_range(
        &state,
        RequestContext { now: NOW, leap: None, random: [0; 32] },
        1,
        1000,
        100,
    )
    .unwrap();
    store.append(&seal(state.position, state.head, &range.events, NOW)).unwrap();
    keys
}

fn database() -> (TempDir, std::path::PathBuf, Arc<DeploymentKeys>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let keys = furnish(&mut open(&path));
    (folder, path, keys)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).unwrap()
}

fn is_used(answer: &Result<ReportAnswer, Problem>) -> bool {
    matches!(answer, Err(Problem::CodeUsed))
}

/// Who reads the state, to answer, to publish or to copy it, must not see half a decision.
#[actix_web::test]
async fn nobody_sees_the_state_between_two_events_of_a_batch() {
    const EVENTS: u64 = 40;
    let mut store = MemoryStore::new();
    let keys = furnish(&mut store);
    let host = Host::on(Box::new(store), &keys);
    let (before, view, is_over) =
        (host.position(), host.node.view(), Arc::new(AtomicBool::new(false)));
    let is_done = Arc::clone(&is_over);
    let looking = std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !is_done.load(Ordering::Relaxed) {
            seen.insert(view.read().position - before);
        }
        seen
    });
    let add = |number: u64| -> Event {
        ProviderAdded { provider: 2 + number as u16, name: "a clinic".into(), token: [2; 32] }
            .into()
    };
    for batch in 0..100 {
        let numbers = batch * EVENTS..(batch + 1) * EVENTS;
        let decide = move |_: &State, _| {
            Ok(Decision { events: numbers.clone().map(add).collect(), answer: () })
        };
        host.node.act(decide).await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    let seen = looking.join().unwrap();
    assert!(seen.len() > 3, "{seen:?}");
    assert!(seen.iter().all(|position| position % EVENTS == 0), "{seen:?}");
}

#[actix_web::test]
async fn a_hundred_at_once_are_all_answered_and_durable_in_few_batches() {
    let (_folder, path, keys) = database();
    let before = open(&path).last().unwrap();
    let host = Host::on(Box::new(open(&path)), &keys);
    let answers = join_all((0..100).map(|serial| host.report(serial, serial.into()))).await;
    let tracking: BTreeSet<String> =
        answers.into_iter().map(|answer| answer.unwrap().tracking_id).collect();
    assert_eq!(tracking.len(), 100);
    // What another connection finds was durable before it was answered.
    let found = fold(&mut open(&path), &keys);
    assert_eq!((found.reports.len(), found.position), (100, before + 100));
    assert_eq!(found.digest(), host.node.state().digest());
    let batches = open(&path).read(before + 1, ALL).unwrap();
    assert!(batches.len() <= 50, "{} batches", batches.len());
}

#[actix_web::test]
async fn one_code_many_times_at_once_brings_one_report() {
    let (_folder, path, keys) = database();
    let host = Host::on(Box::new(open(&path)), &keys);
    let same = join_all((0..30).map(|_| host.report(0, 1))).await;
    let first = same[0].as_ref().unwrap();
    assert!(same.iter().all(|answer| answer.as_ref().unwrap() == first));

    let mixed = join_all((0..30).map(|number| host.report(1, number % 3))).await;
    let accepted: BTreeSet<_> =
        mixed.iter().flatten().map(|answer| answer.tracking_id.clone()).collect();
    assert_eq!(accepted.len(), 1);
    assert_eq!(mixed.iter().flatten().count(), 10);
    assert_eq!(mixed.iter().filter(|answer| is_used(answer)).count(), 20);
    assert_eq!(host.node.state().reports.len(), 2);
    // And the same after a restart.
    let again = Host::on(Box::new(open(&path)), &keys);
    assert_eq!(again.report(0, 1).await.unwrap(), *first);
    assert!(is_used(&again.report(0, 2).await));
    assert_eq!(again.position(), host.position());
}

#[actix_web::test]
async fn what_was_not_stored_is_refused_and_succeeds_when_tried_again() {
    let store = MemoryStore::new();
    let keys = furnish(&mut store.clone());
    let host = Host::on(Box::new(store.clone()), &keys);
    let (position, digest) = (host.position(), host.node.state().digest());
    store.fail_next(Some(Failure::BeforeStoring));
    let refused = host.report(0, 1).await.unwrap_err();
    assert!(matches!(refused, Problem::StorageUnavailable));
    assert_eq!((host.position(), host.node.state().digest()), (position, digest));
    assert_eq!(store.clone().last().unwrap(), position);
    assert_eq!(host.report(0, 1).await.unwrap().accepted, 1);
    assert_eq!(fold(&mut store.clone(), &keys).digest(), host.node.state().digest());
}

#[actix_web::test]
async fn what_was_stored_without_a_word_is_accepted_once() {
    let store = MemoryStore::new();
    let keys = furnish(&mut store.clone());
    let host = Host::on(Box::new(store.clone()), &keys);
    let position = host.position();
    store.fail_next(Some(Failure::AfterStoring));
    let first = host.report(0, 1).await.unwrap();
    assert_eq!(host.position(), position + 1);
    assert_eq!(host.report(0, 1).await.unwrap(), first);
    assert_eq!(store.clone().last().unwrap(), position + 1);
    assert_eq!(fold(&mut store.clone(), &keys).digest(), host.node.state().digest());
}

/// A store that can be told to misbehave.
#[derive(Clone, Default)]
struct Faulty {
    inner: MemoryStore,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    /// Reads that fail from now on.
    reads: u32,
    /// The log is cut after this position.
    cut: Option<u64>,
}

impl Store for Faulty {
    fn last(&mut self) -> Result<u64, StoreError> {
        let last = self.inner.last()?;
        Ok(self.faults.lock().unwrap().cut.map_or(last, |cut| cut.min(last)))
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        if batch.first != self.last().unwrap() + 1 {
            return Err(AppendError::Conflict);
        }
        self.inner.append(batch)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        let mut faults = self.faults.lock().unwrap();
        if faults.reads > 0 {
            faults.reads -= 1;
            return Err(StoreError::Busy);
        }
        self.inner.read(from, max_bytes)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.inner.erase(events)
    }
}

/// A store that takes nothing, as if another node were always first, and never has an event of that node.
struct Liar(Box<dyn Store>);

impl Store for Liar {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.0.last()
    }

    fn append(&mut self, _: &Batch) -> Result<(), AppendError> {
        Err(AppendError::Conflict)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.0.read(from, max_bytes)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.0.erase(events)
    }
}

#[actix_web::test]
async fn a_store_that_lies_about_conflicts_is_not_asked_for_ever() {
    let mut store = MemoryStore::new();
    let keys = furnish(&mut store);
    let host = Host::on(Box::new(Liar(Box::new(store.clone()))), &keys);
    let before = host.position();
    let answers = join_all((0..3).map(|serial| host.report(serial, serial.into()))).await;
    for answer in answers {
        assert_eq!(answer.unwrap_err().code(), "storage_unavailable");
    }
    assert!(!host.node.is_writable());
    // The node still judges what comes, and nothing was applied that is not in the log.
    assert_eq!(host.report(5, 5).await.unwrap_err().code(), "storage_unavailable");
    assert_eq!(host.report(5000, 5).await.unwrap_err().code(), "code_not_open");
    assert_eq!((host.position(), store.last().unwrap()), (before, before));
}

#[actix_web::test]
async fn what_cannot_even_be_looked_up_is_found_by_the_retry() {
    let mut store = Faulty::default();
    let keys = furnish(&mut store);
    let host = Host::on(Box::new(store.clone()), &keys);
    let position = host.position();
    store.inner.fail_next(Some(Failure::AfterStoring));
    store.faults.lock().unwrap().reads = 1;
    let refused = host.report(0, 1).await;
    assert!(matches!(refused, Err(Problem::StorageUnavailable)));
    assert_eq!((host.position(), store.last().unwrap()), (position, position + 1));
    // The next one meets a conflict, folds what is there, and goes on; the retry is known.
    let (other, retried) = futures_util::join!(host.report(1, 2), host.report(0, 1));
    assert_eq!((other.unwrap().accepted, retried.unwrap().accepted), (1, 1));
    assert_eq!(host.node.state().reports.len(), 2);
    assert_eq!(fold(&mut store, &keys).digest(), host.node.state().digest());
}

#[actix_web::test]
async fn a_conflict_that_cannot_be_folded_is_answered_and_applied_later() {
    let mut store = Faulty::default();
    let keys = furnish(&mut store);
    let host = Host::on(Box::new(store.clone()), &keys);
    let other = Host::on(Box::new(store.clone()), &keys);
    other.report(0, 1).await.unwrap();
    store.faults.lock().unwrap().reads = 1;
    let answers = join_all((1..5).map(|serial| host.report(serial, 1))).await;
    assert!(matches!(answers[0], Err(Problem::StorageUnavailable)));
    for (serial, answer) in (1..5).zip(answers) {
        if answer.is_err() {
            host.report(serial, 1).await.unwrap();
        }
    }
    assert_eq!(host.node.state().reports.len(), 5);
    assert_eq!(fold(&mut store, &keys).digest(), host.node.state().digest());
}

/// Restored from an older copy under a running server, say.
#[actix_web::test]
async fn a_log_that_lost_its_end_is_told_and_not_waited_for() {
    let mut store = Faulty::default();
    let keys = furnish(&mut store);
    let host = Host::on(Box::new(store.clone()), &keys);
    host.report(0, 1).await.unwrap();
    let position = host.position();
    store.faults.lock().unwrap().cut = Some(position - 1);
    assert!(matches!(host.report(1, 1).await, Err(Problem::StorageUnavailable)));
    assert_eq!(host.position(), position);
}

/// A shared log that tells its news, as a database does, and that can be put back to another state.
#[derive(Clone, Default)]
struct Replaced {
    log: Arc<Mutex<MemoryStore>>,
    /// The last batch that was found or made at the end.
    seen: Option<Batch>,
    /// Questions for headers that fail from now on.
    silent: Arc<AtomicU64>,
    news: Arc<AtomicU64>,
}

impl Replaced {
    fn log(&self) -> MemoryStore {
        self.log.lock().unwrap().clone()
    }
}

impl Store for Replaced {
    fn last(&mut self) -> Result<u64, StoreError> {
        let last = self.log().last()?;
        self.seen = self.log().read(last, 1)?.pop();
        Ok(last)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let last = self.log().last().unwrap();
        if self.seen.is_some() && self.log().read(last, 1).unwrap().pop() != self.seen {
            return Err(AppendError::Conflict);
        }
        self.log().append(batch)?;
        self.seen = Some(batch.clone());
        Ok(())
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.log().read(from, max_bytes)
    }

    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let silent = self.silent.load(Ordering::SeqCst);
        if silent > 0 {
            self.silent.store(silent - 1, Ordering::SeqCst);
            return Err(StoreError::Busy);
        }
        self.log().headers(from)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.log().erase(events)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn news(&mut self) -> Result<Option<News>, StoreError> {
        self.news.fetch_add(1, Ordering::SeqCst);
        let Some(seen) = &self.seen else { return Ok(None) };
        let mut batches = self.log().read(seen.first, usize::MAX)?;
        if batches.first() != Some(seen) {
            return Ok(None);
        }
        self.seen = batches.last().cloned();
        batches.remove(0);
        Ok(Some(News { batches, end: Some(self.log().last()?) }))
    }
}

#[actix_web::test]
async fn news_of_others_are_applied_as_they_are_told() {
    let mut store = Replaced::default();
    let keys = furnish(&mut store);
    let [one, two] = [0, 1].map(|_| Host::on(Box::new(store.clone()), &keys));
    for serial in 0..6 {
        let (host, other) = if serial % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let first = host.report(serial, serial.into()).await.unwrap();
        assert_eq!(other.report(serial, serial.into()).await.unwrap(), first);
        assert!(is_used(&other.report(serial, 99).await));
    }
    assert_eq!(one.node.state().digest(), two.node.state().digest());
    assert!(store.news.load(Ordering::SeqCst) > 12);
}

/// A database that lost its end, and went on to the same length before it was looked at; and a connection that fails
/// while the node finds that out.
#[actix_web::test]
async fn a_log_that_went_on_otherwise_is_not_followed_whatever_fails_meanwhile() {
    for failures in 0..6 {
        let mut store = Replaced::default();
        let keys = furnish(&mut store);
        let mut fork = MemoryStore::new();
        for batch in store.read(1, usize::MAX).unwrap() {
            fork.append(&batch).unwrap();
        }
        let host = Host::on(Box::new(store.clone()), &keys);
        host.report(0, 1).await.unwrap();
        let other = Host::on(Box::new(fork.clone()), &keys);
        other.report(1, 2).await.unwrap();
        *store.log.lock().unwrap() = fork.clone();
        store.silent.store(failures, Ordering::SeqCst);
        let length = fork.last().unwrap();
        for serial in 2..10 {
            // Neither a new report, nor what only the lost end says.
            assert!(host.report(serial, 1).await.is_err(), "{failures} {serial}");
            assert!(host.report(0, 1).await.is_err(), "{failures} {serial}");
        }
        assert_eq!(fork.last().unwrap(), length, "{failures}");
    }
}

#[actix_web::test]
async fn an_event_of_a_newer_release_stops_writing_but_not_reading() {
    let store = MemoryStore::new();
    let keys = furnish(&mut store.clone());
    let host = Host::on(Box::new(store.clone()), &keys);
    let state = fold(&mut store.clone(), &keys);
    let mut batch = seal(
        state.position,
        state.head,
        &[Event::from(gcs_server::domain::events::ClockResumed {})],
        NOW,
    );
    make_newer(&mut batch, 900, 1);
    store.clone().append(&batch).unwrap();
    for serial in 0..2 {
        let refused = host.report(serial, 1).await;
        assert!(matches!(refused, Err(Problem::ReadOnly)));
    }
    assert!(host.node.is_read_only());
    assert_eq!(host.position(), state.position);
    assert_eq!(host.node.state().digest(), state.digest());
}

#[actix_web::test]
async fn two_nodes_on_one_database_agree_on_every_code() {
    let (_folder, path, keys) = database();
    let hosts = [0, 1].map(|_| Host::on(Box::new(open(&path)), &keys));
    // Each code at both nodes at once: even ones with one payload, odd ones with two.
    let sent = (0..60u32).flat_map(|serial| [(serial, 0), (serial, 1)]);
    let report = async |(serial, at): (u32, usize)| {
        let element = u64::from(serial * 10) + if serial % 2 == 0 { 0 } else { at as u64 };
        // SQLite waits for the other writer for a second, which on a slow disk is too short.
        let begun = Instant::now();
        loop {
            match hosts[at].report(serial, element).await {
                Err(Problem::StorageUnavailable) if begun.elapsed() < wait::PATIENCE => {}
                answer => return answer,
            }
        }
    };
    let answers = join_all(sent.clone().map(report)).await;
    for ((serial, _), pair) in sent.step_by(2).zip(answers.chunks(2)) {
        let accepted: BTreeSet<_> =
            pair.iter().flatten().map(|answer| answer.tracking_id.clone()).collect();
        let used = pair.iter().filter(|answer| is_used(answer)).count();
        assert_eq!((accepted.len(), used), (1, serial as usize % 2), "{serial}: {pair:?}");
    }
    // Whoever appends next has folded everything.
    hosts[0].set_hold(1).await.unwrap();
    hosts[1].set_hold(2).await.unwrap();
    let found = fold(&mut open(&path), &keys);
    assert_eq!(found.reports.len(), 60);
    assert_eq!(found.digest(), hosts[1].node.state().digest());
    hosts[0].set_hold(3).await.unwrap();
    assert_eq!(fold(&mut open(&path), &keys).digest(), hosts[0].node.state().digest());
    assert!(is_used(&hosts[1].report(3, 1).await) || hosts[1].report(3, 30).await.is_err());
}

#[actix_web::test]
async fn a_code_used_at_one_node_is_used_at_the_other() {
    let (_folder, path, keys) = database();
    let [one, two] = [0, 1].map(|_| Host::on(Box::new(open(&path)), &keys));
    let first = one.report(0, 1).await.unwrap();
    assert_eq!(two.report(0, 1).await.unwrap(), first);
    assert!(is_used(&two.report(0, 2).await));
    two.node.act(|state, _| judge::close_range(state, 1, None, 0)).await.unwrap();
    assert!(matches!(one.report(1, 1).await, Err(Problem::CodeRevoked)));
    assert_eq!(one.report(0, 1).await.unwrap(), first);
    assert_eq!(one.node.state().digest(), two.node.state().digest());
}

#[actix_web::test]
async fn a_tick_of_another_node_is_published_here_as_well() {
    let (_folder, path, keys) = database();
    let [mut one, mut two] = [0, 1].map(|_| Host::on(Box::new(open(&path)), &keys));
    one.report(0, 1).await.unwrap();
    let tick = {
        let keys = Arc::clone(&keys);
        move |state: &State, now| judge::tick(state, &keys, now)
    };
    one.node.act(tick.clone()).await.unwrap();
    two.report(1, 2).await.unwrap();
    two.node.act(tick).await.unwrap();
    one.set_hold(1).await.unwrap();
    for number in [1, 2] {
        let (at_one, at_two) = (one.inputs.recv().await.unwrap(), two.inputs.recv().await.unwrap());
        assert_eq!((at_one.tick.version.tick, at_one.tick.head), (number, at_two.tick.head));
        let elements = |input: &PublicationInput| {
            input.days[0].elements().map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(elements(&at_one).len(), number as usize);
        assert_eq!(elements(&at_one), elements(&at_two));
    }
    assert!(one.inputs.try_recv().is_err());
}

#[actix_web::test]
async fn whoever_does_not_wait_for_the_answer_changes_nothing() {
    let store = MemoryStore::new();
    let keys = furnish(&mut store.clone());
    let host = Host::on(Box::new(store.clone()), &keys);
    {
        let impatient = host.report(0, 1);
        futures_util::pin_mut!(impatient);
        let _an_answer_may_be_there_already = futures_util::poll!(impatient);
    }
    let retried = host.report(0, 1).await.unwrap();
    assert_eq!(host.report(0, 1).await.unwrap(), retried);
    assert_eq!(host.node.state().reports.len(), 1);
    // An act that decides nothing stores nothing.
    let position = host.position();
    host.node.act(|_, _| Ok(Decision { events: Vec::new(), answer: () })).await.unwrap();
    assert_eq!((host.position(), store.clone().last().unwrap()), (position, position));
}

/// A log that others append to, which counts how often its end is asked for.
#[derive(Clone)]
struct Counting {
    inner: MemoryStore,
    looks: Arc<AtomicU64>,
}

impl Store for Counting {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.inner.last()
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.inner.append(batch)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.inner.read(from, max_bytes)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.inner.erase(events)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[actix_web::test]
async fn however_many_wait_for_a_look_the_log_is_asked_twice() {
    let store = Counting { inner: MemoryStore::new(), looks: Arc::default() };
    let keys = furnish(&mut store.clone());
    let host = Host::on(Box::new(store.clone()), &keys);
    let other = Host::on(Box::new(store.clone()), &keys);
    other.report(0, 1).await.unwrap();
    store.looks.store(0, Ordering::SeqCst);
    // More than there is room for in the node's queue.
    let looked = join_all((0..5000).map(|_| host.node.catch_up())).await;
    assert!(looked.iter().all(Result::is_ok));
    // The end of the log is looked at, and once more to read what is new.
    let looks = store.looks.load(Ordering::SeqCst);
    assert!(looks <= 3, "{looks} looks");
    assert_eq!(host.position(), other.position());
}

/// A queue that is full says nothing of the log.
#[test]
fn a_look_waits_where_the_queue_is_full() {
    let system = actix_web::rt::System::new();
    let store = Counting { inner: MemoryStore::new(), looks: Arc::default() };
    let keys = furnish(&mut store.clone());
    let host = Host::on(Box::new(store), &keys);
    // Nothing is applied while the state is read.
    let state = host.node.state();
    let mut reported = Box::pin(host.report(0, 1));
    let mut acts = Vec::new();
    let mut look = Box::pin(host.node.catch_up());
    system.block_on(async {
        assert!(futures_util::poll!(&mut reported).is_pending());
        let refused = loop {
            let nothing = |_: &State, _| Ok(Decision { events: Vec::new(), answer: () });
            let mut act = Box::pin(host.node.act(nothing));
            match futures_util::poll!(&mut act) {
                Poll::Pending => acts.push(act),
                Poll::Ready(answer) => break answer,
            }
        };
        assert!(matches!(refused, Err(Problem::Unavailable)));
        assert!(futures_util::poll!(&mut look).is_pending());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(futures_util::poll!(&mut look).is_pending());
    });
    drop(state);
    system.block_on(async {
        look.await.unwrap();
        reported.await.unwrap();
        assert!(join_all(acts).await.iter().all(Result::is_ok));
    });
}

/// A log that others append to, which notes what of it had been applied when it was read.
#[derive(Clone)]
struct Watching {
    inner: MemoryStore,
    node: Arc<Mutex<Option<Node>>>,
    /// From where it was read, and the position of the node then.
    reads: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Store for Watching {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.inner.last()
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.inner.append(batch)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        if let Some(node) = &*self.node.lock().unwrap() {
            self.reads.lock().unwrap().push((from, node.state().position));
        }
        self.inner.read(from, max_bytes)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.inner.erase(events)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// A node that slept must not have all that it missed in memory.
#[actix_web::test]
async fn what_others_appended_is_applied_as_it_is_read() {
    let inner = MemoryStore::new();
    let keys = furnish(&mut inner.clone());
    let store = Watching { inner: inner.clone(), node: Arc::default(), reads: Arc::default() };
    let sleeper = Host::on(Box::new(store.clone()), &keys);
    *store.node.lock().unwrap() = Some(sleeper.node.clone());
    let other = Host::on(Box::new(inner), &keys);
    for serial in 0..150 {
        let items: Vec<_> = (0..1000).map(|item| raw(2, u64::from(serial) * 1000 + item)).collect();
        let (sent, keys) = (submission(other.code(serial), &items), Arc::clone(&keys));
        let judge = move |state: &State, now| judge::report(state, &keys, now, &sent);
        other.node.act_on_code(1, serial, judge).await.unwrap();
    }
    sleeper.node.catch_up().await.unwrap();
    assert_eq!(sleeper.node.state().digest(), other.node.state().digest());
    let reads = store.reads.lock().unwrap().clone();
    assert!(reads.len() > 3, "{reads:?}");
    assert!(reads.iter().all(|(from, applied)| from - 1 <= *applied), "{reads:?}");
}

//! What a purge names is erased from a database beside what its nodes judge.

#![cfg(unix)]

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gcs_core::live::FillerKey;
use gcs_core::report::Code;
use gcs_server::app::{Checkpoints, Eraser};
use gcs_server::clock::Clock;
use gcs_server::domain::events::Purge;
use gcs_server::domain::judge::{self, Decision};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::state::State;
use gcs_server::node::{Decider, Erasure, Node, PublicationInput, ReplayError, StateView, replay};
use gcs_server::store::witness::Seen;
use gcs_server::store::{AppendError, Batch, MemoryStore, PostgresStore, Store, StoreError};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::common::postgres::{execute, postgres, url};
use crate::common::{Ledger, fold, policy, raw, submission, wait};
use crate::nodes::{NOW, furnish, random};

/// Long enough for a node to do something, and short enough to wait for.
const OTHERS: Duration = Duration::from_secs(2);

/// A node on a log in a database, which erases.
struct Host {
    node: Node,
    keys: Arc<DeploymentKeys>,
    checkpoints: Checkpoints,
    _folder: TempDir,
    _inputs: mpsc::Receiver<PublicationInput>,
}

fn open(place: &str) -> PostgresStore {
    PostgresStore::open(url(place)).unwrap()
}

impl Host {
    fn on(place: &str, keys: &Arc<DeploymentKeys>) -> Host {
        let of = place.to_owned();
        Host::erasing(place, keys, move || Ok(Box::new(PostgresStore::open(url(&of))?)))
    }

    fn erasing(
        place: &str,
        keys: &Arc<DeploymentKeys>,
        opened: impl Fn() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
    ) -> Host {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), Arc::clone(keys));
        let eraser = Eraser::start(opened, nothing(), checkpoints.clone(), OTHERS).unwrap();
        let mut store = open(place);
        let state = fold(&mut store, keys);
        let (inputs, queue) = mpsc::channel(10);
        let (node, entry, _thread) = Node::without_log().unwrap();
        let clock = Clock::Manual(Arc::new(NOW.into())).into();
        entry.open(Box::new(store), state, clock, random(), inputs, Some(eraser.into()));
        Host { node, keys: Arc::clone(keys), checkpoints, _folder: folder, _inputs: queue }
    }

    /// Reports by codes of provider 1, one batch each.
    async fn report(&self, serials: std::ops::Range<u32>) -> Vec<u64> {
        let mut positions = Vec::new();
        for serial in serials {
            let code = Code::issue(&self.keys.provider(1, 1), 1, serial).unwrap();
            let (sent, keys) = (submission(code, &[raw(2, serial.into())]), Arc::clone(&self.keys));
            let judge = move |state: &State, now| judge::report(state, &keys, now, &sent);
            self.node.act_on_code(1, serial, judge).await.unwrap();
            positions.push(self.node.state().position);
        }
        positions
    }

    /// A purge of reports, whether or not they are old.
    async fn purge(&self, reports: &[u64]) {
        let purge = Purge { reports: reports.to_vec(), used: Vec::new() };
        let judge =
            move |_: &State, _| Ok(Decision { events: vec![purge.clone().into()], answer: () });
        self.node.act(judge).await.unwrap();
    }

    /// Whether a checkpoint is written.
    fn keeps(&self) -> bool {
        self.checkpoints.write(|| Some(self.node.state().image())).unwrap()
    }
}

fn erasure(events: &[u64], state: &State) -> Erasure {
    let purge = Seen { position: state.position, head: state.head };
    Erasure { events: events.to_vec(), purge, decider: Decider::This }
}

fn nothing() -> Erasure {
    erasure(&[], &State::new(FillerKey::new([0; 32])))
}

/// A log with codes.
fn log() -> Option<(String, Arc<DeploymentKeys>)> {
    let place = postgres()?.database();
    let keys = furnish(&mut PostgresStore::create(url(&place)).unwrap());
    Some((place, keys))
}

/// How many of these events have bodies.
fn bodies(place: &str, events: &[u64]) -> usize {
    let batches = open(place).read(1, usize::MAX).unwrap();
    let all = batches.iter().flat_map(|batch| (batch.first..).zip(&batch.events));
    all.filter(|(position, event)| events.contains(position) && event.body.is_some()).count()
}

#[track_caller]
fn until(is_done: impl FnMut() -> bool) {
    wait::until("what is beside the log", is_done);
}

/// A row that another program has locked, as long as this is there.
struct Locked(tokio::runtime::Runtime, tokio_postgres::Client);

impl Locked {
    fn new(place: &str, first: u64) -> Locked {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(place, tokio_postgres::NoTls)).unwrap();
        runtime.spawn(connection);
        let lock = format!("BEGIN; SELECT FROM gcs_batch WHERE first = {first} FOR UPDATE");
        runtime.block_on(client.batch_execute(&lock)).unwrap();
        Locked(runtime, client)
    }

    fn unlock(self) {
        self.0.block_on(self.1.batch_execute("COMMIT")).unwrap();
    }
}

#[test]
fn a_purge_keeps_nobody_waiting() {
    let Some((place, keys)) = log() else { return };
    let system = actix_web::rt::System::new();
    let host = Host::on(&place, &keys);
    let reports = system.block_on(host.report(0..200));
    assert!(host.keeps());
    let locked = Locked::new(&place, reports[150]);
    let begun = Instant::now();
    system.block_on(host.purge(&reports));
    system.block_on(host.report(200..210));
    // A purge that waited for the row would wait for 30 s.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    // What comes before the row that cannot be changed is erased, in pieces.
    until(|| bodies(&place, &reports) <= 50);
    assert_eq!(bodies(&place, &reports), 50);
    assert!(!host.keeps(), "bodies are still there");
    locked.unlock();
    until(|| bodies(&place, &reports) == 0);
    until(|| host.keeps());
}

#[test]
fn one_node_erases_and_the_others_find_nothing_left() {
    let Some((place, keys)) = log() else { return };
    let system = actix_web::rt::System::new();
    let [a, b] = [0, 1].map(|_| Host::on(&place, &keys));
    let reports = system.block_on(a.report(0..100));
    // The server counts how often a row is changed.
    let watch = "CREATE TABLE changed(first BIGINT);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO changed VALUES (NEW.first); RETURN NEW; END $$;
        CREATE TRIGGER note BEFORE UPDATE ON gcs_batch FOR EACH ROW EXECUTE FUNCTION note()";
    execute(&place, watch);
    system.block_on(a.purge(&reports));
    system.block_on(b.node.catch_up()).unwrap();
    assert!(!b.keeps(), "it has not looked yet");
    until(|| a.keeps() && b.keeps());
    assert_eq!(bodies(&place, &reports), 0);
    let check =
        "DO $$ BEGIN ASSERT (SELECT COUNT(*) = 100 AND COUNT(DISTINCT first) = 100 FROM changed);
        END $$";
    execute(&place, check);
}

#[test]
fn what_a_node_leaves_undone_another_does() {
    let Some((place, keys)) = log() else { return };
    let system = actix_web::rt::System::new();
    let stuck = Host::erasing(&place, &keys, || Err(StoreError::Busy));
    let other = Host::on(&place, &keys);
    let reports = system.block_on(stuck.report(0..70));
    system.block_on(stuck.purge(&reports));
    system.block_on(other.node.catch_up()).unwrap();
    until(|| other.keeps());
    assert_eq!(bodies(&place, &reports), 0);
    assert!(!stuck.keeps(), "it does not know");
}

/// The log was put back to an earlier state, and has other events now where a purge named some.
#[test]
fn nothing_is_erased_by_a_purge_that_the_log_has_lost() {
    let Some((place, keys)) = log() else { return };
    let system = actix_web::rt::System::new();
    let host = Host::on(&place, &keys);
    let reports = system.block_on(host.report(0..10));
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Arc::clone(&keys));
    let of = place.clone();
    let opened = move || Ok(Box::new(PostgresStore::open(url(&of))?) as Box<dyn Store>);
    let eraser = Eraser::start(opened, nothing(), checkpoints.clone(), OTHERS).unwrap();
    let position = *reports.last().unwrap();
    let lost = Seen { position, head: [7; 32] };
    eraser.erase(Erasure { events: reports.clone(), purge: lost, decider: Decider::This });
    let state = fold(&mut open(&place), &keys);
    until(|| checkpoints.write(|| Some(state.image())).unwrap());
    assert_eq!(bodies(&place, &reports), 10);
    eraser.erase(erasure(&reports, &state));
    until(|| bodies(&place, &reports) == 0);
}

/// The log was lost, and read again, while its bodies were erased.
#[test]
fn what_was_erased_before_a_log_was_read_anew_does_not_count() {
    let Some((place, keys)) = log() else { return };
    let system = actix_web::rt::System::new();
    let host = Host::on(&place, &keys);
    let reports = system.block_on(host.report(0..10));
    let state = fold(&mut open(&place), &keys);
    let (begun, begins) = channel();
    let (go, goes) = channel::<()>();
    let goes = Mutex::new(goes);
    let of = place.clone();
    let slow = move || {
        begun.send(()).unwrap();
        goes.lock().unwrap().recv().unwrap();
        Ok(Box::new(PostgresStore::open(url(&of))?) as Box<dyn Store>)
    };
    let left = || erasure(&reports, &state);
    let before = Eraser::start(slow, left(), host.checkpoints.clone(), OTHERS).unwrap();
    begins.recv().unwrap();
    let cannot = || Err(StoreError::Busy);
    let now = Eraser::start(cannot, left(), host.checkpoints.clone(), OTHERS).unwrap();
    go.send(()).unwrap();
    until(|| bodies(&place, &reports) == 0);
    // It ends with this, and has said before what it erased.
    drop(before);
    until(|| go.send(()).is_err());
    assert!(!host.keeps(), "whoever reads the log now does not know");
    drop(now);
}

/// Otherwise a checkpoint could be made that has the purge, and pass for one behind which nothing is to be erased.
#[actix_web::test]
async fn a_purge_is_announced_before_its_state_can_be_copied() {
    let mut store = MemoryStore::new();
    let keys = furnish(&mut store);
    let state = fold(&mut store, &keys);
    let (node, entry, _thread) = Node::without_log().unwrap();
    let (inputs, _queue) = mpsc::channel(10);
    let (announced, is_announced) = channel();
    let view = node.view();
    let erase = move |_| {
        let (read, is_read) = channel();
        let view = view.clone();
        std::thread::spawn(move || read.send(view.read().position));
        announced.send(is_read.recv_timeout(Duration::from_millis(200)).ok()).unwrap();
    };
    let clock = Clock::Manual(Arc::new(NOW.into())).into();
    entry.open(Box::new(store), state, clock, random(), inputs, Some(Box::new(erase)));
    let purge = Purge { reports: vec![1], used: Vec::new() };
    let judge = move |_: &State, _| Ok(Decision { events: vec![purge.clone().into()], answer: () });
    node.act(judge).await.unwrap();
    assert_eq!(is_announced.recv().unwrap(), None, "a state that was read meanwhile");
}

/// A log in a file whose server is killed when it erases, after a checkpoint has been written if one may be.
struct Killed {
    guarded: Box<dyn Store>,
    checkpoints: Checkpoints,
    view: Arc<Mutex<Option<StateView>>>,
    written: std::sync::mpsc::Sender<bool>,
}

impl Store for Killed {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.guarded.last()
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.guarded.append(batch)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.guarded.read(from, max_bytes)
    }

    fn erase(&mut self, _: &[u64]) -> Result<(), StoreError> {
        let view = self.view.lock().unwrap().clone().unwrap();
        let written = self.checkpoints.write(|| Some(view.read().image())).unwrap();
        self.written.send(written).unwrap();
        Err(StoreError::Busy)
    }

    fn announce_erasure(&mut self, events: &[u64]) {
        self.guarded.announce_erasure(events);
    }
}

/// A start would go on behind the purge, and never know that something is still to be erased.
#[actix_web::test]
async fn no_checkpoint_has_a_purge_whose_bodies_are_still_there() {
    let mut store = MemoryStore::new();
    let keys = furnish(&mut store);
    let state = fold(&mut store, &keys);
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Arc::clone(&keys));
    let (written, is_written) = channel();
    let view = Arc::default();
    let guarded = checkpoints.guard(Box::new(store));
    let killed = Killed { guarded, checkpoints, view: Arc::clone(&view), written };
    let (inputs, _queue) = mpsc::channel(10);
    let clock = Clock::Manual(Arc::new(NOW.into()));
    let (node, _thread) = Node::start(Box::new(killed), state, clock, random(), inputs).unwrap();
    *view.lock().unwrap() = Some(node.view());
    let purge = Purge { reports: vec![1], used: Vec::new() };
    let judge = move |_: &State, _| Ok(Decision { events: vec![purge.clone().into()], answer: () });
    node.act(judge).await.unwrap();
    assert!(!is_written.recv_timeout(Duration::from_secs(60)).unwrap());
}

/// A log to which another node appends a purge, and erases, as soon as this one has asked where the log ends.
struct Purged {
    log: MemoryStore,
    later: Option<(Vec<Batch>, Vec<u64>)>,
}

impl Store for Purged {
    fn last(&mut self) -> Result<u64, StoreError> {
        let last = self.log.last();
        if let Some((batches, purged)) = self.later.take() {
            batches.iter().for_each(|batch| self.log.append(batch).unwrap());
            self.log.erase(&purged).unwrap();
        }
        last
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.log.append(batch)
    }

    fn read(&mut self, from: u64, _: usize) -> Result<Vec<Batch>, StoreError> {
        self.log.read(from, 1)
    }

    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.log.headers(from)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.log.erase(events)
    }
}

/// A replay may take minutes.
#[test]
fn a_body_that_is_erased_while_the_log_is_read_is_not_taken_for_lost() {
    let mut ledger = Ledger::with_codes(&Policy { retention_days: 1, ..policy() }, 10);
    ledger.report(0, &[raw(2, 1), raw(3, 2)]);
    ledger.live(7 * 86_400);
    let before = ledger.batches();
    let purged = ledger.purge(false);
    assert!(!purged.is_empty());
    ledger.tick();
    let mut log = MemoryStore::new();
    before.iter().for_each(|batch| log.append(batch).unwrap());
    let after = ledger.batches().split_off(before.len());
    let mut store = Purged { log, later: Some((after, purged.clone())) };
    let replayed = replay(&mut store, Some(&ledger.keys), |_, _| Ok(())).unwrap();
    assert_eq!(replayed.state.digest(), ledger.state.digest());
    // One whose purge nobody has appended is.
    let mut log = MemoryStore::new();
    before.iter().for_each(|batch| log.append(batch).unwrap());
    let mut store = Purged { log, later: Some((Vec::new(), purged.clone())) };
    let lost = replay(&mut store, Some(&ledger.keys), |_, _| Ok(())).unwrap_err();
    assert!(matches!(lost, ReplayError::Missing { position } if position == purged[0]), "{lost}");
}

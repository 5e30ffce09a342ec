//! Servers on one log in memory, each with a spool on a disk in memory; log and disks can be stopped
//! between any two steps.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt as _;
use gcs_core::report::{Code, Item};
use gcs_server::clock::Clock;
use gcs_server::domain::events::{ProviderAdded, TrackingId};
use gcs_server::domain::judge::{self, RequestContext};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::problem::Problem;
use gcs_server::domain::report_status::ReportStatus;
use gcs_server::domain::state::State;
use gcs_server::metrics::Metrics;
use gcs_server::node::Node;
use gcs_server::publishing::{Files, Shelf};
use gcs_server::random::Random;
use gcs_server::request_log::{LoggedRequests, RequestLog};
use gcs_server::service::{Reception, Service};
use gcs_server::spool::{Disk, Drain, Drained, Limits, Spool};
use gcs_server::store::{AppendError, Batch, LogPlace, LogReader, MemoryStore, Store, StoreError};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::common::{START, begin, fold, policy, raw, seal, submission};

pub const NOW: u64 = START + 3 * 86_400 + 12 * 3600;

/// Steps until everything stops, of log and disk together.
#[derive(Debug)]
pub struct Steps {
    left: AtomicI64,
    /// Whether the last step still has its effect.
    has_effect: AtomicBool,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps { left: AtomicI64::new(i64::MAX), has_effect: AtomicBool::new(false) }
    }
}

impl Steps {
    /// Stops everything at a step from now on, the first if it is 1.
    pub fn stop_at(&self, step: i64, has_effect: bool) {
        self.has_effect.store(has_effect, Ordering::SeqCst);
        self.left.store(step, Ordering::SeqCst);
    }

    pub fn has_stopped(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    /// Does a step, unless everything has stopped. Whoever asked is told of it only if that goes on.
    fn take<T>(&self, effect: impl FnOnce() -> T) -> Option<T> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            2.. => Some(effect()),
            1 if self.has_effect.load(Ordering::SeqCst) => {
                effect();
                None
            }
            _ => None,
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("everything has stopped")
}

/// The files of a disk in memory. The content of a file is on disk at once, and names when they are synced.
#[derive(Debug, Default)]
struct Names {
    now: BTreeMap<String, u64>,
    synced: BTreeMap<String, u64>,
    contents: HashMap<u64, Vec<u8>>,
    is_full: bool,
    /// Whether names are said to be synced, and are not.
    is_lying: bool,
}

#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    names: Arc<Mutex<Names>>,
    steps: Arc<Steps>,
}

impl MemoryDisk {
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap()
    }

    fn step<T>(&self, effect: impl FnOnce(&mut Names) -> io::Result<T>) -> io::Result<T> {
        self.steps.take(|| effect(&mut self.lock())).unwrap_or_else(|| Err(stopped()))
    }

    /// What a power cut makes of it: names that were not synced are as they were before.
    pub fn cut(&self) {
        let mut names = self.lock();
        names.now = names.synced.clone();
    }

    pub fn fill(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// From now on names are said to be synced, and are not.
    pub fn lie(&self) {
        self.lock().is_lying = true;
    }

    pub fn list(&self) -> Vec<String> {
        self.lock().now.keys().cloned().collect()
    }

    /// Every file with its content.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.lock();
        names.now.iter().map(|(name, id)| (name.clone(), names.contents[id].clone())).collect()
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut names = self.lock();
        let id = names.contents.len() as u64;
        names.contents.insert(id, bytes.to_vec());
        names.now.insert(name.to_owned(), id);
        names.synced.insert(name.to_owned(), id);
    }
}

fn missing() -> io::Error {
    ErrorKind::NotFound.into()
}

impl Disk for MemoryDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.list())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let names = self.lock();
        let id = names.now.get(name).ok_or_else(missing)?;
        Ok(names.contents[id].clone())
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.step(|names| {
            if names.is_full {
                return Err(ErrorKind::StorageFull.into());
            }
            let id = names.contents.len() as u64;
            names.contents.insert(id, bytes.to_vec());
            match names.now.insert(name.to_owned(), id) {
                None => Ok(()),
                Some(_) => Err(ErrorKind::AlreadyExists.into()),
            }
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step(|names| {
            let id = names.now.remove(from).ok_or_else(missing)?;
            names.now.insert(to.to_owned(), id);
            Ok(())
        })
    }

    /// Two steps: overwritten, and deleted.
    fn destroy(&self, name: &str) -> io::Result<()> {
        self.step(|names| {
            let id = *names.now.get(name).ok_or_else(missing)?;
            names.contents.get_mut(&id).unwrap().fill(0);
            Ok(())
        })?;
        self.step(|names| names.now.remove(name).map(drop).ok_or_else(missing))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.step(|names| {
            if !names.is_lying {
                names.synced = names.now.clone();
            }
            Ok(())
        })
    }
}

/// The log as one server sees it.
#[derive(Clone)]
struct Link {
    log: MemoryStore,
    is_away: Arc<AtomicBool>,
    steps: Arc<Steps>,
}

impl Link {
    fn there(&self) -> Result<(), StoreError> {
        let is_away = self.is_away.load(Ordering::SeqCst) || self.steps.has_stopped();
        if is_away { Err(StoreError::Io(io::Error::other("the log is away"))) } else { Ok(()) }
    }
}

impl Store for Link {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.there()?;
        self.log.last()
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.there().map_err(AppendError::Failed)?;
        let log = &mut self.log;
        let appended = self.steps.take(|| log.append(batch));
        appended.unwrap_or_else(|| Err(AppendError::Unknown(StoreError::Io(stopped()))))
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.there()?;
        self.log.read(from, max_bytes)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.log.erase(events)
    }
}

/// A log with one provider and a hundred codes, and what does not change.
pub struct Rig {
    pub keys: Arc<DeploymentKeys>,
    pub log: MemoryStore,
    pub time: Arc<AtomicU64>,
    pub limits: Limits,
    shelf: Arc<Shelf>,
    _folder: TempDir,
}

/// What stays of a server when it is killed.
#[derive(Clone, Default)]
pub struct Machine {
    pub disk: MemoryDisk,
    pub is_away: Arc<AtomicBool>,
}

impl Machine {
    pub fn away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    pub fn steps(&self) -> &Steps {
        &self.disk.steps
    }
}

/// A server without listeners.
pub struct Server {
    pub service: Service,
    keys: Arc<DeploymentKeys>,
    _inputs: mpsc::Receiver<gcs_server::node::PublicationInput>,
}

/// How a report was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted(String),
    Held(TrackingId),
    Refused(&'static str),
}

impl Rig {
    pub fn new() -> Rig {
        let keys = Arc::new(crate::common::keys(1));
        let mut log = MemoryStore::new();
        let mut events = begin(&keys, &policy(), NOW);
        events.push(ProviderAdded { provider: 1, name: "a clinic".into(), token: [1; 32] }.into());
        log.append(&seal(0, [0; 32], &events, NOW)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(Files::local(folder.path()).unwrap(), keys.root(), 0);
        let (time, shelf) = (Arc::new(AtomicU64::new(NOW)), Arc::new(shelf));
        let limits = Limits::default();
        let rig = Rig { keys, log, time, limits, shelf, _folder: folder };
        rig.act(|state, context| judge::open_range(state, context, 1, 100, 100).unwrap().events);
        rig
    }

    /// Appends events to the log, as another server does.
    pub fn act(
        &self,
        judge: impl FnOnce(&State, RequestContext) -> Vec<gcs_server::domain::events::Event>,
    ) {
        let state = self.folded();
        let now = self.now();
        let random = Random::System.bytes().unwrap();
        let events = judge(&state, RequestContext { now, leap: None, random });
        if !events.is_empty() {
            self.log.clone().append(&seal(state.position, state.head, &events, now)).unwrap();
        }
    }

    /// Reports to the log, as another server does.
    pub fn report_elsewhere(&self, serial: u32, items: &[Item]) {
        let sent = submission(self.code(serial), items);
        self.act(|state, context| judge::report(state, &self.keys, context, &sent).unwrap().events);
    }

    pub fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    pub fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn folded(&self) -> State {
        fold(&mut self.log.clone(), &self.keys)
    }

    pub fn code(&self, serial: u32) -> Code {
        Code::issue(&self.keys.provider(1, 1), 1, serial).unwrap()
    }

    /// Starts a server on a machine.
    pub fn start(&self, machine: &Machine) -> Server {
        let link = Link {
            log: self.log.clone(),
            is_away: Arc::clone(&machine.is_away),
            steps: Arc::clone(&machine.disk.steps),
        };
        let clock = Clock::Manual(Arc::clone(&self.time));
        let (inputs, queue) = mpsc::channel(1000);
        let random = Random::System;
        let state = self.folded();
        let (node, _thread) =
            Node::start(Box::new(link), state, clock.clone(), random.clone(), inputs).unwrap();
        let (disk, keys) = (Box::new(machine.disk.clone()), Arc::clone(&self.keys));
        let spool = Spool::open(disk, Arc::clone(&keys), random.clone(), self.limits).unwrap();
        let service = Service {
            node,
            keys: Arc::clone(&keys),
            log: LogReader::new(LogPlace::File("none".into())),
            clock: clock.into(),
            published: watch::channel(None).1,
            shelf: Arc::clone(&self.shelf),
            body_patience: std::time::Duration::from_secs(1),
            request_log: Arc::new(RequestLog::new(LoggedRequests::None)),
            metrics: Arc::new(Metrics::default()),
            spool: Some(spool),
            random,
            bluetrace: None,
        };
        Server { service, keys, _inputs: queue }
    }
}

impl Server {
    pub fn spool(&self) -> &Spool {
        self.service.spool.as_ref().unwrap()
    }

    pub async fn send(&self, code: Code, items: &[Item]) -> Answer {
        match self.service.report(submission(code, items)).await {
            Ok(Reception::Accepted(answer)) => Answer::Accepted(answer.tracking_id),
            Ok(Reception::Received(tracking)) => Answer::Held(tracking),
            Err(problem) => Answer::Refused(problem.code()),
        }
    }

    /// A report of one element by a code of provider 1.
    pub async fn report(&self, serial: u32, element: u64) -> Answer {
        let code = Code::issue(&self.keys.provider(1, 1), 1, serial).unwrap();
        self.send(code, &[raw(2, element)]).await
    }

    pub async fn held(&self, serial: u32, element: u64) -> TrackingId {
        match self.report(serial, element).await {
            Answer::Held(tracking) => tracking,
            other => panic!("{serial}, {element}: {other:?}"),
        }
    }

    pub async fn round(&self) -> (Drained, Option<Problem>) {
        let metrics = Arc::clone(&self.service.metrics);
        let (spool, node) = (self.spool().clone(), self.service.node.clone());
        Drain { spool, node, metrics }.round().await
    }

    /// Drains, which must succeed.
    #[track_caller]
    pub fn drained(&self) -> impl Future<Output = Drained> {
        let place = std::panic::Location::caller();
        async move {
            let (drained, problem) = self.round().await;
            assert!(problem.is_none(), "{place}: {problem:?}");
            assert!(self.spool().is_empty(), "{place}");
            drained
        }
    }

    pub fn status(&self, tracking: &TrackingId) -> Result<ReportStatus, Problem> {
        let tracking = data_encoding::HEXLOWER.encode(tracking);
        // No other server appends to this log, so nothing is waited for.
        self.service.report_status(&tracking).now_or_never().unwrap()
    }

    /// The status of a report in words, with the code of its refusal.
    pub fn verdict(&self, tracking: &TrackingId) -> String {
        match self.status(tracking) {
            Ok(status) => {
                let status = serde_json::to_value(status).unwrap();
                let code = status["code"].as_str().map(|code| format!(" {code}"));
                format!("{}{}", status["status"].as_str().unwrap(), code.unwrap_or_default())
            }
            Err(problem) => problem.code().to_owned(),
        }
    }
}

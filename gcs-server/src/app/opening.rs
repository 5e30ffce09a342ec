//! Opening the log: at the start, and again while it cannot be used.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io, mem};

use gcs_core::Version;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::anchor::{self, AnchorFile};
use super::catch_up::{CaughtUp, remake};
use super::checkpoint::{Checkpoints, Unusable};
use super::erasing::{Eraser, OTHERS};
use super::folder::{DataFolder, FolderError};
use super::repair::{OnLoss, OpenLog};
use super::start::{Before, StartError};
use super::ticker;
use crate::apart::apart;
use crate::clock::WatchedClock;
use crate::domain::state::State;
use crate::node::{Decider, Entry, Erase, Erasure, Node, PublicationInput, Replayed, TickPosition};
use crate::publishing::{Published, Publishing, Remake, Worker};
use crate::random::Random;
use crate::service::Service;
use crate::store::witness::Seen;
use crate::store::{LogPlace, Store};

/// Number of publications that may wait to be computed. No tick is made before the last one is
/// published, so that few are enough.
const INPUTS: usize = 2;

/// The name of the threads that read the log.
const THREAD: &str = "opening";

/// How often a node looks for what other nodes have appended.
const FOLLOW: Duration = Duration::from_secs(1);

/// What it takes to open the log of a deployment, and to go on with it.
pub(super) struct Opener {
    pub(super) service: Service,
    pub(super) entry: Entry,
    pub(super) log: LogPlace,
    pub(super) publishing: Publishing,
    pub(super) checkpoints: Checkpoints,
    pub(super) random: Random,
    /// Says which publication phones can fetch.
    pub(super) published: watch::Sender<Option<Published>>,
    pub(super) data_dir: PathBuf,
    /// The URLs of the listeners.
    pub(super) urls: [String; 2],
}

/// A log that is open, and the state of its checkpoint.
struct OpenedLog {
    store: Box<dyn Store>,
    checkpoint: Result<State, Unusable>,
    /// Locked as long as the log is open.
    folder: DataFolder,
}

/// A log that has been read to its end, and the last publication.
pub(super) struct ReadLog {
    store: Box<dyn Store>,
    caught_up: CaughtUp,
    published: Option<Published>,
    folder: DataFolder,
}

impl Opener {
    /// Puts the published files on the shelf, and reads the log of a folder that was locked for that. Also
    /// says how long the log took.
    ///
    /// # Errors
    /// When the published files cannot be read. An error of the log is in the answer.
    pub(super) async fn first(
        &self,
        folder: DataFolder,
    ) -> Result<(Result<ReadLog, StartError>, Duration), StartError> {
        let began = Instant::now();
        folder.announce_try();
        // Both take seconds with millions of elements.
        let opened = self.open(folder)?;
        let before = futures_util::future::try_join(
            Before::look(&self.publishing, None),
            self.expect_conditions(),
        );
        let before = before.await.map(|(before, ())| before);
        let opened = opened.await.map_err(io::Error::other)?;
        let before = before?;
        self.published.send_replace(before.published.clone());
        let read = match opened {
            Ok(opened) => self.read(opened, before).await,
            Err(error) => Err(error),
        };
        Ok((read, began.elapsed()))
    }

    /// Makes sure that the storage of published files does what it is told.
    async fn expect_conditions(&self) -> Result<(), StartError> {
        let random = self.random.bytes().map_err(io::Error::other)?;
        Ok(self.publishing.expect_conditions(random).await?)
    }

    /// Reads the log once more, and whatever was published meanwhile.
    ///
    /// # Errors
    /// Why the log cannot be used.
    pub(super) async fn again(&self) -> Result<ReadLog, StartError> {
        // A folder that is gone must not be made again: its disk may not be mounted.
        let path = &self.data_dir;
        fs::metadata(path).map_err(|error| FolderError::Io { path: path.clone(), error })?;
        let folder = DataFolder::claim_to_try(path, self.log.clone())?;
        let opened = self.open(folder)?.await.map_err(io::Error::other)??;
        let before = Before::look(&self.publishing, self.last_read()).await?;
        self.read(opened, before).await
    }

    /// The last tick that was read from the log before it was lost.
    fn last_read(&self) -> Option<Version> {
        self.service.node.state().last_tick.map(|last| last.version)
    }

    /// Whether there is a publication to serve.
    pub(super) fn serves(&self) -> bool {
        self.publishing.shelf.in_memory("/v1/manifest").is_some()
    }

    /// Opens the log and reads its checkpoint.
    fn open(
        &self,
        folder: DataFolder,
    ) -> io::Result<oneshot::Receiver<Result<OpenedLog, StartError>>> {
        let (checkpoints, now) = (self.checkpoints.clone(), self.service.clock.now());
        apart(THREAD, move || {
            let OpenLog { store, repaired, .. } = folder.open_log(now, OnLoss::Refuse)?;
            if let Some(repaired) = repaired {
                tracing::warn!("{repaired}");
            }
            let mut store = checkpoints.guard(store);
            let checkpoint = checkpoints.read(&mut *store);
            Ok(OpenedLog { store, checkpoint, folder })
        })
    }

    /// Computes the state and the publications that are missing.
    async fn read(&self, opened: OpenedLog, mut before: Before) -> Result<ReadLog, StartError> {
        let published = mem::take(&mut before.published);
        let keys = Arc::clone(&self.service.keys);
        let read = apart(THREAD, move || {
            let OpenedLog { mut store, checkpoint, folder } = opened;
            let caught_up = before.catch_up(&mut *store, &keys, checkpoint)?;
            if caught_up.replayed.newer.is_none() {
                store.settle();
            }
            Ok(ReadLog { store, caught_up, published, folder })
        });
        read?.await.map_err(io::Error::other)?
    }

    /// Goes on with the log: what was waiting for it begins to work.
    pub(super) fn go_on(&self, read: ReadLog) -> Work {
        let Opener { service, entry, publishing, checkpoints, random, published, urls, .. } = self;
        let ReadLog { store, caught_up, published: last, folder } = read;
        let [public, private] = urls;
        folder.announce(public, private);
        let CaughtUp { replayed, builder, outbox, .. } = caught_up;
        let Replayed { state, unerased, newer } = replayed;
        // After a recovery or a recall nothing of the old series is written any more, which may be
        // older than what phones have. The first tick of the new one comes at once.
        let series = state.series;
        let is_over = |of: &TickPosition| of.version.series < series;
        published.send_replace(last.filter(|last| !is_over(&last.position)));
        let waits = outbox.position().as_ref().is_some_and(is_over);

        let (inputs, queue) = mpsc::channel::<PublicationInput>(INPUTS);
        let is_read_only = newer.is_some();
        let mut following = None;
        if is_read_only {
            entry.open_read_only(state);
        } else {
            let is_shared = store.is_shared();
            let erase = is_shared.then(|| self.eraser(folder.log(), unerased, &state)).flatten();
            entry.open(store, state, service.clock.clone(), random.clone(), inputs, erase);
            following = is_shared.then(|| tokio::spawn(follow(service.node.clone())));
        }
        let remake = Remake::new(remake(folder.log().clone(), Arc::clone(&service.keys)));
        let worker = Worker::new(publishing.clone(), builder, published.clone(), Some(remake));
        let (node, published) = (service.node.view(), service.published.clone());
        let clock = service.clock.clone();
        let anchor = AnchorFile::new(folder.anchor(), clock.clone(), service.node.view());
        let ticks = clock.is_system() && !is_read_only;
        let (stop_checkpointing, stopped) = oneshot::channel();
        Work {
            worker: tokio::spawn(worker.run(outbox, waits, queue)),
            checkpointing: tokio::spawn(checkpoints.clone().run(node, published, stopped)),
            stop_checkpointing,
            ticker: ticks.then(|| tokio::spawn(ticker::run(service.clone()))),
            following,
            anchoring: tokio::spawn(anchor.run()),
            publishing: publishing.clone(),
            clock,
            folder,
        }
    }

    /// What erases from a log that others append to, and begins with what they or an earlier run have left. Without
    /// a thread for it, the node erases.
    fn eraser(&self, log: &LogPlace, unerased: Vec<u64>, state: &State) -> Option<Erase> {
        let log = log.clone();
        let purge = Seen { position: state.position, head: state.head };
        let left = Erasure { events: unerased, purge, decider: Decider::Another };
        let eraser = Eraser::start(move || log.reader(), left, self.checkpoints.clone(), OTHERS);
        let eraser = eraser.inspect_err(|error| {
            tracing::error!(%error, "bodies are erased by the thread that judges");
        });
        Some(eraser.ok()?.into())
    }

    /// Waits until the log is not the one any more that the state was computed from.
    pub(super) async fn lost(&self) {
        self.entry.lost().await;
    }
}

/// Keeps the state of a node up to date with a log that other nodes append to.
async fn follow(node: Node) {
    loop {
        tokio::time::sleep(FOLLOW).await;
        // Whatever is wrong is said by who wants something of the log.
        let _tried_again = node.catch_up().await;
    }
}

/// What works behind the listeners as long as the log is open.
pub(super) struct Work {
    worker: JoinHandle<()>,
    checkpointing: JoinHandle<()>,
    stop_checkpointing: oneshot::Sender<()>,
    ticker: Option<JoinHandle<()>>,
    following: Option<JoinHandle<()>>,
    anchoring: JoinHandle<()>,
    publishing: Publishing,
    clock: WatchedClock,
    /// Locked until the end, so that no other server uses it.
    folder: DataFolder,
}

impl Work {
    /// Makes no tick any more, and does not look at the log.
    pub(super) async fn stop_acting(&mut self) {
        for task in [&mut self.ticker, &mut self.following] {
            if let Some(task) = task.take() {
                task.abort();
                // The task holds a handle to the node, which must be dropped before the node can end.
                let _aborted = task.await;
            }
        }
    }

    /// Waits until everything that the node has accepted is written. The node must have ended, or lost its log.
    pub(super) async fn end(mut self) {
        self.stop_acting().await;
        let Work {
            mut worker,
            checkpointing,
            stop_checkpointing,
            anchoring,
            publishing,
            clock,
            folder,
            ..
        } = self;
        anchoring.abort();
        // A publication that cannot be written now is written at the next start.
        if tokio::time::timeout(Duration::from_secs(10), &mut worker).await.is_err() {
            // Nothing may be written any more once the log is opened again, here or by another process. However long a
            // disk hangs: nothing could be read from it either.
            worker.abort();
            let _aborted = worker.await;
            publishing.until_idle().await;
        }
        drop(stop_checkpointing);
        let _written = checkpointing.await;
        anchor::save(&folder.anchor(), &clock);
    }
}

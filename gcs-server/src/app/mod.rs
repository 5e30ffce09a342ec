//! Starting and stopping the server.

mod advice;
mod anchor;
mod backup;
mod catch_up;
mod certificates;
mod checkpoint;
pub mod config;
mod first_start;
mod folder;
pub mod key_file;
mod limits;
mod loss;
mod needed;
mod repair;
mod restore;
mod start;
mod ticker;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::sync::{mpsc, watch};

use self::anchor::AnchorFile;
pub use self::backup::{CopyError, LogCopy};
use self::catch_up::remake;
pub use self::catch_up::{CaughtUp, catch_up};
pub use self::certificates::Certificates;
pub use self::checkpoint::{Checkpoints, Unusable};
pub use self::folder::{DataFolder, FolderError, Opened};
pub use self::loss::Loss;
use self::repair::LOG;
pub use self::repair::{OnLoss, expect_undamaged};
pub use self::restore::{Restore, RestoreError};
use self::start::{Before, Bound, listen};
pub use self::start::{StartError, publishing};
use crate::app::config::Config;
use crate::clock::{Clock, WatchedClock};
use crate::domain::keys::DeploymentKeys;
use crate::domain::token::Token;
use crate::http::{self, Listener};
use crate::node::{Node, PublicationInput, Replayed, TickPosition};
use crate::publishing::{Publishing, Remake, Worker};
use crate::random::Random;
use crate::request_log::RequestLog;
use crate::service::Service;
use crate::store::{LogReader, Store};

/// Number of publications that may wait to be computed. No tick is made before the last one is
/// published, so that few are enough.
const INPUTS: usize = 2;

/// A server that has started.
pub struct App {
    service: Service,
    public: (SocketAddr, Server),
    private: (SocketAddr, Server),
    node_thread: Option<JoinHandle<()>>,
    worker: tokio::task::JoinHandle<()>,
    checkpointing: tokio::task::JoinHandle<()>,
    ticker: Option<tokio::task::JoinHandle<()>>,
    anchoring: tokio::task::JoinHandle<()>,
    new_token: Option<Token>,
    certificates: Certificates,
    /// Kept open until the end, so that no other server uses the folder.
    folder: DataFolder,
}

impl App {
    /// Starts a server: opens the data folder or makes it, replays the log, listens.
    /// With a clock that is not the system's, ticks are made only on command.
    ///
    /// # Errors
    /// A [`StartError`] that says what to do.
    pub async fn build(config: &Config, clock: Clock, random: Random) -> Result<App, StartError> {
        DataFolder::expect_unused(config)?;
        // Before anything is made: the token of a new deployment is shown only once.
        let certificates = Certificates::load(config)?;
        let public = listen(config.public_listen, "--public-listen")?;
        let private = listen(config.private_listen, "--private-listen")?;
        let opened = DataFolder::open(config, clock.now(), &random)?;
        let Opened { mut folder, store, keys, token, repaired, .. } = opened;
        if let Some(repaired) = repaired {
            tracing::warn!("{repaired}");
        }
        folder.announce(public.0, private.0);
        let publishing = publishing(&folder, keys.root(), u64::from(config.file_memory) << 20)?;
        let keys = Arc::new(keys);
        let checkpoints = Checkpoints::new(&folder.private(), Arc::clone(&keys));
        let store = (checkpoints.guard(store), folder.log());
        let clock = WatchedClock::new(clock, anchor::read(&folder.anchor()));
        let running = Running::start(store, keys, publishing, checkpoints, (clock, random), config);
        let Running { service, node_thread, worker, checkpointing } = running.await?;
        // A token that was never shown may have been replaced meanwhile.
        let token = token.filter(|token| token.hash() == service.node.state().operator);
        let anchor = AnchorFile::new(folder.anchor(), service.clock.clone(), service.node.view());
        let ticks = service.clock.is_system() && !service.node.is_read_only();
        let places = limits::places();
        let serve = |listener, (address, socket): Bound, places, tls| {
            http::serve(listener, socket, places, tls, service.clone())
                .map(|server| (address, server))
        };
        let Certificates { public: public_tls, private: private_tls } = certificates.clone();
        Ok(App {
            public: serve(Listener::Public, public, places.public, public_tls)?,
            private: serve(Listener::Private, private, places.private, private_tls)?,
            certificates,
            node_thread,
            worker,
            checkpointing,
            anchoring: tokio::spawn(anchor.run()),
            ticker: ticks.then(|| tokio::spawn(ticker::run(service.clone()))),
            service,
            new_token: token,
            folder,
        })
    }

    /// The public listener's address.
    pub fn public(&self) -> SocketAddr {
        self.public.0
    }

    /// The private listener's address.
    pub fn private(&self) -> SocketAddr {
        self.private.0
    }

    /// The operator's token, if this is a new deployment whose token has not been shown.
    pub fn new_token(&self) -> Option<&Token> {
        self.new_token.as_ref()
    }

    /// Notes that the operator's token has been shown, so that no start shows it again.
    ///
    /// # Errors
    /// When the token cannot be deleted; then the next start shows it again.
    pub fn token_is_shown(&self) -> io::Result<()> {
        self.folder.token_is_shown()
    }

    /// What the listeners identify themselves with.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The service that request handlers use.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Handles to stop both listeners; then [`App::run`] returns.
    pub fn handles(&self) -> [ServerHandle; 2] {
        [self.public.1.handle(), self.private.1.handle()]
    }

    /// Runs until both listeners are stopped, then until everything that was accepted is written.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(self) -> io::Result<()> {
        let App { service, public, private, node_thread, worker, ticker, anchoring, .. } = self;
        let (folder, clock) = (self.folder, service.clock.clone());
        let checkpointing = self.checkpointing;
        let listened = futures_util::future::try_join(public.1, private.1).await;
        anchoring.abort();
        if let Some(ticker) = ticker {
            ticker.abort();
            // The task holds a handle to the node, which must be dropped before the node can end.
            let _aborted = ticker.await;
        }
        drop(service);
        let join = move || node_thread.map_or(Ok(()), JoinHandle::join);
        let joined = tokio::task::spawn_blocking(join).await;
        // A publication that cannot be written now is written at the next start.
        if tokio::time::timeout(Duration::from_secs(10), worker).await.is_ok() {
            let _written = checkpointing.await;
        }
        anchor::save(&folder.anchor(), &clock);
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the node ended with a panic");
        }
        listened.map(drop)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (public, private) = (self.public.0, self.private.0);
        f.debug_struct("App")
            .field("public", &public)
            .field("private", &private)
            .finish_non_exhaustive()
    }
}

/// Everything that runs behind the listeners.
struct Running {
    service: Service,
    node_thread: Option<JoinHandle<()>>,
    worker: tokio::task::JoinHandle<()>,
    checkpointing: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Replays the log, then starts the node and the worker that publishes.
    async fn start(
        (mut store, log): (Box<dyn Store>, PathBuf),
        keys: Arc<DeploymentKeys>,
        publishing: Publishing,
        checkpoints: Checkpoints,
        (clock, random): (WatchedClock, Random),
        config: &Config,
    ) -> Result<Running, StartError> {
        // Both take seconds with millions of elements.
        let own = checkpoints.clone();
        let read = tokio::task::spawn_blocking(move || {
            let checkpoint = own.read(&mut *store);
            (store, checkpoint)
        });
        let mut before = Before::look(&publishing).await?;
        let last = before.published.take();
        let (mut store, checkpoint) = read.await.map_err(io::Error::other)?;
        let own_keys = Arc::clone(&keys);
        let replayed = tokio::task::spawn_blocking(move || {
            let caught_up = before.catch_up(&mut *store, &own_keys, checkpoint)?;
            if caught_up.replayed.newer.is_none() {
                store.settle();
            }
            Ok::<_, StartError>((store, caught_up))
        });
        let (store, caught_up) = replayed.await.map_err(io::Error::other)??;
        let CaughtUp { replayed: Replayed { state, newer, .. }, builder, outbox, .. } = caught_up;

        let series = state.series;
        let (inputs, queue) = mpsc::channel::<PublicationInput>(INPUTS);
        let (node, node_thread) = match newer {
            None => {
                let (node, thread) = Node::start(store, state, clock.clone(), random, inputs)?;
                (node, Some(thread))
            }
            Some(_) => (Node::read_only(state), None),
        };
        // After a recovery or a recall nothing of the old series is written any more, which may be
        // older than what phones have. The first tick of the new one comes at once.
        let is_over = |of: &TickPosition| of.version.series < series;
        let last = last.filter(|last| !is_over(&last.position));
        let waits = outbox.position().as_ref().is_some_and(is_over);
        let (sender, published) = watch::channel(last);
        let shelf = Arc::clone(&publishing.shelf);
        let remake = Remake::new(remake(log, Arc::clone(&keys)));
        let worker = Worker::new(publishing, builder, sender, Some(remake));
        let worker = tokio::spawn(worker.run(outbox, waits, queue));
        let checkpointing = tokio::spawn(checkpoints.run(node.view(), published.clone()));
        let service = Service {
            node,
            keys,
            log: LogReader::new(config.data_dir.join(LOG)),
            clock,
            published,
            shelf,
            body_patience: Duration::from_secs(config.body_seconds.into()),
            request_log: Arc::new(RequestLog::new(config.log_requests)),
            metrics: Arc::default(),
        };
        Ok(Running { service, node_thread, worker, checkpointing })
    }
}

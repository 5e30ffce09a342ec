//! Starting and stopping the server.

mod advice;
mod anchor;
mod backup;
mod catch_up;
mod certificates;
mod checkpoint;
pub mod config;
mod erasing;
mod first_start;
mod folder;
mod folder_error;
mod kept;
pub mod key_file;
mod limits;
mod loss;
mod moving;
mod needed;
mod opening;
mod repair;
mod restore;
mod salvage;
mod spooling;
mod start;
mod ticker;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::spawn_blocking;

pub use self::backup::{CopyError, LogCopy};
pub use self::catch_up::{CaughtUp, catch_up};
pub use self::certificates::Certificates;
pub use self::checkpoint::{Checkpoints, Unusable};
pub use self::erasing::Eraser;
pub use self::folder::{DataFolder, FolderError, Opened};
pub use self::loss::Loss;
pub use self::moving::{MoveError, MovedLog, move_log};
use self::opening::{Opener, Work};
pub use self::repair::{OnLoss, expect_undamaged};
pub use self::restore::{Restore, RestoreError};
pub use self::salvage::{DamagedEvent, Salvage, SalvageError};
use self::start::{Bound, listen};
pub use self::start::{StartError, publishing};
use self::waiting::{Look, Waiting};
use crate::app::config::Config;
use crate::bluetrace::{Authority, Courier, keeper};
use crate::clock::{Clock, WatchedClock};
use crate::domain::token::Token;
use crate::http::{self, Listener};
use crate::node::Node;
use crate::random::Random;
use crate::request_log::RequestLog;
use crate::service::Service;
use crate::store::LogReader;

/// A server that has started.
pub struct App {
    service: Service,
    public: (SocketAddr, Server),
    private: (SocketAddr, Server),
    node_thread: JoinHandle<()>,
    log: Log,
    /// Has the log tried again at once, if it cannot be used.
    hurry: Arc<Notify>,
    new_token: Option<Token>,
    certificates: Certificates,
    data_dir: PathBuf,
}

/// How it stands with the log.
enum Log {
    /// The log is open: what works on it, and what opens it again if it is lost.
    Open(Box<Work>, Box<Opener>),
    /// It cannot be used yet.
    Refused(Box<Waiting>),
}

impl Log {
    /// Goes on with the log, and opens it again whenever that is needed. Gives what works on it when the server
    /// stops, if it is open then.
    async fn until_stopped(
        mut self,
        hurry: Arc<Notify>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Option<Work> {
        loop {
            self = match self {
                Log::Open(work, opener) => {
                    tokio::select! {
                        _ = &mut stopped => return Some(*work),
                        () = opener.lost() => {}
                    }
                    work.end().await;
                    let looked = Look::of(&opener.data_dir);
                    Log::Refused(Box::new(Waiting::new(
                        *opener,
                        StartError::Lost,
                        Duration::ZERO,
                        looked,
                    )))
                }
                Log::Refused(waiting) => {
                    let (work, opener) = waiting.until_open(&hurry, &mut stopped).await?;
                    Log::Open(Box::new(work), Box::new(opener))
                }
            }
        }
    }
}

impl App {
    /// Starts a server: opens the data folder or makes it, replays the log, listens.
    /// With a clock that is not the system's, ticks are made only on command.
    ///
    /// If the log cannot be used, but there are published files, the server starts without its log: it serves these
    /// files and nothing else, and tries again until the log can be used. See [`App::whole`].
    ///
    /// # Errors
    /// A [`StartError`] that says what to do.
    pub async fn build(config: &Config, clock: Clock, random: Random) -> Result<App, StartError> {
        DataFolder::expect_unused(config)?;
        spooling::expect_usable(config).await?;
        // Before anything is made: the token of a new deployment is shown only once.
        let certificates = Certificates::load(config)?;
        let public = listen(config.public_listen, "--public-listen")?;
        let private = listen(config.private_listen, "--private-listen")?;
        let (folder, keys) = {
            let (config, now, random) = (config.clone(), clock.now(), random.clone());
            let prepare = move || DataFolder::prepare(&config, now, &random);
            spawn_blocking(prepare).await.map_err(io::Error::other)??
        };
        let token = folder.token();
        let memory = u64::from(config.file_memory) << 20;
        let publishing = publishing(&folder, config, keys.root(), memory)?;
        let keys = Arc::new(keys);
        let checkpoints = Checkpoints::new(&folder.private(), Arc::clone(&keys));
        let clock = WatchedClock::new(clock, anchor::read(&folder.anchor()));
        let spool = spooling::open(config, &keys, &random).await?;
        let bluetrace = match config.bluetrace().map_err(io::Error::other)? {
            Some((hai, sender)) => {
                let now = clock.now();
                let opened = Authority::open(&config.data_dir, hai, sender, now, &random)?;
                Some(Arc::new(opened))
            }
            None => None,
        };
        let (node, entry, node_thread) = Node::without_log()?;
        let (sender, published) = watch::channel(None);
        let service = Service {
            node,
            keys,
            log: LogReader::new(folder.log().clone()),
            clock,
            published,
            shelf: Arc::clone(&publishing.shelf),
            body_patience: Duration::from_secs(config.body_seconds.into()),
            request_log: Arc::new(RequestLog::new(config.log_requests)),
            metrics: Arc::default(),
            spool,
            random: random.clone(),
            bluetrace,
        };
        let opener = Opener {
            service: service.clone(),
            entry,
            log: config.log(),
            publishing,
            checkpoints,
            random,
            published: sender,
            data_dir: config.data_dir.clone(),
            urls: certificates.urls(public.0, private.0),
        };
        let looked = Look::of(&opener.data_dir);
        let (read, took) = opener.first(folder).await?;
        let log = match read {
            Ok(read) => Log::Open(Box::new(opener.go_on(read)), Box::new(opener)),
            Err(error) if opener.serves() && !error.is_setting() => {
                if let Some(spool) = &service.spool {
                    spooling::remember(spool, &opener.checkpoints, &service.keys).await;
                }
                Log::Refused(Box::new(Waiting::new(opener, error, took, looked)))
            }
            Err(error) => return Err(error),
        };
        // A token that was never shown may have been replaced meanwhile.
        let token = token.filter(|token| token.hash() == service.node.state().operator);
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
            log,
            hurry: Arc::default(),
            service,
            new_token: token,
            data_dir: config.data_dir.clone(),
        })
    }

    /// The server, if it can use its log.
    ///
    /// # Errors
    /// Why it cannot. The server is stopped then.
    pub fn whole(self) -> Result<App, StartError> {
        match self.log {
            Log::Refused(waiting) => Err(waiting.why),
            Log::Open(..) => Ok(self),
        }
    }

    /// Has the log tried again at once, if it cannot be used.
    pub fn hurry(&self) -> Arc<Notify> {
        Arc::clone(&self.hurry)
    }

    /// The public listener's address.
    pub fn public(&self) -> SocketAddr {
        self.public.0
    }

    /// The private listener's address.
    pub fn private(&self) -> SocketAddr {
        self.private.0
    }

    /// The addresses of the public and the private listener, as URLs.
    pub fn urls(&self) -> [String; 2] {
        self.certificates.urls(self.public(), self.private())
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
        match self.log {
            Log::Open(..) => first_start::end(&self.data_dir),
            // Whether there is a token to show is not known.
            Log::Refused(_) => Ok(()),
        }
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
        let App { service, public, private, node_thread, log, hurry, .. } = self;
        let (stop, stopped) = oneshot::channel::<()>();
        let work = tokio::spawn(log.until_stopped(hurry, stopped));
        let draining = spooling::drain(&service).map(|drain| tokio::spawn(drain.run()));
        let keeping = keeper::run(service.bluetrace.clone(), service.node.clone());
        let keeping = tokio::spawn(keeping);
        let delivering = courier(&service).map(|courier| tokio::spawn(courier.run()));
        let listened = futures_util::future::try_join(public.1, private.1).await;
        drop(stop);
        let mut work = work.await.ok().flatten();
        if let Some(work) = &mut work {
            work.stop_acting().await;
        }
        for beside in draining.into_iter().chain([keeping]).chain(delivering) {
            beside.abort();
            let _aborted = beside.await;
        }
        drop(service);
        let joined = spawn_blocking(move || node_thread.join()).await;
        if let Some(work) = work {
            work.end().await;
        }
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the node ended with a panic");
        }
        listened.map(drop)
    }
}

/// What brings messages to other authorities, if BlueTrace is on.
fn courier(service: &Service) -> Option<Courier> {
    let Service { node, log, clock, random, .. } = service.clone();
    let courier = Courier::new(service.bluetrace.clone()?, node, log, clock, random);
    let failed =
        |error| tracing::error!(%error, "nothing is sent to other authorities: TLS cannot be used");
    courier.map_err(failed).ok()
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

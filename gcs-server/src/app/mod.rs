//! Starting and stopping.

mod advice;
pub mod config;
mod folder;
mod ticker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

pub use self::folder::{Folder, FolderError, NewDeployment, Opened};
use crate::app::config::Config;
use crate::clock::Clock;
use crate::domain::log::Event;
use crate::http::{self, Listener};
use crate::node::{Node, PublicationInput, ReplayError, Replayed, replay};
use crate::publishing::{
    Outbox, PublicationBuilder, Published, Publishing, PublishingError, TickPosition, Worker,
};
use crate::service::Service;

/// PublicationInputs that wait to be published: the clock makes none before the last one is out.
const EDITIONS: usize = 2;

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log.
    #[error("the log cannot be used: {0}\nNothing has been changed.")]
    Replay(#[from] ReplayError),
    /// The log lacks what was published from it.
    #[error(
        "the log does not have tick {tick}, which was published from it: its end is missing, or \
         it is another log.\nRestore the log from a copy; if there is none that is newer, \
         `gcs-server recover` goes on from this one. Nothing has been changed."
    )]
    Behind {
        /// The tick.
        tick: u32,
    },
    /// A log without anything that was published from it, as on a new machine.
    #[error(
        "nothing that was published from this log is here (its last tick is {tick}).\nIf no newer \
         copy of the log has ever been published from: `gcs-server rebuild --write`, then start.\n\
         If one may have been: `gcs-server recover --yes`, which begins a new series; phones that \
         saw more would refuse anything else. Nothing has been changed."
    )]
    Elsewhere {
        /// The last tick of the log.
        tick: u32,
    },
    /// The published files.
    #[error("the published files cannot be used: {0}")]
    Publishing(#[from] PublishingError),
    /// The folder of files cannot be used.
    #[error("the published files cannot be used: {0}")]
    Files(#[from] object_store::Error),
    /// A listener.
    #[error("cannot listen on {address}: {error}\n{advice}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
        /// The likely cause, and what to do.
        advice: String,
    },
    /// The system refuses.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// A server that has started.
pub struct App {
    service: Service,
    public: (SocketAddr, Server),
    private: (SocketAddr, Server),
    node_thread: Option<JoinHandle<()>>,
    worker: tokio::task::JoinHandle<()>,
    ticker: Option<tokio::task::JoinHandle<()>>,
    new: Option<NewDeployment>,
    /// Held until the end: no other server may use the folder.
    _folder: Folder,
}

impl App {
    /// Starts a server: opens the data folder or makes it, replays the log, listens.
    /// With a clock that is not the system's, ticks are made on command only.
    ///
    /// # Errors
    /// A [`StartError`] that says what to do.
    pub async fn build(config: &Config, clock: Clock) -> Result<App, StartError> {
        Folder::expect_unused(config)?;
        // Before anything is made: the token of a new deployment is shown only once.
        let public = listen(config.public_listen, "--public-listen")?;
        let private = listen(config.private_listen, "--private-listen")?;
        let Opened { mut folder, mut store, keys, new } = Folder::open(config, clock.now())?;
        folder.announce(public.0, private.0);
        let publishing = Publishing {
            public: crate::publishing::Files::local(&folder.public())?,
            private: crate::publishing::Files::local(&folder.private())?,
        };
        let saved = publishing.saved().await?;
        let position_of_tick = saved.as_ref().map(|(_, position_of_tick)| *position_of_tick);
        // What was saved knows what is out; if it is lost, the manifests still do.
        let newest = match position_of_tick {
            Some(_) => None,
            None => publishing.newest().await?,
        };
        let is_elsewhere = publishing.is_new().await?;
        let keys = Arc::new(keys);
        let replayed = {
            let keys = Arc::clone(&keys);
            let publisher = saved.map(|(publisher, _)| publisher);
            let builder = PublicationBuilder::new(&keys, publisher);
            tokio::task::spawn_blocking(move || {
                let caught_up = catch_up(&mut *store, &keys, builder, position_of_tick)?;
                let Replayed { state, unerased, newer } = &caught_up.replayed;
                if newer.is_some() {
                    return Ok((store, caught_up));
                }
                if let Some(newest) = newest.filter(|newest| state.lacks(*newest)) {
                    return Err(StartError::Behind { tick: newest.tick });
                }
                if let Some(tick) = state.published_tick().filter(|_| is_elsewhere) {
                    return Err(StartError::Elsewhere { tick });
                }
                if !unerased.is_empty() {
                    // A reader that looks at the log keeps the bytes alive; try again then.
                    if let Err(error) = store.erase(unerased) {
                        tracing::error!(%error, "purged bodies are erased at the next start");
                    }
                }
                Ok::<_, StartError>((store, caught_up))
            })
        };
        let (store, CaughtUp { replayed, builder, mut outbox }) =
            replayed.await.map_err(io::Error::other)??;
        let Replayed { state, newer, .. } = replayed;
        if let Some(error) = &newer {
            // What a newer release published stays as it is.
            tracing::error!(%error, "serving what is published, and accepting nothing");
            outbox = Outbox::default();
        }

        let (sender, published) = watch::channel(None);
        if let Some(position_of_tick) = position_of_tick {
            // What was out is served until what the log has beyond it is written.
            let manifest = publishing.kept_manifest(position_of_tick.version).await?;
            if outbox.last().is_none() {
                publishing.ensure_manifest(&manifest).await?;
            }
            sender.send_replace(Some(Published { position_of_tick, manifest, missing: 0 }));
        }
        let (inputs, queue) = mpsc::channel(EDITIONS);
        let (node, node_thread) = match newer {
            None => Node::start(store, state, clock.clone(), inputs)
                .map(|(node, thread)| (node, Some(thread)))?,
            Some(_) => (Node::read_only(state), None),
        };
        let files = publishing.public.clone();
        let worker = tokio::spawn(Worker::new(publishing, builder, sender).run(outbox, queue));
        let ticks = matches!(clock, Clock::System) && !node.is_read_only();
        let metrics = Arc::default();
        let body_patience = Duration::from_secs(config.body_seconds.into());
        let service = Service { node, keys, clock, published, files, body_patience, metrics };
        let serve = |listener, (address, socket): (SocketAddr, TcpListener)| {
            http::serve(listener, socket, service.clone()).map(|server| (address, server))
        };
        Ok(App {
            public: serve(Listener::Public, public)?,
            private: serve(Listener::Private, private)?,
            node_thread,
            worker,
            ticker: ticks.then(|| tokio::spawn(ticker::run(service.clone()))),
            service,
            new,
            _folder: folder,
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

    /// What was made, if this was the first start.
    pub fn new_deployment(&self) -> Option<&NewDeployment> {
        self.new.as_ref()
    }

    /// What requests are answered from.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Handles to stop both listeners; then [`App::run`] returns.
    pub fn handles(&self) -> [ServerHandle; 2] {
        [self.public.1.handle(), self.private.1.handle()]
    }

    /// Runs until both listeners are stopped, then until everything accepted is written.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(self) -> io::Result<()> {
        let App { service, public, private, node_thread, worker, ticker, .. } = self;
        let listened = futures_util::future::try_join(public.1, private.1).await;
        if let Some(ticker) = ticker {
            ticker.abort();
            // Only that it has ended counts: it holds a handle to the node.
            let _aborted = ticker.await;
        }
        drop(service);
        let join = move || node_thread.map_or(Ok(()), JoinHandle::join);
        let joined = tokio::task::spawn_blocking(join).await;
        // A publication that cannot be written now is written at the next start.
        let _written = tokio::time::timeout(Duration::from_secs(10), worker).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the node did not end well");
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

fn listen(address: SocketAddr, flag: &str) -> Result<(SocketAddr, TcpListener), StartError> {
    let bound = TcpListener::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    bound.map_err(|error| {
        let advice = advice::on_listening(address, flag, &error);
        StartError::Listen { address, error, advice }
    })
}

/// What a replay gives.
#[derive(Debug)]
pub struct CaughtUp {
    /// What the log adds up to.
    pub replayed: Replayed,
    /// The builder after the last tick; `None` if a publication could not be computed. What
    /// is out stays out then, and reports are accepted, until someone looks.
    pub builder: Option<PublicationBuilder>,
    /// What has not been written yet.
    pub outbox: Outbox,
}

/// Replays the log, and computes the publications after `position_of_tick`.
///
/// # Errors
/// A log that is wrong, or lacks what was published from it.
pub fn catch_up(
    store: &mut dyn crate::store::Store,
    keys: &crate::domain::keys::KeyFile,
    builder: PublicationBuilder,
    position_of_tick: Option<TickPosition>,
) -> Result<CaughtUp, StartError> {
    let mut builder = Some(builder);
    let mut outbox = Outbox::default();
    let mut is_there = position_of_tick.is_none();
    let replayed = replay(store, Some(keys), |state, record| {
        let position = record.header.position;
        if let Some(position_of_tick) =
            position_of_tick.filter(|position_of_tick| position <= position_of_tick.position)
        {
            is_there |= position == position_of_tick.position
                && record.header.hash() == position_of_tick.head;
            return Ok(());
        }
        if position_of_tick.is_none() && matches!(record.event, Some(Event::Purge(_))) {
            outbox.forget_history();
        }
        let Some(open) = &mut builder else { return Ok(()) };
        let Some(input) = PublicationInput::of(state, record) else { return Ok(()) };
        if let Err(error) = open.print(&input, &mut outbox) {
            tracing::error!(%error, position, "a publication cannot be computed; publishing stops");
            builder = None;
        }
        Ok(())
    })?;
    if let Some(position_of_tick) =
        position_of_tick.filter(|_| !is_there && replayed.newer.is_none())
    {
        return Err(StartError::Behind { tick: position_of_tick.version.tick });
    }
    Ok(CaughtUp { replayed, builder, outbox })
}

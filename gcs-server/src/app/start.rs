//! The steps of starting the server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use gcs_core::{PublicKey, Version};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::advice;
use super::catch_up::{CaughtUp, can_go_on_from, catch_up, catch_up_from};
use super::checkpoint::Unusable;
use super::config::Config;
use super::folder::{DataFolder, FolderError};
use crate::bluetrace::KeysError;
use crate::domain::keys::DeploymentKeys;
use crate::domain::state::State;
use crate::http::TlsError;
use crate::node::{ReplayError, Replayed};
use crate::publishing::{
    Cores, Files, LocalFolder, Outbox, Published, Publishing, PublishingError,
};
use crate::store::Store;

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataFolder(#[from] FolderError),
    /// The log cannot be replayed.
    #[error("the log cannot be used: {0}\nNothing has been changed.")]
    Replay(#[from] ReplayError),
    /// The log does not have the last publication.
    #[error(
        "tick {tick} was published, but the log does not have it: the end of the log is missing, or \
         it is another log.\nIf there is a newer copy of the log, move log.sqlite and log.sqlite-wal to \
         another folder, and put that copy in their place. If there is none, `gcs-server recover` goes on \
         from this log. Nothing has been changed."
    )]
    Behind {
        /// Number of the newest tick that was published.
        tick: u32,
    },
    /// The log has ticks, but no published files are here, as on a new machine.
    #[error(
        "the last tick of this log is {tick}, but its published files are not here.\n\
         If nothing was published after tick {tick}, run `gcs-server rebuild --write`, then start \
         the server.\nIf later ticks may have been published elsewhere, run `gcs-server recover \
         --yes`, which begins a new series: phones that have seen later ticks accept nothing else. \
         Nothing has been changed."
    )]
    Elsewhere {
        /// Number of the last tick of the log.
        tick: u32,
    },
    /// The log of several nodes is not the one any more that this node has followed.
    #[error(
        "the log is not the one that this node has followed: its end was lost, or replaced. It is read again \
         from its beginning. What the log lines before this one name as lost has to be done again."
    )]
    Lost,
    /// The published files cannot be read or written.
    #[error("the published files cannot be used: {0}")]
    Publishing(#[from] PublishingError),
    /// The folder of files cannot be used.
    #[error("the published files cannot be used: {0}")]
    Files(#[from] object_store::Error),
    /// The spool cannot be used.
    #[error(
        "the spool {path} cannot be used: {error}\nA folder that --spool names must be there; the server must be \
         allowed to make files in it; and it must be for this server alone. Nothing has been changed.", path = .path.display()
    )]
    Spool {
        /// Its folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The server cannot listen on an address.
    #[error("cannot listen on {address}: {error}\n{advice}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
        /// The likely cause, and what to do about it.
        advice: String,
    },
    /// The keys of BlueTrace cannot be used.
    #[error("BlueTrace cannot be used: {0}\nNothing has been changed.")]
    BlueTrace(#[from] KeysError),
    /// A certificate cannot be used.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] TlsError),
    /// Another error of the operating system.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// Whether a setting is wrong, and not the log.
    pub(super) fn is_setting(&self) -> bool {
        matches!(self, StartError::Replay(ReplayError::OtherKeys))
    }
}

/// Connections that may wait to be taken. The system may have a lower limit.
const QUEUE: i32 = 1024;

/// A socket, and the address that it is bound to.
pub(super) type Bound = (SocketAddr, TcpListener);

/// Listens on an address, which the setting `flag` has.
pub(super) fn listen(address: SocketAddr, flag: &str) -> Result<Bound, StartError> {
    let bound = bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    bound.map_err(|error| {
        let advice = advice::on_listening(address, flag, &error);
        StartError::Listen { address, error, advice }
    })
}

/// As [`TcpListener::bind`], but with a longer queue.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // What the last run left on this address does not keep this one from it. On Windows this option means
    // something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

/// The publications that an earlier run of the server left in the data folder.
pub(super) struct Before {
    /// The last publication, to serve until what the log has beyond it is written.
    pub(super) published: Option<Published>,
    /// What may be left to do of the publication that was saved last.
    saved: Option<Outbox>,
    /// The newest version that phones may have: of the newest published manifest, which is looked for only when
    /// nothing was saved, or of the last tick that this process has read, which another node may have published.
    newest: Option<Version>,
    /// Whether nothing was ever published from this folder.
    is_new: bool,
}

impl Before {
    /// What there is in the places of files, where the last tick that this process has read is `read`.
    pub(super) async fn look(
        publishing: &Publishing,
        read: Option<Version>,
    ) -> Result<Before, StartError> {
        let saved = publishing.saved().await?;
        let published = match &saved {
            Some(saved) => publishing.published(saved).await?,
            None => None,
        };
        // The saved publisher has the newest version; if it is lost, the manifests have it.
        let newest = if saved.is_some() { None } else { publishing.newest().await? };
        let newest = newest.max(read);
        Ok(Before { published, saved, newest, is_new: publishing.is_new().await? })
    }

    /// Makes sure that the log has every publication, replays it, and computes what has not been
    /// published yet.
    pub(super) fn catch_up(
        self,
        store: &mut dyn Store,
        keys: &DeploymentKeys,
        checkpoint: Result<State, Unusable>,
    ) -> Result<CaughtUp, StartError> {
        let saved = self.saved.unwrap_or_default();
        let published = saved.position();
        let mut caught_up = match go_on(checkpoint, store, keys, saved) {
            Err(StartError::Behind { tick }) if store.is_shared() => {
                // After a recovery by another node, what was published here before counts no more.
                let anew = catch_up(store, keys, Outbox::default())?;
                let series = anew.replayed.state.series;
                let is_over = published.is_none_or(|last| last.version.series < series);
                if is_over { anew } else { return Err(StartError::Behind { tick }) }
            }
            caught_up => caught_up?,
        };
        let Replayed { state, unerased, newer } = &caught_up.replayed;
        if let Some(error) = newer {
            // The files that a newer release published stay as they are.
            tracing::error!(%error, "serving what is published, and accepting nothing");
            caught_up.outbox = Outbox::default();
            return Ok(caught_up);
        }
        if let Some(newest) = self.newest.filter(|newest| state.lacks(*newest)) {
            return Err(StartError::Behind { tick: newest.tick });
        }
        // A new node of a log that several share computes everything.
        let is_elsewhere = self.is_new && !store.is_shared();
        if let Some(tick) = state.published_tick().filter(|_| is_elsewhere) {
            return Err(StartError::Elsewhere { tick });
        }
        // Where others append to the log too, this is done beside what is judged.
        if !unerased.is_empty()
            && !store.is_shared()
            && let Err(error) = store.erase(unerased)
        {
            // The next start tries again, if nothing before does.
            tracing::error!(%error, "bodies that were purged are still on disk");
        }
        if let Some((position, error)) = &caught_up.failed {
            // The published files stay, and reports are accepted, until an operator repairs it.
            tracing::error!(%error, position, "a publication cannot be computed; publishing stops");
        }
        Ok(caught_up)
    }
}

/// Catches up with the log from a checkpoint, or from the log's beginning where the checkpoint cannot be used.
fn go_on(
    checkpoint: Result<State, Unusable>,
    store: &mut dyn Store,
    keys: &DeploymentKeys,
    saved: Outbox,
) -> Result<CaughtUp, StartError> {
    let unused = "the checkpoint is not used: replaying the whole log";
    match checkpoint {
        Ok(state) if can_go_on_from(&state, &saved) => {
            match catch_up_from(state, store, keys, saved.again(), Cores::All) {
                // Whether the log is damaged, the log alone says.
                Err(StartError::Replay(reason)) if reason.is_of_events() => {
                    tracing::warn!(%reason, "{unused}");
                }
                caught_up => return caught_up,
            }
        }
        Ok(_) => tracing::warn!(reason = "the saved publisher is older", "{unused}"),
        Err(Unusable::Missing) => {}
        Err(reason) => tracing::warn!(%reason, "{unused}"),
    }
    catch_up(store, keys, saved)
}

/// Where files are written to: in a data folder, or the public ones in a bucket. At most so many bytes of
/// public files are in memory.
///
/// # Errors
/// When the folders cannot be used, or not even asked for the bucket.
pub fn publishing(
    folder: &DataFolder,
    config: &Config,
    root: PublicKey,
    memory: u64,
) -> Result<Publishing, object_store::Error> {
    let public = match &config.public_files {
        Some(bucket) => Files::in_bucket(bucket, variables())?,
        None => Files::local(&folder.public())?,
    };
    let private = LocalFolder::at(&folder.private())?;
    Ok(Publishing::new(public, private, root, memory))
}

/// The environment variables that are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

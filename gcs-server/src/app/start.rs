//! The steps of a start.

use std::io;
use std::net::{SocketAddr, TcpListener};

use gcs_core::Version;
use gcs_core::publish::Publisher;
use thiserror::Error;
use tokio::sync::watch;

use super::advice;
use super::catch_up::{CaughtUp, catch_up};
use super::folder::{DataFolder, FolderError};
use crate::domain::keys::DeploymentKeys;
use crate::node::{ReplayError, Replayed};
use crate::publishing::{
    Files, Outbox, PublicationBuilder, Published, Publishing, PublishingError, TickPosition,
};
use crate::store::Store;

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] FolderError),
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
    /// Nothing that was published from the log is here, as on a new machine.
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
        /// What the system says.
        error: io::Error,
        /// The likely cause, and what to do.
        advice: String,
    },
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// A socket, and the address that it is bound to.
pub(super) type Bound = (SocketAddr, TcpListener);

/// Listens where the setting `flag` says.
pub(super) fn listen(address: SocketAddr, flag: &str) -> Result<Bound, StartError> {
    let bound = TcpListener::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    bound.map_err(|error| {
        let advice = advice::on_listening(address, flag, &error);
        StartError::Listen { address, error, advice }
    })
}

/// What was published from here before.
pub(super) struct Before {
    /// The publisher after the last publication, and where that stands in the log.
    saved: Option<(Publisher, TickPosition)>,
    /// The newest manifest that is out, looked for only when nothing was saved.
    newest: Option<Version>,
    /// Whether nothing was ever published from here.
    is_new: bool,
}

impl Before {
    pub(super) async fn look(publishing: &Publishing) -> Result<Before, StartError> {
        let saved = publishing.saved().await?;
        // What was saved knows what is out; if it is lost, the manifests still do.
        let newest = if saved.is_some() { None } else { publishing.newest().await? };
        Ok(Before { saved, newest, is_new: publishing.is_new().await? })
    }

    /// Where the last publication stands in the log.
    pub(super) fn position(&self) -> Option<TickPosition> {
        self.saved.as_ref().map(|(_, position)| *position)
    }

    /// Replays the log and computes what has not been published, after making sure that the
    /// log has everything that was.
    pub(super) fn catch_up(
        self,
        store: &mut dyn Store,
        keys: &DeploymentKeys,
    ) -> Result<CaughtUp, StartError> {
        let position = self.position();
        let builder = PublicationBuilder::new(keys, self.saved.map(|(publisher, _)| publisher));
        let mut caught_up = catch_up(store, keys, builder, position)?;
        let Replayed { state, unerased, newer } = &caught_up.replayed;
        if let Some(error) = newer {
            // What a newer release published stays as it is.
            tracing::error!(%error, "serving what is published, and accepting nothing");
            caught_up.outbox = Outbox::default();
            return Ok(caught_up);
        }
        if let Some(newest) = self.newest.filter(|newest| state.lacks(*newest)) {
            return Err(StartError::Behind { tick: newest.tick });
        }
        if let Some(tick) = state.published_tick().filter(|_| self.is_new) {
            return Err(StartError::Elsewhere { tick });
        }
        if !unerased.is_empty()
            && let Err(error) = store.erase(unerased)
        {
            // A reader that looks at the log keeps the bytes alive; try again then.
            tracing::error!(%error, "purged bodies are erased at the next start");
        }
        if let Some((position, error)) = &caught_up.failed {
            // What is out stays out, and reports are accepted, until someone looks.
            tracing::error!(%error, position, "a publication cannot be computed; publishing stops");
        }
        Ok(caught_up)
    }
}

/// Where files are written to in a data folder.
///
/// # Errors
/// When its folders cannot be used.
pub fn publishing(folder: &DataFolder) -> Result<Publishing, object_store::Error> {
    let (public, private) = (Files::local(&folder.public())?, Files::local(&folder.private())?);
    Ok(Publishing { public, private })
}

/// Serves the last publication until what the log has beyond it is written.
pub(super) async fn serve_last(
    publishing: &Publishing,
    position: TickPosition,
    outbox: &Outbox,
    published: &watch::Sender<Option<Published>>,
) -> Result<(), StartError> {
    let manifest = publishing.kept_manifest(position.version).await?;
    if outbox.position().is_none() {
        publishing.ensure_manifest(&manifest).await?;
    }
    published.send_replace(Some(Published { position, manifest, missing: 0 }));
    Ok(())
}

//! The spool of a server whose log is in a database.

use std::io;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::checkpoint::Checkpoints;
use super::config::Config;
use super::start::StartError;
use crate::domain::keys::DeploymentKeys;
use crate::domain::state::State;
use crate::random::Random;
use crate::service::Service;
use crate::spool::{Drain, Folder, Limits, Spool};

/// Makes sure that the folder which is named can be used, before anything is made.
///
/// # Errors
/// When it is not there, no file can be made in it, or another server uses it.
pub(super) async fn expect_usable(config: &Config) -> Result<(), StartError> {
    let Some(path) = config.spool.clone() else { return Ok(()) };
    let folder = path.clone();
    let claimed = spawn_blocking(move || Folder::claim(&folder, false).map(drop)).await;
    let claimed = claimed.map_err(io::Error::other)?;
    claimed.map_err(|error| StartError::Spool { path, error })
}

/// Opens the spool. Where the log is in the data folder, there is one only if reports are left in it from a
/// time when the log was in a database: it takes no others.
///
/// # Errors
/// When the folder cannot be used.
pub(super) async fn open(
    config: &Config,
    keys: &Arc<DeploymentKeys>,
    random: &Random,
) -> Result<Option<Spool>, StartError> {
    let (path, is_needed) = (config.spool_folder(), config.store.is_some());
    // A folder that was named may be that of a disk which is not mounted.
    let make = config.spool.is_none();
    if !is_needed && make && !path.exists() {
        return Ok(None);
    }
    if !is_needed && !make {
        tracing::warn!(
            "`spool` is set, and the log is in a file: the spool takes no reports. If it has none left, as its log \
             lines would say, take the setting out"
        );
    }
    let limits = if is_needed { Limits::default() } else { Limits::nothing() };
    let (folder, keys, random) = (path.clone(), Arc::clone(keys), random.clone());
    let opened = spawn_blocking(move || {
        Spool::open(Box::new(Folder::claim(&folder, make)?), keys, random, limits)
    });
    let opened = opened.await.map_err(io::Error::other)?;
    let spool = opened.map_err(|error| StartError::Spool { path, error })?;
    let status = spool.status();
    if status.reports > 0 {
        tracing::warn!(reports = status.reports, "reports wait in the spool from an earlier run");
    }
    Ok(Some(spool))
}

/// Lets a server whose log cannot be reached at the start know codes by its last checkpoint; without one, by
/// nothing but the first keys of their providers.
pub(super) async fn remember(spool: &Spool, checkpoints: &Checkpoints, keys: &Arc<DeploymentKeys>) {
    let (spool, checkpoints, keys) = (spool.clone(), checkpoints.clone(), Arc::clone(keys));
    let remembered = spawn_blocking(move || {
        let state = checkpoints.last_known().unwrap_or_else(|reason| {
            tracing::warn!(%reason, "codes are known by the first keys of their providers only: no checkpoint");
            State::new(keys.filler())
        });
        spool.remember(state);
    });
    if remembered.await.is_err() {
        tracing::error!("the checkpoint cannot be read: reports are answered with 503");
    }
}

/// What brings the reports of a service's spool to the log.
pub(super) fn drain(service: &Service) -> Option<Drain> {
    let Service { spool, node, metrics, .. } = service;
    let spool = spool.clone()?;
    Some(Drain { spool, node: node.clone(), metrics: Arc::clone(metrics) })
}

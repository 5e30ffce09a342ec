//! What requests are answered from.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::judge;
use crate::keyfile::KeyFile;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::publishing::{Files, Published};
use crate::rejection::Rejection;
use crate::state::{State, Version};

/// How long a tick may take until whoever asked for it is told to come again.
const TICK_PATIENCE: Duration = Duration::from_secs(60);

/// Everything that handlers need.
#[derive(Clone, Debug)]
pub struct Service {
    /// Judges and appends.
    pub node: Node,
    /// The secrets.
    pub keys: Arc<KeyFile>,
    /// The time.
    pub clock: Clock,
    /// What is out.
    pub published: watch::Receiver<Option<Published>>,
    /// The files that phones fetch.
    pub files: Files,
    /// How long the body of a request may take to arrive.
    pub body_patience: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Service {
    /// The last publication that is out.
    pub fn version(&self) -> Option<Version> {
        self.published.borrow().as_ref().map(|published| published.stamp.version)
    }

    /// Makes a tick and waits until it is out.
    ///
    /// # Errors
    /// When the clock leapt, the tick before is not out yet, or the log cannot be written.
    pub async fn tick(&self) -> Result<Version, Rejection> {
        let (keys, published) = (Arc::clone(&self.keys), self.published.clone());
        let version = self.node.act(move |state, now| {
            check_published(state, &published)?;
            judge::tick(state, &keys, now)
        });
        let version = version.await?;
        let mut published = self.published.clone();
        let is_out = |published: &Option<Published>| {
            published.as_ref().is_some_and(|published| published.stamp.version >= version)
        };
        let out = tokio::time::timeout(TICK_PATIENCE, published.wait_for(is_out)).await;
        let out = out.map_err(|_| Rejection::TickPending { tick: version.tick })?;
        out.map_err(|_| Rejection::Unavailable)?;
        Ok(version)
    }

    /// Erases reports on which nothing depends any more; how many.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn purge(&self) -> Result<usize, Rejection> {
        Ok(self.node.act(|state, _| judge::purge(state)).await?.len())
    }
}

/// A tick is made only when the one before is out: so a failed one is retried, not skipped.
fn check_published(
    state: &State,
    published: &watch::Receiver<Option<Published>>,
) -> Result<(), Rejection> {
    let out = published.borrow().as_ref().map(|published| published.stamp.version);
    match state.last_tick {
        Some(last) if out < Some(last.version) => {
            Err(Rejection::TickPending { tick: last.version.tick })
        }
        _ => Ok(()),
    }
}

//! Everything that requests are answered from.

use std::sync::Arc;
use std::time::Duration;

use gcs_core::Version;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::domain::judge;
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::report_status::{ReportStatus, report_status};
use crate::domain::state::State;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::publishing::{Files, Published};

/// How long a tick may take until whoever asked for it is told to come again.
const TICK_PATIENCE: Duration = Duration::from_secs(60);

/// Everything that handlers need.
#[derive(Clone, Debug)]
pub struct Service {
    /// Judges and appends.
    pub node: Node,
    /// The secrets.
    pub keys: Arc<DeploymentKeys>,
    /// The time.
    pub clock: Clock,
    /// The publication that phones can fetch now.
    pub published: watch::Receiver<Option<Published>>,
    /// The files that phones fetch.
    pub files: Files,
    /// How long the body of a request may take to arrive.
    pub body_patience: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Service {
    /// The publication that phones can fetch now.
    pub fn version(&self) -> Option<Version> {
        self.published.borrow().as_ref().map(|published| published.position.version)
    }

    /// Whether everything works: the last tick is published, it is not late, its files are all
    /// there, and the log can be written.
    ///
    /// # Errors
    /// What does not work.
    pub fn readiness(&self) -> Result<(), Problem> {
        let published = self.published.borrow();
        let published = published.as_ref().ok_or(Problem::Unavailable)?;
        if published.missing > 0 {
            return Err(Problem::FilesMissing { count: published.missing });
        }
        let (logged, interval) = {
            let state = self.node.state();
            (state.last_tick.map(|last| last.version), state.policy.interval)
        };
        let position = published.position;
        let is_late = self.clock.now() > position.time.saturating_add(2 * interval);
        let is_behind = Some(position.version) < logged;
        if is_late || is_behind || !self.node.is_writable() {
            return Err(Problem::Unavailable);
        }
        Ok(())
    }

    /// What became of the report of a tracking id, as far as phones can see.
    ///
    /// # Errors
    /// [`Problem::ReportUnknown`].
    pub fn report_status(&self, tracking: &str) -> Result<ReportStatus, Problem> {
        let published = self.version();
        report_status(&self.node.state(), tracking, published)
    }

    /// Makes a tick and waits until phones can fetch it.
    ///
    /// # Errors
    /// When the clock leapt, the tick before is not published yet, or the log cannot be written.
    pub async fn tick(&self) -> Result<Version, Problem> {
        let (keys, published) = (Arc::clone(&self.keys), self.published.clone());
        let version = self.node.act(move |state, now| {
            check_published(state, &published)?;
            judge::tick(state, &keys, now)
        });
        let version = version.await?;
        let mut published = self.published.clone();
        let is_out = |published: &Option<Published>| {
            published.as_ref().is_some_and(|published| published.position.version >= version)
        };
        let out = tokio::time::timeout(TICK_PATIENCE, published.wait_for(is_out)).await;
        let out = out.map_err(|_| Problem::TickPending { tick: version.tick })?;
        out.map_err(|_| Problem::Unavailable)?;
        Ok(version)
    }

    /// Erases reports on which nothing depends any more; how many.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn purge(&self) -> Result<usize, Problem> {
        Ok(self.node.act(|state, _| judge::purge(state)).await?.len())
    }
}

/// A tick is made only when the one before is published, so that one that failed is tried again
/// and not skipped.
fn check_published(
    state: &State,
    published: &watch::Receiver<Option<Published>>,
) -> Result<(), Problem> {
    let out = published.borrow().as_ref().map(|published| published.position.version);
    match state.last_tick {
        Some(last) if out < Some(last.version) => {
            Err(Problem::TickPending { tick: last.version.tick })
        }
        _ => Ok(()),
    }
}

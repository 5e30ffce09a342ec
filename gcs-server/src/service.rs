//! The service: what request handlers read from and act on.

use std::sync::Arc;
use std::time::Duration;

use gcs_core::Version;
use gcs_core::files::Path;
use tokio::sync::watch;

use crate::clock::{Reading, WatchedClock};
use crate::domain::judge::{self, RequestContext};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::report_status::{ReportStatus, report_status};
use crate::domain::state::State;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::publishing::{Published, Shelf};
use crate::request_log::RequestLog;
use crate::store::LogReader;

/// How long a request for a tick waits for the publication. After that it is answered with
/// [`Problem::TickPending`].
const TICK_PATIENCE: Duration = Duration::from_secs(60);

/// Why the server is not ready when ticks can be made by the clock, but reports cannot be accepted.
const BEHIND_REPORTS: &str = "the clock is more than five minutes before the last report, so reports wait for \
    that time; if the clock is right, run `gcs-server clock resume`";

/// What request handlers read from and act on.
#[derive(Clone, Debug)]
pub struct Service {
    /// The node, which judges requests and appends their events to the log.
    pub node: Node,
    /// The secret keys of the deployment.
    pub keys: Arc<DeploymentKeys>,
    /// The log, to copy it while the server runs.
    pub log: LogReader,
    /// Where the time comes from.
    pub clock: WatchedClock,
    /// The publication that phones can fetch now.
    pub published: watch::Receiver<Option<Published>>,
    /// The files that phones fetch.
    pub shelf: Arc<Shelf>,
    /// Longest pause in the body of a request, and the time after which its average rate counts.
    pub body_patience: Duration,
    /// Which requests have a log line.
    pub request_log: Arc<RequestLog>,
    /// The counters for Prometheus.
    pub metrics: Arc<Metrics>,
}

impl Service {
    /// The publication that phones can fetch now.
    pub fn version(&self) -> Option<Version> {
        self.published.borrow().as_ref().map(|published| published.position.version)
    }

    /// Whether everything works: the log can be used and written, the last tick is published, it is not
    /// late, its files are all there, and the clock lets the next tick be made.
    ///
    /// # Errors
    /// [`Problem::NotReady`] with everything that does not work.
    pub fn readiness(&self) -> Result<(), Problem> {
        let mut reasons = self.wrong_files();
        reasons.extend(self.shelf.trouble());
        match self.node.refusal() {
            Some(refusal) => reasons.insert(0, refusal.to_string()),
            None => reasons.extend(self.unready_state()),
        }
        if reasons.is_empty() { Ok(()) } else { Err(Problem::NotReady { reasons }) }
    }

    /// What is wrong with published files.
    fn wrong_files(&self) -> Vec<String> {
        let is_needed = |path: &Path| !matches!(path, Path::KeptManifest { .. });
        match self.shelf.unmended().into_iter().filter(is_needed).count() {
            0 => vec![],
            wrong => vec![format!(
                "{wrong} published files are damaged or missing, or cannot be read, and not mended yet"
            )],
        }
    }

    /// What is wrong with the log, its publication and the clock.
    fn unready_state(&self) -> Vec<String> {
        let mut reasons = self.late_publication();
        if self.node.is_read_only() {
            reasons.push(Problem::ReadOnly.to_string());
        } else if !self.node.is_writable() {
            reasons.push("the log cannot be written".to_owned());
        }
        match self.expect_right_clock() {
            // The text of this problem is for apps.
            Err(Problem::ClockDoubt) => reasons.push(BEHIND_REPORTS.to_owned()),
            wrong => reasons.extend(wrong.err().map(|problem| problem.to_string())),
        }
        reasons
    }

    /// Makes sure that reports are accepted and ticks are made by the clock.
    fn expect_right_clock(&self) -> Result<(), Problem> {
        let state = self.node.state();
        let Reading { now, leap } = self.clock.look(|now| judge::agrees_with_log(&state, now));
        judge::expect_right_clock(&state, RequestContext { now, leap, random: [0; 32] })
    }

    /// Trusts the clock as it is, on the operator's word.
    ///
    /// # Errors
    /// When dates would be dropped, unless `drop_dates` allows it. [`Problem::ClockBehind`]: then it is
    /// trusted, and ticks wait until it is as late as the last one.
    pub async fn resume_clock(&self, drop_dates: bool) -> Result<(), Problem> {
        let judge = move |state: &State, context| judge::resume_clock(state, context, drop_dates);
        let resumed = self.node.act(judge).await;
        if matches!(resumed, Ok(()) | Err(Problem::ClockBehind { .. })) {
            self.clock.trust();
        }
        resumed
    }

    /// What is wrong with the publication that phones can fetch now.
    fn late_publication(&self) -> Vec<String> {
        let Some(published) = self.published.borrow().clone() else {
            return vec!["nothing is published yet".to_owned()];
        };
        let (logged, interval) = {
            let state = self.node.state();
            (state.last_tick.map(|last| last.version), state.policy.interval)
        };
        let mut reasons = Vec::new();
        let position = published.position;
        let Version { tick, .. } = position.version;
        let age = self.clock.now().saturating_sub(position.time);
        if age > 2 * interval {
            reasons.push(format!("tick {tick}, the last one published, is {age} seconds old"));
        }
        if let Some(logged) = logged.filter(|logged| position.version < *logged) {
            reasons.push(format!("tick {} is made and not published", logged.tick));
        }
        reasons
    }

    /// The status of the report that has a tracking id, by what phones can fetch now.
    ///
    /// # Errors
    /// [`Problem::ReportUnknown`]. [`Problem::ReadOnly`]: the report may be in the part of the log
    /// that a newer release wrote. [`Problem::LogUnusable`].
    pub fn report_status(&self, tracking: &str) -> Result<ReportStatus, Problem> {
        self.node.expect_current()?;
        let published = self.version();
        report_status(&self.node.state(), tracking, published)
    }

    /// Makes a tick and waits until phones can fetch it.
    ///
    /// # Errors
    /// When the clock is in doubt or before the last tick, when the tick before is not published yet, or
    /// when the log cannot be written.
    pub async fn tick(&self) -> Result<Version, Problem> {
        let (keys, published) = (Arc::clone(&self.keys), self.published.clone());
        let version = self.node.act(move |state, now| {
            expect_published(state, &published)?;
            judge::tick(state, &keys, now)
        });
        let version = version.await?;
        let mut published = self.published.clone();
        let is_published = |published: &Option<Published>| {
            published.as_ref().is_some_and(|published| published.position.version >= version)
        };
        let waited = tokio::time::timeout(TICK_PATIENCE, published.wait_for(is_published)).await;
        let waited = waited.map_err(|_| Problem::TickPending { tick: version.tick })?;
        waited.map_err(|_| Problem::Unavailable)?;
        Ok(version)
    }

    /// Erases reports that nothing depends on any more. Returns how many were erased.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn purge(&self) -> Result<usize, Problem> {
        Ok(self.node.act(|state, _| judge::purge(state)).await?.len())
    }
}

/// Makes sure that the last tick of this series is published. No new tick is made before that, so
/// that a tick whose files could not be written is tried again and not skipped. What is left of an
/// earlier series goes out with the first tick of this one.
fn expect_published(
    state: &State,
    published: &watch::Receiver<Option<Published>>,
) -> Result<(), Problem> {
    let newest = published.borrow().as_ref().map(|published| published.position.version);
    match state.last_tick {
        Some(last) if last.version.series == state.series && newest < Some(last.version) => {
            Err(Problem::TickPending { tick: last.version.tick })
        }
        _ => Ok(()),
    }
}

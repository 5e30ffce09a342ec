//! The service: what request handlers read from and act on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use gcs_core::Version;
use gcs_core::files::Path;
use gcs_core::report::{PublishRequest, ReceivedReport, ReportAnswer};
use tokio::sync::watch;

use crate::bluetrace::{Authority, keeper};
use crate::clock::{Reading, WatchedClock};
use crate::domain::events::TrackingId;
use crate::domain::judge::{self, Arrival, Decision, Known, PublishAnswer, RequestContext};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::report_status::{ReportStatus, report_status};
use crate::domain::revision::RevisionProblem;
use crate::domain::spooled::{SpooledReport, is_spooled_tracking, spooled_tracking};
use crate::domain::state::{LastTick, State};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::publishing::{Published, Shelf};
use crate::random::Random;
use crate::request_log::RequestLog;
use crate::spool::{Spool, SpoolStatus};
use crate::store::LogReader;
use crate::time;

/// How long the files of a tick may be written until the server is not ready. All nodes write them at the same time: a load
/// balancer must not take them all out for that.
const WRITING_SECONDS: u64 = 30;

/// How long a request for a tick waits for the publication. After that it is answered with
/// [`Problem::TickPending`].
const TICK_PATIENCE: Duration = Duration::from_secs(60);

/// How long a request waits for the log, if it can be answered without: a report if there is a spool, and
/// whoever only looks.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

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
    /// Where reports wait while the log cannot be reached, if the log is elsewhere.
    pub spool: Option<Spool>,
    /// Where random bytes for tracking ids, passwords and upload tokens come from.
    pub random: Random,
    /// The BlueTrace authority, if that is on.
    pub bluetrace: Option<Arc<Authority>>,
}

/// What is answered to a report that is not refused.
#[derive(Debug)]
pub enum Reception {
    /// It is in the log.
    Accepted(ReportAnswer),
    /// It is in the spool, under this tracking id.
    Received(TrackingId),
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
        reasons.extend(self.waiting_reports());
        reasons.extend(self.wrong_bluetrace());
        match self.expect_right_clock() {
            // Another node, whose clock is a little ahead, made the last tick, and makes the next one.
            Err(Problem::ClockBehind { seconds })
                if self.log.is_shared() && seconds <= judge::SMALL_STEP => {}
            // The text of this problem is for apps.
            Err(Problem::ClockDoubt) => reasons.push(BEHIND_REPORTS.to_owned()),
            wrong => reasons.extend(wrong.err().map(|problem| problem.to_string())),
        }
        reasons
    }

    /// What is wrong with the keys of BlueTrace.
    fn wrong_bluetrace(&self) -> Option<String> {
        keeper::fault(self.bluetrace.as_deref(), &self.node.state()).map(str::to_owned)
    }

    /// What is wrong with the spool.
    fn waiting_reports(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let Some(status) = self.spool.as_ref().map(Spool::status) else { return reasons };
        let SpoolStatus { reports, since, damaged, foreign, .. } = status;
        if let Some(since) = since.filter(|_| reports > 0) {
            let since = time::utc(since);
            reasons
                .push(format!("{reports} reports wait in the spool of this server since {since}"));
        }
        if damaged + foreign > 0 {
            reasons.push(format!(
                "{damaged} files of the spool are damaged, and {foreign} are of another deployment or release; \
                 the log lines name them"
            ));
        }
        reasons
    }

    /// Makes sure that reports are accepted and ticks are made by the clock.
    fn expect_right_clock(&self) -> Result<(), Problem> {
        let state = self.node.state();
        let Reading { now, leap } = self.clock.look(|now| judge::agrees_with_log(&state, now));
        judge::expect_right_clock(&state, RequestContext { now, leap, random: [0; 32] })
    }

    /// Trusts the clock as it is, on the operator's word, if `expect` still allows it.
    ///
    /// # Errors
    /// When dates would be dropped, unless `drop_dates` allows it. [`Problem::ClockBehind`]: then it is
    /// trusted, and ticks wait until it is as late as the last one.
    pub async fn resume_clock(
        &self,
        expect: impl Fn(&State) -> Result<(), Problem> + Send + 'static,
        drop_dates: bool,
    ) -> Result<(), Problem> {
        // The clock is trusted as it was judged: until that is in the log it may have been set again.
        let (clock, judged) = (self.clock.clone(), Arc::new(Mutex::new(None)));
        let here = Arc::clone(&judged);
        let judge = move |state: &State, context: RequestContext| {
            expect(state)?;
            let anchor = clock.here(context.now);
            let anchor = anchor.map_err(|seconds| Problem::ClockMoved { seconds })?;
            *here.lock().unwrap_or_else(PoisonError::into_inner) = anchor;
            judge::resume_clock(state, context, drop_dates)
        };
        let resumed = self.node.act(judge).await;
        if matches!(resumed, Ok(()) | Err(Problem::ClockBehind { .. })) {
            let judged = judged.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.clock.trust(judged);
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
            (state.last_tick, state.policy.interval)
        };
        let mut reasons = Vec::new();
        let position = published.position;
        let Version { series, tick } = position.version;
        let now = self.clock.now();
        let age = now.saturating_sub(position.time);
        if age > 2 * interval {
            reasons.push(format!("tick {tick}, the last one published, is {age} seconds old"));
        }
        let is_being_written = |logged: &LastTick| {
            // The number of a tick goes on in a new series.
            let Version { series: of, tick: next } = logged.version;
            let is_next = of >= series && next == tick.saturating_add(1);
            is_next && now.saturating_sub(logged.time) < WRITING_SECONDS
        };
        if let Some(logged) = logged
            && position.version < logged.version
            && !is_being_written(&logged)
        {
            reasons.push(format!("tick {} is made and not published", logged.version.tick));
        }
        reasons
    }

    /// Accepts a report, or holds it in the spool if the log cannot be reached.
    ///
    /// # Errors
    /// As [`judge::report`], or else [`judge::arrival`]. [`Problem::StorageUnavailable`] if neither log nor
    /// spool can take it.
    pub async fn report(&self, received: ReceivedReport) -> Result<Reception, Problem> {
        let received = Arc::new(received);
        let Some(spool) = &self.spool else {
            return self.report_to_log(&received).await.map(Reception::Accepted);
        };
        if let Some(tracking) = spool.tracking_of(&received) {
            return Ok(Reception::Received(tracking));
        }
        // As long as the log is known to be away, only the reports of the spool try it. A log of a newer release
        // is not away.
        if spool.is_empty() || self.node.is_writable() || self.node.is_read_only() {
            let judged = tokio::time::timeout(LOG_PATIENCE, self.report_to_log(&received)).await;
            match judged {
                Ok(Ok(answer)) => return Ok(Reception::Accepted(answer)),
                Ok(Err(problem)) if !self.is_without_log(&problem) => return Err(problem),
                // Or the node is busy with an append that hangs.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        self.hold(spool, &received).await
    }

    /// Whether a problem comes from a log that cannot be reached, or may be wrong because of that.
    fn is_without_log(&self, problem: &Problem) -> bool {
        match problem {
            Problem::StorageUnavailable | Problem::LogUnusable | Problem::Unavailable => true,
            Problem::ReadOnly => false,
            _ => !self.node.is_writable(),
        }
    }

    async fn report_to_log(&self, received: &Arc<ReceivedReport>) -> Result<ReportAnswer, Problem> {
        let (keys, received) = (Arc::clone(&self.keys), Arc::clone(received));
        let (provider, serial) = (received.code.provider(), received.code.serial());
        let judge = move |state: &_, context| judge::report(state, &keys, context, &received);
        self.node.act_on_code(provider, serial, judge).await
    }

    /// Accepts keys that an app publishes, while the log can be reached.
    ///
    /// # Errors
    /// As [`judge::publish_keys`].
    pub async fn publish_keys(
        &self,
        request: PublishRequest,
    ) -> Result<Result<PublishAnswer, RevisionProblem>, Problem> {
        let keys = Arc::clone(&self.keys);
        let (provider, serial) = (request.report.code.provider(), request.report.code.serial());
        let judge = move |state: &_, context| judge::publish_keys(state, &keys, context, &request);
        self.node.act_on_code(provider, serial, judge).await
    }

    /// Random bytes in base64, 1024 to 2047 of them, to hide how long an answer is.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn padding(&self) -> Result<String, Problem> {
        let mut random = self.random.ahead(2048 / 32);
        let mut draw = || random.bytes::<32>().map_err(|_| Problem::Internal);
        let [low, high, ..] = draw()?;
        let length = 1024 + usize::from(u16::from_le_bytes([low, high]) % 1024);
        let mut bytes = Vec::with_capacity(2048);
        while bytes.len() < length {
            bytes.extend_from_slice(&draw()?);
        }
        Ok(BASE64.encode(&bytes[..length]))
    }

    /// Holds a report in the spool.
    async fn hold(&self, spool: &Spool, received: &ReceivedReport) -> Result<Reception, Problem> {
        let (now, is_time_trusted, arrival) = {
            let state = self.node.state();
            let is_known = state.deployment.is_some();
            // The log may have lost its end since.
            let is_certain = is_known && self.node.refusal().is_none();
            let state = if is_known { Some(&*state) } else { spool.remembered() };
            // Nothing is known of codes without a state.
            let state = state.ok_or(Problem::LogUnusable)?;
            let (now, is_time_trusted) = self.arrival_time(state);
            let known = Known { state, is_certain, now, is_time_trusted };
            (now, is_time_trusted, judge::arrival(known, &self.keys, received)?)
        };
        let (code, was_open) = match arrival {
            Arrival::Accepted(answer) => return Ok(Reception::Accepted(answer)),
            Arrival::Waits { code, is_open } => (code, is_open),
        };
        let random = self.random.bytes().map_err(|_| Problem::Internal)?;
        let tracking = spooled_tracking(&self.keys, now, random);
        let report = received.clone();
        let report =
            SpooledReport { tracking, arrived: now, is_time_trusted, code, was_open, report };
        let held = spool.hold(report).await;
        self.metrics.count_spooled(if held.is_ok() { "received" } else { "not_received" });
        held.map(Reception::Received).map_err(|_| Problem::StorageUnavailable)
    }

    /// The time, and whether it can be trusted. The log has nothing newer to compare it with while it cannot
    /// be reached, so after a day only the time since the boot tells.
    fn arrival_time(&self, state: &State) -> (u64, bool) {
        let Reading { now, leap } = self.clock.look(|now| judge::agrees_with_log(state, now));
        let is_anchored = self.clock.anchor().is_some() && now >= state.seen;
        let is_trusted = leap.is_none() && (judge::agrees_with_log(state, now) || is_anchored);
        (now, is_trusted)
    }

    /// Applies what other servers have appended to the log before this call, if there can be others.
    ///
    /// # Errors
    /// [`Problem::StorageUnavailable`] if the log cannot be read in time; [`Problem::ReadOnly`],
    /// [`Problem::LogUnusable`].
    pub async fn look(&self) -> Result<(), Problem> {
        if !self.log.is_shared() {
            return self.node.expect_current();
        }
        let looked = tokio::time::timeout(LOG_PATIENCE, self.node.catch_up()).await;
        looked.unwrap_or(Err(Problem::StorageUnavailable))
    }

    /// As [`Service::look`], but a log that cannot be reached is no error.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`], [`Problem::LogUnusable`].
    pub async fn try_look(&self) -> Result<(), Problem> {
        // A log that is known to be away is not waited for.
        if self.node.is_writable() {
            let _looked_or_away = self.look().await;
        }
        self.node.expect_current()
    }

    /// The status of the report that has a tracking id, by what phones can fetch now.
    ///
    /// # Errors
    /// [`Problem::ReportUnknown`]. [`Problem::ReadOnly`]: the report may be in the part of the log
    /// that a newer release wrote. [`Problem::LogUnusable`]. [`Problem::StorageUnavailable`]: another server may
    /// have accepted it meanwhile.
    pub async fn report_status(&self, tracking: &str) -> Result<ReportStatus, Problem> {
        let tracking = judge::parse_tracking(tracking)?;
        match self.known_status(&tracking) {
            Err(Problem::ReportUnknown) if self.log.is_shared() => {
                self.look().await?;
                self.known_status(&tracking)
            }
            status => status,
        }
    }

    /// The status of a report, by what this server knows.
    fn known_status(&self, tracking: &TrackingId) -> Result<ReportStatus, Problem> {
        let is_held = self.spool.as_ref().is_some_and(|spool| spool.holds(tracking));
        match self.node.expect_current() {
            Err(_) if is_held => return Ok(ReportStatus::received()),
            current => current?,
        }
        let published = self.version();
        let state = self.node.state();
        if state.is_judged(tracking) {
            return report_status(&state, tracking, published);
        }
        // Another server may hold it.
        let is_received = is_held || is_spooled_tracking(&self.keys, tracking, self.clock.now());
        if is_received { Ok(ReportStatus::received()) } else { Err(Problem::ReportUnknown) }
    }

    /// Makes a tick and waits until phones can fetch it.
    ///
    /// # Errors
    /// When the clock is in doubt or before the last tick, when the tick before is not published yet, or
    /// when the log cannot be written.
    pub async fn tick(&self) -> Result<Version, Problem> {
        self.tick_if(|_, _| true).await?.ok_or(Problem::Internal)
    }

    /// As [`Service::tick`], but makes no tick unless it `is_due` by the state right before it and by the
    /// time: another node may have made it meanwhile.
    ///
    /// # Errors
    /// As [`Service::tick`].
    pub async fn tick_if(
        &self,
        is_due: impl Fn(&State, u64) -> bool + Send + 'static,
    ) -> Result<Option<Version>, Problem> {
        self.purge_bluetrace().await;
        let (keys, published) = (Arc::clone(&self.keys), self.published.clone());
        let version = self.node.act(move |state, context| {
            if !is_due(state, context.now) {
                return Ok(Decision::nothing(None));
            }
            expect_published(state, &published)?;
            let Decision { events, answer } = judge::tick(state, &keys, context)?;
            Ok(Decision { events, answer: Some(answer) })
        });
        let Some(version) = version.await? else { return Ok(None) };
        let mut published = self.published.clone();
        let is_published = |published: &Option<Published>| {
            published.as_ref().is_some_and(|published| published.position.version >= version)
        };
        let waited = tokio::time::timeout(TICK_PATIENCE, published.wait_for(is_published)).await;
        let waited = waited.map_err(|_| Problem::TickPending { tick: version.tick })?;
        waited.map_err(|_| Problem::Unavailable)?;
        Ok(Some(version))
    }

    /// Erases what is over in BlueTrace. A tick does not depend on it.
    async fn purge_bluetrace(&self) {
        match keeper::purge(&self.node).await {
            // The tick fails too, and tells it.
            Ok(())
            | Err(Problem::StorageUnavailable | Problem::LogUnusable | Problem::ReadOnly) => {}
            Err(problem) => tracing::error!(%problem, "old data of BlueTrace is not erased"),
        }
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

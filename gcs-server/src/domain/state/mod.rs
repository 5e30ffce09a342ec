//! The state: everything that is computed from the events of the log.
//!
//! [`State::apply`] applies events as they were recorded and judges nothing, so every release
//! computes the same state from the same log. It needs neither the clock nor random bytes: filler
//! is derived from a key and the tick.

pub mod bluetrace;
mod image;
mod lost;
mod providers;
mod reports;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::files::KEPT_TICKS;
use gcs_core::live::{FillerKey, Live};
use gcs_core::{Date, Version};
use serde::{Deserialize, Serialize};

use self::bluetrace::BlueTrace;
use self::image::nothing_live;
pub use self::image::{LAYOUT, StateImage};
pub use self::providers::{CodeRange, CodeStatus, Provider, RangeCounts};
pub use self::reports::{ReportRecord, Reports};
pub use self::verdicts::Verdicts;
use crate::domain::chain::{Chain, LogError, LoggedEvent};
use crate::domain::events::{
    CodeId, Deployment, Event, ProviderStatus, ReportAccepted, TrackingId, Verdict,
};
use crate::domain::policy::Policy;

/// The last tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTick {
    /// The series and number of the tick.
    pub version: Version,
    /// The Unix time of the tick, in seconds.
    pub time: u64,
}

/// A date that has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The tick that dropped it.
    pub tick: LastTick,
    /// Unix time, in seconds, of the first tick whose manifest names no file that depends on the
    /// date; `None` before that.
    pub settled: Option<u64>,
}

/// Everything that is computed from the events of the log.
///
/// A clone is made in milliseconds, however many elements there are: see [`Live`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Position of the last event that was applied.
    pub position: u64,
    /// SHA-256 of that event's header.
    pub head: [u8; 32],
    /// The identity of the deployment; `None` before the first event.
    pub deployment: Option<Deployment>,
    /// The settings of the deployment.
    pub policy: Policy,
    /// The online keys as signed JSON.
    pub key_list: String,
    /// SHA-256 of the operator's token.
    pub operator: [u8; 32],
    /// SHA-256 of the token of backends, if there is one.
    pub backend: Option<[u8; 32]>,
    /// Providers by number.
    pub providers: BTreeMap<u16, Provider>,
    /// Generation of the first key of a new provider.
    pub first_generation: u32,
    /// The reports that have not been purged, without their elements.
    pub reports: Reports,
    /// What became of reports that were answered with 202 and are no reports of their own.
    /// They come behind the elements when a state is serialised, if there are any.
    #[serde(skip)]
    pub verdicts: Verdicts,
    /// What BlueTrace adds up to; `None` where it was never on. It comes last when a state is
    /// serialised, if it is there.
    #[serde(skip)]
    pub bluetrace: Option<Box<BlueTrace>>,
    /// The elements of these reports, by date, and which of them are published. They come last
    /// when a state is serialised: see [`State::write`].
    #[serde(skip, default = "nothing_live")]
    pub live: Live,
    /// Dates that have expired and whose reports have not been purged yet.
    pub dropped: BTreeMap<Date, Dropped>,
    /// The series of the next tick.
    pub series: u32,
    /// The last tick.
    pub last_tick: Option<LastTick>,
    /// The last trusted Unix time, in seconds: that of the last tick, of the operator's last
    /// `clock resume`, or of the beginning of the series.
    pub clock: u64,
    /// The last Unix time, in seconds, at which the clock was not in doubt: that of `clock`, or of a
    /// later report.
    pub seen: u64,
    /// Whether what opened ranges may have been lost: then events that name these ranges change nothing. It lasts
    /// until the event that names what is lost, and no state in between is kept.
    #[serde(skip)]
    lacks_ranges: bool,
}

impl State {
    /// The state before the first event.
    pub fn new(filler: FillerKey) -> State {
        State {
            position: 0,
            head: [0; 32],
            deployment: None,
            policy: Policy::default(),
            key_list: String::new(),
            operator: [0; 32],
            backend: None,
            providers: BTreeMap::new(),
            first_generation: 1,
            reports: Reports::default(),
            verdicts: Verdicts::default(),
            bluetrace: None,
            live: Live::new(filler),
            dropped: BTreeMap::new(),
            series: 1,
            last_tick: None,
            clock: 0,
            seen: 0,
            lacks_ranges: false,
        }
    }

    /// The end of the log, from which the next event is chained.
    pub fn chain(&self) -> Chain {
        Chain { position: self.position, head: self.head }
    }

    /// Applies the next event. Of one without a body only what follows from its header.
    ///
    /// # Errors
    /// [`LogError::Broken`] if it cannot follow from the events before: then the log was
    /// not written by this server.
    pub fn apply(&mut self, logged: &LoggedEvent) -> Result<(), LogError> {
        let position = logged.header.position;
        if self.deployment.is_none() && !matches!(logged.event, Some(Event::Deployment(_))) {
            return Err(LogError::broken(position, "the log does not begin with a deployment"));
        }
        let (clock, time) = (self.clock, logged.header.time);
        let applied = match &logged.event {
            Some(event) => self.apply_event(event, position, time),
            None => self.apply_without_body(logged.header.kind, time),
        };
        applied.map_err(|InconsistentEvent(what)| LogError::broken(position, what))?;
        match &logged.event {
            Some(Event::ReportAccepted(_)) => self.seen = self.seen.max(time),
            _ if self.clock != clock => self.seen = self.clock,
            _ => {}
        }
        self.position = position;
        self.head = logged.header.hash();
        Ok(())
    }

    fn apply_event(
        &mut self,
        event: &Event,
        position: u64,
        time: u64,
    ) -> Result<(), InconsistentEvent> {
        match event {
            Event::Deployment(deployment) => {
                if self.deployment.is_some() {
                    return Err(InconsistentEvent("a second deployment"));
                }
                self.deployment = Some(deployment.clone());
                self.clock = time;
            }
            Event::FirstPolicySet(set) => self.policy = set.policy.clone().into(),
            Event::SecondPolicySet(set) => self.policy = set.policy.clone().into(),
            Event::ThirdPolicySet(set) => self.policy = set.policy.clone().into(),
            Event::FourthPolicySet(set) => self.policy = set.policy.clone().into(),
            Event::PolicySet(set) => self.policy = set.policy.clone(),
            Event::KeyListSet(set) => self.key_list.clone_from(&set.signed),
            Event::OperatorTokenSet(set) => self.operator = set.token,
            Event::BackendTokenSet(set) => self.backend = Some(set.token),
            Event::ProviderAdded(added) => {
                let first = self.first_generation;
                let provider = Provider::new(added.name.clone(), added.token, first);
                if self.providers.insert(added.provider, provider).is_some() {
                    return Err(InconsistentEvent("a provider that is there already"));
                }
            }
            Event::ProviderStatusSet(set) => {
                self.provider(set.provider)?.status = set.status;
            }
            Event::ProviderTokenSet(set) => self.provider(set.provider)?.token = set.token,
            Event::ProviderKeyRaised(raised) => {
                let provider = self.provider(raised.provider)?;
                provider.renew_key(raised.generation);
                provider.void_earlier_keys();
            }
            Event::KeyRenewed(renewed) => {
                self.provider(renewed.provider)?.renew_key(renewed.generation);
            }
            Event::RangeOpened(opened) => self.provider(opened.provider)?.open(opened),
            Event::PresentRangeClosed(closed) => {
                let provider = self.provider(closed.provider)?;
                let closed = provider.close(provider.generation, closed.first);
                self.unless_lost(closed)?;
            }
            Event::RangeClosed(closed) => {
                let provider = self.provider(closed.provider)?;
                let closed = provider.close(closed.generation, closed.first);
                self.unless_lost(closed)?;
            }
            Event::CodeRevoked(revoked) => {
                let revoked = self.provider(revoked.code.provider)?.revoke(revoked.code);
                self.unless_lost(revoked)?;
            }
            Event::ReportAccepted(report) => {
                self.report(report, position, time)?;
            }
            Event::Correction(correction) => {
                for report in &correction.reports {
                    self.live.correct(correction.act, *report);
                }
            }
            Event::TickMade(tick) => {
                let version = Version { series: tick.series, tick: tick.number };
                self.tick(LastTick { version, time });
            }
            Event::FirstSeriesStarted(started) => {
                self.start_series(started.series, time);
                self.providers.values_mut().for_each(Provider::skip_serials);
            }
            Event::SeriesStarted(started) => self.start_series(started.series, time),
            Event::LogRecovered(recovered) => {
                self.start_series(recovered.series, time);
                self.first_generation = recovered.generation;
                for provider in self.providers.values_mut() {
                    provider.renew_key(recovered.generation);
                    if recovered.void_codes {
                        provider.void_earlier_keys();
                    }
                }
            }
            Event::ClockResumed(_) => self.put_clock_right(time),
            // What follows is in another log.
            Event::LogMoved(_) => {}
            Event::Purge(purge) => self.purge(&purge.reports, &purge.used)?,
            Event::SpooledReportJudged(judged) => self.verdicts.add(judged, time),
            Event::BodiesLost(_) => self.lacks_ranges = false,
            Event::BlueTraceBegun(_)
            | Event::UserRegistered(_)
            | Event::UserTokenSet(_)
            | Event::UserWithdrawn(_)
            | Event::ShortCodeMade(_)
            | Event::CodeBound(_)
            | Event::UploadAccepted(_)
            | Event::UploadUndone(_)
            | Event::TracerTokenSet(_)
            | Event::CaseSeen(_)
            | Event::DayKeysAdvanced(_)
            | Event::BlueTracePurge(_)
            | Event::AuthoritySet(_)
            | Event::AuthorityRemoved(_)
            | Event::BatchAnswered(_)
            | Event::MessagesWithdrawn(_)
            | Event::WithdrawalDelivered(_)
            | Event::BatchJudged(_)
            | Event::MessageWithdrawn(_)
            | Event::FollowUpMade(_)
            | Event::FollowUpDelivered(_)
            | Event::FollowUpReceived(_)
            | Event::FollowUpSeen(_) => self.apply_bluetrace(event, position, time)?,
        }
        Ok(())
    }

    /// The clock of before may have been wrong: see `Publisher::next_series`.
    fn start_series(&mut self, series: u32, time: u64) {
        self.series = series;
        self.put_clock_right(time);
    }

    /// Takes a time for the right one: what is dated later was dated by a wrong clock.
    fn put_clock_right(&mut self, time: u64) {
        self.clock = time;
        if let Some(bluetrace) = &mut self.bluetrace {
            bluetrace.put_clock_right(time);
        }
    }

    fn provider(&mut self, number: u16) -> Result<&mut Provider, InconsistentEvent> {
        self.providers.get_mut(&number).ok_or(InconsistentEvent("a provider that is not there"))
    }

    fn report(
        &mut self,
        report: &ReportAccepted,
        position: u64,
        time: u64,
    ) -> Result<(), InconsistentEvent> {
        self.provider(report.code.provider)?.set_used(report.code, true);
        let elements = report.items.iter().flat_map(|item| item.elements(time));
        self.live
            .add(position, time, elements)
            .map_err(|_| InconsistentEvent("a report before an earlier one"))?;
        let kinds = self.policy.listed();
        let listed = report.items.iter().filter(|item| kinds.has(item.kind()));
        self.live.add_seeds(position, listed.filter_map(|item| item.seed(time)));
        match self.reports.add(position, report) {
            true => Err(InconsistentEvent("a second report by one code")),
            false => Ok(()),
        }
    }

    fn purge(&mut self, reports: &[u64], used: &[CodeId]) -> Result<(), InconsistentEvent> {
        for report in reports {
            self.live.forget(*report);
            let code = self.reports.remove(*report);
            self.forget_code(code, used)?;
        }
        // A replay of the log without the erased bodies has never seen their dates.
        let mut unseen: BTreeSet<Date> = self.dropped.keys().copied().collect();
        for (_, report) in self.live.reports() {
            if unseen.is_empty() {
                break;
            }
            for brought in &report.dates {
                unseen.remove(&brought.date);
            }
        }
        self.dropped.retain(|date, _| !unseen.contains(date));
        for code in used {
            self.provider(code.provider)?.set_used(*code, true);
        }
        Ok(())
    }

    /// Forgets that a code was used, unless it is one of these: a replay of the log without the
    /// erased bodies knows of no others.
    fn forget_code(
        &mut self,
        code: Option<CodeId>,
        used: &[CodeId],
    ) -> Result<(), InconsistentEvent> {
        if let Some(code) = code.filter(|code| used.binary_search(code).is_err()) {
            self.provider(code.provider)?.set_used(code, false);
        }
        Ok(())
    }

    fn tick(&mut self, tick: LastTick) {
        self.tick_bluetrace(self.last_tick.map(|last| last.time), tick.time);
        let expired = self.live.tick(tick.version, tick.time, &self.policy.live());
        for date in expired {
            self.dropped.insert(date, Dropped { tick, settled: None });
        }
        for dropped in self.dropped.values_mut().filter(|dropped| dropped.settled.is_none()) {
            let ticks = tick.version.tick.saturating_sub(dropped.tick.version.tick);
            dropped.settled = (ticks >= SETTLED_TICKS).then_some(tick.time);
        }
        for provider in self.providers.values_mut() {
            provider.forget_expired(tick.time);
        }
        self.verdicts.forget_old(tick.time);
        self.last_tick = Some(tick);
        self.clock = tick.time;
    }

    /// Whether the log does not have this publication although it was published: then the end of
    /// the log is missing, or it is another log.
    pub fn lacks(&self, published: Version) -> bool {
        let last = self.last_tick.map(|last| last.version);
        published.series >= self.series && Some(published) > last
    }

    /// Number of the last tick, if something of this series must have been published. After the
    /// first tick alone that is not certain: its publication may have been interrupted.
    pub fn published_tick(&self) -> Option<u32> {
        let last = self.last_tick.map(|last| last.version);
        last.filter(|last| last.series == self.series && last.tick > 1).map(|last| last.tick)
    }

    /// The report with a tracking id: its own, or that of a 202 for the same report.
    pub fn tracked(&self, tracking: &TrackingId) -> Option<u64> {
        match (self.reports.by_tracking(tracking), self.verdicts.get(tracking)) {
            (Some((position, _)), _) | (None, Some(Verdict::Known(position))) => Some(position),
            _ => None,
        }
    }

    /// Whether the log has a judgement on the report with a tracking id.
    pub fn is_judged(&self, tracking: &TrackingId) -> bool {
        self.reports.by_tracking(tracking).is_some() || self.verdicts.get(tracking).is_some()
    }

    /// Whether a code that is known to be authentic can bring a report.
    pub fn code_status(&self, code: CodeId, now: u64) -> CodeStatus {
        let Some(provider) = self.providers.get(&code.provider) else {
            return CodeStatus::NotOpen;
        };
        if self.reports.by_code(code).is_some() {
            return CodeStatus::Used;
        }
        // A used code stays used, whatever the status of its provider, and whether or not its
        // report has been purged. `Suspended` is only for codes that would be open otherwise.
        match (provider.code_status(code, now), provider.status) {
            (CodeStatus::Used, _) => CodeStatus::Used,
            (_, ProviderStatus::Revoked) => CodeStatus::Revoked,
            (CodeStatus::Open, ProviderStatus::Suspended) => CodeStatus::Suspended,
            (status, _) => status,
        }
    }
}

/// Number of ticks after which no manifest names a file that depends on a dropped date: the ticks
/// for which bundles are kept, the 96 ticks of the longest bundle, and one.
const SETTLED_TICKS: u32 = KEPT_TICKS + 96 + 1;

/// An event that cannot follow from the events before it.
#[derive(Debug)]
pub(crate) struct InconsistentEvent(pub(crate) &'static str);

//! State: what the events of the log add up to.
//!
//! [`State::apply`] applies what was recorded and judges nothing, so every release reads
//! history alike. It needs no clock and no randomness: filler comes from the key and the
//! tick.

mod days;
mod providers;
mod reports;

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::ENTRY_DELAY;
pub use gcs_core::Version;
use gcs_core::files::KEPT_TICKS;
use gcs_core::publish::Day as PublishedDay;
use gcs_core::{Date, Digest};
use serde::Serialize;

pub use self::days::{Change, Day, FillerKey};
pub use self::providers::{CodeStatus, Provider, Range, RangeCounts};
pub use self::reports::{Report, ReportDay, Reports};
use crate::domain::item;
use crate::domain::item::Element;
use crate::domain::log::event::{Act, CodeId, Deployment, ProviderStatus};
use crate::domain::log::{Event, LogError, LoggedEvent};
use crate::domain::policy::Policy;

/// The last tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastTick {
    /// What it published.
    pub version: Version,
    /// Its Unix time.
    pub time: u64,
}

/// A date that expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The tick that dropped it.
    pub tick: LastTick,
    /// Time of the first tick whose manifest names nothing that depends on it.
    pub settled: Option<u64>,
}

/// Everything that the log says.
#[derive(Debug, Serialize)]
pub struct State {
    /// Position of the last event that was applied.
    pub position: u64,
    /// Hash of its header.
    pub head: [u8; 32],
    /// Which deployment this is.
    pub deployment: Option<Deployment>,
    /// Its settings.
    pub policy: Policy,
    /// The online keys as signed JSON.
    pub key_list: String,
    /// SHA-256 of the operator's token.
    pub operator: [u8; 32],
    /// SHA-256 of the token of backends, if there is one.
    pub backend: Option<[u8; 32]>,
    /// Providers by number.
    pub providers: BTreeMap<u16, Provider>,
    /// Reports that have not been purged.
    pub reports: Reports,
    /// Dates that have not expired, with what was reported for them.
    pub days: BTreeMap<Date, Day>,
    /// Dates that expired, until their reports are purged.
    pub dropped: BTreeMap<Date, Dropped>,
    /// The series.
    pub series: u32,
    /// The last tick.
    pub last_tick: Option<LastTick>,
    /// The time that was last taken for right: of the last tick, or of an operator's word.
    pub clock: u64,
    #[serde(skip)]
    filler: FillerKey,
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
            reports: Reports::default(),
            days: BTreeMap::new(),
            dropped: BTreeMap::new(),
            series: 1,
            last_tick: None,
            clock: 0,
            filler,
        }
    }

    /// SHA-256 over everything in it: two nodes at one position have the same.
    pub fn digest(&self) -> Digest {
        Digest::of(&postcard::to_allocvec(self).expect("writing to memory does not fail"))
    }

    /// Applies the next event.
    ///
    /// # Errors
    /// [`LogError::Broken`] if it cannot follow from the events before: then the log was
    /// not written by this server.
    pub fn apply(&mut self, record: &LoggedEvent) -> Result<(), LogError> {
        let position = record.header.position;
        if self.deployment.is_none() && !matches!(record.event, Some(Event::Deployment(_))) {
            return Err(LogError::broken(position, "the log does not begin with a deployment"));
        }
        if let Some(event) = &record.event {
            self.apply_event(event, position, record.header.time)
                .map_err(|InconsistentEvent(what)| LogError::broken(position, what))?;
        }
        self.position = position;
        self.head = record.header.hash();
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
            Event::PolicySet(set) => self.policy = set.policy.clone(),
            Event::KeyListSet(set) => self.key_list.clone_from(&set.signed),
            Event::OperatorTokenSet(set) => self.operator = set.token,
            Event::BackendTokenSet(set) => self.backend = Some(set.token),
            Event::ProviderAdded(added) => {
                let provider = Provider::new(added.name.clone(), added.token);
                if self.providers.insert(added.provider, provider).is_some() {
                    return Err(InconsistentEvent("a provider that is there already"));
                }
            }
            Event::ProviderStatusSet(set) => {
                self.provider(set.provider)?.status = set.status;
            }
            Event::ProviderTokenSet(set) => self.provider(set.provider)?.token = set.token,
            Event::ProviderKeyRaised(raised) => {
                self.provider(raised.provider)?.raise_key(raised.generation);
            }
            Event::RangeOpened(opened) => self.provider(opened.provider)?.open(opened),
            Event::RangeClosed(closed) => {
                self.provider(closed.provider)?.range(closed.first)?.closed = true;
            }
            Event::CodeRevoked(revoked) => {
                self.provider(revoked.code.provider)?.revoke(revoked.code)?;
            }
            Event::ReportAccepted(report) => {
                self.provider(report.code.provider)?.mark_used(report.code)?;
                let added = self.reports.add(position, time, report, &mut self.days);
                added.map_err(|()| InconsistentEvent("a second report by one code"))?;
            }
            Event::Correction(correction) => {
                for report in &correction.reports {
                    self.reports.correct(*report, correction.act, &mut self.days);
                }
            }
            Event::Tick(tick) => {
                let version = Version { series: tick.series, tick: tick.number };
                self.tick(LastTick { version, time });
            }
            Event::SeriesStarted(raised) => {
                // A restored clock may have been wrong: see `Publisher::next_series`.
                self.series = raised.series;
                self.clock = time;
                self.providers.values_mut().for_each(Provider::skip_serials);
            }
            Event::ClockResumed(_) => self.clock = time,
            Event::Purge(purge) => {
                for report in &purge.reports {
                    // A fold of the log without their bodies knows of no codes but these.
                    let code = self.reports.remove(*report);
                    let forgotten = code.filter(|code| purge.used.binary_search(code).is_err());
                    if let Some(code) = forgotten {
                        self.provider(code.provider)?.forget_used(code);
                    }
                }
                // A fold of the log without their bodies has never seen their dates.
                let kept = self.reports.iter().flat_map(|(_, report)| &report.days);
                let kept: BTreeSet<Date> = kept.map(|brought| brought.date).collect();
                self.dropped.retain(|date, _| kept.contains(date));
                for code in &purge.used {
                    self.provider(code.provider)?.mark_used(*code)?;
                }
            }
        }
        Ok(())
    }

    fn provider(&mut self, number: u16) -> Result<&mut Provider, InconsistentEvent> {
        self.providers.get_mut(&number).ok_or(InconsistentEvent("a provider that is not there"))
    }

    /// Drops expired dates, lets go what waited long enough or in enough company.
    fn tick(&mut self, tick: LastTick) {
        let retention = self.policy.retention_days;
        let days = std::mem::take(&mut self.days);
        for (date, mut day) in days {
            if item::is_expired(date, tick.time, retention) {
                self.dropped.insert(date, Dropped { tick, settled: None });
                continue;
            }
            if day.listed || date.end() + ENTRY_DELAY <= tick.time {
                day.release(date, tick, &self.policy, &mut self.reports, &self.filler);
            }
            self.days.insert(date, day);
        }
        for dropped in self.dropped.values_mut().filter(|dropped| dropped.settled.is_none()) {
            let ticks = tick.version.tick.saturating_sub(dropped.tick.version.tick);
            dropped.settled = (ticks >= SETTLED_TICKS).then_some(tick.time);
        }
        for provider in self.providers.values_mut() {
            provider.forget_expired(tick.time);
        }
        self.last_tick = Some(tick);
        self.clock = tick.time;
    }

    /// What is published at the present tick, by date. A date that is not due yet was
    /// published by a clock that was wrong and has been put back since: it waits again, or
    /// there could be more dates than a table holds.
    pub fn published(&self) -> Vec<PublishedDay<Element>> {
        let now = self.last_tick.map_or(0, |tick| tick.time);
        let is_due = |date: &Date| date.end() + ENTRY_DELAY <= now;
        let listed = self.days.iter().filter(|(date, day)| day.listed && is_due(date));
        listed.map(|(date, day)| PublishedDay { date: *date, elements: day.published() }).collect()
    }

    /// Whether the log lacks a tick of its present series, or a later one, that was published.
    pub fn lacks(&self, published: Version) -> bool {
        let last = self.last_tick.map(|last| last.version);
        published.series >= self.series && Some(published) > last
    }

    /// The last tick, if it or one before must have been published in this series: the very
    /// first may have been cut short.
    pub fn published_tick(&self) -> Option<u32> {
        let last = self.last_tick.map(|last| last.version);
        last.filter(|last| last.series == self.series && last.tick > 1).map(|last| last.tick)
    }

    /// Whether a date has not expired since a report brought elements for it.
    pub fn has(&self, report: u64, date: Date) -> bool {
        self.days.get(&date).is_some_and(|day| day.knows(report))
    }

    /// Whether this very element is published for a date.
    pub fn is_published(&self, date: Date, element: &[u8]) -> bool {
        self.days.get(&date).is_some_and(|day| day.is_published(element))
    }

    /// What a code is worth, once it is known to be authentic.
    pub fn code_status(&self, code: CodeId, now: u64) -> CodeStatus {
        let Some(provider) = self.providers.get(&code.provider) else {
            return CodeStatus::NotOpen;
        };
        if self.reports.by_code(code).is_some() {
            return CodeStatus::Used;
        }
        // Used stays used, whatever its provider may do, and whether or not its report is
        // still there. A suspension is only told of codes that would count without it.
        match (provider.code_status(code, now), provider.status) {
            (CodeStatus::Used, _) => CodeStatus::Used,
            (_, ProviderStatus::Revoked) => CodeStatus::Revoked,
            (CodeStatus::Open, ProviderStatus::Suspended) => CodeStatus::Suspended,
            (status, _) => status,
        }
    }

    /// Counts what a correction of these reports would change, without doing it.
    pub fn preview(&self, act: Act, reports: &[u64]) -> BTreeMap<Date, Change> {
        self.reports.preview(act, reports, &self.days)
    }
}

/// Ticks after which a manifest names nothing any more that depends on a dropped date: every
/// kept bundle, and the state that the longest of them reaches back to.
const SETTLED_TICKS: u32 = KEPT_TICKS + 96 + 1;

/// An event that does not follow from those before.
#[derive(Debug)]
pub(crate) struct InconsistentEvent(pub(crate) &'static str);

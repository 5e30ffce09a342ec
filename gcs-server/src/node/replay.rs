//! From a log to a state, and to the publications on the way.

use std::collections::BTreeMap;

use gcs_core::live::{FillerKey, LiveDay, LiveSeedDay};
use gcs_core::report::{Kind, Kinds};
use gcs_core::{Digest, Version};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::chain::{Chain, LogError, LoggedEvent};
use crate::domain::events::{Deployment, Event, LogMoved, is_erasable};
use crate::domain::keys::DeploymentKeys;
use crate::domain::policy::{ExportPolicy, Policy};
use crate::domain::state::{LastTick, State};
use crate::store::{DAMAGED, Store, StoreError};

/// Bytes of a log that are read at a time, about.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Pages that are read ahead while the events of another are applied.
const PAGES_AHEAD: usize = 2;

/// The place of a tick in the log, and so of the publication that is computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickPosition {
    /// Series and number of the tick.
    pub version: Version,
    /// Unix time of the tick, in seconds.
    pub time: u64,
    /// Position of the tick in the log.
    pub position: u64,
    /// SHA-256 of the tick's header in the log.
    pub head: [u8; 32],
}

/// Everything that a publication is computed from, besides the publication before it.
#[derive(Clone, Debug)]
pub struct PublicationInput {
    /// The tick of the publication.
    pub tick: TickPosition,
    /// The settings at this tick.
    pub policy: Policy,
    /// The online keys as signed JSON.
    pub key_list: String,
    /// The elements to publish, by date, shared with the state that they come from.
    pub days: Vec<LiveDay>,
    /// The seeds to publish, by date and kind, shared as the elements are, if the settings say that some are published.
    pub seeds: Option<Vec<LiveSeedDay>>,
    /// What is in export files, if the settings say that there are some.
    pub exported: Option<Exported>,
}

/// What is in export files.
#[derive(Clone, Debug)]
pub struct Exported {
    /// How they are published.
    pub policy: ExportPolicy,
    /// The keys of Exposure Notification, by date, shared as the elements are.
    pub keys: Vec<LiveSeedDay>,
}

impl PublicationInput {
    /// The input of a tick that was just applied; `None` for other events.
    pub fn of(state: &State, logged: &LoggedEvent) -> Option<PublicationInput> {
        Self::is_due_after(logged).then(|| PublicationInput::of_last(state)).flatten()
    }

    /// Whether there is a publication to compute after an event, which is a tick then.
    pub(super) fn is_due_after(logged: &LoggedEvent) -> bool {
        matches!(logged.event, Some(Event::TickMade(_)))
    }

    /// The input of a state's last event, which is a tick; `None` if there was no tick yet.
    pub fn of_last(state: &State) -> Option<PublicationInput> {
        let LastTick { version, time } = state.last_tick?;
        let Chain { position, head } = state.chain();
        let kinds = state.policy.seeds;
        let exported = state.policy.exports.clone();
        let keys = || state.live.seeds(Kinds::of(&[Kind::Gaen]));
        Some(PublicationInput {
            tick: TickPosition { version, time, position, head },
            policy: state.policy.clone(),
            key_list: state.key_list.clone(),
            days: state.live.days(),
            seeds: (!kinds.is_empty()).then(|| state.live.seeds(kinds)),
            exported: exported.map(|policy| Exported { policy, keys: keys() }),
        })
    }
}

/// Why a log cannot be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The log could not be read.
    #[error("{0}\n{advice}", advice = .0.advice())]
    Store(#[from] StoreError),
    /// An event of the log is wrong.
    #[error("{0}\n{advice}", advice = advice(.0))]
    Log(#[from] LogError),
    /// The key file belongs to another deployment.
    #[error(
        "the key file belongs to another deployment than the log; \
         give the key file that was made with this log"
    )]
    OtherKeys,
    /// A body is missing, and no purge names it.
    #[error("event {position}: its body is missing, although no purge has erased it\n{DAMAGED}")]
    Missing {
        /// Position of the first such event.
        position: u64,
    },
}

impl ReplayError {
    /// Whether events do not lead on from the state that the replay began with.
    pub(crate) fn is_of_events(&self) -> bool {
        matches!(self, ReplayError::Log(LogError::Broken { .. }) | ReplayError::Missing { .. })
    }
}

/// What an operator does about an event that cannot be used.
fn advice(error: &LogError) -> &'static str {
    match error {
        LogError::Broken { .. } => DAMAGED,
        LogError::Newer { .. } => "This release leaves the log as it is.",
        LogError::Moved { .. } => "This log stays as it is.",
    }
}

/// The result of replaying a log.
#[derive(Debug)]
pub struct Replayed {
    /// The state at the end of the log.
    pub state: State,
    /// Positions of events whose bodies a purge should have erased, and which are still there
    /// because of a crash.
    pub unerased: Vec<u64>,
    /// The first event that a newer release wrote, if there is one. The state ends before it.
    pub newer: Option<LogError>,
}

impl Replayed {
    /// The state, if this release could read the whole log.
    ///
    /// # Errors
    /// When a newer release wrote a part of the log.
    pub fn whole(self) -> Result<State, ReplayError> {
        match self.newer {
            None => Ok(self.state),
            Some(error) => Err(error.into()),
        }
    }
}

/// Reads and verifies the events after the end of a chain, and calls `each` for every event before the
/// first that a newer release wrote. Another thread reads ahead.
///
/// # Errors
/// The first event that is wrong, or whatever `each` returns. [`LogError::Newer`] only if the headers
/// up to the end of the log bear it out: a damaged header looks like one of a newer release, but the
/// header behind it does not follow from it.
pub(super) fn read_after(
    store: &mut dyn Store,
    chain: Chain,
    mut each: impl FnMut(LoggedEvent) -> Result<(), LogError>,
) -> Result<(), ReplayError> {
    std::thread::scope(|scope| {
        let (given, pages) = std::sync::mpsc::sync_channel(PAGES_AHEAD);
        let reader = std::thread::Builder::new().name("log".into());
        let reader = reader.spawn_scoped(scope, move || {
            let mut read_ahead = Pages::after(store, chain)?;
            loop {
                let (page, read) = read_ahead.next(store);
                // Whoever takes the pages may have found an error; then nobody wants more.
                let is_wanted = given.send(page).is_ok();
                if !read? || !is_wanted {
                    return Ok(());
                }
            }
        });
        let reader = reader.map_err(StoreError::Io)?;
        for logged in pages.into_iter().flatten() {
            each(logged)?;
        }
        match reader.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Position of a log's last event, if the log has the end of a chain.
///
/// # Errors
/// [`LogError::Broken`] if the log has another event there, or none: it has lost its end.
pub(super) fn end_behind(store: &mut dyn Store, chain: Chain) -> Result<u64, ReplayError> {
    let last = store.last()?;
    if last < chain.position {
        return Err(LogError::broken(last + 1, "missing: the log had it before").into());
    }
    if chain.position > 0 {
        let headers = store.headers(chain.position)?;
        let head = headers.first().map(|header| Digest::of(header).0);
        if head != Some(chain.head) {
            let what = "it is not the one that the log had before";
            return Err(LogError::broken(chain.position, what).into());
        }
    }
    Ok(last)
}

/// Reads and verifies the events after the end of a chain, page by page.
pub(super) struct Pages {
    chain: Chain,
    /// Position of the log's last event when the reading began.
    last: u64,
    /// The first event that a newer release wrote, once there is one.
    newer: Option<LogError>,
}

impl Pages {
    /// # Errors
    /// As [`end_behind`].
    pub(super) fn after(store: &mut dyn Store, chain: Chain) -> Result<Pages, ReplayError> {
        Ok(Pages { chain, last: end_behind(store, chain)?, newer: None })
    }

    /// The next events, before the first that is wrong or that a newer release wrote; and whether there is
    /// more, or what is wrong.
    pub(super) fn next(
        &mut self,
        store: &mut dyn Store,
    ) -> (Vec<LoggedEvent>, Result<bool, ReplayError>) {
        let mut page = Vec::new();
        let read = self.read(store, &mut page).and_then(|()| {
            let is_more = self.chain.position < self.last;
            match self.newer.take_if(|_| !is_more) {
                Some(newer) => Err(newer.into()),
                None => Ok(is_more),
            }
        });
        (page, read)
    }

    fn read(
        &mut self,
        store: &mut dyn Store,
        page: &mut Vec<LoggedEvent>,
    ) -> Result<(), ReplayError> {
        let next = self.chain.position + 1;
        if next > self.last {
            return Ok(());
        }
        let batches = store.read(next, PAGE_BYTES)?;
        // The chain may end within a batch.
        let known = match batches.first() {
            Some(batch) if (batch.first..=batch.last()).contains(&next) => next - batch.first,
            Some(batch) => {
                let what = format!("missing: the next event is {}", batch.first);
                return Err(LogError::broken(next, what).into());
            }
            None => return Err(LogError::broken(next, "missing: the log has a gap").into()),
        };
        for stored in batches.into_iter().flat_map(|batch| batch.events).skip(known as usize) {
            if let Some(newer) = &self.newer {
                self.chain.link(&stored.header).map_err(|error| error.behind(newer))?;
                continue;
            }
            let body = stored.body.as_ref().map(|body| (&body.salt, body.bytes.as_slice()));
            match self.chain.verify(&stored.header, body) {
                Ok(LoggedEvent { header, event: Some(Event::LogMoved(LogMoved { to })) }) => {
                    return Err(LogError::Moved { position: header.position, to }.into());
                }
                Ok(logged) => page.push(logged),
                Err(error) if error.is_newer() => {
                    self.chain.link(&stored.header)?;
                    self.newer = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Reads the whole log, applies its events, and calls `each` right after an event was applied.
/// Without keys, the key file is not compared with the log, and the state has other filler.
///
/// # Errors
/// The first event that is wrong; a key file of another deployment.
pub fn replay(
    store: &mut dyn Store,
    keys: Option<&DeploymentKeys>,
    each: impl FnMut(&State, &LoggedEvent) -> Result<(), LogError>,
) -> Result<Replayed, ReplayError> {
    let filler = keys.map_or_else(|| FillerKey::new([0; 32]), DeploymentKeys::filler);
    replay_from(State::new(filler), store, keys, each)
}

/// Goes on with a replay from a state that the log has already led to. What comes before it in the
/// log is not read.
///
/// # Errors
/// As [`replay`].
pub fn replay_from(
    state: State,
    store: &mut dyn Store,
    keys: Option<&DeploymentKeys>,
    each: impl FnMut(&State, &LoggedEvent) -> Result<(), LogError>,
) -> Result<Replayed, ReplayError> {
    let (replayed, missing) = fold(state, store, keys, each)?;
    // The event that names them may be in the part that cannot be read.
    match missing.into_iter().next().filter(|_| replayed.newer.is_none()) {
        Some((position, kind)) if is_erasable(kind) => Err(ReplayError::Missing { position }),
        Some((position, _)) => Err(no_body(position).into()),
        None => Ok(replayed),
    }
}

/// The state of a log of which bodies are missing, as it is once an event has named them; and the kinds of these
/// events, by position.
///
/// # Errors
/// As [`replay`], but for bodies that are missing.
pub fn replay_incomplete(
    store: &mut dyn Store,
    keys: &DeploymentKeys,
) -> Result<(State, BTreeMap<u64, u16>), ReplayError> {
    let (replayed, missing) = fold(State::new(keys.filler()), store, Some(keys), |_, _| Ok(()))?;
    Ok((replayed.whole()?, missing))
}

fn no_body(position: u64) -> LogError {
    LogError::broken(position, "its body is missing, and no purge erases such a body")
}

/// A replay, and the kinds of events whose bodies are missing although nothing says why, by position.
fn fold(
    mut state: State,
    store: &mut dyn Store,
    keys: Option<&DeploymentKeys>,
    mut each: impl FnMut(&State, &LoggedEvent) -> Result<(), LogError>,
) -> Result<(Replayed, BTreeMap<u64, u16>), ReplayError> {
    let mut bodies = Bodies::default();
    let is_ours = |deployment: &Deployment| {
        keys.is_none_or(|keys| {
            deployment.master_check == keys.master_check() && deployment.root == keys.root().0
        })
    };
    let mut are_ours = state.deployment.as_ref().is_none_or(is_ours);
    let mut newer = None;
    let mut begin = None;
    // A body may have been erased while the log was read, for a purge that was appended meanwhile: it is in the log then.
    while newer.is_none() && begin.is_none_or(|begin| bodies.are_missing_after(begin)) {
        begin = Some(state.position);
        let read = read_after(store, state.chain(), |logged| {
            bodies.note(&logged)?;
            if let Some(Event::Deployment(deployment)) = &logged.event {
                are_ours = is_ours(deployment);
            }
            // What does not fit may do so because of a body that is missing.
            state.apply(&logged).map_err(|error| bodies.why().unwrap_or(error))?;
            if are_ours { each(&state, &logged) } else { Ok(()) }
        });
        newer = match read {
            Err(ReplayError::Log(error)) if error.is_newer() => Some(error),
            read => read.map(|()| None)?,
        };
    }
    if state.deployment.is_none() {
        let what = "missing: the log is empty. If the very first start was cut short, move the log \
                    and its key file to another folder, and start again";
        return Err(LogError::broken(1, what).into());
    }
    if !are_ours {
        return Err(ReplayError::OtherKeys);
    }
    Ok((Replayed { state, unerased: bodies.unerased, newer }, bodies.missing))
}

/// Bodies that are present although a purge names them, and bodies that are missing although nothing names
/// them.
#[derive(Default)]
struct Bodies {
    /// Kinds of events without a body that nothing has named so far, by position.
    missing: BTreeMap<u64, u16>,
    /// Positions of events with a body that a purge has named.
    unerased: Vec<u64>,
}

impl Bodies {
    fn note(&mut self, logged: &LoggedEvent) -> Result<(), LogError> {
        match &logged.event {
            None => {
                self.missing.insert(logged.header.position, logged.header.kind);
            }
            Some(Event::BodiesLost(lost)) => {
                let there = lost.events.iter().find(|event| self.missing.remove(*event).is_none());
                if let Some(position) = there {
                    let what = "its body is there, although the log went on without it";
                    return Err(LogError::broken(*position, what));
                }
            }
            Some(event) => {
                let named = event.erased().unwrap_or_default().iter().copied();
                let unerased = named.filter(|event| self.missing.remove(event).is_none());
                self.unerased.extend(unerased);
            }
        }
        Ok(())
    }

    /// Whether a body of an event behind a position is missing.
    fn are_missing_after(&self, position: u64) -> bool {
        self.missing.range(position + 1..).next().is_some()
    }

    /// The first missing body that no purge can have erased.
    fn why(&self) -> Option<LogError> {
        let missing = self.missing.iter().find(|(_, kind)| !is_erasable(**kind));
        missing.map(|(position, _)| no_body(*position))
    }
}

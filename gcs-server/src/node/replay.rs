//! From a log to a state, and to the publications on the way.

use gcs_core::publish::Day;
use thiserror::Error;

use crate::domain::item::Element;
use crate::domain::keys::KeyFile;
use crate::domain::log::{Event, LogError, LoggedEvent, Reader, event};
use crate::domain::policy::Policy;
use crate::domain::state::{FillerKey, State, Version};
use crate::store::Store;

/// Everything that one publication depends on besides the one before.
#[derive(Clone, Debug)]
pub struct PublicationInput {
    /// Its series and tick.
    pub version: Version,
    /// Its Unix time.
    pub now: u64,
    /// Position of the tick in the log.
    pub position: u64,
    /// Hash of the tick's header.
    pub head: [u8; 32],
    /// The settings.
    pub policy: Policy,
    /// The online keys as signed JSON.
    pub key_list: String,
    /// What is published, by date.
    pub days: Vec<Day<Element>>,
}

impl PublicationInput {
    /// The input of a tick that was just applied; `None` for other events.
    pub fn of(state: &State, record: &LoggedEvent) -> Option<PublicationInput> {
        let Some(Event::Tick(tick)) = &record.event else { return None };
        Some(PublicationInput {
            version: Version { series: tick.series, tick: tick.number },
            now: record.header.time,
            position: record.header.position,
            head: record.header.hash(),
            policy: state.policy.clone(),
            key_list: state.key_list.clone(),
            days: state.published(),
        })
    }
}

/// Why a log cannot be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The log.
    #[error("{0}\nRestore the log from a copy.")]
    Log(#[from] LogError),
    /// The key file is of another deployment.
    #[error(
        "the key file belongs to another deployment than the log; \
         give the key file that was made with this log"
    )]
    OtherKeys,
    /// Bodies are missing that no purge names.
    #[error(
        "event {position}: its body is missing, and no purge says so\n\
         Restore the log from a copy."
    )]
    Missing {
        /// Position of the first such event.
        position: u64,
    },
}

/// What a log adds up to.
#[derive(Debug)]
pub struct Replayed {
    /// The state at its end.
    pub state: State,
    /// Bodies that a purge named, and that are still there because of a crash.
    pub unerased: Vec<u64>,
    /// What a newer release wrote, if it did: the state ends before it.
    pub newer: Option<LogError>,
}

impl Replayed {
    /// The state, if it is that of the whole log.
    ///
    /// # Errors
    /// When a newer release wrote some of it.
    pub fn whole(self) -> Result<State, ReplayError> {
        match self.newer {
            None => Ok(self.state),
            Some(error) => Err(error.into()),
        }
    }
}

/// Reads the whole log, applies it, and hands every event over right after it was applied.
/// Without keys everything is checked but that they belong to the log, and the state lacks
/// its filler.
///
/// # Errors
/// The first event that is wrong; a key file of another deployment.
pub fn replay(
    store: &mut dyn Store,
    keys: Option<&KeyFile>,
    mut each: impl FnMut(&State, &LoggedEvent) -> Result<(), LogError>,
) -> Result<Replayed, ReplayError> {
    let mut state = State::new(keys.map_or(FillerKey([0; 32]), KeyFile::filler));
    let mut missing = std::collections::BTreeSet::new();
    let mut unerased = Vec::new();
    let mut is_ours = true;
    let read = Reader::new().read(store, |record| {
        let position = record.header.position;
        match &record.event {
            None => {
                if record.header.kind != event::ERASABLE {
                    let what = "its body is missing, and no purge erases such a body";
                    return Err(LogError::broken(position, what));
                }
                missing.insert(position);
            }
            Some(Event::Deployment(deployment)) => {
                is_ours = keys.is_none_or(|keys| {
                    deployment.master_check == keys.master_check()
                        && deployment.root == keys.root().0
                });
            }
            Some(Event::Purge(purge)) => {
                for report in &purge.reports {
                    if !missing.remove(report) {
                        unerased.push(*report);
                    }
                }
            }
            Some(_) => {}
        }
        state.apply(&record)?;
        if is_ours { each(&state, &record) } else { Ok(()) }
    });
    let newer = match read {
        Err(error @ (LogError::UnknownKind { .. } | LogError::UnknownOutcome { .. })) => {
            Some(error)
        }
        read => read.map(|()| None)?,
    };
    if state.deployment.is_none() {
        let what = "missing: the log is empty. If the very first start was cut short, delete \
                    the log and its key file to begin again";
        return Err(LogError::broken(1, what).into());
    }
    if !is_ours {
        return Err(ReplayError::OtherKeys);
    }
    // The purge that names them may be in the part that cannot be read.
    if let Some(position) = missing.first().filter(|_| newer.is_none()) {
        return Err(ReplayError::Missing { position: *position });
    }
    Ok(Replayed { state, unerased, newer })
}

//! Everything that is wrong with a log, and not only what is wrong first.

use super::replay::{PAGE_BYTES, ReplayError};
use crate::domain::chain::{Chain, LogError};
use crate::store::Store;

/// Most damaged events that are listed.
const LISTED: usize = 1000;

/// What is wrong with a log.
#[derive(Debug, Default)]
pub struct Survey {
    /// The events that are damaged although their headers fit into the chain: at most 1000 of them.
    pub damaged: Vec<LogError>,
    /// Number of such events.
    pub count: u64,
    /// Number of events whose headers fit into the chain.
    pub chained: u64,
    /// Why the chain ends before the log does, if it does.
    pub end: Option<ReplayError>,
}

impl Survey {
    /// Reads a log as far as the chain of its headers goes: a body can be damaged, and what is behind it still be
    /// known to be right.
    pub fn of(store: &mut dyn Store) -> Survey {
        let mut survey = Survey::default();
        let mut chain = Chain::default();
        survey.end = survey.read(store, &mut chain).err();
        survey.chained = chain.position;
        survey
    }

    fn read(&mut self, store: &mut dyn Store, chain: &mut Chain) -> Result<(), ReplayError> {
        let last = store.last()?;
        while chain.position < last {
            let next = chain.position + 1;
            let batches = store.read(next, PAGE_BYTES)?;
            if batches.first().is_none_or(|batch| batch.first != next) {
                return Err(LogError::broken(next, "missing").into());
            }
            for stored in batches.into_iter().flat_map(|batch| batch.events) {
                let body = stored.body.as_ref().map(|body| (&body.salt, body.bytes.as_slice()));
                // One of a newer release is not damaged.
                if let Err(error) = chain.verify(&stored.header, body) {
                    chain.link(&stored.header)?;
                    self.note(error);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, error: LogError) {
        if error.is_newer() {
            return;
        }
        self.count += 1;
        if self.damaged.len() < LISTED {
            self.damaged.push(error);
        }
    }
}

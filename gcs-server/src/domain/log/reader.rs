//! Reading the log, with every check that needs no other knowledge than the log.

use thiserror::Error;

use super::header::{self, Header};
use super::{Event, event};
use crate::store::{Store, StoreError, Stored};

/// About how much is read at a time.
const PAGE_BYTES: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// Its header.
    pub header: Header,
    /// What happened; `None` once purged.
    pub event: Option<Event>,
}

/// A log that cannot be relied on, and where it goes wrong.
#[derive(Debug, Error)]
pub enum LogError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event is not what the chain says.
    #[error("event {position}: {what}")]
    Broken {
        /// Position of the first bad event.
        position: u64,
        /// What is wrong with it.
        what: String,
    },
    /// An event of a kind that this release does not know.
    #[error(
        "event {position} is of kind {kind}, which this release does not know: \
         it was written by a newer one; install that"
    )]
    UnknownKind {
        /// Its position.
        position: u64,
        /// Its kind.
        kind: u16,
    },
    /// An event with an outcome that this release does not know.
    #[error(
        "event {position} is of outcome {outcome}, which this release does not know: \
         it was written by a newer one; install that"
    )]
    UnknownOutcome {
        /// Its position.
        position: u64,
        /// Its outcome.
        outcome: u8,
    },
}

impl LogError {
    /// An event that does not fit.
    pub fn broken(position: u64, what: impl Into<String>) -> LogError {
        LogError::Broken { position, what: what.into() }
    }
}

/// Reads events in order and checks positions, the chain and the commitments.
#[derive(Debug)]
pub struct Reader {
    position: u64,
    head: [u8; 32],
}

impl Reader {
    /// A reader of the whole log.
    pub fn new() -> Reader {
        Reader { position: 0, head: [0; 32] }
    }

    /// A reader of what comes after an event.
    pub fn after(position: u64, head: [u8; 32]) -> Reader {
        Reader { position, head }
    }

    /// Reads to the end and hands every event over.
    ///
    /// # Errors
    /// The first event that is wrong, or whatever `each` returns.
    pub fn read(
        &mut self,
        store: &mut dyn Store,
        mut each: impl FnMut(LoggedEvent) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let last = store.last()?;
        if last < self.position {
            return Err(LogError::broken(last + 1, "missing: the log had it before"));
        }
        while self.position < last {
            let batches = store.read(self.position + 1, PAGE_BYTES)?;
            let Some(first) = batches.first() else {
                return Err(LogError::broken(self.position + 1, "missing: the log has a gap"));
            };
            if first.first != self.position + 1 {
                let what = format!("missing: the next event is {}", first.first);
                return Err(LogError::broken(self.position + 1, what));
            }
            for stored in batches.into_iter().flat_map(|batch| batch.events) {
                each(self.check(&stored)?)?;
            }
        }
        Ok(())
    }

    /// Checks the next event and reads its body.
    fn check(&mut self, stored: &Stored) -> Result<LoggedEvent, LogError> {
        let position = self.position + 1;
        let broken = |what: &str| LogError::broken(position, what);
        let header =
            Header::from_bytes(&stored.header).ok_or_else(|| broken("no header of ours"))?;
        if header.position != position {
            let what = format!("its header says it is event {}", header.position);
            return Err(LogError::broken(position, what));
        }
        if header.previous != self.head {
            return Err(broken("it does not follow from the event before (its hash differs)"));
        }
        if header.outcome != header::ACCEPTED {
            return Err(LogError::UnknownOutcome { position, outcome: header.outcome });
        }
        let event = match &stored.body {
            None => None,
            Some(body) if header::commitment(&body.salt, &body.bytes) != header.commitment => {
                return Err(broken("its body is not the one it was written with"));
            }
            Some(body) => Some(decode(&header, &body.bytes)?),
        };
        (self.position, self.head) = (position, header.hash());
        Ok(LoggedEvent { header, event })
    }
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

fn decode(header: &Header, body: &[u8]) -> Result<Event, LogError> {
    let Header { position, kind, .. } = *header;
    Event::decode(kind, body).map_err(|error| match error {
        event::DecodeError::UnknownKind => LogError::UnknownKind { position, kind },
        event::DecodeError::Body(error) => {
            LogError::broken(position, format!("its body cannot be read: {error}"))
        }
    })
}

//! From events to a batch that a store takes.

use crate::domain::chain::{Chain, LoggedEvent};
use crate::domain::events::Event;
use crate::random::{self, Random};
use crate::store::{Batch, StoredBody, StoredEvent};

/// A batch that is being built from events.
#[derive(Debug)]
pub struct BatchBuilder {
    chain: Chain,
    first: u64,
    bytes: usize,
    logged: Vec<LoggedEvent>,
    stored: Vec<StoredEvent>,
}

/// A batch to store, and its events to apply once it is stored.
#[derive(Debug)]
pub struct SealedBatch {
    /// The events as they will be in the log.
    pub logged: Vec<LoggedEvent>,
    /// The batch to store.
    pub batch: Batch,
}

impl BatchBuilder {
    /// An empty batch that follows the end of a chain.
    pub fn after(chain: Chain) -> BatchBuilder {
        let first = chain.position + 1;
        BatchBuilder { chain, first, bytes: 0, logged: Vec::new(), stored: Vec::new() }
    }

    /// Adds an event. The salt must be random, and no other event's.
    pub fn add(&mut self, event: Event, now: u64, salt: [u8; 32]) {
        let (header, bytes) = self.chain.seal(&event, now, &salt);
        self.bytes += bytes.len();
        self.logged.push(LoggedEvent { header, event: Some(event) });
        let body = Some(StoredBody { salt, bytes });
        self.stored.push(StoredEvent { header: header.to_bytes().to_vec(), body });
    }

    /// Bytes of the bodies in the batch so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The batch; `None` if it has no events.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn finish(self, random: &Random) -> Result<Option<SealedBatch>, random::Error> {
        let BatchBuilder { first, logged, stored: events, .. } = self;
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some(SealedBatch { logged, batch: Batch { first, id: random.bytes()?, events } }))
    }
}

/// The batch of these events; `None` if there are none.
///
/// # Errors
/// When there are no random bytes.
pub fn seal(
    chain: Chain,
    events: &[Event],
    now: u64,
    random: &Random,
) -> Result<Option<SealedBatch>, random::Error> {
    let mut builder = BatchBuilder::after(chain);
    for event in events {
        builder.add(event.clone(), now, random.bytes()?);
    }
    builder.finish(random)
}

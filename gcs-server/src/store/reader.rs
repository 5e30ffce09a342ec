//! Reading a log beside the server that appends to it.

use super::{Batch, LogPlace, StoreError};

/// Reads a log that this process appends to. Each page has a connection of its own, so that nobody who
/// reads slowly is in the way of what is appended.
#[derive(Clone, Debug)]
pub struct LogReader {
    place: LogPlace,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Position of the log's last event.
    pub last: u64,
    /// Batches in order, the first of which has the position that was asked for; none if there is no such
    /// event.
    pub batches: Vec<Batch>,
}

impl LogReader {
    /// A reader of the log in a place.
    pub fn new(place: LogPlace) -> LogReader {
        LogReader { place }
    }

    /// Whether other nodes may append to the log too.
    pub fn is_shared(&self) -> bool {
        matches!(self.place, LogPlace::Postgres(_))
    }

    /// The batches from the one that has a position on, as many as have `max_bytes` in all, but one at
    /// least.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn page(&self, from: u64, max_bytes: usize) -> Result<Page, StoreError> {
        let mut store = self.place.reader()?;
        let batches = store.read(from, max_bytes)?;
        Ok(Page { last: store.last()?, batches })
    }
}

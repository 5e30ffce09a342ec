//! Reading a log beside the server that appends to it.

use super::{Batch, LogPlace, Store, StoreError};

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

impl Page {
    /// The batches from the one that has a position on, as many as have `max_bytes` in all, but one at
    /// least. Where others append meanwhile, it has all of the log as it was at the call, if that fits.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(store: &mut dyn Store, from: u64, max_bytes: usize) -> Result<Page, StoreError> {
        // First, or it could tell of an event that came after an empty answer.
        let last = store.last()?;
        let batches = store.read(from, max_bytes)?;
        let end = batches.last().map_or(0, Batch::last);
        Ok(Page { last: last.max(end), batches })
    }
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

    /// As [`Page::read`].
    ///
    /// # Errors
    /// As [`Page::read`].
    pub fn page(&self, from: u64, max_bytes: usize) -> Result<Page, StoreError> {
        Page::read(&mut *self.place.reader()?, from, max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AppendError, MemoryStore, StoredEvent};

    /// A log to which another node appends after each question.
    struct Growing(MemoryStore);

    impl Growing {
        fn grow(&mut self) {
            let event = StoredEvent { header: vec![1; 8], body: None };
            let first = self.0.last().unwrap() + 1;
            self.0.append(&Batch { first, id: [0; 16], events: vec![event] }).unwrap();
        }
    }

    impl Store for Growing {
        fn last(&mut self) -> Result<u64, StoreError> {
            let last = self.0.last();
            self.grow();
            last
        }

        fn append(&mut self, _: &Batch) -> Result<(), AppendError> {
            Err(AppendError::Conflict)
        }

        fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
            let batches = self.0.read(from, max_bytes);
            self.grow();
            batches
        }

        fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
            self.0.headers(from)
        }

        fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
            self.0.erase(events)
        }
    }

    /// A copy that was made under load took such an answer for a gap.
    #[test]
    fn no_page_tells_of_events_that_it_should_have() {
        let mut log = Growing(MemoryStore::new());
        for ahead in [1, 2, 3, 1, 0] {
            let from = log.0.last().unwrap() + ahead;
            let Page { last, batches } = Page::read(&mut log, from, 1 << 20).unwrap();
            let end = batches.last().map(Batch::last);
            assert!(end.map_or(last < from, |end| end == last), "{from}: {last}, {end:?}");
            assert!(batches.first().is_none_or(|batch| batch.first == from.max(1)));
        }
    }
}

//! A log in memory, for tests of everything else.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AppendError, Batch, Store, StoreError};

/// How an append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is stored: [`AppendError::Failed`].
    BeforeStoring,
    /// The batch is stored, but the writer gets an error: [`AppendError::Unknown`].
    AfterStoring,
}

/// A log in memory. Clones are handles of the same log.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    batches: Vec<Batch>,
    fail_next: Option<Failure>,
}

impl Log {
    fn last(&self) -> u64 {
        self.batches.last().map_or(0, Batch::last)
    }

    /// Index of the batch that contains a position.
    fn find(&self, position: u64) -> usize {
        self.batches.partition_point(|batch| batch.last() < position)
    }
}

impl MemoryStore {
    /// An empty log.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Makes the next append that would succeed fail, through any handle. `None` cancels that.
    pub fn fail_next(&self, failure: Option<Failure>) {
        self.log().fail_next = failure;
    }

    /// The log. No step leaves it half changed, so it is usable even after a panic of a holder.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn last(&mut self) -> Result<u64, StoreError> {
        Ok(self.log().last())
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        batch.validate().map_err(AppendError::Failed)?;
        let mut log = self.log();
        if batch.first != log.last() + 1 {
            return Err(AppendError::Conflict);
        }
        let failure = log.fail_next.take();
        let error = || StoreError::Io(io::Error::other("this append was told to fail"));
        if failure == Some(Failure::BeforeStoring) {
            return Err(AppendError::Failed(error()));
        }
        log.batches.push(batch.clone());
        failure.map_or(Ok(()), |_| Err(AppendError::Unknown(error())))
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        let log = self.log();
        let batches = &log.batches[log.find(from)..];
        let mut total = 0usize;
        let fits = |batch: &Batch| {
            total = total.saturating_add(batch.size());
            total <= max_bytes
        };
        let count = batches.iter().map(fits).take_while(|fits| *fits).count().max(1);
        Ok(batches.iter().take(count).cloned().collect())
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        let mut log = self.log();
        let exists = 1..=log.last();
        if let Some(&position) = events.iter().find(|event| !exists.contains(event)) {
            return Err(StoreError::Missing { position });
        }
        for event in events {
            let at = log.find(*event);
            let batch = &mut log.batches[at];
            batch.events[(event - batch.first) as usize].body = None;
        }
        Ok(())
    }
}

//! A copy of a log, which is brought up to date by what comes after its end.
//!
//! Every event is verified before it is kept: it follows from the events before it, and its body is
//! the one that it was written with. Bodies that a purge has erased are erased in the copy too.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gcs_core::Digest;
use thiserror::Error;

use super::folder::FolderError;
use super::repair::{LOG, expect_undamaged};
use crate::domain::chain::{Chain, LogError, LoggedEvent};
use crate::domain::events::Event;
use crate::store::{
    AppendError, Batch, LogPlace, Page, PostgresStore, PostgresUrl, SqliteStore, Store, StoreError,
};

/// Names that a data folder has, and a copy of a log has not.
const OF_A_DATA_FOLDER: [&str; 5] = ["keys.json", "lock", "witness", "public", "private"];

/// Why a copy cannot be made or brought up to date.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The folder for the copy has something else in it.
    #[error(
        "{path} has {found} in it, so it is a server's data folder: give the copy a folder of its own, on \
         another disk or machine"
    )]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// What was found there.
        found: &'static str,
    },
    /// The folder or the copy cannot be made or read.
    #[error("{path}: {error}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The copy is damaged.
    #[error("the copy cannot be added to: {0}")]
    Damaged(#[from] FolderError),
    /// The copy cannot be read or written.
    #[error("the copy {place}: {error}")]
    Store {
        /// The copy.
        place: LogPlace,
        /// What went wrong.
        error: StoreError,
    },
    /// The log does not continue the copy.
    #[error(
        "the log has not the event {position} of this copy: it is the log of another deployment, or the \
         server went on from an older log.\nNothing has been changed. Keep this copy: it may have what the log \
         has lost. Give the log that is there now another folder."
    )]
    Other {
        /// Position of the copy's last event.
        position: u64,
    },
    /// The server has lost an event that the copy has.
    #[error(
        "the server has lost event {position}, and went on without it; this copy has it.\nNothing has been changed. \
         Keep this copy: `gcs-server restore` can put it in the place of the server's log. To copy what the server has \
         now, give another folder."
    )]
    HasMore {
        /// Position of the event.
        position: u64,
    },
    /// What came is not the log's.
    #[error(
        "what came is damaged, and was not kept: {error}\nThe copy is whole up to event {kept}, and goes on \
         from there the next time."
    )]
    Broken {
        /// The first event that is wrong.
        error: LogError,
        /// Position of the copy's last event.
        kept: u64,
    },
    /// What came has a gap, or nothing that was asked for.
    #[error("the log has no event {position}, although it has later ones")]
    Gap {
        /// Position of the event.
        position: u64,
    },
}

/// A copy of a log, in a folder of its own or in a database.
pub struct LogCopy {
    place: LogPlace,
    store: CopyStore,
    /// The last event, with its hash.
    chain: Chain,
}

enum CopyStore {
    File(SqliteStore),
    Database(Box<PostgresStore>),
}

impl CopyStore {
    fn get(&mut self) -> &mut dyn Store {
        match self {
            CopyStore::File(store) => store,
            CopyStore::Database(store) => &mut **store,
        }
    }
}

impl fmt::Debug for LogCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCopy").field("place", &self.place).finish_non_exhaustive()
    }
}

impl LogCopy {
    /// Opens the copy in a folder, or begins one there.
    ///
    /// # Errors
    /// A [`CopyError`] that says what to do.
    pub fn open(folder: &Path) -> Result<LogCopy, CopyError> {
        if let Some(found) = OF_A_DATA_FOLDER.into_iter().find(|name| folder.join(name).exists()) {
            return Err(CopyError::DataFolder { path: folder.to_owned(), found });
        }
        let io = |error| CopyError::Io { path: folder.to_owned(), error };
        fs::create_dir_all(folder).map_err(io)?;
        let path = folder.join(LOG);
        if path.exists() {
            expect_undamaged(&path)?;
        }
        let store = SqliteStore::open(&path);
        LogCopy::of(LogPlace::File(path), store.map(CopyStore::File))
    }

    /// Opens the copy in a database, or begins one there. One that is begun is no log before
    /// [`LogCopy::finish`].
    ///
    /// # Errors
    /// A [`CopyError`] that says what to do.
    pub fn open_database(url: &PostgresUrl) -> Result<LogCopy, CopyError> {
        let store = PostgresStore::create_copy(url.clone()).map(Box::new).map(CopyStore::Database);
        LogCopy::of(LogPlace::Postgres(url.clone()), store)
    }

    fn of(place: LogPlace, store: Result<CopyStore, StoreError>) -> Result<LogCopy, CopyError> {
        let failed = |error| CopyError::Store { place: place.clone(), error };
        let mut store = store.map_err(failed)?;
        let position = store.get().last().map_err(failed)?;
        let last = store.get().read(position, 1).map_err(failed)?.pop();
        let head = last.as_ref().and_then(last_hash).unwrap_or_default();
        Ok(LogCopy { place, store, chain: Chain { position, head } })
    }

    /// Where the copy is.
    pub fn place(&self) -> &LogPlace {
        &self.place
    }

    /// The copy itself.
    pub fn store(&mut self) -> &mut dyn Store {
        self.store.get()
    }

    /// Makes a log of the copy, which has all of the other log: in a database one that may be used, and in a folder one
    /// file that has everything.
    ///
    /// # Errors
    /// When that is not certain.
    pub fn finish(&mut self) -> Result<(), CopyError> {
        let failed = |error| CopyError::Store { place: self.place.clone(), error };
        match &mut self.store {
            CopyStore::File(store) => store.gather().map_err(failed),
            CopyStore::Database(store) => {
                store.settle();
                store.finish().map_err(failed)
            }
        }
    }

    /// The end of the copy.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Position of the copy's last event.
    pub fn position(&self) -> u64 {
        self.chain.position
    }

    /// SHA-256 of the last event's header.
    pub fn head(&self) -> [u8; 32] {
        self.chain.head
    }

    /// Adds everything that a log has beyond the copy, except that it was moved. `read` gives the page that begins with the
    /// batch which has a position. What is kept is on disk, and whatever goes wrong, the next call
    /// goes on after it.
    ///
    /// # Errors
    /// A [`CopyError`], or an error of `read`.
    pub fn follow<E: From<CopyError>>(
        &mut self,
        mut read: impl FnMut(u64) -> Result<Page, E>,
    ) -> Result<(), E> {
        if self.chain.position > 0 {
            self.expect_in(&read(self.chain.position)?)?;
        }
        loop {
            let next = self.chain.position + 1;
            let Page { last, batches } = read(next)?;
            if last < next {
                return Ok(());
            }
            if batches.first().is_none_or(|batch| batch.first != next) {
                return Err(CopyError::Gap { position: next }.into());
            }
            for batch in &batches {
                if !self.add(batch)? {
                    return Ok(());
                }
            }
        }
    }

    /// Makes sure that a log has the copy's last event, where it is in the copy.
    fn expect_in(&self, page: &Page) -> Result<(), CopyError> {
        let batch = page.batches.first().filter(|batch| batch.last() == self.chain.position);
        if batch.and_then(last_hash) == Some(self.chain.head) {
            return Ok(());
        }
        Err(CopyError::Other { position: self.chain.position })
    }

    /// Verifies a batch, and keeps it, unless it says that the log goes on elsewhere.
    fn add(&mut self, batch: &Batch) -> Result<bool, CopyError> {
        let mut chain = self.chain;
        let mut erased = Vec::new();
        if batch.first != chain.position + 1 {
            return Err(CopyError::Gap { position: chain.position + 1 });
        }
        for event in &batch.events {
            let body = event.body.as_ref().map(|body| (&body.salt, body.bytes.as_slice()));
            match chain.verify(&event.header, body) {
                Ok(LoggedEvent { event: Some(Event::LogMoved(_)), .. }) => return Ok(false),
                Ok(LoggedEvent { event: Some(Event::BodiesLost(lost)), .. }) => {
                    self.expect_without(&lost.events)?;
                }
                Ok(logged) => {
                    erased
                        .extend(logged.event.as_ref().and_then(Event::erased).unwrap_or_default());
                }
                Err(error) => {
                    return Err(CopyError::Broken { error, kept: self.chain.position });
                }
            }
        }
        let failed = |error| CopyError::Store { place: self.place.clone(), error };
        // Before the purge itself is kept, so that it is done again if this is cut short.
        let is_there = |event: &u64| *event < batch.first;
        let (before, within): (Vec<u64>, Vec<u64>) = erased.into_iter().partition(is_there);
        erase(self.store.get(), &before).map_err(failed)?;
        self.store.get().append(batch).map_err(|error| match error {
            AppendError::Failed(error) | AppendError::Unknown(error) => failed(error),
            AppendError::Conflict => failed(StoreError::Busy),
        })?;
        erase(self.store.get(), &within).map_err(failed)?;
        self.chain = chain;
        Ok(true)
    }
}

impl LogCopy {
    /// Makes sure that the copy does not have what the server has lost.
    fn expect_without(&mut self, lost: &[u64]) -> Result<(), CopyError> {
        for position in lost.iter().copied() {
            let batch = self.store.get().read(position, 1);
            let batch =
                batch.map_err(|error| CopyError::Store { place: self.place.clone(), error })?;
            let events = batch.iter().flat_map(|batch| (batch.first..).zip(&batch.events));
            if events.into_iter().any(|(at, event)| at == position && event.body.is_some()) {
                return Err(CopyError::HasMore { position });
            }
        }
        Ok(())
    }
}

fn erase(store: &mut dyn Store, events: &[u64]) -> Result<(), StoreError> {
    if events.is_empty() { Ok(()) } else { store.erase(events) }
}

/// SHA-256 of a batch's last header.
fn last_hash(batch: &Batch) -> Option<[u8; 32]> {
    batch.events.last().map(|event| Digest::of(&event.header).0)
}

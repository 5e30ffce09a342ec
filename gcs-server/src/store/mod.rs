//! Where the log is kept. All stores obey one contract, and one suite of tests tests them all.
//!
//! The log is a sequence of events at positions 1, 2, 3, …, appended in batches. An event
//! never changes, except that its body can be erased for good; its header stays. The store
//! does not interpret headers and bodies.
//!
//! A writer names the position of its batch. When two writers name the same position, one
//! of them gets [`AppendError::Conflict`], and nothing of its batch is stored.
//!
//! ```
//! use gcs_server::store::{Batch, StoredBody, MemoryStore, Store, StoredEvent};
//!
//! let mut store = MemoryStore::new();
//! let body = StoredBody { salt: [7; 32], bytes: b"a report".to_vec() };
//! let event = StoredEvent { header: vec![1; 64], body: Some(body) };
//! store.append(&Batch { first: 1, id: [9; 16], events: vec![event] })?;
//! store.erase(&[1])?;
//!
//! let page = store.read(1, 1 << 20)?;
//! assert_eq!(page[0].events, [StoredEvent { header: vec![1; 64], body: None }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod memory;
mod place;
mod postgres;
mod reader;
mod rows;
mod sqlite;
pub mod wal;
pub mod witness;

use std::time::Duration;
use std::{fmt, io};

use thiserror::Error;

pub use memory::{Failure, MemoryStore};
pub use place::LogPlace;
pub use postgres::{PostgresStore, PostgresUrl, UrlError};
pub use reader::{LogReader, Page};
pub use sqlite::SqliteStore;

/// Longest header, in bytes.
pub const MAX_HEADER: usize = 256;

/// Bytes of batches whose headers are read at once.
const HEADER_PAGE: usize = 1 << 20;

/// An event as a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The part that stays for ever: 1 to [`MAX_HEADER`] bytes.
    pub header: Vec<u8>,
    /// The part that can be erased; `None` once it is.
    pub body: Option<StoredBody>,
}

/// The part of an event that can be erased.
///
/// `Debug` shows only its length: a salt or body in a log line would still be there after the
/// erasure.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredBody {
    /// Random bytes that are erased together with the content, so that afterwards the hash in the
    /// header reveals nothing about it.
    pub salt: [u8; 32],
    /// The content.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for StoredBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredBody").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Events that are stored together or not at all, at positions `first`, `first` + 1, ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Position of the first event.
    pub first: u64,
    /// Random number chosen by the writer, which distinguishes its batch from another one at the
    /// same position.
    pub id: [u8; 16],
    /// The events, at least one.
    pub events: Vec<StoredEvent>,
}

impl Batch {
    /// Position of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64).saturating_sub(1)
    }

    /// The size of the batch in bytes, for the limit of a read.
    pub fn size(&self) -> usize {
        let body = |body: &StoredBody| body.salt.len() + body.bytes.len();
        let event = |event: &StoredEvent| event.header.len() + event.body.as_ref().map_or(0, body);
        self.events.iter().map(event).sum()
    }

    /// Makes sure that a store accepts the batch, apart from its position.
    fn validate(&self) -> Result<(), StoreError> {
        if self.events.is_empty() {
            return Err(StoreError::Invalid("it has no events"));
        }
        if !self.events.iter().all(|event| (1..=MAX_HEADER).contains(&event.header.len())) {
            return Err(StoreError::Invalid("a header is empty or longer than 256 bytes"));
        }
        Ok(())
    }
}

/// What others have appended to a shared log.
#[derive(Debug)]
pub struct News {
    /// The next batches.
    pub batches: Vec<Batch>,
    /// Position of the last event of all, if there were no more of them.
    pub end: Option<u64>,
}

/// An append-only log whose bodies can be erased.
pub trait Store: Send {
    /// Position of the last event, 0 if there is none.
    fn last(&mut self) -> Result<u64, StoreError>;

    /// Appends a batch right after the last event. It is durable when this returns `Ok`.
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError>;

    /// Whether a batch is stored and durable whose append was [`AppendError::Unknown`].
    fn is_durable(&mut self, batch: &Batch) -> Result<bool, StoreError> {
        let read = self.read(batch.first, 1)?;
        Ok(read.first().is_some_and(|read| read.id == batch.id))
    }

    /// Batches in order from the one that contains position `from`, the first one if
    /// `from` is 0. Stops before headers, salts and bodies exceed `max_bytes` in total,
    /// but not before one batch if there is one. A store may count what it keeps besides, and so stop a little
    /// earlier.
    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError>;

    /// Headers of events in order from position `from`: some of them, and none only behind the last
    /// event. Without bodies, of which a log mostly consists, a store can read them faster.
    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let batches = self.read(from, HEADER_PAGE)?;
        let behind = batches.first().map_or(0, |batch| from.saturating_sub(batch.first));
        let events = batches.into_iter().flat_map(|batch| batch.events);
        let behind = usize::try_from(behind).unwrap_or(usize::MAX);
        Ok(events.skip(behind).map(|event| event.header).collect())
    }

    /// Removes the bodies and salts of events for good. It is no error if a body is erased already, so this can
    /// be repeated after any error, after which a part of them may be erased. A position without an event is an
    /// error before any body is erased: [`StoreError::Missing`].
    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError>;

    /// Says that these bodies will be erased, before anybody can see the state that says so.
    fn announce_erasure(&mut self, _events: &[u64]) {}

    /// Whether other nodes may append to the log too.
    fn is_shared(&self) -> bool {
        false
    }

    /// What others have appended since this store last found or made the end of the log. `None` if it has not done so, or the
    /// log does not have that batch any more, or this is not cheaper than to ask for [`Store::last`].
    fn news(&mut self) -> Result<Option<News>, StoreError> {
        Ok(None)
    }

    /// Unix time in seconds by the clock of what keeps a shared log; `None` if it has no clock of its own.
    fn time(&mut self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Puts in order what a crash or erasures left, and waits until what is kept beside the log is on disk too.
    /// Called once the log has been read and nothing is wrong with it, before a publication, and after erasures.
    fn settle(&mut self) {}
}

/// Why a batch was not appended, or may not have been.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The batch's position is not the next one. Nothing of it is stored.
    #[error("the log does not end right before the batch: nothing was stored")]
    Conflict,
    /// Nothing of the batch is stored, now or later.
    #[error("the batch was not stored: {0}")]
    Failed(#[source] StoreError),
    /// It is unknown whether the batch is stored. [`Store::is_durable`] finds out. If the batch is not there, it can still appear after a crash, until another batch is
    /// appended at its position.
    #[error("the batch may not have been stored: {0}")]
    Unknown(#[source] StoreError),
}

/// Why a store failed. The message does not name the store: the caller adds its path.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What is stored is not what was appended.
    #[error("the log is corrupt at position {position}: {what}")]
    Corrupt {
        /// Position of the event, or of the first event of its batch.
        position: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The file is not, or no longer, an SQLite database.
    #[error("the file is damaged, or it is not an SQLite database: {0}")]
    Damaged(#[source] rusqlite::Error),
    /// The database has nothing in it, not even an empty log.
    #[error("the database is empty: its log is lost, or its creation was cut short")]
    Empty,
    /// The database was not made by this server.
    #[error("the database belongs to another application (application id {application:#x})")]
    Foreign {
        /// Its `PRAGMA application_id`, or what PostgreSQL has in `gcs_log.application`.
        application: i64,
    },
    /// The database was made by a later version of this server.
    #[error(
        "the log has schema version {found}, and this server knows versions up to {known}: \
         install a newer release"
    )]
    Newer {
        /// The database's version.
        found: i32,
        /// The latest version that this server knows.
        known: i32,
    },
    /// The database has a copy of a log that is being made, or was cut short.
    #[error(
        "the database has a copy of a log that is not finished: it is being made, or was cut short"
    )]
    Unfinished,
    /// The batch is not one that a store accepts.
    #[error("the batch cannot be stored: {0}")]
    Invalid(&'static str),
    /// There is no event at a position whose body is to be erased. Nothing is erased.
    #[error("there is no event at position {position}: nothing was erased")]
    Missing {
        /// The position.
        position: u64,
    },
    /// The bodies are erased from the database, but their bytes are still in the write-ahead log: a
    /// reader of an earlier state needs them, or the disk is full or fails.
    #[error(
        "erased bytes remain in the write-ahead log, which cannot be emptied now; this is tried again \
         with the next event"
    )]
    Lingering,
    /// Another process or connection has the database.
    #[error("another process uses the log, and only one can at a time")]
    Busy,
    /// The store was opened for reading, or its file cannot be written to.
    #[error("the log is open for reading only")]
    ReadOnly,
    /// An error of the file system.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// An error of SQLite.
    #[error("SQLite: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// An error of PostgreSQL, or of the connection to it.
    #[error("PostgreSQL: {}", postgres::with_cause(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL has not answered.
    #[error("PostgreSQL has not answered within {} s: perhaps it waits for its standby", .0.as_secs())]
    TimedOut(Duration),
    /// PostgreSQL is set up to lose what it has accepted.
    #[error("PostgreSQL does not keep what it accepts: its settings have {0}")]
    NotDurable(&'static str),
    /// PostgreSQL committed on one server, and stopped waiting for the standby.
    #[error("PostgreSQL stopped waiting for its standby: what it accepted is on one server only")]
    Unreplicated,
    /// Other nodes erased bodies of the same batch at the same time, again and again.
    #[error("other nodes change the same batch at the same time: nothing was erased")]
    Raced,
}

/// What an operator does about a log that is damaged.
pub const DAMAGED: &str = "First copy the log to another place and keep it (log.sqlite and, if it is there, log.sqlite-wal; or \
     the database): it may have events that no other copy has. If there is a copy of a log in a file, \
     `gcs-server restore COPY` says whether it has what is damaged. If there is none, `gcs-server recover --salvage` says \
     what can be kept. A log in a database is put back from the database's backup, or from a copy into an empty database.";

impl StoreError {
    /// What an operator does about a log that cannot be used.
    pub fn advice(&self) -> &'static str {
        match self {
            StoreError::Corrupt { .. }
            | StoreError::Damaged(_)
            | StoreError::Empty
            | StoreError::Foreign { .. } => DAMAGED,
            StoreError::Newer { .. } => "This release leaves the log as it is.",
            StoreError::Unfinished => {
                "Run the command that makes it again, `backup --to` or `move-log --to`: it goes on, and finishes the \
                 copy. Or name another database. Only if the log that was copied is lost, and no other copy has more \
                 of it: `gcs-server recover --yes` goes on with what is here."
            }
            StoreError::Busy | StoreError::Lingering => {
                "Stop what else uses the log: a running gcs-server, a command, or sqlite3."
            }
            StoreError::Postgres(_) | StoreError::TimedOut(_) | StoreError::Unreplicated => {
                "See whether PostgreSQL runs, can be reached, accepts writes, and has its standby."
            }
            StoreError::NotDurable(_) => "Change that setting of PostgreSQL.",
            StoreError::Raced => "This is tried again.",
            _ => "See whether the disk is full or fails, and whether the log may be written.",
        }
    }
}

//! The log in a PostgreSQL database, or in an engine that speaks its protocol: one row per batch.
//!
//! Nothing but plain statements is needed for correctness: no listen and notify, no sequences, no
//! locks. A batch is appended if the row before it ends where it begins, and the primary key lets only one
//! of several writers have a position. Whether an append is durable is the server's to say: with
//! synchronous standbys, it says so once they have it.
//!
//! An erased body is replaced in its row, one row at a time, and the table vacuumed once that is settled. How long the row as it was stays beyond
//! that is the database's to say: in its own write-ahead log, its archive and backups, and for transactions
//! that began before.

mod durable;
mod link;
mod tables;
mod url;

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::link::{Erasure, Link, Seen};
use self::tables::Tables;
use super::{AppendError, Batch, News, Store, StoreError};

pub use self::url::{PostgresUrl, UrlError};

/// How long to wait for an answer to an append.
const APPEND_PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for the position of the last event, and for the time.
const LOOK_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait for everything else.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the table is vacuumed at most after an erasure.
const VACUUM_PATIENCE: Duration = Duration::from_secs(10);

/// Number of conflicts in a row after which the tables are looked at: perhaps they are not this log's any more.
const CONFLICTS: u32 = 4;

/// Number of times that an erasure is tried against other nodes.
const ERASE_TRIES: u32 = 10;

/// A log in a PostgreSQL database, durable on every append.
///
/// Its methods block, and must not be called from a thread that runs asynchronous tasks.
pub struct PostgresStore {
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
    url: PostgresUrl,
    tables: Tables,
    link: Option<Link>,
    /// The last batch that was seen at the end of the log. Nothing is appended behind another one: the
    /// database may have been put back to an earlier state meanwhile.
    seen: Option<Seen>,
    /// Number of conflicts since the last append.
    conflicts: u32,
    /// Whether bodies were erased since the table was vacuumed.
    has_erased: bool,
    /// An append that the server has not answered in time. No other one is sent before its answer, so
    /// that a server that does not answer is not given more and more to do.
    doubt: Option<JoinHandle<(Link, Result<(), AppendError>)>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl PostgresStore {
    /// Opens a log, and creates its tables if they are not there.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, is set up to lose what it has accepted, or has
    /// tables of something else under these names.
    pub fn create(url: PostgresUrl) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(url, Tables::Log, true)
    }

    /// Opens a log whose tables are there.
    ///
    /// # Errors
    /// As [`PostgresStore::create`]; [`StoreError::Empty`] if there are no tables; [`StoreError::Unfinished`].
    pub fn open(url: PostgresUrl) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(url, Tables::Log, false)
    }

    /// Opens a copy of a log, to bring it up to date, or creates tables for one. Nobody can open these as a
    /// log before [`PostgresStore::finish`].
    ///
    /// # Errors
    /// As [`PostgresStore::create`].
    pub fn create_copy(url: PostgresUrl) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(url, Tables::Copy, true)
    }

    /// Opens a log, or a copy of one that is not finished, whose tables are there.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], but not [`StoreError::Unfinished`].
    pub fn open_copy(url: PostgresUrl) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(url, Tables::Copy, false)
    }

    /// Makes a log of a copy that has all of it. It is no error if it is one already.
    ///
    /// # Errors
    /// When this is not known to be durable. It can be repeated.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.with_link(PATIENCE, &async |link| link.finish().await)
    }

    fn connect(
        url: PostgresUrl,
        tables: Tables,
        create: bool,
    ) -> Result<PostgresStore, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StoreError::Io)?;
        let link = runtime.block_on(in_time(PATIENCE, Link::connect(&url, tables, create)))?;
        Ok(PostgresStore {
            runtime: Some(runtime),
            url,
            tables,
            link: Some(link),
            seen: None,
            conflicts: 0,
            has_erased: false,
            doubt: None,
        })
    }

    /// Waits for the answer to an append that has not come in time, until `patience` is over. Where there is a
    /// newer connection, whose server has its standby, nothing more is waited for: whether the batch is there
    /// is found in the log.
    fn end_doubt(&mut self, patience: Duration) -> Result<(), StoreError> {
        let (Some(runtime), Some(doubt)) = (&self.runtime, &mut self.doubt) else {
            return Ok(());
        };
        match runtime.block_on(in_time(patience, async { Ok((&mut *doubt).await) })) {
            Err(_) if self.link.is_some() => doubt.abort(),
            Err(error) => return Err(error),
            Ok(Ok((link, _))) => {
                self.link.get_or_insert(link);
            }
            Ok(Err(error)) => tracing::error!(%error, "an append to PostgreSQL was cut off"),
        }
        self.doubt = None;
        Ok(())
    }

    /// Does something on a connection that is open. It is done once more on a new one if the connection
    /// ends meanwhile, so doing it twice must do no harm.
    fn with_link<T>(
        &mut self,
        patience: Duration,
        work: &impl AsyncFn(&mut Link) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else { return Err(StoreError::Busy) };
        let (url, tables, link) = (&self.url, self.tables, self.link.take());
        let worked: Result<_, StoreError> = runtime.block_on(async {
            if let Some(mut link) = link {
                let done = timeout(patience, work(&mut link)).await;
                let done = done.map_err(|_| StoreError::TimedOut(patience))?;
                if !link.has_ended(&done) {
                    return Ok((link, done));
                }
            }
            // Each host has its own time in this.
            let mut link = Link::connect(url, tables, false).await?;
            let done = timeout(patience, work(&mut link)).await;
            Ok((link, done.map_err(|_| StoreError::TimedOut(patience))?))
        });
        let (link, done) = worked?;
        self.link = Some(link);
        done
    }

    /// Removes rows as they were before an erasure.
    fn vacuum(&mut self) {
        self.has_erased = false;
        if let Err(error) = self.with_link(VACUUM_PATIENCE, &async |link| link.vacuum().await) {
            tracing::warn!(%error, "bodies are erased, but stay in the table's file until it is vacuumed");
        }
    }

    /// Looks at the tables after some conflicts in a row.
    fn doubt_tables(&mut self) -> Result<(), StoreError> {
        self.conflicts += 1;
        if !self.conflicts.is_multiple_of(CONFLICTS) {
            return Ok(());
        }
        self.with_link(LOOK_PATIENCE, &async |link| link.identify().await)
    }

    /// Sends a batch once.
    fn try_append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.end_doubt(APPEND_PATIENCE).map_err(AppendError::Failed)?;
        // Finding the host that accepts writes may take longer than its answer.
        self.with_link(PATIENCE, &async |_| Ok(())).map_err(AppendError::Failed)?;
        let (Some(runtime), Some(link)) = (&self.runtime, self.link.take()) else {
            return Err(AppendError::Failed(StoreError::Busy));
        };
        let (batch, before) = (batch.clone(), self.seen.as_ref().map(|seen| seen.id.clone()));
        let appending = Seen::of(&batch);
        let mut task = runtime.spawn(async move {
            let appended = link.append(&batch, before.as_deref()).await;
            (link, appended)
        });
        match runtime.block_on(async { timeout(APPEND_PATIENCE, &mut task).await }) {
            Ok(Ok((link, appended))) => {
                self.link = Some(link);
                match appended {
                    Ok(()) => (self.seen, self.conflicts) = (appending, 0),
                    Err(AppendError::Conflict) => {
                        self.doubt_tables().map_err(AppendError::Failed)?;
                    }
                    Err(_) => {}
                }
                appended
            }
            Ok(Err(error)) => Err(AppendError::Unknown(StoreError::Io(error.into()))),
            Err(_) => {
                self.doubt = Some(task);
                Err(AppendError::Unknown(StoreError::TimedOut(APPEND_PATIENCE)))
            }
        }
    }
}

/// The result of some work, if it comes in time.
async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(patience, work).await.unwrap_or(Err(StoreError::TimedOut(patience)))
}

/// What went wrong, and why: the error itself says only the first.
pub(super) fn with_cause(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => format!("{} ({})", error.message(), error.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

impl Store for PostgresStore {
    fn last(&mut self) -> Result<u64, StoreError> {
        let (last, seen) = self.with_link(LOOK_PATIENCE, &async |link| link.last().await)?;
        self.seen = seen;
        Ok(last)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn news(&mut self) -> Result<Option<News>, StoreError> {
        let Some(seen) = self.seen.clone() else { return Ok(None) };
        let news = self.with_link(LOOK_PATIENCE, &async |link| link.news(&seen).await)?;
        if let Some(last) = news.as_ref().and_then(|news| news.batches.last()) {
            self.seen = Seen::of(last);
        }
        Ok(news)
    }

    fn time(&mut self) -> Result<Option<u64>, StoreError> {
        self.with_link(LOOK_PATIENCE, &async |link| link.time().await).map(Some)
    }

    /// If the connection ends before the answer, as when the server starts again, the batch is looked for
    /// and sent once more. Its id tells it from everyone else's, and the position is free for one only.
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        batch.validate().map_err(AppendError::Failed)?;
        let unknown = match self.try_append(batch) {
            Err(AppendError::Unknown(error)) if self.doubt.is_none() => error,
            appended => return appended,
        };
        match self.is_durable(batch) {
            Ok(true) => Ok(()),
            Err(_) => Err(AppendError::Unknown(unknown)),
            Ok(false) => match self.try_append(batch) {
                // Perhaps with the first one, which was under way.
                Err(AppendError::Conflict) => match self.is_durable(batch) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(AppendError::Conflict),
                    Err(error) => Err(AppendError::Unknown(error)),
                },
                // That the second one failed says nothing of the first.
                Err(AppendError::Failed(_)) => Err(AppendError::Unknown(unknown)),
                appended => appended,
            },
        }
    }

    fn is_durable(&mut self, batch: &Batch) -> Result<bool, StoreError> {
        self.end_doubt(APPEND_PATIENCE)?;
        self.with_link(APPEND_PATIENCE, &async |link| link.is_durable(batch).await)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.with_link(PATIENCE, &async |link| link.read(from, max_bytes).await)
    }

    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with_link(PATIENCE, &async |link| link.headers(from).await)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        let mut events = events.to_vec();
        events.sort_unstable();
        for _ in 0..ERASE_TRIES {
            let erased = self.with_link(PATIENCE, &async |link| link.erase(&events).await)?;
            if let Erasure::Done = erased {
                self.has_erased = true;
                return Ok(());
            }
        }
        Err(StoreError::Raced)
    }

    fn settle(&mut self) {
        if self.has_erased {
            self.vacuum();
        }
    }
}

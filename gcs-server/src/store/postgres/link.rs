//! A connection to PostgreSQL, and what is made sure of before it is used.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};

use super::PostgresUrl;
use super::durable::expect_durable;
use super::tables::{self, APPLICATION, Tables};
use crate::store::rows::{self, BatchRow, NO_BATCH};
use crate::store::{AppendError, Batch, News, StoreError};

/// How long one of several hosts may take until its connection can be used.
const HOST_PATIENCE: Duration = Duration::from_secs(5);

const BARRIER: &str = "UPDATE gcs_log SET barrier = barrier + 1 WHERE application = $1";

/// Rounded down, as every other time.
const TIME: &str = "SELECT CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT)";

const LAST: &str = "SELECT first, last, id FROM gcs_batch ORDER BY first DESC LIMIT 1";

/// The batch that was the last one, without what is in it, and some of those behind it.
const NEWS: &str = "
    SELECT first, last, id,
        CASE WHEN first > $1 THEN headers ELSE CAST('' AS BYTEA) END,
        CASE WHEN first > $1 THEN bodies ELSE CAST('' AS BYTEA) END
    FROM gcs_batch WHERE first >= $1 ORDER BY first LIMIT 5";

/// Most rows of [`NEWS`].
const NEWS_ROWS: usize = 5;

/// Not where another release has changed the tables meanwhile, or a copy of another log was begun in them.
const APPEND: &str = "
    INSERT INTO gcs_batch(first, last, id, headers, bodies) SELECT $1, $2, $3, $4, $5
    WHERE EXISTS (SELECT 1 FROM gcs_log WHERE application = $7 AND version BETWEEN $8 AND $9)
    AND COALESCE((SELECT last FROM gcs_batch ORDER BY first DESC LIMIT 1), 0) = $1 - 1
    AND ($6 IS NULL OR (SELECT id FROM gcs_batch ORDER BY first DESC LIMIT 1) = $6)
    ON CONFLICT DO NOTHING";

const START: &str = "SELECT MAX(first) FROM gcs_batch WHERE first BETWEEN 1 AND $1";

/// Sizes of the next rows, so that no more of them is asked for than a caller has room for.
const SIZES: &str = "
    SELECT first, OCTET_LENGTH(headers) + OCTET_LENGTH(bodies) FROM gcs_batch
    WHERE first >= $1 AND last >= $2 ORDER BY first LIMIT 1024";

const READ: &str = "
    SELECT first, last, id, headers, bodies FROM gcs_batch
    WHERE first BETWEEN $1 AND $2 AND last >= $3 ORDER BY first";

const HEADERS: &str = "
    SELECT first, headers FROM gcs_batch
    WHERE first >= $1 AND last >= $2 ORDER BY first LIMIT 64";

const ID: &str = "SELECT id FROM gcs_batch WHERE first = $1";

const BODIES: &str = "
    SELECT first, last, bodies FROM gcs_batch WHERE first BETWEEN 1 AND $1
    ORDER BY first DESC LIMIT 1";

/// Another node may erase other bodies of the same batch meanwhile.
const REPLACE: &str = "UPDATE gcs_batch SET bodies = $3 WHERE first = $1 AND bodies = $2";

/// A connection on which everything that is committed is durable.
pub(super) struct Link {
    client: Client,
    /// What the tables have to be.
    tables: Tables,
    /// Whether the server has warned of something since this was last set to false.
    has_warned: Arc<AtomicBool>,
    batches: Prepared,
}

/// What is said for every batch: the server reads it once.
struct Prepared {
    news: Statement,
    append: Statement,
}

impl Prepared {
    async fn new(client: &Client) -> Result<Prepared, StoreError> {
        let append = [
            Type::INT8,
            Type::INT8,
            Type::BYTEA,
            Type::BYTEA,
            Type::BYTEA,
            Type::BYTEA,
            Type::INT8,
            Type::INT4,
            Type::INT4,
        ];
        Ok(Prepared {
            news: client.prepare_typed(NEWS, &[Type::INT8]).await?,
            append: client.prepare_typed(APPEND, &append).await?,
        })
    }
}

/// The last batch of a log, as its end was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) first: i64,
    pub(super) id: Vec<u8>,
}

impl Seen {
    /// A batch that is the last one; `None` if it is where no batch can be.
    pub(super) fn of(batch: &Batch) -> Option<Seen> {
        Some(Seen { first: i64::try_from(batch.first).ok()?, id: batch.id.to_vec() })
    }
}

/// What the server says of an erasure.
pub(super) enum Erasure {
    /// The bodies are erased.
    Done,
    /// Another node erased bodies of the same batch at the same time: nothing is erased.
    Raced,
}

impl Link {
    /// Connects, creates the tables if there are none and `create` says so, and makes sure that they are the right
    /// ones, and that everything that is visible is durable.
    pub(super) async fn connect(
        url: &PostgresUrl,
        tables: Tables,
        create: bool,
    ) -> Result<Link, StoreError> {
        let mut failure = StoreError::TimedOut(HOST_PATIENCE);
        for host in &url.hosts {
            match timeout(HOST_PATIENCE, Link::connect_to(host, url, tables, create)).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => failure = error,
                Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn connect_to(
        host: &Config,
        url: &PostgresUrl,
        tables: Tables,
        create: bool,
    ) -> Result<Link, StoreError> {
        let (client, mut connection) = host.connect(url.tls.clone()).await?;
        let has_warned = Arc::new(AtomicBool::new(false));
        let warned = Arc::clone(&has_warned);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                // A notice comes before the answer that it is about.
                if let AsyncMessage::Notice(notice) = message
                    && notice.parsed_severity() == Some(Severity::Warning)
                {
                    tracing::warn!(message = notice.message(), "PostgreSQL warns");
                    warned.store(true, Ordering::Relaxed);
                }
            }
        });
        expect_durable(&client).await?;
        if create {
            tables.create(&client).await?;
        }
        tables.identify(&client).await?;
        let batches = Prepared::new(&client).await?;
        let link = Link { client, tables, has_warned, batches };
        link.barrier().await?;
        Ok(link)
    }

    /// Makes sure that the tables are what they have to be.
    pub(super) async fn identify(&self) -> Result<(), StoreError> {
        self.tables.identify(&self.client).await
    }

    /// Whether the connection has ended, perhaps with this result.
    pub(super) fn has_ended<T>(&self, done: &Result<T, StoreError>) -> bool {
        let Err(StoreError::Postgres(error)) = done else { return self.client.is_closed() };
        self.client.is_closed() || error.is_closed() || is_fatal(error)
    }

    async fn query(
        &self,
        text: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.client.query_typed(text, values).await?)
    }

    /// Commits something, and waits until it is durable, on the standbys too. So is then everything
    /// that was committed before, even if whoever committed it did not wait.
    pub(super) async fn barrier(&self) -> Result<(), StoreError> {
        self.has_warned.store(false, Ordering::Relaxed);
        self.client.execute_typed(BARRIER, &[(&APPLICATION, Type::INT8)]).await?;
        if self.has_warned.load(Ordering::Relaxed) {
            return Err(StoreError::Unreplicated);
        }
        Ok(())
    }

    /// Position of the last event, and its batch.
    pub(super) async fn last(&self) -> Result<(u64, Option<Seen>), StoreError> {
        let rows = self.query(LAST, &[]).await?;
        let Some(row) = rows.first() else { return Ok((0, None)) };
        let (first, last): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if first < 1 || last < first {
            let what = "the last batch ends before it begins";
            return Err(StoreError::Corrupt { position: first.unsigned_abs(), what });
        }
        Ok((last.unsigned_abs(), Some(Seen { first, id: row.try_get(2)? })))
    }

    /// The next batches behind one that was the last; `None` if it is not there any more.
    pub(super) async fn news(&self, seen: &Seen) -> Result<Option<News>, StoreError> {
        let rows = self.client.query(&self.batches.news, &[&seen.first]).await?;
        let Some((known, new)) = rows.split_first() else { return Ok(None) };
        if known.try_get::<_, i64>(0)? != seen.first || known.try_get::<_, &[u8]>(2)? != seen.id {
            return Ok(None);
        }
        let batches: Vec<Batch> = new.iter().map(decode).collect::<Result<_, _>>()?;
        let last = batches.last().map_or_else(
            || known.try_get(1).map(i64::unsigned_abs).map_err(StoreError::from),
            |batch| Ok(batch.last()),
        )?;
        Ok(Some(News { batches, end: (rows.len() < NEWS_ROWS).then_some(last) }))
    }

    /// Unix time in seconds by the server's clock, 0 before 1970.
    pub(super) async fn time(&self) -> Result<u64, StoreError> {
        let rows = self.query(TIME, &[]).await?;
        let time: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        Ok(u64::try_from(time).unwrap_or(0))
    }

    /// Appends a batch right behind the one with the id `before`, or any, if that is not known.
    pub(super) async fn append(
        &self,
        batch: &Batch,
        before: Option<&[u8]>,
    ) -> Result<(), AppendError> {
        // A position that a database cannot hold is far from the next one.
        let (Ok(first), Ok(last)) = (i64::try_from(batch.first), i64::try_from(batch.last()))
        else {
            return Err(AppendError::Conflict);
        };
        let (headers, bodies) = rows::encode(&batch.events).map_err(AppendError::Failed)?;
        let id = &batch.id[..];
        let (oldest, newest) = self.tables.versions().into_inner();
        let values: [&(dyn ToSql + Sync); 9] =
            [&first, &last, &id, &headers, &bodies, &before, &APPLICATION, &oldest, &newest];
        self.has_warned.store(false, Ordering::Relaxed);
        match self.client.execute(&self.batches.append, &values).await {
            // It stopped waiting for the standby.
            Ok(1) if self.has_warned.load(Ordering::Relaxed) => {
                Err(AppendError::Unknown(StoreError::Unreplicated))
            }
            Ok(1) => Ok(()),
            Ok(_) => Err(AppendError::Conflict),
            Err(error) if is_lost_race(&error) => Err(AppendError::Conflict),
            Err(error) if changed_nothing(&error) => Err(AppendError::Failed(error.into())),
            Err(error) => Err(AppendError::Unknown(error.into())),
        }
    }

    /// Whether a batch is stored, and durable.
    pub(super) async fn is_durable(&self, batch: &Batch) -> Result<bool, StoreError> {
        let Ok(first) = i64::try_from(batch.first) else { return Ok(false) };
        let rows = self.query(ID, &[(&first, Type::INT8)]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        if row.try_get::<_, &[u8]>(0)? != batch.id {
            return Ok(false);
        }
        self.barrier().await?;
        Ok(true)
    }

    /// First position of the batch that has position `from`, or of the first batch.
    async fn start(&self, from: i64) -> Result<i64, StoreError> {
        let rows = self.query(START, &[(&from, Type::INT8)]).await?;
        let start = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(start.flatten().unwrap_or(1))
    }

    pub(super) async fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        let Ok(from) = i64::try_from(from.max(1)) else { return Ok(Vec::new()) };
        let start = self.start(from).await?;
        let rows = self.query(SIZES, &[(&start, Type::INT8), (&from, Type::INT8)]).await?;
        let (mut room, mut end) = (max_bytes, None);
        for row in &rows {
            let (first, size): (i64, i32) = (row.try_get(0)?, row.try_get(1)?);
            // With chunks' lengths, so a little more than what counts.
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if end.is_some() && size > room {
                break;
            }
            room = room.saturating_sub(size);
            end = Some(first);
        }
        let Some(end) = end else { return Ok(Vec::new()) };
        let values = [(&start, Type::INT8), (&end, Type::INT8), (&from, Type::INT8)]
            .map(|(value, kind)| (value as &(dyn ToSql + Sync), kind));
        let rows = self.query(READ, &values).await?;
        let mut batches: Vec<Batch> = Vec::new();
        let mut next = from.unsigned_abs();
        for row in &rows {
            let batch = decode(row)?;
            let follows = batch.first == next || batches.is_empty() && batch.first < next;
            if !follows {
                return Err(StoreError::Corrupt { position: next, what: NO_BATCH });
            }
            next = batch.last() + 1;
            batches.push(batch);
        }
        Ok(batches)
    }

    pub(super) async fn headers(&self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut next = from.max(1);
        let mut headers = Vec::new();
        let Ok(from) = i64::try_from(next) else { return Ok(headers) };
        let start = self.start(from).await?;
        for row in self.query(HEADERS, &[(&start, Type::INT8), (&from, Type::INT8)]).await? {
            let more = rows::headers_from(row.try_get(0)?, row.try_get(1)?, next)?;
            next += more.len() as u64;
            headers.extend(more);
        }
        Ok(headers)
    }

    /// Erases the bodies of events at ascending positions, one batch after the other.
    pub(super) async fn erase(&self, events: &[u64]) -> Result<Erasure, StoreError> {
        let (last, _) = self.last().await?;
        let missing = events.iter().find(|event| !(1..=last).contains(*event));
        if let Some(position) = missing.copied() {
            return Err(StoreError::Missing { position });
        }
        let mut rest = events;
        while let [event, ..] = rest {
            match self.erase_in_one_batch(*event, rest).await? {
                Some(others) => rest = others,
                None => return Ok(Erasure::Raced),
            }
        }
        // What another node has erased is durable then too.
        self.barrier().await?;
        Ok(Erasure::Done)
    }

    /// Erases those of the ascending `events` that are in the first one's batch. Returns the others;
    /// `None` if another node was quicker.
    async fn erase_in_one_batch<'a>(
        &self,
        event: u64,
        events: &'a [u64],
    ) -> Result<Option<&'a [u64]>, StoreError> {
        let missing = StoreError::Missing { position: event };
        let Ok(key) = i64::try_from(event) else { return Err(missing) };
        let rows = self.query(BODIES, &[(&key, Type::INT8)]).await?;
        let Some(row) = rows.first() else { return Err(missing) };
        let (key, last, bodies): (i64, i64, &[u8]) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (first, last) = (key.unsigned_abs(), last.unsigned_abs());
        if event > last {
            return Err(missing);
        }
        let (named, others) = events.split_at(events.partition_point(|event| *event <= last));
        let mut erased = bodies.to_vec();
        rows::erase(first, &mut erased, named)?;
        if erased == bodies {
            return Ok(Some(others));
        }
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&key, Type::INT8), (&bodies, Type::BYTEA), (&erased, Type::BYTEA)];
        match self.client.execute_typed(REPLACE, &values).await {
            Ok(1) => Ok(Some(others)),
            Ok(_) => Ok(None),
            Err(error) if is_lost_race(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a log of a copy that has all of it.
    pub(super) async fn finish(&self) -> Result<(), StoreError> {
        tables::finish(&self.client).await?;
        self.barrier().await
    }

    pub(super) async fn vacuum(&self) -> Result<(), StoreError> {
        Ok(self.client.batch_execute("VACUUM gcs_batch").await?)
    }
}

fn decode(row: &Row) -> Result<Batch, StoreError> {
    let (first, last) = (row.try_get(0)?, row.try_get(1)?);
    let (id, headers, bodies) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    BatchRow { first, last, id, headers, bodies }.decode()
}

/// Whether another transaction was in the way, and this one did nothing.
pub(super) fn is_lost_race(error: &tokio_postgres::Error) -> bool {
    let races = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| races.contains(code))
}

/// Whether the server refused a statement before it did anything. A connection that ends leaves that
/// open, and so does everything that is not known here.
fn changed_nothing(error: &tokio_postgres::Error) -> bool {
    // Classes: data exception, integrity, transaction state, access, syntax, resources, limits.
    let classes = ["22", "23", "25", "28", "42", "53", "54"];
    let is_of = |code: &SqlState| classes.iter().any(|class| code.code().starts_with(class));
    !is_fatal(error) && error.code().is_some_and(is_of)
}

/// Whether the server ends the connection with this error.
fn is_fatal(error: &tokio_postgres::Error) -> bool {
    let fatal = |severity| severity != Severity::Error;
    error.as_db_error().is_some_and(|error| error.parsed_severity().is_none_or(fatal))
}

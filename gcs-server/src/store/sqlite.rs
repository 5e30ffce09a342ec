//! The log in an SQLite database: one row per batch.
//!
//! An erased body leaves zeros of the same length, because SQLite overwrites a row of the same size
//! in place. If a row shrank, SQLite would move its neighbours, and the pages rebuilt for that may
//! keep old copies of them, which `secure_delete` does not overwrite.
//!
//! SQLite maps no file into memory here: on a full disk the kernel kills a process that touches a
//! mapped page for which there is no room. The index of the write-ahead log is on the heap instead,
//! so only one process can use a log at a time.

mod replace;
mod room;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OpenFlags, OptionalExtension as _, Row, TransactionBehavior,
    ffi, params,
};

use super::rows::{self, BatchRow, NO_BATCH};
use super::{AppendError, Batch, Store, StoreError};
use crate::new_file::{NewFile, Readers};

/// "gcsl", in the header of the file.
const APPLICATION: i32 = 0x6763_736c;

/// Version of the schema.
const VERSION: i32 = 1;

/// The highest version that is thought to be a later release's, and no damage.
const MOST_VERSION: i32 = 100;

/// The part of SQLite that reads and writes files. With this one it keeps a log to its process, and
/// needs no file for the index of the write-ahead log.
#[cfg(unix)]
const FILES: &std::ffi::CStr = c"unix-excl";

/// How long to wait for another connection.
const PATIENCE: Duration = Duration::from_secs(1);

const IDENTITY: &str = "
    SELECT (SELECT application_id FROM pragma_application_id),
           (SELECT user_version FROM pragma_user_version),
           EXISTS (SELECT * FROM sqlite_schema)";

const CREATE: &str = "
    CREATE TABLE batch(
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        id BLOB NOT NULL,
        headers BLOB NOT NULL,
        bodies BLOB NOT NULL
    ) STRICT";

const LAST: &str = "SELECT first, last FROM batch ORDER BY first DESC LIMIT 1";

const APPEND: &str = "
    INSERT INTO batch SELECT ?1, ?2, ?3, ?4, ?5
    WHERE COALESCE((SELECT last FROM batch ORDER BY first DESC LIMIT 1), 0) = ?1 - 1
    ON CONFLICT DO NOTHING";

const READ: &str = "
    SELECT first, last, id, headers, bodies FROM batch
    WHERE first >= COALESCE((SELECT MAX(first) FROM batch WHERE first BETWEEN 1 AND ?1), 1)
        AND last >= ?1
    ORDER BY first";

const HEADERS: &str = "
    SELECT first, headers FROM batch
    WHERE first >= COALESCE((SELECT MAX(first) FROM batch WHERE first BETWEEN 1 AND ?1), 1)
        AND last >= ?1
    ORDER BY first LIMIT 64";

const BODIES: &str = "
    SELECT first, last, bodies FROM batch WHERE first BETWEEN 1 AND ?1
    ORDER BY first DESC LIMIT 1";

const REPLACE: &str = "UPDATE batch SET bodies = ?2 WHERE first = ?1";

/// A log in an SQLite database, durable on every append.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    is_read_only: bool,
    /// Whether the write-ahead log could not be emptied, as on a full disk.
    is_checkpoint_due: bool,
}

impl SqliteStore {
    /// Opens a log, or creates it, readable by its owner only, if there is no such file.
    pub fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        // Closing a file drops this process's locks on it (POSIX), those of SQLite too:
        // no connection may come between the file's creation and its closing.
        static OPENING: Mutex<()> = Mutex::new(());
        let opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let created = create_private(path)?;
        let mut connection = connect(path)?;
        if connection.is_readonly(MAIN_DB)? {
            return Err(StoreError::ReadOnly);
        }
        if !created {
            identify(&connection)?;
        }
        configure(&connection)?;
        if created {
            create_schema(&mut connection)?;
        }
        drop(opening);
        if !has_wal(path) {
            expect_whole_pages(&connection, path)?;
        }
        // Whoever reads the log and finds it wrong must find it unchanged afterwards: see `settle`.
        Ok(SqliteStore { connection, is_read_only: false, is_checkpoint_due: true })
    }

    /// Opens a log for reading, and changes nothing of it. Appending and erasing fail. Another
    /// process cannot use the log meanwhile.
    pub fn open_read_only(path: &Path) -> Result<SqliteStore, StoreError> {
        let connection = connect(path)?;
        connection.pragma_update(None, "query_only", true)?;
        identify(&connection)?;
        Ok(SqliteStore { connection, is_read_only: true, is_checkpoint_due: false })
    }

    /// Position of the last event in the database itself, without its write-ahead log. Nobody may have the log open.
    pub fn last_without_wal(path: &Path) -> Result<u64, StoreError> {
        let place = path.as_os_str().as_encoded_bytes().iter().map(|byte| match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                char::from(*byte).to_string()
            }
            byte => format!("%{byte:02x}"),
        });
        let uri = format!("file:{}?immutable=1", place.collect::<String>());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri, flags)?;
        identify(&connection)?;
        last(&connection)
    }

    /// Whether SQLite finds nothing wrong with the database.
    pub fn is_sound(&self) -> bool {
        let found = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        found.is_ok_and(|found: String| found == "ok")
    }

    fn expect_writable(&self) -> Result<(), StoreError> {
        if self.is_read_only || self.connection.is_readonly(MAIN_DB)? {
            return Err(StoreError::ReadOnly);
        }
        Ok(())
    }

    /// Moves the write-ahead log into the database and empties it. False if a reader of an earlier
    /// state, or a writer, is in the way.
    fn checkpoint(&mut self) -> Result<bool, StoreError> {
        let empty = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.is_checkpoint_due = true;
        let is_empty = self.connection.query_row(empty, [], |row| row.get::<_, i64>(0))? == 0;
        self.is_checkpoint_due = !is_empty;
        self.connection.set_db_config(KEEP_AT_CLOSE, false)?;
        if is_empty {
            // Without room, as on a full disk, appends take longer.
            let _without = room::make(&mut self.connection);
        }
        Ok(is_empty)
    }

    /// Moves all of the write-ahead log into the database, so that its file alone has the log and can be moved.
    ///
    /// # Errors
    /// When that cannot be done, as on a full disk. The file alone is not the whole log then.
    pub fn gather(&mut self) -> Result<(), StoreError> {
        if self.checkpoint()? { Ok(()) } else { Err(StoreError::Busy) }
    }

    /// Tries again to empty a write-ahead log that could not be emptied before.
    fn make_up_for_checkpoint(&mut self) {
        if self.is_checkpoint_due {
            let _tried_again_later = self.checkpoint();
        }
    }
}

impl Store for SqliteStore {
    fn last(&mut self) -> Result<u64, StoreError> {
        last(&self.connection)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.expect_writable().and_then(|()| batch.validate()).map_err(AppendError::Failed)?;
        // A position that SQLite cannot hold is far from the next one.
        let (Ok(first), Ok(last)) = (i64::try_from(batch.first), i64::try_from(batch.last()))
        else {
            return Err(AppendError::Conflict);
        };
        let (headers, bodies) = rows::encode(&batch.events).map_err(AppendError::Failed)?;
        let row = params![first, last, batch.id, headers, bodies];
        let statement = self.connection.prepare_cached(APPEND);
        let executed = statement.and_then(|mut statement| statement.execute(row));
        match executed {
            Ok(1) => {
                self.make_up_for_checkpoint();
                Ok(())
            }
            Ok(_) => Err(AppendError::Conflict),
            Err(error) if changed_nothing(&error) => Err(AppendError::Failed(error.into())),
            Err(error) => Err(AppendError::Unknown(error.into())),
        }
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        // One state for all that follows, whatever another connection appends.
        let snapshot = self.connection.transaction()?;
        let last = last(&snapshot)?;
        let mut batches: Vec<Batch> = Vec::new();
        let mut next = from.max(1);
        let Ok(from) = i64::try_from(next) else { return Ok(batches) };
        let mut room = max_bytes;
        let mut statement = snapshot.prepare_cached(READ)?;
        let mut rows = statement.query([from])?;
        while next <= last {
            let batch = rows.next()?.map(decode).transpose()?;
            let follows =
                |batch: &Batch| batch.first == next || batches.is_empty() && batch.first < next;
            let missing = StoreError::Corrupt { position: next, what: NO_BATCH };
            let batch = batch.filter(follows).ok_or(missing)?;
            if !batches.is_empty() && batch.size() > room {
                break;
            }
            room = room.saturating_sub(batch.size());
            next = batch.last() + 1;
            batches.push(batch);
        }
        Ok(batches)
    }

    /// Empties the write-ahead log, in which a crash may have left what was being erased.
    fn settle(&mut self) {
        if self.is_checkpoint_due
            && !self.is_read_only
            && let Err(error) = self.checkpoint()
        {
            // Everything is there and can be read and added to, though not moved.
            tracing::warn!(%error, "the log's write-ahead log cannot be emptied; is the disk full?");
        }
    }

    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut headers: Vec<Vec<u8>> = Vec::new();
        let from = from.max(1);
        let Ok(key) = i64::try_from(from) else { return Ok(headers) };
        let mut statement = self.connection.prepare_cached(HEADERS)?;
        let mut rows = statement.query([key])?;
        let mut next = from;
        while let Some(row) = rows.next()? {
            let first = row.get(0)?;
            headers.extend(rows::headers_from(first, blob(row, 1, first)?, next)?);
            next = from + headers.len() as u64;
        }
        Ok(headers)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.expect_writable()?;
        let mut events = events.to_vec();
        events.sort_unstable();
        let mut rest = events.as_slice();
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        while let [event, ..] = rest {
            rest = erase_in_one_batch(&transaction, *event, rest)?;
        }
        transaction.commit()?;
        // However the checkpoint fails, the bodies are gone from the database, and still in the
        // write-ahead log.
        match self.checkpoint() {
            Ok(true) => Ok(()),
            Ok(false) | Err(StoreError::Sqlite(_) | StoreError::Busy) => Err(StoreError::Lingering),
            Err(error) => Err(error),
        }
    }
}

fn last(connection: &Connection) -> Result<u64, StoreError> {
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
    match connection.prepare_cached(LAST)?.query_row([], row).optional()? {
        None => Ok(0),
        Some((first @ 1.., Some(last))) if first <= last => Ok(last.unsigned_abs()),
        Some((first, _)) => {
            let what = "the last batch ends before it begins";
            Err(StoreError::Corrupt { position: first.unsigned_abs(), what })
        }
    }
}

/// A batch from its row: first and last position, id, headers, bodies.
fn decode(row: &Row<'_>) -> Result<Batch, StoreError> {
    let first: i64 = row.get(0)?;
    let what = "its last position is no number";
    let no_number = |_| StoreError::Corrupt { position: first.unsigned_abs(), what };
    let last = row.get(1).map_err(no_number)?;
    let [id, headers, bodies] = [2, 3, 4].map(|column| blob(row, column, first));
    BatchRow { first, last, id: id?, headers: headers?, bodies: bodies? }.decode()
}

/// A column of a batch's row.
fn blob<'a>(row: &'a Row<'_>, column: usize, first: i64) -> Result<&'a [u8], StoreError> {
    let what = "a column is no blob";
    let corrupt = StoreError::Corrupt { position: first.unsigned_abs(), what };
    row.get_ref(column)?.as_blob().map_err(|_| corrupt)
}

/// Erases those of the ascending `events` that are in the first one's batch. Returns the
/// others.
fn erase_in_one_batch<'a>(
    connection: &Connection,
    event: u64,
    events: &'a [u64],
) -> Result<&'a [u64], StoreError> {
    let missing = StoreError::Missing { position: event };
    let Ok(key) = i64::try_from(event) else { return Err(missing) };
    let found = connection
        .prepare_cached(BODIES)?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((key, last, mut bodies)): Option<(i64, i64, Vec<u8>)> = found else {
        return Err(missing);
    };
    let (first, last) = (key.unsigned_abs(), last.unsigned_abs());
    if event > last {
        return Err(missing);
    }
    let (named, others) = events.split_at(events.partition_point(|event| *event <= last));
    rows::erase(first, &mut bodies, named)?;
    connection.prepare_cached(REPLACE)?.execute(params![key, bodies])?;
    Ok(others)
}

/// Creates the file; false if there is one. SQLite gives its other files the same mode.
fn create_private(path: &Path) -> Result<bool, StoreError> {
    match NewFile::create(path, Readers::Owner) {
        Ok(mut file) => {
            file.keep();
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::Io(error)),
    }
}

/// Closing a connection leaves the write-ahead log as it is.
const KEEP_AT_CLOSE: DbConfig = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // SQLite's own message for this is less clear.
    if path.is_dir() {
        return Err(StoreError::Io(io::Error::from(ErrorKind::IsADirectory)));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    #[cfg(unix)]
    let connection = Connection::open_with_flags_and_vfs(path, flags, FILES)?;
    #[cfg(not(unix))]
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // A log that is refused must stay as it is. An empty write-ahead log has nothing to keep.
    connection.set_db_config(KEEP_AT_CLOSE, has_wal(path))?;
    Ok(connection)
}

/// The path of a file that SQLite has beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes sure that the database is a log of this version.
fn identify(connection: &Connection) -> Result<(), StoreError> {
    let identity = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    match connection.query_row(IDENTITY, [], identity)? {
        (APPLICATION, VERSION, true) => Ok(()),
        (0, 0, false) => Err(StoreError::Empty),
        // One release after the other counts one more: a flipped bit gives a number far from that.
        (APPLICATION, found, _) if (VERSION + 1..=MOST_VERSION).contains(&found) => {
            Err(StoreError::Newer { found, known: VERSION })
        }
        (APPLICATION, found, _) => Err(corrupt(format!("its schema version is {found}"))),
        (application, _, _) => Err(StoreError::Foreign { application: application.into() }),
    }
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON")?;
    let set = "PRAGMA journal_mode = WAL";
    let mode: String = connection.query_row(set, [], |row| row.get(0))?;
    if mode != "wal" {
        let what = "the file system cannot hold a write-ahead log";
        return Err(StoreError::Io(io::Error::new(ErrorKind::Unsupported, what)));
    }
    Ok(())
}

fn create_schema(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(CREATE)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// SQLite itself reads a page that is cut off as if zeros followed.
fn expect_whole_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let length = fs::metadata(path).map_err(StoreError::Io)?.len();
    if length.is_multiple_of(page.unsigned_abs()) {
        return Ok(());
    }
    Err(corrupt("the file ends within a page".to_owned()))
}

fn corrupt(what: String) -> StoreError {
    let error = ffi::Error::new(ffi::SQLITE_CORRUPT);
    StoreError::Damaged(rusqlite::Error::SqliteFailure(error, Some(what)))
}

/// Whether a database has a write-ahead log with something in it.
fn has_wal(path: &Path) -> bool {
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    fs::metadata(beside(&place, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// Whether SQLite gave up before the batch was complete in the write-ahead log. A failed
/// write or sync leaves that open, and so does anything not known here.
fn changed_nothing(error: &rusqlite::Error) -> bool {
    use ErrorCode::*;
    let code = error.sqlite_error_code();
    matches!(code, Some(DatabaseBusy | DatabaseLocked | ReadOnly | DiskFull))
        || matches!(code, Some(DatabaseCorrupt | NotADatabase | TooBig))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged(error)
            }
            _ => StoreError::Sqlite(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoredBody, StoredEvent};
    use rusqlite::types::Value;

    fn batch(first: u64, length: usize) -> Batch {
        let body = Some(StoredBody { salt: [3; 32], bytes: vec![5; length] });
        Batch { first, id: [1; 16], events: vec![StoredEvent { header: vec![2; 8], body }] }
    }

    #[test]
    fn the_connection_is_durable_and_erases_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for _ in ["created", "opened again"] {
            let store = SqliteStore::open(&path).unwrap();
            let pragma = |name| -> Value {
                store.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
            };
            assert_eq!(pragma("synchronous"), Value::Integer(2));
            assert_eq!(pragma("secure_delete"), Value::Integer(1));
            assert_eq!(pragma("journal_mode"), Value::Text("wal".into()));
            assert_eq!(pragma("application_id"), Value::Integer(APPLICATION.into()));
            assert_eq!(pragma("user_version"), Value::Integer(VERSION.into()));
        }
    }

    #[test]
    fn a_full_disk_is_certain_and_a_failed_sync_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("log")).unwrap();
        store.append(&batch(1, 10)).unwrap();
        store.connection.execute_batch("PRAGMA max_page_count = 3").unwrap();
        let error = store.append(&batch(2, 100_000)).unwrap_err();
        assert!(matches!(error, AppendError::Failed(StoreError::Sqlite(_))), "{error}");
        assert_eq!(store.last().unwrap(), 1);
        store.append(&batch(2, 10)).unwrap();
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_NOMEM] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(!changed_nothing(&error), "{error}");
        }
    }
}

//! Where a log is kept.

use std::fmt;
use std::path::PathBuf;

use super::{PostgresStore, PostgresUrl, SqliteStore, Store, StoreError};

/// Where a log is kept. `Display` shows no password.
#[derive(Clone, Debug)]
pub enum LogPlace {
    /// In a file, which is an SQLite database. One process appends to it.
    File(PathBuf),
    /// In a PostgreSQL database. Several nodes may append to it.
    Postgres(PostgresUrl),
}

impl LogPlace {
    /// Opens a log to read it, while others append to it.
    ///
    /// # Errors
    /// When there is no log, or it cannot be read.
    pub fn reader(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            LogPlace::File(path) => Box::new(SqliteStore::open_read_only(path)?),
            LogPlace::Postgres(url) => Box::new(PostgresStore::open(url.clone())?),
        })
    }
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogPlace::File(path) => path.display().fmt(f),
            LogPlace::Postgres(url) => url.fmt(f),
        }
    }
}

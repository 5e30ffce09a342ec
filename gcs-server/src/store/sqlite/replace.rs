//! Putting events right in a copy of a damaged log.

use rusqlite::params;

use super::SqliteStore;
use crate::store::{Batch, StoreError, rows};

const REPLACE: &str = "UPDATE batch SET headers = ?3, bodies = ?4 WHERE first = ?1 AND last = ?2";

impl SqliteStore {
    /// Puts a batch in the place of the one that has the same positions. A log never changes: this is for a copy of one
    /// that is damaged. Its parts keep their lengths.
    pub fn replace(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.expect_writable()?;
        let missing = StoreError::Missing { position: batch.first };
        let (Ok(first), Ok(last)) = (i64::try_from(batch.first), i64::try_from(batch.last()))
        else {
            return Err(missing);
        };
        let (headers, bodies) = rows::encode(&batch.events)?;
        let row = params![first, last, headers, bodies];
        match self.connection.prepare_cached(REPLACE)?.execute(row)? {
            1 => Ok(()),
            _ => Err(missing),
        }
    }
}

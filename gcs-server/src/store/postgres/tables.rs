//! The tables of a log in PostgreSQL, and what they say of it.

use std::ops::RangeInclusive;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::link::is_lost_race;
use crate::store::StoreError;

/// "gcsl", as in the header of an SQLite log.
pub(super) const APPLICATION: i64 = 0x6763_736c;

/// Version of the tables of a log.
const VERSION: i32 = 1;

/// Version of the tables while they have a part of a log only: no release takes that for a log.
const UNFINISHED: i32 = 0;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS gcs_log(
        application BIGINT PRIMARY KEY, version INTEGER NOT NULL, barrier BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS gcs_batch(
        first BIGINT PRIMARY KEY, last BIGINT NOT NULL, id BYTEA NOT NULL,
        headers BYTEA NOT NULL, bodies BYTEA NOT NULL)";

const IDENTITY: &str = "SELECT application, version FROM gcs_log ORDER BY application LIMIT 2";

const FINISH: &str = "UPDATE gcs_log SET version = $3 WHERE application = $1 AND version = $2";

/// What the tables have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tables {
    /// A log.
    Log,
    /// A log, or a copy of one that is not finished.
    Copy,
}

impl Tables {
    /// Creates the tables, unless they are there. Those of a copy are not finished, from the transaction on that
    /// creates them.
    pub(super) async fn create(self, client: &Client) -> Result<(), StoreError> {
        let name = |version: i32| {
            format!(
                "INSERT INTO gcs_log VALUES ({APPLICATION}, {version}, 0) ON CONFLICT DO NOTHING"
            )
        };
        let name = match self {
            Tables::Log => name(VERSION),
            // There may be tables without a log, which a first start has left.
            Tables::Copy => format!(
                "{}; UPDATE gcs_log SET version = {UNFINISHED} WHERE application = {APPLICATION} \
                 AND version = {VERSION} AND NOT EXISTS (SELECT 1 FROM gcs_batch)",
                name(UNFINISHED)
            ),
        };
        // Statements that are sent together are one transaction.
        let all = format!("{TABLES}; {name}");
        for _ in 0..3 {
            match client.batch_execute(&all).await {
                // Another node creates them at this moment.
                Err(error) if is_lost_race(&error) => {}
                created => return Ok(created?),
            }
        }
        Ok(())
    }

    /// The versions that the tables may have.
    pub(super) fn versions(self) -> RangeInclusive<i32> {
        match self {
            Tables::Log => VERSION..=VERSION,
            Tables::Copy => UNFINISHED..=VERSION,
        }
    }

    /// Makes sure that the tables are what they have to be.
    pub(super) async fn identify(self, client: &Client) -> Result<(), StoreError> {
        let rows = match client.query_typed(IDENTITY, &[]).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                return Err(StoreError::Empty);
            }
            rows => rows?,
        };
        let [row] = &rows[..] else { return Err(StoreError::Empty) };
        match (row.try_get(0)?, row.try_get(1)?) {
            (APPLICATION, version) if self.versions().contains(&version) => Ok(()),
            (APPLICATION, UNFINISHED) => Err(StoreError::Unfinished),
            (APPLICATION, found) => Err(StoreError::Newer { found, known: VERSION }),
            (application, _) => Err(StoreError::Foreign { application }),
        }
    }
}

/// Makes a log of a copy that has all of it. It is no error if it is one already.
pub(super) async fn finish(client: &Client) -> Result<(), StoreError> {
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&APPLICATION, Type::INT8), (&UNFINISHED, Type::INT4), (&VERSION, Type::INT4)];
    client.execute_typed(FINISH, &values).await?;
    Ok(())
}

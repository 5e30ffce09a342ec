//! Room in the write-ahead log, so that an append overwrites and does not make the file longer.

use std::path::Path;

use rusqlite::{Connection, MAIN_DB};

/// Bytes of a batch that is written and taken back. Most of it is more than the cache of a connection
/// holds (2,000 KiB), and goes to the write-ahead log: a little more than the 1,000 pages after which
/// SQLite begins that file anew.
const BYTES: i64 = (2000 + 4400) << 10;

/// Bytes that must be left on the disk: those of a small one are for what comes.
const LEAST_SPACE: u64 = 64 << 20;

/// No batch has this position.
const FILL: &str = "INSERT INTO batch VALUES (-1, -1, zeroblob(16), x'', zeroblob(?1))";

/// Gives a write-ahead log that has just been emptied the length that it has later anyway. Until then
/// every append would make it longer, and a disk takes several times as long for that as for
/// overwriting what is there.
///
/// The pages of a transaction for which the cache has no room are written at once. When it is rolled
/// back, the next transaction begins where it began, and overwrites them.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let place = connection.path().map(Path::new).filter(|place| has_space(place));
    if place.is_none() || connection.is_readonly(MAIN_DB)? {
        return Ok(());
    }
    let made = write_and_take_back(connection);
    if made.is_err() {
        // The disk became full, or something else is wrong: give back what was taken.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    made
}

fn write_and_take_back(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute(FILL, [BYTES])?;
    transaction.rollback()
}

#[cfg(unix)]
fn has_space(place: &Path) -> bool {
    let space = rustix::fs::statvfs(place);
    space.is_ok_and(|space| space.f_bavail.saturating_mul(space.f_frsize) >= LEAST_SPACE)
}

/// Where the space is not known, appends make the file longer.
#[cfg(not(unix))]
fn has_space(_: &Path) -> bool {
    LEAST_SPACE == 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::store::wal::Wal;
    use crate::store::{Batch, SqliteStore, Store as _, StoredBody, StoredEvent};

    #[test]
    fn appends_overwrite_a_write_ahead_log_that_has_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let wal = || fs::metadata(folder.path().join("log-wal")).unwrap().len();
        let mut store = SqliteStore::open(&path).unwrap();
        let append = |store: &mut SqliteStore, first: u64| {
            let body = Some(StoredBody { salt: [7; 32], bytes: vec![first as u8; 600] });
            let events = vec![StoredEvent { header: vec![first as u8; 85], body }];
            store.append(&Batch { first, id: [1; 16], events }).unwrap();
        };
        append(&mut store, 1);
        store.settle();
        let length = wal();
        assert!(length >= 1000 * (24 + 4096), "{length}");
        (2..=3000).for_each(|first| append(&mut store, first));
        assert_eq!(wal(), length);
        store.erase(&[2]).unwrap();
        let length = wal();
        assert!(length >= 1000 * (24 + 4096), "{length}");
        (3001..=3010).for_each(|first| append(&mut store, first));
        assert_eq!(wal(), length);
        // What a kill leaves is whole, and there is nothing of the batch that was taken back.
        let copy = folder.path().join("copy");
        fs::copy(&path, &copy).unwrap();
        fs::copy(folder.path().join("log-wal"), folder.path().join("copy-wal")).unwrap();
        assert_eq!(Wal::read(&copy).unwrap().unwrap().damage(), None);
        let mut killed = SqliteStore::open(&copy).unwrap();
        let read = |store: &mut SqliteStore| store.read(1, usize::MAX).unwrap();
        assert_eq!(read(&mut killed), read(&mut store));
        assert_eq!(killed.last().unwrap(), 3010);
        assert!(killed.is_sound());
        // Damage is seen before what is left behind the end.
        let damaged = folder.path().join("damaged");
        fs::copy(&path, &damaged).unwrap();
        let mut bytes = fs::read(folder.path().join("log-wal")).unwrap();
        bytes[100] ^= 1;
        fs::write(folder.path().join("damaged-wal"), bytes).unwrap();
        let damage = Wal::read(&damaged).unwrap().unwrap().damage();
        assert!(damage.as_ref().is_some_and(|damage| damage.frame == 1), "{damage:?}");
    }
}

//! Write-ahead logs of SQLite, whole and damaged.

use super::format::{MAGIC, Order, checksum, number};
use super::*;
use crate::store::{Batch, SqliteStore, Store as _, StoredBody, StoredEvent};

/// A database as a kill leaves it, with everything but its schema in the write-ahead log.
struct Killed {
    folder: tempfile::TempDir,
    database: Vec<u8>,
    wal: Vec<u8>,
}

fn killed() -> Killed {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut store = SqliteStore::open(&path).unwrap();
    for first in 1..=25 {
        let body = Some(StoredBody { salt: [first as u8; 32], bytes: vec![9; 450] });
        let events = vec![StoredEvent { header: vec![first as u8; 85], body }];
        store.append(&Batch { first, id: [1; 16], events }).unwrap();
    }
    let wal = fs::read(folder.path().join("log-wal")).unwrap();
    let database = fs::read(&path).unwrap();
    let mut killed = Killed { folder, database, wal };
    // What is left behind the last transaction is cut off.
    let frames = committed(&killed.parse(&killed.wal));
    killed.wal.truncate(HEADER + frames * (FRAME_HEADER + 4096));
    killed
}

impl Killed {
    fn parse(&self, bytes: &[u8]) -> Wal {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Wal::parse(file, Some(4096), self.database.len() as u64).unwrap()
    }

    /// Number of frames that SQLite uses.
    fn used_by_sqlite(&self, wal: &[u8]) -> usize {
        let path = self.folder.path().join("copy");
        fs::write(&path, &self.database).unwrap();
        fs::write(self.folder.path().join("copy-wal"), wal).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        let used: i64 = connection.query_row(passive, [], |row| row.get(1)).unwrap();
        used.try_into().unwrap()
    }

    fn apply(&self, wal: &Wal, choice: Choice) -> Vec<u8> {
        let path = self.folder.path().join("repaired");
        fs::write(&path, &self.database).unwrap();
        wal.apply(choice, &mut File::options().write(true).open(&path).unwrap()).unwrap();
        fs::read(path).unwrap()
    }
}

/// The frames that SQLite would use end with a transaction.
fn committed(wal: &Wal) -> usize {
    let commit = |frame: &Frame| frame.commit.is_some();
    wal.frames[..wal.good()].iter().rposition(commit).map_or(0, |at| at + 1)
}

#[test]
fn a_whole_write_ahead_log_is_read_as_sqlite_reads_it() {
    let killed = killed();
    let wal = killed.parse(&killed.wal);
    assert!(wal.frames.len() >= 25);
    assert_eq!(wal.damage(), None);
    assert_eq!(committed(&wal), killed.used_by_sqlite(&killed.wal));
    // SQLite's own checkpoint makes the same database.
    let repaired = killed.apply(&wal, Choice::Verified);
    assert_eq!(repaired, killed.apply(&wal, Choice::BeforeDamage));
    assert_eq!(fs::read(killed.folder.path().join("copy")).unwrap(), repaired);
    assert_eq!(killed.apply(&wal, Choice::None), killed.database);
}

#[test]
fn damage_to_any_frame_is_seen_and_what_is_behind_it_is_kept() {
    let killed = killed();
    let whole = killed.parse(&killed.wal);
    let count = whole.frames.len();
    let length = FRAME_HEADER + 4096;
    // Page number, commit, salt, checksum, page.
    for (at, byte) in
        (0..count).flat_map(|at| [3, 7, 8, 15, 16, 23, 30, 4000].map(|byte| (at, byte)))
    {
        let mut bad = killed.wal.clone();
        bad[HEADER + at * length + byte] ^= 0x40;
        let wal = killed.parse(&bad);
        assert_eq!(committed(&wal), killed.used_by_sqlite(&bad), "frame {at}, byte {byte}");
        let damage = wal.damage();
        // The salt is not in the checksum, so a bad one in the last frame is known to be bad too.
        let is_seen = at + 1 < count || (8..16).contains(&byte);
        assert_eq!(damage.is_some(), is_seen, "frame {at}, byte {byte}: {damage:?}");
        let Some(damage) = damage else { continue };
        assert_eq!((damage.frame, damage.frames), (at + 1, count));
        let bad_frames = wal.frames.iter().filter(|frame| frame.verdict != Verdict::Verified);
        // Where the page is whole, the frame is: salts and checksums are not needed.
        let is_lost = !(8..24).contains(&byte);
        assert_eq!(bad_frames.count(), usize::from(is_lost), "frame {at}, byte {byte}");
    }
}

#[test]
fn zeros_are_seen_and_a_cut_end_is_a_crash() {
    let killed = killed();
    let count = killed.parse(&killed.wal).frames.len();
    let length = FRAME_HEADER + 4096;
    for at in 0..count {
        let start = HEADER + at * length;
        for (from, to) in [(start, start + length), (start + 24, start + length)] {
            let mut bad = killed.wal.clone();
            bad[from..to].fill(0);
            let wal = killed.parse(&bad);
            assert_eq!(committed(&wal), killed.used_by_sqlite(&bad), "{at}");
            // Behind a frame that is lost with its checksum, the next one cannot be judged.
            let judged = if from == start { at + 2 } else { at + 1 };
            assert_eq!(wal.damage().is_some(), judged < count, "{at}");
            if from == start && at + 1 < count {
                assert_eq!(wal.frames[at + 1].verdict, Verdict::Unproven);
            }
        }
        for cut in [start, start + 10, start + 24, start + 2000] {
            let bad = &killed.wal[..cut];
            let wal = killed.parse(bad);
            assert_eq!(wal.damage(), None);
            assert_eq!(committed(&wal), killed.used_by_sqlite(bad), "{at}");
            let mut zeroed = killed.wal.clone();
            zeroed[cut..].fill(0);
            assert_eq!(killed.parse(&zeroed).damage(), None);
        }
    }
}

/// As after a full disk: frames of a longer transaction that failed, behind a shorter one that came next.
#[test]
fn what_a_failed_transaction_left_is_no_damage() {
    let mut killed = killed();
    let bytes = std::mem::take(&mut killed.wal);
    let wal = killed.parse(&bytes);
    let is_start = |at: usize| at == 0 || wal.frames[at - 1].commit.is_some();
    let is_long = |at: usize| {
        at + 2 < wal.frames.len()
            && wal.frames[at..at + 3].iter().all(|frame| frame.commit.is_none())
    };
    let at = (0..wal.frames.len()).find(|at| is_start(*at) && is_long(*at)).unwrap();
    let length = FRAME_HEADER + 4096;
    // Its first frame is overwritten by a transaction of one frame, and its commit never came.
    let mut left = bytes[..HEADER + (at + 3) * length].to_vec();
    let start = HEADER + at * length;
    left[start + 4..start + 8].copy_from_slice(&40u32.to_be_bytes());
    // The checksum before: the header's, or that of the frame before.
    let before = if at == 0 { 24 } else { start - length + 16 };
    let before = [number(&bytes, before), number(&bytes, before + 4)];
    let order = if number(&bytes, 0) == MAGIC { Order::LowFirst } else { Order::HighFirst };
    let sum = checksum(order, before, &left[start..start + 8]);
    let sum = checksum(order, sum, &left[start + FRAME_HEADER..start + length]);
    for (place, number) in [(16, sum[0]), (20, sum[1])] {
        left[start + place..start + place + 4].copy_from_slice(&number.to_be_bytes());
    }
    let wal = killed.parse(&left);
    assert_eq!(wal.good(), at + 1);
    assert_eq!(wal.frames[at + 2].verdict, Verdict::Verified);
    assert_eq!(wal.damage(), None);
}

#[test]
fn a_bad_header_is_seen_and_the_frames_are_kept() {
    let killed = killed();
    let repaired = killed.apply(&killed.parse(&killed.wal), Choice::Verified);
    for at in 0..HEADER {
        let mut bad = killed.wal.clone();
        bad[at] ^= 0x10;
        let wal = killed.parse(&bad);
        let damage = wal.damage().unwrap();
        assert_eq!((damage.frame, damage.frames), (0, wal.frames.len()), "{at}");
        assert_eq!(killed.apply(&wal, Choice::Likely), repaired, "{at}");
        assert_eq!(killed.apply(&wal, Choice::BeforeDamage), killed.database);
    }
    let mut zeroed = killed.wal.clone();
    zeroed[..HEADER].fill(0);
    assert_eq!(killed.apply(&killed.parse(&zeroed), Choice::Likely), repaired);
}

/// After a checkpoint SQLite writes from the beginning again, with another salt: the write-ahead log and the database.
fn written_again(killed: &Killed) -> (Vec<u8>, Vec<u8>) {
    let path = killed.folder.path().join("copy");
    assert_eq!(killed.used_by_sqlite(&killed.wal), killed.parse(&killed.wal).frames.len());
    fs::write(&path, &killed.database).unwrap();
    fs::write(killed.folder.path().join("copy-wal"), &killed.wal).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA wal_checkpoint(PASSIVE); DELETE FROM batch WHERE first = 25")
        .unwrap();
    let bytes = fs::read(killed.folder.path().join("copy-wal")).unwrap();
    assert_eq!(bytes.len(), killed.wal.len());
    (bytes, fs::read(path).unwrap())
}

#[test]
fn frames_from_before_a_checkpoint_are_no_damage() {
    let killed = killed();
    let (bytes, _) = written_again(&killed);
    let wal = killed.parse(&bytes);
    assert_eq!(wal.damage(), None);
    assert!(wal.good() > 0 && wal.good() < wal.frames.len());
    let mut bad = bytes.clone();
    bad[HEADER + 24] ^= 1;
    assert_eq!(killed.parse(&bad).damage().is_some(), wal.good() > 1);
    // A crash between the header and the first frame.
    let begun = [&bytes[..HEADER], &killed.wal[HEADER..]].concat();
    let wal = killed.parse(&begun);
    assert_eq!((wal.damage(), wal.good()), (None, 0));
    assert_eq!(killed.used_by_sqlite(&begun), 0);
}

/// The database has all of the frames from before the checkpoint, and newer pages than they have.
#[test]
fn frames_from_before_a_checkpoint_are_never_taken_for_the_newest() {
    let mut killed = killed();
    let bytes;
    (bytes, killed.database) = written_again(&killed);
    let wal = killed.parse(&bytes);
    let newest = wal.good();
    let right = killed.apply(&wal, Choice::BeforeDamage);
    assert!(right != killed.database);
    let mut zeroed = bytes.clone();
    zeroed[..HEADER].fill(0);
    // The disk has lost the header, and not the frames that came after it.
    let older = [&killed.wal[..HEADER], &bytes[HEADER..]].concat();
    for bad in [zeroed, older] {
        let wal = killed.parse(&bad);
        assert!(wal.frames[newest..].iter().all(|frame| frame.verdict == Verdict::Bad));
        assert!(killed.apply(&wal, Choice::Likely) == right);
        assert_eq!(wal.damage().map(|damage| damage.frame), (newest > 1).then_some(0));
    }
    // Of a single new frame too.
    let length = FRAME_HEADER + 4096;
    let mut one = [&bytes[..HEADER + length], &killed.wal[HEADER + length..]].concat();
    one[..HEADER].fill(0);
    let wal = killed.parse(&one);
    assert_eq!(wal.frames[0].verdict, Verdict::Unproven);
    assert!(wal.frames[1..].iter().all(|frame| frame.verdict == Verdict::Bad));
}

#[test]
fn any_bytes_are_read() {
    let killed = killed();
    for length in [0, 1, 31, 32, 33, 4151, 4152, 4153] {
        assert_eq!(killed.parse(&killed.wal[..length]).damage(), None);
        assert_eq!(killed.parse(&vec![0x5a; length]).damage(), None);
    }
    assert_eq!(killed.parse(&vec![0; 100_000]).damage(), None);
}

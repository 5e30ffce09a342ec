//! The write-ahead log of an SQLite database, read without SQLite.
//!
//! SQLite uses the frames before the first one that does not verify, and overwrites the others. After
//! a kill or a power cut that is right: the first such frame was being written, and nobody was
//! told that it is there. Damage in the middle looks the same to SQLite, and what was
//! acknowledged behind it is gone at the next checkpoint. So this is read before SQLite opens a log.
//!
//! The file, in big-endian numbers of 32 bits (sqlite.org/fileformat2.html, section 4):
//!
//! ```text
//! header   magic, version, page size, sequence, salt (2), checksum (2)
//! frame    page number, pages of the database after a commit or 0, salt (2), checksum (2); the page
//! ```
//!
//! A checksum goes over the first 8 bytes of the frame and its page, and goes on from the
//! checksum before. Since each frame has its checksum, a frame behind damage can still be verified: from
//! what the frame before it says. Frames of another salt are left from before the last checkpoint.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The magic number when checksums read numbers with the lowest byte first; one more when not.
const MAGIC: u32 = 0x377f_0682;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

type Sum = [u32; 2];
type Salt = [u32; 2];

/// How checksums read numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    LowFirst,
    HighFirst,
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Its checksum follows from the frame before.
    Verified,
    /// It is of this write-ahead log, but the frame before it, which its checksum goes on from, is lost.
    Unproven,
    /// It is not what was written, or left from before the last checkpoint.
    Bad,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    page: u32,
    /// Number of pages of the database, if a transaction ends here.
    commit: Option<u32>,
    verdict: Verdict,
    /// Whether SQLite takes it, if it takes all before it.
    is_regular: bool,
}

/// What is wrong with a write-ahead log: something that comes before a frame that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first bad frame, from 1; 0 if the header is bad.
    pub frame: usize,
    /// Number of frames in the file.
    pub frames: usize,
    /// Number of transactions that end behind the damage.
    pub commits_behind: usize,
}

/// Which frames make a repaired database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Those that verify, and those of which that cannot be known.
    Likely,
    /// Those that verify.
    Verified,
    /// None: the database may have them all.
    None,
    /// Those before the damage, which SQLite uses too.
    BeforeDamage,
}

impl Choice {
    /// All choices, in the order in which they are tried.
    pub const ALL: [Choice; 4] =
        [Choice::Likely, Choice::Verified, Choice::None, Choice::BeforeDamage];
}

/// The write-ahead log of a database.
#[derive(Debug)]
pub struct Wal {
    bytes: Vec<u8>,
    page_size: usize,
    is_header_good: bool,
    frames: Vec<Frame>,
}

impl Wal {
    /// Reads the write-ahead log of a database, which nobody may use meanwhile. `None` if there is
    /// none, or it is empty.
    pub fn read(database: &Path) -> io::Result<Option<Wal>> {
        // SQLite has it beside the file that a link leads to.
        let database = &fs::canonicalize(database)?;
        let bytes = match fs::read(super::sqlite::beside(database, "-wal")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let length = fs::metadata(database)?.len();
        Ok(Some(Wal::parse(bytes, page_size(database)?, length)))
    }

    /// Reads the bytes of a write-ahead log; the page size is used when its header is bad.
    fn parse(bytes: Vec<u8>, page_size: Option<usize>, database: u64) -> Wal {
        let header = Header::read(&bytes);
        let page_size = header.as_ref().map(|header| header.page_size).or(page_size);
        let page_size = page_size.unwrap_or(4096);
        let count = bytes.len().saturating_sub(HEADER) / (FRAME_HEADER + page_size);
        let pages = database / page_size as u64 + count as u64;
        let mut wal = Wal { bytes, page_size, is_header_good: header.is_some(), frames: vec![] };
        let judge = |order, salt, sum| Judge { wal: &wal, order, salt, sum, pages }.frames(count);
        let frames = match header {
            Some(Header { order, salt, sum, .. }) => judge(order, salt, Some(sum)),
            None => {
                // The first frame that goes on from another one has the salt.
                let found = [Order::LowFirst, Order::HighFirst].into_iter().find_map(|order| {
                    (1..count).find_map(|at| {
                        let follows = wal.sum(order, wal.stored(at - 1), at) == wal.stored(at)
                            && wal.salt(at) == wal.salt(at - 1);
                        follows.then(|| (order, wal.salt(at)))
                    })
                });
                found.map_or_else(Vec::new, |(order, salt)| judge(order, salt, None))
            }
        };
        wal.frames = frames;
        wal
    }

    fn frame(&self, at: usize) -> &[u8] {
        let length = FRAME_HEADER + self.page_size;
        &self.bytes[HEADER + at * length..][..length]
    }

    fn page(&self, at: usize) -> &[u8] {
        &self.frame(at)[FRAME_HEADER..]
    }

    fn salt(&self, at: usize) -> Salt {
        [number(self.frame(at), 8), number(self.frame(at), 12)]
    }

    fn stored(&self, at: usize) -> Sum {
        [number(self.frame(at), 16), number(self.frame(at), 20)]
    }

    /// The checksum that a frame should have, from that of the frame before.
    fn sum(&self, order: Order, before: Sum, at: usize) -> Sum {
        checksum(order, checksum(order, before, &self.frame(at)[..8]), self.page(at))
    }

    /// What is wrong, if anything is. A bad end behind which no transaction ends is no damage: a kill
    /// leaves it, and a transaction that failed on a full disk leaves frames behind the next one's.
    pub fn damage(&self) -> Option<Damage> {
        let good = self.good();
        let ends = |frame: &&Frame| frame.verdict == Verdict::Verified && frame.commit.is_some();
        let commits_behind = self.frames[good..].iter().filter(ends).count();
        (commits_behind > 0).then(|| Damage {
            frame: if self.is_header_good { good + 1 } else { 0 },
            frames: self.frames.len(),
            commits_behind,
        })
    }

    /// Bytes that the database has after the last transaction that SQLite uses, if there is one.
    pub fn database_len(&self) -> Option<u64> {
        let pages = self.frames[..self.good()].iter().rev().find_map(|frame| frame.commit)?;
        Some(u64::from(pages) * self.page_size as u64)
    }

    /// Number of frames that SQLite uses.
    fn good(&self) -> usize {
        let good = self.frames.iter().take_while(|frame| frame.is_regular).count();
        if self.is_header_good { good } else { 0 }
    }

    /// Writes the chosen frames into a copy of the database.
    pub fn apply(&self, choice: Choice, copy: &mut File) -> io::Result<()> {
        let is_chosen = |frame: &Frame| match choice {
            Choice::Likely => frame.verdict != Verdict::Bad,
            _ => frame.verdict == Verdict::Verified,
        };
        let frames = match choice {
            Choice::None => &[],
            Choice::BeforeDamage => &self.frames[..self.good()],
            Choice::Likely | Choice::Verified => &self.frames[..],
        };
        let commit = |(at, frame): (usize, &Frame)| Some((at, frame.commit?));
        let mut chosen = frames.iter().enumerate().filter(|(_, frame)| is_chosen(frame));
        let Some((last, pages)) = chosen.clone().rev().find_map(commit) else { return Ok(()) };
        chosen.by_ref().take_while(|(at, _)| *at <= last).try_for_each(|(at, frame)| {
            let place = u64::from(frame.page - 1) * self.page_size as u64;
            copy.seek(SeekFrom::Start(place))?;
            copy.write_all(self.page(at))
        })?;
        copy.set_len(u64::from(pages) * self.page_size as u64)
    }
}

/// A header that verifies.
struct Header {
    order: Order,
    page_size: usize,
    salt: Salt,
    sum: Sum,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..HEADER)?;
        let order = match number(header, 0) ^ MAGIC {
            0 => Order::LowFirst,
            1 => Order::HighFirst,
            _ => return None,
        };
        let sum = [number(header, 24), number(header, 28)];
        let page_size = usize::try_from(number(header, 8)).ok()?;
        let is_good = checksum(order, [0, 0], &header[..24]) == sum
            && (512..=65536).contains(&page_size)
            && page_size.is_power_of_two();
        let salt = [number(header, 16), number(header, 20)];
        is_good.then_some(Header { order, page_size, salt, sum })
    }
}

/// Judges frames from the first to the last.
struct Judge<'a> {
    wal: &'a Wal,
    order: Order,
    salt: Salt,
    /// The header's checksum, if it is good.
    sum: Option<Sum>,
    /// Most pages that the database can have.
    pages: u64,
}

impl Judge<'_> {
    fn frames(&self, count: usize) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        for at in 0..count {
            let (verdict, mends) = self.verdict(&frames, at);
            if mends && let Some(before) = frames.last_mut() {
                before.verdict = Verdict::Verified;
            }
            let bytes = self.wal.frame(at);
            let commit = Some(number(bytes, 4)).filter(|pages| *pages > 0);
            let is_regular = self.follows(at) && self.has_salt(at);
            frames.push(Frame { page: number(bytes, 0), commit, verdict, is_regular });
        }
        frames
    }

    /// What is known of a frame; and whether it proves the frame before, of which the checksum alone
    /// is wrong.
    fn verdict(&self, before: &[Frame], at: usize) -> (Verdict, bool) {
        if !self.is_possible(at) {
            return (Verdict::Bad, false);
        }
        let (has_salt, follows) = (self.has_salt(at), self.follows(at));
        let is_known = match before.last() {
            None => self.sum.is_some(),
            Some(frame) => frame.verdict == Verdict::Verified,
        };
        // What goes on from a frame that verifies is right, even if its salt was damaged.
        if follows && (has_salt || is_known) {
            return (Verdict::Verified, false);
        }
        if !has_salt || is_known {
            return (Verdict::Bad, false);
        }
        if at > 0 && self.proves(before, at) {
            return (Verdict::Verified, true);
        }
        (Verdict::Unproven, false)
    }

    fn has_salt(&self, at: usize) -> bool {
        self.wal.salt(at) == self.salt
    }

    /// Whether a frame goes on from the checksum that is before it.
    fn follows(&self, at: usize) -> bool {
        let said = if at == 0 { self.sum } else { Some(self.wal.stored(at - 1)) };
        said.is_some_and(|said| self.wal.sum(self.order, said, at) == self.wal.stored(at))
    }

    /// Whether a frame goes on from the checksum that the frame before should have had.
    fn proves(&self, before: &[Frame], at: usize) -> bool {
        let sum = match before {
            [] => None,
            [_] => self.sum,
            [.., frame, _] if frame.verdict == Verdict::Verified => Some(self.wal.stored(at - 2)),
            _ => None,
        };
        let should = sum.map(|sum| self.wal.sum(self.order, sum, at - 1));
        should.is_some_and(|should| self.wal.sum(self.order, should, at) == self.wal.stored(at))
            && self.is_possible(at - 1)
    }

    /// Whether its numbers of pages can be right.
    fn is_possible(&self, at: usize) -> bool {
        let bytes = self.wal.frame(at);
        let (page, commit) = (number(bytes, 0), number(bytes, 4));
        page > 0 && u64::from(page) <= self.pages && u64::from(commit) <= self.pages
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |number| u32::from_be_bytes(*number))
}

/// Goes on with a checksum, over a multiple of 8 bytes.
fn checksum(order: Order, before: Sum, bytes: &[u8]) -> Sum {
    let [mut one, mut two] = before;
    let numbers = bytes.as_chunks().0.iter().map(|number: &[u8; 4]| match order {
        Order::LowFirst => u32::from_le_bytes(*number),
        Order::HighFirst => u32::from_be_bytes(*number),
    });
    for (at, number) in numbers.enumerate() {
        if at % 2 == 0 {
            one = one.wrapping_add(number).wrapping_add(two);
        } else {
            two = two.wrapping_add(number).wrapping_add(one);
        }
    }
    [one, two]
}

/// The page size that a database says it has.
fn page_size(database: &Path) -> io::Result<Option<usize>> {
    let mut header = Vec::new();
    File::open(database)?.take(18).read_to_end(&mut header)?;
    let size = header.get(16..18).and_then(|size| size.first_chunk());
    let size = size.map(|size| usize::from(u16::from_be_bytes(*size)));
    // 65536 does not fit, and is written as 1.
    let size = size.map(|size| if size == 1 { 65536 } else { size });
    Ok(size.filter(|size| size.is_power_of_two() && *size >= 512))
}

#[cfg(test)]
mod tests {
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
        let wal = without_room(wal, database.len() as u64);
        Killed { folder, database, wal }
    }

    /// What is left behind the last transaction is cut off.
    fn without_room(wal: Vec<u8>, database: u64) -> Vec<u8> {
        let Wal { mut bytes, frames, .. } = Wal::parse(wal, Some(4096), database);
        let ends = |frame: &Frame| frame.verdict == Verdict::Verified && frame.commit.is_some();
        let frames = frames.iter().rposition(ends).unwrap() + 1;
        bytes.truncate(HEADER + frames * (FRAME_HEADER + 4096));
        bytes
    }

    impl Killed {
        fn parse(&self, bytes: &[u8]) -> Wal {
            Wal::parse(bytes.to_vec(), Some(4096), self.database.len() as u64)
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
        let before =
            if at == 0 { [number(&bytes, 24), number(&bytes, 28)] } else { wal.stored(at - 1) };
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

    /// After a checkpoint SQLite writes from the beginning again, with another salt.
    #[test]
    fn frames_from_before_a_checkpoint_are_no_damage() {
        let killed = killed();
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
        let wal = killed.parse(&bytes);
        assert_eq!(wal.damage(), None);
        assert!(wal.good() > 0 && wal.good() < wal.frames.len());
        let mut bad = bytes.clone();
        bad[HEADER + 24] ^= 1;
        assert_eq!(killed.parse(&bad).damage().is_some(), wal.good() > 1);
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
}

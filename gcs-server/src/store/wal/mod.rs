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

mod format;
mod judge;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use self::format::{FRAME_HEADER, Frames, HEADER, Header};
use self::judge::{Frame, Judge, Verdict, is_older, without_header};
use super::sqlite::beside;

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

/// The write-ahead log of a database. Its pages stay on disk.
#[derive(Debug)]
pub struct Wal {
    bytes: Frames,
    is_header_good: bool,
    frames: Vec<Frame>,
}

impl Wal {
    /// Reads the write-ahead log of a database, which nobody may use meanwhile. `None` if there is
    /// none, or it is empty.
    pub fn read(database: &Path) -> io::Result<Option<Wal>> {
        let file = match File::open(Wal::path(database)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if file.metadata()?.len() == 0 {
            return Ok(None);
        }
        let length = fs::metadata(database)?.len();
        Wal::parse(file, page_size(database)?, length).map(Some)
    }

    /// Where the write-ahead log of a database is: beside the file that a link leads to.
    pub fn path(database: &Path) -> io::Result<PathBuf> {
        Ok(beside(&fs::canonicalize(database)?, "-wal"))
    }

    /// Reads a write-ahead log; the page size is used when its header is bad.
    fn parse(mut file: File, page_size: Option<usize>, database: u64) -> io::Result<Wal> {
        let (length, mut header) = (file.metadata()?.len(), Vec::new());
        file.rewind()?;
        (&file).take(HEADER as u64).read_to_end(&mut header)?;
        let header = Header::read(&header);
        let page_size = header.map(|header| header.page_size).or(page_size).unwrap_or(4096);
        let count = length.saturating_sub(HEADER as u64) / (FRAME_HEADER + page_size) as u64;
        let pages = database / page_size as u64 + count;
        let bytes = Frames { file, page_size, count: usize::try_from(count).unwrap_or(0) };
        let header = match header {
            Some(header) if is_older(&header, &bytes)? => None,
            header => header,
        };
        let judge = match header {
            Some(Header { order, salt, sum, .. }) => {
                Some(Judge { order, salt, sum: Some(sum), pages })
            }
            None => {
                let found = without_header(&bytes)?;
                found.map(|(order, salt)| Judge { order, salt, sum: None, pages })
            }
        };
        let frames = judge.map_or_else(|| Ok(Vec::new()), |judge| judge.judge(&bytes))?;
        Ok(Wal { bytes, is_header_good: header.is_some(), frames })
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
        Some(u64::from(pages) * self.bytes.page_size as u64)
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
        let chosen = frames.iter().enumerate().filter(|(_, frame)| is_chosen(frame));
        let Some((last, pages)) = chosen.rev().find_map(commit) else { return Ok(()) };
        let size = self.bytes.page_size as u64;
        for (frame, bytes) in frames.iter().take(last + 1).zip(self.bytes.read()?) {
            let bytes = bytes?;
            if is_chosen(frame) {
                copy.seek(SeekFrom::Start(u64::from(frame.page - 1) * size))?;
                copy.write_all(bytes.page())?;
            }
        }
        copy.set_len(u64::from(pages) * size)
    }
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

//! Reading a set's file in pieces, in constant memory.

mod decode;

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::hash::{ElementHasher, Salt};
use super::hash_range::HashRange;
use super::info::SetInfo;
use super::matches::{Matches, Queries};
use super::merge::{Lengths, Source};
use super::rice::CHUNK;
use super::set::{HEADER_LEN, Header};
use crate::bytes::TRAILER_LEN;
use crate::digest::Digest;
use crate::error::ParseError;

/// Bytes of code that are buffered unless the caller says otherwise.
pub(crate) const CAPACITY: usize = 1 << 16;

/// Fewest bytes of code that are buffered: a chunk of the longest usual codes fits.
const LEAST_CAPACITY: usize = 1 << 12;

/// Why a set's file cannot be read to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes cannot be read. Nothing is lost: the next call tries again from there.
    #[error("cannot read the set: {0}")]
    Io(io::Error),
    /// The bytes are not those of a set.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

/// Reads a set's file in pieces, in constant memory: a buffer of 64 KiB and a chunk of values.
///
/// It gives the fingerprints in ascending order, and at the end validates whatever
/// [`Set::parse`](super::Set::parse) does, with the same errors. **Fingerprints that are given
/// before the end are not vouched for**: a changed byte may show only in the trailer. Whoever
/// answers from them reads on to the end first, as [`SetReader::matches`] and
/// [`SetReader::finish`] do. None is ever outside the hash range, and they always ascend.
///
/// ```
/// use gcs_core::set::SetReader;
/// use gcs_core::{HashRange, Salt, Set};
///
/// let hash_range = HashRange::for_expected(3, 20)?;
/// let set = Set::build(Salt([0; 16]), hash_range, ["identifier one..", "identifier two.."])?;
/// let file = set.as_bytes(); // Or a `std::fs::File`: it needs no `BufReader`.
///
/// assert_eq!(SetReader::open(file)?.finish()?, set.info());
/// let hits = SetReader::open(file)?.matches(["identifier two..", "identifier three"])?;
/// assert_eq!(hits, set.matches(["identifier two..", "identifier three"]));
///
/// let mut reader = SetReader::open(file)?;
/// while let Some(fingerprint) = reader.next_value()? {
///     assert!(set.contains_fingerprint(fingerprint));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SetReader<R> {
    source: R,
    header: Header,
    hasher: Sha256,
    /// Bytes of the file read so far.
    read: u64,
    /// Code that is read and not decoded is at bit `bit` to byte `filled`.
    buffer: Box<[u8]>,
    filled: usize,
    bit: u64,
    /// Bytes of code before the buffer.
    dropped: u64,
    /// One more than the last value: the smallest value that may come next.
    next: u64,
    /// Values not decoded yet.
    left: u32,
    /// Values that are decoded and not consumed are at `at..end`.
    chunk: Box<[u64; CHUNK]>,
    at: usize,
    end: usize,
    trailer: [u8; TRAILER_LEN],
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Reading,
    Valid(Digest),
    Invalid(ParseError),
    /// Going back has failed on the way: the source stands somewhere in the header.
    Lost,
}

impl<R: Read> SetReader<R> {
    /// Reads the header of a set's file, and is ready for its values.
    ///
    /// # Errors
    /// [`ReadError`] when the header cannot be read or is not that of a set.
    pub fn open(source: R) -> Result<SetReader<R>, ReadError> {
        SetReader::with_capacity(CAPACITY, source)
    }

    /// [`SetReader::open`] with a buffer of `capacity` bytes, at least 4096.
    ///
    /// # Errors
    /// As [`SetReader::open`].
    pub fn with_capacity(capacity: usize, mut source: R) -> Result<SetReader<R>, ReadError> {
        let mut bytes = [0; HEADER_LEN];
        let mut filled = 0;
        while filled < HEADER_LEN {
            match read_some(&mut source, &mut bytes[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let header = Header::parse(&bytes[..filled])?;
        let buffer = alloc::vec![0; capacity.max(LEAST_CAPACITY)].into_boxed_slice();
        let mut reader = SetReader {
            source,
            header,
            hasher: Sha256::new(),
            read: 0,
            buffer,
            filled: 0,
            bit: 0,
            dropped: 0,
            next: 0,
            left: 0,
            chunk: Box::new([0; CHUNK]),
            at: 0,
            end: 0,
            trailer: [0; TRAILER_LEN],
            state: State::Reading,
        };
        reader.restart(&bytes);
        Ok(reader)
    }

    /// Number of fingerprints N that the header declares.
    pub fn len(&self) -> u32 {
        self.header.shape.len
    }

    /// Whether the header declares no fingerprint.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The salt that keys its hashes.
    pub fn salt(&self) -> Salt {
        self.header.salt
    }

    /// The hash range F.
    pub fn hash_range(&self) -> HashRange {
        self.header.hash_range
    }

    /// The hasher of this set's salt and hash range.
    pub fn hasher(&self) -> ElementHasher {
        ElementHasher::new(self.salt(), self.hash_range())
    }

    /// The next fingerprints in ascending order, up to a few hundred. None at all means that
    /// the end is reached and that the whole file is valid.
    ///
    /// # Errors
    /// [`ReadError`]. After [`ReadError::Parse`] every later call fails alike.
    pub fn next_chunk(&mut self) -> Result<&[u64], ReadError> {
        self.prepare()?;
        let chunk = &self.chunk[self.at..self.end];
        self.at = self.end;
        Ok(chunk)
    }

    /// The next fingerprint in ascending order. `None` means that the end is reached and that
    /// the whole file is valid.
    ///
    /// # Errors
    /// As [`SetReader::next_chunk`].
    #[inline]
    pub fn next_value(&mut self) -> Result<Option<u64>, ReadError> {
        if self.at == self.end {
            self.prepare()?;
        }
        let value = self.chunk[self.at..self.end].first().copied();
        self.at += usize::from(value.is_some());
        Ok(value)
    }

    /// Reads to the end, validates the whole file, and returns its statistics.
    ///
    /// # Errors
    /// As [`SetReader::next_chunk`].
    pub fn finish(mut self) -> Result<SetInfo, ReadError> {
        self.drain()
    }

    /// Which of the elements may be in the set, as [`Set::matches`](super::Set::matches) does,
    /// in one pass over the file, which is validated to its end before it answers. Memory:
    /// 16 bytes an element besides the matches.
    ///
    /// # Errors
    /// As [`SetReader::next_chunk`].
    pub fn matches<E: AsRef<[u8]>>(
        self,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<Matches, ReadError> {
        let queries = Queries::of_fingerprints(self.hasher().fingerprints(elements));
        self.scan(&queries)
    }

    /// [`SetReader::matches`] for fingerprints under this set's salt and hash range, in any
    /// order.
    ///
    /// # Errors
    /// As [`SetReader::next_chunk`].
    pub fn matches_fingerprints<F: Borrow<u64>>(
        self,
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Result<Matches, ReadError> {
        self.scan(&Queries::of_fingerprints(fingerprints))
    }

    fn scan(mut self, queries: &Queries) -> Result<Matches, ReadError> {
        let mut scan = queries.begin_scan();
        while scan.take(self.next_chunk()?) {}
        self.finish()?;
        Ok(scan.finish())
    }

    /// The header, as it was read.
    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// Reads to the end and validates the whole file.
    pub(crate) fn drain(&mut self) -> Result<SetInfo, ReadError> {
        loop {
            self.at = self.end;
            if let State::Valid(identity) = self.state {
                return Ok(self.header.info(identity));
            }
            self.prepare()?;
        }
    }
}

impl<R: Read + Seek> SetReader<R> {
    /// Goes back to the first value.
    ///
    /// # Errors
    /// [`ReadError`] when the source cannot go back, or its header is no longer the same.
    pub fn rewind(&mut self) -> Result<(), ReadError> {
        let back = i64::try_from(self.read).map_err(io::Error::other)?;
        self.source.seek(SeekFrom::Current(-back))?;
        (self.read, self.at, self.state) = (0, self.end, State::Lost);
        let mut header = [0; HEADER_LEN];
        while let Some(rest) = header.get_mut(self.read as usize..).filter(|rest| !rest.is_empty())
        {
            match read_some(&mut self.source, rest)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => self.read += count as u64,
            }
        }
        self.restart(&header);
        let now = Header::parse(&header)?;
        if now != self.header {
            return Err(io::Error::other("the file has changed while it was read").into());
        }
        Ok(())
    }
}

impl<R: Read> Source for SetReader<R> {
    type Error = ReadError;

    fn chunk(&mut self) -> Result<&[u64], ReadError> {
        self.prepare()?;
        Ok(&self.chunk[self.at..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }

    fn lengths(&self) -> Lengths {
        Lengths::exact(u64::from(self.left) + (self.end - self.at) as u64)
    }
}

impl<R> fmt::Debug for SetReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetReader")
            .field("len", &self.header.shape.len)
            .field("hash_range", &self.header.hash_range.get())
            .field("salt", &self.header.salt)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// Reads what one call gives, 0 bytes only at the end; an interrupted call is repeated.
fn read_some(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;

//! Reading a set's file in pieces, in constant memory.

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
use super::rice::{CHUNK, RiceReader};
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
    Io(#[from] io::Error),
    /// The bytes are not those of a set.
    #[error(transparent)]
    Parse(#[from] ParseError),
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

    /// Everything as it is behind the header, of these bytes.
    fn restart(&mut self, header: &[u8; HEADER_LEN]) {
        self.hasher = Sha256::new_with_prefix(header);
        self.read = HEADER_LEN as u64;
        (self.filled, self.bit, self.dropped) = (0, 0, 0);
        (self.at, self.end) = (0, 0);
        (self.next, self.left) = (0, self.header.shape.len);
        self.state = State::Reading;
    }

    /// Decodes the next values if all before are consumed; leaves none at the valid end.
    fn prepare(&mut self) -> Result<(), ReadError> {
        while self.at == self.end {
            match &self.state {
                State::Reading if self.left > 0 => self.decode()?,
                State::Reading => self.validate_end()?,
                State::Valid(_) => return Ok(()),
                State::Invalid(error) => return Err(error.clone().into()),
            }
            if self.next > self.header.shape.bound {
                // Some value is too large. What the error is depends on what follows.
                self.at = self.end;
            }
        }
        Ok(())
    }

    /// Decodes as many values as are buffered, at least one and at most a chunk.
    fn decode(&mut self) -> Result<(), ReadError> {
        let wanted = (self.left as usize).min(CHUNK);
        let usual = wanted as u64 * u64::from(self.header.shape.parameter + 4);
        if self.bit + usual > 8 * self.filled as u64 && self.code_left() > 0 {
            self.refill()?;
        }
        let mut count = self.decode_exactly(0, wanted);
        if count == 0 {
            // Some long codes: take those that are here one by one.
            while count < wanted && self.decode_exactly(count, 1) == 1 {
                count += 1;
            }
        }
        if count == 0 && self.code_left() == 0 {
            let (bits, values) = (self.header.shape.bits, u64::from(self.header.shape.len));
            return self.fail(ParseError::Overrun { bits, values });
        }
        if count == 0 && self.refill()? == 0 {
            self.skip_ones();
        }
        (self.at, self.end) = (0, count);
        self.left -= count as u32;
        Ok(())
    }

    /// Decodes `count` values to the chunk, from `at` on, and returns `count`; or nothing, and
    /// returns 0, if they are not all buffered.
    fn decode_exactly(&mut self, at: usize, count: usize) -> usize {
        let end = (8 * self.filled as u64).min(self.header.shape.bits - 8 * self.dropped);
        let bytes = &self.buffer[..self.filled];
        let reader = RiceReader::new(bytes, self.header.shape.parameter, end);
        let mut reader = reader.resume(self.bit, self.next);
        if reader.fill(&mut self.chunk[at..at + count]).is_err() {
            return 0;
        }
        (self.bit, self.next) = (reader.bit(), reader.next_least());
        count
    }

    /// Takes all ones that are buffered from a run of ones that the buffer cannot hold. Each
    /// of them adds `2^P` to the next value, whatever follows.
    fn skip_ones(&mut self) {
        let end = 8 * self.filled as u64;
        let mut ones = 0;
        while self.bit < end {
            let byte = self.buffer[(self.bit / 8) as usize] >> (self.bit % 8);
            let run = byte.trailing_ones();
            ones += u64::from(run);
            self.bit += u64::from(run);
            if !self.bit.is_multiple_of(8) || run == 0 {
                break;
            }
        }
        // All ones of a code together, times 2^P, are far below 2^64: see `Shape::validate`.
        self.next = self.next.wrapping_add(ones.wrapping_shl(self.header.shape.parameter));
    }

    /// Bytes of code that are not read yet.
    fn code_left(&self) -> u64 {
        self.header.shape.bytes() - self.dropped - self.filled as u64
    }

    /// Drops what is decoded from the buffer and fills it again; returns how many bytes came.
    /// Fails if the file ends before the code does.
    fn refill(&mut self) -> Result<usize, ReadError> {
        let decoded = (self.bit / 8) as usize;
        self.buffer.copy_within(decoded..self.filled, 0);
        self.filled -= decoded;
        self.bit %= 8;
        self.dropped += decoded as u64;
        let before = self.filled;
        loop {
            let room = self.buffer.len() - self.filled;
            let wanted = self.code_left().min(room as u64) as usize;
            let into = &mut self.buffer[self.filled..self.filled + wanted];
            if wanted == 0 {
                return Ok(self.filled - before);
            }
            let count = read_some(&mut self.source, into)?;
            if count == 0 {
                return self.fail(self.wrong_length());
            }
            self.hasher.update(&into[..count]);
            self.filled += count;
            self.read += count as u64;
        }
    }

    /// The error of a file that has another length than its header says. A file that is too
    /// long is not read to its end.
    fn wrong_length(&self) -> ParseError {
        ParseError::Length { expected: self.header.file_len(), got: self.read }
    }

    /// Ends in an error for good, unless the length of the file is wrong: that comes first.
    fn fail<T>(&mut self, error: ParseError) -> Result<T, ReadError> {
        let error = if matches!(error, ParseError::Length { .. }) {
            error
        } else {
            self.read_rest()?.err().unwrap_or(error)
        };
        (self.at, self.end) = (0, 0);
        self.state = State::Invalid(error.clone());
        Err(error.into())
    }

    /// Reads what follows the code that is buffered: more code, which is not decoded, the
    /// trailer, and nothing more. The inner error is that of another length.
    fn read_rest(&mut self) -> Result<Result<(), ParseError>, ReadError> {
        let trailer_at = self.header.file_len() - TRAILER_LEN as u64;
        while self.read < trailer_at {
            let room = self.buffer.len() as u64;
            let now = (trailer_at - self.read).min(room) as usize;
            // Only after an error: nobody decodes what is overwritten.
            match read_some(&mut self.source, &mut self.buffer[..now])? {
                0 => return Ok(Err(self.wrong_length())),
                count => self.read += count as u64,
            }
        }
        while self.read < self.header.file_len() {
            let at = (self.read - trailer_at) as usize;
            match read_some(&mut self.source, &mut self.trailer[at..])? {
                0 => return Ok(Err(self.wrong_length())),
                count => self.read += count as u64,
            }
        }
        self.read += read_some(&mut self.source, &mut [0])? as u64;
        if self.read > self.header.file_len() {
            return Ok(Err(self.wrong_length()));
        }
        Ok(Ok(()))
    }

    /// Validates everything but the values, once these are decoded.
    fn validate_end(&mut self) -> Result<(), ReadError> {
        let shape = self.header.shape;
        let bits = 8 * self.dropped + self.bit;
        if bits != shape.bits {
            let (expected, got) = (bits, shape.bits);
            return self.fail(ParseError::Mismatch { field: "bit length", expected, got });
        }
        if self.next > shape.bound {
            let (max, got) = (shape.bound - 1, self.next - 1);
            return self.fail(ParseError::Limit { field: "last value", max, got });
        }
        // All bits are taken, so the last byte is buffered, if there is any.
        let last = self.buffer[..self.filled].last().copied().unwrap_or(0);
        if !bits.is_multiple_of(8) && last >> (bits % 8) != 0 {
            return self.fail(ParseError::Padding);
        }
        if let Err(error) = self.read_rest()? {
            return self.fail(error);
        }
        let (expected, got) = (Digest(self.trailer), Digest(self.hasher.clone().finalize().into()));
        if expected != got {
            return self.fail(ParseError::Digest { field: "trailer", expected, got });
        }
        self.state = State::Valid(got);
        Ok(())
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
        let mut header = [0; HEADER_LEN];
        self.source.read_exact(&mut header)?;
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
mod tests {
    use super::*;
    use crate::bytes::seal;
    use crate::set::Set;
    use crate::set::pieces::Pieces;
    use crate::set::rice::Shape;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::string::ToString;

    const SALT: Salt = Salt([8; 16]);

    fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
        Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
    }

    /// All values, if the file is valid.
    fn read(capacity: usize, source: impl Read) -> Result<(Vec<u64>, SetInfo), ReadError> {
        let mut reader = SetReader::with_capacity(capacity, source)?;
        let mut values = Vec::new();
        loop {
            let chunk = reader.next_chunk()?;
            if chunk.is_empty() {
                return Ok((values, reader.finish()?));
            }
            values.extend_from_slice(chunk);
        }
    }

    /// Fails unless the reader gives what `Set::parse` does, values and errors alike.
    fn assert_reads_as_parsed(bytes: &[u8], sizes: &[usize]) {
        let by_reader = read(0, Pieces::new(bytes, sizes));
        match (by_reader, Set::parse(bytes)) {
            (Ok((values, info)), Ok(set)) => {
                assert!(set.iter().eq(values));
                assert_eq!(info, set.info());
            }
            (Err(ReadError::Parse(got)), Err(expected)) => assert_alike(&got, &expected),
            (got, expected) => panic!("{got:?}, but parsed: {expected:?}"),
        }
    }

    /// Equal, but for the length of a file that is too long, which the reader does not look for.
    fn assert_alike(got: &ParseError, expected: &ParseError) {
        match (got, expected) {
            (
                ParseError::Length { expected: a, got },
                ParseError::Length { expected: b, got: len },
            ) if got > a => assert_eq!((a, *got), (b, a + 1).min((b, *len))),
            _ => assert_eq!(got, expected),
        }
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        prop_oneof![
            Just(std::vec![1]),
            Just(std::vec![usize::MAX]),
            prop::collection::vec(prop_oneof![0usize..5, 0usize..300, 0usize..20_000], 1..8)
        ]
    }

    fn hash_range_and_values() -> impl Strategy<Value = (u64, BTreeSet<u64>)> {
        let hash_range = prop_oneof![1u64..2_000, 1u64..1 << 57, Just((1 << 57) - 1)];
        hash_range.prop_flat_map(|hash_range| {
            let value = prop_oneof![0..hash_range, (hash_range - hash_range.min(600))..hash_range];
            (Just(hash_range), prop::collection::btree_set(value, 0..1_500))
        })
    }

    proptest! {
        #[test]
        fn valid_files((hash_range, model) in hash_range_and_values(), sizes in sizes()) {
            let set = set_of(hash_range, model.iter().copied());
            let (values, info) = read(0, Pieces::new(set.as_bytes(), &sizes)).unwrap();
            prop_assert!(model.iter().copied().eq(values));
            prop_assert_eq!(info, set.info());

            let queries: Vec<u64> = model.iter().rev().step_by(3).flat_map(|value| [*value, value + 1, value / 2]).collect();
            let reader = SetReader::open(Pieces::new(set.as_bytes(), &sizes)).unwrap();
            prop_assert_eq!(reader.matches_fingerprints(&queries).unwrap(), set.matches_fingerprints(&queries));

            let mut reader = SetReader::open(Pieces::new(set.as_bytes(), &sizes)).unwrap();
            for _ in 0..2 {
                for value in &model {
                    prop_assert_eq!(reader.next_value().unwrap(), Some(*value));
                }
                prop_assert_eq!(reader.next_value().unwrap(), None);
                prop_assert_eq!(reader.next_value().unwrap(), None);
                reader.rewind().unwrap();
            }
        }

        /// Any code behind a legal header and before a right trailer.
        #[test]
        fn codes_of_any_bytes(
            hash_range in prop_oneof![1u64..2_000, 1u64..1 << 57],
            len in 0u32..2_000,
            share in 0.0..=1.0f64,
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0)], 1..9_000),
            change in -1i64..=1,
            sizes in sizes(),
        ) {
            let len = len.min(u32::try_from(hash_range).unwrap_or(u32::MAX));
            let hash_range = HashRange::new(hash_range).unwrap();
            let mut shape = Shape { bound: hash_range.get(), len, parameter: hash_range.rice_parameter(len), bits: 0 };
            let (least, most) = shape.possible_bits();
            shape.bits = least + ((most - least) as f64 * share) as u64;
            let mut file = Header { salt: SALT, hash_range, shape }.to_bytes();
            let code = bytes.iter().copied().cycle().take((shape.bytes() as i64 + change).max(0) as usize);
            file.extend(code);
            seal(&mut file);
            assert_reads_as_parsed(&file, &sizes);
        }
    }

    /// Every cut, every changed byte, and bytes behind the end.
    #[test]
    fn every_small_damage() {
        let spread = (0..300u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
        for set in [set_of(1 << 24, spread), set_of(1 << 57 >> 1, [5, 1 << 55]), set_of(9, [])] {
            let mut bytes = set.into_inner();
            for at in 0..bytes.len() {
                assert_reads_as_parsed(&bytes[..at], &[usize::MAX]);
                for flip in [1, 0x80, 0xff] {
                    bytes[at] ^= flip;
                    assert_reads_as_parsed(&bytes, &[7, 3, 0]);
                    bytes[at] ^= flip;
                }
            }
            for _ in 0..40 {
                bytes.push(0);
                assert_reads_as_parsed(&bytes, &[5, usize::MAX]);
            }
            // Its length is wrong, which comes before what is wrong in it.
            bytes[60] ^= 0xff;
            assert_reads_as_parsed(&bytes, &[usize::MAX]);
        }
    }

    /// Runs of ones that are longer than the buffer.
    #[test]
    fn long_runs() {
        let hash_range = 1u64 << 50;
        let high = (0..50_000).map(|i| hash_range - 50_000 + i);
        let middle = (0..50_000).map(|i| hash_range / 2 + i);
        for values in [high.clone().collect(), middle.chain([hash_range - 1]).collect::<Vec<u64>>()]
        {
            let set = set_of(hash_range, values.iter().copied());
            let bits = set.info().code_bits - 50_000 * u64::from(set.rice_parameter() + 1);
            assert!(bits > 8 * LEAST_CAPACITY as u64, "{bits}");
            for sizes in [&[usize::MAX][..], &[1_000, 7]] {
                assert_eq!(read(0, Pieces::new(set.as_bytes(), sizes)).unwrap().0, values);
                // The run never ends; the code ends in it.
                let mut bytes = set.as_bytes().to_vec();
                let end = bytes.len() - TRAILER_LEN;
                bytes[HEADER_LEN..end].fill(0xff);
                assert_reads_as_parsed(&bytes, sizes);
            }
        }
    }

    /// An error of the source breaks off nothing: the next call goes on.
    #[test]
    fn an_io_error_at_any_byte_can_be_tried_again() {
        let set = set_of(1 << 40, (0..2_000u64).map(|i| i * i * 250_000));
        let bytes = set.as_bytes();
        for at in 0..=bytes.len() {
            let source = Pieces::failing(bytes, at);
            let mut reader = match SetReader::open(source) {
                Ok(reader) => reader,
                Err(error) => {
                    assert!(at < HEADER_LEN && matches!(error, ReadError::Io(_)), "{error}");
                    continue;
                }
            };
            let mut values = Vec::new();
            let mut errors = 0;
            loop {
                match reader.next_value() {
                    Ok(Some(value)) => values.push(value),
                    Ok(None) => break,
                    Err(ReadError::Io(error)) => {
                        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                        errors += 1;
                        if errors == 2 {
                            reader.source.fails_at = None;
                        }
                    }
                    Err(ReadError::Parse(error)) => panic!("{error}"),
                }
            }
            assert!(set.iter().eq(values) && errors == 2);
            assert_eq!(reader.finish().unwrap(), set.info());
        }
    }

    #[test]
    fn an_error_of_the_bytes_stays() {
        let mut bytes = set_of(1 << 40, 0..600).into_inner();
        *bytes.last_mut().unwrap() ^= 1;
        let mut reader = SetReader::open(&bytes[..]).unwrap();
        let chunks = core::iter::from_fn(|| reader.next_chunk().ok().map(<[u64]>::len));
        assert_eq!(chunks.sum::<usize>(), 600);
        let again = [reader.next_value().unwrap_err(), reader.next_chunk().map(drop).unwrap_err()];
        for error in [
            again.map(|error| error.to_string()),
            [reader.finish().unwrap_err().to_string(), "trailer".into()],
        ]
        .concat()
        {
            assert!(error.contains("trailer"), "{error}");
        }
        // Not one match of a file that is damaged.
        let reader = SetReader::open(&bytes[..]).unwrap();
        assert!(reader.matches_fingerprints([1u64, 2, 3]).is_err());
        let reader = SetReader::open(&bytes[..]).unwrap();
        assert!(reader.matches_fingerprints([0u64; 0]).is_err());
    }

    #[test]
    fn a_file_that_changes_between_two_passes() {
        let (one, other) = (set_of(1 << 40, 0..600), set_of(1 << 40, 1..602));
        let mut reader = SetReader::open(Pieces::new(one.as_bytes(), &[usize::MAX])).unwrap();
        reader.drain().unwrap();
        reader.source.bytes = other.as_bytes().to_vec();
        assert!(matches!(reader.rewind(), Err(ReadError::Io(_))));
    }

    #[test]
    fn debug_shows_no_value() {
        let set = set_of(1 << 50, [123_456_789]);
        let mut reader = SetReader::open(set.as_bytes()).unwrap();
        reader.prepare().unwrap();
        assert!(!std::format!("{reader:?}").contains("123456789"));
    }
}

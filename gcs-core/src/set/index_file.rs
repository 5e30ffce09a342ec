//! The file of an index over a set's file: its layout, and writing it.

use alloc::vec::Vec;
use core::hash::Hasher as _;
use core::ops::Range;
use std::io::{self, BufWriter, Write};

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher24;
use thiserror::Error;

use super::buckets::CodePlace;
use super::info::SetInfo;
use super::read_at::{ReadAt, Sequential, Window};
use super::reader::{ReadError, SetReader};
use super::rice::Shape;
use super::set::{HEADER_LEN, Header, Set};
use crate::bytes::{self, Cursor, Put, TRAILER_LEN};
use crate::digest::Digest;
use crate::error::ParseError;

const MAGIC: &[u8; 6] = b"GCSSIX";

/// Fingerprints in a block, on average.
const BLOCK: u32 = 256;

/// Length of what is before the entries.
pub(super) const INDEX_HEADER_LEN: usize = 96;

/// Length of an entry, and of what the checks cover of it.
pub(super) const ENTRY_LEN: usize = 32;
const PLACE_LEN: usize = 24;

/// Why an index file cannot be written, opened or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The set's file cannot be read.
    #[error("cannot read the set: {0}")]
    ReadSet(io::Error),
    /// The index file cannot be read.
    #[error("cannot read the index: {0}")]
    ReadIndex(io::Error),
    /// The index file cannot be written, as on a full disk.
    #[error("cannot write the index: {0}")]
    Write(io::Error),
    /// The file of the set is none, is cut, or is damaged.
    #[error("the set: {0}")]
    Set(ParseError),
    /// The file of the index is none, is cut, is of another version, or is damaged.
    #[error("the index: {0}")]
    Index(ParseError),
    /// The index is that of another set, or of another version of it.
    #[error("the index is that of the set {expected}, and not of this one, {got}")]
    OtherSet {
        /// Identity of the set that was indexed.
        expected: Digest,
        /// Identity of the set given.
        got: Digest,
    },
    /// The set's header is not the one that was indexed: a byte of either file has changed.
    #[error("the set's header and its copy in the index differ: one of the files is damaged")]
    Header,
    /// A block of the set does not fit its entries in the index: a byte of either file has
    /// changed. [`IndexedFile::verify`](super::IndexedFile::verify) tells which.
    #[error("block {block} of the set does not fit the index: one of the files is damaged")]
    Block {
        /// Number of the block, from 0. Its entries are at byte `96 + 32 * block` of the index.
        block: u64,
    },
}

impl From<ReadError> for IndexError {
    fn from(error: ReadError) -> IndexError {
        match error {
            ReadError::Io(error) => IndexError::ReadSet(error),
            ReadError::Parse(error) => IndexError::Set(error),
        }
    }
}

/// What is before the entries of an index file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexHeader {
    /// The header of the set.
    pub(super) set: Header,
    /// The identity of the set.
    pub(super) identity: Digest,
}

impl IndexHeader {
    pub(super) fn parse(bytes: &[u8]) -> Result<IndexHeader, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let set = Header::parse(cursor.take(HEADER_LEN as u64)?)?;
        let identity = cursor.digest()?;
        bytes::expect_equal("blocks", cursor.u64()?, Blocks::of(&set.shape).count)?;
        Ok(IndexHeader { set, identity })
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes.put(&self.set.to_bytes()).put(&self.identity.0).put_u64(self.blocks().count);
        bytes
    }

    pub(super) fn blocks(&self) -> Blocks {
        Blocks::of(&self.set.shape)
    }

    /// Length of the whole file.
    pub(super) fn file_len(&self) -> u64 {
        let entries = (self.blocks().count + 1) * ENTRY_LEN as u64;
        (INDEX_HEADER_LEN + TRAILER_LEN) as u64 + entries
    }

    /// The checks under this header.
    pub(super) fn checks(&self) -> Checks {
        let mut key = [0; 16];
        key.copy_from_slice(&Digest::of(&self.to_bytes()).0[..16]);
        Checks { hasher: SipHasher24::new_with_key(&key) }
    }
}

/// Makes the checks of blocks.
///
/// Their key is made of the whole header of the index, the set's identity among it. So no block of
/// another version of the set passes, nor any if the header has changed in both files alike.
#[derive(Clone, Copy)]
pub(super) struct Checks {
    hasher: SipHasher24,
}

impl Checks {
    /// The check of a block whose code is still to be added.
    pub(super) fn begin(&self, block: &Block) -> SipHasher24 {
        let mut message = Vec::with_capacity(8 + 2 * PLACE_LEN);
        message.put_u64(block.number);
        block.from.append_to(&mut message);
        block.to.append_to(&mut message);
        let mut hasher = self.hasher;
        hasher.write(&message);
        hasher
    }
}

/// How a hash range is divided into blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    pub(super) count: u64,
    /// Blocks in the hash range, as a fraction of `2^64`.
    scale: u64,
}

impl Blocks {
    pub(super) fn of(shape: &Shape) -> Blocks {
        let count = u64::from(shape.len.div_ceil(BLOCK)).max(1);
        let scale = (u128::from(count) << 64) / u128::from(shape.bound);
        Blocks { count, scale: u64::try_from(scale).unwrap_or(u64::MAX) }
    }

    /// The block of a fingerprint, which is below `count` if the fingerprint is below F.
    pub(super) fn block_of(self, fingerprint: u64) -> u64 {
        ((u128::from(fingerprint) * u128::from(self.scale)) >> 64) as u64
    }
}

impl CodePlace {
    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.bit).put_u64(self.next).put_u32(self.rank).put_u32(0);
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<CodePlace, ParseError> {
        let place = CodePlace { bit: cursor.u64()?, next: cursor.u64()?, rank: cursor.u32()? };
        cursor.zeros(4)?;
        Ok(place)
    }
}

/// An entry: where a block begins, and the check of that block.
pub(super) fn parse_entry(bytes: &[u8; ENTRY_LEN]) -> Result<(CodePlace, u64), ParseError> {
    let mut cursor = Cursor::new(bytes);
    Ok((CodePlace::parse(&mut cursor)?, cursor.u64()?))
}

/// A block between two places of a code.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) from: CodePlace,
    pub(super) to: CodePlace,
}

impl Block {
    /// Number of fingerprints; 0 if the places do not ascend.
    pub(super) fn len(&self) -> u32 {
        self.to.rank.saturating_sub(self.from.rank)
    }

    /// The bytes of the set's file that hold its code, those that it shares included.
    pub(super) fn bytes(&self) -> Range<u64> {
        let begin = HEADER_LEN as u64;
        begin + self.from.bit / 8..begin + self.to.bit.div_ceil(8)
    }

    /// Whether such a block can be in a code of this shape. So a wrong length is found before
    /// that many bytes are read.
    pub(super) fn is_possible(&self, shape: &Shape) -> bool {
        let Block { from, to, .. } = *self;
        let is_within = to.bit <= shape.bits && to.rank <= shape.len && to.next <= shape.bound;
        let ascends = from.bit <= to.bit && from.rank <= to.rank && from.next <= to.next;
        if !is_within || !ascends {
            return false;
        }
        // As for the whole code: each value takes P + 1 bits and its quotient.
        let least = u64::from(self.len()) * u64::from(shape.parameter + 1);
        let quotients = (to.next - from.next) >> shape.parameter;
        (least..=least + quotients).contains(&(to.bit - from.bit))
    }
}

/// An index that is ready to be written.
pub(super) struct IndexWriter {
    header: IndexHeader,
    /// Where each block begins, and where the last one ends.
    places: Vec<CodePlace>,
}

impl IndexWriter {
    /// Validates the whole set, and finds where its blocks begin.
    pub(super) fn of_file(set: &impl ReadAt) -> Result<IndexWriter, IndexError> {
        let source = Sequential::new(set).map_err(IndexError::ReadSet)?;
        let mut reader = SetReader::open(source)?;
        let mut places = Places::new(reader.header().shape);
        loop {
            let chunk = reader.next_chunk()?;
            if chunk.is_empty() {
                break;
            }
            places.take(chunk);
        }
        let set = reader.header();
        let identity = reader.finish()?.identity;
        Ok(IndexWriter { header: IndexHeader { set, identity }, places: places.finish() })
    }

    /// Finds where the blocks of a set in memory begin.
    fn of_set<D: AsRef<[u8]>>(set: &Set<D>) -> IndexWriter {
        let header = IndexHeader { set: set.header(), identity: set.identity() };
        let mut places = Places::new(header.set.shape);
        let mut values = set.values();
        loop {
            let chunk = values.next_chunk();
            if chunk.is_empty() {
                break;
            }
            places.take(chunk);
        }
        IndexWriter { header, places: places.finish() }
    }

    /// The statistics of the set.
    pub(super) fn info(&self) -> SetInfo {
        self.header.set.info(self.header.identity)
    }

    /// Gives the bytes of the index file to `write`. Reads the set's code once more, for the
    /// checks of its blocks.
    pub(super) fn write(
        &self,
        set: &impl ReadAt,
        mut write: impl FnMut(&[u8]) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let mut hasher = Sha256::new();
        let mut write_hashed = |bytes: &[u8]| {
            hasher.update(bytes);
            write(bytes)
        };
        write_hashed(&self.header.to_bytes())?;
        let code_end = HEADER_LEN as u64 + self.header.set.shape.bytes();
        let mut code = Window::new(set, code_end);
        let checks = self.header.checks();
        let mut entry = Vec::with_capacity(ENTRY_LEN);
        for (number, pair) in (0..).zip(self.places.windows(2)) {
            let block = Block { number, from: pair[0], to: pair[1] };
            let mut check = checks.begin(&block);
            let shown = code.show(block.bytes(), |piece| check.write(piece));
            shown.map_err(IndexError::ReadSet)?;
            entry.clear();
            block.from.append_to(&mut entry);
            write_hashed(entry.put_u64(check.finish()))?;
        }
        entry.clear();
        self.places.last().copied().unwrap_or_default().append_to(&mut entry);
        write_hashed(entry.put_u64(0))?;
        write(&hasher.finalize())
    }

    fn write_to(&self, set: &impl ReadAt, out: impl Write) -> Result<SetInfo, IndexError> {
        let mut out = BufWriter::new(out);
        self.write(set, |bytes| out.write_all(bytes).map_err(IndexError::Write))?;
        out.flush().map_err(IndexError::Write)?;
        Ok(self.info())
    }
}

/// Finds where blocks begin, while a code is read from front to back.
struct Places {
    blocks: Blocks,
    parameter: u32,
    here: CodePlace,
    begun: Vec<CodePlace>,
}

impl Places {
    fn new(shape: Shape) -> Places {
        let (blocks, parameter) = (Blocks::of(&shape), shape.parameter);
        Places { blocks, parameter, here: CodePlace::default(), begun: Vec::new() }
    }

    /// Takes the next values of the code, all below the hash range.
    fn take(&mut self, values: &[u64]) {
        for &value in values {
            let begun = self.blocks.block_of(value) as usize + 1;
            if begun > self.begun.len() {
                // Memory stays below what was read: blocks that are skipped are long quotients.
                self.begun.resize(begun, self.here);
            }
            let CodePlace { bit, next, rank } = &mut self.here;
            *bit += ((value - *next) >> self.parameter) + u64::from(self.parameter) + 1;
            *next = value + 1;
            *rank += 1;
        }
    }

    /// The places, when all values were taken.
    fn finish(mut self) -> Vec<CodePlace> {
        self.begun.resize(self.blocks.count as usize + 1, self.here);
        self.begun
    }
}

/// Validates the whole file of a set, and writes its index file, which
/// [`IndexedFile`](super::IndexedFile) answers from. Returns the statistics of the set.
///
/// The index takes one bit for each fingerprint of the set. Equal sets have equal index files, byte
/// for byte. O(n) time, reading the set twice; memory: three quarters of a bit for each
/// fingerprint, and 300 KiB. Until it is written whole the file is no index: write it under a
/// temporary name.
///
/// # Errors
/// [`IndexError`] when the set cannot be read or is none, or the index cannot be written. What is
/// written of it by then is no index.
pub fn write_index(set: &impl ReadAt, out: impl Write) -> Result<SetInfo, IndexError> {
    IndexWriter::of_file(set)?.write_to(set, out)
}

impl<D: AsRef<[u8]>> Set<D> {
    /// Writes the index file of this set, as [`write_index`](super::write_index) does, without
    /// validating the set again. O(n).
    ///
    /// # Errors
    /// [`IndexError::Write`].
    pub fn write_index(&self, out: impl Write) -> Result<SetInfo, IndexError> {
        IndexWriter::of_set(self).write_to(&self.as_bytes(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::{HashRange, Salt};
    use std::vec;

    const SALT: Salt = Salt([9; 16]);

    fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
        Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
    }

    #[test]
    fn blocks_fill_the_hash_range() {
        for (bound, len) in [
            (1, 0),
            (1, 1),
            (2, 2),
            (257, 257),
            (1_500, 520),
            ((1 << 57) - 1, 1),
            ((1 << 57) - 1, u32::MAX),
            (u64::from(u32::MAX), u32::MAX),
        ] {
            let blocks = Blocks::of(&Shape { bound, len, parameter: 0, bits: 0 });
            assert_eq!(blocks.count, u64::from(len).div_ceil(256).max(1));
            assert_eq!(blocks.block_of(0), 0);
            assert_eq!(blocks.block_of(bound - 1), blocks.count - 1, "{bound} {len}");
        }
    }

    #[test]
    fn a_block_is_possible_within_its_set_and_with_its_bits() {
        let place = |bit, next, rank| CodePlace { bit, next, rank };
        let is_possible =
            |shape: &Shape, from, to| Block { number: 0, from, to }.is_possible(shape);
        let shape = Shape { bound: 1_000, len: 100, parameter: 3, bits: 500 };
        let from = place(40, 100, 10);
        // Five values of 4 bits each, and quotients of 80 / 8 at most.
        for (bit, expected) in [(59, false), (60, true), (70, true), (71, false)] {
            assert_eq!(is_possible(&shape, from, place(bit, 180, 15)), expected, "{bit}");
        }
        let to = place(65, 180, 15);
        assert!(is_possible(&Shape { bits: 65, len: 15, bound: 180, ..shape }, from, to));
        for smaller in
            [Shape { bits: 64, ..shape }, Shape { len: 14, ..shape }, Shape { bound: 179, ..shape }]
        {
            assert!(!is_possible(&smaller, from, to));
        }
        for (later, to) in [
            (place(66, 100, 15), place(65, 100, 15)),
            (place(60, 100, 16), place(65, 180, 15)),
            (place(65, 181, 15), place(65, 180, 15)),
        ] {
            assert!(!is_possible(&shape, later, to), "does not ascend");
        }
    }

    /// Byte by byte, of a set of two values.
    #[test]
    fn the_index_of_a_small_set() {
        let set = set_of(1 << 20, [3, 1 << 19]);
        let mut index = Vec::new();
        let info = set.write_index(&mut index).unwrap();
        assert_eq!(index[..8], *b"GCSSIX\x01\x00");
        assert_eq!(index[8..56], set.as_bytes()[..48]);
        assert_eq!(index[56..88], set.identity().0);
        assert_eq!(index[88..96], 1u64.to_le_bytes());
        assert_eq!(index[96..120], [0; 24]);
        let end =
            [info.code_bits.to_le_bytes(), ((1u64 << 19) + 1).to_le_bytes(), 2u64.to_le_bytes()];
        assert_eq!(index[128..152], end.concat());
        assert_eq!(index[152..160], [0; 8]);
        let code = &set.as_bytes()[48..set.as_bytes().len() - 32];
        let message = [&[0; 8], &index[96..120], &index[128..152], code].concat();
        let key: [u8; 16] = Digest::of(&index[..96]).0[..16].try_into().unwrap();
        let check = SipHasher24::new_with_key(&key).hash(&message);
        assert_eq!(index[120..128], check.to_le_bytes());
        assert_eq!(index[160..], Digest::of(&index[..160]).0);
    }

    #[test]
    fn what_is_no_set_has_no_index() {
        let mut bytes = set_of(1 << 20, 0..1_000).into_inner();
        let mut written = Vec::new();
        let error = write_index(&&bytes[..100], &mut written).unwrap_err();
        assert!(matches!(error, IndexError::Set(ParseError::Length { .. })), "{error}");
        bytes[100] ^= 1;
        let error = write_index(&bytes, &mut written).unwrap_err();
        assert!(matches!(error, IndexError::Set(ParseError::Digest { .. })), "{error}");
        let error = write_index(&vec![], &mut written).unwrap_err();
        assert!(matches!(error, IndexError::Set(ParseError::Length { .. })), "{error}");
        assert!(written.is_empty(), "nothing is written before the set is known to be valid");
    }

    #[test]
    fn a_full_disk() {
        let set = set_of(1 << 40, (0..100_000).map(|i| i * i));
        let mut small = [0; 5_000];
        let error = write_index(&set.as_bytes(), &mut small[..]).unwrap_err();
        assert!(matches!(error, IndexError::Write(_)), "{error}");
        let error = set.write_index(&mut small[..]).unwrap_err();
        assert!(matches!(error, IndexError::Write(_)), "{error}");
    }
}

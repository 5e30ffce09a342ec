//! The table of dates, which a client holds when it is up to date.

use alloc::vec::Vec;

use crate::bytes::{Cursor, Put, expect_at_most, expect_equal, expect_len};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::HashRange;
use crate::set::Salt;
use crate::set::Set;
use crate::set::file_lengths;

const MAGIC: &[u8; 6] = b"GCSTBL";
const HEADER_LEN: usize = 16;
const ROW_LEN: usize = 112;

/// Length of a check record before its checks.
const RECORD_HEADER_LEN: u64 = 56;
/// Length of a main slot, a spare slot and a node of the path.
pub(super) const CHECK_LEN: usize = 8;
pub(super) const SPARE_LEN: usize = 12;
pub(super) const NODE_LEN: usize = 32;

/// How many spare slots the records of a date may have.
pub(super) const SPARE_SLOTS: [u32; 3] = [16, 64, 256];

/// Most dates a table holds.
pub const MAX_DATES: usize = 32;

/// One date: its set, and where the set's checks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The UTC date on which the identifiers were broadcast.
    pub date: Date,
    /// Salt of the set.
    pub salt: Salt,
    /// Hash range F of the set.
    pub hash_range: HashRange,
    /// Number of fingerprints N.
    pub len: u32,
    /// Identity of the set: the SHA-256 at the end of its file.
    pub identity: Digest,
    /// Length of the set's file in bytes.
    pub bytes: u64,
    /// Merkle root of the check records; zero when N is 0.
    pub check_root: Digest,
    /// Spare slots of each check record: 16, 64 or 256.
    pub spare_slots: u32,
}

impl Row {
    /// The row of a set with this check root and this number of spare slots in each record.
    pub(crate) fn of<D: AsRef<[u8]>>(
        date: Date,
        set: &Set<D>,
        check_root: Digest,
        spare_slots: u32,
    ) -> Row {
        Row {
            date,
            salt: set.salt(),
            hash_range: set.hash_range(),
            len: set.len(),
            identity: set.identity(),
            bytes: set.as_bytes().len() as u64,
            check_root,
            spare_slots,
        }
    }

    /// Number of ranks that a check record covers: max(2048, the least power of two ≥ N/256).
    pub fn record_ranks(&self) -> u32 {
        record_ranks(self.len)
    }

    /// Number of check records.
    pub fn records(&self) -> u32 {
        self.len.div_ceil(self.record_ranks())
    }

    /// Length of one check record in bytes.
    pub fn record_len(&self) -> u64 {
        record_len(self.len, self.spare_slots)
    }

    /// Whether `set` is the set that this row describes.
    pub(crate) fn describes<D: AsRef<[u8]>>(&self, set: &Set<D>) -> bool {
        *self == Row::of(self.date, set, self.check_root, self.spare_slots)
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Row, ParseError> {
        let (date, len, salt) = (cursor.date()?, cursor.u32()?, Salt::parse(cursor)?);
        let (hash_range, bytes) = (HashRange::parse(cursor)?, cursor.u64()?);
        let (identity, check_root) = (cursor.digest()?, cursor.digest()?);
        let (record_ranks, spare_slots) = (cursor.u32()?, cursor.u32()?);
        let row = Row { date, salt, hash_range, len, identity, bytes, check_root, spare_slots };
        row.validate(record_ranks)?;
        Ok(row)
    }

    /// Fails unless the fields fit each other.
    fn validate(&self, record_ranks: u32) -> Result<(), ParseError> {
        expect_at_most("set length", u64::from(self.len), self.hash_range.get())?;
        let (least, most) = file_lengths(self.hash_range, self.len);
        expect_at_most("set bytes", self.bytes, most)?;
        if self.bytes < least {
            return Err(ParseError::Length { expected: least, got: self.bytes });
        }
        let (ranks, expected) = (u64::from(record_ranks), u64::from(self.record_ranks()));
        expect_equal("ranks of a check record", ranks, expected)?;
        if !SPARE_SLOTS.contains(&self.spare_slots) {
            let max = u64::from(SPARE_SLOTS[2]);
            let got = u64::from(self.spare_slots);
            return Err(ParseError::Limit { field: "spare slots (16, 64 or 256)", max, got });
        }
        if (self.len == 0) != (self.check_root == Digest::ZERO) {
            let field =
                if self.len == 0 { "check root of no records" } else { "check root, not 0" };
            let got = self.check_root;
            return Err(ParseError::Digest { field, expected: Digest::ZERO, got });
        }
        Ok(())
    }

    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes
            .put_u32(self.date.days())
            .put_u32(self.len)
            .put(&self.salt.0)
            .put_u64(self.hash_range.get())
            .put_u64(self.bytes)
            .put(&self.identity.0)
            .put(&self.check_root.0)
            .put_u32(self.record_ranks())
            .put_u32(self.spare_slots);
    }
}

/// The dates of one publication, ascending; at most [`MAX_DATES`].
///
/// ```text
///  0  magic "GCSTBL"   6  version u16   8  rows u32   12  4 zero bytes
/// 16  rows of 112 bytes:
///      0  date (days since 1970)    u32     40  identity            32 bytes
///      4  length N                  u32     72  check root          32 bytes
///      8  salt                 16 bytes    104  ranks of a record k u32
///     24  hash range F              u64    108  spare slots         u32
///     32  bytes of the set          u64
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// A table of rows in strictly ascending order of date.
    pub(crate) fn from_rows(rows: Vec<Row>) -> Result<Table, ParseError> {
        expect_at_most("number of dates", rows.len() as u64, MAX_DATES as u64)?;
        for (position, pair) in rows.windows(2).enumerate() {
            if pair[0].date >= pair[1].date {
                return Err(ParseError::Order { field: "date", position: position as u64 + 1 });
            }
        }
        Ok(Table { rows })
    }

    /// Validates every byte of a table. No allocation beyond [`MAX_DATES`] rows.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<Table, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let count = u64::from(cursor.u32()?);
        cursor.zeros(4)?;
        expect_at_most("number of dates", count, MAX_DATES as u64)?;
        expect_len(bytes, HEADER_LEN as u64 + count * ROW_LEN as u64)?;
        let rows = (0..count).map(|_| Row::parse(&mut cursor)).collect::<Result<_, _>>()?;
        Table::from_rows(rows)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes.put_u32(self.rows.len() as u32).put_u32(0);
        for row in &self.rows {
            row.append_to(&mut bytes);
        }
        bytes
    }

    /// The state: SHA-256 of the table's bytes. A client that is up to date has reached it.
    pub fn state(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The rows, in ascending order of date.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a date.
    pub fn row(&self, date: Date) -> Option<&Row> {
        let at = self.rows.binary_search_by_key(&date, |row| row.date).ok()?;
        Some(&self.rows[at])
    }

    /// Whether some date has the set of this identity.
    pub(crate) fn names(&self, identity: Digest) -> bool {
        self.rows.iter().any(|row| row.identity == identity)
    }
}

/// Number of ranks of one record, for a set of `len` fingerprints.
pub(super) fn record_ranks(len: u32) -> u32 {
    len.div_ceil(256).next_power_of_two().max(2048)
}

/// Length in bytes of a record of a set of `len` fingerprints, with its Merkle path.
pub(super) fn record_len(len: u32, spare_slots: u32) -> u64 {
    let ranks = record_ranks(len);
    let leaves = len.div_ceil(ranks).max(1).next_power_of_two();
    let slots = u64::from(ranks) * CHECK_LEN as u64 + u64::from(spare_slots) * SPARE_LEN as u64;
    RECORD_HEADER_LEN + slots + u64::from(leaves.ilog2()) * NODE_LEN as u64
}

/// Length in bytes of the table of `rows` rows.
pub(crate) fn table_len(rows: usize) -> usize {
    HEADER_LEN + rows * ROW_LEN
}

//! The table of dates, which a client holds when it is up to date.

use alloc::vec::Vec;

use crate::bytes::{Cursor, Put, expect_at_most, expect_equal, expect_len};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::ElementHasher;
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

/// How many spare slots a record may have.
pub(super) const SPARE_SLOTS: [u32; 3] = [16, 64, 256];

/// Fewest ranks of a record, so that there are identifiers to hide among.
const MIN_RECORD_RANKS: u32 = 2048;

/// Most records of a date. The Merkle tree always has this many leaves, so that the paths of
/// all records are equally long.
pub(super) const MAX_RECORDS: u32 = 64;

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
    /// Hash range F of the set, below 2^53.
    pub hash_range: HashRange,
    /// Number of fingerprints N.
    pub len: u32,
    /// Identity of the set: the SHA-256 at the end of its file.
    pub identity: Digest,
    /// Length of the set's file in bytes.
    pub bytes: u64,
    /// Merkle root of the check records; zero when N is 0.
    pub check_root: Digest,
    /// The shape of its check records, the same for all dates of a table.
    pub record_shape: RecordShape,
}

/// How large the check records of a publication are. All dates have records of one length, so
/// that the length of an answer does not tell which date was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordShape {
    /// Number of ranks that a record covers: max(2048, the least power of two ≥ N/64), where N
    /// is that of the largest date.
    pub ranks: u32,
    /// Spare slots of a record: 16, 64 or 256.
    pub spare_slots: u32,
}

impl RecordShape {
    /// The shape for a largest date of `len` fingerprints.
    pub(crate) fn new(len: u32, spare_slots: u32) -> RecordShape {
        RecordShape { ranks: record_ranks(len), spare_slots }
    }

    /// Length of one check record in bytes.
    #[must_use]
    pub fn record_len(&self) -> u64 {
        let checks = u64::from(self.ranks) * CHECK_LEN as u64;
        let spares = u64::from(self.spare_slots) * SPARE_LEN as u64;
        RECORD_HEADER_LEN + checks + spares + u64::from(MAX_RECORDS.ilog2()) * NODE_LEN as u64
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<RecordShape, ParseError> {
        Ok(RecordShape { ranks: cursor.u32()?, spare_slots: cursor.u32()? })
    }

    /// Fails unless it is the shape of some table.
    fn validate(&self) -> Result<(), ParseError> {
        let (ranks, most) = (self.ranks, record_ranks(u32::MAX));
        if !ranks.is_power_of_two() || !(MIN_RECORD_RANKS..=most).contains(&ranks) {
            let (field, max) = ("ranks of a check record (2048, 4096, …)", u64::from(most));
            return Err(ParseError::Limit { field, max, got: u64::from(ranks) });
        }
        if !SPARE_SLOTS.contains(&self.spare_slots) {
            let (max, got) = (u64::from(SPARE_SLOTS[2]), u64::from(self.spare_slots));
            return Err(ParseError::Limit { field: "spare slots (16, 64 or 256)", max, got });
        }
        Ok(())
    }
}

impl Row {
    /// The row of a set with this check root and records of this shape.
    pub(crate) fn of<D: AsRef<[u8]>>(
        date: Date,
        set: &Set<D>,
        check_root: Digest,
        record_shape: RecordShape,
    ) -> Row {
        Row {
            date,
            salt: set.salt(),
            hash_range: set.hash_range(),
            len: set.len(),
            identity: set.identity(),
            bytes: set.as_bytes().len() as u64,
            check_root,
            record_shape,
        }
    }

    /// Number of check records, at most 64.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.len.div_ceil(self.record_shape.ranks)
    }

    /// Number of the check record that holds a rank.
    #[must_use]
    pub fn record_of(&self, rank: u32) -> u32 {
        rank / self.record_shape.ranks
    }

    /// The function that maps elements to fingerprints and checks.
    #[must_use]
    pub fn hasher(&self) -> ElementHasher {
        ElementHasher::new(self.salt, self.hash_range)
    }

    /// Whether `set` is the set that this row describes.
    pub(crate) fn describes<D: AsRef<[u8]>>(&self, set: &Set<D>) -> bool {
        *self == Row::of(self.date, set, self.check_root, self.record_shape)
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Row, ParseError> {
        let (date, len, salt) = (cursor.date()?, cursor.u32()?, Salt::parse(cursor)?);
        let hash_range = HashRange::parse(cursor)?;
        expect_at_most("hash range", hash_range.get(), HashRange::MAX_PUBLISHED.get())?;
        let bytes = cursor.u64()?;
        let (identity, check_root) = (cursor.digest()?, cursor.digest()?);
        let record_shape = RecordShape::parse(cursor)?;
        let row = Row { date, salt, hash_range, len, identity, bytes, check_root, record_shape };
        row.validate()?;
        Ok(row)
    }

    /// Fails unless the fields fit each other.
    fn validate(&self) -> Result<(), ParseError> {
        expect_at_most("set length", u64::from(self.len), self.hash_range.get())?;
        let (least, most) = file_lengths(self.hash_range, self.len);
        expect_at_most("set bytes", self.bytes, most)?;
        if self.bytes < least {
            return Err(ParseError::Length { expected: least, got: self.bytes });
        }
        self.record_shape.validate()?;
        expect_at_most("check records", u64::from(self.records()), u64::from(MAX_RECORDS))?;
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
            .put_u32(self.record_shape.ranks)
            .put_u32(self.record_shape.spare_slots);
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
    /// A table of rows in strictly ascending order of date, whose check records have one shape.
    pub(crate) fn from_rows(rows: Vec<Row>) -> Result<Table, ParseError> {
        expect_at_most("number of dates", rows.len() as u64, MAX_DATES as u64)?;
        for (position, pair) in rows.windows(2).enumerate() {
            if pair[0].date >= pair[1].date {
                return Err(ParseError::Order { field: "date", position: position as u64 + 1 });
            }
        }
        let table = Table { rows };
        table.expect_one_shape()?;
        Ok(table)
    }

    /// Fails unless all rows have the record shape that the largest of them wants.
    fn expect_one_shape(&self) -> Result<(), ParseError> {
        let Some(RecordShape { spare_slots, .. }) = self.record_shape() else { return Ok(()) };
        let largest = self.rows.iter().map(|row| row.len).max().unwrap_or(0);
        let expected = RecordShape::new(largest, spare_slots);
        for RecordShape { ranks, spare_slots } in self.rows.iter().map(|row| row.record_shape) {
            let (got, expected_ranks) = (u64::from(ranks), u64::from(expected.ranks));
            expect_equal("ranks of a check record", got, expected_ranks)?;
            let (got, expected) = (u64::from(spare_slots), u64::from(expected.spare_slots));
            expect_equal("spare slots of every date", got, expected)?;
        }
        Ok(())
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

    /// The shape of all check records, if there is any date.
    #[must_use]
    pub fn record_shape(&self) -> Option<RecordShape> {
        Some(self.rows.first()?.record_shape)
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

/// Number of ranks of one record, when the largest date has `len` fingerprints.
fn record_ranks(len: u32) -> u32 {
    len.div_ceil(MAX_RECORDS).next_power_of_two().max(MIN_RECORD_RANKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::Salt;

    fn row_of(day: u32, len: u64, check_root: Digest) -> Row {
        let set = Set::from_fingerprints(Salt([1; 16]), HashRange::new(100).unwrap(), 0..len);
        let (date, shape) = (Date::from_days(day).unwrap(), RecordShape::for_dates(0, |_| 0));
        Row::of(date, &set.unwrap(), check_root, shape)
    }

    #[test]
    fn the_first_date_that_does_not_ascend_is_named() {
        let rows = |days: &[u32]| days.iter().map(|day| row_of(*day, 0, Digest::ZERO)).collect();
        assert!(Table::from_rows(rows(&[5, 6, 8])).is_ok());
        for (days, position) in [([5, 5, 8], 1), ([5, 6, 6], 2), ([5, 6, 2], 2)] {
            let error = ParseError::Order { field: "date", position };
            assert_eq!(Table::from_rows(rows(&days)), Err(error));
        }
    }

    /// A date has a check root if and only if it has records.
    #[test]
    fn a_check_root_that_does_not_fit_is_told() {
        let (root, expected) = (Digest::of(b"root"), Digest::ZERO);
        assert_eq!(row_of(5, 0, expected).validate(), Ok(()));
        assert_eq!(row_of(5, 3, root).validate(), Ok(()));
        let error = |field, got| Err(ParseError::Digest { field, expected, got });
        assert_eq!(row_of(5, 0, root).validate(), error("check root of no records", root));
        assert_eq!(row_of(5, 3, expected).validate(), error("check root, not 0", expected));
    }
}

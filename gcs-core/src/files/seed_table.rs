//! The table of lists of seeds, and the index that names it.

use alloc::vec::Vec;

use super::index::{BundleEntry, index_bytes, parse_index};
use crate::bytes::{Cursor, Put, expect_at_most};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;

const MAGIC: &[u8; 6] = b"GCSSDT";
const INDEX_MAGIC: &[u8; 6] = b"GCSSDI";

/// Most lists of seeds that a publication has.
pub const MAX_SEED_LISTS: usize = 128;

/// One list of seeds: its kind, and the last UTC date on which its seeds were used.
///
/// ```text
///  0  date u32   4  kind u16   6  2 zero bytes   8  bytes u64   16  SHA-256 32 bytes
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedRow {
    /// The last UTC date on which the seeds were used.
    pub date: Date,
    /// The kind of seed, a [`Seed::KIND`](crate::seeds::Seed::KIND).
    pub kind: u16,
    /// Length of the list's file in bytes.
    pub bytes: u64,
    /// SHA-256 of the list's file, all of it.
    pub sha256: Digest,
}

impl SeedRow {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<SeedRow, ParseError> {
        let (date, kind) = (cursor.date()?, cursor.u16()?);
        cursor.zeros(2)?;
        Ok(SeedRow { date, kind, bytes: cursor.u64()?, sha256: cursor.digest()? })
    }

    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.put_u32(self.date.days()).put_u16(self.kind).put_u16(0).put_u64(self.bytes);
        bytes.put(&self.sha256.0);
    }

    /// What a table has at most one row of.
    pub(super) fn place(&self) -> (Date, u16) {
        (self.date, self.kind)
    }

    /// Fails unless these are the bytes of the list.
    pub(crate) fn expect(&self, list: &[u8]) -> Result<(), ParseError> {
        crate::bytes::expect_len(list, self.bytes)?;
        crate::bytes::expect_digest("list of seeds", list, self.sha256)
    }
}

/// The lists of seeds of a publication, by ascending date and kind, at most [`MAX_SEED_LISTS`].
///
/// ```text
///  0  magic "GCSSDT"   8  number of lists u32
///  6  version u16     12  4 zero bytes
/// 16  the rows, 48 bytes each
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedTable(Vec<SeedRow>);

impl SeedTable {
    /// Validates every byte of a table.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<SeedTable, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let count = cursor.u32()?;
        expect_at_most("number of lists of seeds", count.into(), MAX_SEED_LISTS as u64)?;
        cursor.zeros(4)?;
        let rows = (0..count).map(|_| SeedRow::parse(&mut cursor)).collect::<Result<_, _>>()?;
        cursor.finish()?;
        SeedTable::from_rows(rows)
    }

    pub(crate) fn from_rows(rows: Vec<SeedRow>) -> Result<SeedTable, ParseError> {
        let (max, got) = (MAX_SEED_LISTS as u64, rows.len() as u64);
        expect_at_most("number of lists of seeds", got, max)?;
        expect_ascending(rows.iter().map(SeedRow::place))?;
        Ok(SeedTable(rows))
    }

    /// The rows.
    pub fn rows(&self) -> &[SeedRow] {
        &self.0
    }

    /// The row of one kind and date.
    pub fn row(&self, date: Date, kind: u16) -> Option<&SeedRow> {
        let place = self.0.binary_search_by_key(&(date, kind), SeedRow::place);
        place.ok().map(|at| &self.0[at])
    }

    /// The table's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes.put_u32(self.0.len() as u32).put_u32(0);
        self.0.iter().for_each(|row| row.append_to(&mut bytes));
        bytes
    }

    /// SHA-256 of the table's bytes.
    pub fn state(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

/// Fails unless places ascend.
pub(super) fn expect_ascending(
    places: impl Iterator<Item = (Date, u16)> + Clone,
) -> Result<(), ParseError> {
    let pairs = places.clone().zip(places.skip(1));
    match pairs.zip(1u64..).find(|((earlier, later), _)| earlier >= later) {
        Some((_, position)) => Err(ParseError::Order { field: "list of seeds", position }),
        None => Ok(()),
    }
}

/// The lists of seeds of one publication, and the bundles that lead to them or near them.
///
/// ```text
///  0  magic "GCSSDI"   8  series u32   16  bytes of the table u32
///  6  version u16     12  tick   u32   20  bundles            u32
/// 24  the table, then the bundles as in the index of sets
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedIndex {
    /// Series of the publication.
    pub series: u32,
    /// Tick of the publication.
    pub tick: u32,
    /// The lists.
    pub table: SeedTable,
    /// The bundles, ascending by (to, span).
    pub bundles: Vec<BundleEntry>,
}

impl SeedIndex {
    /// Validates every byte of an index.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<SeedIndex, ParseError> {
        let (series, tick, table, bundles) = parse_index(bytes, INDEX_MAGIC, SeedTable::parse)?;
        Ok(SeedIndex { series, tick, table, bundles })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ticks = (self.series, self.tick);
        index_bytes(INDEX_MAGIC, ticks, &self.table.to_bytes(), &self.bundles)
    }

    /// SHA-256 of every file that it names, with the length of the file.
    pub fn files(&self) -> impl Iterator<Item = (Digest, u64)> {
        let lists = self.table.0.iter().map(|row| (row.sha256, row.bytes));
        lists.chain(self.bundles.iter().map(|entry| (entry.sha256, entry.bytes)))
    }
}

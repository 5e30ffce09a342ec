//! The index: the table of dates, then the bundles that are kept.

use alloc::vec::Vec;

use super::table::Table;
use crate::bytes::{Cursor, Put, expect_at_most};
use crate::digest::Digest;
use crate::error::ParseError;

const MAGIC: &[u8; 6] = b"GCSIDX";

/// The numbers of ticks that a bundle can span.
pub const SPANS: [u32; 4] = [1, 4, 24, 96];

/// For how many ticks a bundle stays in the index.
pub const KEPT_TICKS: u32 = 192;

/// Most bundles an index lists: every multiple of each span within [`KEPT_TICKS`].
const MAX_BUNDLES: u64 = 192 + 48 + 8 + 2;

/// The entry of an index for one bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleEntry {
    /// How many ticks it spans.
    pub span: u32,
    /// The tick that it leads to.
    pub to: u32,
    /// Length of its file in bytes.
    pub bytes: u64,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

impl BundleEntry {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<BundleEntry, ParseError> {
        let (span, to) = (cursor.u32()?, cursor.u32()?);
        let (bytes, sha256) = (cursor.u64()?, cursor.digest()?);
        Ok(BundleEntry { span, to, bytes, sha256 })
    }

    /// Fails unless the bundle may be kept at `tick` and comes behind those `before` it.
    pub(crate) fn expect_after(&self, before: &[BundleEntry], tick: u32) -> Result<(), ParseError> {
        expect_span(self.span, self.to, tick)?;
        if before.last().is_some_and(|last| (last.to, last.span) >= (self.to, self.span)) {
            return Err(ParseError::Order { field: "bundle", position: before.len() as u64 });
        }
        Ok(())
    }

    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.put_u32(self.span).put_u32(self.to).put_u64(self.bytes).put(&self.sha256.0);
    }
}

/// The table of one publication and the bundles that lead to it or near it.
///
/// ```text
///  0  magic "GCSIDX"   8  series u32   16  bytes of the table u32
///  6  version u16     12  tick   u32   20  bundles            u32
/// 24  the table, then for each bundle, ascending by (to, span):
///      0  span u32   4  to u32   8  bytes u64   16  SHA-256 32 bytes
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationIndex {
    /// Series of the publication.
    pub series: u32,
    /// Tick of the publication.
    pub tick: u32,
    /// The dates.
    pub table: Table,
    /// The bundles, ascending by (to, span).
    pub bundles: Vec<BundleEntry>,
}

impl PublicationIndex {
    /// Validates every byte of an index.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<PublicationIndex, ParseError> {
        let (series, tick, table, bundles) = parse_index(bytes, MAGIC, Table::parse)?;
        Ok(PublicationIndex { series, tick, table, bundles })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        index_bytes(MAGIC, (self.series, self.tick), &self.table.to_bytes(), &self.bundles)
    }
}

/// Series, tick, table and bundles of an index, of sets or of lists of seeds: they differ in magic and table only.
pub(super) fn parse_index<T>(
    bytes: &[u8],
    magic: &[u8; 6],
    parse_table: impl FnOnce(&[u8]) -> Result<T, ParseError>,
) -> Result<(u32, u32, T, Vec<BundleEntry>), ParseError> {
    let mut cursor = Cursor::open(bytes, magic)?;
    let (series, tick) = (cursor.u32()?, cursor.u32()?);
    let (table_bytes, count) = (u64::from(cursor.u32()?), u64::from(cursor.u32()?));
    expect_at_most("number of bundles", count, MAX_BUNDLES)?;
    let table = parse_table(cursor.take(table_bytes)?)?;
    let mut bundles: Vec<BundleEntry> = Vec::new();
    for _ in 0..count {
        let entry = BundleEntry::parse(&mut cursor)?;
        entry.expect_after(&bundles, tick)?;
        bundles.push(entry);
    }
    cursor.finish()?;
    Ok((series, tick, table, bundles))
}

/// The bytes of an index. A table has at most some thousand bytes, so its length fits.
pub(super) fn index_bytes(
    magic: &[u8; 6],
    (series, tick): (u32, u32),
    table: &[u8],
    bundles: &[BundleEntry],
) -> Vec<u8> {
    let mut bytes = Vec::open(magic);
    bytes.put_u32(series).put_u32(tick).put_u32(table.len() as u32).put_u32(bundles.len() as u32);
    bytes.put(table);
    bundles.iter().for_each(|entry| entry.append_to(&mut bytes));
    bytes
}

/// Fails unless a bundle of `span` may lead to tick `to` and still be kept at `tick`.
pub(crate) fn expect_span(span: u32, to: u32, tick: u32) -> Result<(), ParseError> {
    if !SPANS.contains(&span) {
        let (field, got) = ("bundle span (1, 4, 24 or 96)", u64::from(span));
        return Err(ParseError::Limit { field, max: 96, got });
    }
    expect_at_most("bundle tick", u64::from(to), u64::from(tick))?;
    expect_at_most("bundle age in ticks", u64::from(tick - to), u64::from(KEPT_TICKS - 1))?;
    expect_at_most("bundle span", u64::from(span), u64::from(to))?;
    if !to.is_multiple_of(span) {
        let expected = u64::from(to - to % span);
        return Err(ParseError::Mismatch { field: "bundle tick", expected, got: u64::from(to) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_tick_of_a_bundle_is_told_with_the_right_one_before_it() {
        assert_eq!(expect_span(4, 12, 14), Ok(()));
        let error = ParseError::Mismatch { field: "bundle tick", expected: 12, got: 14 };
        assert_eq!(expect_span(4, 14, 14), Err(error));
    }
}

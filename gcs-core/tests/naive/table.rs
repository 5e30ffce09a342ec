//! Sections 6 and 7: the table and the index.

use super::bits::parameter;
use super::set::Set;
use super::{Digest, Outcome, Reader, ZERO, expect, mutant, sha256};

/// What a client holds for one date.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) date: u32,
    pub(crate) count: u32,
    pub(crate) salt: [u8; 16],
    pub(crate) range: u64,
    /// Bytes of the set's file.
    pub(crate) length: u64,
    pub(crate) identity: Digest,
    pub(crate) check_root: Digest,
    /// k: ranks of a check record.
    pub(crate) ranks: u32,
    /// s: spare slots of a check record.
    pub(crate) spares: u32,
}

impl Row {
    /// Reads the next 112 bytes: step 2 of section 6.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Outcome<Self> {
        let row = Self {
            date: reader.date()?,
            count: reader.u32()?,
            salt: reader.salt()?,
            range: published(reader.range()?)?,
            length: reader.u64()?,
            identity: reader.digest()?,
            check_root: reader.digest()?,
            ranks: reader.u32()?,
            spares: reader.u32()?,
        };
        expect(u64::from(row.count) <= row.range, "Limit")?;
        let p = parameter(row.range, row.count);
        let least = u128::from(row.count) * (u128::from(p) + 1);
        let unary = if row.count == 0 { 0 } else { u128::from(row.range >> p) };
        expect(u128::from(row.length) <= 80 + (least + unary).div_ceil(8), "Limit")?;
        expect(u128::from(row.length) >= 80 + least.div_ceil(8), "Length")?;
        let legal = (11..=26).map(|exponent| 1u32 << exponent);
        expect(legal.into_iter().any(|ranks| ranks == row.ranks), "Limit")?;
        let is_legal = [16, 64, 256].contains(&row.spares);
        expect(is_legal || (row.spares == 32 && mutant::has("s = 32")), "Limit")?;
        expect(u64::from(row.count) <= 64 * u64::from(row.ranks), "Limit")?;
        expect((row.check_root == ZERO) == (row.count == 0), "Digest")?;
        Ok(row)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut row = Vec::new();
        row.extend(self.date.to_le_bytes());
        row.extend(self.count.to_le_bytes());
        row.extend(self.salt);
        row.extend(self.range.to_le_bytes());
        row.extend(self.length.to_le_bytes());
        row.extend(self.identity);
        row.extend(self.check_root);
        row.extend(self.ranks.to_le_bytes());
        row.extend(self.spares.to_le_bytes());
        row
    }

    /// Whether a set fits this row.
    pub(crate) fn fits(&self, set: &Set) -> bool {
        self.salt == set.salt
            && self.range == set.range
            && self.count == set.count()
            && self.identity == set.identity
            && self.length == set.length
    }
}

/// A hash range that a row may have.
fn published(range: u64) -> Outcome<u64> {
    expect(range < 1 << 53, "Limit").map(|()| range)
}

/// Whether some values ascend strictly.
pub(crate) fn ascend<T: PartialOrd>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1])
}

/// One row per published date.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSTBL")?;
        let rows = reader.u32()?;
        reader.reserved(4)?;
        expect(rows <= 32, "Limit")?;
        expect(file.len() as u128 == 16 + 112 * u128::from(rows), "Length")?;
        let rows = (0..rows).map(|_| Row::parse(&mut reader)).collect::<Outcome<Vec<_>>>()?;
        let dates: Vec<_> = rows.iter().map(|row| row.date).collect();
        expect(ascend(&dates), "Order")?;
        let table = Self { rows };
        table.expect_one_shape()?;
        Ok(table)
    }

    /// All records of a table are of one shape, which its largest date decides.
    #[track_caller]
    pub(crate) fn expect_one_shape(&self) -> Outcome<()> {
        let largest = self.rows.iter().map(|row| u64::from(row.count)).max().unwrap_or(0);
        let mut ranks = 2048u64;
        while 64 * ranks < largest + u64::from(mutant::has("k at 64 k")) {
            ranks *= 2;
        }
        for row in &self.rows {
            expect(u64::from(row.ranks) == ranks, "Mismatch")?;
            expect(row.spares == self.rows[0].spares, "Mismatch")?;
        }
        Ok(())
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut file = b"GCSTBL\x01\x00".to_vec();
        file.extend((self.rows.len() as u32).to_le_bytes());
        file.extend([0; 4]);
        for row in &self.rows {
            file.extend(row.write());
        }
        file
    }

    /// SHA-256 of the file.
    pub(crate) fn state(&self) -> Digest {
        sha256(&[&self.write()])
    }

    /// The row of a date.
    pub(crate) fn row(&self, date: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.date == date)
    }
}

/// A bundle that an index lists.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) span: u32,
    pub(crate) to: u32,
    pub(crate) length: u64,
    pub(crate) digest: Digest,
}

/// The table of one publication, and its bundles.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) series: u32,
    pub(crate) tick: u32,
    pub(crate) table: Table,
    pub(crate) bundles: Vec<Listed>,
}

/// The span checks of section 7.
#[track_caller]
pub(crate) fn expect_span(span: u32, to: u32, tick: u32) -> Outcome<()> {
    expect([1, 4, 24, 96].contains(&span), "Limit")?;
    expect(to <= tick, "Limit")?;
    let oldest = if mutant::has("190 ticks") { 190 } else { 191 };
    let oldest = if mutant::has("192 ticks") { 192 } else { oldest };
    expect(tick - to <= oldest, "Limit")?;
    expect(span <= to, "Limit")?;
    expect(to.is_multiple_of(span), "Mismatch")
}

impl Index {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSIDX")?;
        let series = reader.u32()?;
        let tick = reader.u32()?;
        let table = reader.u32()?;
        let count = reader.u32()?;
        let most = if mutant::has("249 bundles") { 249 } else { 250 };
        expect(count <= most, "Limit")?;
        let table = Table::parse(reader.bytes(table.into())?)?;
        let mut bundles: Vec<Listed> = Vec::new();
        for _ in 0..count {
            let next = Listed {
                span: reader.u32()?,
                to: reader.u32()?,
                length: reader.u64()?,
                digest: reader.digest()?,
            };
            expect_span(next.span, next.to, tick)?;
            if let Some(before) = bundles.last() {
                expect((before.to, before.span) < (next.to, next.span), "Order")?;
            }
            bundles.push(next);
        }
        reader.end()?;
        Ok(Self { series, tick, table, bundles })
    }
}

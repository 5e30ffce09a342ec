//! Section 9: check records and their verdicts.

use super::table::Row;
use super::{Digest, Outcome, Reader, expect, mutant, sha256};

/// What a record says about an element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Confirmed,
    Unknown,
    FalsePositive,
}

/// A record that was authenticated.
#[derive(Clone, Debug)]
pub(crate) struct CheckRecord {
    number: u32,
    ranks: u32,
    pub(crate) main: Vec<u64>,
    pub(crate) spare: Vec<(u32, u64)>,
}

/// ceil(N/k).
pub(crate) fn records(row: &Row) -> u32 {
    row.count.div_ceil(row.ranks.max(1))
}

/// 56 + 8·k + 12·s, without the path.
fn bare_length(row: &Row) -> u64 {
    56 + 8 * u64::from(row.ranks) + 12 * u64::from(row.spares)
}

/// The length of one record, with the path of a tree of 64 leaves.
pub(crate) fn length(row: &Row) -> u64 {
    bare_length(row) + 6 * 32
}

fn leaf(bare: &[u8]) -> Digest {
    sha256(&[&[0], bare])
}

fn node(left: &[u8], right: &[u8]) -> Digest {
    sha256(&[&[1], left, right])
}

/// The root that the path of a record leads to.
pub(crate) fn root(record: &[u8], row: &Row, number: u32) -> Outcome<Digest> {
    let mut reader = Reader::new(record);
    let mut at = leaf(reader.bytes(bare_length(row).into())?);
    for (level, sibling) in reader.rest().chunks(32).enumerate() {
        let is_right = number.checked_shr(level as u32).is_some_and(|number| number & 1 == 1);
        at = if is_right { node(sibling, &at) } else { node(&at, sibling) };
    }
    Ok(at)
}

impl CheckRecord {
    /// Reads record `number` of the row's date.
    pub(crate) fn parse(record: &[u8], row: &Row, number: u32) -> Outcome<Self> {
        expect(number < records(row), "Limit")?;
        expect(record.len() as u64 == length(row), "Length")?;
        let mut reader = Reader::new(record);
        reader.magic(b"GCSCHK")?;
        expect(reader.digest()? == row.identity, "Digest")?;
        let date = reader.date()?;
        expect(date == row.date, "Date")?;
        expect(reader.u32()? == number, "Mismatch")?;
        expect(reader.u32()? == row.ranks, "Mismatch")?;
        expect(reader.u32()? == row.spares, "Mismatch")?;
        let main = (0..row.ranks).map(|_| reader.u64()).collect::<Outcome<Vec<_>>>()?;
        let spare = (0..row.spares).map(|_| Ok((reader.u32()?, reader.u64()?)));
        let spare = spare.collect::<Outcome<Vec<_>>>()?;

        expect(root(record, row, number)? == row.check_root, "Digest")?;

        let mut before = (0, 0);
        for slot in &spare {
            let main = main.get(slot.0 as usize).ok_or("Limit")?;
            let is_alike = mutant::has("spares differ") && *slot == before;
            expect(*slot >= before && !is_alike, "Order")?;
            let is_main = mutant::has("spares are above") && slot.1 == *main;
            expect(slot.1 >= *main && !is_main, "Order")?;
            before = *slot;
        }
        Ok(Self { number, ranks: row.ranks, main, spare })
    }
}

/// What a record says about the element of that rank and check.
pub(crate) fn verdict(
    row: &Row,
    record: &Outcome<CheckRecord>,
    rank: u32,
    element: u64,
) -> Verdict {
    let Ok(record) = record else { return Verdict::Unknown };
    let is_beyond = rank >= row.count && !mutant::has("ranks have no end");
    if is_beyond || rank.checked_div(record.ranks) != Some(record.number) {
        return Verdict::Unknown;
    }
    let slot = rank % record.ranks;
    let main = record.main.get(slot as usize).copied().unwrap_or(0);
    let is_spare = record.spare.contains(&(slot, element)) && !mutant::has("no spares");
    if main == element || is_spare {
        Verdict::Confirmed
    } else if main == 0 && !mutant::has("0 is an answer") {
        Verdict::Unknown
    } else {
        Verdict::FalsePositive
    }
}

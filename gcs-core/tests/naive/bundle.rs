//! Section 8: what changed between two publications.

use std::collections::BTreeMap;

use super::delta::Body;
use super::set::Set;
use super::table::{Row, Table, ascend, expect_span};
use super::{Digest, Outcome, Reader, expect, within};

/// One changed date.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) row: Row,
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

/// A bundle, whose payloads were not looked at.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) series: u32,
    pub(crate) to: u32,
    pub(crate) span: u32,
    pub(crate) before: Digest,
    pub(crate) after: Digest,
    pub(crate) dropped: Vec<u32>,
    pub(crate) entries: Vec<Entry>,
}

/// A table with the sets that are at hand, by identity.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) sets: BTreeMap<Digest, Set>,
}

impl Entry {
    fn parse(reader: &mut Reader<'_>) -> Outcome<Self> {
        let row = Row::parse(reader)?;
        let kind = reader.u8()?;
        expect(kind <= 2, "Limit")?;
        reader.reserved(7)?;
        let length = reader.u64()?;
        expect(kind != 0 || length == 0, "Mismatch")?;
        expect(kind != 2 || length == row.length, "Mismatch")?;
        let payload = reader.bytes(length.into())?.to_vec();
        Ok(Self { row, kind, payload })
    }

    /// Writes the entry.
    fn write(&self) -> Vec<u8> {
        let mut entry = self.row.write();
        entry.extend([self.kind, 0, 0, 0, 0, 0, 0, 0]);
        entry.extend((self.payload.len() as u64).to_le_bytes());
        entry.extend(&self.payload);
        entry
    }

    /// The set that this entry leads to, where it is not the one before.
    fn set(&self, base: Option<&Row>, sets: &BTreeMap<Digest, Set>) -> Outcome<Option<Set>> {
        let set = match self.kind {
            0 => {
                let base = base.ok_or("NoSuchDate")?;
                let check_root = self.row.check_root;
                let Row { ranks, spares, .. } = self.row;
                let same = Row { check_root, ranks, spares, ..base.clone() };
                expect(self.row == same, "Row")?;
                return Ok(None);
            }
            1 => {
                let base = base.ok_or("NoSuchDate")?;
                let set = sets.get(&base.identity).ok_or("NoSuchSet")?;
                expect(self.row.salt == base.salt && self.row.range == base.range, "Row")?;
                expect(base.fits(set), "Row")?;
                let body = Body::parse(&self.payload, set.count(), set.range);
                let file = within("Part", body)?.apply(set, &self.row.identity);
                within("Part", Set::parse(&within("Delta", file)?))?
            }
            _ => {
                let set = within("Part", Set::parse(&self.payload))?;
                expect(set.identity == self.row.identity, "Part.Digest")?;
                set
            }
        };
        expect(self.row.fits(&set), "Row")?;
        Ok(Some(set))
    }
}

impl Bundle {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSBDL")?;
        let series = reader.u32()?;
        let to = reader.u32()?;
        let span = reader.u32()?;
        expect_span(span, to, to)?;
        let dropped = reader.u16()?;
        let changed = reader.u16()?;
        expect(dropped <= 32 && changed <= 32, "Limit")?;
        let before = reader.digest()?;
        let after = reader.digest()?;
        let dropped = (0..dropped).map(|_| reader.date()).collect::<Outcome<Vec<_>>>()?;
        expect(ascend(&dropped), "Order")?;
        let entries = (0..changed).map(|_| Entry::parse(&mut reader));
        let entries = entries.collect::<Outcome<Vec<_>>>()?;
        let dates: Vec<_> = entries.iter().map(|entry| entry.row.date).collect();
        expect(ascend(&dates), "Order")?;
        reader.end()?;
        Ok(Self { series, to, span, before, after, dropped, entries })
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut file = b"GCSBDL\x01\x00".to_vec();
        file.extend([self.series, self.to, self.span].map(u32::to_le_bytes).concat());
        file.extend((self.dropped.len() as u16).to_le_bytes());
        file.extend((self.entries.len() as u16).to_le_bytes());
        file.extend(self.before);
        file.extend(self.after);
        file.extend(self.dropped.iter().flat_map(|date| date.to_le_bytes()));
        file.extend(self.entries.iter().flat_map(Entry::write));
        file
    }

    /// The state after it.
    pub(crate) fn apply(&self, state: &State) -> Outcome<State> {
        let after = self.result(state)?;
        expect(after.table.state() == self.after, "After")?;
        Ok(after)
    }

    /// The state that it leads to, whichever it promises.
    pub(crate) fn result(&self, state: &State) -> Outcome<State> {
        let mut after = state.clone();
        expect(after.table.state() == self.before, "Before")?;
        for date in &self.dropped {
            expect(after.table.row(*date).is_some(), "NoSuchDate")?;
            after.table.rows.retain(|row| row.date != *date);
        }
        for entry in &self.entries {
            let set = entry.set(after.table.row(entry.row.date), &after.sets)?;
            if let Some(set) = set {
                after.sets.insert(set.identity, set);
            }
            after.table.rows.retain(|row| row.date != entry.row.date);
            after.table.rows.push(entry.row.clone());
            after.table.rows.sort_by_key(|row| row.date);
        }
        expect(after.table.rows.len() <= 32, "Limit")?;
        after.table.expect_one_shape()?;
        Ok(after)
    }
}

//! Section 22: the table of lists of seeds, its index, and bundles of what changed.

use std::collections::BTreeMap;

use super::seeds::{SeedDelta, SeedList};
use super::table::{Listed, expect_span};
use super::{Digest, Outcome, Reader, expect, sha256, within};

/// Date and kind of a list.
pub(crate) type Place = (u32, u16);

/// One list: where it is in the table, its length and its SHA-256.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) length: u64,
    pub(crate) digest: Digest,
}

/// The rows of a table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Table(pub(crate) Vec<Row>);

/// A table with the lists that are at hand, by their SHA-256.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) lists: BTreeMap<Digest, Vec<u8>>,
}

fn ascend(places: &[Place]) -> bool {
    places.windows(2).all(|pair| pair[0] < pair[1])
}

impl Row {
    fn parse(reader: &mut Reader<'_>) -> Outcome<Self> {
        let day = reader.date()?;
        let kind = reader.u16()?;
        reader.reserved(2)?;
        Ok(Self { place: (day, kind), length: reader.u64()?, digest: reader.digest()? })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let (date, kind) = self.place;
        let head = [&date.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 2]].concat();
        [&head[..], &self.length.to_le_bytes(), &self.digest].concat()
    }
}

impl Table {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSSDT")?;
        let count = reader.u32()?;
        expect(count <= 128, "Limit")?;
        reader.reserved(4)?;
        let rows = (0..count).map(|_| Row::parse(&mut reader)).collect::<Outcome<Vec<_>>>()?;
        reader.end()?;
        let places: Vec<Place> = rows.iter().map(|row| row.place).collect();
        expect(ascend(&places), "Order")?;
        Ok(Self(rows))
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let count = self.0.len() as u32;
        let head = [b"GCSSDT\x01\x00", &count.to_le_bytes()[..], &[0; 4]].concat();
        [head, self.0.iter().flat_map(Row::write).collect()].concat()
    }

    /// Its SHA-256.
    pub(crate) fn state(&self) -> Digest {
        sha256(&[&self.write()])
    }

    fn row(&self, place: Place) -> Option<&Row> {
        self.0.iter().find(|row| row.place == place)
    }
}

/// The lists of one publication, and its bundles.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) series: u32,
    pub(crate) tick: u32,
    pub(crate) table: Table,
    pub(crate) bundles: Vec<Listed>,
}

impl Index {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSSDI")?;
        let (series, tick) = (reader.u32()?, reader.u32()?);
        let (table, count) = (reader.u32()?, reader.u32()?);
        let most = 250;
        expect(count <= most, "Limit")?;
        let table = Table::parse(reader.bytes(table.into())?)?;
        let mut bundles: Vec<Listed> = Vec::new();
        for _ in 0..count {
            let (span, to) = (reader.u32()?, reader.u32()?);
            let next = Listed { span, to, length: reader.u64()?, digest: reader.digest()? };
            expect_span(span, to, tick)?;
            if let Some(before) = bundles.last() {
                expect((before.to, before.span) < (to, span), "Order")?;
            }
            bundles.push(next);
        }
        reader.end()?;
        Ok(Self { series, tick, table, bundles })
    }
}

/// One changed list.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) row: Row,
    pub(crate) form: u8,
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
    pub(crate) dropped: Vec<Place>,
    pub(crate) entries: Vec<Entry>,
}

impl Entry {
    fn parse(reader: &mut Reader<'_>) -> Outcome<Self> {
        let row = Row::parse(reader)?;
        let form = reader.u8()?;
        expect((1..=2).contains(&form), "Limit")?;
        reader.reserved(7)?;
        let length = reader.u64()?;
        expect(form != 2 || length == row.length, "Mismatch")?;
        let payload = reader.bytes(length.into())?.to_vec();
        Ok(Self { row, form, payload })
    }

    fn write(&self) -> Vec<u8> {
        let mut entry = self.row.write();
        entry.extend([self.form, 0, 0, 0, 0, 0, 0, 0]);
        entry.extend((self.payload.len() as u64).to_le_bytes());
        entry.extend(&self.payload);
        entry
    }

    /// The list that this entry leads to.
    fn list(&self, state: &State) -> Outcome<Vec<u8>> {
        let kind = self.row.place.1;
        let list = if self.form == 1 {
            let base = state.table.row(self.row.place).ok_or("NoSuchList")?;
            let base = state.lists.get(&base.digest).ok_or("NoSuchList")?;
            let base = within("Part", SeedList::parse(base, kind))?;
            let delta = within("Part", SeedDelta::parse(&self.payload, kind))?;
            within("SeedDelta", delta.apply(&base))?
        } else {
            within("Part", SeedList::parse(&self.payload, kind))?;
            self.payload.clone()
        };
        expect(list.len() as u64 == self.row.length, "Part.Length")?;
        expect(sha256(&[&list]) == self.row.digest, "Part.Digest")?;
        Ok(list)
    }
}

impl Bundle {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSSDB")?;
        let (series, to, span) = (reader.u32()?, reader.u32()?, reader.u32()?);
        expect_span(span, to, to)?;
        let (dropped, changed) = (reader.u16()?, reader.u16()?);
        expect(dropped <= 128, "Limit")?;
        expect(changed <= 128, "Limit")?;
        let (before, after) = (reader.digest()?, reader.digest()?);
        let mut places = Vec::new();
        for _ in 0..dropped {
            let day = reader.date()?;
            places.push((day, reader.u16()?));
            reader.reserved(2)?;
        }
        let dropped = places;
        expect(ascend(&dropped), "Order")?;
        let entries = (0..changed).map(|_| Entry::parse(&mut reader));
        let entries = entries.collect::<Outcome<Vec<_>>>()?;
        let places: Vec<Place> = entries.iter().map(|entry| entry.row.place).collect();
        expect(ascend(&places), "Order")?;
        reader.end()?;
        Ok(Self { series, to, span, before, after, dropped, entries })
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut file = b"GCSSDB\x01\x00".to_vec();
        file.extend([self.series, self.to, self.span].map(u32::to_le_bytes).concat());
        file.extend((self.dropped.len() as u16).to_le_bytes());
        file.extend((self.entries.len() as u16).to_le_bytes());
        file.extend(self.before);
        file.extend(self.after);
        for (date, kind) in &self.dropped {
            file.extend([&date.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 2]].concat());
        }
        file.extend(self.entries.iter().flat_map(Entry::write));
        file
    }

    /// The state after it, for a reader that wants kinds 1 to 3; and the lists that are new.
    pub(crate) fn apply(&self, state: &State) -> Outcome<(Table, Vec<Vec<u8>>)> {
        let mut table = state.table.clone();
        expect(table.state() == self.before, "Before")?;
        for place in &self.dropped {
            expect(table.row(*place).is_some(), "NoSuchList")?;
            table.0.retain(|row| row.place != *place);
        }
        let mut lists = Vec::new();
        for entry in &self.entries {
            if (1..=3).contains(&entry.row.place.1) {
                let now = State { table: table.clone(), lists: state.lists.clone() };
                lists.push(entry.list(&now)?);
            }
            table.0.retain(|row| row.place != entry.row.place);
            table.0.push(entry.row.clone());
            table.0.sort_by_key(|row| row.place);
        }
        expect(table.0.len() <= 128, "Limit")?;
        expect(table.state() == self.after, "After")?;
        Ok((table, lists))
    }
}

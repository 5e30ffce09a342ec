//! Tables, indexes, bundles, check records.

use std::collections::BTreeMap;

use gcs_core::files::{Bundle, IndexFile, KEPT_TICKS, MAX_DATES, Row, SPANS, Table};
use gcs_core::files::{CheckRecord, Verdict};
use gcs_core::{Delta, Digest, ElementHasher, Set};

use crate::reader::Reader;
use crate::reference::{self, Fields, sealed};
use crate::world::{Records, World};

/// The input is a table file: one that is read is written as the same bytes, and its rows
/// keep what the format says of them.
pub fn table(data: &[u8]) {
    let Ok(table) = Table::parse(data) else { return };
    assert_eq!(table.to_bytes(), data);
    assert_eq!(table.state(), Digest::of(data));
    assert!(table.rows().len() <= MAX_DATES);
    assert!(table.rows().is_sorted_by(|a, b| a.date < b.date));
    for row in table.rows() {
        assert_eq!(table.row(row.date), Some(row));
        let (len, ranks) = (u64::from(row.len), u64::from(row.record_ranks()));
        assert!(len <= row.hash_range.get());
        assert!(ranks >= 2048 && ranks.is_power_of_two() && u64::from(row.records()) <= 256);
        assert_eq!(u64::from(row.records()), len.div_ceil(ranks));
        assert!([16, 64, 256].contains(&row.spare_slots));
        assert!(row.record_len() >= 56 + 8 * ranks + 12 * u64::from(row.spare_slots));
        assert_eq!(row.len == 0, row.check_root == Digest::ZERO);
        let absent = row.date.next().filter(|date| table.rows().iter().all(|r| r.date != *date));
        assert!(absent.is_none_or(|date| table.row(date).is_none()));
    }
}

/// The input is an index file: one that is read is written as the same bytes, its table is
/// one, and its bundles keep what the format says of them.
pub fn index(data: &[u8]) {
    let Ok(index) = IndexFile::parse(data) else { return };
    assert_eq!(index.to_bytes(), data);
    table(&index.table.to_bytes());
    assert!(index.bundles.len() <= 250);
    assert!(index.bundles.is_sorted_by(|a, b| (a.to, a.span) < (b.to, b.span)));
    for bundle in &index.bundles {
        assert!(SPANS.contains(&bundle.span));
        assert!(bundle.span <= bundle.to && bundle.to <= index.tick);
        assert!(bundle.to % bundle.span == 0 && index.tick - bundle.to < KEPT_TICKS);
    }
}

/// The input is a bundle file: its frame is read as a slow reader reads it. It applies to
/// the published state that it starts from, or to the first of all, if and only if the
/// slow reader can apply it, with the same table and the same sets.
pub fn bundle(data: &[u8]) {
    let parsed = Bundle::parse(data);
    let frame = Frame::decode(data);
    assert_eq!(parsed.is_ok(), frame.is_some(), "{parsed:?}");
    let (Ok(bundle), Some(frame)) = (parsed, frame) else { return };
    assert_eq!([bundle.series(), bundle.to(), bundle.span()], frame.place);
    assert_eq!([bundle.before(), bundle.after()], frame.states);

    let world = World::get();
    let base = &world.with_state(bundle.before()).unwrap_or(&world.ticks[0]).table;
    let base_sets = world.sets_of(base);
    let applied = bundle.apply(base, |identity| base_sets.get(&identity).copied());
    let expected = (base.state() == bundle.before())
        .then(|| frame.apply(base, &base_sets))
        .flatten()
        .filter(|(table, _)| Digest::of(table) == bundle.after());
    assert_eq!(applied.is_ok(), expected.is_some(), "{applied:?}");
    let (Ok((new, sets)), Some((bytes, expected))) = (applied, expected) else { return };
    assert_eq!(new.to_bytes(), bytes);
    assert_eq!(sets, expected);
    table(&bytes);
    for row in new.rows() {
        let fresh = sets.iter().find(|set| set.identity() == row.identity);
        let set = fresh.or_else(|| base_sets.get(&row.identity).copied());
        assert!(set.is_some_and(|set| fits(row, set)));
    }
}

/// [`bundle`], after what hashes and lengths in it say is made right: the states before and
/// after, the trailers of sets, and what rows say of them and of what deltas lead to.
pub fn bundle_resealed(data: &[u8]) {
    let Some(frame) = Frame::decode(data) else { return bundle(data) };
    let world = World::get();
    let base = &world.with_state(frame.states[0]).unwrap_or(&world.ticks[0]).table;
    let sets = world.sets_of(base);
    let mut patches = vec![(24, base.state().0.to_vec())];
    for entry in &frame.entries {
        let start = data.len() - entry.behind - entry.payload.len();
        let row = start - 128;
        if entry.kind == 1
            && let Some(set) = entry.leads_to(base, &sets)
        {
            patches.push((row + 4, set.len().to_le_bytes().to_vec()));
            patches.push((row + 32, (set.as_bytes().len() as u64).to_le_bytes().to_vec()));
            patches.push((row + 40, set.identity().0.to_vec()));
        }
        if entry.kind == 2 && entry.payload.len() >= 32 {
            let trailer = data.len() - entry.behind - 32;
            let identity = Digest::of(&data[start..trailer]).0.to_vec();
            patches.push((row + 40, identity.clone()));
            patches.push((trailer, identity));
        }
    }
    let mut data = data.to_vec();
    for (at, bytes) in patches {
        data[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    if let Some((table, _)) = Frame::decode(&data).and_then(|frame| frame.apply(base, &sets)) {
        data[56..88].copy_from_slice(&Digest::of(&table).0);
    }
    bundle(&data);
}

/// Whether a set is what a row says.
fn fits(row: &Row, set: &Set) -> bool {
    let stated = (row.salt, row.hash_range, row.len, row.identity, row.bytes);
    stated == (set.salt(), set.hash_range(), set.len(), set.identity(), set.as_bytes().len() as u64)
}

/// A bundle, read by slicing.
struct Frame<'a> {
    place: [u32; 3],
    states: [Digest; 2],
    dropped: Vec<u32>,
    entries: Vec<Entry<'a>>,
}

/// One changed date.
struct Entry<'a> {
    row: Row,
    /// The row's 112 bytes.
    bytes: &'a [u8],
    kind: u8,
    payload: &'a [u8],
    /// How many bytes of the bundle are behind the payload.
    behind: usize,
}

impl<'a> Frame<'a> {
    fn decode(data: &'a [u8]) -> Option<Frame<'a>> {
        let mut fields = Fields(data);
        fields.expect(b"GCSBDL\x01\0")?;
        let place @ [_, to, span] = [fields.u32()?, fields.u32()?, fields.u32()?];
        let counts = [fields.array()?, fields.array()?].map(u16::from_le_bytes);
        let states = [Digest(fields.array()?), Digest(fields.array()?)];
        let dropped = (0..counts[0]).map(|_| fields.u32()).collect::<Option<Vec<_>>>()?;
        let entries =
            (0..counts[1]).map(|_| Entry::decode(&mut fields)).collect::<Option<Vec<_>>>()?;
        let is_legal = SPANS.contains(&span)
            && span <= to
            && to % span == 0
            && counts.iter().all(|count| usize::from(*count) <= MAX_DATES)
            && dropped.is_sorted_by(|a, b| a < b)
            && dropped.iter().all(|days| gcs_core::Date::from_days(*days).is_ok())
            && entries.is_sorted_by(|a, b| a.row.date < b.row.date)
            && fields.0.is_empty();
        is_legal.then_some(Frame { place, states, dropped, entries })
    }

    /// The table after this one, and the sets that the entries give.
    fn apply(&self, table: &Table, sets: &BTreeMap<Digest, &Set>) -> Option<(Vec<u8>, Vec<Set>)> {
        let bytes = table.to_bytes();
        let rows = table.rows().iter().zip(bytes[16..].chunks_exact(112));
        let mut rows: BTreeMap<u32, (Row, &[u8])> =
            rows.map(|(row, bytes)| (row.date.days(), (*row, bytes))).collect();
        for date in &self.dropped {
            rows.remove(date)?;
        }
        let mut new = Vec::new();
        for entry in &self.entries {
            let base = rows.insert(entry.row.date.days(), (entry.row, entry.bytes));
            let set = match entry.kind {
                0 => {
                    let (_, base) = base?;
                    let is_same =
                        base[..72] == entry.bytes[..72] && base[104..108] == entry.bytes[104..108];
                    is_same.then_some(())?;
                    continue;
                }
                1 => {
                    let set = *sets.get(&base?.0.identity)?;
                    Delta::parse(&entry.delta(set)[..]).ok()?.apply(set).ok()?
                }
                _ => Set::parse(entry.payload).ok()?.to_owned_set(),
            };
            fits(&entry.row, &set).then_some(())?;
            new.push(set);
        }
        let mut bytes = b"GCSTBL\x01\0".to_vec();
        bytes.extend_from_slice(&[rows.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
        rows.values().for_each(|(_, row)| bytes.extend_from_slice(row));
        (rows.len() <= MAX_DATES).then_some((bytes, new))
    }
}

impl<'a> Entry<'a> {
    fn decode(fields: &mut Fields<'a>) -> Option<Entry<'a>> {
        let bytes = fields.take(112)?;
        // A table of just this row says whether the row is one.
        let table = [b"GCSTBL\x01\0\x01\0\0\0\0\0\0\0", bytes].concat();
        let row = *Table::parse(&table).ok()?.rows().first()?;
        let [kind] = fields.array()?;
        fields.expect(&[0; 7])?;
        let length = fields.u64()?;
        let is_legal = match kind {
            0 => length == 0,
            1 => true,
            2 => length == row.bytes,
            _ => false,
        };
        let payload = fields.take(usize::try_from(length).ok()?)?;
        is_legal.then_some(Entry { row, bytes, kind, payload, behind: fields.0.len() })
    }

    /// The payload, a delta's body, as a delta file of its own from `base` to the row's set.
    fn delta(&self, base: &Set) -> Vec<u8> {
        let counts = self.payload.first_chunk::<8>().map_or(0, |counts| {
            let [removed, added] = [&counts[..4], &counts[4..]]
                .map(|count| u32::from_le_bytes(count.try_into().expect("four bytes")));
            base.len().wrapping_sub(removed).wrapping_add(added)
        });
        let mut bytes = b"GCSDLT\x01\0".to_vec();
        bytes.extend_from_slice(&self.bytes[8..32]);
        bytes.extend_from_slice(&base.len().to_le_bytes());
        bytes.extend_from_slice(&counts.to_le_bytes());
        bytes.extend_from_slice(&base.identity().0);
        bytes.extend_from_slice(&self.row.identity.0);
        bytes.extend_from_slice(self.payload);
        sealed(&bytes)
    }

    /// The set that the payload, a delta's body, leads to from the table's.
    fn leads_to(&self, table: &Table, sets: &BTreeMap<Digest, &Set>) -> Option<Set> {
        let base = *sets.get(&table.row(self.row.date)?.identity)?;
        let values: Vec<u64> = base.iter().collect();
        let values = reference::Delta::decode(&self.delta(base))?.apply(&values)?;
        Set::from_fingerprints(base.salt(), base.hash_range(), values).ok()
    }
}

/// Where the spare slots of a record of 2048 ranks begin.
const SPARES: usize = 56 + 8 * 2048;

/// The input says which record is asked for, which one comes, and what is changed in it:
/// only the very record is verified. Under the root that the changed record leads to, it
/// is verified if and only if its fields and spare slots are legal, and then it says what
/// a plain search through its slots says.
pub fn record(data: &[u8]) {
    let records = Records::get();
    let mut reader = Reader::new(data);
    let (number, other) = (u32::from(reader.u8() % 5), u32::from(reader.u8() % 4));
    let mut bytes = records.record(other.min(2)).expect("there are three").to_vec();
    let target = usize::from(reader.u8());
    let mut is_changed = false;
    while !reader.is_empty() {
        // One change in two is in the header, or in the spare slots and the path.
        let at = match reader.u8() % 4 {
            0 => reader.position(56),
            1 => SPARES + reader.position(bytes.len().saturating_sub(SPARES) + 8),
            _ => reader.position(bytes.len() + 8),
        };
        let byte = reader.u8();
        is_changed = true;
        match bytes.get_mut(at) {
            Some(slot) => *slot = byte,
            None => bytes.resize(at.saturating_sub(usize::from(byte)), byte),
        }
    }
    let verified = CheckRecord::verify(&bytes, &records.row, number);
    let is_it = records.record(number) == Some(&bytes[..]);
    assert_eq!(verified.is_ok(), is_it, "{verified:?}");
    if let (Ok(record), false) = (verified, is_changed) {
        check_honest(records, &record, number, target);
    }

    let mut row = records.row;
    let Some(root) = root_of(&bytes, &row, number) else { return };
    row.check_root = root;
    let verified = CheckRecord::verify(&bytes, &row, number);
    let expected = Slots::decode(&bytes, &row, number);
    assert_eq!(verified.is_ok(), expected.is_some(), "{verified:?}");
    let (Ok(record), Some(slots)) = (verified, expected) else { return };
    let first = number * 2048;
    for slot in (0..8).map(|at| (target * 8 + at) % 2048) {
        let of_slot = slots.spares.iter().filter(|spare| spare.0 as usize == slot);
        let spares: Vec<u64> = of_slot.map(|spare| spare.1).collect();
        let (main, rank) = (slots.main[slot], first + slot as u32);
        for check in [0, 1, main, main ^ 1, u64::MAX].into_iter().chain(spares.iter().copied()) {
            let expected = if check == 0 || rank >= row.len {
                Verdict::Unknown
            } else if main == check || spares.contains(&check) {
                Verdict::Confirmed
            } else if main == 0 {
                Verdict::Unknown
            } else {
                Verdict::FalsePositive
            };
            assert_eq!(record.verdict(rank, check), expected);
            assert_eq!(record.verdict(rank + 2048, check), Verdict::Unknown);
        }
    }
}

/// An honest record confirms an element of its ranks, and nothing else in its place.
fn check_honest(records: &Records, record: &CheckRecord<'_>, number: u32, target: usize) {
    let hasher = ElementHasher::new(records.row.salt, records.row.hash_range);
    let element = &records.elements[target * 19 % records.elements.len()];
    let rank = records.set.rank_of(hasher.fingerprint(element)).unwrap_or_default();
    let verdict = record.verdict(rank, hasher.check(element));
    let is_here = rank / 2048 == number;
    assert_eq!(verdict, if is_here { Verdict::Confirmed } else { Verdict::Unknown });
    let other = record.verdict(rank, hasher.check(element) ^ 2);
    assert_eq!(other, if is_here { Verdict::FalsePositive } else { Verdict::Unknown });
}

/// The root that a record's path leads to, if it is long enough to have one.
fn root_of(bytes: &[u8], row: &Row, number: u32) -> Option<Digest> {
    let (body, path) = bytes.split_at_checked(SPARES + 12 * row.spare_slots as usize)?;
    let mut node = Digest::of(&[&[0], body].concat()).0;
    for (level, sibling) in path.chunks_exact(32).enumerate() {
        let pair = match (number >> level) & 1 {
            0 => [&[1], &node[..], sibling].concat(),
            _ => [&[1], sibling, &node[..]].concat(),
        };
        node = Digest::of(&pair).0;
    }
    Some(Digest(node))
}

/// The slots of a record.
struct Slots {
    main: Vec<u64>,
    spares: Vec<(u32, u64)>,
}

impl Slots {
    fn decode(bytes: &[u8], row: &Row, number: u32) -> Option<Slots> {
        let mut fields = Fields(bytes);
        (bytes.len() as u64 == row.record_len() && number < row.records()).then_some(())?;
        fields.expect(b"GCSCHK\x01\0")?;
        fields.expect(&row.identity.0)?;
        for number in [row.date.days(), number, 2048, row.spare_slots] {
            fields.expect(&number.to_le_bytes())?;
        }
        let main = (0..2048).map(|_| fields.u64()).collect::<Option<Vec<_>>>()?;
        let spare = |_| Some((fields.u32()?, fields.u64()?));
        let spares = (0..row.spare_slots).map(spare).collect::<Option<Vec<_>>>()?;
        let is_legal = spares.is_sorted()
            && spares
                .iter()
                .all(|(rank, check)| main.get(*rank as usize).is_some_and(|main| check >= main));
        is_legal.then_some(Slots { main, spares })
    }
}

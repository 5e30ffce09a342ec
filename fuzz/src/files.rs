//! Tables, indexes, bundles, check records.

use gcs_core::files::Verdict;
use gcs_core::files::{
    Bundle, CheckRecord, KEPT_TICKS, MAX_DATES, PublicationIndex, Row, SPANS, Table,
};
use gcs_core::{Digest, ElementHasher, Set};

use crate::history::{History, Records};
use crate::naive::{self, class};
use crate::reader::Reader;

/// The input is a table file: it is read if and only if the naive reader reads it, and written as
/// the same bytes; its rows keep the rules of the format.
pub fn table(data: &[u8]) {
    let (parsed, naive) = (Table::parse(data), naive::table::Table::parse(data));
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(table), Ok(naive)) = (parsed, naive) else { return };
    assert_eq!((table.to_bytes(), naive.write()), (data.to_vec(), data.to_vec()));
    assert_eq!(table.state(), Digest::of(data));
    assert!(table.rows().len() <= MAX_DATES);
    assert!(table.rows().is_sorted_by(|a, b| a.date < b.date));
    let largest = table.rows().iter().map(|row| row.len).max().unwrap_or(0);
    let ranks = largest.div_ceil(64).next_power_of_two().max(2048);
    for row in table.rows() {
        assert_eq!(table.row(row.date), Some(row));
        assert_eq!((row.record_shape.ranks, Some(row.record_shape)), (ranks, table.record_shape()));
        let (len, ranks) = (u64::from(row.len), u64::from(row.record_shape.ranks));
        assert!(len <= row.hash_range.get());
        assert!(ranks >= 2048 && ranks.is_power_of_two() && u64::from(row.records()) <= 64);
        assert_eq!(u64::from(row.records()), len.div_ceil(ranks));
        assert!([16, 64, 256].contains(&row.record_shape.spare_slots));
        assert!(
            row.record_shape.record_len()
                == 56 + 192 + 8 * ranks + 12 * u64::from(row.record_shape.spare_slots)
        );
        assert_eq!(row.len == 0, row.check_root == Digest::ZERO);
        let absent = row.date.next().filter(|date| table.rows().iter().all(|r| r.date != *date));
        assert!(absent.is_none_or(|date| table.row(date).is_none()));
    }
}

/// The input is an index file: it is read if and only if the naive reader reads it, and written as
/// the same bytes; its table is a table file, and its bundles keep the rules of the format.
pub fn index(data: &[u8]) {
    let (parsed, naive) = (PublicationIndex::parse(data), naive::table::Index::parse(data));
    assert_eq!(class(&parsed), naive.map(drop));
    let Ok(index) = parsed else { return };
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

/// The input is a bundle file: its frame is read as the naive reader reads it. It applies to
/// the published state that it starts from, or to the first of all, if and only if the
/// naive reader can apply it, with the same table and the same sets.
pub fn bundle(data: &[u8]) {
    let (parsed, naive) = (Bundle::parse(data), naive::bundle::Bundle::parse(data));
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(bundle), Ok(naive)) = (parsed, naive) else { return };
    let place = (bundle.series(), bundle.to(), bundle.span());
    assert_eq!(place, (naive.series, naive.to, naive.span));
    assert_eq!((bundle.before().0, bundle.after().0), (naive.before, naive.after));

    let history = History::get();
    let base = history.with_state(bundle.before()).unwrap_or(&history.ticks[0]);
    let base_set = |identity| base.table.rows().iter().find(|row| row.identity == identity);
    let base_set = |identity| base_set(identity).map(|row| &history.sets[&row.identity]);
    let applied = bundle.apply(&base.table, base_set);
    let expected = naive.apply(&history.naive_state(base));
    assert_eq!(applied.is_ok(), expected.is_ok(), "{applied:?}, {:?}", expected.err());
    let (Ok((new, sets)), Ok(expected)) = (applied, expected) else { return };
    assert_eq!(new.to_bytes(), expected.table.write());
    let changed = naive.entries.iter().filter(|entry| entry.kind != 0);
    assert!(sets.iter().map(|set| set.identity().0).eq(changed.map(|entry| entry.row.identity)));
    for set in &sets {
        let naive = &expected.sets[&set.identity().0];
        assert!(set.iter().eq(naive.fingerprints.iter().copied()));
        assert_eq!((set.salt().0, set.hash_range().get()), (naive.salt, naive.range));
    }
    table(&new.to_bytes());
    for row in new.rows() {
        let fresh = sets.iter().find(|set| set.identity() == row.identity);
        let set = fresh.or_else(|| base_set(row.identity));
        assert!(set.is_some_and(|set| fits(row, set)));
    }
}

/// [`bundle`], after hashes and lengths in the input are made right: the states before and
/// after, the trailers of sets, and the fields of rows that describe sets and results of deltas.
pub fn bundle_resealed(data: &[u8]) {
    let Ok(mut resealed) = naive::bundle::Bundle::parse(data) else { return bundle(data) };
    let history = History::get();
    let base = history.with_state(Digest(resealed.before)).unwrap_or(&history.ticks[0]);
    let base = history.naive_state(base);
    resealed.before = base.table.state();
    for entry in &mut resealed.entries {
        if entry.kind == 2 {
            entry.payload = naive::resealed(&entry.payload);
        }
        let set = match entry.kind {
            1 => led_to(entry, &base),
            2 => naive::set::Set::parse(&entry.payload).ok(),
            _ => None,
        };
        if let Some(set) = set {
            (entry.row.count, entry.row.length) = (set.count(), set.length);
            entry.row.identity = set.identity;
        }
    }
    if let Ok(after) = resealed.result(&base) {
        resealed.after = after.table.state();
    }
    bundle(&resealed.write());
}

/// The set that results from the base's set and the payload of an entry, a delta's body.
fn led_to(entry: &naive::bundle::Entry, base: &naive::bundle::State) -> Option<naive::set::Set> {
    let set = base.sets.get(&base.table.row(entry.row.date)?.identity)?;
    let body = naive::delta::Body::parse(&entry.payload, set.count(), set.range).ok()?;
    naive::set::Set::parse(&body.result(set).ok()?).ok()
}

/// Whether a set is the one that a row describes.
fn fits(row: &Row, set: &Set) -> bool {
    let stated = (row.salt, row.hash_range, row.len, row.identity, row.bytes);
    stated == (set.salt(), set.hash_range(), set.len(), set.identity(), set.as_bytes().len() as u64)
}

/// Where the spare slots of a record of 2048 ranks begin.
const SPARES: usize = 56 + 8 * 2048;

/// The input says which record is asked for, which one comes, and what is changed in it: only
/// the record asked for, unchanged, is verified. Under the check root of the changed record, it
/// is verified if and only if its fields and spare slots are legal, and then its verdicts are
/// those of a plain search through its slots.
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
        expect_honest(records, &record, number, target);
    }

    let (mut row, mut naive_row) = (records.row, records.naive_row());
    let Ok(root) = naive::records::root(&bytes, &naive_row, number) else { return };
    (row.check_root, naive_row.check_root) = (Digest(root), root);
    let verified = CheckRecord::verify(&bytes, &row, number);
    let naive = naive::records::CheckRecord::parse(&bytes, &naive_row, number);
    assert_eq!(class(&verified), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(record), Ok(slots)) = (&verified, &naive) else { return };
    let first = number * 2048;
    for slot in (0..8).map(|at| (target * 8 + at) % 2048) {
        let of_slot = slots.spare.iter().filter(|spare| spare.0 as usize == slot);
        let spares: Vec<u64> = of_slot.map(|spare| spare.1).collect();
        let (main, rank) = (slots.main[slot], first + slot as u32);
        assert_eq!(record.verdict(rank, 0), Verdict::Unknown);
        let checks = [1, main, main ^ 1, u64::MAX].into_iter().chain(spares);
        for check in checks.filter(|check| *check != 0) {
            for rank in [rank, rank + 2048] {
                let expected = naive::records::verdict(&naive_row, &naive, rank, check);
                assert_eq!(format!("{:?}", record.verdict(rank, check)), format!("{expected:?}"));
            }
        }
    }
}

/// An honest record confirms an element of its ranks, and nothing else in its place.
fn expect_honest(records: &Records, record: &CheckRecord<'_>, number: u32, target: usize) {
    let hasher = ElementHasher::new(records.row.salt, records.row.hash_range);
    let element = &records.elements[target * 19 % records.elements.len()];
    let rank = records.set.rank_of(hasher.fingerprint(element)).unwrap_or_default();
    let verdict = record.verdict(rank, hasher.check(element));
    let is_here = rank / 2048 == number;
    assert_eq!(verdict, if is_here { Verdict::Confirmed } else { Verdict::Unknown });
    let other = record.verdict(rank, hasher.check(element) ^ 2);
    assert_eq!(other, if is_here { Verdict::FalsePositive } else { Verdict::Unknown });
}

//! Indexes and bundles of lists of seeds.

use std::collections::BTreeMap;

use gcs_core::Digest;
use gcs_core::ParseError;
use gcs_core::files::{BundleError, Path, SeedBundle, SeedIndex, SeedRow, SeedTable};
use gcs_core::identifiers::dp3t::{DayKeys, HybridSeed, HybridWindow, WindowSeed};
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey};
use gcs_core::publish::{Day, Publication, Publisher, PublisherSettings};
use gcs_core::seeds::{SeedDay, SeedKind, SeedList};

use crate::history::keys;
use crate::naive::{class, seed_files};
use crate::world::date;

/// The input is an index: it is read if and only if the naive reader reads it, and written as the
/// same bytes.
pub fn seed_index(data: &[u8]) {
    let (parsed, naive) = (SeedIndex::parse(data), seed_files::Index::parse(data));
    assert_eq!(class(&parsed), naive.map(drop));
    let Ok(index) = parsed else { return };
    assert_eq!(index.to_bytes(), data);
    let rows = index.table.rows();
    assert!(rows.len() <= 128 && index.bundles.len() <= 250);
    assert!(rows.is_sorted_by(|a, b| (a.date, a.kind) < (b.date, b.kind)));
    assert!(rows.iter().all(|row| index.table.row(row.date, row.kind) == Some(row)));
    assert_eq!(SeedTable::parse(&index.table.to_bytes()).as_ref(), Ok(&index.table));
}

/// The input is a bundle: its frame is read as the naive reader reads it, and it is applied to the
/// first lists of `seeds` with the same result, or the same class of error.
pub fn seed_bundle(data: &[u8]) {
    let (parsed, naive) = (SeedBundle::parse(data), seed_files::Bundle::parse(data));
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(bundle), Ok(naive)) = (parsed, naive) else { return };
    let (table, lists) = base();
    let state = seed_files::State {
        table: seed_files::Table::parse(&table.to_bytes()).expect("a table"),
        lists: lists.iter().map(|(digest, list)| (digest.0, list.clone())).collect(),
    };
    let kinds =
        [SeedKind::of::<DayKeys>(), SeedKind::of::<WindowSeed>(), SeedKind::of::<ExportKey>()];
    let list_of = |row: &SeedRow| lists.get(&row.sha256).map(Vec::as_slice);
    let applied = bundle.apply(&table, &kinds, list_of);
    let (applied, expected) = (applied.map_err(|error| class_of(&error)), naive.apply(&state));
    let applied = applied.map(|(table, lists)| {
        (table.to_bytes(), lists.into_iter().map(|(_, list)| list).collect::<Vec<_>>())
    });
    assert_eq!(applied, expected.map(|(table, lists)| (table.write(), lists)));
}

fn class_of(error: &BundleError) -> String {
    let name = |error: &dyn std::fmt::Debug| {
        let outcome: Result<(), String> = class::<(), _>(&Err(error));
        outcome.expect_err("an error stays one")
    };
    match error {
        BundleError::Parse(ParseError::Part { error, .. }) => format!("Part.{}", name(error)),
        BundleError::Parse(error) => name(error),
        BundleError::SeedDelta { error, .. } => format!("SeedDelta.{}", name(error)),
        other => name(other),
    }
}

fn windows(at: u64, bytes: std::ops::Range<u8>) -> SeedDay {
    let windows = HybridWindow::FourHours;
    let window = windows.of_time(date(at).start()).expect("a window");
    let seed = |byte| WindowSeed { windows, window, seed: HybridSeed::new([byte; 16]) };
    SeedDay::new(date(at), SeedList::build(bytes.map(seed)).expect("a list"))
}

fn exposures(at: u64, bytes: std::ops::Range<u8>) -> SeedDay {
    let start = (date(at).start() / 600) as u32;
    let key = |byte| ExportKey::from(ExposureKey::new([byte; 16], start, 144).expect("a key"));
    SeedDay::new(date(at), SeedList::build(bytes.map(key)).expect("a list"))
}

/// Two publications with lists.
fn publications() -> [Publication; 2] {
    let now = date(3).entry();
    let day = |at| Day { date: date(at), elements: vec![[at as u8; 16]] };
    let days = [day(0), day(1), day(2)];
    let publisher = Publisher::new(PublisherSettings::default(), 1);
    let lists = vec![windows(0, 0..20), windows(1, 0..2), exposures(1, 0..9)];
    let publish = |publisher: &Publisher, lists, now| {
        let ready = publisher.with_seeds(lists);
        ready.publish_next(now, &days, &keys()).expect("a publication")
    };
    let first = publish(&publisher, lists, now);
    let lists = vec![windows(0, 1..20), exposures(1, 3..12), exposures(2, 0..1)];
    let second = publish(&first.publisher, lists, now + 900);
    [first, second]
}

/// The table and the lists of the first.
fn base() -> (SeedTable, BTreeMap<Digest, Vec<u8>>) {
    let [first, _] = publications();
    let table = first.publisher.seed_table().cloned().expect("a table");
    let files = first.files.into_iter().filter_map(|file| match file.path {
        Path::Seeds(digest) => Some((digest, file.bytes)),
        _ => None,
    });
    (table, files.collect())
}

/// Seeds of the targets.
pub(crate) mod seeds {
    use super::{Path, Publication, publications};

    fn files(magic: &[u8]) -> Vec<Vec<u8>> {
        let all = publications();
        let files = all.iter().flat_map(|publication: &Publication| &publication.files);
        let of_seeds = files.filter(|file| matches!(file.path, Path::Seeds(_)));
        of_seeds.map(|file| file.bytes.clone()).filter(|bytes| bytes.starts_with(magic)).collect()
    }

    pub(crate) fn indexes() -> Vec<Vec<u8>> {
        files(b"GCSSDI")
    }

    pub(crate) fn bundles() -> Vec<Vec<u8>> {
        files(b"GCSSDB")
    }
}

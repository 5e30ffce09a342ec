//! The lists of seeds of a publication, beside its sets.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{File, PublishError, Publisher};
use crate::files::{
    BundleEntry, BundleError, FileHash, KEPT_TICKS, MAX_SEED_LISTS, Path, SPANS, SeedBundle,
    SeedFiles, SeedIndex, SeedRow, SeedSide, SeedTable, Table, write_seed_bundle,
};
use crate::seeds::{SeedDay, SeedKind};

/// What a publication has of seeds.
#[derive(Debug, Default)]
pub(super) struct SeedPart {
    /// What the manifest says; `None` if no lists are published.
    pub named: Option<SeedFiles>,
    /// The lists, for later bundles.
    pub side: Option<Arc<SeedSide>>,
    /// The bundles that the index names.
    pub bundles: Vec<BundleEntry>,
    /// All files that the index names, and the index, whether they were written before or not.
    pub files: Vec<File>,
    /// Every file that must be there.
    pub live: Vec<Path>,
}

impl Publisher {
    /// The same publisher, whose **next** publication has these lists of seeds, in any order, beside
    /// its sets. Without this call a publication has none, and its manifest does not speak of seeds.
    ///
    /// A list goes with its date: one whose date is not published at that tick is left out, so that
    /// seeds appear no earlier than the set of their date, and leave when it expires. Everything
    /// else is the caller's: give only seeds all of whose elements are among the elements
    /// published, as those of [`Live::seeds`](crate::live::Live::seeds) are.
    ///
    /// The manifest is longer by some 400 bytes, which a key list of 4 keys and 3 signatures leaves no room for: then
    /// publishing fails with [`ManifestError::TooLarge`](crate::files::ManifestError::TooLarge).
    ///
    #[cfg_attr(
        feature = "dp3t",
        doc = r#"
```
use gcs_core::files::{Manifest, Path, SeedIndex};
use gcs_core::identifiers::dp3t::{HybridSeed, HybridWindow, WindowSeed};
use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::seeds::{SeedDay, SeedList};
use gcs_core::{DAY_SECONDS, Date};

let date: Date = "2026-01-05".parse()?;
let window = HybridWindow::FourHours.of_time(date.start()).unwrap();
let seed = WindowSeed { windows: HybridWindow::FourHours, window, seed: HybridSeed::new([7; 16]) };
let days = [Day { date, elements: seed.elements().collect() }];
let lists = vec![SeedDay::new(date, SeedList::<WindowSeed>::build([&seed])?)];

let now = date.entry();
let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
let publisher = Publisher::new(PublisherSettings::default(), 1).with_seeds(lists);
let publication = publisher.publish_next(now, &days, &keys)?;
let index = publication.manifest.seeds.unwrap().index;
let is_it = |path: &Path| *path == Path::Seeds(index.sha256);
let file = publication.files.iter().find(|file| is_it(&file.path)).unwrap();
assert_eq!(SeedIndex::parse(&file.bytes)?.table.rows()[0].date, date);
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
    )]
    #[must_use]
    pub fn with_seeds(&self, lists: Vec<SeedDay>) -> Publisher {
        Publisher { next_seeds: Some(lists), ..self.clone() }
    }

    /// The lists of seeds published last.
    pub fn seed_table(&self) -> Option<&SeedTable> {
        self.snapshots.last()?.seeds.as_ref().map(|side| &side.table)
    }

    /// The seeds of the publication `number`, whose sets are those of `table`.
    pub(super) fn publish_seeds(
        &self,
        number: u32,
        table: &Table,
    ) -> Result<SeedPart, PublishError> {
        let Some(days) = &self.next_seeds else { return Ok(SeedPart::default()) };
        let mut days: Vec<&SeedDay> =
            days.iter().filter(|day| table.row(day.date()).is_some()).collect();
        days.sort_by_key(|day| (day.date(), day.kind().number()));
        if days.len() > MAX_SEED_LISTS {
            let (max, got) = (MAX_SEED_LISTS, days.len());
            return Err(PublishError::TooManySeedLists { max, got });
        }
        let side = side_of(&days)?;
        let new = self.write_seed_bundles(number, &side, &days)?;
        let mut bundles: Vec<BundleEntry> = new.iter().map(|new| new.0).collect();
        bundles.extend(self.seed_bundles.iter().filter(|old| number - old.to < KEPT_TICKS));
        bundles.sort_unstable_by_key(|entry| (entry.to, entry.span));
        let index = SeedIndex {
            series: self.series,
            tick: number,
            table: side.table.clone(),
            bundles: bundles.clone(),
        };
        let index_bytes = index.to_bytes();
        SeedIndex::parse(&index_bytes)?;
        let newest = new.iter().find(|new| new.0.span == 1);
        let named = SeedFiles {
            state: side.table.state(),
            index: FileHash::of(&index_bytes),
            bundle: newest.map(|new| FileHash::of(&new.1)),
        };
        let live = index.files().map(|(sha256, _)| Path::Seeds(sha256));
        let live = live.chain([Path::Seeds(named.index.sha256)]).collect();
        let mut files: Vec<File> = Vec::new();
        for (row, list) in side.table.rows().iter().zip(&side.lists) {
            let path = Path::Seeds(row.sha256);
            if !self.was_written(&path) {
                files.push(File { path, bytes: Vec::clone(list) });
            }
        }
        let bundle =
            |(entry, bytes): (BundleEntry, _)| File { path: Path::Seeds(entry.sha256), bytes };
        files.extend(new.into_iter().map(bundle));
        files.push(File { path: Path::Seeds(named.index.sha256), bytes: index_bytes });
        Ok(SeedPart { named: Some(named), side: Some(Arc::new(side)), bundles, files, live })
    }

    /// The bundles that lead to lists. Each was applied to its base and is right.
    fn write_seed_bundles(
        &self,
        number: u32,
        to: &SeedSide,
        days: &[&SeedDay],
    ) -> Result<Vec<(BundleEntry, Vec<u8>)>, PublishError> {
        let kinds: Vec<SeedKind> = days.iter().map(|day| day.kind()).collect();
        let mut bundles = Vec::new();
        for span in SPANS.into_iter().filter(|span| number.is_multiple_of(*span)) {
            let is_base = |from: u32| from.checked_add(span) == Some(number);
            let from = self.snapshots.iter().find(|from| is_base(from.tick));
            let Some(from) = from.and_then(|from| from.seeds.as_ref()) else { continue };
            let bytes = write_bundle(self.series, number, span, (from, to), &kinds)
                .map_err(|error| PublishError::Bundle { span, error })?;
            let FileHash { bytes: length, sha256 } = FileHash::of(&bytes);
            bundles.push((BundleEntry { span, to: number, bytes: length, sha256 }, bytes));
        }
        Ok(bundles)
    }
}

fn side_of(days: &[&SeedDay]) -> Result<SeedSide, PublishError> {
    let row = |day: &&SeedDay| SeedRow {
        date: day.date(),
        kind: day.kind().number(),
        bytes: day.as_bytes().len() as u64,
        sha256: day.sha256(),
    };
    let table = SeedTable::from_rows(days.iter().map(row).collect())?;
    Ok(SeedSide { table, lists: days.iter().map(|day| Arc::clone(day.shared())).collect() })
}

/// Writes a bundle, reads it back, applies it, and compares every byte of what it gives.
fn write_bundle(
    series: u32,
    number: u32,
    span: u32,
    (from, to): (&SeedSide, &SeedSide),
    kinds: &[SeedKind],
) -> Result<Vec<u8>, BundleError> {
    let kind_of = |row: &SeedRow| kinds.iter().find(|kind| kind.number() == row.kind).copied();
    let bytes = write_seed_bundle(series, number, span, from, to, kind_of)?;
    let bundle = SeedBundle::parse(&bytes)?;
    let list_of = |row: &SeedRow| from.list(row).map(|list| &list[..]);
    let (table, lists) = bundle.apply(&from.table, kinds, list_of)?;
    if table != to.table {
        return Err(BundleError::After { expected: to.table.state(), got: table.state() });
    }
    for (row, list) in &lists {
        if to.list(row).is_none_or(|own| **own != *list) {
            return Err(BundleError::NoSuchList { date: row.date, kind: row.kind });
        }
    }
    Ok(bytes)
}

//! From day sets to files: the publisher, without I/O.
//!
//! [`Publisher::publish`] is a pure function: the present elements by date, the tick, the
//! time and the keys go in; files to write, paths to delete and the publisher of the next
//! tick come out. The same inputs give the same bytes. Whoever calls it
//!
//! 1. writes the files but the last, which is the manifest;
//! 2. saves the publisher that came out, unless the inputs can be had again;
//! 3. writes the manifest, and deletes the paths, of which some may be gone already.
//!
//! Should anything fail on the way, the old publisher and *the same inputs* repeat the
//! tick exactly. Once the manifest may be out, other inputs under the same number would
//! be two publications of one version, which clients refuse as equivocation: with other
//! inputs, go on from [`Publication::publisher`] with the next number.
//!
//! ```
//! use gcs_core::publish::{Day, Keys, PublisherSettings, Publisher, Tick};
//! use gcs_core::{Date, DerivationKey, SigningKey};
//! use gcs_core::files::KeyList;
//!
//! let root = SigningKey::from_seed([1; 32]);
//! let online = SigningKey::from_seed([2; 32]);
//! let list = KeyList { version: 1, expires: 2_000_000_000, keys: vec![online.public()] };
//! let keys = Keys {
//!     root: root.public(),
//!     key_list: list.sign(&root)?,
//!     online,
//!     derivation: DerivationKey::new([3; 32]),
//! };
//!
//! let publisher = Publisher::new(PublisherSettings::default(), 1);
//! let date: Date = "2026-01-05".parse()?;
//! let days = [Day { date, elements: vec![*b"identifier heard"] }];
//! let now = date.end() + 2 * 3600; // Earlier than this, the date would have to wait.
//! let publication = publisher.publish(&Tick { number: 1, now, days: &days }, &keys)?;
//! assert_eq!(publication.files.last().unwrap().path.to_string(), "/v1/manifest");
//! let publisher = publication.publisher;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod day;
mod error;
mod saved;
mod snapshot;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::error::PublishError;
pub use crate::element::Day;

use self::day::BuiltDay;
use self::snapshot::Snapshot;
use crate::date::{DAY_SECONDS, Date};
use crate::files::{
    Bundle, BundleEntry, BundleError, FileHash, IndexFile, KEPT_TICKS, MAX_DATES, Manifest, Path,
    SPANS, SignedKeyList, Table, write_bundle as encode_bundle,
};
use crate::keys::{DerivationKey, PublicKey, SigningKey};

/// What is decided once for a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherSettings {
    /// The false-positive rate of every date stays below `2^-rate_bits`. Default 20.
    pub rate_bits: u32,
    /// Elements that a new date is planned for at least; a date that outgrows its plan is
    /// re-based, which clients download whole. Default 1000.
    pub expected_per_date: u32,
    /// Seconds from one tick to the next. Default 900.
    pub interval: u64,
}

impl Default for PublisherSettings {
    fn default() -> PublisherSettings {
        PublisherSettings { rate_bits: 20, expected_per_date: 1000, interval: 900 }
    }
}

/// The keys of a publication.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The key that apps pin.
    pub root: PublicKey,
    /// The online keys, signed by the root.
    pub key_list: SignedKeyList,
    /// One of the online keys.
    pub online: SigningKey,
    /// Salts and noise are derived from it.
    pub derivation: DerivationKey,
}

/// One publication to make.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a, E> {
    /// Its number: one more than the last, or any in a new series.
    pub number: u32,
    /// Unix time now.
    pub now: u64,
    /// The live dates, in any order. A date published before and missing here is dropped.
    pub days: &'a [Day<E>],
}

/// How long a file may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// For ever: its path names its content.
    Immutable,
    /// For a minute; ask again with its ETag after that.
    Minute,
}

impl Cache {
    /// How long the file at a path may be cached.
    pub fn of(path: &Path) -> Cache {
        if path.is_immutable() { Cache::Immutable } else { Cache::Minute }
    }

    /// The value of the Cache-Control header (RFC 9111, RFC 8246).
    pub fn header(self) -> &'static str {
        match self {
            Cache::Immutable => "public, max-age=31536000, immutable",
            Cache::Minute => "public, max-age=60",
        }
    }
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is served.
    pub path: Path,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl File {
    /// How long it may be cached.
    pub fn cache(&self) -> Cache {
        Cache::of(&self.path)
    }
}

/// An element whose check found no slot: phones that heard it will not get an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its date.
    pub date: Date,
    /// Its position among the date's elements.
    pub index: usize,
}

/// What to do to publish a tick.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Files to write, in this order: what they name is always there before them. Files
    /// that are there already are not among them.
    pub files: Vec<File>,
    /// Paths whose time has come, to delete after the files are written.
    pub delete: Vec<Path>,
    /// What the manifest says.
    pub manifest: Manifest,
    /// Dates that are not due yet (see [`ENTRY_DELAY`](crate::ENTRY_DELAY)).
    pub waiting: Vec<Date>,
    /// Elements whose checks found no slot.
    pub left_out: Vec<LeftOut>,
    /// The publisher of the next tick.
    pub publisher: Publisher,
}

/// All that a publication depends on besides its inputs: the earlier states that bundles
/// reach back to, and which files are out there.
#[derive(Clone, Debug)]
pub struct Publisher {
    settings: PublisherSettings,
    series: u32,
    /// The last table, also across epochs: dates keep their salts and ranges.
    table: Option<Table>,
    /// The last tick of this series and the last multiples of 4, 24 and 96, ascending.
    snapshots: Vec<Snapshot>,
    bundles: Vec<BundleEntry>,
    issued: u64,
    /// Version of the key list of the last manifest, which must not fall.
    key_list: u32,
    /// Files that the last manifest named.
    live: BTreeSet<Path>,
    /// Files that no manifest names any more, and the time from which they may go.
    retired: BTreeMap<Path, u64>,
}

impl Publisher {
    /// The publisher of the first tick of a series, with nothing published yet.
    pub fn new(settings: PublisherSettings, series: u32) -> Publisher {
        Publisher {
            settings,
            series,
            table: None,
            snapshots: Vec::new(),
            bundles: Vec::new(),
            issued: 0,
            key_list: 0,
            live: BTreeSet::new(),
            retired: BTreeMap::new(),
        }
    }

    /// The publisher of the first tick of the next series, after a restore or a recall:
    /// clients will fetch whole the sets that they have not got. Dates keep their salts,
    /// and files that are out there are still retired in time. The time may go back to
    /// before the last tick, should that have been issued by a clock that was wrong.
    #[must_use]
    pub fn next_series(&self) -> Publisher {
        Publisher {
            series: self.series.saturating_add(1),
            snapshots: Vec::new(),
            bundles: Vec::new(),
            issued: 0,
            ..self.clone()
        }
    }

    /// The same publisher under another settings, which holds from the next tick on.
    #[must_use]
    pub fn with_settings(&self, settings: PublisherSettings) -> Publisher {
        Publisher { settings, ..self.clone() }
    }

    /// The series.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// The last tick published in this series.
    pub fn last_tick(&self) -> Option<u32> {
        self.snapshots.last().map(|snapshot| snapshot.tick)
    }

    /// The table published last.
    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// The files that the last manifest names, directly or through its index: they must be
    /// out there. A kept manifest is not among them.
    pub fn live_files(&self) -> impl Iterator<Item = &Path> {
        self.live.iter()
    }

    /// Makes a publication. O(n log n) time, some 50 bytes of memory an element of one date
    /// at a time, besides the files. Before it returns, every bundle has been applied to the state it starts
    /// from and gave the sets that are published, and index and manifest have been read back.
    ///
    /// # Errors
    /// A [`PublishError`]; nothing has happened then.
    pub fn publish<E: AsRef<[u8]>>(
        &self,
        tick: &Tick<'_, E>,
        keys: &Keys,
    ) -> Result<Publication, PublishError> {
        self.check_order(tick)?;
        let (due, waiting) = self.due_days(tick)?;
        let days = due
            .into_iter()
            .map(|day| BuiltDay::build(day, self.table(), self.settings, &self.context(tick, keys)))
            .collect::<Result<Vec<_>, _>>()?;
        let snapshot = Snapshot::of(tick.number, &days)?;
        let new_bundles = self.write_bundles(&snapshot)?;

        let mut bundles: Vec<BundleEntry> = new_bundles.iter().map(|new| new.0).collect();
        bundles.extend(self.bundles.iter().filter(|old| tick.number - old.to < KEPT_TICKS));
        bundles.sort_unstable_by_key(|entry| (entry.to, entry.span));
        let table = snapshot.table.clone();
        let index = IndexFile { series: self.series, tick: tick.number, table, bundles };
        let index_bytes = index.to_bytes();
        IndexFile::parse(&index_bytes)?;
        let manifest = Manifest {
            series: self.series,
            tick: tick.number,
            issued: tick.now,
            expires: tick.now.saturating_add(DAY_SECONDS),
            next: tick.now.saturating_add(self.settings.interval),
            state: index.table.state(),
            index: FileHash::of(&index_bytes),
            bundle: new_bundles.iter().find(|new| new.0.span == 1).map(|new| FileHash::of(&new.1)),
        };
        let signed = manifest.sign(&keys.online, &keys.key_list)?;
        let (_, key_list) = Manifest::verify(&signed, &keys.root, tick.now, self.key_list)?;

        let left_out = days.iter().flat_map(|day| day.left_out.iter().copied()).collect();
        let index_path = Path::Index(manifest.index.sha256);
        let live = live_paths(self.series, index_path, &index);
        let mut files: Vec<File> = days.into_iter().flat_map(BuiltDay::into_files).collect();
        files.extend(new_bundles.into_iter().map(|(entry, bytes)| {
            let path = Path::Bundle { span: entry.span, series: self.series, to: entry.to };
            File { path, bytes }
        }));
        files.push(File { path: index_path, bytes: index_bytes });
        files.retain(|file| !self.is_out_there(&file.path));
        let kept = Path::KeptManifest { series: self.series, tick: tick.number };
        files.push(File { path: kept, bytes: signed.clone() });
        files.push(File { path: Path::Manifest, bytes: signed });

        let (retired, delete) = self.retire(&live, tick.now);
        let publisher = Publisher {
            settings: self.settings,
            series: self.series,
            table: Some(index.table),
            snapshots: self.snapshots_after(snapshot),
            bundles: index.bundles,
            issued: tick.now,
            key_list,
            live,
            retired,
        };
        Ok(Publication { files, delete, manifest, waiting, left_out, publisher })
    }

    /// Ticks count up by one; time does not go back; an online key is on the list.
    fn check_order<E>(&self, tick: &Tick<'_, E>) -> Result<(), PublishError> {
        if let Some(last) = self.last_tick().filter(|last| last.checked_add(1) != Some(tick.number))
        {
            let expected = last.saturating_add(1);
            return Err(PublishError::Tick { expected, got: tick.number });
        }
        if tick.now < self.issued {
            return Err(PublishError::Clock { last: self.issued, got: tick.now });
        }
        Ok(())
    }

    /// The days to publish, by ascending date, and the dates that wait.
    fn due_days<'a, E>(
        &self,
        tick: &Tick<'a, E>,
    ) -> Result<(Vec<&'a Day<E>>, Vec<Date>), PublishError> {
        let mut days: Vec<&Day<E>> = tick.days.iter().collect();
        days.sort_by_key(|day| day.date);
        if let Some(pair) = days.windows(2).find(|pair| pair[0].date == pair[1].date) {
            return Err(PublishError::DateTwice { date: pair[0].date });
        }
        let is_due = |day: &&Day<E>| {
            let published = self.table().is_some_and(|table| table.row(day.date).is_some());
            published || day.date.entry() <= tick.now
        };
        let (due, waiting): (Vec<_>, Vec<_>) = days.into_iter().partition(is_due);
        if due.len() > MAX_DATES {
            return Err(PublishError::TooManyDates { max: MAX_DATES, got: due.len() });
        }
        Ok((due, waiting.into_iter().map(|day| day.date).collect()))
    }

    fn context<'k, E>(&self, tick: &Tick<'_, E>, keys: &'k Keys) -> day::Context<'k> {
        day::Context { derivation: &keys.derivation, series: self.series, tick: tick.number }
    }

    /// The bundles that lead to a new snapshot, each applied to where it starts from.
    fn write_bundles(&self, to: &Snapshot) -> Result<Vec<(BundleEntry, Vec<u8>)>, PublishError> {
        let mut bundles = Vec::new();
        for span in SPANS.into_iter().filter(|span| to.tick.is_multiple_of(*span)) {
            let from =
                self.snapshots.iter().find(|from| from.tick.checked_add(span) == Some(to.tick));
            let Some(from) = from else { continue };
            let bytes = write_bundle(self.series, span, from, to)
                .map_err(|error| PublishError::Bundle { span, error })?;
            let FileHash { bytes: length, sha256 } = FileHash::of(&bytes);
            bundles.push((BundleEntry { span, to: to.tick, bytes: length, sha256 }, bytes));
        }
        Ok(bundles)
    }

    /// The snapshots that later bundles will reach back to.
    fn snapshots_after(&self, new: Snapshot) -> Vec<Snapshot> {
        let wanted = SPANS.map(|span| new.tick - new.tick % span);
        let old = self.snapshots.iter().filter(|old| wanted.contains(&old.tick)).cloned();
        let mut snapshots: Vec<Snapshot> = old.collect();
        snapshots.push(new);
        snapshots
    }

    /// Whether the file was written before and is not due for deletion.
    fn is_out_there(&self, path: &Path) -> bool {
        self.live.contains(path) || self.retired.contains_key(path)
    }

    /// What stays retired, and what goes, once `live` is what is named.
    ///
    /// Check files live as long as the present and the previous manifest; everything
    /// else a day longer than the last manifest that named it was the present one.
    fn retire(&self, live: &BTreeSet<Path>, now: u64) -> (BTreeMap<Path, u64>, Vec<Path>) {
        let mut retired = self.retired.clone();
        for path in self.live.difference(live) {
            let is_checks = matches!(path, Path::Checks { .. });
            let until = if is_checks { 0 } else { now.saturating_add(DAY_SECONDS) };
            retired.insert(*path, until);
        }
        retired.retain(|path, _| !live.contains(path));
        // No file has to outlive today's manifests by more than a day, whatever a clock said.
        retired
            .values_mut()
            .for_each(|until| *until = (*until).min(now.saturating_add(DAY_SECONDS)));
        // What was live until now is still the previous manifest's.
        let is_due = |path: &Path, until: u64| until <= now && !self.live.contains(path);
        let delete: Vec<Path> = retired
            .iter()
            .filter(|(path, until)| is_due(path, **until))
            .map(|entry| *entry.0)
            .collect();
        retired.retain(|path, until| !is_due(path, *until));
        (retired, delete)
    }
}

/// Everything that a manifest names, directly or through its index.
fn live_paths(series: u32, index_path: Path, index: &IndexFile) -> BTreeSet<Path> {
    let rows = index.table.rows().iter();
    let sets = rows.clone().map(|row| Path::Set { date: row.date, identity: row.identity });
    let checks = rows
        .filter(|row| row.len > 0)
        .map(|row| Path::Checks { date: row.date, root: row.check_root });
    let bundles = index.bundles.iter();
    let bundles = bundles.map(|entry| Path::Bundle { span: entry.span, series, to: entry.to });
    sets.chain(checks).chain(bundles).chain([index_path]).collect()
}

/// Writes a bundle, reads it back, applies it, and compares every byte of what it gives.
fn write_bundle(
    series: u32,
    span: u32,
    from: &Snapshot,
    to: &Snapshot,
) -> Result<Vec<u8>, BundleError> {
    let bytes = encode_bundle(series, to.tick, span, &from.side(), &to.side())?;
    let (table, sets) = Bundle::parse(&bytes)?.apply(&from.table, |identity| from.set(identity))?;
    if table != to.table {
        return Err(BundleError::After { expected: to.table.state(), got: table.state() });
    }
    for row in table.rows() {
        let folded = sets.iter().find(|set| set.identity() == row.identity);
        let folded = folded.or_else(|| from.set(row.identity));
        if folded.is_none_or(|folded| Some(folded) != to.set(row.identity)) {
            return Err(BundleError::NoSuchSet { date: row.date });
        }
    }
    Ok(bytes)
}

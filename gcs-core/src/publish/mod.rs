//! From live elements to files: the publisher, without I/O.
//!
//! [`Publisher::publish_next`] is a pure function: the present elements by date, the time
//! and the keys go in; a [`Publication`] comes out, with the files to write and the
//! publisher of the next tick. The same inputs give the same bytes.
//! [`Publication::write`] writes it to a [`Place`], such as a folder on disk.
//!
//! If writing fails, write the same publication again. The old publisher also gives it again,
//! from *the same inputs*. Never publish other inputs under a version whose manifest may have
//! been published already: clients refuse the second of two different publications of one
//! version as equivocation. For other inputs, go on from the publisher that was saved last, as
//! [`FolderPlace::resume`] gives it; [`Publication::publisher`] is that one once its publication
//! is written whole, and not before.
//!
//! ```
//! use gcs_core::publish::{Day, FolderPlace, Keys, Publisher, PublisherSettings};
//! use gcs_core::{DAY_SECONDS, Date, Folder};
//!
//! # let (home, secret) = (tempfile::tempdir()?, [1; 32]);
//! # let (public, private) = (home.path().join("public"), home.path().join("private"));
//! // A web server serves `public`; the publisher is saved in `private`.
//! let mut place = FolderPlace::new(Folder::open(public)?, Folder::open(private)?);
//! let fresh = || Publisher::new(PublisherSettings::default(), 1);
//! let publisher = place.resume()?.unwrap_or_else(fresh);
//!
//! let date: Date = "2026-01-05".parse()?;
//! let days = [Day { date, elements: vec![*b"identifier heard"] }];
//! let now = date.end() + 2 * 3600; // Earlier than this, the date would have to wait.
//! let keys = Keys::from_secret(secret, now + 365 * DAY_SECONDS);
//! let publication = publisher.publish_next(now, &days, &keys)?;
//! publication.write(&mut place)?;
//! assert_eq!(place.resume()?.and_then(|publisher| publisher.last_tick()), Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod day;
mod error;
#[cfg(feature = "std")]
mod folder;
mod keys;
mod saved;
mod snapshot;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::error::PublishError;
#[cfg(feature = "std")]
pub use self::folder::FolderPlace;
pub use self::keys::Keys;
pub use self::write::{Place, WriteError, WritePlan, WriteStep};
pub use crate::element::{Day, DayElements};

use self::day::{BuiltDay, Content, DayBuilder, KnownDay, TickContext};
use self::snapshot::Snapshot;
use crate::date::{DAY_SECONDS, Date};
use crate::files::{
    Bundle, BundleEntry, BundleError, Cache, FileHash, KEPT_TICKS, MAX_DATES, Manifest, Path,
    PublicationIndex, SPANS, Table, write_bundle as encode_bundle,
};
use crate::keys::DerivationKey;
use crate::set::Set;
use crate::version::Version;

/// The settings of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherSettings {
    /// The false-positive rate of every date stays below `2^-rate_bits`. Default 20.
    pub rate_bits: u32,
    /// Least number of elements that a new date is planned for. A date that outgrows its plan
    /// is re-based: it gets a new salt and hash range, and clients download its set whole.
    /// Default 1000.
    pub expected_per_date: u32,
    /// Seconds from one tick to the next. Default 900.
    pub interval: u64,
}

impl Default for PublisherSettings {
    fn default() -> PublisherSettings {
        PublisherSettings { rate_bits: 20, expected_per_date: 1000, interval: 900 }
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

/// An element whose check has no slot in its record, because too many elements share
/// fingerprints. Phones that heard it cannot confirm the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its date.
    pub date: Date,
    /// Its position among the date's elements.
    pub index: usize,
}

/// A publication: what to write, and a summary of it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// All files to write, the manifest last. Files that were written before are not among
    /// them. [`Publication::steps`] says how they are written.
    pub files: Vec<File>,
    /// Paths to delete after everything is written.
    pub delete: Vec<Path>,
    /// The content of its manifest.
    pub manifest: Manifest,
    /// Dates that are not due yet (see [`ENTRY_DELAY`](crate::ENTRY_DELAY)).
    pub waiting: Vec<Date>,
    /// Elements whose checks have no slot in their records.
    pub left_out: Vec<LeftOut>,
    /// The publisher of the next tick. Go on from it only when [`Publication::write`] has succeeded:
    /// it takes the files of this publication for written, and no later publication has them again.
    /// After an error write this publication again, or go on from the publisher that was saved last.
    pub publisher: Publisher,
}

/// The state of a publisher after a publication: the earlier tables and sets that bundles
/// reach back to, and which files have been written.
///
/// Of a series there is **one** to go on from: the one that was saved last. Any other, such as a
/// clone from before a publication or a saved copy from a backup, gives a second publication of a
/// version that clients may have seen, and they refuse it. [`Publisher::finish`], which
/// [`FolderPlace::resume`] calls, notices that before anything is published, and then only
/// [`Publisher::next_series`] helps, for which clients fetch everything anew. So keep no publisher
/// from one publication to the next, but read the saved one each time.
#[derive(Clone, Debug)]
pub struct Publisher {
    settings: PublisherSettings,
    series: u32,
    /// The last table, also across series: dates keep their salts and hash ranges.
    table: Option<Table>,
    /// The last tick of this series and the last multiples of 4, 24 and 96, ascending.
    snapshots: Vec<Snapshot>,
    bundles: Vec<BundleEntry>,
    issued: u64,
    /// Version of the key list of the last manifest, which must not fall.
    key_list: u32,
    /// Files that the last manifest names.
    live: BTreeSet<Path>,
    /// Files that no manifest names any more, and the time from which they may go.
    retired: BTreeMap<Path, u64>,
    /// The last publication, to finish writing it.
    last: Option<LastPublication>,
    /// The dates of the last publication, unless this publisher was saved since.
    known: BTreeMap<Date, KnownDay>,
}

/// What a publisher knows of its last publication, to finish writing it.
#[derive(Clone, Debug)]
struct LastPublication {
    version: Version,
    /// The manifest as it is served.
    manifest: Vec<u8>,
    deletions: Vec<Path>,
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
            last: None,
            known: BTreeMap::new(),
        }
    }

    /// The publisher of the first tick of the next series, after a restore or a recall:
    /// clients will fetch whole the sets that they do not have. Dates keep their salts, and
    /// files that were published are still deleted in time. The time may be before the last
    /// tick, in case the clock was wrong then.
    #[must_use]
    pub fn next_series(&self) -> Publisher {
        self.begin_series(self.series.saturating_add(1))
    }

    /// The publisher of the first tick of a later series, as [`Publisher::next_series`], for
    /// a log that numbers them. If `series` is not later, nothing changes.
    #[must_use]
    pub fn begin_series(&self, series: u32) -> Publisher {
        let publisher = self.clone();
        if series <= self.series {
            return publisher;
        }
        Publisher { series, snapshots: Vec::new(), bundles: Vec::new(), issued: 0, ..publisher }
    }

    /// The same publisher under other settings, which hold from the next tick on.
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

    /// The version published last.
    pub fn version(&self) -> Option<Version> {
        self.last_tick().map(|tick| Version { series: self.series, tick })
    }

    /// The table published last.
    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// The set published last for a date, to look elements up in; `None` also before the
    /// first tick of a series.
    pub fn set(&self, date: Date) -> Option<&Set> {
        let row = self.table()?.row(date)?;
        self.snapshots.last()?.set(row.identity)
    }

    /// The files that the last manifest names, directly or through its index. They must be
    /// served now. Kept manifests are not among them.
    pub fn live_files(&self) -> impl Iterator<Item = &Path> {
        self.live.iter()
    }

    /// All files that must be there: those of [`Publisher::live_files`], and earlier ones that are
    /// not due for deletion yet. Kept manifests are not among them.
    pub fn all_files(&self) -> impl Iterator<Item = &Path> {
        self.live.iter().chain(self.retired.keys())
    }

    /// Makes the next publication, of the tick after the last one or of tick 1, from all
    /// live dates in any order. A date that was published before and is missing in `days` is
    /// dropped. `now` is the Unix time.
    ///
    /// O(n log n) time for n elements of the dates that have changed since the publication before,
    /// and some 50 bytes of memory for each element of one of these dates at a time, besides the
    /// files. Before it returns, every bundle has been applied to the state that it
    /// starts from and gave the sets that are published, and index and manifest have been
    /// read back.
    ///
    /// # Errors
    /// A [`PublishError`]; nothing has changed then.
    pub fn publish_next<D: DayElements>(
        &self,
        now: u64,
        days: &[D],
        keys: &Keys,
    ) -> Result<Publication, PublishError> {
        let number = self.last_tick().map_or(1, |last| last.saturating_add(1));
        self.publish(number, now, days, keys)
    }

    /// Makes a publication, as [`Publisher::publish_next`] does, under the number that a
    /// log gives it: one more than the last, or any in a new series.
    ///
    /// # Errors
    /// A [`PublishError`]; nothing has changed then.
    pub fn publish<D: DayElements>(
        &self,
        number: u32,
        now: u64,
        days: &[D],
        keys: &Keys,
    ) -> Result<Publication, PublishError> {
        self.expect_next(number, now)?;
        let (due, waiting) = self.due_days(now, days)?;
        let days = self.build_days(&due, keys, number)?;
        let snapshot = Snapshot::of(number, &days)?;
        let new_bundles = self.write_bundles(&snapshot)?;

        let mut bundles: Vec<BundleEntry> = new_bundles.iter().map(|new| new.0).collect();
        bundles.extend(self.bundles.iter().filter(|old| number - old.to < KEPT_TICKS));
        bundles.sort_unstable_by_key(|entry| (entry.to, entry.span));
        let table = snapshot.table.clone();
        let index = PublicationIndex { series: self.series, tick: number, table, bundles };
        let index_bytes = index.to_bytes();
        PublicationIndex::parse(&index_bytes)?;
        let manifest = Manifest {
            series: self.series,
            tick: number,
            issued: now,
            expires: now.saturating_add(DAY_SECONDS),
            next: now.saturating_add(self.settings.interval),
            state: index.table.state(),
            index: FileHash::of(&index_bytes),
            bundle: new_bundles.iter().find(|new| new.0.span == 1).map(|new| FileHash::of(&new.1)),
        };
        let signed = manifest.sign(&keys.online, &keys.key_list)?;
        let (_, key_list) = Manifest::verify(&signed, &keys.root, now, self.key_list)?;

        let known = days.iter().map(|day| (day.row.date, KnownDay::of(day))).collect();
        let left_out = days.iter().flat_map(|day| day.left_out.iter().copied()).collect();
        let index_path = Path::Index(manifest.index.sha256);
        let live = live_paths(self.series, index_path, &index);
        let mut files: Vec<File> = days.into_iter().flat_map(BuiltDay::into_files).collect();
        files.extend(new_bundles.into_iter().map(|(entry, bytes)| {
            let path = Path::Bundle { span: entry.span, series: self.series, to: entry.to };
            File { path, bytes }
        }));
        files.push(File { path: index_path, bytes: index_bytes });
        files.retain(|file| !self.was_written(&file.path));
        let kept = Path::KeptManifest { series: self.series, tick: number };
        files.push(File { path: kept, bytes: signed.clone() });
        files.push(File { path: Path::Manifest, bytes: signed.clone() });

        let (retired, delete) = self.retire(&live, now);
        let version = Version { series: self.series, tick: number };
        let last = LastPublication { version, manifest: signed, deletions: delete.clone() };
        let publisher = Publisher {
            settings: self.settings,
            series: self.series,
            table: Some(index.table),
            snapshots: self.snapshots_after(snapshot),
            bundles: index.bundles,
            issued: now,
            key_list,
            live,
            retired,
            last: Some(last),
            known,
        };
        Ok(Publication { files, delete, manifest, waiting, left_out, publisher })
    }

    /// Leaves out a publication of which nobody needs anything any more, for a publisher that
    /// computes its publications anew from a log of inputs. What later publications depend on is
    /// computed, which are the salts and hash ranges of the dates, and no file is made.
    ///
    /// Nothing is known of the files of a publication that was left out. So the next one has all its
    /// files and no bundles; the 288th after it is as if none had been left out, but for the deletion
    /// of older files.
    ///
    /// # Errors
    /// A [`PublishError`], though not all that [`Publisher::publish`] would give.
    pub fn skip<D: DayElements>(
        &self,
        number: u32,
        now: u64,
        days: &[D],
        derivation: &DerivationKey,
    ) -> Result<Publisher, PublishError> {
        self.expect_next(number, now)?;
        let (due, _) = self.due_days(now, days)?;
        let context = TickContext { derivation, series: self.series, tick: number };
        let row = |day: &&D| day::skipped_row(*day, self.table(), self.settings, &context);
        let rows = due.iter().map(row).collect::<Result<_, _>>()?;
        Ok(Publisher {
            table: Some(Table::from_rows(rows)?),
            issued: now,
            ..Publisher::new(self.settings, self.series)
        })
    }

    /// Builds the dates that are due, except for what stays as it was published last.
    fn build_days<D: DayElements>(
        &self,
        due: &[&D],
        keys: &Keys,
        tick: u32,
    ) -> Result<Vec<BuiltDay>, PublishError> {
        let context = TickContext { derivation: &keys.derivation, series: self.series, tick };
        let builder = DayBuilder { before: self.table(), settings: self.settings, context };
        let likely = builder.likely_shape(due);
        let build = |day: &&D| {
            let content = Content::of(*day, context.derivation)?;
            match self.known(day.date(), &content) {
                Some(known) => Ok(known),
                None => builder.build(*day, content, likely),
            }
        };
        let mut days = due.iter().map(build).collect::<Result<Vec<BuiltDay>, PublishError>>()?;
        // Twice at most: then the records have the ranks that the largest date asks for, and the spare
        // slots that these ask for.
        loop {
            let shape = BuiltDay::shape(&days);
            if days.iter().all(|day| day.row.record_shape == shape) {
                return Ok(days);
            }
            let others = days.iter_mut().zip(due);
            for (built, day) in others.filter(|(built, _)| built.row.record_shape != shape) {
                *built = builder.build(*day, built.content.clone(), shape)?;
            }
        }
    }

    /// A date as it was published last, if it would be the same now.
    fn known(&self, date: Date, content: &Content) -> Option<BuiltDay> {
        let known = self.known.get(&date)?;
        let row = self.table()?.row(date)?;
        let set = self.snapshots.last()?.shared_set(row.identity)?;
        known.built(content, row, set, self.settings.rate_bits)
    }

    /// Fails unless the tick is one more than the last, and the time not before it.
    fn expect_next(&self, number: u32, now: u64) -> Result<(), PublishError> {
        match self.last_tick() {
            Some(last) if last.checked_add(1) != Some(number) => {
                Err(PublishError::Tick { expected: last.saturating_add(1), got: number })
            }
            _ if now < self.issued => Err(PublishError::Clock { last: self.issued, got: now }),
            _ => Ok(()),
        }
    }

    /// The days to publish, by ascending date, and the dates that wait.
    fn due_days<'a, D: DayElements>(
        &self,
        now: u64,
        days: &'a [D],
    ) -> Result<(Vec<&'a D>, Vec<Date>), PublishError> {
        let mut days: Vec<&D> = days.iter().collect();
        days.sort_by_key(|day| day.date());
        if let Some(pair) = days.windows(2).find(|pair| pair[0].date() == pair[1].date()) {
            return Err(PublishError::DateTwice { date: pair[0].date() });
        }
        let is_due = |day: &&D| {
            let published = self.table().is_some_and(|table| table.row(day.date()).is_some());
            published || day.date().entry() <= now
        };
        let (due, waiting): (Vec<_>, Vec<_>) = days.into_iter().partition(is_due);
        if due.len() > MAX_DATES {
            return Err(PublishError::TooManyDates { max: MAX_DATES, got: due.len() });
        }
        Ok((due, waiting.into_iter().map(DayElements::date).collect()))
    }

    /// The bundles that lead to a new snapshot. Each was applied to its base and is right.
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

    /// Whether an earlier publication wrote the file, and it has not been deleted.
    fn was_written(&self, path: &Path) -> bool {
        self.live.contains(path) || self.retired.contains_key(path)
    }

    /// The retired files that stay, with their times, and the files to delete, when the new
    /// manifest names the files `live`.
    ///
    /// Check files stay while the present or the previous manifest names them. Every other file
    /// stays for a day after the present manifest has stopped to name it.
    fn retire(&self, live: &BTreeSet<Path>, now: u64) -> (BTreeMap<Path, u64>, Vec<Path>) {
        let mut retired = self.retired.clone();
        for path in self.live.difference(live) {
            let is_checks = matches!(path, Path::Checks { .. });
            let until = if is_checks { 0 } else { now.saturating_add(DAY_SECONDS) };
            retired.insert(*path, until);
        }
        retired.retain(|path, _| !live.contains(path));
        // If a clock was ahead, files must not stay for longer than a day from now.
        retired
            .values_mut()
            .for_each(|until| *until = (*until).min(now.saturating_add(DAY_SECONDS)));
        // The previous manifest still names the files that were live until now.
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
fn live_paths(series: u32, index_path: Path, index: &PublicationIndex) -> BTreeSet<Path> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// What happens to a date before a tick.
    #[derive(Clone, Debug)]
    enum Edit {
        Add(u16),
        Remove(u8),
        Reverse,
        Crowd,
    }

    fn edits() -> impl Strategy<Value = Vec<(usize, Edit)>> {
        let edit = prop_oneof![
            (1u16..400).prop_map(Edit::Add),
            (1u8..50).prop_map(Edit::Remove),
            Just(Edit::Reverse),
            Just(Edit::Crowd),
        ];
        prop::collection::vec((0usize..4, edit), 0..3)
    }

    fn element(number: u32) -> [u8; 16] {
        let mut element = [7; 16];
        element[..4].copy_from_slice(&number.to_le_bytes());
        element
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// A publisher that remembers its dates publishes what one that was just restored does:
        /// also when records get more spare slots, when a date is re-based, and when nothing
        /// but the order changes. Rates are high, so that fingerprints are shared.
        #[test]
        fn what_is_remembered_is_what_would_be_computed(
            ticks in prop::collection::vec((edits(), any::<bool>()), 1..6),
        ) {
            let first = Date::from_days(20_000).unwrap();
            let date = |at: u32| Date::from_days(first.days() + at).unwrap();
            let mut days: Vec<Day<[u8; 16]>> =
                (0..4).map(|at| Day { date: date(at), elements: vec![element(at)] }).collect();
            let start = date(3).entry();
            let keys = Keys::from_secret([5; 32], start + 365 * DAY_SECONDS);
            let settings = PublisherSettings { rate_bits: 4, expected_per_date: 300, interval: 900 };
            let mut publisher = Publisher::new(settings, 1);
            let mut next = 100;
            for (tick, (edits, is_series)) in (0..).zip(ticks) {
                if is_series && tick > 1 {
                    publisher = publisher.next_series();
                }
                for (at, edit) in edits {
                    let elements = &mut days[at].elements;
                    match edit {
                        Edit::Add(count) => {
                            elements.extend((next..next + u32::from(count)).map(element));
                            next += u32::from(count);
                        }
                        Edit::Remove(count) => elements.truncate(elements.len() - (count as usize).min(elements.len())),
                        Edit::Reverse => elements.reverse(),
                        Edit::Crowd => elements.extend((next..next + 3000).map(element)),
                    }
                }
                let now = start + 900 * tick;
                let publication = publisher.publish_next(now, &days, &keys).unwrap();
                let restored = Publisher::from_bytes(&publisher.to_bytes()).unwrap();
                let again = restored.publish_next(now, &days, &keys).unwrap();
                prop_assert_eq!(&publication.files, &again.files);
                prop_assert_eq!(&publication.delete, &again.delete);
                prop_assert_eq!(&publication.left_out, &again.left_out);
                prop_assert_eq!(publication.publisher.to_bytes(), again.publisher.to_bytes());
                publisher = publication.publisher;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// Whichever publications are left out, the dates of later ones are the same.
        #[test]
        fn what_follows_skipped_publications_has_the_same_sets(
            ticks in prop::collection::vec((edits(), any::<bool>()), 2..9),
        ) {
            let first = Date::from_days(20_000).unwrap();
            let date = |at: u32| Date::from_days(first.days() + at).unwrap();
            let mut days: Vec<Day<[u8; 16]>> =
                (0..4).map(|at| Day { date: date(at), elements: vec![element(at)] }).collect();
            let start = date(2).entry();
            let keys = Keys::from_secret([5; 32], start + 365 * DAY_SECONDS);
            let settings = PublisherSettings { rate_bits: 4, expected_per_date: 300, interval: 900 };
            let mut publisher = Publisher::new(settings, 1);
            let mut skipping = publisher.clone();
            let mut next = 100;
            let last = ticks.len() - 1;
            for (tick, (edits, skips)) in ticks.into_iter().enumerate() {
                for (at, edit) in edits {
                    let elements = &mut days[at].elements;
                    let count = match edit {
                        Edit::Add(count) => u32::from(count),
                        Edit::Crowd => 3000,
                        Edit::Remove(count) => {
                            let count = (count as usize).min(elements.len());
                            elements.truncate(elements.len() - count);
                            0
                        }
                        Edit::Reverse => {
                            elements.reverse();
                            0
                        }
                    };
                    elements.extend((next..next + count).map(element));
                    next += count;
                }
                // The last of the dates enters in between.
                let (number, now) = (tick as u32 + 1, start + 20_000 * tick as u64);
                publisher = publisher.publish(number, now, &days, &keys).unwrap().publisher;
                if skips && tick < last {
                    skipping = skipping.skip(number, now, &days, &keys.derivation).unwrap();
                } else {
                    skipping = skipping.publish(number, now, &days, &keys).unwrap().publisher;
                    prop_assert_eq!(publisher.table(), skipping.table());
                }
            }
        }
    }

    #[test]
    fn a_date_that_stays_is_not_built_again() {
        let date = Date::from_days(20_000).unwrap();
        let now = date.entry();
        let keys = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
        let mut days = [Day { date, elements: vec![element(1), element(2)] }];
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        let publisher = publisher.publish_next(now, &days, &keys).unwrap().publisher;
        let known = |publisher: &Publisher, days: &[Day<_>]| {
            let content = Content::of(&days[0], &keys.derivation).unwrap();
            publisher.known(date, &content).is_some()
        };
        assert!(known(&publisher, &days));
        assert!(!known(&Publisher::from_bytes(&publisher.to_bytes()).unwrap(), &days));
        assert!(!known(&publisher.next_series(), &days));
        let finer = PublisherSettings { rate_bits: 40, ..PublisherSettings::default() };
        assert!(!known(&publisher.with_settings(finer), &days));
        days[0].elements.swap(0, 1);
        assert!(!known(&publisher, &days));
    }
}

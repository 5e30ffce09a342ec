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

mod bundles;
mod compute;
mod day;
mod error;
mod exports;
#[cfg(feature = "std")]
mod folder;
mod keys;
mod lifetimes;
#[cfg(feature = "gaen-export")]
mod next_exports;
mod saved;
mod seeds;
mod snapshot;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::error::PublishError;
#[cfg(feature = "std")]
pub use self::folder::FolderPlace;
pub use self::keys::Keys;
#[cfg(feature = "gaen-export")]
pub use self::next_exports::ExportSettings;
pub use self::write::{Place, WriteError, WritePlan, WriteStep};
pub use crate::element::{Day, DayElements};

use self::day::KnownDay;
use self::exports::{Exported, NextExports};
use self::snapshot::Snapshot;
use crate::date::Date;
use crate::files::{BundleEntry, Cache, Manifest, Path, Table};
use crate::seeds::SeedDay;
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
    seed_bundles: Vec<BundleEntry>,
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
    /// The lists of seeds of the next publication. They are not saved.
    next_seeds: Option<Vec<SeedDay>>,
    /// What has been exported, if the last publication has export files.
    exported: Option<Exported>,
    /// What the next publication exports. It is not saved.
    next_exports: Option<NextExports>,
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
            seed_bundles: Vec::new(),
            issued: 0,
            key_list: 0,
            live: BTreeSet::new(),
            retired: BTreeMap::new(),
            last: None,
            known: BTreeMap::new(),
            next_seeds: None,
            exported: None,
            next_exports: None,
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
        let (snapshots, bundles, seed_bundles) = (Vec::new(), Vec::new(), Vec::new());
        Publisher { series, snapshots, bundles, seed_bundles, issued: 0, ..publisher }
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
}

//! What is served, and a phone that takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use gcs_core::files::{ExportList, FileHash, Manifest, Path};
use gcs_core::identifiers::gaen::export::{Export, ExportPublicKey, ReportType};
use gcs_core::identifiers::gaen::{ExportKey, INTERVAL_SECONDS};
use gcs_core::publish::Publication;
use gcs_core::{Date, Digest};

/// The files as they are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shelf(pub(crate) BTreeMap<Path, Vec<u8>>);

impl Shelf {
    /// Writes a publication. Whatever it names must be there then.
    pub(crate) fn write(&mut self, made: &Publication) {
        self.0.extend(made.files.iter().map(|file| (file.path, file.bytes.clone())));
        for path in &made.delete {
            assert!(!made.publisher.live_files().any(|live| live == path), "{path}");
            self.0.remove(path);
        }
        for path in made.publisher.all_files() {
            assert!(self.0.contains_key(path), "{path}");
        }
        let list = self.list(&made.manifest);
        assert_eq!(list, made.publisher.exports());
    }

    /// The list of exports that a manifest names, and that the changing file has too.
    pub(crate) fn list(&self, manifest: &Manifest) -> Option<ExportList> {
        let index = self.0.get(&Path::ExportIndex);
        let Some(named) = manifest.exports else {
            assert!(index.is_none_or(Vec::is_empty));
            return None;
        };
        let bytes = &self.0[&Path::ExportList(named.sha256)];
        assert_eq!(FileHash::of(bytes), named);
        assert_eq!(index, Some(bytes));
        Some(ExportList::parse(bytes).unwrap())
    }

    /// The bytes of the export files that a manifest names.
    pub(crate) fn exports(&self, manifest: &Manifest) -> Vec<(Path, Vec<u8>)> {
        let list = self.list(manifest).unwrap_or_default();
        list.paths().map(|path| (path, self.0[&path].clone())).collect()
    }
}

/// A phone, which knows keys by their 16 bytes.
#[derive(Clone, Default)]
pub(crate) struct Phone {
    pub(crate) keys: BTreeMap<[u8; 16], ExportKey>,
    taken: BTreeSet<Digest>,
    /// The time of the export taken last.
    time: Range<u64>,
}

impl Phone {
    /// Takes what it has not taken yet, in the order of the list. A key must be new where the file says
    /// so, and known where it is revised or revoked.
    pub(crate) fn take(&mut self, shelf: &Shelf, manifest: &Manifest, key: &ExportPublicKey) {
        let list = shelf.list(manifest).unwrap();
        for (date, sha256) in &list.files {
            if !self.taken.insert(*sha256) {
                continue;
            }
            let zip = &shelf.0[&Path::Export { date: *date, sha256: *sha256 }];
            assert_eq!(Digest::of(zip), *sha256);
            let export = Export::from_zip(zip, key).unwrap();
            assert_eq!((export.batch, export.batches), (1, 1));
            let time = export.start..export.end;
            assert!(time == self.time || self.time.end <= time.start, "exports overlap");
            assert!(!time.is_empty());
            self.time = time;
            assert!(export.keys.len() + export.revised_keys.len() > 0);
            for key in export.keys {
                assert_eq!(last_date(&key), *date);
                assert!(self.keys.insert(key.key.to_bytes(), key).is_none());
            }
            for key in export.revised_keys {
                let bytes = key.key.to_bytes();
                let before = match key.report_type {
                    Some(ReportType::Revoked) => self.keys.remove(&bytes),
                    _ => self.keys.insert(bytes, key),
                };
                assert_eq!(last_date(&before.unwrap()), *date);
            }
        }
    }

    /// Its keys of a date.
    pub(crate) fn of(&self, date: Date) -> Vec<&ExportKey> {
        self.keys.values().filter(|key| last_date(key) == date).collect()
    }
}

/// The last date on which a key is used.
pub(crate) fn last_date(key: &ExportKey) -> Date {
    Date::of_time(u64::from(key.key.intervals().end - 1) * INTERVAL_SECONDS)
}

//! Export files on the real server, read as a phone reads them whose system takes only these.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::files::{ExportList, FileHash, Manifest, Path, PublicationIndex};
use gcs_core::identifiers::gaen::export::{Export, ExportKey, ExportPublicKey, ReportType};
use gcs_core::report::{Item, Kind, Kinds};
use gcs_core::seeds::SeedList;
use gcs_core::{Date, PublicKey};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::policy::{ExportPolicy, Policy};
use gcs_server::domain::state::State;

use super::seeds::seeds_policy;
use super::{gaen, interval};
use crate::common::world::Files;
use crate::common::{HOUR, date};

/// The time between two exports.
pub const INTERVAL: u64 = 4 * HOUR;

pub fn exports() -> ExportPolicy {
    ExportPolicy { region: "NL".into(), key_id: "204".into(), ..ExportPolicy::default() }
}

/// Everything beside the sets.
pub fn exports_policy() -> Policy {
    Policy { exports: Some(exports()), ..seeds_policy() }
}

/// The key of a day, which is used up at its end.
pub fn key(number: u64, byte: u8) -> Item {
    Item::Gaen(gaen(interval(date(number), 0), 144, byte))
}

/// The list of exports that is published; it is the same under both of its names.
pub fn list(files: &Files, root: &PublicKey) -> Option<ExportList> {
    let (manifest, _) = Manifest::verify(&files["/v1/manifest"], root, 0, 0).unwrap();
    let index = files.get(&Path::ExportIndex.to_string());
    let Some(named) = manifest.exports else {
        assert!(index.is_none_or(Vec::is_empty), "a list of exports that no manifest names");
        return None;
    };
    let bytes = &files[&Path::ExportList(named.sha256).to_string()];
    assert_eq!(FileHash::of(bytes), named);
    assert_eq!(index, Some(bytes));
    Some(ExportList::parse(bytes).unwrap())
}

/// A phone that takes all files in their order.
#[derive(Default)]
pub struct ExportPhone {
    taken: BTreeSet<Path>,
    /// The end of the last file that it took of each date, and its keys.
    dates: BTreeMap<Date, (u64, BTreeMap<[u8; 16], ExportKey>)>,
    /// How many keys were revoked.
    pub revoked: usize,
}

impl ExportPhone {
    /// Takes what is new. All of it must be signed by this key.
    pub fn take(&mut self, files: &Files, root: &PublicKey, key: &ExportPublicKey) -> usize {
        let list = list(files, root).unwrap();
        let paths: Vec<Path> = list.paths().filter(|path| !self.taken.contains(path)).collect();
        for path in &paths {
            let Path::Export { date, .. } = *path else { panic!("{path} in a list of exports") };
            self.apply(date, &Export::from_zip(&files[&path.to_string()], key).unwrap());
            self.taken.insert(*path);
        }
        paths.len()
    }

    fn apply(&mut self, date: Date, export: &Export) {
        assert_eq!((export.region.as_str(), export.batch, export.batches), ("NL", 1, 1));
        assert!(!export.keys.is_empty() || !export.revised_keys.is_empty());
        let (end, keys) = self.dates.entry(date).or_default();
        assert!(*end <= export.start && export.start < export.end, "{date}: {end} {export:?}");
        *end = export.end;
        for key in &export.keys {
            let known = keys.insert(key.key.to_bytes(), key.clone());
            assert_eq!(known, None, "{date}: a new key that was there");
        }
        for key in &export.revised_keys {
            if key.report_type == Some(ReportType::Revoked) {
                assert!(
                    keys.remove(&key.key.to_bytes()).is_some(),
                    "{date}: revoked, and not there"
                );
                self.revoked += 1;
            } else {
                let known = keys.insert(key.key.to_bytes(), key.clone());
                assert!(known.is_some_and(|known| known != *key), "{date}: revised to the same");
            }
        }
    }

    /// Forgets what is not published any more, as time goes by.
    pub fn forget(&mut self, files: &Files, root: &PublicKey) {
        let dates = dates(files, root);
        self.dates.retain(|date, _| dates.contains(date));
    }

    /// The keys of each date that has some.
    pub fn keys(&self) -> BTreeMap<Date, Vec<ExportKey>> {
        let keys = |(date, (_, keys)): (&Date, &(u64, BTreeMap<_, ExportKey>))| {
            (*date, keys.values().cloned().collect::<Vec<_>>())
        };
        self.dates.iter().map(keys).filter(|(_, keys)| !keys.is_empty()).collect()
    }
}

/// The dates that are published.
pub fn dates(files: &Files, root: &PublicKey) -> BTreeSet<Date> {
    let (manifest, _) = Manifest::verify(&files["/v1/manifest"], root, 0, 0).unwrap();
    let index = &files[&Path::Index(manifest.index.sha256).to_string()];
    let table = PublicationIndex::parse(index).unwrap().table;
    table.rows().iter().map(|row| row.date).collect()
}

/// The keys of each published date that phones should have after an export.
pub fn live_keys(state: &State, files: &Files) -> BTreeMap<Date, Vec<ExportKey>> {
    let root = PublicKey(state.deployment.as_ref().unwrap().root);
    let dates = dates(files, &root);
    let lists = state.live.seeds(Kinds::of(&[Kind::Gaen]));
    let keys = lists.iter().filter(|list| dates.contains(&list.date())).map(|list| {
        let built = list.build().unwrap();
        let keys = SeedList::<ExportKey, _>::parse(built.as_bytes()).unwrap();
        let keys: BTreeMap<_, _> = keys.iter().map(|key| (key.key.to_bytes(), key)).collect();
        (list.date(), keys.into_values().collect())
    });
    keys.collect()
}

/// The public key that a policy's files are signed with.
pub fn public_key(keys: &DeploymentKeys, policy: &ExportPolicy) -> ExportPublicKey {
    keys.export(&policy.key_id, &policy.key_version).unwrap().public()
}

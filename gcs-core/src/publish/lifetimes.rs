//! How long files stay.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Publisher;
use crate::date::DAY_SECONDS;
use crate::files::{Path, PublicationIndex};

impl Publisher {
    /// Whether an earlier publication wrote the file, and it has not been deleted.
    pub(super) fn was_written(&self, path: &Path) -> bool {
        self.live.contains(path) || self.retired.contains_key(path)
    }

    /// The retired files that stay, with their times, and the files to delete, when the new
    /// manifest names the files `live`.
    ///
    /// Check files stay while the present or the previous manifest names them. Every other file
    /// stays for a day after the present manifest has stopped to name it.
    pub(super) fn retire(
        &self,
        live: &BTreeSet<Path>,
        now: u64,
    ) -> (BTreeMap<Path, u64>, Vec<Path>) {
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
pub(super) fn live_paths(
    series: u32,
    index_path: Path,
    index: &PublicationIndex,
) -> BTreeSet<Path> {
    let rows = index.table.rows().iter();
    let sets = rows.clone().map(|row| Path::Set { date: row.date, identity: row.identity });
    let checks = rows
        .filter(|row| row.len > 0)
        .map(|row| Path::Checks { date: row.date, root: row.check_root });
    let bundles = index.bundles.iter();
    let bundles = bundles.map(|entry| Path::Bundle { span: entry.span, series, to: entry.to });
    sets.chain(checks).chain(bundles).chain([index_path]).collect()
}

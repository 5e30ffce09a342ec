//! The files that an index or a list names, with the most bytes that each may have.

use std::collections::BTreeMap;

use gcs_core::files::{ExportList, Path, PublicationIndex, SeedIndex};
use gcs_core::identifiers::gaen::export::MAX_CONTENT_BYTES;

/// More bytes than any export file has.
const MOST_OF_EXPORT: u64 = 2 * MAX_CONTENT_BYTES as u64;

/// The export files that a list names.
pub(super) fn named_exports(list: &ExportList) -> impl Iterator<Item = (Path, u64)> {
    list.paths().map(|path| (path, MOST_OF_EXPORT))
}

/// The files that an index of lists of seeds names, and their lengths.
pub(super) fn named_seeds(index: &SeedIndex) -> impl Iterator<Item = (Path, u64)> {
    index.files().map(|(sha256, length)| (Path::Seeds(sha256), length))
}

/// The files that an index names, and their lengths.
pub(super) fn named(index: &PublicationIndex) -> BTreeMap<Path, u64> {
    let mut named = BTreeMap::new();
    for entry in &index.bundles {
        let path = Path::Bundle { span: entry.span, series: index.series, to: entry.to };
        named.insert(path, entry.bytes);
    }
    for row in index.table.rows() {
        named.insert(Path::Set { date: row.date, identity: row.identity }, row.bytes);
        if row.len > 0 {
            let length = row.record_shape.record_len().saturating_mul(row.records().into());
            named.insert(Path::Checks { date: row.date, root: row.check_root }, length);
        }
    }
    named
}

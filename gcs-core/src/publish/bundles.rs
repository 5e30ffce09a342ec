//! The bundles of a publication.

use alloc::vec::Vec;

use super::snapshot::Snapshot;
use super::{PublishError, Publisher};
use crate::files::{
    Bundle, BundleEntry, BundleError, FileHash, SPANS, write_bundle as encode_bundle,
};

impl Publisher {
    /// The bundles that lead to a new snapshot. Each was applied to its base and is right.
    pub(super) fn write_bundles(
        &self,
        to: &Snapshot,
    ) -> Result<Vec<(BundleEntry, Vec<u8>)>, PublishError> {
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

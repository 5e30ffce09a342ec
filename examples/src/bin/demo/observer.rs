//! An observer, who reads every publication as anyone can, and keeps its sizes.

use std::collections::BTreeSet;

use gcs_core::files::{Manifest, Path, PublicationIndex, Row, Table};
use gcs_core::sync::Fetch;
use gcs_core::{Date, Digest, PublicKey};
use gcs_examples::http::HttpFetch;
use gcs_examples::{Checked, ensure};

use crate::api::Api;

/// Longest file that is read.
const MOST: u64 = 1 << 20;

/// An observer, who reads manifests and tables.
pub(crate) struct Observer {
    fetch: HttpFetch,
    root: PublicKey,
    /// The present table, and the one before it.
    table: Option<Table>,
    before: Option<Table>,
    /// Length of the longest manifest.
    pub(crate) manifest_bytes: u64,
    /// Lengths of the bundles from one tick to the next.
    pub(crate) bundles: Vec<u64>,
}

impl Observer {
    pub(crate) fn new(server: &str, root: PublicKey) -> Observer {
        let fetch = HttpFetch::new(server);
        Observer { fetch, root, table: None, before: None, manifest_bytes: 0, bundles: Vec::new() }
    }

    fn get(&mut self, path: Path) -> Checked<Vec<u8>> {
        let path = path.to_string();
        let file = self.fetch.fetch(&path, None, MOST)?;
        file.ok_or_else(|| format!("{path} is missing").into())
    }

    /// Reads the present publication.
    pub(crate) fn look(&mut self, now: u64) -> Checked<()> {
        let manifest = self.get(Path::Manifest)?;
        self.manifest_bytes = self.manifest_bytes.max(manifest.len() as u64);
        let (manifest, _keys) = Manifest::verify(&manifest, &self.root, now, 0)?;
        let index = PublicationIndex::parse(&self.get(Path::Index(manifest.index.sha256))?)?;
        ensure(index.table.state() == manifest.state, || "the index has another table".into())?;
        self.bundles.extend(manifest.bundle.map(|bundle| bundle.bytes));
        self.before = self.table.replace(index.table);
        Ok(())
    }

    /// The rows of the present table, one for each date.
    pub(crate) fn rows(&self) -> Checked<&[Row]> {
        Ok(self.table.as_ref().ok_or("nothing is published")?.rows())
    }

    fn rows_before(&self) -> &[Row] {
        self.before.as_ref().map_or(&[], Table::rows)
    }

    /// Fails if any date that is expected to change has the set that it had at the tick before.
    pub(crate) fn expect_changed(&self, is_expected: impl Fn(Date) -> bool) -> Checked<()> {
        let sets = |rows: &[Row]| -> BTreeSet<(Date, Digest)> {
            let rows = rows.iter().filter(|row| is_expected(row.date));
            rows.map(|row| (row.date, row.identity)).collect()
        };
        let (before, after) = (sets(self.rows_before()), sets(self.rows()?));
        let unchanged = before.intersection(&after).count();
        ensure(unchanged == 0, || format!("{unchanged} dates have not changed"))
    }

    /// Dates whose check root has changed since the tick before, with the earlier check root.
    pub(crate) fn checks_before(&self) -> Checked<Vec<(Date, Digest)>> {
        let rows = self.rows()?;
        let is_past = |row: &&Row| {
            rows.iter().any(|now| now.date == row.date && now.check_root != row.check_root)
        };
        let past = self.rows_before().iter().filter(is_past);
        Ok(past.map(|row| (row.date, row.check_root)).collect())
    }

    /// Makes sure that a request for a part of a file is answered with that part alone.
    pub(crate) fn expect_parts(&self, apps: &Api) -> Checked<()> {
        let row = self.rows()?.first().ok_or("no dates")?;
        let path = Path::Checks { date: row.date, root: row.check_root }.to_string();
        let (status, bytes) = apps.part(&path, "bytes=100-299")?;
        ensure((status, bytes) == (206, 200), || {
            format!("200 bytes of {path}: status {status}, {bytes} bytes")
        })
    }

    /// The number of elements, the bytes of the sets, and the bound in bits.
    pub(crate) fn sizes(&self) -> Checked<(u64, u64, f64)> {
        let rows = self.rows()?;
        let elements = rows.iter().map(|row| u64::from(row.len)).sum();
        Ok((elements, rows.iter().map(|row| row.bytes).sum(), rows.iter().map(bound_bits).sum()))
    }
}

/// `log2(F choose N)` by Stirling's formula: N·(log2(F/N) + log2 e), without smaller terms.
fn bound_bits(row: &Row) -> f64 {
    f64::from(row.len) * (row.hash_range.modulus(row.len).log2() + std::f64::consts::LOG2_E)
}

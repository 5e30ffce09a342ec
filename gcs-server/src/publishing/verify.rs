//! Whether a published file is as it was written, by nothing but its name and what verified files
//! say about it.

use std::collections::HashMap;

use gcs_core::files::{CheckRecord, ExportList, FileHash, Manifest, Path, PublicationIndex, Row};
use gcs_core::{Date, Digest, PublicKey};

/// What is known of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every byte is as it was written.
    Right,
    /// At least one is not.
    Wrong,
    /// No verified index names the file: perhaps a crash came before its index was written.
    Unnamed,
}

/// What the verified indexes say.
#[derive(Debug, Default)]
pub(super) struct Names {
    bundles: HashMap<Path, FileHash>,
    rows: HashMap<(Date, Digest), Row>,
}

impl Names {
    /// Remembers what a verified index names. One of another release names nothing.
    pub(super) fn learn(&mut self, index: &[u8]) {
        let Ok(index) = PublicationIndex::parse(index) else { return };
        for entry in &index.bundles {
            let path = Path::Bundle { span: entry.span, series: index.series, to: entry.to };
            self.bundles.insert(path, FileHash { bytes: entry.bytes, sha256: entry.sha256 });
        }
        for row in index.table.rows() {
            self.rows.insert((row.date, row.check_root), *row);
        }
    }

    /// Whether a file's name says which bytes it has, or an index does.
    pub(super) fn has(&self, path: &Path) -> bool {
        match path {
            Path::Bundle { .. } => self.bundles.contains_key(path),
            Path::Checks { date, root } => self.rows.contains_key(&(*date, *root)),
            _ => true,
        }
    }

    /// Verifies a file.
    pub(super) fn verify(&self, path: &Path, bytes: &[u8], root: &PublicKey) -> Verdict {
        let is_right = match path {
            Path::Manifest => Manifest::verify_file(bytes, root).is_ok(),
            Path::KeptManifest { series, tick } => is_manifest(bytes, root, *series, *tick),
            Path::Index(sha256)
            | Path::Seeds(sha256)
            | Path::ExportList(sha256)
            | Path::Export { sha256, .. } => Digest::of(bytes) == *sha256,
            Path::ExportIndex => ExportList::parse(bytes).is_ok(),
            Path::Set { identity, .. } => is_set(bytes, *identity),
            Path::Bundle { .. } => match self.bundles.get(path) {
                Some(hash) => FileHash::of(bytes) == *hash,
                None => return Verdict::Unnamed,
            },
            Path::Checks { date, root } => match self.rows.get(&(*date, *root)) {
                Some(row) => are_checks(bytes, row),
                None => return Verdict::Unnamed,
            },
        };
        if is_right { Verdict::Right } else { Verdict::Wrong }
    }
}

/// Whether these are the bytes of the manifest of a version, as it was written.
fn is_manifest(bytes: &[u8], root: &PublicKey, series: u32, tick: u32) -> bool {
    Manifest::verify_file(bytes, root)
        .is_ok_and(|manifest| (manifest.series, manifest.tick) == (series, tick))
}

/// A set ends with its identity, the SHA-256 of everything before.
fn is_set(bytes: &[u8], identity: Digest) -> bool {
    let split = bytes.split_last_chunk();
    split.is_some_and(|(before, end)| *end == identity.0 && Digest::of(before) == identity)
}

/// Whether these are all check records of a row, one after the other. Each is authenticated by its
/// path to the root.
fn are_checks(bytes: &[u8], row: &Row) -> bool {
    let length = row.record_shape.record_len();
    let (Ok(each), Some(all)) =
        (usize::try_from(length), length.checked_mul(u64::from(row.records())))
    else {
        return false;
    };
    let mut records = (0..).zip(bytes.chunks_exact(each.max(1)));
    bytes.len() as u64 == all
        && records.all(|(number, record)| CheckRecord::verify(record, row, number).is_ok())
}

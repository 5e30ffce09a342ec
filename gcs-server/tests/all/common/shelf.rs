//! A builder, and a public folder in memory.

use std::collections::BTreeSet;

use gcs_core::PublicKey;
use gcs_core::files::{ExportList, Manifest, Path, PublicationIndex, SeedIndex};
use gcs_core::publish::Publisher;
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::node::PublicationInput;
use gcs_server::publishing::{Outbox, PublicationBuilder};

use super::Ledger;
use super::world::Files;

pub struct Shelf {
    pub builder: PublicationBuilder,
    pub files: Files,
    /// The publisher after the last publication, as it is saved.
    pub saved: Vec<u8>,
}

impl Shelf {
    pub fn new(keys: &DeploymentKeys) -> Shelf {
        Shelf {
            builder: PublicationBuilder::new(keys, None),
            files: Files::new(),
            saved: Vec::new(),
        }
    }

    /// Publishes the tick that the ledger has just made.
    pub fn publish(&mut self, ledger: &Ledger) {
        let mut outbox = Outbox::default();
        let input = PublicationInput::of_last(&ledger.state).unwrap();
        self.builder.build(&input, &mut outbox).unwrap();
        self.put(&outbox);
    }

    /// What writing an outbox does.
    pub fn put(&mut self, outbox: &Outbox) {
        for (path, bytes) in outbox.plan().files() {
            self.files.insert(path.to_string(), bytes.to_vec());
        }
        self.saved = outbox.plan().publisher().map_or(Vec::new(), Publisher::to_bytes);
        for path in outbox.plan().deletions() {
            self.files.remove(&path.to_string());
        }
    }
}

/// The manifest among some files, and every path that it names.
pub fn named(files: &Files, root: &PublicKey) -> (Manifest, BTreeSet<String>) {
    let (manifest, _) = Manifest::verify(&files["/v1/manifest"], root, 0, 0).unwrap();
    let index = Path::Index(manifest.index.sha256);
    let file = PublicationIndex::parse(&files[&index.to_string()]).unwrap();
    let mut names = BTreeSet::from([index.to_string()]);
    for row in file.table.rows() {
        names.insert(Path::Set { date: row.date, identity: row.identity }.to_string());
        if row.len > 0 {
            names.insert(Path::Checks { date: row.date, root: row.check_root }.to_string());
        }
    }
    for bundle in &file.bundles {
        let (span, series, to) = (bundle.span, file.series, bundle.to);
        names.insert(Path::Bundle { span, series, to }.to_string());
    }
    if let Some(seeds) = manifest.seeds {
        let index = Path::Seeds(seeds.index.sha256).to_string();
        let seeds = SeedIndex::parse(&files[&index]).unwrap();
        names.insert(index);
        names.extend(seeds.files().map(|(sha256, _)| Path::Seeds(sha256).to_string()));
    }
    if let Some(list) = manifest.exports {
        let path = Path::ExportList(list.sha256).to_string();
        let list = ExportList::parse(&files[&path]).unwrap();
        names.extend(list.paths().map(|path| path.to_string()));
        names.extend([path, Path::ExportIndex.to_string()]);
    }
    (manifest, names)
}

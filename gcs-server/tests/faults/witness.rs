//! What nodes ever served: each number of a publication has one content, no node goes back, and a node that
//! runs answers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::HEXLOWER;
use gcs_core::files::Manifest;
use gcs_core::{PublicKey, Version};

use crate::cluster::Cluster;
use crate::common::api::try_ask;
use crate::node::{Node, lock};

/// Faults that are kept; more say nothing new.
const KEPT: usize = 20;

/// What was read from the nodes of one deployment.
pub struct Witness {
    root: PublicKey,
    /// Every manifest.
    manifests: Mutex<BTreeMap<Version, Vec<u8>>>,
    /// The newest publication that each node has served.
    newest: Mutex<BTreeMap<&'static str, Version>>,
    wrong: Mutex<Vec<String>>,
    reads: AtomicUsize,
}

impl Witness {
    /// For the deployment with this root key, as a server shows it.
    pub fn new(root: &str) -> Witness {
        let root = HEXLOWER.decode(root.as_bytes()).unwrap();
        Witness {
            root: PublicKey(root.try_into().unwrap()),
            manifests: Mutex::default(),
            newest: Mutex::default(),
            wrong: Mutex::default(),
            reads: AtomicUsize::new(0),
        }
    }

    fn wrong(&self, what: String) {
        let mut wrong = lock(&self.wrong);
        if wrong.len() < KEPT {
            wrong.push(what);
        }
    }

    /// What was wrong since the last time.
    pub fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.wrong))
    }

    /// Number of reads that were answered.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Reads what a node serves: its manifest, and the files that this names.
    pub fn read(&self, agent: &ureq::Agent, node: &Node) {
        let Some(manifest) = self.fetch(agent, node, "/v1/manifest") else { return };
        let Some(Manifest { series, tick, index, bundle, .. }) = self.note(node.name, &manifest)
        else {
            return;
        };
        let index = format!("/v1/index/{}", index.sha256);
        let bundle = bundle.map(|_| format!("/v1/bundles/1/{series}-{tick}"));
        for path in std::iter::once(index).chain(bundle) {
            self.fetch(agent, node, &path);
        }
    }

    /// A file of a node. If the node ran all the time, there must be one.
    fn fetch(&self, agent: &ureq::Agent, node: &Node, path: &str) -> Option<Vec<u8>> {
        let before = node.seat();
        let answer = try_ask(agent, before.api?.public, "GET", path, &[], "");
        let found = match answer {
            Ok(answer) if answer.status == 200 => {
                self.reads.fetch_add(1, Ordering::Relaxed);
                return Some(answer.body);
            }
            Ok(answer) => format!("{}: {}", answer.status, answer.json()),
            Err(error) => error.to_string(),
        };
        if before.serves && node.seat().turn == before.turn {
            self.wrong(format!("node {} serves no {path}: {found}", node.name));
        }
        None
    }

    /// Notes a manifest that a node served.
    fn note(&self, node: &'static str, bytes: &[u8]) -> Option<Manifest> {
        let manifest = self.compare_manifest(node, bytes)?;
        let version = version(&manifest);
        let newest = lock(&self.newest).insert(node, version);
        if let Some(newest) = newest.filter(|newest| *newest > version) {
            self.wrong(format!("node {node} went back from {newest:?} to {version:?}"));
        }
        Some(manifest)
    }

    /// Compares a manifest with what was served under its number before.
    fn compare_manifest(&self, node: &str, bytes: &[u8]) -> Option<Manifest> {
        let manifest = match Manifest::verify_file(bytes, &self.root) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.wrong(format!("node {node} serves a manifest that is none: {error}"));
                return None;
            }
        };
        let version = version(&manifest);
        let mut manifests = lock(&self.manifests);
        if manifests.entry(version).or_insert_with(|| bytes.to_vec()) != bytes {
            self.wrong(format!("{version:?} was published with two contents, one by node {node}"));
        }
        Some(manifest)
    }

    /// Compares every manifest that was served with those that are kept, of which none may be missing.
    pub fn compare(&self, files: &BTreeMap<String, Vec<u8>>) {
        let mut kept = BTreeMap::new();
        for (name, bytes) in files {
            let Some(of) = name.strip_prefix("v1/manifests/") else { continue };
            let Some(manifest) = self.compare_manifest("that keeps it", bytes) else { continue };
            let version = version(&manifest);
            if of != format!("{}-{}", version.series, version.tick) {
                self.wrong(format!("{name} is {version:?}"));
            }
            kept.insert(version, bytes);
        }
        let served = lock(&self.manifests);
        for version in served.keys().filter(|version| !kept.contains_key(version)) {
            self.wrong(format!("{version:?} was served, and is not kept"));
        }
        let ticks: Vec<u32> = kept.keys().map(|version| version.tick).collect();
        if ticks != (1..=ticks.len() as u32).collect::<Vec<_>>() {
            self.wrong(format!("the publications are {ticks:?}"));
        }
    }
}

fn version(manifest: &Manifest) -> Version {
    Version { series: manifest.series, tick: manifest.tick }
}

/// Reads from all nodes in turn until told to stop.
pub fn read_all(witness: &Witness, cluster: &Cluster, is_over: impl Fn() -> bool) {
    let agent = crate::server::agent_for(std::time::Duration::from_secs(60));
    while !is_over() {
        for node in cluster.nodes.iter().filter(|node| node.seat().serves) {
            witness.read(&agent, node);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

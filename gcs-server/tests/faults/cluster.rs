//! Three nodes on one log in PostgreSQL, each a process with a clock of its own and links of its own to the
//! primary and to its standby.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Dice;
use crate::common::process::{program, text};
use crate::namespace::Namespace;
use crate::node::{Node, give_keys, lock};
use crate::pair::Pair;
use crate::rig::Rig;
use crate::server::Server;

/// Seconds by which the clock of a node is off, at most: nodes are to work with that.
const LARGEST_SKEW: u64 = 240;

/// How long nodes may take until they are level after a fault.
const PATIENCE: Duration = Duration::from_secs(90);

const NAMES: [&str; 3] = ["a", "b", "c"];

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub root: String,
    pair: Mutex<Pair>,
    home: TempDir,
}

impl Cluster {
    /// Three nodes of a new deployment; `None`, said aloud, where there is no PostgreSQL. Each may have a network
    /// namespace of its own.
    pub fn begin(dice: &Dice, namespaces: [Option<Namespace>; 3]) -> Option<(Rig, Cluster)> {
        let pair = Pair::begin()?;
        let home = tempfile::tempdir().unwrap();
        let socket = pair.socket();
        let skews = skews(dice);
        let nodes = NAMES.into_iter().zip(skews).zip(namespaces);
        let node =
            |((name, skew), namespace)| Node::new(name, skew, namespace, home.path(), &socket);
        let mut nodes: Vec<Node> = nodes.map(node).collect();
        let first = &mut nodes[0];
        let server = Server::launch(first.command(&[]), "").unwrap();
        let mut rig = Rig::on(&server, &first.folder);
        // Elsewhere than on loopback, reports wait for others.
        server.set("min_reports", json!(1));
        first.operator.clone_from(&rig.operator);
        rig.open(&server, 100);
        let root = server.root.clone();
        first.take(server);
        for at in 1..nodes.len() {
            nodes[at].operator = rig.operator.clone();
            fs::create_dir_all(&nodes[at].folder).unwrap();
            give_keys(&nodes[0].folder, &nodes[at].folder);
            nodes[at].start().unwrap();
        }
        let cluster = Cluster { nodes, root, pair: Mutex::new(pair), home };
        cluster.add_standby();
        cluster.expect_level().unwrap();
        Some((rig, cluster))
    }

    /// A node that can be asked.
    pub fn any(&self, dice: &Dice) -> &Node {
        &self.nodes[dice.below(self.nodes.len() as u64) as usize]
    }

    /// The database servers.
    pub fn pair(&self) -> MutexGuard<'_, Pair> {
        lock(&self.pair)
    }

    /// Gives the primary a standby, if it has none.
    pub fn add_standby(&self) {
        if let Some((at, socket)) = self.pair().add_standby() {
            self.nodes.iter().for_each(|node| node.wires[at].aim(&socket));
        }
    }

    /// Waits until all nodes have the same log, state and publication.
    ///
    /// # Errors
    /// How they differ in the end.
    pub fn expect_level(&self) -> Result<(), String> {
        self.level_within(PATIENCE)
    }

    /// As [`Cluster::expect_level`], within a time.
    ///
    /// # Errors
    /// As [`Cluster::expect_level`].
    pub fn level_within(&self, patience: Duration) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let looks: Vec<Value> = self.nodes.iter().map(Node::look).collect();
            if looks.iter().all(|look| *look == looks[0] && look["digest"].is_string()) {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(format!("the nodes are not level: {looks:#?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What all nodes have published, if that is the same.
    ///
    /// # Errors
    /// How they differ.
    pub fn published(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let [first, others @ ..] = &self.nodes[..] else { return Err("no nodes".into()) };
        let files = first.public();
        for other in others {
            let theirs = other.public();
            let names = files.keys().chain(theirs.keys().filter(|name| !files.contains_key(*name)));
            let different: Vec<&String> =
                names.filter(|name| files.get(*name) != theirs.get(*name)).collect();
            if !different.is_empty() {
                let names = [first.name, other.name];
                return Err(format!("the published files of {names:?} differ: {different:?}"));
            }
        }
        Ok(files)
    }

    /// What the offline commands say of the log and of the published files: `verify-log`, and the digest of a
    /// `rebuild`.
    ///
    /// # Errors
    /// What one of them complains of.
    pub fn look_offline(&self) -> Result<String, String> {
        let folder = tempfile::tempdir_in(self.home.path()).unwrap();
        give_keys(&self.nodes[0].folder, folder.path());
        for (name, bytes) in self.nodes[0].public() {
            let path = folder.path().join("public").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let store = self.pair().log();
        let run = |name: &str| {
            let mut command = program();
            command.arg(name).arg("--data-dir").arg(folder.path()).args(["--store", &store]);
            let output = command.output().unwrap();
            let said = text(&output.stdout);
            if output.status.success() {
                return Ok(said);
            }
            Err(format!("{name}: {said}{}", text(&output.stderr)))
        };
        run("verify-log")?;
        let rebuilt = run("rebuild")?;
        let digest = rebuilt.lines().find_map(|line| line.strip_prefix("digest "));
        digest.map(str::to_owned).ok_or(rebuilt)
    }

    /// How much of the log the first node has applied.
    pub fn position(&self) -> Value {
        self.nodes[0].look()["position"].clone()
    }

    /// Compares the nodes' digest with that of a rebuild.
    ///
    /// # Errors
    /// How they differ.
    pub fn expect_digest(&self, rebuilt: &str) -> Result<(), String> {
        for node in &self.nodes {
            let digest = &node.look()["digest"];
            if digest != rebuilt {
                return Err(format!("node {} has {digest}, a rebuild {rebuilt}", node.name));
            }
        }
        Ok(())
    }

    /// What every node has logged.
    pub fn logged(&self) -> String {
        self.nodes.iter().map(Node::logged).collect()
    }
}

/// A clock that is right, and two that are off, in any order.
fn skews(dice: &Dice) -> [i64; 3] {
    let mut skews = [0; 3];
    let right = dice.below(3) as usize;
    for (at, skew) in skews.iter_mut().enumerate().filter(|(at, _)| *at != right) {
        let size = (LARGEST_SKEW / 2 + dice.below(LARGEST_SKEW / 2 + 1)) as i64;
        *skew = if at % 2 == 0 { size } else { -size };
    }
    skews
}

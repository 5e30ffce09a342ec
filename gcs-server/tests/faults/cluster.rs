//! Three nodes on one log in PostgreSQL, each a process with a clock of its own and links of its own to the
//! primary and to its standby.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Dice;
use crate::common::api::Api;
use crate::common::postgres::Postgres;
use crate::common::process::{program, text};
use crate::namespace::Namespace;
use crate::rig::Rig;
use crate::server::{Server, agent_for, command, command_as, signal, try_operate};
use crate::shim::Shim;
use crate::wire::{Mode, Wire};

/// Seconds by which the clock of a node is off, at most: nodes are to work with that.
const LARGEST_SKEW: u64 = 240;

/// How long nodes may take until they are level after a fault.
const PATIENCE: Duration = Duration::from_secs(90);

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A database server, which is killed with this.
struct Base {
    server: Postgres,
    is_alive: bool,
}

impl Base {
    fn new(server: Postgres) -> Base {
        Base { server, is_alive: true }
    }

    fn kill(&mut self) {
        if std::mem::take(&mut self.is_alive) {
            self.server.kill();
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The primary, its standby if there is one, and on which of the nodes' two links the primary is.
struct Pair {
    primary: Base,
    standby: Option<Base>,
    at: usize,
}

/// What clients know of a node. A request that began and ended in the same turn was made to a node that ran
/// all the time, if `serves` says so.
#[derive(Clone)]
pub struct Seat {
    pub api: Option<Api>,
    pub turn: u64,
    pub serves: bool,
}

pub struct Node {
    pub name: &'static str,
    pub folder: PathBuf,
    pub wires: [Wire; 2],
    /// Where it runs, if not where the tests do.
    pub namespace: Option<Namespace>,
    pub shim: Shim,
    /// Seconds by which its clock is ahead.
    pub skew: i64,
    server: Mutex<Option<Server>>,
    seat: Mutex<Seat>,
    /// The variables in its environment.
    settings: Vec<(&'static str, String)>,
    operator: String,
}

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
        let primary = Postgres::start_one()?;
        primary.execute("postgres", "CREATE DATABASE log");
        let home = tempfile::tempdir().unwrap();
        let sockets = [primary.socket(), primary.socket()];
        let skews = skews(dice);
        let nodes = NAMES.into_iter().zip(skews).zip(namespaces);
        let node =
            |((name, skew), namespace)| Node::new(name, skew, namespace, home.path(), &sockets);
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
        let pair = Pair { primary: Base::new(primary), standby: None, at: 0 };
        let cluster = Cluster { nodes, root, pair: Mutex::new(pair), home };
        cluster.add_standby();
        cluster.expect_level().unwrap();
        Some((rig, cluster))
    }

    /// A node that can be asked.
    pub fn any(&self, dice: &Dice) -> &Node {
        &self.nodes[dice.below(self.nodes.len() as u64) as usize]
    }

    /// Gives the primary a standby, if it has none.
    pub fn add_standby(&self) {
        let mut pair = lock(&self.pair);
        if pair.standby.is_some() {
            return;
        }
        let standby = pair.primary.server.add_standby();
        let other = 1 - pair.at;
        self.nodes.iter().for_each(|node| node.wires[other].aim(&standby.socket()));
        pair.standby = Some(Base::new(standby));
    }

    /// Kills the primary, and some time later makes the standby the primary.
    pub fn lose_primary(&self, pause: Duration) {
        let mut pair = lock(&self.pair);
        let standby = pair.standby.take().expect("there is a standby");
        pair.primary.kill();
        std::thread::sleep(pause);
        standby.server.promote();
        pair.primary = standby;
        pair.at = 1 - pair.at;
    }

    /// Lets the standby stand still for a time: no commit is durable meanwhile.
    pub fn stop_standby(&self, pause: Duration) {
        let pair = lock(&self.pair);
        let Some(standby) = &pair.standby else { return };
        standby.server.signal_children("-STOP");
        std::thread::sleep(pause);
        standby.server.signal_children("-CONT");
    }

    /// From now on the primary does not wait for its standby, which gets nothing.
    pub fn let_standby_lag(&self) {
        let pair = lock(&self.pair);
        let standby = pair.standby.as_ref().expect("there is a standby");
        let alone = ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"];
        alone.iter().for_each(|statement| standby.server.execute("postgres", statement));
        let alone = ["ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"];
        alone.iter().for_each(|statement| pair.primary.server.execute("postgres", statement));
        let wait = "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_replication)
            LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$";
        pair.primary.server.execute("postgres", wait);
    }

    /// Executes statements on the log's database.
    pub fn execute(&self, statements: &str) {
        lock(&self.pair).primary.server.execute("log", statements);
    }

    /// Another database with what is in the log's now, and how a node connects to it.
    pub fn fork(&self) -> String {
        let pair = lock(&self.pair);
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'log'";
        let server = &pair.primary.server;
        server.execute("postgres", "ALTER DATABASE log ALLOW_CONNECTIONS false");
        server.execute("postgres", end);
        server.execute("postgres", "CREATE DATABASE fork TEMPLATE log");
        server.execute("postgres", "ALTER DATABASE log ALLOW_CONNECTIONS true");
        server.text("fork")
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
        let store = lock(&self.pair).primary.server.text("log");
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

fn give_keys(from: &Path, to: &Path) {
    fs::copy(from.join("keys.json"), to.join("keys.json")).unwrap();
}

impl Node {
    fn new(
        name: &'static str,
        skew: i64,
        namespace: Option<Namespace>,
        home: &Path,
        sockets: &[PathBuf; 2],
    ) -> Node {
        let here = namespace.as_ref().map_or(Ipv4Addr::LOCALHOST, Namespace::database);
        let wires = [Wire::new(here, &sockets[0]), Wire::new(here, &sockets[1])];
        let [one, two] = [wires[0].address(), wires[1].address()];
        let shim = Shim::new();
        shim.set_clock(skew);
        let mut settings = shim.settings();
        let store = format!("postgres://test@{one},{two}/log?sslmode=disable");
        settings.push(("GCS_SERVER_STORE", store));
        let seat = Mutex::new(Seat { api: None, turn: 0, serves: false });
        let (folder, server, operator) = (home.join(name), Mutex::default(), String::new());
        Node { name, folder, wires, namespace, shim, skew, server, seat, settings, operator }
    }

    /// The command that starts it, with more variables in its environment.
    fn command(&self, others: &[(&'static str, String)]) -> Command {
        let settings = [&self.settings[..], others].concat();
        match &self.namespace {
            None => command(&self.folder, &settings),
            Some(namespace) => {
                command_as(&namespace.starter(), namespace.address(), &self.folder, &settings)
            }
        }
    }

    pub fn seat(&self) -> Seat {
        lock(&self.seat).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Seat)) {
        let mut seat = lock(&self.seat);
        seat.turn += 1;
        change(&mut seat);
    }

    fn take(&self, server: Server) {
        let api = Api::clone(&server);
        *lock(&self.server) = Some(server);
        self.change(|seat| (seat.api, seat.serves) = (Some(api), true));
    }

    /// Starts it, with or without its log.
    ///
    /// # Errors
    /// What it says if it does not start.
    pub fn start(&self) -> Result<(), String> {
        self.start_with(&[])
    }

    /// As [`Node::start`], with other variables in its environment.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start_with(&self, others: &[(&'static str, String)]) -> Result<(), String> {
        let server = Server::launch(self.command(others), &self.operator)?;
        self.take(server);
        Ok(())
    }

    pub fn kill(&self) {
        self.change(|seat| (seat.api, seat.serves) = (None, false));
        *lock(&self.server) = None;
    }

    /// Stops it for a time, as a machine that is suspended.
    pub fn pause(&self, pause: Duration) {
        let server = lock(&self.server);
        let Some(server) = &*server else { return };
        self.change(|seat| seat.serves = false);
        signal(server.child.id(), "-STOP");
        std::thread::sleep(pause);
        signal(server.child.id(), "-CONT");
        self.change(|seat| seat.serves = true);
    }

    /// How both of its links are from now on.
    pub fn set_wires(&self, mode: Mode) {
        self.wires.iter().for_each(|wire| wire.set(mode));
    }

    pub fn reset_wires(&self) {
        self.wires.iter().for_each(Wire::reset);
    }

    /// What its log, its state and its publication are; null while it does not say.
    fn look(&self) -> Value {
        let Some(api) = self.seat().api else { return Value::Null };
        let ask = |path| try_operate(&api, "GET", path, &Value::Null).map(|answer| answer.json());
        let (Some(digest), Some(mut status)) = (ask("/v1/admin/digest"), ask("/v1/admin/status"))
        else {
            return Value::Null;
        };
        status["digest"] = match digest["position"] == status["position"] {
            true => digest["digest"].clone(),
            false => Value::Null,
        };
        let path = format!("http://{}/v1/manifest", api.public);
        let manifest = agent_for(Duration::from_secs(10)).get(path).call();
        let manifest = manifest.and_then(|mut answer| answer.body_mut().read_to_string());
        status["manifest"] = manifest.map_or(Value::Null, Value::from);
        status
    }

    /// Everything that it has published, by path.
    fn public(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let public = self.folder.join("public");
        let mut folders = vec![public.clone()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&public).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
        files
    }

    /// Does something with its server, if it runs.
    pub fn with<T>(&self, work: impl FnOnce(&Server) -> T) -> Option<T> {
        lock(&self.server).as_ref().map(work)
    }

    fn logged(&self) -> String {
        let logged = self.with(|server| server.logged()).unwrap_or_default();
        format!("\n== node {}, clock {:+} s\n{logged}", self.name, self.skew)
    }
}

pub fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

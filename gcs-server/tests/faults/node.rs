//! One of several nodes: a process with a clock of its own, and links of its own to the primary and to its
//! standby.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::common::api::Api;
use crate::namespace::Namespace;
use crate::server::{Server, agent_for, command, command_as, signal, try_operate};
use crate::shim::Shim;
use crate::wire::{Mode, Wire};

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
    pub operator: String,
}

impl Node {
    /// A node that does not run yet, whose links lead to the primary.
    pub fn new(
        name: &'static str,
        skew: i64,
        namespace: Option<Namespace>,
        home: &Path,
        primary: &Path,
    ) -> Node {
        let here = namespace.as_ref().map_or(Ipv4Addr::LOCALHOST, Namespace::database);
        let wires = [Wire::new(here, primary), Wire::new(here, primary)];
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
    pub fn command(&self, others: &[(&'static str, String)]) -> Command {
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

    /// Lets clients ask its server, which has started.
    pub fn take(&self, server: Server) {
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
    pub fn look(&self) -> Value {
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
        let manifest = agent_for(Duration::from_secs(60)).get(path).call();
        let manifest = manifest.and_then(|mut answer| answer.body_mut().read_to_string());
        status["manifest"] = manifest.map_or(Value::Null, Value::from);
        status
    }

    /// Everything that it has published, by path.
    pub fn public(&self) -> BTreeMap<String, Vec<u8>> {
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

    pub fn logged(&self) -> String {
        let logged = self.with(Server::logged).unwrap_or_default();
        format!("\n== node {}, clock {:+} s\n{logged}", self.name, self.skew)
    }
}

/// Gives a node's folder the keys of another.
pub fn give_keys(from: &Path, to: &Path) {
    fs::copy(from.join("keys.json"), to.join("keys.json")).unwrap();
}

pub fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

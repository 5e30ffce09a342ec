//! An authority of several nodes: servers in processes of their own, on one log in PostgreSQL.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use gcs_core::Date;
use serde_json::Value;
use tempfile::TempDir;

use super::home::files;
use super::postgres::Postgres;
use super::process::{Process, alone};
use super::wait::{until, until_some};

/// An authority whose log is in a database of its own.
pub struct Authority {
    folders: TempDir,
    /// Where the database is.
    pub place: String,
}

impl Authority {
    pub fn new(server: &Postgres) -> Authority {
        Authority { folders: tempfile::tempdir().unwrap(), place: server.database() }
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    pub fn start(&self, name: &str) -> Process {
        Process::start(&self.folder(name), &["--store", &self.place])
    }

    /// A command on the folder of a node.
    pub fn alone(&self, name: &str, command: &[&str]) -> std::process::Output {
        alone(&self.folder(name), &[command, &["--store", &self.place]].concat())
    }

    /// Another node of the authority that `of` began.
    pub fn join(&self, name: &str, of: &Process) -> Process {
        self.give_keys(name);
        self.start(name).with_tokens(&of.operator, &of.backend)
    }

    pub fn give_keys(&self, name: &str) {
        fs::create_dir_all(self.folder(name)).unwrap();
        fs::copy(self.folder("a").join("keys.json"), self.folder(name).join("keys.json")).unwrap();
    }

    pub fn public(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        files(&self.folder(name).join("public"))
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The day before yesterday, and the same after midnight: what is sent again must be the same.
pub fn day() -> Date {
    static DAY: OnceLock<Date> = OnceLock::new();
    *DAY.get_or_init(|| Date::from_days((now() / 86_400 - 2) as u32).unwrap())
}

/// Waits until a node has applied as much of the log as another.
#[track_caller]
pub fn until_level(node: &Process, other: &Process) {
    until("a node has applied as much as another", || position(node) >= position(other));
}

/// How much of the log a node has applied; `None` while it reads it again.
pub fn position(node: &Process) -> Option<u64> {
    node.operate("GET", "/v1/admin/status", Value::Null).json()["position"].as_u64()
}

/// Makes a tick by hand, once the one is published that may just have come by itself, and the log is read.
#[track_caller]
pub fn tick(node: &Process) -> Value {
    until_some("a tick is possible", || {
        let answer = node.operate("POST", "/v1/admin/tick", Value::Null);
        (![409, 503].contains(&answer.status)).then(|| answer.ok())
    })
}

/// Waits until phones can fetch the same publication from both.
#[track_caller]
pub fn until_published(node: &Process, other: &Process) {
    until("two nodes publish the same", || {
        node.get("/v1/manifest").body == other.get("/v1/manifest").body
    });
}

//! System calls of the server that fail, or that lie: they do nothing and say that they succeeded. And its
//! clock, which leaps.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// `fsync`, `read`, `write`, `truncate`, `open`, `rename` or `unlink`.
    pub call: &'static str,
    /// `None`: the call does nothing and says that it succeeded.
    pub error: Option<i32>,
    /// The first call that does, counted from 1.
    pub from: u32,
    /// How many do.
    pub count: u32,
    /// A part of the path of their file, or with a `$` its end.
    pub path: &'static str,
}

impl Order {
    /// Every call from now on.
    pub fn all(call: &'static str, error: Option<i32>, path: &'static str) -> Order {
        Order { call, error, from: 1, count: u32::MAX, path }
    }
}

/// A library that stands between a server and the system.
pub struct Shim {
    folder: TempDir,
}

impl Shim {
    /// Builds it.
    pub fn new() -> Shim {
        let folder = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
        let library = folder.path().join("shim.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().unwrap().success(), "cc cannot build shim.c");
        Shim { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The environment of a server that obeys the orders.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).into_os_string().into_string().unwrap();
        vec![
            ("LD_PRELOAD", path("shim.so")),
            ("FAULT_ORDER", path("order")),
            ("FAULT_HITS", path("hits")),
            ("FAULT_CLOCK", path("clock")),
        ]
    }

    /// From now on calls fail by this order, and by no other.
    pub fn order(&self, order: Order) {
        static ID: AtomicU32 = AtomicU32::new(1);
        let id = ID.fetch_add(1, Ordering::Relaxed);
        let Order { call, error, from, count, path } = order;
        let error = error.unwrap_or(0);
        let line = format!("{id} {call} {error} {from} {count} {path}\n");
        self.write("order", &line);
    }

    /// From now on the clock is so many seconds ahead; behind, if they are negative.
    pub fn set_clock(&self, ahead: i64) {
        self.write("clock", &ahead.to_string());
    }

    fn write(&self, name: &str, text: &str) {
        // By a new name first: a server may be reading it.
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// How many calls have failed since the last time.
    pub fn hits(&self) -> u64 {
        fs::metadata(self.path("hits")).map_or(0, |hits| hits.len())
    }

    /// From now on no call fails. Returns how many have since the last time.
    pub fn clear(&self) -> u64 {
        let _none = fs::remove_file(self.path("order"));
        let hits = self.hits();
        let _none = fs::remove_file(self.path("hits"));
        hits
    }
}

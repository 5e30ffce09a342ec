//! Faults of processes, disks and power, on the real program under load: what was acknowledged is
//! there afterwards, and nothing else.
//!
//! | module | what |
//! |---|---|
//! | `books` | what clients were told, kept as Jepsen keeps it, and what must be so after a fault |
//! | `rig` | a deployment, and load on it |
//! | `watch` | how far the load has come |
//! | `phone` | what a client that syncs sees |
//! | `server` | the program in a process of its own |
//! | `disk` | file systems of their own, whose power can be cut |
//! | `shim` | system calls that fail, or lie, and a clock that leaps |
//! | `check` | the comparison of a server with the books |
//! | `kills`, `cuts`, `calls`, `full`, `clocks` | the faults |
//! | `lies` | faults that are planted, which the harness must find |
//! | `cluster`, `node`, `pair` | three nodes on one log in PostgreSQL, which has a standby |
//! | `wire`, `namespace` | links to the database that fail: of the tests' own, and of the system |
//! | `traffic`, `witness` | load on several nodes, and what they ever served |
//! | `nodes`, `schedule` | the faults of several nodes, and which of them come when |
//! | `splits` | faults of several nodes that are planted |
//!
//! A run prints its seed. `FAULT_SEED` repeats the choices of a run, though not its timing.
//! `FAULT_ROUNDS` is the number of rounds, for long runs: `FAULT_ROUNDS=1000 cargo test --release
//! -p gcs-server --test faults -- --nocapture kills`. A round in which fewer than 100 reports were
//! acknowledged before the fault is void: it is not counted, and another one takes its place.

#![cfg(target_os = "linux")]
#![allow(
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

#[path = "../all/common"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod common {
    pub mod api;
    pub mod postgres;
    pub mod process;
    pub mod wait;
    pub mod wal;
}

mod books;
mod calls;
mod check;
mod clocks;
mod cluster;
mod cuts;
mod disk;
mod full;
mod kills;
mod lies;
mod namespace;
mod node;
mod nodes;
mod pair;
mod phone;
mod rig;
mod schedule;
mod server;
mod shim;
mod splits;
mod traffic;
mod watch;
mod wire;
mod witness;

use gcs_server::random::Random;

/// Least number of reports that must be acknowledged before a fault.
const LEAST_LOAD: usize = 100;

/// Number of rounds: `FAULT_ROUNDS`, or as many as a test of every change has time for.
fn rounds(usual: usize) -> usize {
    let set = std::env::var("FAULT_ROUNDS").ok();
    set.map_or(usual, |set| set.parse().expect("FAULT_ROUNDS is a number"))
}

/// Whether somebody wants to see how far a long run is.
fn is_long() -> bool {
    std::env::var_os("FAULT_ROUNDS").is_some()
}

/// Chance that can be repeated.
struct Dice(Random);

impl Dice {
    /// By `FAULT_SEED`, or by the time; the seed is printed.
    fn new(name: &str) -> Dice {
        let set = std::env::var("FAULT_SEED").ok();
        let set = set.map(|set| set.parse().expect("FAULT_SEED is a number"));
        let seed = set.unwrap_or_else(|| server::now() ^ u64::from(std::process::id()) << 32);
        println!("{name}: FAULT_SEED={seed}");
        Dice(Random::seeded(seed))
    }

    fn seeded(seed: u64) -> Dice {
        Dice(Random::seeded(seed))
    }

    /// Chance for a thread of its own, so that how threads take turns changes nothing.
    fn child(&self) -> Dice {
        Dice::seeded(self.below(u64::MAX))
    }

    /// A number below `most`.
    fn below(&self, most: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes().unwrap()) % most.max(1)
    }

    fn bytes(&self) -> [u8; 32] {
        self.0.bytes().unwrap()
    }
}

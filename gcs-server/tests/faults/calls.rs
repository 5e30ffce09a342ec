//! System calls that fail, one after the other, below the store and below the published files:
//! nothing is acknowledged that is not durable, reads go on, and the server goes on when the fault
//! is over, or ends with a text that says what is so.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::books::{Fate, Findings};
use crate::rig::{Beside, Rig, send, tick_briefly};
use crate::server::{Server, agent};
use crate::shim::{Order, Shim};
use crate::watch::Watch;
use crate::{Dice, rounds};

/// The input or output failed.
const EIO: i32 = 5;

/// There is no space left.
const ENOSPC: i32 = 28;

/// Calls, and the ends or parts of the paths of their files.
type Calls = [(&'static str, &'static str)];

/// What a running server calls for every report or tick.
const RUNNING: &Calls = &[
    ("fsync", "log.sqlite-wal$"),
    ("write", "log.sqlite-wal$"),
    ("fsync", "witness$"),
    ("write", "witness$"),
    ("fsync", "/public"),
    ("write", "/public"),
    ("rename", "/public"),
    ("open", "/public"),
    ("fsync", "/private"),
    ("rename", "/private"),
];

/// What it calls for some reports out of many: it moves the write-ahead log into the database.
const UNDER_LOAD: &Calls = &[
    ("fsync", "log.sqlite-wal$"),
    ("write", "log.sqlite-wal$"),
    ("fsync", "log.sqlite$"),
    ("write", "log.sqlite$"),
    ("read", "log.sqlite-wal$"),
];

/// What a start calls.
const START: &Calls = &[
    ("open", "log.sqlite$"),
    ("open", "log.sqlite-wal$"),
    ("read", "log.sqlite$"),
    ("read", "log.sqlite-wal$"),
    ("write", "log.sqlite$"),
    ("fsync", "log.sqlite$"),
    ("fsync", "log.sqlite-wal$"),
    ("truncate", "log.sqlite-wal$"),
    ("open", "witness$"),
    ("open", "/p"),
    ("read", "/p"),
    ("fsync", "/p"),
    ("open", "keys.json$"),
    ("open", "lock$"),
];

/// How long a fault may have an effect when it is over: the longest pause before a publication is
/// tried again, and the work.
const PATIENCE: Duration = Duration::from_secs(60);

/// The orders of a sweep: all, or as many as are wanted, chosen by the dice.
fn orders(dice: &Dice, wanted: usize, calls: &Calls, most: u32) -> Vec<Order> {
    let mut orders = Vec::new();
    for from in 1..=most {
        for (call, path) in calls {
            for error in [EIO, ENOSPC] {
                for count in [1, u32::MAX] {
                    orders.push(Order { call, error: Some(error), from, count, path });
                }
            }
        }
    }
    while orders.len() > wanted {
        orders.swap_remove(dice.below(orders.len() as u64) as usize);
    }
    orders
}

/// What a sweep came to.
#[derive(Default)]
struct Tally {
    /// Orders by which no call failed: they are not counted.
    void: usize,
    done: usize,
    refused: usize,
    findings: Findings,
}

impl Tally {
    fn count(&mut self, hits: u64) {
        if hits > 0 { self.done += 1 } else { self.void += 1 }
    }

    fn expect_well(&mut self, findings: &Findings, order: Order, server: &Server) {
        assert!(findings.is_well(), "{order:?}: {findings}\n{}", server.logged());
        self.findings.add(findings);
    }
}

#[test]
fn no_failing_call_under_a_running_server_loses_anything() {
    let (dice, shim) = (Dice::new("calls"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = Rig::begin(home.path(), &[]).unwrap();
    server.stop().unwrap();
    let mut server = rig.start(&shim.settings()).unwrap();
    let mut tally = Tally::default();
    for order in orders(&dice, rounds(8), RUNNING, 40) {
        rig.open(&server, 100);
        shim.order(order);
        exercise(&mut rig, &server, &dice, || shim.hits() > 0);
        tally.count(shim.clear());
        assert!(server.is_alive(), "{order:?}: {}", server.logged());
        goes_on(&mut rig, &server, &dice, order);
        if dice.below(4) == 0 {
            server.kill();
            let started = rig.start(&shim.settings());
            server = started.unwrap_or_else(|error| panic!("{order:?}: {error}"));
            tally.expect_well(&rig.check(&server, &dice), order, &server);
        }
    }
    let findings = rig.finish(server, &dice);
    assert!(findings.is_well(), "{findings}");
    tally.findings.add(&findings);
    println!("calls: {} done, {} void; {}", tally.done, tally.void, tally.findings);
    assert!(tally.done > 0, "no call failed");
}

/// Reports and ticks until a call has failed, and some more. The answers are in the books.
fn exercise(rig: &mut Rig, server: &Server, dice: &Dice, has_failed: impl Fn() -> bool) {
    let agent = agent();
    let mut left = 15;
    while left > 0 {
        for _ in 0..4 {
            let report = rig.draw(dice);
            let fate = Fate::of(send(&agent, server, &report).as_ref());
            assert!(!matches!(fate, Fate::Refused(_)), "{fate:?}\n{}", server.logged());
            rig.note(report, fate);
        }
        let _answer_or_none = tick_briefly(server);
        assert_eq!(server.get("/v1/manifest").status, 200, "{}", server.logged());
        left = if has_failed() { left.min(2) - 1 } else { left - 1 };
    }
}

/// The first report after a fault is accepted, and a tick is published.
fn goes_on(rig: &mut Rig, server: &Server, dice: &Dice, order: Order) {
    let report = rig.draw(dice);
    let fate = Fate::of(send(&agent(), server, &report).as_ref());
    let is_accepted = matches!(fate, Fate::Acknowledged(_));
    assert!(is_accepted, "{order:?}: {fate:?}\n{}", server.logged());
    rig.note(report, fate);
    let began = Instant::now();
    loop {
        let ticked = server.try_operate("POST", "/v1/admin/tick", &Value::Null);
        if ticked.is_some_and(|ticked| ticked.status == 200) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{order:?}: no tick\n{}", server.logged());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Many reports at once, in one batch of which some call fails.
#[test]
fn no_failing_call_under_load_loses_anything() {
    let (dice, shim) = (Dice::new("calls under load"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = Rig::begin(home.path(), &[]).unwrap();
    server.stop().unwrap();
    let mut server = rig.start(&shim.settings()).unwrap();
    let mut tally = Tally::default();
    for order in orders(&dice, rounds(3), UNDER_LOAD, 40) {
        let mut hits = 0;
        let fail = |watch: &Watch| {
            watch.until(50);
            shim.order(order);
            // Until all that are ready are sent, if none is accepted any more.
            watch.until(350);
            hits = shim.clear();
        };
        rig.load(&server, &dice, Beside { ticks: true, retractions: 2 }, fail);
        tally.count(hits);
        assert!(server.is_alive(), "{order:?}: {}", server.logged());
        goes_on(&mut rig, &server, &dice, order);
        server.kill();
        let started = rig.start(&shim.settings());
        server = started.unwrap_or_else(|error| panic!("{order:?}: {error}"));
        tally.expect_well(&rig.check(&server, &dice), order, &server);
    }
    let findings = rig.finish(server, &dice);
    assert!(findings.is_well(), "{findings}");
    println!("calls under load: {} done, {} void; {}", tally.done, tally.void, tally.findings);
}

/// A start on which a call fails succeeds or says why not, and the next one finds everything.
#[test]
fn no_failing_call_under_a_start_loses_anything() {
    let (dice, shim) = (Dice::new("calls at a start"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, mut server) = Rig::begin(home.path(), &[]).unwrap();
    let mut tally = Tally::default();
    for order in orders(&dice, rounds(8), START, 4) {
        rig.open(&server, 100);
        exercise(&mut rig, &server, &dice, || true);
        server.kill();
        shim.order(order);
        let started = rig.start(&shim.settings());
        tally.count(shim.clear());
        if let Err(said) = &started {
            tally.refused += 1;
            let ended = said.starts_with("exit status: 1: ") && said.contains("gcs-server: ");
            let is_clear =
                (ended || said.starts_with("serves files alone: ")) && !said.contains("panicked");
            assert!(is_clear, "{order:?}: {said}");
        }
        drop(started);
        server = rig.start(&[]).unwrap_or_else(|error| panic!("after {order:?}: {error}"));
        tally.expect_well(&rig.check(&server, &dice), order, &server);
    }
    let Tally { void, done, refused, findings } = tally;
    println!("calls at a start: {done} done, {void} void, {refused} starts refused; {findings}");
}

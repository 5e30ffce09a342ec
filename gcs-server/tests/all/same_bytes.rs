//! Whatever happened to the log, every node publishes the same bytes under the same names.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;

use crate::common::api::{ask, seed};
use crate::common::authority::{Authority, day, position, tick, until_level, until_published};
use crate::common::postgres::{execute, postgres};
use crate::common::process::{Process, alone, text, until_ticked};
use crate::common::wait::until;

/// Every file that two nodes have under one name is the same, and both have what the last manifest needs.
fn assert_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) {
    let differ: Vec<&String> = one
        .iter()
        .filter(|(name, bytes)| other.get(*name).is_some_and(|there| there != *bytes))
        .map(|(name, _)| name)
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
    assert!(one.contains_key("v1/manifest"), "{:?}", one.keys());
}

/// Some reports, each with a publication of its own.
fn live(node: &Process, codes: &[String], first: u8) {
    for (code, number) in codes.iter().zip(first..) {
        node.report(code, vec![seed(day(), number)]).ok();
        tick(node);
    }
}

/// The log has lost ticks that phones have seen; one node has recovered it, another has what was published
/// before, and a third has nothing.
#[test]
fn after_a_recovery_old_and_new_nodes_publish_the_same() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let operator = a.operator.clone();
    let b = authority.join("b", &a);
    b.until_ready();
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 12);
    live(&a, &codes[..3], 1);
    let end = position(&a).unwrap();
    live(&a, &codes[3..6], 20);
    until_level(&b, &a);
    until_published(&b, &a);
    for node in [a, b] {
        node.stop();
    }
    execute(&authority.place, &format!("DELETE FROM gcs_batch WHERE first > {end}"));
    let recovered = authority.alone("a", &["recover", "--yes"]);
    assert!(recovered.status.success(), "{}", text(&recovered.stderr));

    let a = authority.start("a").with_tokens(&operator, "");
    a.until_ready();
    live(&a, &codes[6..8], 40);
    let b = authority.start("b").with_tokens(&operator, "");
    let c = authority.join("c", &a);
    for node in [&b, &c] {
        node.until_ready();
        until_published(node, &a);
    }
    live(&c, &codes[8..10], 60);
    for node in [&a, &b] {
        until_published(node, &c);
    }
    let d = authority.join("d", &a);
    d.until_ready();
    until_published(&d, &c);
    for node in [a, b, c, d] {
        node.stop();
    }
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| authority.public(name));
    for other in [&b, &c, &d] {
        assert_same(&a, other);
        assert_same(other, &a);
    }
}

/// A log in a file that was put back from a copy, and goes on in a database, which another node joins.
#[test]
fn after_a_restore_and_a_move_a_new_node_publishes_the_same() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let folder = authority.folder("a");
    let a = Process::start(&folder, &[]);
    until_ticked(&a);
    let operator = a.operator.clone();
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 12);
    live(&a, &codes[..3], 1);
    let copy = authority.folder("copy");
    let copied = a.run(&operator, &["backup", "--to", copy.to_str().unwrap()]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    live(&a, &codes[3..6], 20);
    a.stop();
    let copy = copy.join("log.sqlite");
    let restored = alone(&folder, &["restore", copy.to_str().unwrap(), "--yes"]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let a = Process::start(&folder, &[]).with_tokens(&operator, "");
    a.until_ready();
    live(&a, &codes[6..8], 40);
    a.stop();
    let moved = alone(&folder, &["move-log", "--to", &authority.place]);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    let a = authority.start("a").with_tokens(&operator, "");
    let b = authority.join("b", &a);
    b.until_ready();
    until_published(&b, &a);
    live(&b, &codes[8..10], 60);
    until_published(&a, &b);
    for node in [a, b] {
        node.stop();
    }
    let [a, b] = ["a", "b"].map(|name| authority.public(name));
    assert_same(&a, &b);
    assert_same(&b, &a);
}

/// A node has read a tick, and could not publish it; the one that has published it is gone when the log has lost
/// it.
#[test]
fn a_lost_tick_that_another_node_may_have_published_is_not_made_again() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let b = authority.join("b", &a);
    b.until_ready();
    until_published(&b, &a);
    let end = position(&a).unwrap();
    // No index can be written.
    let index = authority.folder("b").join("public/v1/index");
    fs::rename(&index, index.with_extension("away")).unwrap();
    fs::write(&index, "").unwrap();
    tick(&a);
    until_level(&b, &a);
    a.stop();
    execute(&authority.place, &format!("DELETE FROM gcs_batch WHERE first > {end}"));
    let said = || text(&ask(b.private, "GET", "/readyz", &[], "").body);
    until("/readyz says what to do", || said().contains("gcs-server recover"));
    assert_eq!(b.get("/v1/manifest").status, 200);
    b.stop();
}

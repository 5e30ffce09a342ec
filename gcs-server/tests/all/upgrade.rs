//! Nodes of two releases on one log: the older one reads an event that it does not know.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use crate::common::api::{ask, seed};
use crate::common::authority::{day, now};
use crate::common::postgres::{Postgres, execute, url};
use crate::common::process::{Process, text, until_ticked};
use crate::common::wait::until;
use crate::common::{make_newer, seal};
use gcs_core::Digest;
use gcs_server::domain::events::ClockResumed;
use gcs_server::store::{PostgresStore, Store as _};
use serde_json::Value;

fn start(folder: &Path, place: &str) -> Process {
    Process::start(folder, &["--store", place])
}

fn said(node: &Process, path: &str) -> String {
    text(&ask(node.private, "GET", path, &[], "").body)
}

/// Writes an event of a kind that no release has, as a newer one does; its position.
fn write_newer(place: &str) -> u64 {
    let mut store = PostgresStore::open(url(place)).unwrap();
    let last = store.last().unwrap();
    let head = store.read(last, 1).unwrap().pop().unwrap().events.pop().unwrap();
    let head = Digest::of(&head.header).0;
    let mut batch = seal(last, head, &[ClockResumed {}.into()], now());
    make_newer(&mut batch, 900, 1);
    store.append(&batch).unwrap();
    last + 1
}

/// What a newer release has written stops nodes of the older one, and nothing is lost by that: they serve
/// files, and what they keep in their spools is judged by the next release that knows the event.
#[test]
fn a_node_of_the_older_release_serves_files_and_keeps_its_spool() {
    let Some(server) = Postgres::start_one() else { return };
    let place = server.database();
    let folders = tempfile::tempdir().unwrap();
    let [one, two] = ["a", "b"].map(|name| folders.path().join(name));
    let a = start(&one, &place);
    until_ticked(&a);
    let operator = a.operator.clone();
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 3);
    a.report(&codes[0], vec![seed(day(), 1)]).ok();
    fs::create_dir(&two).unwrap();
    fs::copy(one.join("keys.json"), two.join("keys.json")).unwrap();
    let b = start(&two, &place).with_tokens(&operator, "");
    b.until_ready();

    // One node is stopped with a report in its spool, the other one runs.
    server.kill();
    let kept = a.report(&codes[1], vec![seed(day(), 2)]);
    assert_eq!(kept.status, 202);
    a.signal("-KILL");
    drop(a);
    let _server = server.again();
    b.until_ready();
    let newer = write_newer(&place);
    let a = start(&one, &place).with_tokens(&operator, "");
    for node in [&a, &b] {
        until("/readyz says why", || said(node, "/readyz").contains("newer release"));
        let read_only = (503, "read_only".to_owned());
        assert_eq!(node.report(&codes[2], vec![seed(day(), 3)]).refused(), read_only);
        assert_eq!(node.operate("POST", "/v1/admin/tick", Value::Null).refused(), read_only);
        assert_eq!(node.get("/v1/manifest").status, 200);
    }
    assert!(said(&a, "/metrics").contains("gcs_spool_waiting 1\n"));
    for node in [a, b] {
        node.stop();
    }

    // To a release that knows the event, the log is as if it were not there.
    execute(&place, &format!("DELETE FROM gcs_batch WHERE first = {newer}"));
    let a = start(&one, &place).with_tokens(&operator, "");
    a.until_ready();
    let tracking = kept.ok()["tracking_id"].as_str().unwrap().to_owned();
    assert_eq!(a.get(&format!("/v1/reports/{tracking}")).ok()["status"], "held");
    a.report(&codes[2], vec![seed(day(), 3)]).ok();
    assert_eq!(a.status()["reports"], 3);
}

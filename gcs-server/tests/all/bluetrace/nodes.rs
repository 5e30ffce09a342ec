//! BlueTrace on several nodes of one log.

#![cfg(unix)]

use std::fs;

use serde_json::{Value, json};

use crate::common::api::{Answer, ask, bearer};
use crate::common::authority::Authority;
use crate::common::postgres::postgres;
use crate::common::process::{Process, until_ticked};

/// A node whose passwords come to a file of all.
fn start(authority: &Authority, name: &str) -> Process {
    let sender = format!("file:{}", authority.folder("passwords").display());
    let flags = ["--bluetrace", "SG_OTC", "--bluetrace-sender", &sender];
    let store = ["--store", &authority.place];
    Process::start(&authority.folder(name), &[&store[..], &flags].concat())
}

fn post(node: &Process, path: &str, body: &Value) -> Answer {
    ask(node.public, "POST", path, &[], &body.to_string())
}

fn of(node: &Process, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    ask(node.public, method, path, &[bearer(token)], &body.to_string())
}

#[test]
fn what_a_user_does_on_one_node_every_node_knows() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = start(&authority, "a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 1);
    authority.give_keys("b");
    // Before it starts, or it makes another one.
    let key = |name: &str| authority.folder(name).join("bluetrace.key");
    fs::copy(key("a"), key("b")).unwrap();
    let b = start(&authority, "b").with_tokens(&a.operator, &a.backend);

    // The challenge of one node is good on another.
    let number = "+6591234567";
    let sent = post(&a, "/bluetrace/v1/passwords", &json!({ "number": number })).ok();
    let line = fs::read_to_string(authority.folder("passwords")).unwrap();
    let password = line.trim().rsplit(' ').next().unwrap();
    let body = json!({ "number": number, "challenge": sent["challenge"], "password": password });
    let user = post(&b, "/bluetrace/v1/users", &body).ok();
    let token = user["token"].as_str().unwrap();
    let ids = |node| of(node, token, "GET", "/bluetrace/v1/temp-ids", &Value::Null).ok();
    // Unless a quarter of an hour ends just now.
    let same = (0..3).any(|_| ids(&a)["tempIDs"] == ids(&b)["tempIDs"]);
    assert!(same);
    let code = json!({ "code": codes[0] });
    let upload = of(&a, token, "POST", "/bluetrace/v1/upload-tokens", &code).ok();
    let file = json!({ "token": upload["token"], "records": [{ "timestamp": 1, "msg": null }] });
    let done = of(&b, token, "POST", "/bluetrace/v1/uploads", &file).ok();
    assert_eq!(of(&a, token, "POST", "/bluetrace/v1/uploads", &file).ok(), done);

    let withdrawn = of(&b, token, "POST", "/bluetrace/v1/withdrawal", &Value::Null);
    assert_eq!(withdrawn.status, 204);
    // Another node follows within seconds, and at once where it judges.
    assert_eq!(of(&a, token, "POST", "/bluetrace/v1/withdrawal", &Value::Null).status, 401);
    super::until(|| of(&a, token, "GET", "/bluetrace/v1/pin", &Value::Null).status == 401);
    for node in [a, b] {
        node.stop();
    }
}

#[test]
fn a_node_without_the_key_file_serves_no_users() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = start(&authority, "a");
    until_ticked(&a);
    a.operate("POST", "/bluetrace/v1/admin/tracer-token", Value::Null).ok();
    authority.give_keys("b");
    let b = start(&authority, "b").with_tokens(&a.operator, &a.backend);
    // It says so, once it has read the log.
    let ready = || ask(b.private, "GET", "/readyz", &[], "").json()["detail"].to_string();
    super::until(|| ready().contains("bluetrace.key"));
    let number = json!({ "number": "+6591234567" });
    let refused = post(&b, "/bluetrace/v1/passwords", &number).refused();
    assert_eq!(refused, (503, "bluetrace_keys".to_owned()));
    post(&a, "/bluetrace/v1/passwords", &number).ok();
    for node in [a, b] {
        node.stop();
    }
}

//! Health authorities in processes of their own: with two nodes, and with certificates of an authority of their own.

#![cfg(unix)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::until;
use crate::common::api::{ask, bearer};
use crate::common::authority::{Authority, now, until_level};
use crate::common::postgres::postgres;
use crate::common::process::{Process, program, until_ticked};
use crate::tls;

const AUTHORITIES: &str = "/bluetrace/v1/admin/authorities";
const BATCHES: &str = "/bluetrace/v1/federation/batches";

/// Codes, and so batches.
const CODES: u32 = 12;

/// The flags of an authority whose passwords come to a file.
fn flags(hai: &str, passwords: &Path) -> [String; 4] {
    let sender = format!("file:{}", passwords.display());
    ["--bluetrace".into(), hai.into(), "--bluetrace-sender".into(), sender]
}

/// What an operator is shown of other authorities.
fn list(of: &Process) -> Value {
    of.operate("GET", AUTHORITIES, Value::Null).ok()
}

/// Enters another authority.
fn enter(at: &Process, other: &Process, hai: &str, url: &str) {
    let entry = json!({ "url": url, "key": list(other)["key"] });
    assert_eq!(at.operate("PUT", &format!("{AUTHORITIES}/{hai}"), entry).status, 204);
}

/// A user's token.
fn register(at: &Process, passwords: &Path) -> String {
    let number = json!({ "number": "+6591234567" });
    let sent = ask(at.public, "POST", "/bluetrace/v1/passwords", &[], &number.to_string()).ok();
    let line = fs::read_to_string(passwords).unwrap();
    let password = line.trim().rsplit(' ').next().unwrap();
    let body = json!({
        "number": number["number"], "challenge": sent["challenge"], "password": password
    });
    let user = ask(at.public, "POST", "/bluetrace/v1/users", &[], &body.to_string()).ok();
    user["token"].as_str().unwrap().to_owned()
}

/// Uploads, for each code, what a phone of New Zealand may have sent.
fn upload(at: &Process, passwords: &Path) {
    let (_, provider) = at.provider("City hospital");
    let token = register(at, passwords);
    let post = |path: &str, body: Value| {
        ask(at.public, "POST", path, &[bearer(&token)], &body.to_string()).ok()
    };
    for code in at.codes(&provider, CODES) {
        let upload = post("/bluetrace/v1/upload-tokens", json!({ "code": code }));
        let heard = json!({ "timestamp": now(), "msg": "overheard", "org": "NZ_MOH", "rssi": -60 });
        let file = json!({ "token": upload["token"], "records": [heard], "events": [] });
        assert_eq!(post("/bluetrace/v1/uploads", file)["other_authority"], 1);
    }
}

/// Batches that are answered 200.
fn answered(at: &Process) -> u64 {
    let metrics = ask(at.private, "GET", "/metrics", &[], "");
    let metrics = String::from_utf8(metrics.body).unwrap();
    let is_it = |line: &&str| line.contains(BATCHES) && line.contains(r#"status="200""#);
    let count = metrics.lines().find(is_it).and_then(|line| line.rsplit(' ').next());
    count.map_or(0, |count| count.parse().unwrap())
}

/// Connections to a server on which something has come that it has not read. A node has one connection to another
/// authority.
fn requests_waiting(server: SocketAddr) -> usize {
    let port = format!(":{:04X}", server.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let is_one = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, queues, ..] = fields[..] else { panic!("{line}") };
        let is_open = local.ends_with(&port) && state == "01";
        is_open && !queues.ends_with(":00000000")
    };
    table.lines().skip(1).filter(is_one).count()
}

/// Both send what waits, and neither knows of the other.
#[test]
fn what_two_nodes_send_at_once_is_judged_once() {
    let Some(server) = postgres() else { return };
    let sg = Authority::new(server);
    let passwords = sg.folder("passwords");
    let flags_of = |hai: &str| flags(hai, &passwords);
    let start = |name: &str| {
        let flags = flags_of("SG_OTC");
        let store = ["--store", &sg.place].into_iter();
        let all: Vec<&str> = store.chain(flags.iter().map(String::as_str)).collect();
        Process::start(&sg.folder(name), &all)
    };
    let a = start("a");
    until_ticked(&a);
    upload(&a, &passwords);
    sg.give_keys("b");
    let key = |name: &str| sg.folder(name).join("bluetrace.key");
    fs::copy(key("a"), key("b")).unwrap();
    let b = start("b").with_tokens(&a.operator, &a.backend);
    until_ticked(&b);
    let nz = flags_of("NZ_MOH");
    let nz = Process::start(&sg.folder("nz"), &nz.each_ref().map(String::as_str));
    until_ticked(&nz);

    enter(&nz, &a, "SG_OTC", "http://127.0.0.1:9");
    let (known, key) = (format!("{AUTHORITIES}/NZ_MOH"), list(&nz)["key"].clone());
    // It stands still until both have sent the first one.
    nz.signal("-STOP");
    let entered = a.operate("PUT", &known, json!({ "url": nz.public_url(), "key": key }));
    assert_eq!(entered.status, 204);
    until_level(&b, &a);
    until(|| requests_waiting(nz.public) == 2);
    nz.signal("-CONT");
    let entry = |of: &Process| list(of)["authorities"][0].clone();
    for node in [&a, &b] {
        until(|| entry(node)["waiting"] == 0);
        assert_eq!(entry(node)["error"], Value::Null, "{}", node.logged());
    }
    let received = entry(&nz);
    assert_eq!((&received["received"], &received["records"]), (&json!(CODES), &json!(CODES)));
    let copies = answered(&nz);
    assert!(copies > u64::from(CODES), "only one node has sent: {copies}");
    // Each answer is in the log once, and both nodes have come to the same.
    let digest = |of: &Process| of.operate("GET", "/v1/admin/digest", Value::Null).ok();
    until(|| digest(&a) == digest(&b));
    for node in [a, b, nz] {
        node.stop();
    }
}

/// `SSL_CERT_FILE` names whom a server trusts when it sends something to another authority.
#[test]
fn a_certificate_of_an_authority_of_its_own_is_trusted_where_it_is_named() {
    let home = tempfile::tempdir().unwrap();
    let passwords = home.path().join("passwords");
    let certificates = tls::Authority::new();
    certificates.issue();
    let file = |name: &str| certificates.path(name).display().to_string();
    let mut with_tls = flags("NZ_MOH", &passwords).to_vec();
    with_tls.extend(["--tls-cert".into(), file("cert.pem"), "--tls-key".into(), file("key.pem")]);
    let with_tls: Vec<&str> = with_tls.iter().map(String::as_str).collect();
    let nz = Process::start(&home.path().join("nz"), &with_tls);
    nz.until_ready();
    let sg = flags("SG_OTC", &passwords);
    let sg = sg.each_ref().map(String::as_str);
    let start = |trusted: &tls::Authority| {
        let mut program = program();
        program.env("SSL_CERT_FILE", trusted.path("ca.pem"));
        Process::start_program(&[], program, &home.path().join("sg"), &sg)
    };
    let entry = |of: &Process| list(of)["authorities"][0].clone();

    let others = tls::Authority::new();
    let stranger = start(&others);
    stranger.until_ready();
    upload(&stranger, &passwords);
    enter(&nz, &stranger, "SG_OTC", "http://127.0.0.1:9");
    enter(&stranger, &nz, "NZ_MOH", &format!("https://localhost:{}", nz.public.port()));
    until(|| entry(&stranger)["failures"].as_u64() > Some(0));
    let error = entry(&stranger)["error"].to_string();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!((&entry(&stranger)["waiting"], answered(&nz)), (&json!(CODES), 0));
    let operator = stranger.operator.clone();
    stranger.stop();

    let trusting = start(&certificates).with_tokens(&operator, "");
    trusting.until_ready();
    until(|| entry(&trusting)["waiting"] == 0);
    assert_eq!(answered(&nz), u64::from(CODES));
    trusting.stop();
    nz.stop();
}

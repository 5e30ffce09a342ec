//! Several nodes on one log in PostgreSQL: servers in processes of their own, and commands beside them.

#![cfg(unix)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::api::{Answer, ask, bearer, seed};
use crate::common::authority::{Authority, day, now, position, tick, until_level, until_published};
use crate::common::postgres::{Postgres, execute, postgres, url};
use crate::common::process::{Process, alone, complaint, program, text, until_ticked};
use crate::common::wait::{until, until_async};
use crate::common::{begin, fold, keys, policy, seal};
use crate::kinds::{gaen, interval};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use gcs_core::files::ExportList;
use gcs_core::report::Item;
use gcs_server::clock::{Clock, Machine};
use gcs_server::domain::judge::{self, Decision};
use gcs_server::domain::problem::Problem;
use gcs_server::node::Node;
use gcs_server::random::Random;
use gcs_server::store::{PostgresStore, Store as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[test]
fn what_one_node_accepts_every_node_knows_and_publishes() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 4);
    a.set("kinds", json!(["dp3t-low-cost", "dp3t-unlinkable", "gaen"]));
    a.set("seeds", json!(["dp3t-low-cost"]));
    let exports = json!({ "region": "NL", "interval": 3600, "key_id": "204", "key_version": "v1" });
    a.set("exports", exports);
    let b = authority.join("b", &a);

    let key = Item::Gaen(gaen(interval(day(), 0), 144, 1));
    let items = || vec![seed(day(), 1), serde_json::to_value(&key).unwrap()];
    let first = a.report(&codes[0], items()).ok();
    // Wherever it is sent again.
    assert_eq!(b.report(&codes[0], items()).ok(), first);
    let other = b.report(&codes[0], vec![seed(day(), 2)]);
    assert_eq!(other.refused(), (409, "code_used".to_owned()));
    b.report(&codes[1], vec![seed(day(), 3)]).ok();
    tick(&a);
    until_level(&b, &a);
    until_published(&b, &a);
    b.report(&codes[2], vec![seed(day(), 4)]).ok();
    tick(&b);
    until_level(&a, &b);
    until_published(&a, &b);
    let tracking = first["tracking_id"].as_str().unwrap();
    for node in [&a, &b] {
        let status = node.get(&format!("/v1/reports/{tracking}")).ok();
        assert_eq!(status["status"], "published");
        assert_eq!(node.elements(day()), 3 + 144);
        let exports = node.get("/v1/exports/index.txt");
        let list = ExportList::parse(&exports.body).unwrap();
        assert_eq!((exports.status, list.files.len()), (200, 1));
        let path = list.paths().next().unwrap().to_string();
        assert_eq!(node.get(&path).header("content-type"), "application/zip");
    }
    let key = BASE64.encode(&[7; 32]);
    b.report(&codes[3], vec![json!({ "kind": "dp3t-low-cost", "date": day(), "key": key })]).ok();
    tick(&a);
    until_level(&b, &a);
    until_published(&b, &a);
    // A node that joins later has nothing but the key file.
    let c = authority.join("c", &a);
    c.until_ready();
    until_published(&c, &a);
    for node in [a, b, c] {
        node.stop();
    }
    assert!(authority.public("a").keys().any(|name| name.starts_with("v1/seeds/")));
    assert_eq!(authority.public("a"), authority.public("b"));
    assert_eq!(authority.public("a"), authority.public("c"));
    // A node that was away catches up.
    let a = authority.start("a");
    a.until_ready();
    a.stop();
}

#[test]
fn a_database_has_one_deployment() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    a.until_ready();
    // A folder without the keys of that deployment begins no other.
    let refused = complaint(&authority.alone("b", &[]));
    assert!(refused.contains("there is a log in postgres://") && refused.contains("no key file"));
    assert!(!authority.folder("b").join("keys.json").exists());
    assert!(!authority.folder("b").join("starting").exists());
    a.stop();
    // The keys of another one do not fit.
    let other = authority.folder("other");
    Process::start(&other, &[]).stop();
    fs::create_dir_all(authority.folder("b")).unwrap();
    fs::copy(other.join("keys.json"), authority.folder("b").join("keys.json")).unwrap();
    let refused = complaint(&authority.alone("b", &[]));
    assert!(refused.contains("key file belongs to another deployment"), "{refused}");
    // An empty database is not taken for a new deployment where there are keys.
    let empty = server.database();
    authority.give_keys("c");
    let refused = complaint(&alone(&authority.folder("c"), &["--store", &empty]));
    assert!(refused.contains("there is a key file") && refused.contains("no log in"), "{refused}");
    let refused = complaint(&alone(&authority.folder("c"), &[]));
    assert!(refused.contains("no log") && refused.contains("log.sqlite"), "{refused}");
}

/// Cut short behind each step of a first start, the next start ends it.
#[test]
fn a_first_start_that_was_cut_short_goes_on() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.folder("a");
    // Without its database nothing is made.
    let nowhere = format!("{} connect_timeout=1", server.text("nothing_here"));
    let refused = complaint(&alone(&a, &["--store", &nowhere]));
    assert!(refused.contains("nothing_here"), "{refused}");
    assert!(!a.join("keys.json").exists() && !a.join("starting").exists());

    // As after a power cut before the key file got its place: a log in a file is made in the same way.
    let made = authority.folder("made");
    let maker = Process::start(&made, &[]);
    let token = maker.operator.strip_prefix("gcs_operator_").unwrap().to_owned();
    maker.stop();
    let starting = a.join("starting");
    fs::create_dir_all(&starting).unwrap();
    fs::copy(made.join("keys.json"), starting.join("keys.json")).unwrap();
    fs::write(starting.join("token"), BASE64URL_NOPAD.decode(token.as_bytes()).unwrap()).unwrap();
    let mut begun = gcs_server::store::SqliteStore::open(&starting.join("log.sqlite")).unwrap();
    let first = {
        let mut log = gcs_server::store::SqliteStore::open_read_only(&made.join("log.sqlite"));
        log.as_mut().unwrap().read(1, 1).unwrap().remove(0)
    };
    begun.append(&first).unwrap();
    drop(begun);
    let refused = complaint(&authority.alone("a", &["rebuild"]));
    assert!(refused.contains("was cut short"), "{refused}");

    // The first events may be there already, by a start that did not come further.
    let mut store = PostgresStore::create(url(&authority.place)).unwrap();
    store.append(&first).unwrap();
    drop(store);
    let node = authority.start("a");
    node.until_ready();
    // And the token is shown, as it would have been.
    assert!(node.operator.ends_with(&token) && !starting.exists());
    node.stop();

    // Those of another deployment are told from them.
    let (late, other) = (authority.folder("late"), authority.folder("other"));
    Process::start(&other, &[]).stop();
    fs::create_dir_all(late.join("starting")).unwrap();
    for (file, place) in [("log.sqlite", "starting/log.sqlite"), ("keys.json", "keys.json")] {
        fs::copy(other.join(file), late.join(place)).unwrap();
    }
    let refused = complaint(&authority.alone("late", &[]));
    assert!(refused.contains("another deployment began"), "{refused}");
}

#[test]
fn commands_beside_the_nodes_read_the_same_log() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let operator = a.operator.clone();
    let verified = authority.alone("a", &["verify-log"]);
    assert!(text(&verified.stdout).contains("each follows from those before it"));
    // Those that write files of the folder wait for its server.
    assert!(complaint(&authority.alone("a", &["rebuild"])).contains("in use"));
    let copy = authority.folder("copy");
    let copied = a.run(&operator, &["backup", "--to", copy.to_str().unwrap()]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    let copy = copy.join("log.sqlite");
    let verified = program().args(["verify-log", copy.to_str().unwrap()]).output().unwrap();
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert!(
        complaint(&authority.alone("a", &["restore", copy.to_str().unwrap()]))
            .contains("postgres://")
    );
    a.stop();
    fs::remove_dir_all(authority.folder("a").join("public")).unwrap();
    let rebuilt = authority.alone("a", &["rebuild", "--write"]);
    assert!(rebuilt.status.success(), "{}", text(&rebuilt.stderr));
    let a = authority.start("a").with_tokens(&operator, "");
    // The operator's token is replaced while a node runs, from the folder of another.
    authority.give_keys("b");
    let reset = authority.alone("b", &["reset-token"]);
    assert!(reset.status.success(), "{}", text(&reset.stderr));
    until("the old token is void", || {
        ask(a.private, "GET", "/v1/admin/status", &[bearer(&operator)], "").status != 200
    });
    let token = text(&reset.stdout).trim().strip_prefix("operator token: ").unwrap().to_owned();
    a.with_tokens(&token, "").status();
}

/// A database that was put back to an earlier state, or whose standby had not got everything.
#[test]
fn a_node_that_is_ahead_of_the_log_reads_it_again() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 3);
    let kept = a.report(&codes[0], vec![seed(day(), 1)]).ok();
    let end = a.status()["position"].as_u64().unwrap();
    let lost = a.report(&codes[1], vec![seed(day(), 2)]).ok();
    execute(&authority.place, &format!("DELETE FROM gcs_batch WHERE first > {end}"));
    // It notices by itself, says so, and goes on.
    let status = |answer: &Value| {
        a.get(&format!("/v1/reports/{}", answer["tracking_id"].as_str().unwrap())).status
    };
    until("what is lost is not there", || status(&lost) == 404);
    assert_eq!(status(&kept), 200);
    assert!(a.logged().contains("not the one that this node has followed"), "{}", a.logged());
    a.report(&codes[1], vec![seed(day(), 2)]).ok();
    tick(&a);
    assert_eq!(a.elements(day()), 2);
    // An end that is there again, but with another content.
    let end = a.status()["position"].as_u64().unwrap();
    a.report(&codes[2], vec![seed(day(), 3)]).ok();
    let b = authority.join("b", &a);
    b.until_ready();
    // One node sleeps while the other notices, and goes on in another way.
    a.signal("-STOP");
    execute(&authority.place, &format!("DELETE FROM gcs_batch WHERE first > {end}"));
    until("the other node has only what is left", || position(&b) == Some(end));
    // As long as the lost end: only its content tells.
    b.codes(&provider, 5);
    a.signal("-CONT");
    until_level(&a, &b);
    let last = tick(&a);
    until_published(&b, &a);
    assert_eq!(b.status()["published"]["tick"], last["tick"]);
    assert_eq!((a.elements(day()), b.elements(day())), (2, 2));
    for node in [a, b] {
        node.stop();
    }
    assert_eq!(authority.public("a"), authority.public("b"));
}

/// Phones have seen a tick that the log has lost: nothing goes on but in a new series.
#[test]
fn a_lost_tick_needs_a_new_series() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let operator = a.operator.clone();
    let b = authority.join("b", &a);
    b.until_ready();
    let end = position(&a).unwrap();
    tick(&a);
    until_level(&b, &a);
    until_published(&b, &a);
    execute(&authority.place, &format!("DELETE FROM gcs_batch WHERE first > {end}"));
    for node in [&a, &b] {
        let said = || text(&ask(node.private, "GET", "/readyz", &[], "").body);
        until("/readyz says what to do", || said().contains("gcs-server recover"));
        assert_eq!(node.get("/v1/manifest").status, 200);
    }
    for node in [a, b] {
        node.stop();
    }
    let recovered = authority.alone("a", &["recover", "--yes"]);
    assert!(recovered.status.success(), "{}", text(&recovered.stderr));
    let [a, b] = ["a", "b"].map(|name| authority.start(name).with_tokens(&operator, ""));
    a.until_ready();
    b.until_ready();
    until_published(&b, &a);
    let series = a.status()["published"]["series"].as_u64().unwrap();
    assert!(series > 1);
    for node in [a, b] {
        node.stop();
    }
    let manifests = |name: &str| {
        let mut files = authority.public(name);
        files.retain(|name, _| name.contains(&format!("manifests/{series}-")));
        files
    };
    assert!(!manifests("a").is_empty());
    assert_eq!(manifests("a"), manifests("b"));
}

#[test]
fn reports_are_held_and_ticks_wait_while_the_database_is_away() {
    let Some(server) = Postgres::start_one() else { return };
    let authority = Authority::new(&server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 3);
    let first = a.report(&codes[0], vec![seed(day(), 1)]).ok();
    server.kill();
    let held = a.report(&codes[1], vec![seed(day(), 2)]);
    assert_eq!((held.status, held.ok()["status"].as_str()), (202, Some("received")));
    assert_eq!(a.get("/v1/manifest").status, 200);
    let ready = ask(a.private, "GET", "/readyz", &[], "");
    assert!(text(&ready.body).contains("the log cannot be written"), "{}", text(&ready.body));
    assert!(text(&ready.body).contains("1 reports wait in the spool"), "{}", text(&ready.body));
    let server = server.again();
    a.until_ready();
    assert_eq!(a.report(&codes[1], vec![seed(day(), 2)]).status, 201);
    tick(&a);
    assert_eq!(a.elements(day()), 2);
    // A start without it serves what is published, and goes on once it is there.
    let operator = a.operator.clone();
    a.stop();
    server.kill();
    let a = authority.start("a").with_tokens(&operator, "");
    assert_eq!(a.get("/v1/manifest").status, 200);
    let again = a.report(&codes[0], vec![seed(day(), 1)]);
    let new = a.report(&codes[2], vec![seed(day(), 3)]);
    assert_eq!((again.status, new.status), (202, 202));
    let _server = server.again();
    a.until_ready();
    assert_eq!(a.report(&codes[0], vec![seed(day(), 1)]).ok(), first);
    tick(&a);
    // Both tracking ids of the first report tell of it.
    for answer in [&again, &new] {
        let tracking = answer.ok()["tracking_id"].as_str().unwrap().to_owned();
        let status = a.get(&format!("/v1/reports/{tracking}")).ok();
        assert_eq!(status["status"], "published");
    }
    assert_eq!(a.elements(day()), 3);
}

/// The clock of a node that is minutes off that of the database is not trusted.
#[test]
fn a_clock_is_compared_with_that_of_the_database() {
    let Some(server) = postgres() else { return };
    let (keys, on_time) = (Arc::new(keys(1)), now());
    let mut store = PostgresStore::create(url(&server.database())).unwrap();
    store.append(&seal(0, [0; 32], &begin(&keys, &policy(), on_time), on_time)).unwrap();
    let state = fold(&mut store, &keys);
    let time = Arc::new(AtomicU64::new(on_time));
    let (now, uptime) = (Arc::clone(&time), Arc::new(AtomicU64::new(60)));
    let clock = Clock::Machine(Machine { now, uptime, boot: "a boot".into() });
    let (inputs, _queue) = mpsc::channel(10);
    let (node, _thread) =
        Node::start(Box::new(store), state, clock, Random::seeded(1), inputs).unwrap();
    let look = || {
        node.act(|state, context| {
            judge::expect_right_clock(state, context)?;
            Ok(Decision { events: Vec::new(), answer: () })
        })
    };
    actix_web::rt::System::new().block_on(async {
        look().await.unwrap();
        for ahead in [400, 4000] {
            time.store(on_time + ahead, Ordering::SeqCst);
            // The comparison is made once a second.
            let is_noticed = |looked| {
                let Err(Problem::ClockMoved { seconds }) = looked else { return false };
                seconds.abs_diff(i64::try_from(ahead).unwrap()) < 60
            };
            until_async("the clock is not trusted", async || is_noticed(look().await)).await;
        }
        time.store(on_time + 200, Ordering::SeqCst);
        until_async("the clock is trusted again", async || look().await.is_ok()).await;
    });
}

#[test]
fn what_is_shown_of_the_settings_has_no_password() {
    let shown = program()
        .args(["show-config", "--store", "postgres://user:secret@localhost/log"])
        .output()
        .unwrap();
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("postgres://user@localhost/log") && !shown.contains("secret"),
        "{shown}"
    );
    let wrong =
        program().args(["verify-log", "--store", "postgres://u:secret@:x"]).output().unwrap();
    assert!(!complaint(&wrong).contains("secret"));
}

/// From a file to a database and back, with everything that was accepted.
#[test]
fn a_log_moves_to_a_database_and_back() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let folder = authority.folder("a");
    let a = Process::start(&folder, &[]);
    until_ticked(&a);
    let (operator, root) = (a.operator.clone(), a.root.clone());
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 3);
    let first = a.report(&codes[0], vec![seed(day(), 1)]).ok();
    // Most of it is copied while the server runs.
    let copied = a.run(&operator, &["backup", "--to", &url_text(&authority.place)]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    a.report(&codes[1], vec![seed(day(), 2)]).ok();
    tick(&a);
    let digest = a.json(&operator, &["digest"])["digest"].clone();
    let busy = complaint(&alone(&folder, &["move-log", "--to", &authority.place]));
    assert!(busy.contains("in use"), "{busy}");
    a.stop();
    let before = authority.public("a");

    let moved = alone(&folder, &["move-log", "--to", &authority.place]);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    assert!(!folder.join("log.sqlite").exists());
    // The old log is ended: whoever puts it back cannot go on with it by mistake.
    let old = fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
    let old = old.into_iter().find(|path| path.display().to_string().contains("/moved-")).unwrap();
    let old = old.join("log.sqlite");
    let ended = complaint(&program().args(["verify-log", old.to_str().unwrap()]).output().unwrap());
    assert!(ended.contains("was moved to postgres://"), "{ended}");
    fs::create_dir(authority.folder("old")).unwrap();
    fs::copy(&old, authority.folder("old").join("log.sqlite")).unwrap();
    authority.give_keys("old");
    let ended = complaint(&alone(&authority.folder("old"), &[]));
    assert!(ended.contains("was moved to postgres://"), "{ended}");

    let a = authority.start("a").with_tokens(&operator, "");
    assert_eq!(a.root, root);
    assert_eq!(a.json(&operator, &["digest"])["digest"], digest);
    assert_eq!(a.report(&codes[0], vec![seed(day(), 1)]).ok(), first);
    let b = authority.join("b", &a);
    b.report(&codes[2], vec![seed(day(), 3)]).ok();
    until_level(&a, &b);
    let same = complaint(&authority.alone("c", &["move-log", "--to", &authority.place]));
    assert!(same.contains("already"), "{same}");
    let digest = b.json(&operator, &["digest"])["digest"].clone();
    a.stop();

    // Back, while another node still runs: it accepts nothing from then on, and says why.
    let moved = authority.alone("a", &["move-log", "--to-file"]);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    let waits = |answer: &Answer| answer.status == 503 && answer.json()["code"] == "log_unusable";
    until("the log is no longer used", || {
        waits(&b.operate("GET", "/v1/admin/status", Value::Null))
    });
    let is_said = |text: String| text.contains("was moved to") && text.contains("log.sqlite");
    until("/readyz says where the log is", || {
        is_said(text(&ask(b.private, "GET", "/readyz", &[], "").body))
    });
    let again = complaint(&authority.alone("a", &["move-log", "--to-file"]));
    assert!(again.contains("there is a log"), "{again}");
    let a = Process::start(&folder, &[]).with_tokens(&operator, "");
    assert_eq!(a.json(&operator, &["digest"])["digest"], digest);
    tick(&a);
    assert_eq!(a.elements(day()), 3);
    a.stop();
    let after = authority.public("a");
    assert!(
        before.keys().filter(|name| name.contains("/sets/")).all(|name| after.contains_key(name))
    );
}

/// The words of a place as a URL.
fn url_text(place: &str) -> String {
    url(place).to_string()
}

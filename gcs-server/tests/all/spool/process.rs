//! The program itself, whose database is killed and comes back.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use gcs_server::domain::events::CodeId;
use gcs_server::domain::spooled::{SpooledReport, spooled_tracking};
use gcs_server::spool::{NotHeld, sealed};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::api::{agent, ask, seed_of, try_ask};
use crate::common::authority::day;
use crate::common::home::Home;
use crate::common::postgres::Postgres;
use crate::common::process::{Process, alone, complaint, text, until_ticked};
use crate::common::small_disk::SmallDisk;
use crate::common::wait::{until, until_async};
use crate::common::{raw, submission};
use crate::unusable_log::{nobody, owned_by_nobody, program_for_all};

/// An authority whose database is killed, and its one node.
struct Authority {
    folders: TempDir,
    place: String,
    operator: String,
    codes: Vec<String>,
}

/// A report by the code of a number.
fn body(codes: &[String], number: usize) -> String {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    json!({ "code": codes[number], "items": [seed_of(day(), &bytes)] }).to_string()
}

impl Authority {
    /// With so many codes, after the first publication.
    fn new(server: &Postgres, count: u32) -> (Authority, Process) {
        let folders = tempfile::tempdir().unwrap();
        let mut authority =
            Authority { folders, place: server.database(), operator: String::new(), codes: vec![] };
        let node = authority.start("a", &[]);
        authority.operator.clone_from(&node.operator);
        until_ticked(&node);
        let (_, provider) = node.provider("City hospital");
        authority.codes = node.codes(&provider, count);
        (authority, node)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    fn start(&self, name: &str, flags: &[&str]) -> Process {
        let flags = [&["--store", &self.place], flags].concat();
        let node = Process::start(&self.folder(name), &flags);
        if self.operator.is_empty() { node } else { node.with_tokens(&self.operator, "") }
    }

    fn join(&self, name: &str) -> Process {
        fs::create_dir_all(self.folder(name)).unwrap();
        fs::copy(self.folder("a").join("keys.json"), self.folder(name).join("keys.json")).unwrap();
        self.start(name, &[])
    }

    fn report(&self, node: &Process, number: usize) -> crate::common::api::Answer {
        let body = body(&self.codes, number);
        try_ask(&agent(), node.public, "POST", "/v1/reports", &[], &body).unwrap()
    }
}

/// Sends reports over four connections at once, until one of them finds the server gone. Notes the tracking
/// ids that a 202 gave.
fn send_all(
    codes: &[String],
    node: &Process,
    numbers: std::ops::Range<usize>,
    acknowledged: &Mutex<BTreeMap<usize, String>>,
    each: impl Fn() + Sync,
) {
    let next = AtomicUsize::new(numbers.start);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let agent = agent();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        break;
                    }
                    let body = body(codes, number);
                    let answer = try_ask(&agent, node.public, "POST", "/v1/reports", &[], &body);
                    let Ok(answer) = answer else { break };
                    assert_eq!(answer.status, 202, "{}", text(&answer.body));
                    let tracking = answer.json()["tracking_id"].as_str().unwrap().to_owned();
                    assert_eq!(answer.header("location"), format!("/v1/reports/{tracking}"));
                    let before = acknowledged.lock().unwrap().insert(number, tracking.clone());
                    assert!(before.is_none_or(|before| before == tracking));
                    each();
                }
            });
        }
    });
}

fn status(node: &Process, tracking: &str) -> String {
    let status = node.get(&format!("/v1/reports/{tracking}")).ok();
    assert!(status["code"].is_null(), "{status}");
    status["status"].as_str().unwrap().to_owned()
}

/// What a 202 has promised is kept, whenever the process is killed, and counts once.
#[test]
fn nothing_that_a_202_promised_is_lost_by_kills_while_the_database_is_away() {
    let Some(server) = Postgres::start_one() else { return };
    let (authority, mut node) = Authority::new(&server, 120);
    server.kill();
    let acknowledged = Mutex::new(BTreeMap::new());
    for round in 0..3 {
        // Killed in the middle of what is being answered.
        let (count, process) = (AtomicUsize::new(0), node.child.id().to_string());
        let range = 30 * round..30 * (round + 1);
        let kill = || {
            if count.fetch_add(1, Ordering::Relaxed) == 10 {
                Command::new("kill").args(["-KILL", &process]).status().unwrap();
            }
        };
        send_all(&authority.codes, &node, range, &acknowledged, kill);
        drop(node);
        node = authority.start("a", &[]);
        // The same reports get the same answers, before and after.
        let known = acknowledged.lock().unwrap().clone();
        for (number, tracking) in &known {
            assert_eq!(authority.report(&node, *number).ok()["tracking_id"], *tracking);
            assert_eq!(status(&node, tracking), "received");
        }
        assert!(known.len() > 10 * round);
    }
    let waiting = node.get("/v1/reports/00000000000000000000000000000000");
    assert_eq!(waiting.refused(), (503, "log_unusable".to_owned()));
    send_all(&authority.codes, &node, 0..100, &acknowledged, || {});
    let server = server.again();
    node.until_ready();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert_eq!(acknowledged.len(), 100);
    let other = authority.join("b");
    other.until_ready();
    for (number, tracking) in &acknowledged {
        for node in [&node, &other] {
            assert!(["held", "published"].contains(&status(node, tracking).as_str()), "{number}");
            let again = authority.report(node, *number);
            assert_eq!((again.status, &again.ok()["tracking_id"]), (201, &json!(tracking)));
        }
    }
    assert_eq!(node.status()["reports"], 100);
    let spool = node.status()["spool"].clone();
    assert_eq!((&spool["reports"], &spool["since"]), (&json!(0), &Value::Null));
    let metrics = text(&ask(node.private, "GET", "/metrics", &[], "").body);
    for line in ["gcs_spool_waiting 0", "gcs_spooled_reports_total{outcome=\"accepted\"} 100"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let names: Vec<String> = names(&authority.folder("a").join("spool"));
    assert_eq!(names, ["lock"]);
    drop(server);
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Of a deployment whose log has moved from a database to a file.
#[actix_web::test]
async fn what_a_spool_was_left_with_is_judged_although_the_log_is_in_a_file() {
    let home = Home::new();
    let running = home.begin().await;
    let keys = Arc::clone(&running.service().keys);
    let code = running.code(5);
    running.stop().await;
    let report = SpooledReport {
        tracking: spooled_tracking(&keys, home.now(), [1; 8]),
        arrived: home.now(),
        is_time_trusted: true,
        code: CodeId { provider: 1, generation: 1, serial: 5 },
        was_open: true,
        report: submission(code, &[raw(2, 1)]),
    };
    fs::create_dir(home.path("spool")).unwrap();
    let file = sealed::seal(&keys, [7; 32], &[report.encode()]);
    fs::write(home.path("spool/1767571200-000001-aa.spool"), file).unwrap();
    let running = home.start().await;
    let spool = running.service().spool.clone().unwrap();
    until_async("the spool is empty", async || spool.is_empty()).await;
    let state = running.service().node.state().clone();
    assert!(state.reports.by_tracking(&report.tracking).is_some());
    // It takes no others.
    let other = SpooledReport { report: submission(code, &[raw(2, 2)]), ..report };
    assert_eq!(spool.hold(other).await, Err(NotHeld::Full));
    drop(spool);
    running.stop().await;
}

/// A spool on a disk of its own that is full: no answer of success is false.
#[test]
fn a_full_volume_refuses_and_what_it_holds_is_judged() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let Some(server) = Postgres::start_one() else { return };
    let (authority, node) = Authority::new(&server, 100);
    node.stop();
    let spool = disk.path().to_str().unwrap();
    let node = authority.start("a", &["--spool", spool]);
    node.until_ready();
    server.kill();
    let mut held = Vec::new();
    let refused = loop {
        let answer = authority.report(&node, held.len());
        if answer.status != 202 {
            break answer;
        }
        held.push(answer.ok()["tracking_id"].as_str().unwrap().to_owned());
    };
    assert_eq!(refused.refused(), (503, "storage_unavailable".to_owned()));
    assert_eq!(refused.header("retry-after"), "10");
    assert!(held.len() > 3, "{}", held.len());
    until("it is logged", || node.logged().contains("the spool cannot be written"));
    let server = server.again();
    node.until_ready();
    assert!(held.iter().all(|tracking| status(&node, tracking) != "received"));
    // There is room again.
    server.kill();
    assert_eq!(authority.report(&node, 50).status, 202);
}

#[test]
fn a_spool_is_one_servers_and_a_folder_that_is_named_must_be_there() {
    let Some(server) = Postgres::start_one() else { return };
    let (authority, node) = Authority::new(&server, 1);
    let missing = authority.folder("missing");
    fs::create_dir_all(authority.folder("b")).unwrap();
    let keys = authority.folder("b").join("keys.json");
    fs::copy(authority.folder("a").join("keys.json"), keys).unwrap();
    let start = |spool: &Path| {
        let flags = ["--store", &authority.place, "--spool", spool.to_str().unwrap()];
        let listen = ["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"];
        complaint(&alone(&authority.folder("b"), &[flags.as_slice(), &listen].concat()))
    };
    let refused = start(&missing);
    assert!(refused.contains("must be there") && !missing.exists(), "{refused}");
    let refused = start(&authority.folder("a").join("spool"));
    assert!(refused.contains("another server uses this spool"), "{refused}");
    node.stop();
}

#[test]
fn a_spool_in_which_no_file_can_be_made_is_refused() {
    let Some(nobody) = nobody() else { return };
    let Some(server) = Postgres::start_one() else { return };
    let (authority, node) = Authority::new(&server, 1);
    let (folder, spool) = (authority.folder("b"), authority.folder("held"));
    for path in [&folder, &spool] {
        fs::create_dir_all(path).unwrap();
    }
    fs::copy(authority.folder("a").join("keys.json"), folder.join("keys.json")).unwrap();
    fs::write(spool.join("lock"), "").unwrap();
    let program = program_for_all(authority.folders.path());
    owned_by_nobody(authority.folders.path());
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o500)).unwrap();
    let mut start = Command::new(nobody[0]);
    start.args(&nobody[1..]).arg(program).args(["--store", &authority.place]);
    start.arg("--data-dir").arg(folder).arg("--spool").arg(&spool);
    start.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
    let refused = complaint(&start.output().unwrap());
    assert!(refused.contains("must be allowed to make files"), "{refused}");
    assert!(refused.contains(&spool.display().to_string()), "{refused}");
    node.stop();
}

#[test]
fn a_spool_beside_a_log_in_a_file_must_be_there_and_is_warned_of() {
    let folders = tempfile::tempdir().unwrap();
    let [folder, spool] = ["a", "spool"].map(|name| folders.path().join(name));
    let flags = ["--spool", spool.to_str().unwrap()];
    let refused = complaint(&alone(&folder, &flags));
    assert!(refused.contains("must be there") && !spool.exists(), "{refused}");
    assert!(!folder.exists(), "nothing was made");
    fs::create_dir(&spool).unwrap();
    let node = Process::start(&folder, &flags);
    let logged = node.stop();
    assert!(logged.contains("`spool` is set, and the log is in a file"), "{logged}");
    assert!(!Process::start(&folder, &[]).stop().contains("`spool` is set"));
}

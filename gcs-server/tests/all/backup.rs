//! Copies of the log, made while the server runs, and put in the place of a log that is lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::common::api::{agent, ask, bearer, seed_of, try_ask};
use crate::common::authority::day;
use crate::common::foreign::{json as answer, server_of};
use crate::common::home::{difference, files};
use crate::common::process::{Process, alone, complaint, program, text, until_ticked};
use crate::common::wait::until;
use crate::common::{ALL, Ledger, policy, raw};
use gcs_core::DAY_SECONDS;
use gcs_server::domain::policy::Policy;
use gcs_server::store::{Batch, SqliteStore, Store as _};

/// The copy of a test, in a folder that does not exist yet.
struct Copies(tempfile::TempDir);

impl Copies {
    fn new() -> Copies {
        Copies(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("copy")
    }

    fn log(&self) -> PathBuf {
        self.path().join("log.sqlite")
    }

    fn of_server(&self, server: &Process, token: &str) -> Output {
        server.run(token, &["backup", "--to", self.path().to_str().unwrap()])
    }

    fn of_folder(&self, folder: &Path) -> Output {
        let (to, from) = (self.path(), folder.to_str().unwrap());
        program().args(["backup", "--to", to.to_str().unwrap(), "--from", from]).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    let said = text(&[output.stdout.clone(), output.stderr.clone()].concat());
    assert!(output.status.success(), "{said}");
    said
}

fn batches(log: &Path) -> Vec<Batch> {
    SqliteStore::open_read_only(log).unwrap().read(1, ALL).unwrap()
}

/// A report by a code; `None` if no answer came.
fn report(agent: &ureq::Agent, server: &Process, code: &str, number: u64) -> Option<(u16, Value)> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let items = [seed_of(day(), &seed)];
    let body = json!({ "code": code, "items": items }).to_string();
    let answer = try_ask(agent, server.public, "POST", "/v1/reports", &[], &body).ok()?;
    Some((answer.status, answer.json()))
}

/// Another number for each code.
fn number_of(code: &str) -> u64 {
    code.bytes().fold(7, |number: u64, byte| number.wrapping_mul(31).wrapping_add(byte.into()))
}

/// A server with codes, and its operator's token.
fn begun(folder: &Path) -> (Process, String, Vec<String>) {
    let server = Process::start(folder, &[]);
    let operator = server.operator.clone();
    until_ticked(&server);
    let (_, provider) = server.provider("City hospital");
    let codes = server.codes(&provider, 600);
    (server, operator, codes)
}

#[test]
fn a_copy_that_is_made_under_load_is_restored_on_another_machine() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let (server, operator, codes) = begun(&data);
    let copies = Copies::new();
    let mut acknowledged = BTreeMap::new();
    std::thread::scope(|scope| {
        let send = |part: &[String]| -> Vec<(String, Value)> {
            let agent = agent();
            let answers = part.iter().map(|code| {
                let (status, answer) = report(&agent, &server, code, number_of(code)).unwrap();
                assert_eq!(status, 201);
                (code.clone(), answer)
            });
            answers.collect()
        };
        let clients: Vec<_> =
            codes.chunks(150).map(|part| scope.spawn(move || send(part))).collect();
        // Whenever it comes, what is copied is whole.
        while clients.iter().any(|client| !client.is_finished()) {
            let told = said(&copies.of_server(&server, &operator));
            assert!(told.contains("not in this copy: the key file"), "{told}");
            let verified = program().arg("verify-log").arg(copies.log()).output().unwrap();
            said(&verified);
        }
        acknowledged.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
    });
    server.tick();
    said(&copies.of_server(&server, &operator));
    // Others stay locked out of the log.
    let refused = program().arg("verify-log").arg(data.join("log.sqlite")).output().unwrap();
    assert!(complaint(&refused).contains("Stop what else uses the log"));
    let status = server.status();
    let names: Vec<String> = files(&copies.path()).into_keys().collect();
    assert_eq!(names, ["log.sqlite"], "one file, and no key");
    // What the server does after the copy is lost for the one that is restored.
    let (_, late) = server.provider("Late hospital");
    assert!(!late.is_empty());
    let root = server.get("/v1/manifest").json();
    drop(server);

    let other = home.path().join("other");
    let refused = alone(&other, &["restore", copies.path().to_str().unwrap()]);
    assert!(complaint(&refused).contains("no key file"));
    fs::create_dir_all(&other).unwrap();
    fs::copy(data.join("keys.json"), other.join("keys.json")).unwrap();
    let place = copies.path();
    let restore = ["restore", place.to_str().unwrap()];
    let shown = alone(&other, &restore);
    let told = text(&shown.stdout);
    assert!(!shown.status.success() && told.contains("600 reports"), "{told}");
    assert!(told.contains("is not there") && told.contains("--yes"), "{told}");
    assert!(!other.join("log.sqlite").exists());
    said(&alone(&other, &[&restore[..], &["--yes"]].concat()));
    let server = Process::start(&other, &[]);
    until("a new series", || {
        let status = server.json(&operator, &["status"]);
        status["published"]["series"].as_u64() >= Some(1_000_000)
    });
    let agent = agent();
    let (reports, elements) = (&status["reports"], &status["dates"][0]["elements"]);
    let now = server.json(&operator, &["status"]);
    assert_eq!((reports, elements), (&now["reports"], &now["dates"][0]["elements"]));
    for (code, first) in acknowledged.iter().take(50) {
        let again = report(&agent, &server, code, number_of(code));
        assert_eq!(again, Some((201, first.clone())));
    }
    assert_ne!(server.get("/v1/manifest").json(), root);
    server.stop();
    said(&alone(&other, &["rebuild"]));
    // The copy is as it was, and can be restored again.
    said(&program().arg("verify-log").arg(copies.log()).output().unwrap());
}

#[test]
fn a_copy_that_follows_has_what_comes() {
    let home = tempfile::tempdir().unwrap();
    let (server, operator, codes) = begun(home.path());
    let copies = Copies::new();
    let place = copies.path();
    let backup = ["backup", "--follow", "--to", place.to_str().unwrap()];
    let mut follower = server.command(&operator, &backup).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut ends = lines.filter_map(|line| {
        let (end, _) = line.split_once("has events 1 to ")?.1.split_once(',')?;
        Some(end.parse::<u64>().unwrap())
    });
    let mut until_copied = |position: u64| {
        assert!(ends.any(|end| end >= position), "it ended without event {position}");
    };
    until_copied(server.status()["position"].as_u64().unwrap());
    report(&agent(), &server, &codes[0], 1).unwrap();
    until_copied(server.status()["position"].as_u64().unwrap());
    follower.kill().unwrap();
    follower.wait().unwrap();
    said(&program().arg("verify-log").arg(copies.log()).output().unwrap());
}

#[test]
fn a_copy_of_a_stopped_folder_is_its_log_and_goes_on_where_it_ended() {
    let home = tempfile::tempdir().unwrap();
    let (server, operator, codes) = begun(home.path());
    let copies = Copies::new();
    said(&copies.of_server(&server, &operator));
    let agent = agent();
    for (number, code) in (0..).zip(&codes[..20]) {
        report(&agent, &server, code, number).unwrap();
    }
    let busy = copies.of_folder(home.path());
    assert!(complaint(&busy).contains("in use by another gcs-server"));
    server.signal("-KILL");
    drop(server);
    // As the kill left it, with a write-ahead log.
    assert!(home.path().join("log.sqlite-wal").exists());
    let before = files(home.path());
    let told = said(&copies.of_folder(home.path()));
    assert!(told.contains("new"), "{told}");
    let mut after = files(home.path());
    after.insert("lock".into(), before["lock"].clone());
    assert_eq!(difference(&before, &after), Vec::<String>::new(), "only the copy changes");
    let told = said(&copies.of_folder(home.path()));
    assert!(told.contains(", 0 of them new"), "{told}");
    let whole = batches(&home.path().join("log.sqlite"));
    assert_eq!(batches(&copies.log()), whole);

    // A link to a log leads to its write-ahead log too.
    let new = tempfile::tempdir().unwrap();
    fs::copy(home.path().join("keys.json"), new.path().join("keys.json")).unwrap();
    let link = new.path().join("link");
    std::os::unix::fs::symlink(home.path().join("log.sqlite"), &link).unwrap();
    let mut restore = program();
    restore.arg("restore").arg(&link).arg("--data-dir").arg(new.path()).arg("--yes");
    said(&restore.output().unwrap());
    assert_eq!(batches(&new.path().join("log.sqlite"))[..whole.len()], whole);
}

/// The log of a ledger, brought up to date in a folder, and what is erased there.
fn keep(ledger: &Ledger, folder: &Path, erased: &[u64]) {
    let mut store = SqliteStore::open(&folder.join("log.sqlite")).unwrap();
    let last = store.last().unwrap();
    let new = ledger.batches().into_iter().filter(|batch| batch.first > last);
    new.for_each(|batch| store.append(&batch).unwrap());
    store.erase(erased).unwrap();
}

#[test]
fn what_a_purge_erases_is_erased_in_copies_too() {
    let home = tempfile::tempdir().unwrap();
    let short = Policy { retention_days: 1, ..policy() };
    let mut ledger = Ledger::with_codes(&short, 10);
    let old = ledger.report(0, &[raw(2, 1)]);
    keep(&ledger, home.path(), &[]);
    let copies = Copies::new();
    said(&copies.of_folder(home.path()));
    let has_body = |log: &Path| {
        let batches = batches(log);
        let batch = batches.iter().find(|batch| batch.first == old).unwrap();
        batch.events[0].body.is_some()
    };
    assert!(has_body(&copies.log()));
    ledger.live(7 * DAY_SECONDS);
    ledger.report(1, &[raw(9, 2)]);
    // The purge itself comes, and the bodies that it names are erased already.
    let purged = ledger.purge(true);
    assert_eq!(purged, [old]);
    keep(&ledger, home.path(), &purged);
    said(&copies.of_folder(home.path()));
    assert!(!has_body(&copies.log()));
    assert_eq!(batches(&copies.log()), batches(&home.path().join("log.sqlite")));
    said(&program().arg("verify-log").arg(copies.log()).output().unwrap());
    // A first copy, made after the purge.
    let later = Copies::new();
    said(&later.of_folder(home.path()));
    assert_eq!(batches(&later.log()), batches(&copies.log()));
}

#[test]
fn a_copy_is_not_mixed_with_another_log() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let copies = Copies::new();
    for folder in [&one, &two] {
        let server = Process::start(folder, &[]);
        until_ticked(&server);
        server.stop();
    }
    said(&copies.of_folder(&one));
    let before = batches(&copies.log());
    let told = complaint(&copies.of_folder(&two));
    assert!(told.contains("another deployment") && told.contains("Keep this copy"), "{told}");
    // The server went on from an older log.
    let older = home.path().join("older");
    fs::create_dir(&older).unwrap();
    for name in ["log.sqlite", "keys.json"] {
        fs::copy(one.join(name), older.join(name)).unwrap();
    }
    said(&alone(&one, &["reset-token"]));
    said(&copies.of_folder(&one));
    for _ in 0..3 {
        let told = complaint(&copies.of_folder(&older));
        assert!(told.contains("older log"), "{told}");
        said(&alone(&older, &["reset-token"]));
    }
    assert_eq!(batches(&copies.log()).len(), before.len() + 1);
    // A data folder is no place for a copy.
    let into = ["backup", "--to", two.to_str().unwrap(), "--from", one.to_str().unwrap()];
    let told = complaint(&program().args(into).output().unwrap());
    assert!(told.contains("a folder of its own"), "{told}");

    let restore = |from: &Path, to: &Path| {
        let before = files(to);
        let output = alone(to, &["restore", from.to_str().unwrap(), "--yes"]);
        let told = complaint(&output);
        let mut after = files(to);
        after.insert("lock".into(), before["lock"].clone());
        assert_eq!(difference(&before, &after), Vec::<String>::new(), "{told}");
        told
    };
    let told = restore(&copies.path(), &two);
    assert!(told.contains("belongs to another deployment"), "{told}");
    let told = restore(&one.join("log.sqlite"), &one);
    assert!(told.contains("not a copy"), "{told}");
    let told = restore(&home.path().join("nothing"), &one);
    assert!(told.contains("no copy"), "{told}");
    // A damaged copy.
    let whole = fs::read(copies.log()).unwrap();
    let mut refused = 0;
    for at in (4096..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(copies.log(), bytes).unwrap();
        let shown = alone(&one, &["restore", copies.path().to_str().unwrap()]);
        if !text(&shown.stdout).contains("the copy is sound") {
            let told = complaint(&shown);
            assert!(told.contains("the copy") && !told.contains("panicked"), "{told}");
            refused += 1;
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3);
    restore(&copies.path(), &one);
}

/// What is there is moved, whatever it is, and nothing is deleted.
#[test]
fn a_restore_deletes_nothing_and_begins_a_new_series() {
    let home = tempfile::tempdir().unwrap();
    let (server, operator, codes) = begun(home.path());
    let agent = agent();
    report(&agent, &server, &codes[0], 1).unwrap();
    let copies = Copies::new();
    said(&copies.of_server(&server, &operator));
    report(&agent, &server, &codes[1], 2).unwrap();
    let place = copies.path();
    let restore = ["restore", place.to_str().unwrap()];
    assert!(complaint(&alone(home.path(), &restore)).contains("in use by another gcs-server"));
    server.signal("-KILL");
    drop(server);
    let shown = alone(home.path(), &restore);
    assert!(text(&shown.stdout).contains("do not restore"), "{}", text(&shown.stdout));
    let before = files(home.path());
    // Cut short before, by a kill.
    fs::create_dir(home.path().join("restoring")).unwrap();
    fs::write(home.path().join("restoring/log.sqlite"), "half").unwrap();
    let told = said(&alone(home.path(), &[&restore[..], &["--yes"]].concat()));
    let after = files(home.path());
    let moved = |name: &str| {
        let is_it = |path: &&String| path.starts_with("replaced-") && path.ends_with(name);
        after.keys().find(is_it).map(|path| &after[path])
    };
    for name in ["/log.sqlite", "/log.sqlite-wal", "/witness"] {
        assert_eq!(moved(name), before.get(&name[1..]), "{told}");
    }
    let public = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().filter(|name| name.starts_with("public/")).cloned().collect()
    };
    assert_eq!(public(&before), public(&after));
    let server = Process::start(home.path(), &[]);
    let status = server.json(&operator, &["status"]);
    assert_eq!(status["reports"], 1);
    until("a new series", || {
        let status = server.json(&operator, &["status"]);
        status["published"]["series"].as_u64() >= Some(1_000_000)
    });
    // The copy lacks this report, so it is made anew.
    assert_eq!(report(&agent, &server, &codes[1], 2).unwrap().0, 201);
    // The log goes on from the copy, and so does the copy.
    said(&copies.of_server(&server, &operator));
}

/// A log with a damaged event is not called whole, and what it has beyond the copy is said.
#[test]
fn a_restore_tells_a_damaged_log_from_a_whole_one() {
    let home = tempfile::tempdir().unwrap();
    let (server, operator, codes) = begun(home.path());
    let copies = Copies::new();
    said(&copies.of_server(&server, &operator));
    report(&agent(), &server, &codes[0], 1).unwrap();
    server.stop();
    let log = home.path().join("log.sqlite");
    let mut bytes = fs::read(&log).unwrap();
    let last = batches(&log).last().unwrap().events.last().unwrap().body.clone().unwrap();
    let body = last.bytes;
    let at = bytes.windows(body.len()).position(|window| window == body).unwrap();
    for byte in &mut bytes[at..at + 4] {
        *byte ^= 0x5a;
    }
    fs::write(&log, bytes).unwrap();
    let place = copies.path();
    let shown = alone(home.path(), &["restore", place.to_str().unwrap()]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("log.sqlite is damaged: event "), "{shown}");
    assert!(shown.contains("recover --salvage") && !shown.contains("whole"), "{shown}");
}

/// What comes is verified as it comes.
#[test]
fn pages_that_are_damaged_or_foreign_are_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let (server, operator, _) = begun(home.path());
    let page = |from: u64| {
        let path = format!("/v1/admin/log?from={from}");
        ask(server.private, "GET", &path, &[bearer(&operator)], "").ok()
    };
    let whole = page(1);
    let last = whole["last"].as_u64().unwrap();
    assert_eq!(page(last + 1), json!({ "last": last, "batches": [] }));
    assert_eq!(page(u64::MAX)["batches"], json!([]));
    assert_eq!(page(last)["batches"].as_array().unwrap().len(), 1);
    let wrong = ask(server.private, "GET", "/v1/admin/log?from=x", &[bearer(&operator)], "");
    assert_eq!(wrong.refused(), (400, "parameter_invalid".to_owned()));
    let nobody = ask(server.private, "GET", "/v1/admin/log", &[], "");
    assert_eq!(nobody.refused().0, 401);

    let header = whole["batches"][1]["events"][0]["header"].as_str().unwrap().to_owned();
    let other = whole["batches"][0]["events"][0]["header"].as_str().unwrap().to_owned();
    let mut gap = whole.clone();
    gap["batches"].as_array_mut().unwrap().remove(1);
    let mut late = whole.clone();
    late["batches"].as_array_mut().unwrap().remove(0);
    let whole = whole.to_string();
    let copies = Copies::new();
    for (bad, what) in [
        (whole.replace(&header, &other), "damaged"),
        (whole.replace(&header, "AAAA"), "damaged"),
        (whole.replace(&header, "not base64"), "no part of a log"),
        (gap.to_string(), "no event"),
        (late.to_string(), "no event 1"),
        ("{}".to_owned(), "no part of a log"),
        ("[".to_owned(), ""),
    ] {
        let _afresh = fs::remove_dir_all(copies.path());
        let (port, _requests) = server_of(answer(200, &bad));
        let url = format!("http://127.0.0.1:{port}");
        let to = copies.path();
        let backup = ["backup", "--to", to.to_str().unwrap(), "--url", &url, "--token", "x"];
        let told = complaint(&program().args(backup).output().unwrap());
        assert!(told.contains(what), "{what}: {told}");
        let kept = SqliteStore::open_read_only(&copies.log()).unwrap().last().unwrap();
        assert!(kept < last, "{what}: {kept}");
        // From there the true log goes on.
        said(&copies.of_server(&server, &operator));
        said(&program().arg("verify-log").arg(copies.log()).output().unwrap());
    }
}

//! A log that cannot be used: the server serves what is published, and nothing else, until it can.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::api::{Answer, ask, bearer, seed};
use crate::common::authority::day;
use crate::common::home::{difference, files};
use crate::common::process::{Process, alone, complaint, program, text, until_ticked};
use crate::common::small_disk::SmallDisk;
use crate::common::untested::not_tested;
use crate::common::wait::until;
use crate::common::wal::transactions;
use crate::common::{ALL, seal};
use gcs_core::Date;
use gcs_server::domain::events::{Event, RangeClosed};
use gcs_server::store::{SqliteStore, Store as _};
use serde_json::Value;

const LOG: &str = "log.sqlite";

/// A data folder whose server has published a report and stopped.
struct Deployment {
    folder: PathBuf,
    operator: String,
    backend: String,
    provider: String,
    codes: Vec<String>,
    day: Date,
    /// What was answered to the report by the first code.
    answer: Value,
    public: BTreeMap<String, Vec<u8>>,
}

fn deployed(folder: &Path) -> Deployment {
    let server = Process::start(folder, &[]);
    until_ticked(&server);
    let (_, provider) = server.provider("City hospital");
    let codes = server.codes(&provider, 5);
    let backend = server.backend_token();
    let day = day();
    let answer = server.report(&codes[0], vec![seed(day, 1)]).ok();
    server.tick();
    let operator = server.operator.clone();
    server.stop();
    let (folder, public) = (folder.to_owned(), files(&folder.join("public")));
    assert!(public.keys().any(|name| name.starts_with("v1/checks/")), "{:?}", public.keys());
    Deployment { folder, operator, backend, provider, codes, day, answer, public }
}

impl Deployment {
    fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// The log and its witness; an empty write-ahead log is as good as none.
    fn files_of_log(&self) -> BTreeMap<String, Vec<u8>> {
        let names = [LOG, "log.sqlite-wal", "witness", "keys.json"];
        let read = |name: &str| Some((name.to_owned(), fs::read(self.folder.join(name)).ok()?));
        names.into_iter().filter_map(read).filter(|(_, bytes)| !bytes.is_empty()).collect()
    }

    fn start(&self) -> Process {
        self.start_as(&[], program())
    }

    fn start_as(&self, starter: &[&str], program: Command) -> Process {
        let flags = ["--log-level", "debug"];
        let server = Process::start_program(starter, program, &self.folder, &flags);
        server.with_tokens(&self.operator, &self.backend)
    }

    /// Every published file is there, and everything else waits, because of this.
    #[track_caller]
    fn assert_serves_files_only(&self, server: &Process, reason: &str) {
        for (name, bytes) in &self.public {
            let got = server.get(&format!("/{name}"));
            assert_eq!(got.status, 200, "{name}");
            assert!(got.body == *bytes, "{name}");
        }
        let ready = ask(server.private, "GET", "/readyz", &[], "");
        assert_eq!(ready.refused(), (503, "not_ready".to_owned()));
        let said = ready.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains(reason), "{said}");
        assert!(!said.to_lowercase().contains("delete"), "{said}");
        assert!(server.logged().contains(reason), "{}", server.logged());

        let waits = |answer: &Answer, what: &str| {
            assert_eq!(answer.refused(), (503, "log_unusable".to_owned()), "{what}");
            assert!(!answer.header("retry-after").is_empty(), "{what}");
        };
        for (code, byte) in self.codes.iter().zip(1..) {
            waits(&server.report(code, vec![seed(self.day, byte)]), "a report");
        }
        let tracking = self.answer["tracking_id"].as_str().unwrap();
        waits(&server.get(&format!("/v1/reports/{tracking}")), "the status of a report");
        let document = server.get("/v1/openapi.json").ok();
        let mut waiting = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            let is_private = ["/v1/admin/", "/v1/provider/", "/v1/exact"]
                .iter()
                .any(|start| path.starts_with(start));
            let methods = operations.as_object().unwrap().keys();
            let methods = methods.filter(|name| ["get", "post", "put"].contains(&name.as_str()));
            for method in methods.filter(|_| is_private) {
                let path = path.replace(['{', '}'], "");
                for token in [&self.operator, &self.backend, &self.provider, &"made-up".into()] {
                    let method = method.to_uppercase();
                    let answer = ask(server.private, &method, &path, &[bearer(token)], "");
                    waits(&answer, &format!("{method} {path}"));
                    waiting += 1;
                }
            }
        }
        assert!(waiting > 80, "{waiting}");
        assert_eq!(ask(server.private, "GET", "/healthz", &[], "").status, 200);
        let metrics = ask(server.private, "GET", "/metrics", &[], "");
        let metrics = text(&metrics.body);
        assert!(metrics.contains("gcs_tick_published ") && !metrics.contains("gcs_reports "));
        assert_eq!(server.get("/v1/nothing").refused(), (404, "not_found".to_owned()));
    }

    /// Everything works again, and nothing that was acknowledged is lost.
    #[track_caller]
    fn assert_works(&self, server: &Process) {
        server.until_ready();
        let again = server.report(&self.codes[0], vec![seed(self.day, 1)]).ok();
        assert_eq!(again, self.answer);
        server.report(&self.codes[1], vec![seed(self.day, 2)]).ok();
        server.status();
        let version = server.tick();
        let manifest = server.get("/v1/manifest");
        assert_eq!(manifest.status, 200);
        assert_ne!(manifest.body, self.public["v1/manifest"], "{version}");
        assert_eq!(server.present(&[(self.day, 1), (self.day, 2)]), [true, true]);
        assert!(server.logged().contains("the log can be used again"), "{}", server.logged());
    }

    /// Breaks the log, starts, looks, mends the log, and looks again.
    fn assert_waits_until_mended(&self, reason: &str, make: impl FnOnce(), mend: impl FnOnce()) {
        make();
        let before = self.files_of_log();
        let server = self.start();
        self.assert_serves_files_only(&server, reason);
        self.until_tried(&server);
        self.until_tried(&server);
        self.assert_serves_files_only(&server, reason);
        assert_eq!(difference(&before, &self.files_of_log()), Vec::<String>::new(), "{reason}");
        let logged = server.logged();
        assert_eq!(logged.matches("answered with 503 until").count(), 1, "{logged}");
        mend();
        server.signal("-HUP");
        self.assert_works(&server);
        server.stop();
    }

    /// Has the server try again, and waits until it has.
    fn until_tried(&self, server: &Process) {
        let tries = || server.logged().matches("still cannot be used").count();
        let before = tries();
        server.signal("-HUP");
        until("another try", || tries() > before);
    }
}

/// A folder below one that others may enter.
pub fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    home
}

fn flip(path: &Path, what: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(what.len()).position(|window| window == what).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_event_does_not_stop_the_published_files() {
    let home = home();
    let deployment = deployed(home.path());
    let whole = fs::read(deployment.log()).unwrap();
    deployment.assert_waits_until_mended(
        "its body is not the one it was written with",
        || flip(&deployment.log(), b"City hospital"),
        || fs::write(deployment.log(), &whole).unwrap(),
    );
}

#[test]
fn lost_events_do_not_stop_the_published_files() {
    let home = home();
    let deployment = deployed(home.path());
    let server = deployment.start();
    let [_, _, code, other, _] = &deployment.codes[..] else { panic!() };
    server.report(code, vec![seed(deployment.day, 8)]).ok();
    server.report(other, vec![seed(deployment.day, 9)]).ok();
    // Killed.
    drop(server);
    let wal = deployment.folder.join("log.sqlite-wal");
    let whole = fs::read(&wal).unwrap();
    let events = transactions(&whole);
    let (cut, mended) = (events[..events.len() / 2].to_vec(), whole.clone());
    deployment.assert_waits_until_mended(
        "Lost: event",
        || fs::write(&wal, cut).unwrap(),
        || fs::write(&wal, mended).unwrap(),
    );
    let copies = fs::read_dir(&deployment.folder).unwrap().map(|entry| entry.unwrap().file_name());
    let copies = copies.filter(|name| name.to_string_lossy().starts_with("damaged-")).count();
    assert_eq!(copies, 1, "a server that tries again and again must not fill the disk");
}

#[test]
fn a_log_of_a_newer_release_does_not_stop_the_published_files() {
    let home = home();
    let deployment = deployed(home.path());
    let set = |version: i32| {
        let connection = rusqlite::Connection::open(deployment.log()).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
    };
    deployment.assert_waits_until_mended("install a newer release", || set(2), || set(1));
}

/// Another folder, whose log is a link to the same one: only SQLite keeps the two servers apart.
#[test]
fn a_log_that_another_program_uses_does_not_stop_the_published_files() {
    let [home, other] = [home(), home()];
    let deployment = deployed(home.path());
    for (name, bytes) in files(home.path()).into_iter().filter(|(name, _)| name != LOG) {
        let place = other.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
    std::os::unix::fs::symlink(deployment.log(), other.path().join(LOG)).unwrap();
    // With a clock that stands still it makes no ticks.
    let clock = other.path().join("clock");
    let now = u64::from(deployment.day.days() + 2) * 86_400;
    fs::write(&clock, now.to_string()).unwrap();
    let flags = ["--clock-file", clock.to_str().unwrap()];
    let server = std::cell::RefCell::new(None);
    deployment.assert_waits_until_mended(
        "another process uses the log",
        || *server.borrow_mut() = Some(Process::start(other.path(), &flags)),
        || drop(server.take().map(Process::stop)),
    );
}

#[test]
fn events_that_do_not_fit_do_not_stop_the_published_files() {
    let home = home();
    let deployment = deployed(home.path());
    let whole = fs::read(deployment.log()).unwrap();
    let add = || {
        let mut store = SqliteStore::open(&deployment.log()).unwrap();
        let batches = store.read(1, ALL).unwrap();
        let last = batches.last().unwrap();
        let header = &last.events.last().unwrap().header;
        let head = gcs_core::Digest::of(header).0;
        let position = last.first + last.events.len() as u64 - 1;
        let closed = RangeClosed { provider: 77, generation: 1, first: 1000 };
        let now = u64::from(deployment.day.days() + 2) * 86_400;
        store.append(&seal(position, head, &[Event::from(closed)], now)).unwrap();
        store.settle();
    };
    deployment.assert_waits_until_mended("a provider that is not there", add, || {
        fs::write(deployment.log(), &whole).unwrap();
    });
}

#[test]
fn a_log_that_is_not_there_does_not_stop_the_published_files() {
    let home = home();
    let deployment = deployed(home.path());
    let aside = home.path().join("aside");
    deployment.assert_waits_until_mended(
        "Is a disk not mounted?",
        || fs::rename(deployment.log(), &aside).unwrap(),
        || fs::rename(&aside, deployment.log()).unwrap(),
    );
}

/// While the server waits, commands can use the data folder, and the server goes on with what they leave.
#[test]
fn a_log_is_recovered_while_its_published_files_are_served() {
    let home = home();
    let deployment = deployed(home.path());
    let older = fs::read(deployment.log()).unwrap();
    let server = deployment.start();
    server.report(&deployment.codes[2], vec![seed(deployment.day, 8)]).ok();
    server.stop();
    fs::write(deployment.log(), older).unwrap();
    let server = deployment.start();
    deployment.assert_serves_files_only(&server, "Lost: event");
    // Whenever the server tries, commands wait for the end of that.
    for _ in 0..10 {
        server.signal("-HUP");
        let looked = complaint(&alone(&deployment.folder, &["recover"]));
        assert!(looked.contains("Lost: event"), "{looked}");
    }
    let recovered = alone(&deployment.folder, &["recover", "--yes"]);
    assert!(recovered.status.success(), "{}", text(&recovered.stderr));
    server.signal("-HUP");
    deployment.assert_works(&server);
    let series = server.tick()["series"].as_u64().unwrap();
    assert!(series > 1, "{series}");
}

/// The program where any user may run it.
pub fn program_for_all(folder: &Path) -> PathBuf {
    copy_for_all(Path::new(program().get_program()), folder)
}

/// A copy of a program where any user may run it.
pub fn copy_for_all(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("gcs-server");
    // Another process writes it: while this one has it open, a child that another test begins has it too, and
    // nobody may execute a file that somebody writes.
    let copied = Command::new("cp").arg(program).arg(&copy).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// What runs a program as nobody; `None` if this user may not.
pub fn nobody() -> Option<[&'static str; 4]> {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut command = Command::new(nobody[0]);
    if command.args(&nobody[1..]).arg("true").status().is_ok_and(|status| status.success()) {
        return Some(nobody);
    }
    not_tested(
        "TEST_USERS",
        "files without permission, which need programs of another user. To test them: run as root",
    );
    None
}

pub fn owned_by_nobody(folder: &Path) {
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(folder).status();
    assert!(owned.unwrap().success());
}

#[test]
fn a_log_or_folder_without_permission_does_not_stop_the_published_files() {
    let Some(nobody) = nobody() else { return };
    for name in [LOG, "."] {
        let [home, place] = [home(), home()];
        let deployment = deployed(&home.path().join("data"));
        owned_by_nobody(&deployment.folder);
        let path = deployment.folder.join(name);
        let mode = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode.mode() & !0o222)).unwrap();
        let before = deployment.files_of_log();
        let program = program_for_all(place.path());
        let server = deployment.start_as(&nobody, Command::new(program));
        deployment.assert_serves_files_only(&server, "log.sqlite");
        assert_eq!(difference(&before, &deployment.files_of_log()), Vec::<String>::new(), "{name}");
        fs::set_permissions(&path, mode).unwrap();
        // Nobody tells the server.
        deployment.assert_works(&server);
        server.stop();
    }
}

#[test]
fn a_read_only_file_system_does_not_stop_the_published_files() {
    let Some(disk) = SmallDisk::mount(8192) else { return };
    let deployment = deployed(&disk.path().join("data"));
    // Killed, with something in the write-ahead log.
    let server = deployment.start();
    server.report(&deployment.codes[2], vec![seed(deployment.day, 8)]).ok();
    drop(server);
    disk.remount("ro");
    let before = files(&deployment.folder);
    let server = deployment.start();
    deployment.assert_serves_files_only(&server, "log.sqlite");
    assert_eq!(difference(&before, &files(&deployment.folder)), Vec::<String>::new());
    disk.remount("rw");
    deployment.assert_works(&server);
    server.stop();
}

/// Where there is nothing to serve, and where the configuration is wrong, a start fails.
#[test]
fn a_start_that_can_serve_nothing_fails() {
    let home = home();
    let deployment = deployed(home.path());
    let fails = |what: &str| {
        let serve = ["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"];
        let said = complaint(&alone(home.path(), &serve));
        assert!(said.contains(what), "{said}");
    };
    let (keys, log) = (home.path().join("keys.json"), deployment.log());
    let (good, whole) = (fs::read(&keys).unwrap(), fs::read(&log).unwrap());
    fs::write(&keys, "nonsense").unwrap();
    fails("not a key file");
    fs::remove_file(&keys).unwrap();
    fails("no key file");
    // Those of another deployment sign other files.
    gcs_server::app::key_file::create(&crate::common::keys(77), &keys).unwrap();
    fails("another deployment");
    fs::write(&keys, good).unwrap();

    let server = deployment.start();
    fails("in use by another gcs-server");
    server.stop();

    flip(&log, b"City hospital");
    fs::rename(home.path().join("public"), home.path().join("elsewhere")).unwrap();
    fails("its body is not the one it was written with");
    fs::remove_dir_all(home.path().join("public")).unwrap();
    fs::rename(home.path().join("elsewhere"), home.path().join("public")).unwrap();
    fs::write(&log, whole).unwrap();
    let server = deployment.start();
    server.until_ready();
    server.report(&deployment.codes[1], vec![seed(deployment.day, 2)]).ok();
}

#[test]
fn a_server_that_stops_while_its_log_cannot_be_used_stops_in_good_order() {
    let home = home();
    let deployment = deployed(home.path());
    flip(&deployment.log(), b"City hospital");
    let before = deployment.files_of_log();
    let server = deployment.start();
    deployment.assert_serves_files_only(&server, "its body");
    server.stop();
    assert_eq!(difference(&before, &deployment.files_of_log()), Vec::<String>::new());
}

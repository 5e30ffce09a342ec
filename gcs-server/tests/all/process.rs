//! The program itself, as an operator runs it: command line, log lines, signals, kill -9.

#![cfg(unix)]

use std::io::Read as _;
use std::sync::Mutex;
use std::thread::ScopedJoinHandle;

use crate::common::api::{Answer, agent, seed_of, try_ask};
use crate::common::authority::day;
use crate::common::process::{Process, alone, complaint, program, pure, text, until_ticked};
use crate::common::wait::until;
use gcs_server::app::key_file;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A seed of the day before yesterday.
fn seed(number: u64) -> Value {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed_of(day(), &seed)
}

/// The answer to a report; `None` when none came.
fn report(agent: &ureq::Agent, server: &Process, code: &str, seed_number: u64) -> Option<Answer> {
    let body = json!({ "code": code, "items": [seed(seed_number)] }).to_string();
    let headers = [("user-agent", "nosy-agent/7".to_owned())];
    try_ask(agent, server.public, "POST", "/v1/reports", &headers, &body).ok()
}

fn codes(server: &Process, token: &str, count: u32) -> Vec<String> {
    let output = server.run(token, &["codes", "open", "--count", &count.to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let sheet = text(&output.stdout);
    sheet.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn new_provider(server: &Process, operator: &str) -> String {
    let added = server.json(operator, &["provider", "add", "City hospital"]);
    added["token"].as_str().unwrap().to_owned()
}

#[test]
fn an_operators_day_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data, &[]);
    let operator = server.operator.clone();
    until_ticked(&server);
    let provider = new_provider(&server, &operator);
    let sheet = codes(&server, &provider, 3);
    assert_eq!(sheet.len(), 3);
    assert!(pure(&["test-code", &sheet[0].to_lowercase()]).status.success());
    let mistyped = pure(&["test-code", &sheet[0].replace('-', "")[1..]]);
    assert!(!mistyped.status.success() && text(&mistyped.stderr).contains("16 symbols, got 15"));

    assert_eq!(report(&agent(), &server, &sheet[0], 1).unwrap().status, 201);
    let set =
        server.json(&operator, &["policy", "set", "min_reports=1", "kinds=raw,dp3t-unlinkable"]);
    assert_eq!(set["kinds"], json!(["dp3t-unlinkable", "raw"]));
    let wrong = server.run(&operator, &["policy", "set", "kinds=tcn,blue"]);
    assert!(complaint(&wrong).contains("dp3t-unlinkable, raw, dp3t-low-cost"), "{wrong:?}");
    let authority = server.json(&operator, &["policy", "set", "gaen_authority=nl.example"]);
    assert_eq!(authority["gaen_authority"], "nl.example");
    let much = ["policy", "set", "min_reports=1000"];
    let asked = complaint(&server.run(&operator, &much));
    assert!(asked.contains("up to 100000 random filler elements"), "{asked}");
    let set = server.json(&operator, &[&much[..], &["--yes"]].concat());
    assert_eq!(set["min_reports"], 1000);
    let less = server.json(&operator, &["policy", "set", "min_reports=1"]);
    assert_eq!(less["min_reports"], 1, "less filler needs no question");
    let wrong = server.run(&operator, &["policy", "set", "min_report=1"]);
    assert!(text(&wrong.stderr).contains("there is no setting min_report"));

    let exported =
        server.json(&operator, &["policy", "set", "exports.region=NL", "exports.key_id=204"]);
    let exports =
        json!({ "region": "NL", "interval": 14_400, "key_id": "204", "key_version": "v1" });
    assert_eq!(exported["exports"], exports);
    let other = server.json(&operator, &["policy", "set", "exports.key_version=v2"]);
    assert_eq!(
        (&other["exports"]["key_version"], &other["exports"]["region"]),
        (&json!("v2"), &json!("NL"))
    );
    for (setting, said) in [
        ("exports=NL", "say exports.region=NL and so on, or exports= for none"),
        ("exports.country=NL", "there is no setting exports.country"),
        ("seeds.region=NL", "there is no setting seeds.region"),
        ("exports.interval=often", "exports.interval: often is no number"),
        ("exports.interval=60", "exports.interval is 60; it must be 3600 to 86400"),
    ] {
        let refused = complaint(&server.run(&operator, &["policy", "set", setting]));
        assert!(refused.contains(said), "{refused}");
    }
    let none = server.json(&operator, &["policy", "set", "exports="]);
    assert_eq!(none["exports"], json!(null));
    assert!(
        complaint(&server.run(&operator, &["policy", "set", "exports.region=NL"]))
            .contains("exports.key_id")
    );

    // The key that signs export files, while the server runs.
    let keys = key_file::read(&data.join("keys.json")).unwrap();
    for (arguments, version) in
        [(&["export-key"][..], "v1"), (&["export-key", "--key-version", "v2"], "v2")]
    {
        let printed = alone(&data, arguments);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        assert_eq!(text(&printed.stdout), keys.export("204", version).unwrap().public().to_pem());
        assert!(text(&printed.stderr).contains(&format!("version {version}")));
    }
    let wrong = complaint(&alone(&data, &["export-key", "--key-version", "v-2"]));
    assert!(wrong.contains("1 to 64 letters, digits or _"), "{wrong}");

    // Offline: the key, a range that is open, and the same codes.
    let key = server.run(&operator, &["provider", "key", "1"]);
    let key_file = folder.path().join("key.json");
    std::fs::write(&key_file, &key.stdout).unwrap();
    let range = server.run(&provider, &["codes", "open", "--count", "3", "--no-codes"]);
    let range_file = folder.path().join("range.json");
    std::fs::write(&range_file, &range.stdout).unwrap();
    let (key_file, range_file) = (key_file.to_str().unwrap(), range_file.to_str().unwrap());
    let printed = pure(&["print-codes", "--key", key_file, "--range", range_file]);
    let online = server.run(&provider, &["codes", "print", "3"]);
    assert_eq!(text(&printed.stdout), text(&online.stdout));
    assert_eq!(text(&printed.stdout).lines().count(), 4);
    let wrong = pure(&["print-codes", "--key", range_file, "--range", range_file]);
    assert!(text(&wrong.stderr).contains("not what `provider key` gives"));

    // A correction: nothing happens without --yes, and --yes needs the position.
    let output = server.run(&operator, &["retract", "--provider", "1"]);
    let preview = text(&output.stdout);
    assert!(preview.contains("nothing has changed yet"), "{preview}");
    let position = preview.split("--position ").nth(1).unwrap().split(' ').next().unwrap();
    let hasty = server.run(&operator, &["retract", "--provider", "1", "--yes"]);
    assert!(!hasty.status.success() && text(&hasty.stderr).contains("look first"));
    let late =
        server.run(&operator, &["retract", "--provider", "1", "--received-from", "2100-01-01"]);
    assert!(text(&late.stderr).contains("no report is selected"), "{}", text(&late.stderr));
    let act = ["retract", "--provider", "1", "--position", position, "--yes"];
    assert_eq!(server.json(&operator, &act)["reports"], 1);
    let wrong = server.run(&operator, &["retract"]);
    assert!(text(&wrong.stderr).contains("(422, selection_empty)"), "{}", text(&wrong.stderr));
    let wrong = server.run(&provider, &["status"]);
    assert!(text(&wrong.stderr).contains("(403, forbidden)"));

    // A running server keeps its folder and its log to itself.
    let (log, copy) = (data.join("log.sqlite"), folder.path().join("link.sqlite"));
    std::os::unix::fs::symlink(log, &copy).unwrap();
    let refused = pure(&["verify-log", copy.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Stop what else uses the log"), "{said}");
    for command in [&["serve"][..], &["rebuild"], &["recover", "--yes"], &["verify-log"]] {
        let refused = alone(&data, command);
        let said = text(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("in use by another gcs-server"),
            "{said}"
        );
    }
    let status = server.json(&operator, &["digest"]);
    server.stop();

    let verified = alone(&data, &["verify-log"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    let rebuilt = alone(&data, &["rebuild"]);
    let said = text(&rebuilt.stdout);
    assert!(rebuilt.status.success(), "{said}{}", text(&rebuilt.stderr));
    assert!(said.contains(&format!("digest {}", status["digest"].as_str().unwrap())), "{said}");
    assert!(said.contains("0 missing, 0 different") && said.contains("a second"), "{said}");

    // What is missing or damaged is found, and written again.
    let manifest = data.join("public/v1/manifest");
    let good = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, b"damaged").unwrap();
    let found = alone(&data, &["rebuild"]);
    assert!(!found.status.success() && text(&found.stdout).contains("wrong: /v1/manifest"));
    assert!(alone(&data, &["rebuild", "--write"]).status.success());
    assert_eq!(std::fs::read(&manifest).unwrap(), good);
    let healthy = alone(&data, &["recover", "--yes"]);
    assert!(text(&healthy.stdout).contains("start the server"), "{}", text(&healthy.stdout));

    // A lost token is replaced offline, and the old one is void.
    let reset = alone(&data, &["reset-token"]);
    let reset = text(&reset.stdout);
    let new = reset.trim().strip_prefix("operator token: ").unwrap();
    let server = Process::start(&data, &[]);
    assert!(!server.run(&operator, &["status"]).status.success());
    server.json(new, &["status"]);
}

/// The log and the key file on a new machine: whether the log is the newest, only the
/// operator knows.
#[test]
fn a_log_on_a_new_machine_starts_when_the_operator_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&folder.path().join("old"), &[]);
    let operator = server.operator.clone();
    server.until_ready();
    server.json(&operator, &["tick"]);
    server.stop();
    let copy = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir(&place).unwrap();
        for file in ["log.sqlite", "keys.json"] {
            std::fs::copy(folder.path().join("old").join(file), place.join(file)).unwrap();
        }
        place
    };
    let (newest, older) = (copy("newest"), copy("older"));
    for place in [&newest, &older] {
        for _ in 0..2 {
            let refused = alone(place, &["--public-listen", "127.0.0.1:0"]);
            let said = text(&refused.stderr);
            assert!(!refused.status.success() && said.contains("rebuild --write"), "{said}");
            assert!(said.contains("recover --yes"), "{said}");
            // To look is not to decide.
            assert!(!alone(place, &["rebuild"]).status.success());
            assert!(!alone(place, &["recover"]).status.success());
            let keys = place.join("keys.json");
            std::fs::rename(&keys, place.join("away")).unwrap();
            assert!(!alone(place, &["--public-listen", "127.0.0.1:0"]).status.success());
            std::fs::rename(place.join("away"), keys).unwrap();
        }
    }
    assert!(alone(&newest, &["rebuild", "--write"]).status.success());
    let server = Process::start(&newest, &[]);
    server.until_ready();
    let status = server.json(&operator, &["status"]);
    assert_eq!(status["published"]["series"], 1);
    assert!(alone(&older, &["recover", "--yes"]).status.success());
    let server = Process::start(&older, &[]);
    // The new series's first tick comes at once, whatever the slot.
    let published = || server.json(&operator, &["status"])["published"]["series"].as_u64();
    until("a new series", || published().unwrap_or(0) >= 1_000_000);
}

/// A port that is taken at the very first start must not cost the operator the token.
#[test]
fn a_taken_port_leaves_no_half_made_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let data = folder.path().join("data");
    let address = taken.local_addr().unwrap().to_string();
    let refused = alone(&data, &["--public-listen", &address]);
    assert!(text(&refused.stderr).contains("--public-listen"));
    assert!(!data.exists());
    assert!(!Process::start(&data, &[]).operator.is_empty());
}

#[test]
fn log_lines_say_nothing_of_who_asked_or_what() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let server =
            Process::start(folder.path(), &["--log-format", format, "--log-requests", "all"]);
        let operator = server.operator.clone();
        let provider = new_provider(&server, &operator);
        let sheet = codes(&server, &provider, 2);
        let agent = agent();
        let answer = report(&agent, &server, &sheet[0], 1).unwrap().ok();
        let tracking = answer["tracking_id"].as_str().unwrap().to_owned();
        server.get(&format!("/v1/reports/{tracking}"));
        report(&agent, &server, &sheet[0], 2).unwrap();
        report(&agent, &server, "SOME-CODE-WITH-MISTAKE", 2).unwrap();
        let odd = "/v1/sets/secret-path?secret=query";
        let forwarded = [("x-forwarded-for", "192.0.2.77".to_owned())];
        try_ask(&agent, server.public, "GET", odd, &forwarded, "").unwrap();
        server.run("gcs_operator_wrong", &["status"]);
        let client_port = server.public.port().to_string();
        let logged = server.stop();
        assert!(logged.contains("/v1/reports/{tracking_id}"), "{logged}");
        assert!(logged.contains("code_invalid") && logged.contains("unauthorized"), "{logged}");
        // Our own listeners are named once at the start; nobody else's address is.
        let lines = logged.lines().filter(|line| !line.contains(&client_port));
        let lines: Vec<&str> = lines.filter(|line| !line.contains("listening on")).collect();
        let seed = seed(1)["seed"].as_str().unwrap().to_owned();
        let plain = sheet[0].replace('-', "");
        for secret in [
            "127.0.0.1",
            "192.0.2.77",
            "nosy-agent",
            "ureq",
            &sheet[0],
            &plain,
            "SOME-CODE",
            "secret",
            &seed,
            &tracking,
            &operator,
            &provider,
            "gcs_operator_wrong",
        ] {
            let found = lines.iter().find(|line| line.contains(secret));
            assert!(found.is_none(), "{secret}: {found:?}");
        }
        if format == "json" {
            let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
            assert!(logged.lines().all(is_json), "{logged}");
        }
    }
}

#[test]
fn a_hangup_changes_log_settings_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let set =
        |which: &str| std::fs::write(&config, format!("log_requests = \"{which}\"\n")).unwrap();
    set("none");
    let data = folder.path().join("data");
    let server = Process::start(&data, &["--config", config.to_str().unwrap()]);
    let hang_up = |what: &str| {
        server.signal("-HUP");
        until(what, || server.logged().contains(what));
    };
    let is_logged = |path: &str| {
        assert_eq!(server.get(path).status, 404);
        // The line is there after the answer, if there is one.
        server.status();
        server.logged().contains("/v1/reports/{tracking_id}")
    };
    assert!(!is_logged("/v1/reports/0123456789abcdef0123456789abcdef"));
    set("some of them");
    hang_up("settings not read again");
    assert!(!is_logged("/v1/reports/0123456789abcdef0123456789abcdef"));
    set("all");
    hang_up("certificates read again");
    until("requests are logged", || is_logged("/v1/reports/0123456789abcdef0123456789abcdef"));
    server.stop();
}

/// What was acknowledged, by code.
type Acknowledged = Mutex<Vec<(String, u64, Value)>>;

/// Reports from many threads until the server is gone.
fn submit(server: &Process, sheet: &[String], first: u64, acknowledged: &Acknowledged) {
    std::thread::scope(|scope| {
        let enough = acknowledged.lock().unwrap().len() + 100;
        let send = |thread: u64, part: &[String]| {
            let agent = agent();
            for (number, code) in (first + thread * 1000..).zip(part) {
                let Some(answer) = report(&agent, server, code, number) else { return };
                assert_eq!(answer.status, 201, "{answer:?}");
                acknowledged.lock().unwrap().push((code.clone(), number, answer.json()));
            }
        };
        let parts = (0..).zip(sheet.chunks(sheet.len().div_ceil(16)));
        let clients: Vec<_> =
            parts.map(|(thread, part)| scope.spawn(move || send(thread, part))).collect();
        until("100 more reports", || {
            acknowledged.lock().unwrap().len() >= enough
                || clients.iter().all(ScopedJoinHandle::is_finished)
        });
        server.signal("-KILL");
    });
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_kill_9() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), &[]);
    let operator = server.operator.clone();
    let provider = new_provider(&server, &operator);
    let acknowledged = Acknowledged::default();
    for cycle in 0..3 {
        let sheet = codes(&server, &provider, 4000);
        submit(&server, &sheet, 1_000_000 * cycle, &acknowledged);
        drop(server);
        server = Process::start(folder.path(), &[]);
        let agent = agent();
        let known = acknowledged.lock().unwrap().clone();
        assert!(known.len() as u64 >= 100 * (cycle + 1));
        for (code, number, first) in &known {
            // A retry gets the first answer; the same code with anything else does not count.
            let again = report(&agent, &server, code, *number).unwrap();
            assert_eq!((again.status, &again.json()), (201, first));
        }
        let (code, number, _) = &known[0];
        assert_eq!(report(&agent, &server, code, number + 1).unwrap().status, 409);
    }
    server.stop();
    let verified = alone(folder.path(), &["verify-log"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

/// The server copies what it is given into the connection: it must not be given much.
#[test]
#[cfg(target_os = "linux")]
fn readers_that_stall_take_little_memory() {
    use std::io::Write as _;

    use crate::common::process::{place_set, resident};

    let folder = tempfile::tempdir().unwrap();
    drop(Process::start(folder.path(), &[]));
    let (path, _) = place_set(folder.path(), vec![7; (20 << 20) - 32]);
    let server = Process::start(folder.path(), &[]);
    let get = |stream: &mut std::net::TcpStream| {
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    };
    let connect = || std::net::TcpStream::connect(server.public).unwrap();
    get(&mut connect());
    let before = resident(server.child.id());
    let stall = |_| {
        let mut stream = connect();
        get(&mut stream);
        stream
    };
    let stalled: Vec<_> = (0..200).map(stall).collect();
    // Others are served all the while.
    assert_eq!(server.get(&path).body.len(), 20 << 20);
    let grown = resident(server.child.id()).saturating_sub(before);
    drop(stalled);
    assert!(grown < 64 << 20, "200 readers of 20 MiB: {} MiB more", grown >> 20);
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "public_listener = \"127.0.0.1:1\"\n").unwrap();
    let output = alone(folder.path(), &["show-config", "--config", file.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("public_listener"), "{said}");
    assert!(said.contains("public_listen`") && said.contains("data_dir"), "{said}");
    let output = program().arg("show-config").env("GCS_SERVER_DATADIR", "x").output();
    let output = output.unwrap();
    assert!(text(&output.stderr).contains("GCS_SERVER_DATADIR is unknown"));
    let shown = alone(folder.path(), &["show-config"]);
    std::fs::write(&file, &shown.stdout).unwrap();
    let again = ["show-config", "--config", file.to_str().unwrap()];
    let again = program().args(again).output().unwrap();
    assert_eq!(text(&again.stdout), text(&shown.stdout));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = alone(folder.path(), &["--public-listen", &address]);
    assert!(text(&output.stderr).contains(&format!("cannot listen on {address}")));
}

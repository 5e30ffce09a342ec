//! Whole servers whose published files are in a bucket.

#![cfg(unix)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::ops::Deref as _;
use std::path::Path;
use std::process::Command;

use crate::common::api::{ask, seed};
use crate::common::authority::day;
use crate::common::home::files;
use crate::common::process::{Process, complaint, program, text};
use crate::common::s3::{TestBucket, variables, with_tls};
use crate::common::s3_proxy::{Fate, Proxy};
use crate::common::wait::until;
use crate::tls::Authority;

/// The program, which reaches the storage through a proxy.
fn through(proxy: &Proxy) -> Command {
    let mut program = program();
    program.envs(variables(proxy.address));
    program
}

fn start(folder: &Path, bucket: &TestBucket, proxy: &Proxy) -> Process {
    let url = bucket.url().to_string();
    Process::start_program(&[], through(proxy), folder, &["--public-files", &url])
}

/// A command on a data folder whose server is stopped.
fn offline(
    folder: &Path,
    bucket: &TestBucket,
    proxy: &Proxy,
    command: &[&str],
) -> std::process::Output {
    let folder = folder.to_str().unwrap();
    let url = bucket.url().to_string();
    through(proxy)
        .args(command)
        .args(["--data-dir", folder, "--public-files", &url])
        .output()
        .unwrap()
}

/// What `/readyz` says does not work; empty if everything works.
fn unready(server: &Process) -> String {
    let answer = ask(server.private, "GET", "/readyz", &[], "");
    if answer.status == 200 {
        return String::new();
    }
    assert_eq!(answer.refused(), (503, "not_ready".to_owned()));
    answer.json()["detail"].as_str().unwrap().to_owned()
}

/// Waits until a server says that something does not work, or no longer does.
fn until_unready(server: &Process, is_so: impl Fn(&str) -> bool) {
    until("/readyz says so", || is_so(&unready(server)));
}

/// Every object of the bucket is served, with the same bytes.
#[track_caller]
fn assert_serves(server: &Process, bucket: &TestBucket) {
    let contents = bucket.contents();
    assert!(contents.contains_key("v1/manifest"));
    for (name, bytes) in contents {
        let answer = server.get(&format!("/{name}"));
        assert_eq!((answer.status, answer.body == bytes), (200, true), "{name}");
    }
}

#[test]
fn a_server_lives_with_a_bucket() {
    let Some(bucket) = TestBucket::for_process("prefix") else { return };
    let home = tempfile::tempdir().unwrap();
    let (data, proxy) = (home.path().join("data"), Proxy::to(bucket.server));
    let server = start(&data, &bucket, &proxy);
    server.until_ready();
    let (_, provider) = server.provider("City hospital");
    let codes = server.codes(&provider, 5);
    server.report(&codes[0], vec![seed(day(), 1)]).ok();
    server.tick();
    assert_serves(&server, &bucket);
    assert!(!data.join("public").exists());
    let operator = server.operator.clone();
    server.stop();

    let rebuilt = offline(&data, &bucket, &proxy, &["rebuild"]);
    let said = text(&rebuilt.stdout);
    assert!(rebuilt.status.success() && said.contains("0 missing, 0 different, 0 extra"), "{said}");
    let (whole, kept) = (bucket.contents(), files(&data.join("private")));

    // Nothing but the log and the keys is left of the machine.
    std::fs::remove_dir_all(data.join("private")).unwrap();
    let index = whole.keys().find(|name| name.starts_with("v1/index/")).unwrap();
    bucket.delete(index);
    bucket.put("v1/sets/2020-01-01/left-over", b"x");
    let rebuilt = offline(&data, &bucket, &proxy, &["rebuild", "--write"]);
    let said = text(&rebuilt.stdout);
    assert!(rebuilt.status.success() && said.contains("1 missing, 0 different, 1 extra"), "{said}");
    assert!(said.contains("extra files stay"), "{said}");
    bucket.delete("v1/sets/2020-01-01/left-over");
    assert_eq!(bucket.contents(), whole);
    assert_eq!(files(&data.join("private"))["publisher"], kept["publisher"]);

    let server = start(&data, &bucket, &proxy).with_tokens(&operator, "");
    server.until_ready();
    server.report(&codes[1], vec![seed(day(), 2)]).ok();
    server.tick();
    assert_serves(&server, &bucket);
    server.stop();
}

#[test]
fn while_storage_is_away_reports_are_accepted_and_files_are_served() {
    let Some(bucket) = TestBucket::for_process("") else { return };
    let home = tempfile::tempdir().unwrap();
    let proxy = Proxy::to(bucket.server);
    // Storage that says nothing is given up soon.
    let mut program = through(&proxy);
    program.env("AWS_TIMEOUT", "5s");
    let flags = ["--public-files", &bucket.url().to_string()];
    let server = Process::start_program(&[], program, home.path(), &flags);
    server.until_ready();
    let (_, provider) = server.provider("City hospital");
    let codes = server.codes(&provider, 10);
    server.report(&codes[0], vec![seed(day(), 1)]).ok();
    server.tick();
    for (number, fate) in (1..).zip([Fate::Error(500), Fate::Error(403), Fate::Silence, Fate::Cut])
    {
        let before = bucket.contents();
        proxy.always(fate.clone());
        // Nobody waits for this tick.
        let api = server.deref().clone();
        let ticking = std::thread::spawn(move || api.tick());
        until_unready(&server, |why| why.contains(&format!("s3://{} cannot be", bucket.name)));
        server.report(&codes[number], vec![seed(day(), 1 + number as u8)]).ok();
        for (name, bytes) in &before {
            // The manifests of the past are not in memory.
            if !name.starts_with("v1/manifests/") {
                assert_eq!(server.get(&format!("/{name}")).body, *bytes, "{fate:?} {name}");
            }
        }
        assert_eq!(bucket.get("v1/manifest").body, server.get("/v1/manifest").body);
        proxy.always(Fate::Pass);
        ticking.join().unwrap();
        until_unready(&server, str::is_empty);
        assert_serves(&server, &bucket);
    }
    server.stop();
}

/// A new deployment needs its storage: a bucket that is misspelt is noticed at once.
#[test]
fn a_first_start_without_storage_is_refused() {
    let Some(bucket) = TestBucket::for_process("") else { return };
    let home = tempfile::tempdir().unwrap();
    let (proxy, url) = (Proxy::to(bucket.server), bucket.url().to_string());
    let folder = home.path().to_str().unwrap();
    let listen = ["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"];
    let settings = ["--data-dir", folder, "--public-files", &url];
    for (fate, why) in [(Fate::Error(403), "403"), (Fate::Cut, "GET"), (Fate::Error(500), "500")] {
        proxy.always(fate);
        let refused = complaint(&through(&proxy).args(settings).args(listen).output().unwrap());
        let is_said =
            refused.contains("the published files cannot be used") && refused.contains(why);
        assert!(is_said, "{refused}");
    }
    proxy.always(Fate::Pass);
    let server = start(home.path(), &bucket, &proxy);
    server.until_ready();
    assert_serves(&server, &bucket);
    server.stop();
}

#[test]
fn a_start_without_storage_accepts_reports_and_serves_files_once_it_is_there() {
    let Some(bucket) = TestBucket::for_process("") else { return };
    let home = tempfile::tempdir().unwrap();
    let proxy = Proxy::to(bucket.server);
    let server = start(home.path(), &bucket, &proxy);
    server.until_ready();
    let operator = server.operator.clone();
    let (_, provider) = server.provider("City hospital");
    let codes = server.codes(&provider, 3);
    server.report(&codes[0], vec![seed(day(), 1)]).ok();
    server.tick();
    let whole = bucket.contents();
    server.stop();

    proxy.always(Fate::Cut);
    let server = start(home.path(), &bucket, &proxy).with_tokens(&operator, "");
    server.report(&codes[1], vec![seed(day(), 2)]).ok();
    assert_eq!(server.get("/v1/manifest").refused(), (503, "unavailable".to_owned()));
    let why = unready(&server);
    assert!(why.contains(&format!("s3://{} cannot be read", bucket.name)), "{why}");
    proxy.always(Fate::Pass);
    until_unready(&server, str::is_empty);
    for name in whole.keys() {
        assert_eq!(server.get(&format!("/{name}")).status, 200, "{name}");
    }
    server.tick();
    assert_serves(&server, &bucket);
    server.stop();
}

#[test]
fn storage_that_ignores_conditions_is_refused() {
    let Some(bucket) = TestBucket::for_process("prefix") else { return };
    let home = tempfile::tempdir().unwrap();
    let (proxy, url) = (Proxy::to(bucket.server), bucket.url().to_string());
    let start_in_vain = || {
        let folder = home.path().to_str().unwrap();
        let listen = ["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"];
        let settings = ["--data-dir", folder, "--public-files", &url];
        complaint(&through(&proxy).args(settings).args(listen).output().unwrap())
    };
    for condition in ["If-None-Match", "If-Match"] {
        let header = if condition == "If-Match" { "if-match:" } else { "if-none-match:" };
        proxy.always(Fate::Without(header));
        let refused = start_in_vain();
        assert!(refused.contains(&format!("{url} ignores the condition {condition}")), "{refused}");
        assert!(refused.contains("AWS_CONDITIONAL_PUT=disabled"), "{refused}");
        assert!(bucket.contents().is_empty(), "nothing is left");
    }
    // The operator knows, and there is no other server.
    let mut program = through(&proxy);
    program.env("AWS_CONDITIONAL_PUT", "disabled");
    let flags = ["--public-files", url.as_str()];
    let server = Process::start_program(&[], program, home.path(), &flags);
    server.until_ready();
    server.stop();
    proxy.always(Fate::Pass);
    let server = start(home.path(), &bucket, &proxy);
    server.until_ready();
    assert!(bucket.contents().keys().all(|name| name.starts_with("v1/")));
    server.stop();
}

#[test]
fn settings_of_storage_that_cannot_be_used_are_named() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_str().unwrap();
    let refused = |value: &str| {
        let output = program().args(["--data-dir", folder, "--public-files", value]).output();
        complaint(&output.unwrap())
    };
    for wrong in ["/srv/files", "https://bucket.example", "s3://", "s3://bucket/../other"] {
        let refused = refused(wrong);
        assert!(refused.contains("s3://BUCKET/PREFIX"), "{refused}");
    }
    let shown = program().args(["show-config", "--public-files", "s3://files/a"]).output().unwrap();
    assert!(
        text(&shown.stdout).contains("public_files = \"s3://files/a\""),
        "{}",
        text(&shown.stdout)
    );
}

/// Storage that speaks TLS, with a certificate of an authority that only this server trusts.
#[test]
fn storage_is_reached_over_https_and_its_certificate_is_verified() {
    let authority = Authority::new();
    authority.issue();
    let Some(storage) = with_tls(&authority.path("cert.pem"), &authority.path("key.pem")) else {
        return;
    };
    let ask = |request: &str| {
        let mut stream = authority.connect(storage);
        let head = "host: localhost\r\ncontent-length: 0\r\nconnection: close";
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // It may end without a word.
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            ended => drop(ended.unwrap()),
        }
        text(&answer)
    };
    assert!(ask("PUT /files").contains(" 200 "));
    let home = tempfile::tempdir().unwrap();
    let endpoint = format!("https://localhost:{}", storage.port());
    let program = |trusted: &Authority| {
        let mut program = program();
        program.envs(variables(storage)).env("AWS_ENDPOINT_URL", &endpoint);
        program.env("SSL_CERT_FILE", trusted.path("ca.pem"));
        program
    };
    // Another authority.
    let mut refused = program(&Authority::new());
    refused.args(["--public-files", "s3://files"]);
    refused.arg("--data-dir").arg(home.path().join("refused"));
    refused.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
    let refused = complaint(&refused.output().unwrap());
    assert!(refused.contains("the published files cannot be used"), "{refused}");

    let flags = ["--public-files", "s3://files"];
    let server = Process::start_program(&[], program(&authority), &home.path().join("a"), &flags);
    server.until_ready();
    server.tick();
    assert!(ask("GET /files?list-type=2").contains("<Key>v1/manifest</Key>"));
    server.stop();
}

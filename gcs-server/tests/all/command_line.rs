//! The command line by itself: help, settings, output that is closed or full, and what is said
//! when a server cannot be reached.

#![cfg(unix)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use crate::common::foreign::server_of;
use crate::common::process::{Process, alone, complaint, program, pure, text, until_ticked};
use crate::common::wait::PATIENCE;
use rustls::pki_types::PrivateKeyDer;

// ---- help ----

/// Subcommands as the help of `path` lists them.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

/// Every command, with its help.
fn commands(path: &[String], found: &mut Vec<(String, String)>) {
    let output = program().args(path).arg("--help").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let help = text(&output.stdout);
    for name in subcommands(&help) {
        let path: Vec<String> = path.iter().cloned().chain([name]).collect();
        commands(&path, found);
    }
    found.push((path.join(" "), help));
}

#[test]
fn help_is_short_and_has_only_what_the_command_uses() {
    let mut found = Vec::new();
    commands(&[], &mut found);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["serve", "codes open", "provider rotate", "report", "test-code", "policy set", ""]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let server = [
        "--public-listen",
        "--private-listen",
        "--log-format",
        "--log-level",
        "--log-requests",
        "--body-seconds",
    ];
    let folder = ["--data-dir", "--key-file", "--store"];
    let remote = ["--url", "--token", "--ca", "--proxy"];
    let public = ["--public-url"];
    for (name, help) in &found {
        let has =
            |options: &[&str]| options.iter().any(|option| help.contains(&format!("{option} ")));
        let first = name.split(' ').next().unwrap();
        let (serves, works_on_folder) = match first {
            "serve" | "show-config" => (true, true),
            "verify-log" | "rebuild" | "reset-token" | "recover" | "restore" | "move-log"
            | "export-key" => (false, true),
            _ => (false, false),
        };
        assert_eq!((has(&server), has(&folder)), (serves, works_on_folder), "{name}: {help}");
        let is_group = help.contains("\nCommands:\n");
        let is_pure = ["test-code", "print-codes", "element", "openapi", "help"].contains(&first);
        let is_app = ["report", "report-status", "mirror"].contains(&first);
        let asks = !serves && !works_on_folder && !is_group && !is_pure;
        assert_eq!(has(&public), is_app, "{name}: {help}");
        assert!(is_group || has(&remote) == asks, "{name}: {help}");
        let bound = match first {
            "" => 60,
            "test-code" | "openapi" => 12,
            "serve" | "show-config" | "retract" | "reinstate" => 56,
            _ => 48,
        };
        let lines = help.lines().count();
        assert!(lines <= bound, "{name}: {lines} lines\n{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{name}: {help}");
    }
}

#[test]
fn the_handbook_names_every_command() {
    let handbook = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let chapter = handbook.split("\n## ").find(|chapter| chapter.starts_with("Commands")).unwrap();
    let mut named: Vec<&str> = chapter
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split(&['`', ',', ' ']).filter(|word| !word.is_empty()))
        .filter(|word| !word.starts_with('-'))
        .collect();
    named.push("serve");
    named.sort_unstable();
    let mut listed = subcommands(&text(&pure(&["--help"]).stdout));
    listed.sort_unstable();
    assert_eq!(named, listed);
}

#[test]
fn settings_that_a_command_does_not_use_are_refused() {
    for arguments in [
        &["test-code", "X", "--data-dir", "d"][..],
        &["openapi", "--public-listen", "127.0.0.1:1"],
        &["verify-log", "--log-format", "json"],
        &["verify-log", "--token", "t"],
        &["status", "--data-dir", "d"],
        &["report-status", "00", "--token", "t"],
        &["serve", "--url", "http://127.0.0.1:1"],
        // Before the command they are those of serving.
        &["--data-dir", "d", "status"],
        &["--public-listen", "127.0.0.1:1", "openapi"],
    ] {
        let output = pure(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = complaint(&output);
        assert!(
            said.contains("unexpected argument") || said.contains("cannot be used with"),
            "{said}"
        );
    }
    // In the environment they are whoever's turn it is; mistakes are nobody's.
    let unused = program().args(["element"]).env("GCS_SERVER_DATA_DIR", "d").output().unwrap();
    assert!(unused.status.success());
    let unknown = program().args(["element"]).env("GCS_SERVER_DATADIR", "d").output().unwrap();
    assert!(complaint(&unknown).contains("GCS_SERVER_DATADIR is unknown"));
}

#[test]
fn what_is_missing_or_mistaken_is_told_before_anything_is_sent() {
    let case = |arguments: &[&str], token: Option<&str>, wanted: &[&str]| {
        let mut command = program();
        command.args(arguments).env("GCS_SERVER_URL", "http://127.0.0.1:1");
        token.map(|token| command.env("GCS_SERVER_TOKEN", token));
        let said = complaint(&command.output().unwrap());
        for wanted in wanted {
            assert!(said.contains(wanted), "{arguments:?}: {wanted}: {said}");
        }
        assert!(!said.contains("nothing listens there"), "{arguments:?}: {said}");
    };
    case(&["status"], None, &["a token is needed: --token, or GCS_SERVER_TOKEN"]);
    for empty in ["", " \n"] {
        case(&["status"], Some(empty), &["the token is empty", "GCS_SERVER_TOKEN"]);
        case(&["status", "--token", empty], Some("t"), &["the token is empty", "--token"]);
    }
    let report = ["report", "--code", "0000-0005-N14B-38SN"];
    case(&report, None, &["not provided", "--seed", "--random"]);
    let seed = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    case(&[&report[..], &["--seed", seed]].concat(), None, &["--time"]);
    case(&[&report[..], &["--seed", seed, "--random"]].concat(), None, &["cannot be used with"]);
    case(&[&report[..], &["--time", "0", "--random"]].concat(), None, &["cannot be used with"]);
    for option in ["--received-from", "--received-until"] {
        let date = ["retract", "--provider", "1", option, "20260131"];
        case(&date, Some("t"), &[option, "write the date as 2026-01-31"]);
    }
    let root = "0".repeat(64);
    let mirror = ["mirror", "--root-key", &root, "--to", "s3://bucket/prefix"];
    case(&mirror, None, &["--to s3://bucket/prefix is a URL", "a mirror is a folder"]);
    assert!(!Path::new("s3:").exists());
}

/// A mistyped data folder is told, and not made.
#[test]
fn a_data_folder_without_a_deployment_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let to_database = ["move-log", "--to", "postgres://u@127.0.0.1:1/log"];
    let commands: [&[&str]; 6] = [
        &["rebuild"],
        &["recover"],
        &["recover", "--salvage"],
        &["reset-token"],
        &to_database,
        &["verify-log"],
    ];
    for command in commands {
        let said = complaint(&alone(&data, command));
        assert!(said.contains("--data-dir") && said.contains("no"), "{command:?}: {said}");
        assert!(!data.exists(), "{command:?}");
    }
    // The log of this one is in a database, and the setting was forgotten.
    fs::create_dir(&data).unwrap();
    fs::write(data.join("keys.json"), "{}").unwrap();
    for command in &commands[..5] {
        let said = complaint(&alone(&data, command));
        assert!(said.contains("setting `store`"), "{command:?}: {said}");
    }
    let elsewhere = ["rebuild", "--store", "postgres://u@127.0.0.1:1/log"];
    fs::remove_file(data.join("keys.json")).unwrap();
    let said = complaint(&alone(&data, &elsewhere));
    assert!(said.contains("no key file") && said.contains("keys.json"), "{said}");
}

/// The variables that commands read are set for good in many shells.
#[test]
fn a_stopped_folder_is_copied_whatever_variables_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    Process::start(&folder.path().join("data"), &[]).stop();
    let (to, from) = (path("copy"), path("data"));
    let mut command = program();
    command.args(["backup", "--to", &to, "--from", &from]);
    command.env("GCS_SERVER_TOKEN", "t").env("GCS_SERVER_URL", "http://127.0.0.1:1");
    let output = command.env("GCS_SERVER_CA", "/no/such/file").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(Path::new(&to).join("log.sqlite").exists());
}

// ---- servers that are not ours ----

const STATUS: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\
    Connection: close\r\n\r\n{\"position\":7}";

fn ask(url: &str, more: &[&str]) -> Output {
    program().args(["status", "--token", "secret-token", "--url", url]).args(more).output().unwrap()
}

#[test]
fn no_proxy_is_used_unless_it_is_asked_for() {
    let (server, requests) = server_of(STATUS);
    let (proxy, seen) = server_of(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n");
    let proxy = format!("http://127.0.0.1:{proxy}");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    {
        let url = format!("http://127.0.0.1:{server}");
        let mut command = program();
        command.args(["status", "--token", "secret-token", "--url", &url]).env(name, &proxy);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("\"position\": 7"));
        assert!(requests.recv_timeout(PATIENCE).unwrap().contains("Bearer secret-token"));
    }
    assert!(seen.try_recv().is_err());
    let refused = ask(&format!("http://127.0.0.1:{server}"), &["--proxy", &proxy]);
    assert!(complaint(&refused).contains("--proxy"));
    let request = seen.recv_timeout(PATIENCE).unwrap();
    assert!(request.starts_with("CONNECT ") && !request.contains("secret-token"), "{request}");
    assert!(
        complaint(&ask("http://127.0.0.1:1", &["--proxy", "::"])).contains("--proxy is not a URL")
    );
}

#[test]
fn what_is_no_server_of_ours_is_named_with_the_next_step() {
    let case_within = |seconds: &str, url: &str, wanted: &[&str]| {
        let output = ask(url, &["--timeout", seconds]);
        let said = complaint(&output);
        for wanted in wanted {
            assert!(said.contains(wanted), "{url}: {wanted}: {said}");
        }
        assert!(!said.contains("secret-token"), "{said}");
    };
    let case = |url: &str, wanted: &[&str]| case_within("60", url, wanted);
    case("127.0.0.1:8081", &["http://127.0.0.1:8081", "https://127.0.0.1:8081"]);
    case("htp://127.0.0.1:8081", &["http or https"]);
    case("http://127.0.0.1:1", &["nothing listens there", "Is the server running"]);
    case("http://no-such-host.invalid", &["no host of this name", "--url"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let wanted = ["no answer in time", &format!("https://{silent}")];
    case_within("1", &format!("http://{silent}"), &wanted);
    let at = |answer| format!("http://127.0.0.1:{}", server_of(answer).0);
    case(&at(b"SSH-2.0-OpenSSH_9.9\r\n"), &["not HTTP", "https://"]);
    case(&at(b""), &["https://"]);
    case(
        &at(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
        &["not as a gcs-server does (status 200)", "--url"],
    );
    case(
        &at(b"HTTP/1.1 400 Bad\r\nContent-Length: 50\r\n\r\nThe plain HTTP request was sent to HTTPS port :-( "),
        &["status 400", "say https://"],
    );
    case(
        &at(b"HTTP/1.1 301 Moved\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n\r\n"),
        &["https://x.example/"],
    );
    // Nor is a success of ours without JSON, also after a change.
    let other = at(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    case(&other, &["not as a gcs-server does (status 200)", "--url"]);
    for command in
        [&["tick"][..], &["provider", "add", "Clinic"], &["codes", "open", "--count", "1"]]
    {
        let mut program = program();
        let output =
            program.args(command).args(["--token", "t", "--url", &other]).output().unwrap();
        let said = complaint(&output);
        assert!(said.contains("not as a gcs-server does (status 200)"), "{command:?}: {said}");
        assert!(said.contains("--url") && !said.contains("line 1"), "{command:?}: {said}");
    }
    // A change whose answer is lost: it is not known, and that is said; a question is a question.
    let lost = at(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{");
    let output = program().args(["tick", "--token", "t", "--url", &lost]).output().unwrap();
    assert!(complaint(&output).contains("Whether it has been done is not known"));
    assert!(!complaint(&ask(&lost, &[])).contains("Whether"));
}

// ---- TLS ----

/// A TLS server for `localhost` that answers every request, with a certificate of its own; its port, and the
/// authority's certificate.
fn tls_server(folder: &Path) -> (u16, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let own = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let file = folder.join("ca.pem");
    fs::write(&file, certificate.pem()).unwrap();
    (tls_server_with(&own, &key), file.to_str().unwrap().to_owned())
}

/// A TLS server that shows a certificate and answers every request; its port.
fn tls_server_with(own: &rcgen::Certificate, key: &rcgen::KeyPair) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                let _closed = stream.write_all(STATUS);
                stream.conn.send_close_notify();
                let _closed = stream.flush();
            }
        }
    });
    port
}

#[test]
fn tls_is_spoken_and_its_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (port, ca) = tls_server(folder.path());
    let url = format!("https://localhost:{port}");
    let output = ask(&url, &["--ca", &ca]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("\"position\": 7"));

    // Nobody vouches for it, or for another name; and it speaks TLS only.
    assert!(complaint(&ask(&url, &[])).contains("--ca FILE"));
    let other = ask(&format!("https://127.0.0.1:{port}"), &["--ca", &ca]);
    assert!(complaint(&other).contains("for other names"));
    let plain = ask(&format!("http://localhost:{port}"), &[]);
    assert!(complaint(&plain).contains(&format!("say https://localhost:{port}")));
    let (plain, _) = server_of(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let tls = ask(&format!("https://localhost:{plain}"), &["--ca", &ca]);
    assert!(complaint(&tls).contains(&format!("say http://localhost:{plain}")));

    // One that was signed by itself, as most examples make it, and with the mark of an authority.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut itself = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    for (is_ca, wanted) in [
        (rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), Some("CA:FALSE")),
        (rcgen::IsCa::ExplicitNoCa, None),
    ] {
        itself.is_ca = is_ca;
        let own = itself.self_signed(&key).unwrap();
        let file = folder.path().join("own.pem");
        fs::write(&file, own.pem()).unwrap();
        let url = format!("https://localhost:{}", tls_server_with(&own, &key));
        let output = ask(&url, &["--ca", file.to_str().unwrap()]);
        match wanted {
            Some(wanted) => assert!(complaint(&output).contains(wanted), "{}", complaint(&output)),
            None => assert!(output.status.success(), "{}", text(&output.stderr)),
        }
    }

    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nothing").unwrap();
    assert!(complaint(&ask(&url, &["--ca", empty.to_str().unwrap()])).contains("no certificate"));
    assert!(complaint(&ask(&url, &["--ca", "/no/such/file"])).contains("/no/such/file"));
}

// ---- a server of ours ----

#[test]
fn a_wrong_listener_a_wrong_token_and_a_second_start_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data, &[]);
    let public = server.public_url();
    let output = server.command("t", &["status", "--url", &public]).output().unwrap();
    assert!(complaint(&output).contains("perhaps it is the public one"));
    let id = "0".repeat(32);
    let mut command =
        server.command("", &["report-status", &id, "--public-url", &server.private_url()]);
    assert!(complaint(&command.output().unwrap()).contains("perhaps it is the private one"));
    let output = server.command("gcs_operator_wrong", &["status"]).output().unwrap();
    let said = complaint(&output);
    assert!(said.contains("(401, unauthorized)") && said.contains("does not know this token"));

    let codes = ["codes", "open", "--count", "1"];
    let output = server.command(&server.operator, &codes).output().unwrap();
    let said = complaint(&output);
    for wanted in ["(403, forbidden)", "a provider's", "by `provider add`", "gcs-server --help"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }

    // The same folder, whatever the addresses; and another folder with the same addresses.
    let ports = [
        ["--public-listen", &server.public.to_string()],
        ["--private-listen", &server.private.to_string()],
    ];
    for listen in [ports.concat(), vec!["--public-listen", "127.0.0.1:0"]] {
        let mut command = program();
        let output = command.args(listen).args(["--data-dir", data.to_str().unwrap()]).output();
        let said = complaint(&output.unwrap());
        assert!(said.contains("in use by another gcs-server"), "{said}");
        let process = format!("process {}", server.child.id());
        let (public, private) = (server.public_url(), server.private_url());
        for wanted in [&process, &public, &private, data.to_str().unwrap()] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }
    let other = folder.path().join("other");
    for listen in ports {
        let mut command = program();
        let output = command.args(listen).args(["--data-dir", other.to_str().unwrap()]).output();
        let said = complaint(&output.unwrap());
        assert!(said.contains("A gcs-server of another data folder"), "{said}");
        assert!(said.contains(listen[0]) && said.contains("lsof -i :"), "{said}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    std::thread::spawn({
        let taken = taken.try_clone().unwrap();
        move || taken.incoming().for_each(drop::<Result<TcpStream, _>>)
    });
    let listen = ["--private-listen", &taken.local_addr().unwrap().to_string()];
    let free = ["--public-listen", "127.0.0.1:0"];
    let mut command = program();
    let output = command.args(listen).args(free).args(["--data-dir", other.to_str().unwrap()]);
    assert!(complaint(&output.output().unwrap()).contains("Another program listens there"));
    assert!(!other.exists());
}

#[test]
fn a_report_is_made_and_followed_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&folder.path().join("data"), &[]);
    until_ticked(&server);
    let operator = server.operator.clone();
    let provider = server.json(&operator, &["provider", "add", "City hospital"]);
    let provider = provider["token"].as_str().unwrap();
    let sheet = server.command(provider, &["codes", "open", "--count", "3"]).output().unwrap();
    let sheet = text(&sheet.stdout);
    let codes: Vec<&str> = sheet.lines().skip(1).collect();

    let broadcast = server.json("", &["element"]);
    let (seed, element) =
        (broadcast["seed"].as_str().unwrap(), broadcast["element"].as_str().unwrap());
    let time = broadcast["time"].as_u64().unwrap().to_string();
    assert_eq!(server.json("", &["element", "--seed", seed, "--time", &time]), broadcast);
    let report = ["report", "--code", codes[0], "--seed", seed, "--time", &time];
    let answer = server.json("", &report);
    assert_eq!(answer["accepted"], 1);
    // The same report gets the same answer; another one does not.
    assert_eq!(server.json("", &report), answer);
    let other = server.command("", &["report", "--code", codes[0], "--random"]).output().unwrap();
    assert!(complaint(&other).contains("(409, code_used)"));
    let mistyped = codes[1].replace('-', "");
    let output = server.command("", &["report", "--code", &mistyped[1..], "--random"]).output();
    assert!(complaint(&output.unwrap()).contains("16 symbols"));
    let random = server.json("", &["report", "--code", codes[1], "--random"]);
    assert_eq!(random["accepted"], 1);
    // Items of any kind, as an app would send them.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("items.json");
    let of_file = ["report", "--code", codes[2], "--items", file.to_str().unwrap()];
    let said = || complaint(&server.command("", &of_file).output().unwrap());
    assert!(said().contains("items.json"));
    fs::write(&file, "{}").unwrap();
    assert!(said().contains("no list of items"));
    let key = broadcast["seed"].as_str().unwrap();
    let item =
        serde_json::json!({ "kind": "dp3t-low-cost", "date": broadcast["date"], "key": key });
    fs::write(&file, serde_json::json!([item]).to_string()).unwrap();
    assert!(said().contains("(422, no_items)"), "{}", said());
    server.json(&operator, &["policy", "set", "kinds=dp3t-unlinkable,dp3t-low-cost"]);
    assert_eq!(server.json("", &of_file)["accepted"], 1);

    server.json(&operator, &["tick"]);
    let id = answer["tracking_id"].as_str().unwrap();
    assert_eq!(server.json("", &["report-status", id])["status"], "published");
    let backend = server.json(&operator, &["backend-token"]);
    let date = broadcast["date"].as_str().unwrap();
    for element in [element, random["element"].as_str().unwrap()] {
        let exact = ["exact", "--date", date, "--element", element];
        let present = server.json(backend["token"].as_str().unwrap(), &exact);
        assert_eq!(present["present"], serde_json::json!([true]));
    }
}

#[test]
fn a_report_is_sent_again_until_an_answer_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bodies = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for answer in [
            &b""[..],
            b"HTTP/1.1 201 Created\r\nContent-Length: 21\r\n\r\n{\"tracking_id\": \"ab\"}",
        ] {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while !request.ends_with(b"]}") {
                let length = connection.read(&mut part).unwrap();
                request.extend_from_slice(&part[..length]);
            }
            bodies.push(text(&request).split("\r\n\r\n").nth(1).unwrap().to_owned());
            connection.write_all(answer).unwrap();
        }
        bodies
    });
    let output =
        pure(&["report", "--code", "0000-0005-N14B-38SN", "--random", "--public-url", &url]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("sent again"));
    let bodies = bodies.join().unwrap();
    assert_eq!(bodies[0], bodies[1]);
}

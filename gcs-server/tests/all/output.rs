//! Answers that cannot be written: output that is closed or full.

#![cfg(unix)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::foreign::{json, server_of};
use crate::common::process::{Process, alone, complaint, program, pure, text, until_ticked};
use crate::common::small_disk::{SmallDisk, again, limited};
use serde_json::Value;

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// The writing end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_closed_pipe_ends_quietly_and_a_full_disk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (key, range) = (folder.path().join("key.json"), folder.path().join("range.json"));
    let digits = "07".repeat(32);
    fs::write(&key, format!(r#"{{"provider":1,"generation":1,"key":"{digits}"}}"#)).unwrap();
    let opened = r#"{"provider":1,"generation":1,"first":0,"count":10000,"expires":1767571199}"#;
    fs::write(&range, opened).unwrap();
    let (key, range) = (key.to_str().unwrap(), range.to_str().unwrap());
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["codes", "--help"],
        &["help", "report"],
        &["openapi"],
        &["show-config"],
        &["element"],
        &["test-code", "0000-0005-N14B-38SN"],
        &["print-codes", "--key", key, "--range", range],
    ] {
        let output = program().args(arguments).stdout(closed()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        if cfg!(target_os = "linux") {
            let output = program().args(arguments).stdout(full()).output().unwrap();
            let said = complaint(&output);
            assert!(said.contains("cannot write to standard output"), "{arguments:?}: {said}");
            // Nor is anything wrong with it when nobody can be told.
            let output = program().args(arguments).stdout(full()).stderr(full()).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        }
    }
    let status = program().arg("no-such-command").stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn files_are_new_and_secret_ones_are_their_owners() {
    let folder = tempfile::tempdir().unwrap();
    let mode =
        |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    let write = |command: &str, name: &str| {
        let output = program().args([command, "--output", name]).current_dir(&folder).output();
        output.unwrap()
    };
    let output = write("element", "seed.json");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    assert_eq!(mode("seed.json"), 0o600);
    let written = fs::read(folder.path().join("seed.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap()["seed"].as_str().unwrap().len(),
        44
    );
    assert!(complaint(&write("element", "seed.json")).contains("is there already"));
    assert_eq!(fs::read(folder.path().join("seed.json")).unwrap(), written);
    assert!(write("openapi", "openapi.json").status.success());
    assert_eq!(
        text(&pure(&["openapi"]).stdout).into_bytes(),
        fs::read(folder.path().join("openapi.json")).unwrap()
    );
    assert!(complaint(&write("openapi", "no/such/folder")).contains("cannot write no/such/folder"));
}

#[test]
fn half_an_answer_is_no_file() {
    let disk = SmallDisk::mount(64);
    let folder = tempfile::tempdir().unwrap();
    for name in ["openapi", "element", "show-config"] {
        let write = |folder: &Path| {
            let mut command = program();
            command.args([name, "--output"]).arg(folder.join("answer"));
            command
        };
        for is_signalled in [true, false] {
            let output = limited(0, is_signalled, &write(folder.path())).output().unwrap();
            assert!(complaint(&output).contains("ulimit -f"), "{name}");
            assert!(!folder.path().join("answer").exists(), "{name}");
        }
        let Some(disk) = &disk else { continue };
        disk.fill();
        let said = complaint(&write(disk.path()).output().unwrap());
        assert!(said.contains("Make room") && !disk.path().join("answer").exists(), "{said}");
        disk.clear();
    }
}

fn position(server: &Process) -> u64 {
    server.json(&server.operator, &["status"])["position"].as_u64().unwrap()
}

/// A server with one provider whose log only commands move on, and the provider's token.
fn server(folder: &Path) -> (Process, String) {
    let server = Process::start(&folder.join("data"), &[]);
    until_ticked(&server);
    let added = server.json(&server.operator, &["provider", "add", "City hospital"]);
    let token = added["token"].as_str().unwrap().to_owned();
    (server, token)
}

const CODES: &[&str] = &["codes", "open", "--count", "10000"];

/// Commands that spend something: whether a provider runs them, and whether they have --output.
const SPENDING: [(bool, &[&str], bool); 9] = [
    (true, CODES, true),
    (true, &["codes", "open", "--count", "1", "--no-codes"], true),
    (false, &["provider", "add", "Clinic"], true),
    (false, &["provider", "token", "1"], true),
    (false, &["operator-token"], true),
    (false, &["backend-token"], true),
    (false, &["provider", "rotate", "1"], false),
    (false, &["policy", "set", "kinds=raw"], false),
    (false, &["start-series", "--yes"], false),
];

/// Runs every command that spends something with an output of which `run` makes each form, and makes
/// sure that it is refused with these words and nothing is spent.
fn refused(folder: &Path, run: impl Fn(Command, bool) -> Vec<Output>, wanted: &[&str]) {
    let (server, provider) = server(folder);
    let before = position(&server);
    for (is_provider, arguments, has_output) in SPENDING {
        let token = if is_provider { &provider } else { &server.operator };
        for output in run(server.command(token, arguments), has_output) {
            let said = complaint(&output);
            for wanted in ["Nothing has been done"].iter().chain(wanted) {
                assert!(said.contains(wanted), "{arguments:?}: {wanted}: {said}");
            }
        }
    }
    assert_eq!(position(&server), before);
}

#[test]
fn nothing_is_spent_whose_answer_cannot_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let run = |mut command: Command, _| {
        let closed = command.stdout(closed()).output().unwrap();
        let full =
            Path::new("/dev/full").exists().then(|| command.stdout(full()).output().unwrap());
        [closed].into_iter().chain(full).collect()
    };
    refused(folder.path(), run, &["cannot write to standard output"]);
}

#[test]
fn nothing_is_spent_whose_answer_cannot_have_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    fs::write(&there, "mine").unwrap();
    let nowhere = folder.path().join("nowhere/answer");
    let run = |command: Command, has_output: bool| {
        let with = |path: &Path| again(&command).arg("--output").arg(path).output().unwrap();
        if has_output { vec![with(&there), with(&nowhere)] } else { Vec::new() }
    };
    refused(folder.path(), run, &[folder.path().to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
}

/// Runs a command with its answer in a new file of a folder, by --output and by the shell.
fn into_folder(folder: &Path, command: &Command, has_output: bool) -> Vec<Output> {
    let (answer, redirected) = (folder.join("answer"), folder.join("redirected"));
    let stdout = File::create(&redirected).unwrap();
    let mut outputs = vec![again(command).stdout(stdout).output().unwrap()];
    assert_eq!(fs::read(&redirected).unwrap(), b"");
    fs::remove_file(&redirected).unwrap();
    if has_output {
        outputs.push(again(command).arg("--output").arg(&answer).output().unwrap());
        assert!(!answer.exists());
    }
    outputs
}

#[test]
fn nothing_is_spent_when_a_limit_leaves_no_room_for_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let run = |command: Command, has_output| {
        let commands = [true, false].map(|is_signalled| limited(2, is_signalled, &command));
        let outputs = commands.map(|command| into_folder(folder.path(), &command, has_output));
        outputs.concat()
    };
    refused(folder.path(), run, &["ulimit -f"]);
}

#[test]
fn nothing_is_spent_when_a_full_disk_leaves_no_room_for_the_answer() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    disk.fill();
    let folder = tempfile::tempdir().unwrap();
    let run = |command: Command, has_output| into_folder(disk.path(), &command, has_output);
    refused(folder.path(), run, &["Make room"]);

    // Not full, and yet without room for so many codes.
    disk.clear();
    let (server, provider) = server(&folder.path().join("other"));
    let before = position(&server);
    for output in into_folder(disk.path(), &server.command(&provider, CODES), true) {
        assert!(complaint(&output).contains("Nothing has been done"));
    }
    assert_eq!(position(&server), before);
    let sheet = disk.path().join("sheet");
    let few = server.command(&provider, &["codes", "open", "--count", "100"]);
    assert!(again(&few).arg("--output").arg(&sheet).status().unwrap().success());
    assert_eq!(fs::read_to_string(sheet).unwrap().lines().count(), 101);
    let stdout = File::create(disk.path().join("redirected")).unwrap();
    assert!(again(&few).stdout(stdout).status().unwrap().success());
    assert_eq!(position(&server), before + 2);
}

#[test]
fn what_was_done_is_named_when_its_answer_is_lost() {
    // An answer so long that there is no room for it, which no server of ours gives.
    let long = "x".repeat(40_000);
    let answer = format!(r#"{{"provider":7,"generation":2,"first":3,"kinds":[],"long":"{long}"}}"#);
    let (port, _requests) = server_of(json(200, &answer));
    let url = format!("http://127.0.0.1:{port}");
    let seed = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let report = ["report", "--code", "0000-0005-N14B-38SN"];
    let cases: [(&[&str], bool, &[&str]); 17] = [
        (
            &["codes", "open", "--count", "1"],
            true,
            &["codes print 3 --generation 2", "codes close 3"],
        ),
        (&["codes", "open", "--count", "1", "--no-codes"], true, &["codes list", "codes close 3"]),
        (&["codes", "close", "3"], false, &["codes list"]),
        (&["revoke-code", "0000-0005-N14B-38SN"], false, &["revoked"]),
        (&["provider", "add", "Clinic"], true, &["number 7", "provider token 7"]),
        (&["provider", "token", "1"], true, &["old token is void", "provider token 1"]),
        (&["provider", "key", "1"], true, &["Nothing has changed", "provider key 1"]),
        (&["provider", "rotate", "1"], false, &["provider list"]),
        (&["operator-token"], true, &["old token is void", "reset-token"]),
        (&["backend-token"], true, &["old token is void", "backend-token"]),
        (&["policy", "set", "kinds=raw"], false, &["policy show"]),
        (&["tick"], false, &["status"]),
        (&["clock", "resume"], false, &["status"]),
        (&["start-series", "--yes"], false, &["status"]),
        (&["retract", "--provider", "7", "--position", "1", "--yes"], false, &["next tick"]),
        (&[&report[..], &["--random"]].concat(), false, &["accepted", "seed"]),
        (
            &[&report[..], &["--seed", seed, "--time", "2026-01-31"]].concat(),
            false,
            &["same report"],
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (answer, redirected) = (folder.path().join("answer"), folder.path().join("redirected"));
    for (arguments, has_output, wanted) in cases {
        let mut command = program();
        command.args(arguments).env("GCS_SERVER_URL", &url).env("GCS_SERVER_PUBLIC_URL", &url);
        command.env("GCS_SERVER_TOKEN", "t");
        // Room for what such an answer may have.
        let mut command = limited(9, false, &command);
        let mut outputs =
            vec![command.stdout(File::create(&redirected).unwrap()).output().unwrap()];
        if has_output {
            outputs.push(again(&command).arg("--output").arg(&answer).output().unwrap());
        }
        for output in outputs {
            let said = complaint(&output);
            assert!(!said.contains("Nothing has been done"), "{arguments:?}: {said}");
            for wanted in ["cannot write", "ulimit -f"].iter().chain(wanted) {
                assert!(said.contains(wanted), "{arguments:?}: {wanted}: {said}");
            }
        }
        assert!(!answer.exists(), "{arguments:?}");
    }
}

/// The last line of a recovery says that it has been done, and on this disk it has no room.
#[test]
fn a_recovery_is_told_of_even_if_its_last_line_is_lost() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    until_ticked(&server);
    server.stop();
    fs::remove_dir_all(folder.path().join("public")).unwrap();
    fs::remove_dir_all(folder.path().join("private")).unwrap();
    let preview = text(&alone(folder.path(), &["recover"]).stdout);
    let before: usize = preview.lines().take(2).map(|line| line.len() + 1).sum();

    let said = disk.path().join("said");
    fs::write(&said, vec![b'.'; 4096 - before - 5]).unwrap();
    disk.fill();
    let stdout = File::options().append(true).open(&said).unwrap();
    let mut recover = program();
    recover.args(["recover", "--yes", "--data-dir"]).arg(folder.path());
    let said = complaint(&recover.stdout(stdout).output().unwrap());
    assert!(said.contains("Make room") && said.contains("begins with the next tick"), "{said}");
    let again = text(&alone(folder.path(), &["verify-log"]).stdout);
    let events = |text: &str| text.split("event").next().unwrap().trim().to_owned();
    assert_ne!(events(&again), events(preview.split("up to ").nth(1).unwrap()));
}

#[test]
fn a_sheet_is_whole_and_whoever_reads_its_beginning_has_what_they_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (server, provider) = server(folder.path());
    let mut command = server.command(&provider, CODES);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("# 10000 codes"), "{first}");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));

    // A file has it all; a refusal leaves none behind.
    let sheet = folder.path().join("codes.csv");
    let file = ["--output", sheet.to_str().unwrap()];
    let mut command =
        server.command(&provider, &["codes", "open", "--count", "3", "--format", "csv"]);
    let output = command.args(file).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    let printed =
        server.command(&provider, &["codes", "print", "10000", "--format", "csv"]).output();
    assert_eq!(fs::read(&sheet).unwrap(), printed.unwrap().stdout);
    assert_eq!(fs::metadata(&sheet).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&sheet).unwrap();
    let refused = server.command("wrong", CODES).args(file).output().unwrap();
    assert!(complaint(&refused).contains("does not know this token"));
    assert!(!sheet.exists());
}

#[test]
fn a_first_start_whose_token_cannot_be_shown_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = |stdout: Stdio| {
        let mut command = program();
        command.args(["--data-dir", data.to_str().unwrap()]);
        command.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
        command.stdout(stdout).output().unwrap()
    };
    assert!(complaint(&start(closed())).contains("Nothing has been done"));
    if Path::new("/dev/full").exists() {
        assert!(complaint(&start(full().into())).contains("Nothing has been done"));
    }
    assert!(!data.exists());
}

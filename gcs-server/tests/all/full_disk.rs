//! A data folder on a full disk: what is done there is done whole or not at all, and goes on when there
//! is room again.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::home::{difference, files};
use crate::common::process::{Process, alone, complaint, program, text, until_ticked};
use crate::common::small_disk::{SmallDisk, limited};

fn serve(folder: &Path) -> Command {
    let mut command = program();
    command.arg("--data-dir").arg(folder);
    command.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
    command
}

/// Starts a server until it shows the token of a new deployment; false if it does not.
fn begins(mut command: Command) -> bool {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let has_begun = lines.any(|line| line.starts_with("operator token: "));
    if has_begun {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    if !has_begun {
        complaint(&output);
    }
    has_begun
}

/// Every file but the lock.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().filter(|(name, _)| name != "lock").collect()
}

/// A key file without a log, or a log without its token, would be of no use to anybody.
fn assert_nothing_was_made(folder: &Path, what: &str) {
    let left: Vec<String> = contents(folder).into_keys().collect();
    assert!(left.is_empty(), "{what}: {left:?}");
}

#[test]
fn a_first_start_on_a_full_disk_makes_nothing() {
    let mut refused = 0;
    for blocks in (0..10).map(|power| (1 << power) - 1) {
        let home = tempfile::tempdir().unwrap();
        if begins(limited(blocks, false, &serve(home.path()))) {
            break;
        }
        refused += 1;
        assert_nothing_was_made(home.path(), &format!("{blocks} blocks"));
        assert!(!Process::start(home.path(), &[]).operator.is_empty());
    }
    assert!((3..10).contains(&refused), "{refused}");

    let mut refused = 0;
    for kilobytes in (2..12).map(|power| 1 << power) {
        let Some(disk) = SmallDisk::mount(kilobytes) else { return };
        let folder = disk.path().join("data");
        if begins(serve(&folder)) {
            break;
        }
        refused += 1;
        if folder.exists() {
            assert_nothing_was_made(&folder, &format!("{kilobytes} KiB"));
        }
    }
    assert!((3..10).contains(&refused), "{refused}");
}

#[test]
fn a_server_on_a_full_disk_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let folder = disk.path().join("data");
    let server = Process::start(&folder, &[]);
    let operator = server.operator.clone();
    until_ticked(&server);
    disk.fill();
    let add = ["provider", "add", "City hospital"];
    // Until the space that the log had already is used up.
    let mut added = 0;
    let said = loop {
        let output = server.run(&operator, &add);
        if !output.status.success() {
            break complaint(&output);
        }
        added += 1;
    };
    assert!(said.contains("(503, storage_unavailable)"), "{said}");
    let listed = server.json(&operator, &["provider", "list"]);
    assert_eq!(listed["providers"].as_array().unwrap().len(), added);
    disk.clear();
    let number = server.json(&operator, &add)["provider"].as_u64().unwrap();
    assert_eq!(number, added as u64 + 1);
    server.stop();

    let server = Process::start(&folder, &[]);
    let listed = server.json(&operator, &["provider", "list"]);
    assert_eq!(listed["providers"].as_array().unwrap().len(), added + 1);
}

/// After a kill, with a write-ahead log for which the database has no room.
#[test]
fn a_server_starts_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let folder = disk.path().join("data");
    let server = Process::start(&folder, &[]);
    let operator = server.operator.clone();
    until_ticked(&server);
    let add = ["provider", "add", &"x".repeat(200)];
    for _ in 0..50 {
        server.json(&operator, &add);
    }
    drop(server);
    let length = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
    let before = length("log.sqlite");
    assert!(length("log.sqlite-wal") > 50 * 4096);
    disk.fill();

    let server = Process::start(&folder, &[]);
    let listed = server.json(&operator, &["provider", "list"]);
    assert_eq!(listed["providers"].as_array().unwrap().len(), 50);
    assert!(length("log.sqlite-wal") > 50 * 4096);
    disk.clear();
    server.json(&operator, &add);
    assert!(length("log.sqlite") > before);
    assert_eq!(length("log.sqlite-wal"), 0, "the checkpoint is made up for");
    server.stop();
}

#[test]
fn commands_on_a_full_data_folder_change_nothing_and_succeed_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let folder = disk.path().join("data");
    let server = Process::start(&folder, &[]);
    let operator = server.operator.clone();
    until_ticked(&server);
    server.stop();
    let manifest = folder.join("public/v1/manifest");
    let published = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();

    disk.fill();
    let elsewhere = tempfile::tempdir().unwrap();
    let token = elsewhere.path().join("token");
    let reset = ["reset-token", "--output", token.to_str().unwrap()];
    let rebuild = ["rebuild", "--write"];
    for command in [&reset[..], &rebuild] {
        let said = complaint(&alone(&folder, command));
        assert!(said.contains("disk is full") || said.contains("No space left"), "{said}");
    }
    // These need no room: there is nothing to recover.
    for command in [&["recover", "--yes"][..], &["verify-log"]] {
        let output = alone(&folder, command);
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    }
    assert!(!token.exists() && !manifest.exists());
    disk.clear();
    let server = Process::start(&folder, &[]);
    server.json(&operator, &["status"]);
    server.stop();
    fs::remove_file(&manifest).unwrap();
    let rebuilt = alone(&folder, &rebuild);
    assert!(rebuilt.status.success(), "{}", text(&rebuilt.stderr));
    assert_eq!(fs::read(&manifest).unwrap(), published);
    let output = alone(&folder, &reset);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let new = fs::read_to_string(&token).unwrap();
    let new = new.trim().strip_prefix("operator token: ").unwrap();
    let server = Process::start(&folder, &[]);
    assert!(!server.run(&operator, &["status"]).status.success());
    server.json(new, &["status"]);
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_told_of_is_not_done_to_a_data_folder() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let home = tempfile::tempdir().unwrap();
    let server = Process::start(home.path(), &[]);
    let operator = server.operator.clone();
    until_ticked(&server);
    server.stop();
    let refused = |command: &[&str]| {
        let mut program = program();
        program.args(command).arg("--data-dir").arg(home.path());
        let said = complaint(&program.stdout(full.try_clone().unwrap()).output().unwrap());
        assert!(said.contains("cannot write to standard output"), "{command:?}: {said}");
        assert!(said.contains("Make room"), "{command:?}: {said}");
    };
    let all_refused = || {
        let before = contents(home.path());
        for command in [&["rebuild", "--write"][..], &["recover", "--yes"], &["reset-token"]] {
            refused(command);
            let changed = difference(&before, &contents(home.path()));
            assert_eq!(changed, Vec::<String>::new(), "{command:?}");
        }
    };
    fs::remove_file(home.path().join("public/v1/manifest")).unwrap();
    all_refused();
    // As on a new machine, where a recovery begins a new series.
    fs::remove_dir_all(home.path().join("public")).unwrap();
    fs::remove_dir_all(home.path().join("private")).unwrap();
    fs::create_dir_all(home.path().join("public")).unwrap();
    all_refused();
    refused(&["verify-log"]);
    assert!(alone(home.path(), &["rebuild", "--write"]).status.success());
    let server = Process::start(home.path(), &[]);
    server.json(&operator, &["status"]);
}

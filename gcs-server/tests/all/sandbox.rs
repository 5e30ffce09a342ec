//! Sandboxes that do not let a server use the system calls by which large files are sent: it gives the same bytes
//! without them.

use std::path::PathBuf;
use std::process::Command;

use crate::common::process::Process;
use crate::large_files::linux::{get_all, sealed};
use crate::large_files::start;

const EPERM: i32 = 1;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// Builds the program that makes a sandbox.
fn sandbox(folder: &std::path::Path) -> PathBuf {
    let (program, source) = (folder.join("sandbox"), "tests/all/sandbox.c");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/").to_owned() + source;
    let built = Command::new("cc")
        .args(["-O1", "-Wall", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .status();
    assert!(built.unwrap().success(), "cc cannot build sandbox.c");
    program
}

#[test]
fn a_server_that_may_not_send_files_gives_the_same_bytes() {
    let (folder, server, files) = start();
    drop(server);
    let tools = tempfile::tempdir().unwrap();
    let sandbox = sandbox(tools.path());
    let run = |calls: &str| {
        let starter = [sandbox.to_str().unwrap(), calls];
        let server = Process::start_as(&starter, folder.path(), &[]);
        // Twice: only what is asked for again may be kept in another way.
        (0..2).for_each(|_| get_all(&server, &files));
        let sealed = sealed(server.child.id());
        (sealed, server.stop())
    };
    // In a sandbox that forbids nothing they are sealed, so that it is the calls that make the difference.
    let (sealed, logged) = run("");
    assert!(sealed > 0 && !logged.contains("cannot send files itself"), "{logged}");
    for error in [EPERM, ENOSYS, EINVAL] {
        for call in ["sendfile", "memfd_create", "seal"] {
            let (sealed, logged) = run(&format!("{call}:{error}"));
            assert_eq!(sealed, 0, "{call}, {error}: {logged}");
            assert!(logged.contains("cannot send files itself"), "{call}, {error}: {logged}");
        }
    }
}

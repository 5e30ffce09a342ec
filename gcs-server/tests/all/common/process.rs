//! The program itself: a server in a process of its own, and commands.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use gcs_core::Digest;
use serde_json::{Value, json};

use super::api::Api;
use super::wait::until;

/// The program, whatever the environment of the tests says. `TEST_PROGRAM` names another build of it, such as
/// a release.
pub fn program() -> Command {
    let other = std::env::var_os("TEST_PROGRAM");
    let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_gcs-server").into());
    without_settings(Command::new(program))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GCS_SERVER_") {
            command.env_remove(name);
        }
    }
    command
}

/// Ports that are free.
const ANY_PORTS: [&str; 4] = ["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"];

/// A server in a process of its own, with the system's clock.
pub struct Process {
    pub child: Child,
    /// The root key that it showed.
    pub root: String,
    log: File,
    api: Api,
}

impl Deref for Process {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Process {
    /// Starts a server on a folder. Of a deployment that is not new, the operator's token is empty.
    pub fn start(folder: &Path, flags: &[&str]) -> Process {
        Process::start_as(&[], folder, flags)
    }

    /// Starts it by another program, which is given its name and arguments.
    pub fn start_as(starter: &[&str], folder: &Path, flags: &[&str]) -> Process {
        Process::start_program(starter, program(), folder, flags)
    }

    /// Starts a copy of the program.
    pub fn start_program(
        starter: &[&str],
        mut command: Command,
        folder: &Path,
        flags: &[&str],
    ) -> Process {
        let is_new = !folder.join("log.sqlite").exists() && !folder.join("keys.json").exists();
        let log = tempfile::tempfile().unwrap();
        if let Some((starter, arguments)) = starter.split_first() {
            let program = command.get_program().to_owned();
            command = without_settings(Command::new(starter));
            command.args(arguments).arg(program);
        }
        let mut child = command
            .args(["--data-dir", folder.to_str().unwrap()])
            .args(ANY_PORTS)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let mut line = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{line}")).trim().to_owned()
        };
        let address = |url: String| -> SocketAddr {
            url.split("://").nth(1).and_then(|address| address.parse().ok()).unwrap()
        };
        let (public, private) = (address(line("public:")), address(line("private:")));
        let root = line("root key:");
        assert_eq!(root.len(), 64);
        let operator = if is_new { line("operator token:") } else { String::new() };
        let api = Api { public, private, operator, backend: String::new() };
        Process { child, root, log, api }
    }

    /// The same server, of a deployment with these tokens.
    pub fn with_tokens(mut self, operator: &str, backend: &str) -> Process {
        operator.clone_into(&mut self.api.operator);
        backend.clone_into(&mut self.api.backend);
        self
    }

    /// A command that asks this server, with a token if there is one.
    pub fn command(&self, token: &str, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments);
        command.env("GCS_SERVER_URL", self.private_url());
        command.env("GCS_SERVER_PUBLIC_URL", self.public_url());
        if !token.is_empty() {
            command.env("GCS_SERVER_TOKEN", token);
        }
        command
    }

    /// Runs such a command.
    pub fn run(&self, token: &str, arguments: &[&str]) -> Output {
        self.command(token, arguments).output().unwrap()
    }

    /// Runs a command that succeeds with JSON.
    pub fn json(&self, token: &str, command: &[&str]) -> Value {
        let output = self.run(token, command);
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
    }

    /// What has been logged so far.
    #[cfg(unix)]
    pub fn logged(&self) -> String {
        use std::os::unix::fs::FileExt as _;

        let mut logged = vec![0; self.log.metadata().unwrap().len() as usize];
        // The server writes at the same place of the file, which reading must not move.
        self.log.read_exact_at(&mut logged, 0).unwrap();
        text(&logged)
    }

    /// Stops in good order and returns what was logged.
    pub fn stop(mut self) -> String {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        let mut logged = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut logged).unwrap();
        assert!(status.success(), "{status}: {logged}");
        logged
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
        #[cfg(unix)]
        if std::thread::panicking() {
            // What it has to say about a test that fails.
            println!("the log of server {}:\n{}", self.child.id(), self.logged());
        }
    }
}

/// Puts a set with these bytes among the published files of a data folder, for the next start. Returns its path and its
/// whole content: it ends with its name, the hash of what is before.
pub fn place_set(data: &Path, mut bytes: Vec<u8>) -> (String, Vec<u8>) {
    let identity = Digest::of(&bytes);
    bytes.extend(identity.0);
    let path = format!("/v1/sets/2026-01-05/{identity}");
    let place = data.join(format!("public{path}"));
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(place, &bytes).unwrap();
    (path, bytes)
}

/// Resident memory of a process in bytes.
#[cfg(target_os = "linux")]
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the program on a folder, without a server. One that serves listens where it may.
pub fn alone(folder: &Path, command: &[&str]) -> Output {
    let folder = ["--data-dir", folder.to_str().unwrap()];
    let serves = command.first().is_none_or(|first| first.starts_with("--"));
    let listens = command.iter().any(|argument| argument.ends_with("-listen"));
    let ports: &[&str] = if serves && !listens { &ANY_PORTS } else { &[] };
    program().args(command).args(folder).args(ports).output().unwrap()
}

/// Runs a command that has no data folder.
pub fn pure(command: &[&str]) -> Output {
    program().args(command).output().unwrap()
}

/// What is said on standard error by a command that fails.
pub fn complaint(output: &Output) -> String {
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{}{said}", text(&output.stdout));
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Waits for the first tick, and has the next one by itself come so late that nothing but commands moves the log
/// on: at 0, 6, 12 and 18 o'clock, not every quarter of an hour.
#[track_caller]
pub fn until_ticked(server: &Process) {
    until("a first tick", || {
        let status = server.operate("GET", "/v1/admin/status", Value::Null);
        status.status == 200 && !status.json()["published"].is_null()
    });
    server.set("interval", json!(21_600));
}

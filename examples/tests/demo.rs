//! The demo as a program: a small one finds everything as it should be, and one that is
//! interrupted leaves nothing behind.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time without a line, which comes every two seconds where the machine has time for it.
const SILENCE: Duration = Duration::from_secs(10);

struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Demo {
    fn start(temporary: &Path, args: &[&str]) -> Demo {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(args)
            .env("TMPDIR", temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Demo { child, out }
    }

    /// The next line; none at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| line.trim_end().to_owned())
    }

    /// Reads until the server has said where it listens, and gives that address.
    fn server(&mut self) -> String {
        let address = |line: String| {
            let (_, rest) = line.split_once("public http://")?;
            Some(rest.split(',').next()?.to_owned())
        };
        loop {
            let line = self.line().expect("the demo has ended early");
            if let Some(address) = address(line) {
                return address;
            }
        }
    }

    /// Its exit code, and what it said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.out);
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), errors)
    }
}

fn is_listening(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_small_demo_checks_everything_and_keeps_what_it_is_told_to() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(temporary.path(), &["--small", "--keep"]);
    let server = demo.server();
    let (mut text, mut spoke) = (String::new(), Instant::now());
    while let Some(line) = demo.line() {
        let silence = spoke.elapsed();
        assert!(silence < SILENCE, "silent for {silence:?} before: {line}");
        spoke = Instant::now();
        text = text + &line + "\n";
    }
    let (code, errors) = demo.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains("Everything was as it should be"), "{text}");
    // The server lives on, and ends as the last line says.
    assert!(is_listening(&server));
    let (_, how) = text.rsplit_once("To end it: ").unwrap();
    assert!(Command::new("sh").args(["-c", how]).status().unwrap().success());
    let begin = Instant::now();
    while is_listening(&server) && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_listening(&server));
    assert!(is_empty(temporary.path()));
}

#[test]
fn an_interrupted_demo_leaves_neither_a_server_nor_a_folder() {
    for signal in ["INT", "TERM", "HUP"] {
        let temporary = tempfile::tempdir().unwrap();
        let mut demo = Demo::start(temporary.path(), &["--small", "--keep"]);
        let server = demo.server();
        assert!(is_listening(&server) && !is_empty(temporary.path()));
        let (signal, process) = (format!("-{signal}"), demo.child.id().to_string());
        assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
        while demo.line().is_some() {}
        let (code, errors) = demo.end();
        let said = "\ninterrupted; the server is stopped and its folder removed\n";
        assert_eq!((code, errors.as_str()), (Some(130), said));
        assert!(!is_listening(&server));
        assert!(is_empty(temporary.path()));
    }
}

#[test]
fn a_closed_pipe_ends_the_demo_quietly() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(temporary.path(), &["--small"]);
    let server = demo.server();
    // As `demo | head -2` does.
    let (code, errors) = demo.end();
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    assert!(!is_listening(&server));
    assert!(is_empty(temporary.path()));
}

//! Runs the program in a folder of its own.

#![allow(dead_code, unreachable_pub, reason = "not every test file uses everything")]

#[path = "../../../gcs-core/tests/small_disk/mod.rs"]
pub mod small_disk;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use data_encoding::HEXUPPER;
use gcs_core::{HashRange, Salt, Set};
use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gcs"))
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The answer of a run that succeeded and complained about nothing.
    #[track_caller]
    pub fn answer(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// The answer as JSON, a value a line.
    #[track_caller]
    pub fn json_lines(self) -> Vec<Value> {
        self.answer().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The answer as one value.
    #[track_caller]
    pub fn json(self) -> Value {
        let mut lines = self.json_lines();
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    /// The one line that an error has.
    #[track_caller]
    pub fn complaint(self) -> String {
        assert_eq!((self.status, self.out.as_str()), (Some(2), ""), "{}", self.err);
        assert!(self.err.starts_with("gcs: ") && self.err.ends_with('\n'), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err
    }
}

/// A folder in which the program runs.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names in the folder, sorted, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        names(self.folder())
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs with this standard input.
    pub fn pipe(&self, input: impl AsRef<[u8]>, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.as_ref().to_vec();
        let writing = std::thread::spawn(move || {
            // A program that has failed does not read on.
            let _closed = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap();
        Ran::of(output)
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub const SALT: Salt = Salt([0xa5; 16]);
pub const SALT_HEX: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";
pub const RANGE: u64 = 1 << 40;

/// Salt and hash range as options.
pub const FIXED: [&str; 4] = ["--salt", SALT_HEX, "--hash-range", "1099511627776"];

/// An element that looks like a SHA-1 hash.
pub fn element(number: u64) -> [u8; 20] {
    let mut element = [0x5c; 20];
    // Odd, so that the numbers are spread.
    element[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    element
}

pub fn hex(number: u64) -> String {
    HEXUPPER.encode(&element(number))
}

/// Lines of elements in hexadecimal digits.
pub fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|number| hex(number) + "\n").collect()
}

/// The set that the library makes of these elements.
pub fn set(numbers: impl IntoIterator<Item = u64>) -> Set {
    set_in(RANGE, numbers)
}

pub fn set_in(range: u64, numbers: impl IntoIterator<Item = u64>) -> Set {
    let range = HashRange::new(range).unwrap();
    Set::build(SALT, range, numbers.into_iter().map(element)).unwrap()
}

/// A value as it is when it was written and read: the reader may take a number for its neighbour.
pub fn read_back(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

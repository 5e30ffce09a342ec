//! `-` is standard input or output wherever a file can be read or made.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};

use common::{FIXED, Home, SALT_HEX, hex, lines, set};
use gcs_core::Delta;

fn home() -> Home {
    let home = Home::new();
    let (a, b) = (set(0..100), set(10..110));
    home.write("a.gcs", a.as_bytes());
    home.write("b.gcs", b.as_bytes());
    home.write("ab.delta", Delta::between(&a, &b).unwrap().as_bytes());
    home.write("hex", lines(0..100));
    home
}

fn words(arguments: &str) -> Vec<&str> {
    arguments.split(' ').collect()
}

/// What a command writes to standard output and to standard error.
#[track_caller]
fn written(home: &Home, arguments: &str) -> (Vec<u8>, String) {
    let before = home.names();
    let output = home.command(&words(arguments)).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments}: {told}");
    assert_eq!(home.names(), before, "{arguments}");
    (output.stdout, told)
}

#[test]
fn what_is_made_goes_to_standard_output_and_the_report_to_standard_error() {
    let home = home();
    let fixed = FIXED.join(" ");
    let (bytes, told) = written(&home, &format!("encode hex -o - {fixed}"));
    assert!(bytes == home.read("a.gcs"));
    assert!(told.starts_with("-: 100 fingerprints of 100 elements; "), "{told}");
    let (bytes, told) = written(&home, &format!("encode hex -o - --json {fixed}"));
    assert!(bytes == home.read("a.gcs"));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["file"], &told["salt"]), (&"-".into(), &SALT_HEX.into()));
    assert!(written(&home, "diff a.gcs b.gcs -o -").0 == home.read("ab.delta"));
    assert!(written(&home, "apply a.gcs ab.delta -o -").0 == home.read("b.gcs"));
    assert!(written(&home, "union a.gcs b.gcs -o - --force").0 == set(0..110).as_bytes());
    let mut index = Vec::new();
    set(0..100).write_index(&mut index).unwrap();
    assert!(written(&home, "index a.gcs -o -").0 == index);
}

#[test]
fn sets_deltas_and_indexes_come_from_standard_input() {
    let home = home();
    home.run(&["index", "a.gcs", "-o", "a.index"]).answer();
    for (file, dash, plain) in [
        ("a.gcs", "list -", "list a.gcs"),
        ("a.gcs", "query - {}", "query a.gcs {}"),
        ("a.gcs", "query - -f hex --all", "query a.gcs -f hex --all"),
        ("a.index", "query a.gcs {} --index -", "query a.gcs {}"),
        ("b.gcs", "union a.gcs - -o - ", "union a.gcs b.gcs -o -"),
        ("a.gcs", "diff - b.gcs -o - ", "diff a.gcs b.gcs -o -"),
        ("a.gcs", "apply - ab.delta -o - ", "apply a.gcs ab.delta -o -"),
        ("ab.delta", "apply a.gcs - -o -", "apply a.gcs ab.delta -o -"),
        ("a.gcs", "index - -o -", "index a.gcs -o -"),
        ("a.gcs", "encode hex --like - -o -", "encode hex --like a.gcs -o -"),
    ] {
        let run = |arguments: &str, stdin: Stdio| {
            let arguments = arguments.trim().replace("{}", &hex(7));
            let output = home.command(&words(&arguments)).stdin(stdin).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{arguments}: {told}");
            output.stdout
        };
        let wanted = run(plain, Stdio::null());
        // A file that is redirected, and a pipe, which cannot be read again.
        let redirected = File::open(home.path(file)).unwrap();
        assert!(run(dash, redirected.into()) == wanted, "{dash} < {file}");
        let mut cat = Command::new("cat");
        let mut cat = cat.arg(home.path(file)).stdout(Stdio::piped()).spawn().unwrap();
        let piped = cat.stdout.take().unwrap();
        assert!(run(dash, piped.into()) == wanted, "cat {file} | {dash}");
        cat.wait().unwrap();
    }
    for file in ["a.gcs", "ab.delta"] {
        let ran = home.pipe(home.read(file), &["verify", "-", "--json"]).json();
        assert_eq!((&ran["file"], &ran["valid"]), (&"-".into(), &true.into()));
    }
}

#[test]
fn what_is_left_of_a_file_is_all_that_is_read() {
    let home = home();
    home.write("both", [b"a line\n", &home.read("a.gcs")[..]].concat());
    let mut file = File::open(home.path("both")).unwrap();
    file.read_exact(&mut [0; 7]).unwrap();
    let position = file.stream_position().unwrap();
    assert_eq!(position, 7);
    let output = home.command(&["list", "-"]).stdin(file).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), home.run(&["list", "a.gcs"]).answer());
}

#[test]
fn standard_input_is_read_once() {
    let home = home();
    for arguments in [
        "query -",
        "query - -f -",
        "union - -  -o out",
        "diff - - -o out",
        "apply - - -o out",
        "query - 00 --index -",
        "encode --like - -o out",
        "encode - --like - -o out",
        "encode - - --expected 5 -o out",
    ] {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let before = home.names();
        let said = home.pipe(home.read("a.gcs"), &arguments).complaint();
        let wanted = "standard input (-) named twice: it can be read only once; name it once";
        assert!(said.contains(wanted), "{arguments:?}: {said}");
        assert_eq!(home.names(), before, "{arguments:?}");
    }
    let said = home.pipe(home.read("a.gcs"), &["index", "-"]).complaint();
    assert!(said.contains("gcs index -: standard input has no name"), "{said}");
    let mut damaged = home.read("a.gcs");
    damaged[60] ^= 1;
    let said = home.pipe(damaged, &["list", "-"]).complaint();
    assert!(said.starts_with("gcs: standard input: is damaged: "), "{said}");
}

/// What comes through a pipe is kept on disk if it is large, and read as often as is needed.
#[test]
fn a_large_set_may_come_through_a_pipe() {
    let home = home();
    let large = set(0..500_000);
    assert!(large.as_bytes().len() > 1 << 20);
    home.write("large.gcs", large.as_bytes());
    let ran = home.pipe(large.as_bytes(), &["list", "-"]);
    assert!(ran.answer() == home.run(&["list", "large.gcs"]).answer());
    let ran = home.pipe(large.as_bytes(), &["query", "-", &hex(7)]);
    assert_eq!(ran.answer(), lines([7]));
}

/// A terminal, which takes and gives text only.
fn terminal() -> File {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    // It is gone with its keyboard.
    std::mem::forget(keyboard);
    terminal
}

#[test]
fn a_terminal_gets_no_set_and_gives_none() {
    let home = home();
    let mut command = home.command(&["union", "a.gcs", "b.gcs", "-o", "-"]);
    let output = command.stdout(terminal()).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told.starts_with("gcs: -o -: standard output is a terminal"), "{told}");
    let output = home.command(&["list", "-"]).stdin(terminal()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("gcs: standard input (-): it is a terminal"), "{told}");
}

#[test]
fn a_file_of_this_name_is_named_with_its_folder() {
    let home = home();
    home.run(&["union", "a.gcs", "-o", "./-"]).answer();
    assert_eq!(home.read("-"), home.read("a.gcs"));
    assert_eq!(home.run(&["list", "./-"]).answer(), home.run(&["list", "a.gcs"]).answer());
}

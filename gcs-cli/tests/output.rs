//! Output that is closed, full or there already, and work that is interrupted.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use common::small_disk::SmallDisk;
use common::{FIXED, Home, Ran, hex, lines, names, set};
use gcs_core::Delta;

/// The writing end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn home() -> Home {
    let home = Home::new();
    let (a, b) = (set(0..20_000), set(10..20_010));
    home.write("a.gcs", a.as_bytes());
    home.write("b.gcs", b.as_bytes());
    home.write("ab.delta", Delta::between(&a, &b).unwrap().as_bytes());
    home.write("hex", lines(0..20_000));
    home
}

const COMMANDS: [&[&str]; 15] = [
    &["--help"],
    &["--version"],
    &["encode", "--help"],
    &["list", "a.gcs"],
    &["list", "a.gcs", "--json"],
    &["query", "a.gcs", "-f", "hex"],
    &["inspect", "a.gcs"],
    &["verify", "a.gcs", "--json"],
    &["index", "a.gcs", "--force"],
    &["encode", "hex", "-o", "out", "--force"],
    &["diff", "a.gcs", "b.gcs", "-o", "out", "--force"],
    &["apply", "a.gcs", "ab.delta", "-o", "out", "--force"],
    &["union", "a.gcs", "b.gcs", "-o", "out", "--force"],
    &["completions", "bash"],
    &["man"],
];

#[test]
fn a_closed_pipe_ends_quietly_and_a_full_disk_is_an_error() {
    let home = home();
    let full = || File::options().write(true).open("/dev/full");
    for arguments in COMMANDS {
        let mut command = home.command(arguments);
        let output = command.stdout(closed()).stderr(Stdio::piped());
        let ran = Ran::of(output.output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (Some(141), ""), "{arguments:?}");
        let Ok(full) = full() else { continue };
        let output = home.command(arguments).stdout(full).stderr(Stdio::piped()).output();
        let said = Ran::of(output.unwrap()).complaint();
        assert!(said.contains("standard output: No space left on device"), "{arguments:?}: {said}");
        assert!(said.contains("; make room there"), "{arguments:?}: {said}");
    }
    let status = home.command(&["list", "hex"]).stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_reader_that_takes_one_line_gets_one_line() {
    let home = home();
    let program = env!("CARGO_BIN_EXE_gcs");
    let script = format!("'{program}' list a.gcs | head -n 1");
    let output = Command::new("sh").args(["-c", &script]).current_dir(home.folder()).output();
    let ran = Ran::of(output.unwrap());
    assert_eq!(ran.answer(), format!("{}\n", set(0..20_000).iter().next().unwrap()));
}

#[test]
fn a_file_is_replaced_only_when_asked_for() {
    let home = home();
    home.write("out", "precious");
    let encode =
        |more: &[&str]| home.run(&[&["encode", "hex", "-o", "out"], &FIXED[..], more].concat());
    let said = encode(&[]).complaint();
    assert!(said.contains("out: is there already"), "{said}");
    assert_eq!(home.read("out"), b"precious");
    encode(&["--force"]).answer();
    assert_eq!(home.read("out"), set(0..20_000).as_bytes());
    // A file that comes up while the work is done is not replaced either.
    let mut command = home.command(&[&["encode", "-o", "late"], &FIXED[..]].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while !home.names().iter().any(|name| name.ends_with(".part")) {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    home.write("late", "precious");
    drop(child.stdin.take());
    let said = Ran::of(child.wait_with_output().unwrap()).complaint();
    assert!(said.contains("late: is there already"), "{said}");
    assert_eq!(home.read("late"), b"precious");
    assert!(!home.names().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn a_new_file_has_the_permissions_that_others_have() {
    let home = home();
    home.write("other", "");
    home.run(&["encode", "hex", "-o", "out"]).answer();
    let mode = |name: &str| fs::metadata(home.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("out"), mode("other"));
}

#[test]
fn what_is_no_ordinary_file_is_not_replaced_and_links_are_followed() {
    let home = home();
    home.write("target", "old");
    symlink("target", home.path("link")).unwrap();
    home.run(&[&["encode", "hex", "-o", "link", "--force"], &FIXED[..]].concat()).answer();
    assert!(home.path("link").is_symlink());
    assert_eq!(home.read("target"), set(0..20_000).as_bytes());
    // As root this would replace the device.
    symlink("/dev/null", home.path("null")).unwrap();
    let said = home.run(&["encode", "hex", "-o", "null", "--force"]).complaint();
    assert!(said.contains("null: cannot be replaced: it is no ordinary file"), "{said}");
    // An input may be the output.
    home.run(&["union", "a.gcs", "b.gcs", "-o", "a.gcs", "--force"]).answer();
    assert_eq!(home.read("a.gcs"), set(0..20_010).as_bytes());
}

#[test]
fn on_a_full_disk_nothing_is_left() {
    let home = home();
    // A set takes more than 50 kB, a delta less.
    let Some(disk) = SmallDisk::mount(16) else { return };
    let out = disk.path().join("out.gcs");
    let out = out.to_str().unwrap();
    home.write("large.gcs", set(0..300_000).as_bytes());
    for arguments in [
        &["encode", "hex", "-o", out][..],
        &["apply", "a.gcs", "ab.delta", "-o", out],
        &["index", "large.gcs", "-o", out],
        &["union", "a.gcs", "b.gcs", "-o", out],
        &["intersect", "a.gcs", "b.gcs", "-o", out],
        &["subtract", "a.gcs", "ab-not.gcs", "-o", out],
    ] {
        home.write("ab-not.gcs", set(0..10).as_bytes());
        let said = home.run(arguments).complaint();
        assert!(
            said.contains("out.gcs: cannot be written: No space left"),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("; make room there, or write to another disk"), "{said}");
        assert_eq!(names(disk.path()), Vec::<String>::new(), "{arguments:?}");
    }
}

#[test]
fn a_disk_that_fills_while_runs_are_written_is_told_and_nothing_is_left() {
    let home = home();
    let raw: Vec<u8> = (0..400_000).flat_map(common::element).collect();
    home.write("raw", raw);
    let encode = |output: &str, temp: &str| {
        let fixed = ["encode", "raw", "--format", "raw", "--length", "20", "--memory", "4MiB"];
        home.run(&[&fixed[..], &FIXED, &["-o", output, "--temp", temp]].concat())
    };
    let said = encode("out", "no-such-folder").complaint();
    assert!(said.contains("no-such-folder: temporary files cannot be written there: "), "{said}");
    let before = home.names();
    // The runs take about a megabyte.
    let Some(disk) = SmallDisk::mount(512) else { return };
    let full = disk.path().to_str().unwrap();
    let said = encode("out", full).complaint();
    let wanted = ": temporary files cannot be written there: No space left on device";
    assert!(said.contains(wanted) && said.contains("; --temp names another folder"), "{said}");
    // Both the runs and the set go there.
    let output = disk.path().join("out.gcs");
    assert!(encode(output.to_str().unwrap(), full).complaint().contains("No space left"));
    assert_eq!(names(disk.path()), Vec::<String>::new());
    assert_eq!(home.names(), before);
}

/// Whether SIGHUP, SIGINT or SIGTERM is ignored here, as below `nohup` or in the background of a script.
fn is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    [1, 2, 15].iter().any(|signal| ignored.unwrap_or(0) >> (signal - 1) & 1 == 1)
}

#[test]
fn an_interruption_leaves_nothing() {
    if is_ignored() {
        // Not captured, as what the macros print of a test that passes.
        let _heard = writeln!(
            std::io::stderr(),
            "NOT TESTED: interruptions, since signals are ignored here; run it in the foreground"
        );
        return;
    }
    let home = home();
    for signal in ["INT", "TERM", "HUP"] {
        let before = home.names();
        let mut command = home.command(&[&["encode", "-o", "out"], &FIXED[..]].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        while home.names() == before {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        // Waiting would close it, and the work would come to its end.
        let stdin = child.stdin.take();
        let kill = format!("kill -s {signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        drop(stdin);
        assert_eq!(home.names(), before, "{signal}");
    }
}

#[test]
fn work_started_with_nohup_goes_on_after_a_hangup() {
    let home = home();
    let before = home.names();
    let script = format!("trap '' HUP; exec \"$0\" encode -o out {}", FIXED.join(" "));
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_gcs")]).current_dir(home.folder());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while home.names() == before {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let hangup = format!("kill -s HUP {}", child.id());
    assert!(Command::new("sh").args(["-c", &hangup]).status().unwrap().success());
    child.stdin.take().unwrap().write_all(lines(0..20_000).as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap()).answer();
    assert_eq!(home.read("out"), set(0..20_000).as_bytes());
}

#[test]
fn a_name_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let home = home();
    let name = OsStr::from_bytes(b"out-\xff.gcs");
    let mut command = home.command(&["encode", "hex", "--json", "-o"]);
    let report = Ran::of(command.arg(name).output().unwrap()).json();
    assert_eq!(report["file"], "out-\u{fffd}.gcs");
    assert!(home.folder().join(name).exists());
}

#[test]
fn a_pipe_with_a_name_is_not_waited_for_when_it_cannot_be_counted() {
    let home = home();
    let made = Command::new("mkfifo").arg(home.path("pipe")).status();
    if !made.is_ok_and(|made| made.success()) {
        return;
    }
    let said = home.run(&["encode", "hex", "pipe", "-o", "out"]).complaint();
    assert!(said.contains("pipe: its elements cannot be counted beforehand"), "{said}");
}

#[test]
fn a_query_that_is_read_no_further_ends_quietly() {
    let home = home();
    let mut command = home.command(&["query", "a.gcs", &hex(7)]);
    let ran = Ran::of(command.stdout(closed()).stderr(Stdio::piped()).output().unwrap());
    assert_eq!((ran.status, ran.err.as_str()), (Some(141), ""));
}

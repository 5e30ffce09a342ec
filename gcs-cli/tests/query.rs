//! `gcs query`: what is found, what is printed, and the exit status.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Home, Ran, element, hex, lines, set};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::json;

/// A folder with the set of elements 0 to 99.
fn home() -> Home {
    let home = Home::new();
    home.write("set.gcs", set(0..100).as_bytes());
    home
}

#[track_caller]
fn assert_ran(ran: &Ran, status: i32, out: &str) {
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(status), out, ""));
}

#[test]
fn arguments_that_are_in_the_set_are_printed() {
    let home = home();
    let (inside, outside) = (hex(7), hex(1000));
    let query = |arguments: &[&str]| home.run(&[&["query", "set.gcs"], arguments].concat());
    let printed = format!("{inside}\n");
    assert_ran(&query(&[&inside]), 0, &printed);
    assert_ran(&query(&[&outside]), 1, "");
    assert_ran(&query(&[&outside, &inside, &outside]), 0, &printed);
    let lower = inside.to_lowercase();
    assert_ran(&query(&[&lower]), 0, &format!("{lower}\n"));
    assert_ran(&query(&["-v", &inside, &outside]), 0, &format!("{outside}\n"));
    assert_ran(&query(&["-v", &inside]), 1, "");
    assert_ran(&query(&["-c", &inside, &outside, &inside]), 0, "2\n");
    assert_ran(&query(&["-c", &outside]), 1, "0\n");
    assert_ran(&query(&["-c", "-v", &inside, &outside, &inside]), 0, "1\n");
    assert_ran(&query(&["-q", &inside]), 0, "");
    assert_ran(&query(&["-q", &outside]), 1, "");
    let both = format!("yes\t{inside}\nno\t{outside}\n");
    assert_ran(&query(&["--all", &inside, &outside]), 0, &both);
    assert_ran(&query(&["--all", &outside]), 1, &format!("no\t{outside}\n"));
}

#[test]
fn lines_come_from_files_and_standard_input_in_their_order() {
    let home = home();
    home.write("file", lines([300, 5, 4, 300, 4]).trim_end());
    let (from_file, from_stdin) = (lines([5, 4, 4]), lines([9]));
    assert_ran(&home.run(&["query", "set.gcs", "-f", "file"]), 0, &from_file);
    assert_ran(&home.pipe(lines([9, 301]), &["query", "set.gcs"]), 0, &from_stdin);
    let ran = home.pipe(lines([9, 301]), &["query", "set.gcs", "--file", "-", "--file", "file"]);
    assert_ran(&ran, 0, &(from_stdin + &from_file));
    let with_argument = ["query", "set.gcs", "-f", "file", &hex(1)];
    assert_ran(&home.run(&with_argument), 0, &(lines([1]) + &from_file));
    assert_ran(&home.pipe("", &["query", "set.gcs"]), 1, "");
    // Without an argument or a file, a closed standard input is no query at all.
    assert_ran(&home.run(&["query", "set.gcs"]), 1, "");
}

#[test]
fn more_queries_than_are_answered_at_once_keep_their_order() {
    let home = home();
    let count = (1 << 20) + 1000;
    let line = |number: u64| lines([if number.is_multiple_of(100_000) { 7 } else { number + 100 }]);
    let input: String = (0..count).map(line).collect();
    home.write("file", &input);
    let answer = home.run(&["query", "set.gcs", "-f", "file", "--all"]).answer();
    let wanted: String = input
        .lines()
        .map(|line| format!("{}\t{line}\n", if line == hex(7) { "yes" } else { "no" }))
        .collect();
    assert!(answer == wanted);
}

#[test]
fn elements_are_read_as_they_are_for_encode() {
    let home = home();
    let e = element(7);
    let query = |input: &[u8], arguments: &[&str]| {
        home.pipe(input, &[&["query", "set.gcs", "-c"], arguments].concat()).answer()
    };
    let base64 = BASE64.encode(&e);
    assert_eq!(query(base64.as_bytes(), &["--format", "base64"]), "1\n");
    assert_eq!(query(&e, &["--format", "raw", "--length", "20"]), "1\n");
    assert_eq!(query(format!("x:{}:y\r\n", hex(7)).as_bytes(), &["--field", "2"]), "1\n");
    home.pipe(
        format!("{}\n", hex(7)),
        &[
            "encode",
            "-o",
            "t.gcs",
            "--format",
            "text",
            "--expected",
            "1",
            "--salt",
            common::SALT_HEX,
        ],
    )
    .answer();
    assert_eq!(home.run(&["query", "t.gcs", "--format", "text", &hex(7)]).answer(), lines([7]));
    // The same digits in another format are another element.
    assert_ran(&home.run(&["query", "t.gcs", &hex(7)]), 1, "");
}

#[test]
fn with_an_index_every_answer_is_the_same() {
    let home = Home::new();
    home.write("set.gcs", set(0..50_000).as_bytes());
    // Every third is not in the set, some are asked for twice, and none is in order.
    let asked =
        (0..20_000).map(|number| if number % 3 == 0 { 50_000 + number } else { number * 5 });
    home.write("file", lines(asked.chain([7, 7, 60_000])));
    let query = |more: &[&str]| {
        home.run(&[&["query", "set.gcs", "--file", "file", "--all"], more].concat())
    };
    let (scanned, few) = (query(&[]).answer(), ["query", "set.gcs", &hex(7), &hex(70_000)]);
    home.run(&["index", "set.gcs"]).answer();
    assert!(query(&[]).answer() == scanned);
    assert!(query(&["--no-index"]).answer() == scanned);
    assert_ran(&home.run(&few), 0, &lines([7]));
    assert_ran(&home.run(&["query", "set.gcs", &hex(70_000)]), 1, "");
    assert_ran(&home.run(&["query", "set.gcs"]), 1, "");
    std::fs::rename(home.path("set.gcs.index"), home.path("elsewhere")).unwrap();
    assert!(query(&["--index", "elsewhere"]).answer() == scanned);
    // An index is used, not only opened: a damaged byte of the set elsewhere goes unnoticed.
    let mut damaged = home.read("set.gcs");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    home.write("set.gcs", &damaged);
    let first = set(0..50_000).iter().next().unwrap();
    let hasher = set([]).hasher();
    let smallest = (0..50_000).find(|&number| hasher.fingerprint(&element(number)) == first);
    let smallest = hex(smallest.unwrap());
    let asked = home.run(&["query", "set.gcs", "--index", "elsewhere", &smallest]);
    assert_ran(&asked, 0, &format!("{smallest}\n"));
    assert_eq!(home.run(&["query", "set.gcs", &smallest]).status, Some(2));
}

#[test]
fn whole_lines_are_printed_and_raw_records_as_digits() {
    let home = home();
    let line = format!("{}:42\n", hex(7));
    assert_eq!(home.pipe(&line, &["query", "set.gcs", "--field", "1"]).answer(), line);
    let ran = home.pipe(element(7), &["query", "set.gcs", "--format", "raw", "--length", "20"]);
    assert_eq!(ran.answer(), HEXLOWER.encode(&element(7)) + "\n");
}

#[test]
fn json_has_a_line_for_each_line_that_would_be_printed() {
    let home = home();
    let query = |arguments: &[&str]| {
        home.run(&[&["query", "set.gcs", "--json", &hex(7), &hex(700)], arguments].concat())
    };
    let inside = json!({ "line": hex(7), "possible": true });
    let outside = json!({ "line": hex(700), "possible": false });
    assert_eq!(query(&[]).json(), inside);
    assert_eq!(query(&["-v"]).json(), outside);
    assert_eq!(query(&["--all"]).json_lines(), [inside, outside]);
    let wanted = json!({
        "selected": 1,
        "elements": 2,
        "bad_lines": 0,
        "false_positive_rate": 100.0 / common::RANGE as f64,
    });
    assert_eq!(query(&["--count"]).json(), common::read_back(&wanted));
}

#[test]
fn bad_lines_stop_or_are_left_out() {
    let home = home();
    let input = format!("{}none\n{}", lines([7]), lines([8]));
    let ran = home.pipe(&input, &["query", "set.gcs"]);
    // What came before is answered.
    assert_eq!((ran.status, ran.out), (Some(2), lines([7])));
    assert!(ran.err.starts_with("gcs: standard input: line 2: hexadecimal digits"), "{}", ran.err);
    let ran = home.pipe(&input, &["query", "set.gcs", "--on-error", "skip"]);
    assert_eq!((ran.status, ran.out), (Some(0), lines([7, 8])));
    assert!(ran.err.starts_with("gcs: standard input: line 2: hexadecimal digits"), "{}", ran.err);
}

#[test]
fn quiet_stops_at_the_first_that_is_found() {
    let home = home();
    // The bad line is behind the first block, which decides.
    let input = lines(0..20_000) + "none\n";
    assert_ran(&home.pipe(input, &["query", "set.gcs", "-q"]), 0, "");
}

/// Whoever writes a line and waits for its answer gets it: a program that looks things up one by
/// one, `tail -f`, or a shell with a pipe in each direction.
#[test]
fn a_pipe_that_pauses_is_answered_line_by_line() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;
    let home = home();
    for with_index in [false, true] {
        if with_index {
            home.run(&["index", "set.gcs"]).answer();
        }
        let mut command = home.command(&["query", "set.gcs", "--all"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        for number in [7, 700, 8, 9, 900] {
            // A line that comes in two parts is one line.
            let line = lines([number]);
            let (start, end) = line.split_at(11);
            stdin.write_all(start.as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(30));
            stdin.write_all(end.as_bytes()).unwrap();
            let wanted =
                format!("{}\t{}", if number < 100 { "yes" } else { "no" }, line.trim_end());
            assert_eq!(answers.next().unwrap().unwrap(), wanted);
        }
        drop(stdin);
        assert!(answers.next().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

/// What never pauses is answered too, as what `tail -f` shows of a busy log.
#[test]
fn a_pipe_that_never_pauses_is_answered_while_it_is_open() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;
    use std::sync::atomic::{AtomicBool, Ordering};
    let home = home();
    let mut command = home.command(&["query", "set.gcs", "--all"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_answered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let line = lines([7]);
            // Some seconds, if need be.
            for _ in 0..5_000 {
                if is_answered.load(Ordering::Relaxed) {
                    break;
                }
                stdin.write_all(line.as_bytes()).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            drop(stdin);
            is_answered.load(Ordering::Relaxed)
        });
        assert!(answers.next().unwrap().unwrap().starts_with("yes"));
        is_answered.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap(), "answered only at the end");
    });
    assert!(answers.all(|answer| answer.unwrap().starts_with("yes")));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// With `-q` a pipe that stays open does not keep it from telling what it knows.
#[test]
fn quiet_ends_at_a_pause_once_it_is_decided() {
    use std::io::Write as _;
    use std::process::Stdio;
    let home = home();
    let mut child =
        home.command(&["query", "set.gcs", "-q"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines([700, 7]).as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[cfg(unix)]
#[test]
fn at_a_terminal_each_line_is_answered_as_it_is_typed() {
    let home = home();
    converse(&home);
    home.run(&["index", "set.gcs"]).answer();
    converse(&home);
}

#[cfg(unix)]
fn converse(home: &Home) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::fs::File;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;

    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut keyboard = File::from(keyboard);
    let mut command = home.command(&["query", "set.gcs"]);
    command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |typed: &str| {
        keyboard.write_all(typed.as_bytes()).unwrap();
        keyboard.write_all(b"\n").unwrap();
    };
    ask(&hex(7));
    let rate = "one in 10,995,116,278";
    let wanted = format!("in the set, or a false positive ({rate})");
    assert_eq!(answers.next().unwrap().unwrap(), wanted);
    ask("oops");
    ask("");
    ask(&hex(1000));
    assert_eq!(answers.next().unwrap().unwrap(), "not in the set");
    keyboard.write_all(&[4]).unwrap();
    assert!(answers.next().is_none());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("One element a line; Ctrl-D ends.\n> "), "{told}");
    assert!(told.contains("gcs: hexadecimal digits were expected, character 1"), "{told}");
}

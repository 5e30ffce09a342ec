//! `gcs encode`: from files of every form to the set that the library makes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{FIXED, Home, RANGE, SALT_HEX, element, hex, lines, set, set_in};
use data_encoding::{BASE64, BASE64URL, HEXLOWER};
use gcs_core::{HashRange, Set};

/// Encodes with fixed salt and range, and gives the bytes of the set.
#[track_caller]
fn encoded(home: &Home, more: &[&str]) -> Vec<u8> {
    let _gone = std::fs::remove_file(home.path("out.gcs"));
    let arguments = [&["encode", "-o", "out.gcs"], &FIXED[..], more].concat();
    home.run(&arguments).answer();
    home.read("out.gcs")
}

#[test]
fn every_form_of_input_gives_the_set_of_the_library() {
    let home = Home::new();
    let wanted = set(0..1000).into_inner();
    let all = lines(0..1000);
    let per_line = |write: &dyn Fn(u64) -> String| (0..1000).map(write).collect::<String>();
    let many = |write: &dyn Fn(&[u8]) -> String| per_line(&|n| write(&element(n)) + "\n");
    let raw: Vec<u8> = (0..1000).flat_map(element).collect();
    for (name, content, arguments) in [
        ("hex", all.clone().into_bytes(), &[][..]),
        ("length", all.clone().into_bytes(), &["--length", "20"]),
        ("lower case", all.to_lowercase().into_bytes(), &[]),
        ("CRLF", all.replace('\n', "\r\n").into_bytes(), &[]),
        ("no final end of line", all.trim_end().as_bytes().to_vec(), &[]),
        ("CR at the end", all.trim_end().bytes().chain(*b"\r").collect(), &[]),
        ("empty lines", all.replace('\n', "\n\r\n \n").into_bytes(), &[]),
        ("spaces", per_line(&|n| format!(" {}\t\n", hex(n))).into_bytes(), &[]),
        ("twice", all.repeat(2).into_bytes(), &[]),
        ("other order", lines((0..1000).rev()).into_bytes(), &[]),
        ("counts", per_line(&|n| format!("{}:{n}\n", hex(n))).into_bytes(), &["--field", "1"]),
        (
            "third of tabbed fields",
            per_line(&|n| format!("x\t\t{}\t{n}\n", hex(n))).into_bytes(),
            &["--field", "3", "--separator", "tab"],
        ),
        ("base64", many(&|e| BASE64.encode(e)).into_bytes(), &["--format", "base64"]),
        (
            "unpadded",
            many(&|e| BASE64.encode(e).replace('=', "")).into_bytes(),
            &["--format", "base64"],
        ),
        ("base64url", many(&|e| BASE64URL.encode(e)).into_bytes(), &["--format", "base64url"]),
        ("raw", raw, &["--format", "raw", "--length", "20"]),
    ] {
        home.write("in", content);
        assert_eq!(encoded(&home, &[&["in"], arguments].concat()), wanted, "{name}");
    }
    assert_eq!(home.names(), ["in", "out.gcs"]);
}

#[test]
fn text_is_taken_as_it_is() {
    let home = Home::new();
    home.write("in", b"serial 1\r\n serial 2 \n\xff\xfe\n");
    let elements = [&b"serial 1"[..], b" serial 2 ", b"\xff\xfe"];
    let range = HashRange::new(RANGE).unwrap();
    let wanted = Set::build(common::SALT, range, elements).unwrap();
    assert_eq!(encoded(&home, &["in", "--format", "text"]), wanted.into_inner());
}

#[test]
fn files_threads_and_standard_input_make_no_difference() {
    let home = Home::new();
    // Several blocks for each thread.
    let count = 120_000;
    let wanted = set(0..count).into_inner();
    home.write("one", lines(0..count / 3).trim_end());
    home.write("two", "");
    home.write("three", lines(count / 3..count));
    for threads in ["1", "2", "3", "16"] {
        let arguments = ["one", "two", "three", "--threads", threads];
        assert_eq!(encoded(&home, &arguments), wanted, "{threads}");
    }
    for (name, dash) in [("from-dash.gcs", &["-"][..]), ("from-nothing.gcs", &[])] {
        let arguments = [&["encode", "-o", name], &FIXED[..], dash].concat();
        home.pipe(lines(0..count), &arguments).answer();
        assert_eq!(home.read(name), wanted);
    }
    // Standard input among files.
    let arguments = [&["encode", "-o", "mixed.gcs", "one", "-"], &FIXED[..]].concat();
    home.pipe(lines(count / 3..count), &arguments).answer();
    assert_eq!(home.read("mixed.gcs"), wanted);
}

#[test]
fn a_memory_limit_makes_no_difference() {
    let home = Home::new();
    // The least limit holds some 360,000 fingerprints: several runs, with what is in two of them.
    let numbers = || (0..800_000).chain(300_000..500_000);
    home.write("in", numbers().flat_map(element).collect::<Vec<u8>>());
    let wanted = set(0..800_000).into_inner();
    let raw = ["in", "--format", "raw", "--length", "20", "--memory"];
    for memory in ["4MiB", "5MB", "1GiB"] {
        assert!(encoded(&home, &[&raw[..], &[memory]].concat()) == wanted, "{memory}");
    }
    std::fs::create_dir(home.path("runs")).unwrap();
    let elsewhere = [&raw[..], &["4MiB", "--temp", "runs"]].concat();
    assert!(encoded(&home, &elsewhere) == wanted);
    assert_eq!(common::names(&home.path("runs")), Vec::<String>::new());
    assert_eq!(home.names(), ["in", "out.gcs", "runs"]);
}

#[test]
fn nothing_gives_the_empty_set() {
    let home = Home::new();
    home.write("in", "\n\n");
    assert_eq!(encoded(&home, &["in"]), set([]).into_inner());
    home.write("empty", "");
    let answer = home.run(&["encode", "empty", "-o", "planned.gcs"]).answer();
    assert!(answer.contains("0 fingerprints of 0 elements; 80 bytes"), "{answer}");
}

#[test]
fn the_hash_range_follows_from_rate_or_size_and_the_lines_counted() {
    let home = Home::new();
    home.write("in", lines(0..5000).trim_end());
    let range = |more: &[&str]| {
        let arguments = ["encode", "in", "-o", "out.gcs", "--force", "--json", "--salt", SALT_HEX];
        let report = home.run(&[&arguments[..], more].concat()).json();
        // At high rates a few elements share a fingerprint.
        assert!((4900..=5000).contains(&report["fingerprints"].as_u64().unwrap()), "{report}");
        let bytes = home.read("out.gcs").len();
        assert_eq!(report["bytes"], bytes);
        (report["hash_range"].as_str().unwrap().parse::<u64>().unwrap(), bytes)
    };
    assert_eq!(range(&[]).0, 5_000_000_000);
    assert_eq!(range(&["--rate", "1e-6"]).0, 5_000_000_000);
    assert_eq!(range(&["--rate", "1/1024"]).0, 5000 * 1024);
    let tuned = HashRange::for_expected(5000, 20).unwrap().get();
    assert_eq!(range(&["--rate-bits", "20"]).0, tuned);
    assert_eq!(range(&["--rate", "1/1024", "--expected", "10000"]).0, 10_000 * 1024);
    assert_eq!(range(&["--hash-range", "123456789"]).0, 123_456_789);
    let (of_size, bytes) = range(&["--size", "12.5kB"]);
    assert!(of_size > 5_000_000 && (12_400..=12_500).contains(&bytes), "{of_size} {bytes}");
}

#[test]
fn like_takes_salt_and_hash_range_of_another_set() {
    let home = Home::new();
    home.write("first.gcs", set_in(987_654_321, 0..50).as_bytes());
    home.pipe(lines(5..100), &["encode", "-o", "second.gcs", "--like", "first.gcs"]).answer();
    assert_eq!(home.read("second.gcs"), set_in(987_654_321, 5..100).into_inner());
}

#[test]
fn a_hash_range_that_is_too_small_for_what_came_is_told() {
    let home = Home::new();
    home.write("first.gcs", set_in(1_000_000_000, 0..50).as_bytes());
    home.write("none.gcs", set_in(1_000_000_000, []).as_bytes());
    let encode = |count: u64, options: &[&str]| {
        home.pipe(lines(0..count), &[&["encode", "-o", "out", "--force"], options].concat())
    };
    let ran = encode(500, &["--like", "first.gcs"]);
    let wanted = "gcs: 500 fingerprints came: false positives are one in 2,000,000, and those of \
                  first.gcs are one in 20,000,000; for a lower rate make every set of this kind \
                  again with a larger hash range (--expected, --hash-range)\n";
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), wanted));
    encode(99, &["--like", "first.gcs"]).answer();
    encode(500, &["--like", "none.gcs"]).answer();
    let ran = encode(500, &["--hash-range", "20000"]);
    assert!(ran.err.contains("came: false positives are one in 4"), "{}", ran.err);
    assert!(ran.err.contains(", and the hash range is too small for so many; "), "{}", ran.err);
    encode(500, &["--hash-range", "1M"]).answer();
    // Who asks for a rate gets it.
    encode(500, &["--expected", "500", "--rate", "0.25"]).answer();
}

#[test]
fn numbers_are_read_with_units_in_every_option() {
    let home = Home::new();
    home.write("in", lines(0..5));
    let range = |options: &[&str]| {
        let arguments = ["encode", "in", "-o", "out", "--force", "--json", "--memory", "64M"];
        let report = home.run(&[&arguments[..], options].concat()).json();
        report["hash_range"].as_str().unwrap().to_owned()
    };
    assert_eq!(range(&["--expected", "200k"]), "200000000000");
    assert_eq!(range(&["--expected", "1e6", "--rate", "1/1k"]), "1000000000");
    assert_eq!(range(&["--hash-range", "1.5G"]), "1500000000");
    assert_eq!(range(&["--hash-range", "16Mi", "--threads", "2"]), (1u64 << 24).to_string());
}

#[test]
fn a_salt_is_random_unless_it_is_given() {
    let home = Home::new();
    home.write("in", lines(0..10));
    let salt = |more: &[&str]| {
        let arguments = ["encode", "in", "-o", "out.gcs", "--force", "--json"];
        home.run(&[&arguments[..], more].concat()).json()["salt"].as_str().unwrap().to_owned()
    };
    assert_ne!(salt(&[]), salt(&[]));
    assert_eq!(salt(&["--salt", SALT_HEX]), SALT_HEX);
    assert_eq!(salt(&["--salt", &SALT_HEX.to_uppercase()]), SALT_HEX);
}

#[test]
fn the_report_counts_what_came() {
    let home = Home::new();
    home.write("in", format!("{}{}\n\nx\n", lines(0..10), lines(5..7)));
    let arguments =
        [&["encode", "in", "-o", "out.gcs", "--json", "--on-error", "skip"], &FIXED[..]].concat();
    let ran = home.run(&arguments);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let made = set(0..10).info();
    let wanted = serde_json::json!({
        "file": "out.gcs",
        "elements": 12,
        "merged": 2,
        "empty_lines": 2,
        "bad_lines": 1,
        "fingerprints": 10,
        "hash_range": RANGE.to_string(),
        "rice_parameter": made.rice_parameter,
        "bytes": made.bytes,
        "bits_per_fingerprint": made.bits_per_element(),
        "bound_bits_per_fingerprint": made.bound(),
        "false_positive_rate": 10.0 / RANGE as f64,
        "salt": SALT_HEX,
        "identity": made.identity.to_string(),
    });
    assert_eq!(report, common::read_back(&wanted));
    let text =
        home.run(&[&["encode", "in", "-o", "text.gcs", "--on-error", "skip"][..], &FIXED].concat());
    let wanted = "text.gcs: 10 fingerprints of 12 elements, 2 merged with an equal one, 2 empty lines, \
                  1 bad line left out; 128 bytes; false positives: one in 109,951,162,778\n";
    assert_eq!(text.out, wanted);
}

#[test]
fn bad_lines_are_left_out_and_counted_if_asked_for() {
    let home = Home::new();
    let mut input = lines(0..30);
    for line in [3, 20] {
        input = input.replacen(&hex(line), "no hash", 1);
    }
    home.write("in", &input);
    let arguments = [&["encode", "in", "-o", "out.gcs", "--on-error", "skip"], &FIXED[..]].concat();
    let ran = home.run(&arguments);
    assert_eq!(ran.status, Some(0));
    assert!(ran.out.contains(", 2 bad lines left out"), "{}", ran.out);
    let told: Vec<&str> = ran.err.lines().collect();
    assert_eq!(told.len(), 2, "{}", ran.err);
    for (line, told) in [4, 21].iter().zip(told) {
        let wanted = format!("gcs: in: line {line}: hexadecimal digits were expected, character 1");
        assert!(told.starts_with(&wanted) && told.ends_with("; it is left out"), "{told}");
    }
    let left = (0..30).filter(|number| ![3, 20].contains(number));
    assert_eq!(home.read("out.gcs"), set(left).into_inner());

    // Many are not named one by one; where the lines are is right in every block and file.
    let many = format!("{}{}", lines(0..20_000), "bad\n".repeat(25));
    home.write("many", &many);
    let arguments =
        [&["encode", "in", "many", "-o", "n.gcs", "--on-error", "skip"], &FIXED[..]].concat();
    for threads in ["1", "3"] {
        let ran = home.run(&[&arguments[..], &["--threads", threads, "--force"]].concat());
        assert!(ran.out.contains(", 27 bad lines left out"), "{}", ran.out);
        assert_eq!(ran.err.lines().count(), 11, "{}", ran.err);
        assert!(ran.err.contains("gcs: many: line 20,001: "), "{}", ran.err);
        assert!(ran.err.contains("gcs: many: line 20,008: "), "{}", ran.err);
        assert!(
            ran.err.ends_with("gcs: 17 more bad lines are left out, 27 in all\n"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_missed_rate_is_told() {
    let home = Home::new();
    let encode = |more: &[&str]| {
        let arguments =
            ["encode", "-o", "out.gcs", "--force", "--expected", "100", "--salt", SALT_HEX];
        home.pipe(lines(0..200), &[&arguments[..], more].concat())
    };
    let ran = encode(&["--rate", "1/1000"]);
    assert_eq!(ran.status, Some(0));
    let wanted =
        "gcs: 200 fingerprints came, not 100 as expected, so one in 1,000 is not reached\n";
    assert_eq!(ran.err, wanted);
    assert!(ran.out.ends_with("false positives: one in 500\n"), "{}", ran.out);
    assert!(encode(&["--size", "300B"]).err.contains("so 300 bytes is not reached"));
    // A tuned range has room for half as many again, but not for twice as many.
    assert!(encode(&["--rate-bits", "10"]).err.contains("so one in 1,024 is not reached"));
    let arguments = [
        "encode",
        "-o",
        "out.gcs",
        "--force",
        "--expected",
        "100",
        "--rate-bits",
        "10",
        "--salt",
        SALT_HEX,
    ];
    home.pipe(lines(0..149), &arguments).answer();
}

#[test]
fn progress_has_rate_and_time_left_where_it_is_asked_for() {
    use std::io::Write as _;
    use std::process::Stdio;
    let home = Home::new();
    for (asked, wanted) in [(true, true), (false, false)] {
        let mut command =
            home.command(&[&["encode", "-o", "out.gcs", "--force"], &FIXED[..]].concat());
        if asked {
            command.arg("--progress");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Longer than the program is patient, and more than one block.
        for part in 0..3 {
            stdin.write_all(lines(part * 7000..(part + 1) * 7000).as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(700));
        }
        drop(stdin);
        let ran = common::Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        let told = ran.err.contains("gcs: hashing: ") && ran.err.contains(" a second");
        assert_eq!(told, wanted, "{}", ran.err);
    }
    // Short work shows nothing.
    home.write("in", lines(0..10));
    home.run(&["encode", "in", "-o", "short.gcs", "--progress"]).answer();
}

#[test]
fn hexadecimal_digits_of_either_case_are_one_element() {
    let home = Home::new();
    let mixed = format!("{}\n{}\n", hex(1), HEXLOWER.encode(&element(1)));
    home.write("in", mixed);
    assert_eq!(encoded(&home, &["in"]), set([1]).into_inner());
}

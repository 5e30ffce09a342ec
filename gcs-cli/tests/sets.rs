//! Commands that show, compare and combine sets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::{Home, RANGE, SALT_HEX, read_back, set, set_in};
use gcs_core::{Delta, Set};
use serde_json::{Value, json};

fn report(set: &Set) -> Value {
    let info = set.info();
    read_back(&json!({
        "fingerprints": info.len,
        "hash_range": info.hash_range.get().to_string(),
        "rice_parameter": info.rice_parameter,
        "bytes": info.bytes,
        "bits_per_fingerprint": info.bits_per_element(),
        "bound_bits_per_fingerprint": info.bound(),
        "false_positive_rate": info.false_positive_rate(),
        "salt": SALT_HEX,
        "identity": info.identity.to_string(),
    }))
}

fn with(mut value: Value, more: &Value) -> Value {
    for (name, field) in more.as_object().unwrap() {
        value[name] = field.clone();
    }
    value
}

#[test]
fn inspect_and_verify_tell_what_a_file_is() {
    let home = Home::new();
    let (from, to) = (set(0..1000), set(10..1020));
    let delta = Delta::between(&from, &to).unwrap();
    home.write("a.gcs", from.as_bytes());
    home.write("d.delta", delta.as_bytes());
    home.write("none.gcs", set([]).as_bytes());
    let of_delta = json!({
        "file": "d.delta",
        "kind": "delta",
        "removed": 10,
        "added": 20,
        "bytes": delta.as_bytes().len(),
        "hash_range": RANGE.to_string(),
        "salt": SALT_HEX,
        "base": from.identity().to_string(),
        "target": to.identity().to_string(),
    });
    let wanted = [
        with(report(&from), &json!({ "file": "a.gcs", "kind": "set" })),
        of_delta,
        with(report(&set([])), &json!({ "file": "none.gcs", "kind": "set" })),
    ];
    assert_eq!(wanted[2]["bits_per_fingerprint"], Value::Null);
    let files = ["a.gcs", "d.delta", "none.gcs"];
    assert_eq!(home.run(&[&["inspect", "--json"], &files[..]].concat()).json_lines(), wanted);
    let verified = wanted.map(|report| with(report, &json!({ "valid": true })));
    assert_eq!(home.run(&[&["verify", "--json"], &files[..]].concat()).json_lines(), verified);

    let text = home.run(&[&["inspect"], &files[..]].concat()).answer();
    for wanted in [
        "a.gcs: set\n  fingerprints         1,000\n",
        "  false positives      one in 1,099,511,628\n",
        &format!("  identity             {}\n", from.identity()),
        "d.delta: delta\n  removed              10\n  added                20\n",
        "none.gcs: set\n  fingerprints         0\n  size                 80 bytes (80)\n",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    let text = home.run(&[&["verify"], &files[..]].concat()).answer();
    let first = format!("a.gcs: valid set of 1,000 fingerprints, identity {}\n", from.identity());
    assert!(text.starts_with(&first), "{text}");
}

#[test]
fn sets_and_deltas_may_come_through_a_pipe() {
    let home = Home::new();
    if !home.path("/dev/stdin").exists() {
        return;
    }
    let (a, b) = (set(0..1000), set(500..1500));
    let delta = Delta::between(&a, &b).unwrap();
    home.write("a.gcs", a.as_bytes());
    let pipe =
        |bytes: &[u8], arguments: &str| home.pipe(bytes, &arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(
        pipe(a.as_bytes(), "list /dev/stdin").answer(),
        home.run(&["list", "a.gcs"]).answer()
    );
    let element = common::hex(7);
    assert_eq!(
        pipe(a.as_bytes(), &format!("query /dev/stdin {element}")).answer(),
        format!("{element}\n")
    );
    pipe(b.as_bytes(), "union a.gcs /dev/stdin -o ab.gcs").answer();
    assert_eq!(home.read("ab.gcs"), set(0..1500).as_bytes());
    pipe(delta.as_bytes(), "apply a.gcs /dev/stdin -o b.gcs").answer();
    assert_eq!(home.read("b.gcs"), b.as_bytes());
    let said = pipe(b"no set at all", "list /dev/stdin").complaint();
    assert!(said.contains("a set was expected: this is a file that gcs does not know"), "{said}");
}

#[test]
fn an_index_is_made_beside_its_set_and_verified_with_it() {
    let home = Home::new();
    let made = set(0..5000);
    home.write("a.gcs", made.as_bytes());
    let mut wanted = Vec::new();
    made.write_index(&mut wanted).unwrap();
    let text = home.run(&["index", "a.gcs"]).answer();
    let start = "a.gcs.index: index of a.gcs: 5,000 fingerprints; ";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(home.read("a.gcs.index"), wanted);
    let said = home.run(&["index", "a.gcs"]).complaint();
    assert!(said.contains("a.gcs.index: is there already"), "{said}");
    let told = home.run(&["index", "a.gcs", "-o", "other", "--json"]).json();
    assert_eq!(home.read("other"), wanted);
    let report = json!({
        "file": "other",
        "bytes": wanted.len(),
        "fingerprints": 5000,
        "set": made.identity().to_string(),
    });
    assert_eq!(told, report);
    let report = with(report, &json!({ "file": "a.gcs.index", "kind": "index" }));
    assert_eq!(home.run(&["inspect", "a.gcs.index", "--json"]).json(), report);
    let report = with(report, &json!({ "valid": true }));
    assert_eq!(home.run(&["verify", "a.gcs.index", "--json"]).json(), report);
    let text = home.run(&["verify", "a.gcs.index"]).answer();
    assert!(
        text.starts_with("a.gcs.index: valid index of 5,000 fingerprints, of the set "),
        "{text}"
    );
    let text = home.run(&["inspect", "a.gcs.index"]).answer();
    assert!(text.starts_with("a.gcs.index: index\n  fingerprints         5,000\n"), "{text}");
    home.write("none.gcs", set([]).as_bytes());
    home.run(&["index", "none.gcs"]).answer();
    home.run(&["verify", "none.gcs.index"]).answer();
}

#[test]
fn list_prints_all_fingerprints() {
    let home = Home::new();
    let made = set(0..5000);
    home.write("a.gcs", made.as_bytes());
    let listed = home.run(&["list", "a.gcs"]).answer();
    let listed: Vec<u64> = listed.lines().map(|line| line.parse().unwrap()).collect();
    assert!(made.iter().eq(listed));
    home.write("b.gcs", set(0..3).as_bytes());
    let wanted: Vec<Value> = set(0..3)
        .iter()
        .enumerate()
        .map(|(rank, value)| json!({ "rank": rank, "fingerprint": value.to_string() }))
        .collect();
    assert_eq!(home.run(&["list", "b.gcs", "--json"]).json_lines(), wanted);
    home.write("none.gcs", set([]).as_bytes());
    assert_eq!(home.run(&["list", "none.gcs"]).answer(), "");
}

#[test]
fn a_delta_leads_from_one_set_to_the_other() {
    let home = Home::new();
    let (from, to) = (set(0..5000), set(50..5100));
    home.write("from.gcs", from.as_bytes());
    home.write("to.gcs", to.as_bytes());
    let wanted = Delta::between(&from, &to).unwrap();
    let text = home.run(&["diff", "from.gcs", "to.gcs", "-o", "d.delta"]).answer();
    assert!(text.starts_with("d.delta: 50 removed, 100 added; "), "{text}");
    assert_eq!(home.read("d.delta"), wanted.as_bytes());
    let told = home.run(&["diff", "from.gcs", "to.gcs", "-o", "e.delta", "--json"]).json();
    assert_eq!((&told["file"], &told["removed"]), (&json!("e.delta"), &json!(50)));
    let inspected = home.run(&["inspect", "e.delta", "--json"]).json();
    assert_eq!(with(told, &json!({ "kind": "delta" })), inspected);

    let text = home.run(&["apply", "from.gcs", "d.delta", "-o", "new.gcs"]).answer();
    assert!(text.starts_with("new.gcs: 5,050 fingerprints; "), "{text}");
    assert_eq!(home.read("new.gcs"), to.as_bytes());
    let told = home.run(&["apply", "from.gcs", "d.delta", "-o", "json.gcs", "--json"]).json();
    assert_eq!(told, with(report(&to), &json!({ "file": "json.gcs" })));
}

#[test]
fn sets_are_combined_to_what_one_build_gives() {
    let home = Home::new();
    // Many collisions, so that fingerprints and not elements are combined.
    let range = 50_000;
    let parts = [0..9000u64, 6000..15_000, 3000..7000];
    let names = ["a.gcs", "b.gcs", "c.gcs"];
    let sets: Vec<Set> = parts.iter().map(|part| set_in(range, part.clone())).collect();
    for (name, set) in names.iter().zip(&sets) {
        home.write(name, set.as_bytes());
    }
    let values: Vec<BTreeSet<u64>> = sets.iter().map(|set| set.iter().collect()).collect();
    type Fold = fn(&BTreeSet<u64>, &BTreeSet<u64>) -> BTreeSet<u64>;
    let operations: [(&str, Fold); 3] =
        [("union", |a, b| a | b), ("intersect", |a, b| a & b), ("subtract", |a, b| a - b)];
    for (command, fold) in operations {
        for count in 1..=3 {
            let wanted = values[1..count].iter().fold(values[0].clone(), |a, b| fold(&a, b));
            let wanted =
                Set::from_fingerprints(common::SALT, sets[0].hash_range(), wanted).unwrap();
            let arguments = [&[command], &names[..count], &["-o", "o.gcs", "--force"]].concat();
            home.run(&arguments).answer();
            assert!(home.read("o.gcs") == wanted.as_bytes(), "{command} {count}");
            let told = home.run(&[&arguments[..], &["--json"]].concat()).json();
            assert_eq!(told, with(report(&wanted), &json!({ "file": "o.gcs" })));
        }
    }
    home.run(&["subtract", "a.gcs", "a.gcs", "-o", "none.gcs"]).answer();
    assert_eq!(home.read("none.gcs"), set_in(range, []).as_bytes());
}

#[test]
fn parts_that_were_encoded_apart_are_united_to_the_whole() {
    let home = Home::new();
    for (name, part) in [("1.gcs", 0..400), ("2.gcs", 300..800), ("3.gcs", 800..1000)] {
        let arguments = [&["encode", "-o", name], &common::FIXED[..]].concat();
        home.pipe(common::lines(part), &arguments).answer();
    }
    home.run(&["union", "1.gcs", "2.gcs", "3.gcs", "-o", "whole.gcs"]).answer();
    assert_eq!(home.read("whole.gcs"), set(0..1000).as_bytes());
}

/// Help and manual page of each command name its JSON fields and its exit statuses.
#[test]
fn help_and_manual_page_tell_json_and_exit_statuses() {
    let home = Home::new();
    home.write("a.gcs", set(0..20).as_bytes());
    home.write("b.gcs", set(5..25).as_bytes());
    home.write("hex", common::lines(0..20));
    home.run(&["diff", "a.gcs", "b.gcs", "-o", "ab.delta"]).answer();
    let all = [
        "encode hex -o e.gcs",
        "index a.gcs",
        "query a.gcs -f hex",
        "query a.gcs -f hex -c",
        "inspect a.gcs ab.delta a.gcs.index",
        "verify a.gcs ab.delta",
        "verify hex",
        "diff a.gcs b.gcs -o d",
        "apply a.gcs ab.delta -o f",
        "union a.gcs b.gcs -o g",
        "intersect a.gcs b.gcs -o h",
        "subtract a.gcs b.gcs -o i",
        "list a.gcs",
    ];
    for arguments in all {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--json"]).collect();
        let ran = home.run(&arguments);
        let help = home.run(&[arguments[0], "--help"]).answer();
        // The help of verify refers to that of inspect.
        let inspect = home.run(&["inspect", "--help"]).answer();
        let (_, told) = help.split_once("With --json: ").unwrap();
        let words: BTreeSet<&str> = told
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .chain(
                inspect
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .filter(|_| arguments[0] == "verify"),
            )
            .collect();
        for line in ran.out.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            for field in value.as_object().unwrap().keys() {
                assert!(words.contains(field.as_str()), "{field} of {arguments:?} in {told}");
            }
        }
        let (first, none) = if arguments[0] == "query" {
            ("0 a line was selected", ", 1 none was")
        } else {
            ("0 done", ", 2 error")
        };
        assert!(told.contains(&format!("Exit status: {first}{none}")), "{help}");
        let page = home.run(&["man", arguments[0]]).answer();
        for heading in [".SH \"JSON\"", ".SH \"EXIT STATUS\"", ".SH \"SEE ALSO\""] {
            assert_eq!(page.matches(heading).count(), 1, "{heading} in {page}");
        }
        assert!(!page.contains(".SH EXTRA") && page.matches(".SH NOTES").count() < 2, "{page}");
    }
    // Where there is a formatter, it finds nothing wrong.
    for command in ["", "encode", "query", "completions"] {
        let arguments: Vec<&str> =
            ["man", command].into_iter().filter(|word| !word.is_empty()).collect();
        home.write("page", home.run(&arguments).answer());
        let formatted =
            Command::new("man").args(["--warnings", "-l"]).arg(home.path("page")).output();
        if let Ok(formatted) = formatted.map(common::Ran::of) {
            assert_eq!(formatted.err, "", "{command}");
        }
    }
}

#[test]
fn the_program_documents_itself() {
    let home = Home::new();
    let commands = [
        "encode",
        "query",
        "index",
        "inspect",
        "verify",
        "diff",
        "apply",
        "union",
        "intersect",
        "subtract",
        "list",
        "completions",
        "man",
    ];
    let page = home.run(&["man"]).answer();
    assert!(page.contains(".TH gcs 1"), "{page}");
    for command in commands {
        assert!(page.contains(&format!("gcs\\-{command}(1)")), "{command}");
        let page = home.run(&["man", command]).answer();
        assert!(page.contains(&format!(".TH gcs-{command} 1")), "{page}");
        assert!(page.contains("\\-\\-json"), "{command}");
        let help = home.run(&[command, "--help"]).answer();
        assert!(help.contains(&format!("Usage: gcs {command}")), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = home.run(&["completions", shell]).answer();
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
        home.write(shell, script);
        // Where the shell is there, it reads its script.
        if ["bash", "zsh", "fish"].contains(&shell) {
            let read = Command::new(shell).arg("-n").arg(home.path(shell)).status();
            assert!(read.map_or(true, |status| status.success()), "{shell}");
        }
    }
}

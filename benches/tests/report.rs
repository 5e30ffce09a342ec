//! The report as a program: a tiny run writes every file.

use std::path::Path;
use std::process::{Command, Output};

fn report(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_benchmarks"))
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts")
}

const TINY: [(&str, &str); 4] = [
    ("GCS_BENCH_N", "2000"),
    ("GCS_BENCH_PASSES", "1"),
    ("GCS_BENCH_MILLIS", "1"),
    ("GCS_BENCH_ABSENT", "20k"),
];

const PLOTS: [&str; 6] =
    ["size.svg", "build.svg", "contains.svg", "batch.svg", "delta.svg", "memory.svg"];

#[test]
fn a_tiny_run_writes_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = report(&["--quick", "--out", path], &TINY);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.path().join("REPORT.md")).unwrap();
    for part in [
        "- Processor: ",
        "- Commit: ",
        "xorf 0.13.0",
        "- n: 2k",
        "| batch | 2k | **",
        "| ours (two threads) |",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for file in links(&text) {
        let found = folder.path().join(file);
        assert!(found.is_file(), "{file}");
        if Path::new(file).extension().is_some_and(|extension| extension == "csv") {
            let csv = std::fs::read_to_string(found).unwrap();
            let fields = csv.lines().next().unwrap().split(',').count();
            assert!(csv.lines().count() > 1, "{file}");
            assert!(csv.lines().all(|line| line.split(',').count() == fields), "{file}");
        }
    }
    for plot in PLOTS {
        assert!(text.contains(&format!("]({plot})")), "{plot}");
    }
    // Every structure is in the tables and in a sentence.
    for structure in gcs_benches::structures() {
        assert!(text.contains(&format!("| {} |", structure.name)), "{}", structure.name);
    }
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

/// Files that the report links to, besides the page on the method.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains('/'))
}

#[test]
fn without_hashing_all_but_bip158_take_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut variables = TINY.to_vec();
    variables.push(("GCS_BENCH_HASHING", "excluded"));
    let output = report(&["--quick", "--out", folder.path().to_str().unwrap()], &variables);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.path().join("REPORT.md")).unwrap();
    assert!(text.contains("- Hashing: excluded") && text.contains("| BinaryFuse16 |"));
    assert!(!text.contains("| bip158 |"));
}

#[test]
fn wrong_words_are_errors_that_say_what_was_expected() {
    for (arguments, variables, said) in [
        (&["--fast"][..], &[][..], "unexpected argument \"--fast\""),
        (&["--out"], &[], "--out: expected a folder"),
        (&[], &[("GCS_BENCH_N", "many")], "GCS_BENCH_N: expected numbers"),
        (&[], &[("GCS_BENCH_PASSES", "0")], "GCS_BENCH_PASSES: expected a positive number"),
    ] {
        let output = report(arguments, variables);
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with(said), "{error}");
    }
}

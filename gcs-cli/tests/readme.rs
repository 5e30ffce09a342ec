//! The example of the README, run as it stands there.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Home, hex};

/// The shell commands between the marks.
fn example() -> String {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("<!-- example:begin -->\n```sh\n").unwrap();
    let (example, _) = rest.split_once("```\n<!-- example:end -->").unwrap();
    example.to_owned()
}

#[test]
fn the_example_does_what_it_says() {
    let home = Home::new();
    let line = |number: u64| format!("{}:{number}\n", hex(number));
    let known = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
    let old: String = (0..1000).map(line).collect();
    home.write("pwned.txt", format!("{old}{known}:9659365\n"));
    let new: String = (20..1100).map(line).collect();
    home.write("pwned-new.txt", format!("{known}:9659365\n{new}"));
    home.write("mine.txt", format!("{}\n{}\n{}\n", hex(1), hex(7000), hex(999)));
    let programs = Path::new(env!("CARGO_BIN_EXE_gcs")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-euc", &example()])
        .current_dir(home.folder())
        .env("PATH", path)
        .output()
        .unwrap();
    let ran = common::Ran::of(output);
    let out = ran.answer();
    let found =
        format!("\n{known}\n{}  -\nchoose another password\n{}\n", known.to_lowercase(), hex(7000));
    for wanted in [
        "pwned.gcs: 1,001 fingerprints of 1,001 elements; ",
        "  false positives      one in 50,000,000\n",
        "pwned.gcs.index: index of pwned.gcs: 1,001 fingerprints; ",
        &found,
        "pwned.delta: 20 removed, 100 added; ",
        "updated.gcs: 1,081 fingerprints; ",
        "whole.gcs: 1,001 fingerprints; ",
        "whole.gcs: valid set of 1,001 fingerprints",
    ] {
        assert!(out.contains(wanted), "{wanted} in {out}");
    }
    // The parts are one in four, whatever one build of all lines gives.
    let arguments = [
        "encode",
        "pwned.txt",
        "--field",
        "1",
        "-o",
        "one.gcs",
        "--salt",
        "00112233445566778899aabbccddeeff",
        "--hash-range",
        "50000000000",
    ];
    home.run(&arguments).answer();
    assert_eq!(home.read("one.gcs"), home.read("whole.gcs"));
}

/// What the README says to whoever comes from grep.
#[test]
fn grep_of_a_list_selects_the_same_lines() {
    let home = Home::new();
    home.write("list", "one\ntwo words\nthree\n");
    home.write("file", "two words\nfour\nThree\none\none\n");
    home.run(&["encode", "list", "--format", "text", "-o", "list.gcs"]).answer();
    let grep = |options: &[&str]| {
        let arguments = [&["-F", "-x", "-f", "list", "file"], options].concat();
        let mut grep = Command::new("grep");
        grep.args(arguments).current_dir(home.folder()).output().map(common::Ran::of)
    };
    for options in [&[][..], &["-v"], &["-c"], &["-q"], &["-c", "-v"]] {
        let wanted = match grep(options) {
            Err(_) if !cfg!(unix) => return,
            wanted => wanted.unwrap(),
        };
        let asked = ["query", "list.gcs", "--format", "text", "--file", "file"];
        let got = home.run(&[&asked[..], options].concat());
        assert_eq!((got.status, got.out), (wanted.status, wanted.out), "{options:?}");
    }
}

//! The simulation as a program: every phone finds what it should, and what is printed stands in
//! the documentation.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

const PAGE: &str = include_str!("../../gcs-core/protocols/README.md");

#[test]
fn every_protocol_finds_what_it_should_and_the_page_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_protocols")).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""));
    let (_, page) = PAGE.split_once("<!-- protocols:begin -->\n").unwrap();
    let (page, _) = page.split_once("<!-- protocols:end -->").unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), page);
}

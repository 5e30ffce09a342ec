//! Errors of the whole crate keep one rule: the message is whole, and has that of the error inside in
//! it, so `source` gives nothing that was told already. The error inside is a public field.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gcs_core::set::{IndexError, ReadError, SinkError, StreamError};
use gcs_core::{BuildError, ParseError};

fn assert_whole(error: &dyn Error, inside: &str) {
    assert!(error.to_string().contains(inside), "{error}");
    assert!(error.source().is_none(), "{error}");
}

#[test]
fn a_message_has_that_of_the_error_inside() {
    let gone = || io::Error::other("gone");
    let parse = || ParseError::Padding;
    let inside = parse().to_string();
    assert_whole(&ReadError::from(gone()), "gone");
    assert_whole(&ReadError::from(parse()), &inside);
    assert_whole(&SinkError::from(gone()), "gone");
    let build = BuildError::TooMany { got: 5 };
    assert_whole(&SinkError::from(build), &build.to_string());
    assert_whole(&IndexError::ReadSet(gone()), "gone");
    assert_whole(&IndexError::Index(parse()), &inside);
    assert_whole(&StreamError::Read { position: 3, error: gone().into() }, "gone");
    assert_whole(&StreamError::Sink(gone().into()), "gone");
    assert_whole(&gcs_core::set::ExternalError::Sink(gone().into()), "gone");
    #[cfg(feature = "protocol")]
    {
        use gcs_core::publish::PublishError;
        assert_whole(&PublishError::from(parse()), &inside);
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Also of the errors that are hard to come by: only what passes an error through whole, message and
/// source, has one inside that is marked.
#[test]
fn no_error_tells_the_one_inside_twice() {
    let mut marked = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let path = path.display();
            assert!(
                !line.contains("#[source]") && !line.starts_with("source: io::"),
                "{path}: {line}"
            );
            if line.contains("#[from]") {
                assert_eq!(lines[at - 1], "#[error(transparent)]", "{path}: {line}");
                marked += 1;
            }
        }
    }
    assert!(marked > 5, "{marked}");
}

//! The arrows between the modules of gcs-core: each knows only what is listed for it.

mod imports;

use imports::{Layer, assert_arrows};

/// Small things that everything may use.
const SMALL: &[&str] =
    &["base64", "bytes", "date", "digest", "element", "error", "folder", "json", "keys", "version"];

/// Every module, in the order of the layout, and what it may use besides the small things.
const LAYERS: &[Layer] = &[
    ("base64", &[]),
    ("bytes", &[]),
    ("date", &[]),
    ("digest", &[]),
    ("element", &[]),
    ("error", &[]),
    ("folder", &[]),
    ("json", &[]),
    ("keys", &[]),
    ("version", &[]),
    ("set", &[]),
    ("seeds", &["set"]),
    ("files", &["set", "seeds"]),
    ("identifiers", &["set", "seeds"]),
    ("report", &["set", "seeds", "identifiers"]),
    ("live", &["set", "seeds", "identifiers", "report"]),
    ("publish", &["set", "seeds", "files", "identifiers"]),
    ("sync", &["set", "seeds", "files"]),
    ("exact", &["set"]),
];

#[test]
fn modules_know_only_those_below() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    assert_arrows(source, SMALL, LAYERS);
}

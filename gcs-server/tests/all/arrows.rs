//! The arrows between the modules of gcs-server, and what the domain does not know.

#[path = "../../../gcs-core/tests/arrows/imports.rs"]
mod imports;

use imports::{Layer, assert_arrows, assert_without_crates};

/// Every module, in the order of the layout, and what it may use.
const LAYERS: &[Layer] = &[
    ("domain", &[]),
    ("new_file", &[]),
    ("hashed_file", &[]),
    ("apart", &[]),
    ("store", &["new_file"]),
    ("clock", &[]),
    ("random", &[]),
    ("time", &[]),
    ("code_sheet", &["time"]),
    ("metrics", &[]),
    ("request_log", &[]),
    ("secret", &[]),
    ("node", &["domain", "store", "clock", "random"]),
    ("bluetrace", &["domain", "store", "node", "clock", "new_file", "random", "time"]),
    ("publishing", &["domain", "node", "new_file", "hashed_file", "apart"]),
    ("spool", &["domain", "node", "new_file", "random", "metrics"]),
    (
        "service",
        &[
            "domain",
            "store",
            "node",
            "bluetrace",
            "publishing",
            "spool",
            "clock",
            "metrics",
            "random",
            "request_log",
            "time",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "store",
            "node",
            "bluetrace",
            "publishing",
            "service",
            "spool",
            "code_sheet",
            "time",
            "clock",
            "metrics",
            "request_log",
        ],
    ),
    (
        "app",
        &[
            "apart",
            "domain",
            "store",
            "node",
            "bluetrace",
            "publishing",
            "http",
            "service",
            "spool",
            "clock",
            "new_file",
            "hashed_file",
            "random",
            "request_log",
            "secret",
            "time",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "store",
            "node",
            "publishing",
            "http",
            "app",
            "code_sheet",
            "time",
            "clock",
            "new_file",
            "random",
            "request_log",
            "secret",
        ],
    ),
];

#[test]
fn modules_know_only_those_below() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    assert_arrows(source, &[], LAYERS);
}

/// The domain is what happens, what it adds up to and what is accepted. How it is asked,
/// kept and shown is not its affair, and time and randomness are handed in.
#[test]
fn the_domain_does_no_io() {
    let domain = concat!(env!("CARGO_MANIFEST_DIR"), "/src/domain");
    let unknown = [
        "actix_web",
        "utoipa",
        "tracing",
        "tokio",
        "rusqlite",
        "object_store",
        "getrandom",
        "SystemTime",
        "fs",
        "net",
        "io",
    ];
    assert_without_crates(domain, &unknown);
}

/// Only two modules ask the operating system for time and randomness.
#[test]
fn time_and_randomness_have_one_source_each() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    for module in
        LAYERS.iter().map(|layer| layer.0).filter(|module| !["clock", "random"].contains(module))
    {
        for path in [format!("{source}/{module}"), format!("{source}/{module}.rs")] {
            if std::path::Path::new(&path).exists() {
                assert_without_crates(&path, &["getrandom", "SystemTime"]);
            }
        }
    }
}

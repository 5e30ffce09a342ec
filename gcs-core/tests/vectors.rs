//! The golden vectors: what is committed is what is made, and the library reads every one to
//! its exact outcome: what a valid file decodes to, which class of error an invalid one ends in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod generator;
mod golden;
mod naive;
mod outcome;
mod world;

use std::collections::BTreeSet;

use data_encoding::BASE64;
use gcs_core::set::write_index;
use gcs_core::{IndexError, IndexedFile, Set};
use serde_json::{Value, json};

use crate::golden::{Case, all_cases, bytes_of_hex, cases, file, folder, hex};
use crate::outcome::{Decode, class, expect_outcome};

fn decode_all(kind: &str, decode: Decode) {
    for case in cases(kind) {
        expect_outcome(&case, decode);
    }
}

fn class_of_index(error: &IndexError) -> String {
    match error {
        IndexError::Index(error) => class(error),
        IndexError::Set(error) => format!("Set.{}", class(error)),
        other => class(other),
    }
}

#[test]
fn committed_vectors_are_the_ones_that_are_made() {
    let vectors = generator::make();
    let hint = "write it with `cargo run -p gcs-core --example vectors`";
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    for (name, bytes) in vectors.files() {
        let committed = file(&name);
        // Compared as values: the order of members within one is the JSON library's affair.
        let is_list = name == "vectors.json" || is_session(&name);
        let is_alike = committed == bytes || (is_list && json(&committed) == json(&bytes));
        assert!(is_alike, "{name} is stale: {hint}");
    }
    assert_eq!(generator::names_in_folder(), vectors.names(), "files of the folder: {hint}");
}

/// Whether a file is a session, not one of the trees.
fn is_session(name: &str) -> bool {
    name.starts_with("session/") && name.ends_with(".json")
}

#[test]
fn hashes() {
    decode_all("hash", outcome::hashes);
}

#[test]
fn parameters() {
    decode_all("parameter", outcome::parameters);
}

#[test]
fn paths() {
    decode_all("path", outcome::paths);
}

#[test]
fn sets() {
    decode_all("set", outcome::sets);
}

#[test]
fn set_indexes() {
    decode_all("set_index", |case| {
        let (set, index) = (case.file("set"), case.bytes());
        let file = IndexedFile::open(&set, &index).map_err(|error| class_of_index(&error))?;
        let info = file.verify().map_err(|error| class_of_index(&error))?;
        let mut again = Vec::new();
        assert_eq!(write_index(&set, &mut again).unwrap(), info);
        assert_eq!(again, index, "{} is canonical", case.name());
        let set = Set::parse(&set).unwrap();
        let around = set.iter().flat_map(|value| [value.saturating_sub(1), value, value + 1]);
        for value in around.chain([0, info.hash_range.get()]) {
            assert_eq!(file.rank_of(value).unwrap(), set.rank_of(value), "{}", case.name());
        }
        let number = |at: usize| u64::from_le_bytes(index[at..at + 8].try_into().unwrap());
        let entries = (96..index.len() - 32).step_by(32).map(|at| {
            let check = hex(&number(at + 24).to_be_bytes());
            json!({ "bit": number(at), "next": number(at + 8), "rank": number(at + 16), "check": check })
        });
        Ok(json!({ "identity": info.identity, "entries": entries.collect::<Vec<_>>() }))
    });
}

#[test]
fn seed_lists() {
    decode_all("seed_list", outcome::seed_lists);
}

#[test]
fn seed_deltas() {
    decode_all("seed_delta", outcome::seed_deltas);
}

#[test]
fn seed_indexes() {
    decode_all("seed_index", outcome::seed_indexes);
}

#[test]
fn seed_bundles() {
    decode_all("seed_bundle", outcome::seed_bundles);
}

#[test]
fn export_lists() {
    decode_all("export_list", outcome::export_lists);
}

#[test]
fn matches() {
    decode_all("match", outcome::matches);
}

#[test]
fn deltas() {
    decode_all("delta", outcome::deltas);
}

#[test]
fn tables() {
    decode_all("table", outcome::tables);
}

#[test]
fn indexes() {
    decode_all("index", outcome::indexes);
}

#[test]
fn bundles() {
    decode_all("bundle", outcome::bundles);
}

#[test]
fn records() {
    decode_all("record", outcome::records);
}

#[test]
fn manifests() {
    decode_all("manifest", outcome::manifests);
}

#[test]
fn every_kind_and_class_has_a_case() {
    let of = |kind: &str| -> BTreeSet<String> {
        cases(kind).iter().filter_map(|case| case.error().map(String::from)).collect()
    };
    let has = |kind: &str, classes: &[&str]| {
        let missing: Vec<_> = classes.iter().filter(|class| !of(kind).contains(**class)).collect();
        assert!(missing.is_empty(), "no case of kind {kind} for {missing:?}");
    };
    let file = ["Magic", "Version", "Length", "Limit"];
    let code = ["Mismatch", "BitLength", "Overrun", "Padding", "Digest"];
    for kind in ["set", "delta"] {
        has(kind, &[&file[..], &code].concat());
    }
    has("delta", &["Salt", "HashRange", "Base", "BaseLength", "AlreadyPresent", "Target"]);
    has("table", &[&file[..], &["Mismatch", "Order", "Padding", "Digest"]].concat());
    has("index", &[&file[..], &["Mismatch", "Order", "Padding"]].concat());
    has("bundle", &[&file[..], &["Mismatch", "Order", "Padding", "Before", "After"]].concat());
    has("bundle", &["NoSuchDate", "NoSuchSet", "Row", "Part.Digest", "Delta.Target"]);
    has("record", &[&file[..], &["Mismatch", "Order", "Digest", "Date"]].concat());
    has("manifest", &["TooLarge", "Json", "PayloadType", "Base64", "Format", "Count"]);
    has("manifest", &["RootSignature", "OnlineSignature", "KeysRolledBack", "KeysExpired"]);
    has("manifest", &["Lifetime", "Expired"]);
    has("path", &["Path"]);
    has(
        "set_index",
        &[&file[..], &["Mismatch", "Padding", "OtherSet", "Header", "Block"]].concat(),
    );
    has("set_index", &["Set.Digest", "Digest"]);
    for kind in ["seed_list", "seed_delta"] {
        has(kind, &[&file[..], &code, &["Order"]].concat());
    }
    has("seed_delta", &["Base", "BaseLength", "AlreadyPresent", "Target"]);
    has("seed_index", &[&file[..], &["Order", "Padding"]].concat());
    has("seed_bundle", &[&file[..], &["Mismatch", "Order", "Padding", "Before", "After"]].concat());
    has("seed_bundle", &["NoSuchList", "Part.Digest", "SeedDelta.Base"]);
    has("export_list", &["Length", "Path"]);
    let kinds = ["hash", "parameter", "path", "set", "match", "delta", "table", "index", "bundle"];
    let others = ["record", "manifest", "set_index", "seed_list", "seed_delta"];
    let others = [&others[..], &["seed_index", "seed_bundle", "export_list"]].concat();
    let known = |case: &Case| kinds.contains(&case.kind()) || others.contains(&case.kind());
    assert!(all_cases().iter().all(known));
}

/// The examples of FORMAT.md are those of the files that they name.
#[test]
fn examples_of_the_format_are_the_files() {
    let text = std::fs::read_to_string(folder().join("../../FORMAT.md")).unwrap();
    let mut example = Vec::new();
    let mut shown = 0;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### `").and_then(|line| line.split('`').next()) {
            example = file(name);
            shown += 1;
        } else if let Some((at, bytes)) = dump_line(line) {
            assert_eq!(example[at..at + bytes.len()], bytes, "{line}");
        } else if let Some(json) = line.strip_prefix("    ").filter(|_| shown == 7) {
            let example = with_payloads(&example);
            assert!(json.split('…').all(|part| example.contains(part)), "{line}");
        }
    }
    assert_eq!(shown, 10, "one example of each kind of file");
}

/// Offset and bytes of a line such as `    0040  00 17 ff  a field`.
fn dump_line(line: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, rest) = line.strip_prefix("    ")?.split_at_checked(4)?;
    let at = usize::from_str_radix(offset, 16).ok()?;
    let digits = rest.strip_prefix("  ")?.split("  ").next()?;
    Some((at, bytes_of_hex(&digits.trim_end_matches(" …").replace(' ', ""))))
}

/// A manifest and the payloads of its two envelopes.
fn with_payloads(manifest: &[u8]) -> String {
    let payload = |text: &str| {
        let envelope: Value = serde_json::from_str(text).unwrap();
        let envelope = envelope.get("keys").unwrap_or(&envelope);
        let payload = envelope["payload"].as_str().unwrap();
        String::from_utf8(BASE64.decode(payload.as_bytes()).unwrap()).unwrap()
    };
    let envelope = String::from_utf8(manifest.to_vec()).unwrap();
    let manifest = payload(&envelope);
    let keys = payload(&manifest);
    [envelope, manifest, keys].join("\n")
}

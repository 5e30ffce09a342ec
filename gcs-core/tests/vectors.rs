//! The golden vectors: what is committed is what is made, and the library reads every one to
//! its exact outcome: what a valid file decodes to, which class of error an invalid one ends in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod generator;
mod golden;
mod naive;
mod world;

use std::collections::BTreeSet;
use std::fmt::Debug;

use data_encoding::BASE64;
use gcs_core::files::{Bundle, FileHash, Manifest, Path, PublicationIndex, Row, Table};
use gcs_core::files::{BundleError, CheckRecord, Verdict};
use gcs_core::set::write_index;
use gcs_core::{
    Date, Delta, Digest, ElementHasher, HashRange, IndexError, IndexedFile, ParseError, PublicKey,
    Salt, Set,
};
use serde_json::{Map, Value, json};

use crate::golden::{Case, all_cases, bytes_of_hex, cases, file, folder, hex};

/// What a case decodes to, as a superset of what is expected of it, or its error's class.
type Outcome = Result<Value, String>;

fn decode_all(kind: &str, decode: fn(&Case) -> Outcome) {
    for case in cases(kind) {
        expect_outcome(&case, decode);
    }
}

fn expect_outcome(case: &Case, decode: fn(&Case) -> Outcome) {
    match (decode(case), case.error()) {
        (Ok(decoded), None) => expect_decoded(case, &decoded),
        (Err(class), Some(expected)) => assert_eq!(class, expected, "{}", case.name()),
        (Ok(_), Some(expected)) => panic!("{}: decoded, not {expected}", case.name()),
        (Err(class), None) => panic!("{}: {class}, but it is valid", case.name()),
    }
}

fn expect_decoded(case: &Case, decoded: &Value) {
    for (member, expected) in case.get("expect").unwrap().as_object().unwrap() {
        assert_eq!(decoded.get(member), Some(expected), "{member} of {}", case.name());
    }
}

/// The name of an error's variant.
fn class(error: &impl Debug) -> String {
    naive::class(&Err::<(), _>(error)).unwrap_err()
}

fn class_of_bundle(error: &BundleError) -> String {
    match error {
        BundleError::Parse(ParseError::Part { error, .. }) => format!("Part.{}", class(error)),
        BundleError::Parse(error) => class(error),
        BundleError::Delta { error, .. } => format!("Delta.{}", class(error)),
        other => class(other),
    }
}

fn class_of_index(error: &IndexError) -> String {
    match error {
        IndexError::Index(error) => class(error),
        IndexError::Set(error) => format!("Set.{}", class(error)),
        other => class(other),
    }
}

fn hasher(case: &Case) -> ElementHasher {
    let salt = Salt(case.hex("salt").try_into().unwrap());
    ElementHasher::new(salt, HashRange::new(case.number("range")).unwrap())
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
    decode_all("hash", |case| {
        let (hasher, element) = (hasher(case), case.hex("element"));
        let check = hex(&hasher.check(&element).to_be_bytes());
        Ok(json!({ "fingerprint": hasher.fingerprint(&element), "check": check }))
    });
}

#[test]
fn parameters() {
    decode_all("parameter", |case| {
        let range = HashRange::new(case.number("range")).unwrap();
        Ok(json!({ "parameter": range.rice_parameter(case.number("count") as u32) }))
    });
}

#[test]
fn paths() {
    decode_all("path", |case| {
        let path: Path = case.text("path").parse().map_err(|_| "Path".to_string())?;
        assert_eq!(path.to_string(), case.text("path"));
        Ok(match path {
            Path::Manifest => json!({ "file": "manifest" }),
            Path::KeptManifest { series, tick } => {
                json!({ "file": "manifest", "series": series, "tick": tick })
            }
            Path::Index(digest) => json!({ "file": "index", "sha256": digest }),
            Path::Set { date, identity } => {
                json!({ "file": "set", "date": date, "identity": identity })
            }
            Path::Bundle { span, series, to } => {
                json!({ "file": "bundle", "span": span, "series": series, "to": to })
            }
            Path::Checks { date, root } => json!({ "file": "checks", "date": date, "root": root }),
        })
    });
}

#[test]
fn sets() {
    decode_all("set", |case| {
        let set = Set::parse(case.bytes()).map_err(|error| class(&error))?;
        let values: Vec<u64> = set.iter().collect();
        if let Some(elements) = case.get("elements").and_then(Value::as_array) {
            let elements = elements.iter().map(|element| bytes_of_hex(element.as_str().unwrap()));
            assert_eq!(Set::build(set.salt(), set.hash_range(), elements).unwrap(), set);
        }
        let again = Set::from_fingerprints(set.salt(), set.hash_range(), values.iter().copied());
        assert_eq!(again.unwrap(), set, "{} is canonical", case.name());
        let bits = u64::from_le_bytes(set.as_bytes()[40..48].try_into().unwrap());
        Ok(json!({
            "salt": hex(&set.salt().0),
            "range": set.hash_range().get(),
            "count": set.len(),
            "parameter": set.rice_parameter(),
            "bits": bits,
            "identity": set.identity(),
            "first": values.first(),
            "last": values.last(),
            "values": values,
        }))
    });
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
fn matches() {
    decode_all("match", |case| {
        let set = Set::parse(case.bytes()).map_err(|error| class(&error))?;
        let heard = case.get("heard").and_then(Value::as_array).unwrap();
        let heard: Vec<_> =
            heard.iter().map(|element| bytes_of_hex(element.as_str().unwrap())).collect();
        let mut hits: Vec<_> =
            set.matches(&heard).iter().map(|found| (found.query, found.rank)).collect();
        hits.sort_unstable();
        let hits = hits.iter().map(|(at, rank)| json!({ "heard": at, "rank": rank }));
        Ok(json!({ "hits": hits.collect::<Vec<_>>() }))
    });
}

#[test]
fn deltas() {
    decode_all("delta", |case| {
        let delta = Delta::parse(case.bytes()).map_err(|error| class(&error))?;
        let base = Set::parse(case.file("base")).unwrap();
        let target = delta.apply(&base).map_err(|error| class(&error))?;
        let again = Delta::between(&base, &target).unwrap();
        assert_eq!(again.as_bytes(), delta.as_bytes(), "{} is canonical", case.name());
        let target_file = case.expect("target_file");
        assert_eq!(target.as_bytes(), file(target_file.as_str().unwrap()), "{}", case.name());
        Ok(json!({
            "base": delta.base(), "base_count": base.len(),
            "target": delta.target(), "target_count": target.len(),
            "removed": delta.removed().collect::<Vec<_>>(),
            "added": delta.added().collect::<Vec<_>>(),
            "target_file": target_file,
        }))
    });
}

fn decoded_table(table: &Table) -> Value {
    let row = |row: &Row| {
        json!({
            "date": row.date,
            "count": row.len,
            "salt": hex(&row.salt.0),
            "range": row.hash_range.get(),
            "bytes": row.bytes,
            "identity": row.identity,
            "check_root": row.check_root,
            "record_ranks": row.record_shape.ranks,
            "spare_slots": row.record_shape.spare_slots,
            "records": row.records(),
            "record_bytes": row.record_shape.record_len(),
        })
    };
    json!({ "state": table.state(), "rows": table.rows().iter().map(row).collect::<Vec<_>>() })
}

#[test]
fn tables() {
    decode_all("table", |case| {
        let table = Table::parse(&case.bytes()).map_err(|error| class(&error))?;
        assert_eq!(table.to_bytes(), case.bytes(), "{} is canonical", case.name());
        Ok(decoded_table(&table))
    });
}

#[test]
fn indexes() {
    decode_all("index", |case| {
        let index = PublicationIndex::parse(&case.bytes()).map_err(|error| class(&error))?;
        assert_eq!(index.to_bytes(), case.bytes(), "{} is canonical", case.name());
        let bundles = index.bundles.iter().map(|bundle| {
            let (span, to, bytes) = (bundle.span, bundle.to, bundle.bytes);
            json!({ "span": span, "to": to, "bytes": bytes, "sha256": bundle.sha256 })
        });
        Ok(json!({
            "series": index.series, "tick": index.tick,
            "table": decoded_table(&index.table), "bundles": bundles.collect::<Vec<_>>(),
        }))
    });
}

#[test]
fn bundles() {
    decode_all("bundle", |case| {
        let bytes = case.bytes();
        let bundle = Bundle::parse(&bytes).map_err(|error| class(&error))?;
        let table = Table::parse(&case.file("table")).unwrap();
        let sets: Vec<Set> =
            case.files("sets").into_iter().map(|set| Set::parse(set).unwrap()).collect();
        let set_of = |identity: Digest| sets.iter().find(|set| set.identity() == identity);
        let (after, new) = bundle.apply(&table, set_of).map_err(|error| class_of_bundle(&error))?;
        let table_after = case.expect("table_after");
        assert_eq!(after.to_bytes(), file(table_after.as_str().unwrap()), "{}", case.name());
        let new_sets = case.expect("new_sets");
        let expected = new_sets.as_array().unwrap().iter().map(|set| file(set.as_str().unwrap()));
        assert!(new.iter().map(Set::as_bytes).eq(expected), "sets of {}", case.name());
        Ok(json!({
            "series": bundle.series(), "to": bundle.to(), "span": bundle.span(),
            "before": bundle.before(), "after": bundle.after(),
            "table_after": table_after, "new_sets": new_sets,
        }))
    });
}

/// The verdict on one question, in the question's shape.
fn answered(question: &Value, record: &CheckRecord<'_>, set: Option<&Set>) -> Value {
    let check: [u8; 8] = bytes_of_hex(question["check"].as_str().unwrap()).try_into().unwrap();
    let (check, rank) = (u64::from_be_bytes(check), question["rank"].as_u64().unwrap() as u32);
    if let Some(element) = question.get("element").and_then(Value::as_str) {
        let (set, element) = (set.unwrap(), bytes_of_hex(element));
        let found = set.matches([&element]);
        assert_eq!(found.iter().map(|found| found.rank).collect::<Vec<_>>(), [rank]);
        assert_eq!(set.hasher().check(&element), check);
    }
    let verdict = match record.verdict(rank, check) {
        Verdict::Confirmed => "Confirmed",
        Verdict::FalsePositive => "FalsePositive",
        Verdict::Unknown => "Unknown",
    };
    let mut answer: Map<String, Value> = question.as_object().unwrap().clone();
    answer.insert("verdict".to_string(), verdict.into());
    answer.into()
}

#[test]
fn records() {
    decode_all("record", |case| {
        let table = Table::parse(&case.file("table")).unwrap();
        let date: Date = case.text("date").parse().unwrap();
        let row = table.row(date).unwrap();
        let bytes = case.bytes();
        let record = CheckRecord::verify(&bytes, row, case.number("number") as u32);
        let record = record.map_err(|error| class(&error))?;
        let set = case.get("set").map(|_| Set::parse(case.file("set")).unwrap());
        let questions = case.expect("verdicts").as_array().unwrap();
        let answers = questions.iter().map(|question| answered(question, &record, set.as_ref()));
        Ok(json!({ "verdicts": answers.collect::<Vec<_>>() }))
    });
}

#[test]
fn manifests() {
    decode_all("manifest", |case| {
        let root = PublicKey(case.hex("root").try_into().unwrap());
        let (now, least) = (case.number("now"), case.number("least_keys") as u32);
        let verified = Manifest::verify(&case.bytes(), &root, now, least);
        let (manifest, keys) = verified.map_err(|error| class(&error))?;
        let file = |file: FileHash| json!({ "bytes": file.bytes, "sha256": file.sha256 });
        Ok(json!({
            "series": manifest.series, "tick": manifest.tick, "issued": manifest.issued,
            "expires": manifest.expires, "next": manifest.next, "state": manifest.state,
            "index": file(manifest.index), "bundle": manifest.bundle.map(file),
            "key_list_version": keys,
        }))
    });
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
    let kinds = ["hash", "parameter", "path", "set", "match", "delta", "table", "index", "bundle"];
    let others = ["record", "manifest", "set_index"];
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
    assert_eq!(shown, 8, "one example of each kind of file");
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

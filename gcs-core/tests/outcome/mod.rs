//! What the library makes of each case of the golden vectors: what a valid file decodes to, which
//! class of error an invalid one ends in.
//!
//! Needs alloc alone, so that tests/bare runs it too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{borrow::ToOwned, format};

use gcs_core::files::{Bundle, ExportList, FileHash, Manifest, Path, PublicationIndex, Row, Table};
use gcs_core::files::{
    BundleError, CheckRecord, SeedBundle, SeedIndex, SeedRow, SeedTable, Verdict,
};
use gcs_core::identifiers::dp3t::{DayKeys, WindowSeed};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::seeds::{Seed, SeedDelta, SeedKind, SeedList};
use gcs_core::{Date, Delta, Digest, ElementHasher, HashRange, ParseError, PublicKey, Salt, Set};
use serde_json::{Map, Value, json};

use crate::golden::{Case, bytes_of_hex, file, hex};

/// What a case decodes to, as a superset of what is expected of it, or its error's class.
pub(crate) type Outcome = Result<Value, String>;

/// Decodes the cases of a kind.
pub(crate) type Decode = fn(&Case) -> Outcome;

/// The kinds of cases that need no std, each with what decodes it.
#[allow(dead_code, reason = "the tests of this crate name them one by one")]
pub(crate) const KINDS: [(&str, Decode); 16] = [
    ("hash", hashes),
    ("parameter", parameters),
    ("path", paths),
    ("set", sets),
    ("match", matches),
    ("delta", deltas),
    ("table", tables),
    ("index", indexes),
    ("bundle", bundles),
    ("record", records),
    ("manifest", manifests),
    ("seed_list", seed_lists),
    ("seed_delta", seed_deltas),
    ("seed_index", seed_indexes),
    ("seed_bundle", seed_bundles),
    ("export_list", export_lists),
];

/// Panics unless the case ends as it must.
pub(crate) fn expect_outcome(case: &Case, decode: Decode) {
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

/// The name of an error's variant; that of a wrong note is `Limit`.
pub(crate) fn class(error: &impl Debug) -> String {
    let name = format!("{error:?}");
    match name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default() {
        "Note" => "Limit".to_owned(),
        class => class.to_owned(),
    }
}

fn class_of_bundle(error: &BundleError) -> String {
    match error {
        BundleError::SeedDelta { error, .. } => format!("SeedDelta.{}", class(error)),
        BundleError::Parse(ParseError::Part { error, .. }) => format!("Part.{}", class(error)),
        BundleError::Parse(error) => class(error),
        BundleError::Delta { error, .. } => format!("Delta.{}", class(error)),
        other => class(other),
    }
}

fn hasher(case: &Case) -> ElementHasher {
    let salt = Salt(case.hex("salt").try_into().unwrap());
    ElementHasher::new(salt, HashRange::new(case.number("range")).unwrap())
}

pub(crate) fn hashes(case: &Case) -> Outcome {
    let (hasher, element) = (hasher(case), case.hex("element"));
    let check = hex(&hasher.check(&element).to_be_bytes());
    Ok(json!({ "fingerprint": hasher.fingerprint(&element), "check": check }))
}

pub(crate) fn parameters(case: &Case) -> Outcome {
    let range = HashRange::new(case.number("range")).unwrap();
    Ok(json!({ "parameter": range.rice_parameter(case.number("count") as u32) }))
}

pub(crate) fn paths(case: &Case) -> Outcome {
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
        Path::Seeds(digest) => json!({ "file": "seeds", "sha256": digest }),
        Path::Export { date, sha256 } => {
            json!({ "file": "export", "date": date, "sha256": sha256 })
        }
        Path::ExportList(digest) => json!({ "file": "exports", "sha256": digest }),
        Path::ExportIndex => json!({ "file": "exports" }),
    })
}

pub(crate) fn sets(case: &Case) -> Outcome {
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
}

pub(crate) fn matches(case: &Case) -> Outcome {
    let set = Set::parse(case.bytes()).map_err(|error| class(&error))?;
    let heard = case.get("heard").and_then(Value::as_array).unwrap();
    let heard: Vec<_> =
        heard.iter().map(|element| bytes_of_hex(element.as_str().unwrap())).collect();
    let mut hits: Vec<_> =
        set.matches(&heard).iter().map(|found| (found.query, found.rank)).collect();
    hits.sort_unstable();
    let hits = hits.iter().map(|(at, rank)| json!({ "heard": at, "rank": rank }));
    Ok(json!({ "hits": hits.collect::<Vec<_>>() }))
}

pub(crate) fn deltas(case: &Case) -> Outcome {
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
}

/// Note and seed of each, in order.
fn pairs<S: Seed>(seeds: impl Iterator<Item = S>) -> Vec<Value> {
    let pair = |seed: S| {
        let (note, bytes) = seed.to_parts().unwrap();
        json!([hex(note.as_ref()), hex(bytes.as_ref())])
    };
    seeds.map(pair).collect()
}

/// Decodes a case that is about one kind of seed.
macro_rules! of_kind {
    ($decode:ident, $case:expr) => {
        match $case.number("seed_kind") {
            1 => $decode::<DayKeys>($case),
            2 => $decode::<WindowSeed>($case),
            3 => $decode::<ExportKey>($case),
            kind => panic!("seeds of kind {kind}"),
        }
    };
}

pub(crate) fn seed_lists(case: &Case) -> Outcome {
    of_kind!(seed_list, case)
}

fn seed_list<S: Seed>(case: &Case) -> Outcome {
    let list = SeedList::<S, _>::parse(case.bytes()).map_err(|error| class(&error))?;
    let again = SeedList::<S>::build(list.iter()).unwrap();
    assert_eq!(again.as_bytes(), list.as_bytes(), "{} is canonical", case.name());
    let pairs = pairs(list.iter());
    Ok(json!({
        "count": list.len(),
        "identity": list.identity(),
        "first": pairs.first(),
        "last": pairs.last(),
        "pairs": pairs,
    }))
}

pub(crate) fn seed_deltas(case: &Case) -> Outcome {
    of_kind!(seed_delta, case)
}

fn seed_delta<S: Seed>(case: &Case) -> Outcome {
    let delta = SeedDelta::<S, _>::parse(case.bytes()).map_err(|error| class(&error))?;
    let base = SeedList::<S, _>::parse(case.file("base")).unwrap();
    let target = delta.apply(&base).map_err(|error| class(&error))?;
    let again = SeedDelta::between(&base, &target);
    assert_eq!(again.as_bytes(), delta.as_bytes(), "{} is canonical", case.name());
    let target_file = case.expect("target_file");
    assert_eq!(target.as_bytes(), file(target_file.as_str().unwrap()), "{}", case.name());
    Ok(json!({
        "base": delta.base(), "base_count": delta.base_len(),
        "target": delta.target(), "target_count": delta.target_len(),
        "removed": delta.removed().collect::<Vec<_>>(),
        "added": pairs(delta.added()),
        "target_file": target_file,
    }))
}

pub(crate) fn seed_indexes(case: &Case) -> Outcome {
    let index = SeedIndex::parse(&case.bytes()).map_err(|error| class(&error))?;
    assert_eq!(index.to_bytes(), case.bytes(), "{} is canonical", case.name());
    let row = |row: &SeedRow| json!({ "date": row.date, "kind": row.kind, "bytes": row.bytes, "sha256": row.sha256 });
    let rows: Vec<_> = index.table.rows().iter().map(row).collect();
    let bundles = index.bundles.iter().map(|bundle| {
        let (span, to, bytes) = (bundle.span, bundle.to, bundle.bytes);
        json!({ "span": span, "to": to, "bytes": bytes, "sha256": bundle.sha256 })
    });
    Ok(json!({
        "series": index.series, "tick": index.tick,
        "table": { "state": index.table.state(), "rows": rows },
        "bundles": bundles.collect::<Vec<_>>(),
    }))
}

pub(crate) fn seed_bundles(case: &Case) -> Outcome {
    let bytes = case.bytes();
    let bundle = SeedBundle::parse(&bytes).map_err(|error| class(&error))?;
    let table = SeedTable::parse(&case.file("table")).unwrap();
    let lists = case.files("lists");
    let list_of =
        |row: &SeedRow| lists.iter().find(|list| Digest::of(list) == row.sha256).map(Vec::as_slice);
    let kinds =
        [SeedKind::of::<DayKeys>(), SeedKind::of::<WindowSeed>(), SeedKind::of::<ExportKey>()];
    let (after, new) =
        bundle.apply(&table, &kinds, list_of).map_err(|error| class_of_bundle(&error))?;
    let (table_after, new_lists) = (case.expect("table_after"), case.expect("new_lists"));
    assert_eq!(after.to_bytes(), file(table_after.as_str().unwrap()), "{}", case.name());
    let expected = new_lists.as_array().unwrap().iter().map(|list| file(list.as_str().unwrap()));
    assert!(new.into_iter().map(|(_, list)| list).eq(expected), "lists of {}", case.name());
    Ok(json!({
        "series": bundle.series(), "to": bundle.to(), "span": bundle.span(),
        "before": bundle.before(), "after": bundle.after(),
        "table_after": table_after, "new_lists": new_lists,
    }))
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

pub(crate) fn tables(case: &Case) -> Outcome {
    let table = Table::parse(&case.bytes()).map_err(|error| class(&error))?;
    assert_eq!(table.to_bytes(), case.bytes(), "{} is canonical", case.name());
    Ok(decoded_table(&table))
}

pub(crate) fn indexes(case: &Case) -> Outcome {
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
}

pub(crate) fn bundles(case: &Case) -> Outcome {
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

pub(crate) fn records(case: &Case) -> Outcome {
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
}

pub(crate) fn manifests(case: &Case) -> Outcome {
    let root = PublicKey(case.hex("root").try_into().unwrap());
    let (now, least) = (case.number("now"), case.number("least_keys") as u32);
    let verified = Manifest::verify(&case.bytes(), &root, now, least);
    let (manifest, keys) = verified.map_err(|error| class(&error))?;
    let file = |file: FileHash| json!({ "bytes": file.bytes, "sha256": file.sha256 });
    let seeds = manifest.seeds.map(|seeds| {
        let bundle = seeds.bundle.map(file);
        json!({ "state": seeds.state, "index": file(seeds.index), "bundle": bundle })
    });
    Ok(json!({
        "series": manifest.series, "tick": manifest.tick, "issued": manifest.issued,
        "expires": manifest.expires, "next": manifest.next, "state": manifest.state,
        "index": file(manifest.index), "bundle": manifest.bundle.map(file),
        "key_list_version": keys, "seeds": seeds, "exports": manifest.exports.map(file),
    }))
}

pub(crate) fn export_lists(case: &Case) -> Outcome {
    let list = ExportList::parse(&case.bytes()).map_err(|error| class(&error))?;
    assert_eq!(list.to_bytes(), case.bytes(), "{} is canonical", case.name());
    let file = |(date, sha256): &(Date, Digest)| json!({ "date": date, "sha256": sha256 });
    Ok(json!({ "files": list.files.iter().map(file).collect::<Vec<_>>() }))
}

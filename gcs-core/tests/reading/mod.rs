//! The golden vectors, read by the naive reader.

#![allow(dead_code, reason = "each test that includes this file uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::golden::{self, Case, file, hex};
use crate::naive::bundle::{Bundle, State};
use crate::naive::exports;
use crate::naive::manifest::{Known, Manifest};
use crate::naive::paths::{Path, date, date_text};
use crate::naive::records::{CheckRecord, verdict};
use crate::naive::seed_files;
use crate::naive::seeds::{Pair, SeedDelta, SeedList};
use crate::naive::set_index::SetIndex;
use crate::naive::table::{Index, Row, Table};
use crate::naive::{self, Outcome, bits, delta, paths, records, set};

/// What a case comes to, in the form of `expect`.
pub(crate) fn read(case: &Case) -> Outcome<Value> {
    match case.kind() {
        "hash" => Ok(read_hash(case)),
        "parameter" => {
            let count = u32::try_from(case.number("count")).map_err(|_| "Limit")?;
            Ok(json!({ "parameter": bits::parameter(case.number("range"), count) }))
        }
        "path" => read_path(case.text("path")),
        "set" => read_set(case),
        "set_index" => read_set_index(case),
        "seed_list" => read_seed_list(case),
        "seed_delta" => read_seed_delta(case),
        "seed_index" => read_seed_index(&case.bytes()),
        "seed_bundle" => read_seed_bundle(case),
        "export_list" => read_export_list(&case.bytes()),
        "match" => read_match(case),
        "delta" => read_delta(case),
        "table" => Ok(table_json(&Table::parse(&case.bytes())?)),
        "index" => read_index(&case.bytes()),
        "bundle" => read_bundle(case),
        "record" => read_record(case),
        "manifest" => read_manifest(case),
        kind => Err(format!("no such kind: {kind}")),
    }
}

fn array<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    bytes.try_into().expect("as many bytes as are wanted")
}

fn check_text(check: u64) -> String {
    format!("{check:016x}")
}

fn read_hash(case: &Case) -> Value {
    let (salt, element) = (array(&case.hex("salt")), case.hex("element"));
    json!({
        "fingerprint": set::fingerprint(&salt, case.number("range"), &element),
        "check": check_text(set::check_of(&salt, &element)),
    })
}

fn read_path(path: &str) -> Outcome<Value> {
    Ok(match paths::path(path).ok_or("Path")? {
        Path::Manifest => json!({ "file": "manifest" }),
        Path::Past(series, tick) => json!({ "file": "manifest", "series": series, "tick": tick }),
        Path::Index(digest) => json!({ "file": "index", "sha256": hex(&digest) }),
        Path::Set(date, identity) => {
            json!({ "file": "set", "date": date_text(date), "identity": hex(&identity) })
        }
        Path::Bundle(span, series, to) => {
            json!({ "file": "bundle", "span": span, "series": series, "to": to })
        }
        Path::Seeds(digest) => json!({ "file": "seeds", "sha256": hex(&digest) }),
        Path::Export(date, sha256) => {
            json!({ "file": "export", "date": date_text(date), "sha256": hex(&sha256) })
        }
        Path::ExportList(digest) => json!({ "file": "exports", "sha256": hex(&digest) }),
        Path::ExportIndex => json!({ "file": "exports" }),
        Path::Checks(date, root) => {
            json!({ "file": "checks", "date": date_text(date), "root": hex(&root) })
        }
    })
}

fn read_set(case: &Case) -> Outcome<Value> {
    let file = case.bytes();
    let set = set::Set::parse(&file)?;
    assert_eq!(set::Set::write(set.salt, set.range, &set.fingerprints)?, file, "{}", case.name());
    if let Some(elements) = case.get("elements").and_then(Value::as_array) {
        let elements = elements.iter().filter_map(Value::as_str).map(golden::bytes_of_hex);
        let fingerprints = elements.map(|element| set::fingerprint(&set.salt, set.range, &element));
        assert_eq!(fingerprints.collect::<BTreeSet<_>>(), set.fingerprints, "{}", case.name());
    }
    let (shape, _) = bits::encode(set.range, set.fingerprints.iter().copied())?;
    let mut json = json!({
        "salt": hex(&set.salt),
        "range": set.range,
        "count": set.count(),
        "parameter": shape.parameter,
        "bits": shape.bits,
        "identity": hex(&set.identity),
        "first": set.fingerprints.first(),
        "last": set.fingerprints.last(),
    });
    if set.count() <= 100 {
        json["values"] = json!(set.fingerprints);
    }
    Ok(json)
}

fn read_set_index(case: &Case) -> Outcome<Value> {
    let index = SetIndex::parse(&case.bytes(), &case.file("set"))?;
    let entry = |&(bit, next, rank, check): &(u64, u64, u32, u64)| json!({ "bit": bit, "next": next, "rank": rank, "check": check_text(check) });
    let entries: Vec<_> = index.entries.iter().map(entry).collect();
    Ok(json!({ "identity": hex(&index.identity), "entries": entries }))
}

fn seed_pairs<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Vec<Value> {
    pairs.into_iter().map(|(note, seed)| json!([hex(note), hex(seed)])).collect()
}

fn read_seed_list(case: &Case) -> Outcome<Value> {
    let (file, kind) = (case.bytes(), case.number("seed_kind") as u16);
    let list = SeedList::parse(&file, kind)?;
    assert_eq!(SeedList::write(kind, &list.pairs), file, "{}", case.name());
    let pairs = seed_pairs(&list.pairs);
    let mut json = json!({
        "count": pairs.len(),
        "identity": hex(&list.identity),
        "first": pairs.first(),
        "last": pairs.last(),
    });
    if pairs.len() <= 100 {
        json["pairs"] = pairs.into();
    }
    Ok(json)
}

fn read_seed_delta(case: &Case) -> Outcome<Value> {
    let kind = case.number("seed_kind") as u16;
    let delta = SeedDelta::parse(&case.bytes(), kind);
    // A base is named where the delta itself is in order, and only there.
    assert_eq!(case.get("base").is_some(), delta.is_ok(), "{}: {delta:?}", case.name());
    let (delta, base) = (delta?, SeedList::parse(&case.file("base"), kind)?);
    let target = delta.apply(&base)?;
    assert_eq!(target, file(case.expect("target_file").as_str().unwrap()));
    let target_list = SeedList::parse(&target, kind)?;
    Ok(json!({
        "base": hex(&delta.base), "base_count": base.pairs.len(),
        "target": hex(&delta.target), "target_count": target_list.pairs.len(),
        "removed": delta.removed, "added": seed_pairs(&delta.added),
        "target_file": case.expect("target_file"),
    }))
}

fn read_seed_index(file: &[u8]) -> Outcome<Value> {
    let index = seed_files::Index::parse(file)?;
    let row = |row: &seed_files::Row| {
        let (date, kind) = row.place;
        json!({ "date": date_text(date), "kind": kind, "bytes": row.length, "sha256": hex(&row.digest) })
    };
    let listed = |of: &naive::table::Listed| json!({ "span": of.span, "to": of.to, "bytes": of.length, "sha256": hex(&of.digest) });
    let rows: Vec<_> = index.table.0.iter().map(row).collect();
    Ok(json!({
        "series": index.series,
        "tick": index.tick,
        "table": { "state": hex(&index.table.state()), "rows": rows },
        "bundles": index.bundles.iter().map(listed).collect::<Vec<_>>(),
    }))
}

/// The table and the lists that a bundle of seeds is to be applied to.
fn seed_state_of(case: &Case) -> Outcome<seed_files::State> {
    let table = seed_files::Table::parse(&case.file("table"))?;
    let lists = case.files("lists").into_iter().map(|list| (naive::sha256(&[&list]), list));
    Ok(seed_files::State { table, lists: lists.collect() })
}

fn read_seed_bundle(case: &Case) -> Outcome<Value> {
    let bundle = seed_files::Bundle::parse(&case.bytes());
    // A table is named where the frame is in order, and only there.
    assert_eq!(case.get("table").is_some(), bundle.is_ok(), "{}: {bundle:?}", case.name());
    let bundle = bundle?;
    let (table, lists) = bundle.apply(&seed_state_of(case)?)?;
    let expected = file(case.expect("table_after").as_str().unwrap());
    assert_eq!(table.write(), expected, "{}", case.name());
    let expected = case.expect("new_lists").as_array().unwrap();
    let expected: Vec<_> = expected.iter().map(|name| file(name.as_str().unwrap())).collect();
    assert_eq!(lists, expected, "{}", case.name());
    Ok(json!({
        "series": bundle.series,
        "to": bundle.to,
        "span": bundle.span,
        "before": hex(&bundle.before),
        "after": hex(&bundle.after),
        "table_after": case.expect("table_after"),
        "new_lists": case.expect("new_lists"),
    }))
}

fn read_match(case: &Case) -> Outcome<Value> {
    let set = set::Set::parse(&case.bytes())?;
    let heard = case.get("heard").and_then(Value::as_array).unwrap();
    let heard = heard.iter().filter_map(Value::as_str).map(golden::bytes_of_hex);
    let rank = |element: Vec<u8>| set.rank(set::fingerprint(&set.salt, set.range, &element));
    let hits = (0..).zip(heard.map(rank)).filter_map(|(at, rank): (u32, _)| Some((at, rank?)));
    let hits = hits.map(|(at, rank)| json!({ "heard": at, "rank": rank }));
    Ok(json!({ "hits": hits.collect::<Vec<_>>() }))
}

fn read_delta(case: &Case) -> Outcome<Value> {
    let delta = delta::Delta::parse(&case.bytes());
    // A base is named where the delta itself is in order, and only there.
    assert_eq!(case.get("base").is_some(), delta.is_ok(), "{}: {delta:?}", case.name());
    let delta = delta?;
    let base = set::Set::parse(&case.file("base"))?;
    let target = delta.apply(&base)?;
    assert_eq!(target, file(case.expect("target_file").as_str().unwrap()), "{}", case.name());
    Ok(json!({
        "base": hex(&delta.base),
        "target": hex(&delta.target),
        "base_count": delta.base_length,
        "target_count": delta.target_length,
        "removed": delta.body.removed,
        "added": delta.body.added,
        "target_file": case.expect("target_file"),
    }))
}

fn row_json(row: &Row) -> Value {
    json!({
        "date": date_text(row.date),
        "count": row.count,
        "salt": hex(&row.salt),
        "range": row.range,
        "bytes": row.length,
        "identity": hex(&row.identity),
        "check_root": hex(&row.check_root),
        "record_ranks": row.ranks,
        "spare_slots": row.spares,
        "records": records::records(row),
        "record_bytes": records::length(row),
    })
}

fn table_json(table: &Table) -> Value {
    let rows: Vec<_> = table.rows.iter().map(row_json).collect();
    json!({ "state": hex(&table.state()), "rows": rows })
}

fn read_index(file: &[u8]) -> Outcome<Value> {
    let index = Index::parse(file)?;
    let listed = |of: &naive::table::Listed| json!({ "span": of.span, "to": of.to, "bytes": of.length, "sha256": hex(&of.digest) });
    Ok(json!({
        "series": index.series,
        "tick": index.tick,
        "table": table_json(&index.table),
        "bundles": index.bundles.iter().map(listed).collect::<Vec<_>>(),
    }))
}

/// The table and the sets that a bundle is to be applied to.
fn state_of(case: &Case) -> Outcome<State> {
    let mut state = State { table: Table::parse(&case.file("table"))?, sets: BTreeMap::new() };
    for file in case.files("sets") {
        let set = set::Set::parse(&file)?;
        state.sets.insert(set.identity, set);
    }
    Ok(state)
}

fn read_bundle(case: &Case) -> Outcome<Value> {
    let bundle = Bundle::parse(&case.bytes());
    // A table is named where the frame is in order, and only there.
    assert_eq!(case.get("table").is_some(), bundle.is_ok(), "{}: {bundle:?}", case.name());
    let bundle = bundle?;
    let state = state_of(case)?;
    let after = bundle.apply(&state)?;

    let expected = file(case.expect("table_after").as_str().unwrap());
    assert_eq!(after.table.write(), expected, "{}", case.name());
    let mut new_sets = Vec::new();
    for row in &after.table.rows {
        let set = after.sets.get(&row.identity).ok_or("a set is missing")?;
        assert!(row.fits(set), "{}", case.name());
        if !state.sets.contains_key(&row.identity) {
            new_sets.push(set::Set::write(set.salt, set.range, &set.fingerprints)?);
        }
    }
    let expected = case.expect("new_sets").as_array().unwrap();
    let expected: Vec<_> = expected.iter().map(|name| file(name.as_str().unwrap())).collect();
    assert_eq!(new_sets, expected, "{}", case.name());
    Ok(json!({
        "series": bundle.series,
        "to": bundle.to,
        "span": bundle.span,
        "before": hex(&bundle.before),
        "after": hex(&bundle.after),
        "table_after": case.expect("table_after"),
        "new_sets": case.expect("new_sets"),
    }))
}

/// The row that a record belongs to.
fn row_of(case: &Case) -> Outcome<Row> {
    let table = Table::parse(&case.file("table"))?;
    let row = date(case.text("date")).and_then(|date| table.row(date));
    Ok(row.cloned().ok_or("no such row")?)
}

fn number_of(case: &Case) -> Outcome<u32> {
    Ok(u32::try_from(case.number("number")).map_err(|_| "no such number")?)
}

fn read_record(case: &Case) -> Outcome<Value> {
    let row = &row_of(case)?;
    let record = CheckRecord::parse(&case.bytes(), row, number_of(case)?)?;
    let mut verdicts = Vec::new();
    for expected in case.expect("verdicts").as_array().unwrap() {
        let rank = expected["rank"].as_u64().and_then(|rank| u32::try_from(rank).ok()).unwrap();
        let check = u64::from_str_radix(expected["check"].as_str().unwrap(), 16).unwrap();
        let mut json = json!({
            "rank": rank,
            "check": check_text(check),
            "verdict": format!("{:?}", verdict(row, &Ok(record.clone()), rank, check)),
        });
        if let Some(element) = expected["element"].as_str() {
            let bytes = golden::bytes_of_hex(element);
            let set = set::Set::parse(&case.file("set"))?;
            assert!(row.fits(&set), "{}", case.name());
            let fingerprint = set::fingerprint(&set.salt, set.range, &bytes);
            json["element"] = element.into();
            json["rank"] = set.rank(fingerprint).into();
            json["check"] = check_text(set::check_of(&set.salt, &bytes)).into();
        }
        verdicts.push(json);
    }
    Ok(json!({ "verdicts": verdicts }))
}

fn known_of(case: &Case) -> Outcome<Known> {
    let highest_keys = u32::try_from(case.number("least_keys")).map_err(|_| "no such version")?;
    Ok(Known { root: array(&case.hex("root")), now: case.number("now"), highest_keys })
}

fn read_export_list(bytes: &[u8]) -> Outcome<Value> {
    let files = exports::list(bytes)?;
    let file = |(date, sha256): &(u32, naive::Digest)| json!({ "date": date_text(*date), "sha256": hex(sha256) });
    Ok(json!({ "files": files.iter().map(file).collect::<Vec<_>>() }))
}

fn read_manifest(case: &Case) -> Outcome<Value> {
    let manifest = Manifest::open(&case.bytes(), known_of(case)?)?;
    let named =
        |of: &naive::manifest::Named| json!({ "bytes": of.bytes, "sha256": hex(&of.sha256) });
    let mut read = json!({
        "series": manifest.series,
        "tick": manifest.tick,
        "issued": manifest.issued,
        "expires": manifest.expires,
        "next": manifest.next,
        "state": hex(&manifest.state),
        "index": named(&manifest.index),
        "bundle": manifest.bundle.as_ref().map(named),
        "key_list_version": manifest.keys,
    });
    if let Some(seeds) = &manifest.seeds {
        let bundle = seeds.bundle.as_ref().map(named);
        let state = hex(&seeds.state);
        read["seeds"] = json!({ "state": state, "index": named(&seeds.index), "bundle": bundle });
    }
    if let Some(exports) = &manifest.exports {
        read["exports"] = named(exports);
    }
    Ok(read)
}

/// Reads other bytes in place of those of a case, and applies what the case has something for.
pub(crate) fn accept(case: &Case, bytes: &[u8]) -> Outcome<()> {
    match case.kind() {
        "set" | "match" => set::Set::parse(bytes).map(drop),
        "set_index" => SetIndex::parse(bytes, &case.file("set")).map(drop),
        "seed_list" => SeedList::parse(bytes, case.number("seed_kind") as u16).map(drop),
        "seed_delta" => {
            let kind = case.number("seed_kind") as u16;
            let delta = SeedDelta::parse(bytes, kind)?;
            let Some(_) = case.get("base") else { return Ok(()) };
            delta.apply(&SeedList::parse(&case.file("base"), kind)?).map(drop)
        }
        "seed_index" => seed_files::Index::parse(bytes).map(drop),
        "export_list" => exports::list(bytes).map(drop),
        "seed_bundle" => {
            let bundle = seed_files::Bundle::parse(bytes)?;
            let Some(_) = case.get("table") else { return Ok(()) };
            bundle.apply(&seed_state_of(case)?).map(drop)
        }
        "delta" => {
            let delta = delta::Delta::parse(bytes)?;
            let Some(_) = case.get("base") else { return Ok(()) };
            delta.apply(&set::Set::parse(&case.file("base"))?).map(drop)
        }
        "table" => Table::parse(bytes).map(drop),
        "index" => Index::parse(bytes).map(drop),
        "bundle" => {
            let bundle = Bundle::parse(bytes)?;
            let Some(_) = case.get("table") else { return Ok(()) };
            bundle.apply(&state_of(case)?).map(drop)
        }
        "record" => CheckRecord::parse(bytes, &row_of(case)?, number_of(case)?).map(drop),
        "manifest" => Manifest::open(bytes, known_of(case)?).map(drop),
        kind => Err(format!("no such kind: {kind}")),
    }
}

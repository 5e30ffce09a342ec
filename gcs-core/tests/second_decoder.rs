//! A second, naive reader of the format against the golden files and against the library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod golden;
mod naive;

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::{Delta, HashRange, Salt, Set};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use proptest::{collection, prop_assert_eq, sample};

use serde_json::{Value, json};

use golden::{Case, all_cases, file, hex};
use naive::bundle::{Bundle, State};
use naive::manifest::{Known, Manifest};
use naive::paths::{Path, date, date_text};
use naive::records::{CheckRecord, verdict};
use naive::table::{Index, Row, Table};
use naive::{Outcome, bits, class, delta, paths, records, resealed, sealed, set};

/// What a case comes to, in the form of `expect`.
fn read(case: &Case) -> Outcome<Value> {
    match case.kind() {
        "hash" => Ok(read_hash(case)),
        "parameter" => {
            let count = u32::try_from(case.number("count")).map_err(|_| "Limit")?;
            Ok(json!({ "parameter": bits::parameter(case.number("range"), count) }))
        }
        "path" => read_path(case.text("path")),
        "set" => read_set(case),
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

fn read_manifest(case: &Case) -> Outcome<Value> {
    let manifest = Manifest::open(&case.bytes(), known_of(case)?)?;
    let named =
        |of: &naive::manifest::Named| json!({ "bytes": of.bytes, "sha256": hex(&of.sha256) });
    Ok(json!({
        "series": manifest.series,
        "tick": manifest.tick,
        "issued": manifest.issued,
        "expires": manifest.expires,
        "next": manifest.next,
        "state": hex(&manifest.state),
        "index": named(&manifest.index),
        "bundle": manifest.bundle.as_ref().map(named),
        "key_list_version": manifest.keys,
    }))
}

#[test]
fn golden_files_come_to_what_is_expected() {
    let mut wrong = Vec::new();
    for case in all_cases() {
        let expected = match case.error() {
            Some(class) => Err(class.to_owned()),
            None => Ok(case.get("expect").cloned().unwrap()),
        };
        let outcome = read(&case);
        if outcome != expected {
            let (name, note) = (case.name(), case.text("note"));
            wrong.push(format!("{name} ({note}): {outcome:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads other bytes in place of those of a case, and applies what can be applied.
fn accept(case: &Case, bytes: &[u8]) -> Outcome<()> {
    match case.kind() {
        "set" => set::Set::parse(bytes).map(drop),
        "delta" => {
            let base = set::Set::parse(&case.file("base"))?;
            delta::Delta::parse(bytes)?.apply(&base).map(drop)
        }
        "table" => Table::parse(bytes).map(drop),
        "index" => Index::parse(bytes).map(drop),
        "bundle" => Bundle::parse(bytes)?.apply(&state_of(case)?).map(drop),
        "record" => CheckRecord::parse(bytes, &row_of(case)?, number_of(case)?).map(drop),
        "manifest" => Manifest::open(bytes, known_of(case)?).map(drop),
        kind => Err(format!("no such kind: {kind}")),
    }
}

/// The cases that are a valid file.
fn valid_files() -> Vec<Case> {
    let cases = all_cases().into_iter();
    cases.filter(|case| case.error().is_none() && case.get("file").is_some()).collect()
}

#[test]
fn valid_files_are_refused_if_cut() {
    for case in valid_files() {
        let bytes = case.bytes();
        assert_eq!(accept(&case, &bytes), Ok(()), "{}", case.name());
        for length in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
            let cut = &bytes[..length];
            // White space behind a manifest may go.
            if !bytes[length..].iter().all(u8::is_ascii_whitespace) {
                assert!(accept(&case, cut).is_err(), "{length} bytes of {}", case.name());
            }
        }
    }
}

/// Hash ranges of all sizes, and fingerprints below them, sparse or dense.
fn range_and_fingerprints() -> impl Strategy<Value = (u64, Vec<BTreeSet<u64>>)> {
    let range = (0..53u32, any::<u64>()).prop_map(|(bits, any)| (1 << bits) + any % (1 << bits));
    let range =
        prop_oneof![8 => range, 1 => Just((1 << 53) - 1), 1 => Just((1 << 57) - 1), 1 => 1..400u64];
    range.prop_flat_map(|range| {
        let clustered =
            (0..range, collection::vec(0..40u64, 0..60)).prop_map(move |(from, gaps)| {
                gaps.into_iter().scan(from, |at, gap| Some((*at, *at += gap).0)).collect::<Vec<_>>()
            });
        let spread = collection::vec(0..range, 0..200);
        let one = prop_oneof![clustered, spread];
        let one = one.prop_map(move |values| values.into_iter().filter(|v| *v < range).collect());
        (Just(range), collection::vec(one, 3))
    })
}

/// What may happen to a file on its way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(sample::Index, u8),
    FlipHead(sample::Index, u8),
    Cut(sample::Index),
    Append(u8),
}

fn damages() -> impl Strategy<Value = Vec<(Vec<Damage>, bool)>> {
    let mask = prop_oneof![(0..8u8).prop_map(|bit| 1 << bit), 1..=u8::MAX];
    let damage = prop_oneof![
        4 => (any::<sample::Index>(), mask.clone()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        4 => (any::<sample::Index>(), mask).prop_map(|(at, mask)| Damage::FlipHead(at, mask)),
        1 => any::<sample::Index>().prop_map(Damage::Cut),
        1 => any::<u8>().prop_map(Damage::Append),
    ];
    collection::vec((collection::vec(damage, 1..3), any::<bool>()), 48)
}

/// The damaged file, perhaps under a trailer that is right again. `head` bytes come before the code.
fn damage(file: &[u8], head: usize, damages: &[Damage], seal: bool) -> Vec<u8> {
    let mut file = file.to_vec();
    for damage in damages {
        if file.is_empty() {
            break;
        }
        match damage {
            Damage::Flip(at, mask) => {
                let at = at.index(file.len());
                file[at] ^= mask;
            }
            Damage::FlipHead(at, mask) => {
                let at = at.index(head.min(file.len()));
                file[at] ^= mask;
            }
            Damage::Cut(at) => file.truncate(at.index(file.len())),
            Damage::Append(byte) => file.push(*byte),
        }
    }
    if seal { resealed(&file) } else { file }
}

fn library_set(range: u64, fingerprints: &BTreeSet<u64>) -> Set {
    let range = HashRange::new(range).expect("a legal hash range");
    Set::from_fingerprints(Salt([7; 16]), range, fingerprints.iter().copied()).expect("a legal set")
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn sets_are_read_alike((range, sets) in range_and_fingerprints(), damages in damages()) {
        let set = library_set(range, &sets[0]);
        let read = set::Set::parse(set.as_bytes()).unwrap();
        prop_assert_eq!(&read.fingerprints, &sets[0]);
        prop_assert_eq!((read.salt, read.range), ([7; 16], range));
        let written = set::Set::write(read.salt, range, &sets[0]).unwrap();
        prop_assert_eq!(&written[..], set.as_bytes());

        for (damages, seal) in damages {
            let file = damage(set.as_bytes(), 48, &damages, seal);
            let naive = set::Set::parse(&file).map(drop);
            prop_assert_eq!(naive, class(&Set::parse(&file)), "{:?} {}", damages, seal);
        }
    }

    #[test]
    fn deltas_are_read_alike((range, sets) in range_and_fingerprints(), damages in damages()) {
        // Half of the third set joins the first, so that base and target share something.
        let base: BTreeSet<u64> = sets[0].union(&sets[2]).copied().collect();
        let target: BTreeSet<u64> = sets[1].union(&sets[2]).copied().collect();
        let (base, target) = (library_set(range, &base), library_set(range, &target));
        let delta = Delta::between(&base, &target).unwrap();
        let read = delta::Delta::parse(delta.as_bytes()).unwrap();
        let applied = read.apply(&set::Set::parse(base.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(&applied[..], target.as_bytes());

        for (damages, seal) in damages {
            let file = damage(delta.as_bytes(), 132, &damages, seal);
            let naive = delta::Delta::parse(&file).map(drop);
            prop_assert_eq!(naive, class(&Delta::parse(&file)), "{:?} {}", damages, seal);
        }
    }

    /// Whatever is accepted or refused, nothing panics.
    #[test]
    fn damaged_files_are_survived(at in any::<sample::Index>(), damages in damages()) {
        let cases = valid_files();
        let case = at.get(&cases);
        for (damages, seal) in damages {
            let bytes = damage(&case.bytes(), 150, &damages, seal);
            let _ = accept(case, &bytes);
        }
    }

    /// Well-formed deltas that fit no set: the numbers need not make sense together.
    #[test]
    fn odd_deltas_are_read_alike(
        (range, sets) in range_and_fingerprints(),
        base in prop_oneof![0..500u32, any::<u32>(), (u32::MAX - 100)..=u32::MAX],
        wrong in prop_oneof![4 => Just(0u32), 1 => any::<u32>()],
    ) {
        let base_range = u64::from(base);
        let removed: BTreeSet<u64> = sets[0].iter().copied().filter(|v| *v < base_range).collect();
        let removals = bits::encode(base_range, removed.iter().copied()).unwrap();
        let additions = bits::encode(range, sets[1].iter().copied()).unwrap();
        // Behind the end of u32 the body is refused, before the target length is looked at.
        let target = base.wrapping_sub(removals.0.count).wrapping_add(additions.0.count);
        let file = [
            b"GCSDLT\x01\x00".as_slice(),
            &[7; 16],
            &range.to_le_bytes(),
            &base.to_le_bytes(),
            &(target ^ wrong).to_le_bytes(),
            &[1; 64],
            &removals.0.count.to_le_bytes(),
            &additions.0.count.to_le_bytes(),
            &[removals.0.parameter, additions.0.parameter, 0, 0],
            &removals.0.bits.to_le_bytes(),
            &additions.0.bits.to_le_bytes(),
            &removals.1,
            &additions.1,
        ];
        let file = sealed(&file.concat());
        let naive = delta::Delta::parse(&file).map(drop);
        prop_assert_eq!(naive, class(&Delta::parse(&file)));
    }
}

/// Section 3 codes bits as Safe Browsing does: its published vectors are read.
#[test]
fn foreign_rice_codes_are_read() {
    let file = include_bytes!("vectors/foreign/rice-safe-browsing.json");
    let file: Value = serde_json::from_slice(file).unwrap();
    for vector in file["vectors"].as_array().unwrap() {
        let code = data_encoding::HEXLOWER.decode(vector["hex"].as_str().unwrap().as_bytes());
        let code = code.unwrap();
        let values = vector["values"].as_array().unwrap();
        let values: Vec<_> =
            values.iter().map(|value| u128::from(value.as_u64().unwrap())).collect();
        let parameter = vector["k"].as_u64().unwrap() as u8;
        let end = 8 * code.len() as u64;
        let (gaps, taken) = bits::gaps(parameter, values.len() as u32, end, &code).unwrap();
        assert_eq!(gaps, values);
        assert!(end - taken < 8);
    }
}

//! Bundles.

use std::collections::BTreeSet;

use gcs_core::files::{Row, Table};
use serde_json::json;

use super::out::{Case, Vectors};
use super::raw::{RawBody, edited, flipped};
use super::world::World;
use crate::naive::bundle::Bundle;
use crate::naive::{sha256, table};

/// Lengths of a bundle's header and of what precedes the payload of an entry.
const HEADER: usize = 88;
const ENTRY: usize = 128;

pub(crate) fn add(vectors: &mut Vectors, world: &World) {
    valid(vectors, world);
    bases(vectors, world);
    frames(vectors, world);
    lists(vectors, world);
    rows(vectors, world);
    shapes(vectors, world);
    deltas(vectors, world);
    wholes(vectors, world);
}

/// The bundle with the state after that its rows lead to, whatever else is wrong with it: a reader that
/// lacks the rule which it breaks has no other reason to refuse it.
fn with_after(bundle: &[u8], before: &[u8]) -> Vec<u8> {
    let parsed = Bundle::parse(bundle).unwrap();
    let mut after = table::Table::parse(before).unwrap();
    let changed = |date| parsed.entries.iter().any(|entry| entry.row.date == date);
    after.rows.retain(|row| !parsed.dropped.contains(&row.date) && !changed(row.date));
    after.rows.extend(parsed.entries.iter().map(|entry| entry.row.clone()));
    after.rows.sort_by_key(|row| row.date);
    edited(bundle, &[(56, &after.state())])
}

/// Adds the table of a tick as a file.
fn table_file(vectors: &mut Vectors, world: &World, tick: u32) -> String {
    vectors.file(&format!("bundle-tick-{tick}.table.bin"), &world.table(tick).to_bytes())
}

/// Adds a set as a file.
fn set_file(vectors: &mut Vectors, world: &World, row: &Row) -> String {
    let name = format!("bundle-{}-{}.set.bin", row.date, &row.identity.to_string()[..8]);
    vectors.file(&name, world.set(row))
}

fn set_files(vectors: &mut Vectors, world: &World, table: &Table) -> Vec<String> {
    table.rows().iter().map(|row| set_file(vectors, world, row)).collect()
}

/// A case about bytes that are applied to the state of a tick.
fn applied(
    vectors: &mut Vectors,
    world: &World,
    (name, note): (&str, &str),
    bytes: &[u8],
    from: u32,
) -> Case {
    let table = table_file(vectors, world, from);
    let sets = set_files(vectors, world, world.table(from));
    vectors.file_case("bundle", name, note, bytes).with("table", table).with("sets", sets)
}

fn valid(vectors: &mut Vectors, world: &World) {
    for (name, note, span, to) in [
        ("bundle-delta", "one date, a delta", 1, 5),
        ("bundle-new-date", "a new date, whole", 1, 6),
        ("bundle-same-set", "only the checks of a date change", 1, 7),
        ("bundle-dropped", "one date dropped, one new without elements", 1, 8),
        ("bundle-nothing", "nothing changes", 1, 9),
        ("bundle-rebased", "a date under a new salt and range, whole", 1, 10),
        ("bundle-two", "a delta and a delta from an empty set", 1, 11),
        ("bundle-span-4", "from tick 4 to tick 8", 4, 8),
    ] {
        let from = to - span;
        let case = applied(vectors, world, (name, note), world.bundle(span, to), from);
        let before: BTreeSet<_> = world.table(from).rows().iter().map(|row| row.identity).collect();
        let after = world.table(to);
        let new: Vec<String> = after
            .rows()
            .iter()
            .filter(|row| !before.contains(&row.identity))
            .map(|row| set_file(vectors, world, row))
            .collect();
        let expect = json!({
            "series": 1, "to": to, "span": span,
            "before": world.manifest(from).state.to_string(),
            "after": world.manifest(to).state.to_string(),
            "table_after": table_file(vectors, world, to),
            "new_sets": new,
        });
        vectors.valid(case, expect);
    }
}

/// Sound bundles, but not for the state at hand.
fn bases(vectors: &mut Vectors, world: &World) {
    let file = vectors.file("bundle-delta.bin", world.bundle(1, 5));
    let table = table_file(vectors, world, 5);
    let sets = set_files(vectors, world, world.table(5));
    let case = vectors
        .case("bundle", "bundle-on-other-state", "applied a second time")
        .with("file", file.clone())
        .with("table", table)
        .with("sets", sets);
    vectors.invalid(case, "Before");
    let table = table_file(vectors, world, 4);
    let case = vectors
        .case("bundle", "bundle-set-missing", "the base of the delta is not at hand")
        .with("file", file)
        .with("table", table)
        .with("sets", Vec::<String>::new());
    vectors.invalid(case, "NoSuchSet");
    let wrong = flipped(world.bundle(1, 6), 24, 0);
    let note =
        ("bundle-other-before", "leads from another state, and a whole set to the right one");
    let case = applied(vectors, world, note, &wrong, 5);
    vectors.invalid(case, "Before");
    misfit(vectors, world);
    let wrong = flipped(world.bundle(1, 5), 56, 0);
    let note = ("bundle-other-result", "promises another state");
    let case = applied(vectors, world, note, &wrong, 4);
    vectors.invalid(case, "After");
}

/// A table whose row has another N than the set of its identity.
fn misfit(vectors: &mut Vectors, world: &World) {
    let table = world.table(4).to_bytes();
    let table = edited(&table, &[(16 + 4, &[table[16 + 4] + 1])]);
    let bundle = edited(world.bundle(1, 5), &[(24, &sha256(&[&table]))]);
    let sets = set_files(vectors, world, world.table(4));
    let table = vectors.file("bundle-misfit.table.bin", &table);
    let note = "the set at hand does not fit the row of the table";
    let case = vectors
        .file_case("bundle", "bundle-misfit", note, &bundle)
        .with("table", table)
        .with("sets", sets);
    vectors.invalid(case, "Row");
}

fn frames(vectors: &mut Vectors, world: &World) {
    let bytes = world.bundle(1, 5);
    let set = |at: usize, value: u32| edited(bytes, &[(at, &value.to_le_bytes())]);
    let spans =
        |to: u32, span: u32| edited(bytes, &[(12, &[to, span].map(u32::to_le_bytes).concat())]);
    let longer = [bytes, &[0]].concat();
    for (name, note, bytes, error) in [
        ("bundle-magic", "magic of a delta", edited(bytes, &[(0, b"GCSDLT")]), "Magic"),
        ("bundle-version", "version 2", edited(bytes, &[(6, &[2])]), "Version"),
        ("bundle-span-2", "span 2", spans(6, 2), "Limit"),
        ("bundle-not-multiple", "span 4 to tick 5", spans(5, 4), "Mismatch"),
        ("bundle-before-tick-0", "span 1 to tick 0", spans(0, 1), "Limit"),
        ("bundle-33-dropped", "33 dates dropped", set(20, 33), "Limit"),
        ("bundle-33-changed", "33 dates changed", set(20, 33 << 16), "Limit"),
        ("bundle-cut-in-header", "87 bytes", bytes[..87].to_vec(), "Length"),
        ("bundle-cut-in-row", "199 bytes", bytes[..199].to_vec(), "Length"),
        (
            "bundle-cut-in-payload",
            "the last byte is missing",
            bytes[..bytes.len() - 1].to_vec(),
            "Length",
        ),
        ("bundle-trailing-byte", "a byte behind the last payload", longer, "Length"),
        (
            "bundle-payload-huge",
            "a payload of 2^64 - 1 bytes",
            edited(bytes, &[(HEADER + 120, &[0xff; 8])]),
            "Length",
        ),
        ("bundle-kind-3", "kind 3", edited(bytes, &[(HEADER + 112, &[3])]), "Limit"),
        ("bundle-reserved", "reserved not zero", edited(bytes, &[(HEADER + 119, &[1])]), "Padding"),
        (
            "bundle-same-with-payload",
            "the same set, but a payload",
            edited(bytes, &[(HEADER + 112, &[0])]),
            "Mismatch",
        ),
        (
            "bundle-whole-too-short",
            "a whole set shorter than its row says",
            edited(bytes, &[(HEADER + 112, &[2])]),
            "Mismatch",
        ),
        ("bundle-row", "a row with 17 spare slots", set(HEADER + 108, 17), "Limit"),
    ] {
        vectors.refused("bundle", name, note, &bytes, error);
    }
}

/// A bundle's header with other counts.
fn with_counts(header: &[u8], dropped: u16, changed: u16) -> Vec<u8> {
    edited(&header[..HEADER], &[(20, &[dropped, changed].map(u16::to_le_bytes).concat())])
}

fn lists(vectors: &mut Vectors, world: &World) {
    let dropped = world.bundle(1, 8);
    let (date, entry) = dropped[HEADER..].split_at(4);
    let next = |date: &[u8]| (u32::from_le_bytes(date.try_into().unwrap()) + 1).to_le_bytes();
    let two = [&with_counts(dropped, 2, 1), &next(date)[..], date, entry].concat();
    let twice = [&with_counts(dropped, 2, 1), date, date, entry].concat();
    let entries = world.bundle(1, 11);
    let first =
        ENTRY + u64::from_le_bytes(entries[HEADER + 120..][..8].try_into().unwrap()) as usize;
    let (first, second) = entries[HEADER..].split_at(first);
    let exchanged = [&entries[..HEADER], second, first].concat();
    let late = edited(dropped, &[(HEADER, &2_932_897u32.to_le_bytes())]);
    for (name, note, bytes, error) in [
        ("bundle-dropped-descend", "dropped dates descend", two, "Order"),
        ("bundle-dropped-twice", "a date dropped twice", twice, "Order"),
        ("bundle-changed-descend", "changed dates descend", exchanged, "Order"),
        ("bundle-dropped-10000", "10000-01-01 dropped", late, "Limit"),
    ] {
        vectors.refused("bundle", name, note, &bytes, error);
    }
    // The next date is there; the one after is not.
    let unknown = edited(dropped, &[(HEADER, &next(&next(date)))]);
    let unknown = with_after(&unknown, &world.table(7).to_bytes());
    let note = ("bundle-drops-unknown", "drops a date that is not there");
    let case = applied(vectors, world, note, &unknown, 7);
    vectors.invalid(case, "NoSuchDate");
    thirty_third_date(vectors, world);
}

/// A new date for a table that is full.
fn thirty_third_date(vectors: &mut Vectors, world: &World) {
    let full = super::tables::full(world);
    let bytes = world.bundle(1, 6);
    let date = u32::from_le_bytes(bytes[HEADER..HEADER + 4].try_into().unwrap()) + 40;
    let bytes = edited(bytes, &[(24, &sha256(&[&full])), (HEADER, &date.to_le_bytes())]);
    let bytes = with_after(&bytes, &full);
    let table = vectors.file("table-full.bin", &full);
    let case = vectors
        .file_case("bundle", "bundle-33-dates", "a new date for a table of 32", &bytes)
        .with("table", table)
        .with("sets", Vec::<String>::new());
    vectors.invalid(case, "Limit");
    thirty_second_date(vectors, world, &full, &bytes);
}

/// The same, but a date is dropped: that comes first, and there are 32 again.
fn thirty_second_date(vectors: &mut Vectors, world: &World, full: &[u8], bytes: &[u8]) {
    let head = with_counts(bytes, 1, 1);
    let bytes = [&head[..], &full[16..20], &bytes[HEADER..]].concat();
    let bytes = with_after(&bytes, full);
    let (old, new) = (&world.table(5).rows()[0], &world.table(6).rows()[1]);
    let after = [&full[..16], &full[16 + 112..], &bytes[HEADER + 4..][..112]].concat();
    let note = "a new date for a table of 32, and one that is dropped";
    let after_file = vectors.file("bundle-32-dates.table.bin", &after);
    let new = set_file(vectors, world, new);
    let sets = vec![set_file(vectors, world, old)];
    let case = vectors
        .file_case("bundle", "bundle-32-dates", note, &bytes)
        .with("table", "table/full.bin")
        .with("sets", sets);
    let expect = json!({
        "series": 1, "to": 6, "span": 1,
        "before": crate::golden::hex(&sha256(&[full])),
        "after": crate::golden::hex(&sha256(&[&after])),
        "table_after": after_file,
        "new_sets": [new],
    });
    vectors.valid(case, expect);
}

fn rows(vectors: &mut Vectors, world: &World) {
    let (same, delta, whole) = (world.bundle(1, 7), world.bundle(1, 5), world.bundle(1, 6));
    let unknown = |bytes: &[u8]| {
        let date = u32::from_le_bytes(bytes[HEADER..HEADER + 4].try_into().unwrap()) + 9;
        edited(bytes, &[(HEADER, &date.to_le_bytes())])
    };
    let len = |bytes: &[u8]| edited(bytes, &[(HEADER + 4, &[bytes[HEADER + 4] + 1])]);
    for (name, note, bytes, from, error) in [
        (
            "bundle-same-unknown",
            "the same set of a date that is not there",
            unknown(same),
            6,
            "NoSuchDate",
        ),
        (
            "bundle-delta-unknown",
            "a delta of a date that is not there",
            unknown(delta),
            4,
            "NoSuchDate",
        ),
        (
            "bundle-same-row",
            "the same set under another salt",
            flipped(same, HEADER + 8, 0),
            6,
            "Row",
        ),
        (
            "bundle-delta-salt",
            "a delta under another salt",
            flipped(delta, HEADER + 8, 0),
            4,
            "Row",
        ),
        (
            "bundle-delta-range",
            "a delta under another range",
            flipped(delta, HEADER + 24, 0),
            4,
            "Row",
        ),
        ("bundle-delta-count", "the row says one element more", len(delta), 4, "Row"),
        (
            "bundle-delta-bytes",
            "the row says one byte less",
            edited(delta, &[(HEADER + 32, &[delta[HEADER + 32] - 1])]),
            4,
            "Row",
        ),
        ("bundle-whole-salt", "the row says another salt", flipped(whole, HEADER + 8, 0), 5, "Row"),
        ("bundle-whole-count", "the row says one element more", len(whole), 5, "Row"),
    ] {
        let bytes = with_after(&bytes, &world.table(from).to_bytes());
        let case = applied(vectors, world, (name, note), &bytes, from);
        vectors.invalid(case, error);
    }
    // Both at once: the row comes first.
    let salted = with_payload(&flipped(delta, HEADER + 8, 0), &[0; 27]);
    let note = ("bundle-delta-salt-payload", "a body that ends early, under another salt");
    let case = applied(vectors, world, note, &salted, 4);
    vectors.invalid(case, "Row");
}

/// Bundles that change nothing but k or s of some dates.
fn shapes(vectors: &mut Vectors, world: &World) {
    let before = world.table(8).to_bytes();
    let rows: Vec<&[u8]> = before[16..].chunks(112).collect();
    let bundle_of = |rows: &[Vec<u8>]| {
        let entries = rows.iter().flat_map(|row| [&row[..], &[0; 16]].concat()).collect::<Vec<_>>();
        let head = with_counts(world.bundle(1, 9), 0, rows.len() as u16);
        with_after(&[head, entries].concat(), &before)
    };
    let spares = |row: &[u8]| edited(row, &[(108, &[64])]);
    let ranks = |row: &[u8]| edited(row, &[(104, &4096u32.to_le_bytes())]);
    for (name, note, rows) in [
        ("bundle-spares-differ", "s of one of two dates becomes 64", vec![spares(rows[0])]),
        ("bundle-ranks-differ", "k of one of two dates becomes 4096", vec![ranks(rows[1])]),
        (
            "bundle-ranks-too-large",
            "k of both dates becomes 4096, and no date is large",
            vec![ranks(rows[0]), ranks(rows[1])],
        ),
    ] {
        let case = applied(vectors, world, (name, note), &bundle_of(&rows), 8);
        vectors.invalid(case, "Mismatch");
    }
    let bytes = bundle_of(&[spares(rows[0]), spares(rows[1])]);
    let note = ("bundle-spares", "s of both dates becomes 64");
    let after = edited(&before, &[(16 + 108, &[64]), (16 + 112 + 108, &[64])]);
    let after_file = vectors.file("bundle-spares.table.bin", &after);
    let case = applied(vectors, world, note, &bytes, 8);
    let expect = json!({
        "series": 1, "to": 9, "span": 1,
        "before": world.manifest(8).state.to_string(),
        "after": crate::golden::hex(&sha256(&[&after])),
        "table_after": after_file,
        "new_sets": [],
    });
    vectors.valid(case, expect);
}

/// The bundle to tick 5 with another payload.
fn with_payload(bundle: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let head = edited(&bundle[..HEADER + ENTRY], &[(HEADER + 120, &length)]);
    [&head, payload].concat()
}

fn deltas(vectors: &mut Vectors, world: &World) {
    let bundle = world.bundle(1, 5);
    let row = &world.table(4).rows()[0];
    let (len, range) = (row.len, row.hash_range.get());
    let set = gcs_core::Set::parse(world.set(row)).unwrap();
    let values: Vec<u64> = set.iter().collect();
    let body = |removed: &[u64], added: &[u64]| RawBody::of(len, range, removed, added).bytes();
    let payload = &bundle[HEADER + ENTRY..];
    for (name, note, payload, error) in [
        (
            "bundle-delta-reserved",
            "reserved in the body",
            edited(payload, &[(10, &[1])]),
            "Part.Padding",
        ),
        ("bundle-delta-cut", "the body ends early", payload[..27].to_vec(), "Part.Length"),
        ("bundle-delta-longer", "a byte behind the body", [payload, &[0]].concat(), "Part.Length"),
        (
            "bundle-delta-rank",
            "removes a rank beyond the base",
            body(&[len.into()], &[]),
            "Part.Limit",
        ),
        (
            "bundle-delta-file",
            "a delta file in place of a body",
            b"GCSDLT\x01\x00".repeat(20),
            "Part.Padding",
        ),
        (
            "bundle-delta-present",
            "adds what is there",
            body(&[], &values[2..3]),
            "Delta.AlreadyPresent",
        ),
        ("bundle-delta-target", "leads to another set", body(&[0], &[]), "Delta.Target"),
    ] {
        let case = applied(vectors, world, (name, note), &with_payload(bundle, &payload), 4);
        vectors.invalid(case, error);
    }
    // The result is the base, if adding what is there changes nothing.
    let before = world.table(4).to_bytes();
    let same = edited(bundle, &[(HEADER, &before[16..])]);
    let same = with_after(&with_payload(&same, &body(&[], &values[2..3])), &before);
    let note = ("bundle-delta-present-same", "adds what is there, and promises the base");
    let case = applied(vectors, world, note, &same, 4);
    vectors.invalid(case, "Delta.AlreadyPresent");
}

fn wholes(vectors: &mut Vectors, world: &World) {
    let bundle = world.bundle(1, 6);
    let at = HEADER + ENTRY;
    let named = edited(bundle, &[(HEADER + 40, &[0xaa; 32])]);
    for (name, note, bytes, error) in [
        (
            "bundle-whole-flipped",
            "a bit of the set flipped",
            flipped(bundle, at + 8, 0),
            "Part.Digest",
        ),
        (
            "bundle-whole-magic",
            "the payload is no set",
            edited(bundle, &[(at, b"GCSTBL")]),
            "Part.Magic",
        ),
        ("bundle-whole-other", "the set of another identity", named, "Part.Digest"),
    ] {
        let case = applied(vectors, world, (name, note), &bytes, 5);
        vectors.invalid(case, error);
    }
}

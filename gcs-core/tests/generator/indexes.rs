//! Indexes.

use gcs_core::files::PublicationIndex;
use serde_json::{Value, json};

use super::out::Vectors;
use super::raw::edited;
use super::tables::expect_table;
use super::world::World;
use crate::golden::hex;
use crate::naive::sha256;

/// Length of a header and of an entry.
const HEADER: usize = 24;
const ENTRY: usize = 48;

pub(crate) fn add(vectors: &mut Vectors, world: &World) {
    valid(vectors, world);
    frames(vectors, world);
    entries(vectors, world);
}

/// The index of tick 8, without its bundles, and they.
fn parts(world: &World) -> (Vec<u8>, Vec<Vec<u8>>) {
    let bytes = world.index(8);
    let table = world.table(8).to_bytes().len();
    let (head, entries) = bytes.split_at(HEADER + table);
    (head.to_vec(), entries.chunks(ENTRY).map(<[u8]>::to_vec).collect())
}

/// An index at this tick with these bundles.
fn index_of(head: &[u8], tick: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let count = entries.len() as u32;
    let head = edited(head, &[(12, &tick.to_le_bytes()), (20, &count.to_le_bytes())]);
    [head, entries.concat()].concat()
}

fn entry(span: u32, to: u32) -> Vec<u8> {
    let mut bytes = [span, to].map(u32::to_le_bytes).concat();
    bytes.extend(1_000u64.to_le_bytes());
    bytes.extend(sha256(&[b"a bundle"]));
    bytes
}

/// Every bundle that may be kept at a tick.
fn every_entry(tick: u32) -> Vec<Vec<u8>> {
    let pairs = (tick - 191..=tick).flat_map(|to| [1, 4, 24, 96].map(|span| (span, to)));
    pairs.filter(|(span, to)| to % span == 0).map(|(span, to)| entry(span, to)).collect()
}

fn expect(index: &PublicationIndex) -> Value {
    let bundles: Vec<Value> = index
        .bundles
        .iter()
        .map(|entry| {
            let (span, to, bytes) = (entry.span, entry.to, entry.bytes);
            json!({ "span": span, "to": to, "bytes": bytes, "sha256": entry.sha256.to_string() })
        })
        .collect();
    let table = expect_table(&index.table);
    json!({ "series": index.series, "tick": index.tick, "table": table, "bundles": bundles })
}

fn valid(vectors: &mut Vectors, world: &World) {
    let (head, _) = parts(world);
    let oldest = [entry(1, 809), entry(4, 812), entry(1, 1_000)];
    let most = every_entry(1_152);
    assert_eq!(most.len(), 250);
    for (name, note, bytes) in [
        ("index-first", "the first tick of a series: no bundles", world.index(4).to_vec()),
        ("index-one", "one bundle", world.index(5).to_vec()),
        ("index-five", "five bundles, two of them to one tick", world.index(8).to_vec()),
        ("index-oldest", "a bundle as old as may be", index_of(&head, 1_000, &oldest)),
        ("index-tick-0", "tick 0", index_of(&head, 0, &[])),
        (
            "index-most",
            "250 bundles, the most, 191 ticks old at most",
            index_of(&head, 1_152, &most),
        ),
        ("index-last-tick", "tick 2^32 - 1", index_of(&head, u32::MAX, &[entry(1, u32::MAX)])),
    ] {
        let index = PublicationIndex::parse(&bytes).unwrap();
        let case = vectors.file_case("index", name, note, &bytes);
        vectors.valid(case, expect(&index));
    }
}

fn frames(vectors: &mut Vectors, world: &World) {
    let bytes = world.index(8);
    let longer = [bytes, &[0]].concat();
    let table = world.table(8).to_bytes().len() as u32;
    let table_bytes = |length: u32| edited(bytes, &[(16, &length.to_le_bytes())]);
    let (head, _) = parts(world);
    let many = edited(&index_of(&head, 8, &[]), &[(20, &251u32.to_le_bytes())]);
    for (name, note, bytes, error) in [
        ("index-magic", "magic of a table", edited(bytes, &[(0, b"GCSTBL")]), "Magic"),
        ("index-version", "version 2", edited(bytes, &[(6, &[2])]), "Version"),
        ("index-251-bundles", "says 251 bundles", many, "Limit"),
        ("index-cut-in-header", "23 bytes", bytes[..23].to_vec(), "Length"),
        ("index-cut-in-table", "100 bytes", bytes[..100].to_vec(), "Length"),
        (
            "index-cut-in-entry",
            "the last byte is missing",
            bytes[..bytes.len() - 1].to_vec(),
            "Length",
        ),
        ("index-trailing-byte", "a byte behind the last bundle", longer, "Length"),
        ("index-one-fewer", "says one bundle less", edited(bytes, &[(20, &[4])]), "Length"),
        ("index-one-more", "says one bundle more", edited(bytes, &[(20, &[6])]), "Length"),
        ("index-table-shorter", "bytes of the table one too few", table_bytes(table - 1), "Length"),
        ("index-table-longer", "bytes of the table one too many", table_bytes(table + 1), "Length"),
        ("index-table-huge", "bytes of the table 2^32 - 1", table_bytes(u32::MAX), "Length"),
        (
            "index-table-magic",
            "the table has another magic",
            edited(bytes, &[(24, b"gcs")]),
            "Magic",
        ),
        ("index-table-reserved", "reserved in the table", edited(bytes, &[(36, &[1])]), "Padding"),
    ] {
        vectors.refused("index", name, note, &bytes, error);
    }
}

fn entries(vectors: &mut Vectors, world: &World) {
    let (head, entries) = parts(world);
    let mut swapped = entries.clone();
    swapped.swap(3, 4);
    let mut twice = entries.clone();
    twice.push(entries[4].clone());
    let one = |span, to, tick| index_of(&head, tick, &[entry(span, to)]);
    for (name, note, bytes, error) in [
        ("index-order", "span 4 before span 1 to one tick", index_of(&head, 8, &swapped), "Order"),
        ("index-bundle-twice", "the last bundle twice", index_of(&head, 8, &twice), "Order"),
        ("index-too-old", "192 ticks old", one(1, 808, 1_000), "Limit"),
        ("index-too-old-96", "a long one, 192 ticks old", one(96, 960, 1_152), "Limit"),
        ("index-future", "a bundle to the next tick", one(1, 9, 8), "Limit"),
        ("index-span-2", "span 2", one(2, 8, 8), "Limit"),
        ("index-span-0", "span 0", one(0, 8, 8), "Limit"),
        ("index-before-tick-0", "span 4 to tick 0", one(4, 0, 8), "Limit"),
        ("index-not-multiple", "span 4 to tick 7", one(4, 7, 8), "Mismatch"),
    ] {
        vectors.refused("index", name, note, &bytes, error);
    }
    let index = hex(&sha256(&[&index_of(&head, 8, &entries)]));
    assert_eq!(index, world.manifest(8).index.sha256.to_string());
}

//! Index files of sets.

use gcs_core::Set;
use serde_json::{Value, json};

use super::out::{Vectors, hex_number};
use super::raw::{edited, flipped, resealed};
use super::sets::build;

/// Length of what is before the entries, and of an entry.
const HEADER: usize = 96;
const ENTRY: usize = 32;

pub(crate) fn add(vectors: &mut Vectors) {
    valid(vectors);
    frames(vectors);
    entries(vectors);
    sets(vectors);
}

fn index_of(set: &Set) -> Vec<u8> {
    let mut index = Vec::new();
    set.write_index(&mut index).unwrap();
    index
}

/// 300 values in two blocks.
fn many() -> Set {
    build(420_000, &(0..300u64).map(|i| i * 1_400 + i * i % 1_399).collect::<Vec<_>>())
}

/// 800 values in four blocks, of which one has none.
fn crowded() -> Vec<u64> {
    (0..500).map(|i| 2 * i).chain((0..300).map(|i| 31_700 + i)).collect()
}

/// The entries, from the values that were indexed; the checks, which the naive reader makes too,
/// are those of the file.
fn expect(set: &Set, values: &[u64], index: &[u8]) -> Value {
    let blocks = values.len().div_ceil(256).max(1) as u64;
    let range = set.hash_range().get();
    let scale = ((u128::from(blocks) << 64) / u128::from(range)).min(u128::from(u64::MAX));
    let is_before = |value: u64, block| (u128::from(value) * scale) >> 64 < u128::from(block);
    let entries = (0..=blocks).map(|block| {
        let rank = values.partition_point(|&value| is_before(value, block));
        let next = values[..rank].last().map_or(0, |last| last + 1);
        let bit = crate::naive::bits::code(&values[..rank], set.rice_parameter() as u8).1;
        let at = HEADER + ENTRY * block as usize + 24;
        let check = hex_number(u64::from_le_bytes(index[at..at + 8].try_into().unwrap()));
        json!({ "bit": bit, "next": next, "rank": rank, "check": check })
    });
    json!({ "identity": set.identity().to_string(), "entries": entries.collect::<Vec<_>>() })
}

fn valid(vectors: &mut Vectors) {
    let max = gcs_core::HashRange::MAX.get();
    let small = [17, 1_200, 1_201, 2_900, 4_444, 7_000, 7_777, 9_999];
    for (name, note, range, values) in [
        ("small", "one block", 10_000, small.to_vec()),
        ("empty", "of a set without values", 10_000, vec![]),
        ("one-of-1", "the only value of the smallest range", 1, vec![0]),
        ("ends-of-max", "first and last of the largest range", max, vec![0, max - 1]),
        ("many", "two blocks, which share a byte of the code", 420_000, many().iter().collect()),
        ("crowded", "four blocks, of which one has no values", 32_000, crowded()),
    ] {
        let set = build(range, &values);
        let index = index_of(&set);
        let file = vectors.file(&format!("set-{}.bin", set_name(name)), set.as_bytes());
        let case = vectors.file_case("set_index", &format!("setindex-{name}"), note, &index);
        vectors.valid(case.with("set", file), expect(&set, &values, &index));
    }
}

/// The name of the set, which most times is another vector.
fn set_name(name: &str) -> &str {
    if name == "crowded" { "of-index-crowded" } else { name }
}

/// A case of an index that is refused with a set.
fn refused(vectors: &mut Vectors, name: &str, note: &str, index: &[u8], set: &str, error: &str) {
    let case = vectors.file_case("set_index", name, note, index);
    vectors.invalid(case.with("set", set), error);
}

fn frames(vectors: &mut Vectors) {
    let index = index_of(&many());
    let edited = |at: usize, new: &[u8]| resealed(&edited(&index, &[(at, new)]));
    let cut = |length: usize| index[..length].to_vec();
    for (name, note, bytes, error) in [
        ("setindex-magic", "magic of an index of bundles", edited(0, b"GCSIDX"), "Magic"),
        ("setindex-version", "version 2", edited(6, &[2]), "Version"),
        ("setindex-header-magic", "magic of a delta in the header", edited(8, b"GCSDLT"), "Magic"),
        ("setindex-header-range", "F = 0 in the header", edited(32, &[0; 8]), "Limit"),
        ("setindex-header-reserved", "reserved in the header", edited(45, &[1]), "Padding"),
        ("setindex-blocks-one-more", "says one block more", edited(88, &[3]), "Mismatch"),
        ("setindex-blocks-2-56", "says 2^56 blocks more", edited(95, &[1]), "Mismatch"),
        ("setindex-cut-to-nothing", "no bytes at all", cut(0), "Length"),
        ("setindex-cut-in-header", "95 bytes", cut(95), "Length"),
        ("setindex-cut-in-entry", "an entry is cut", cut(HEADER + 40), "Length"),
        ("setindex-cut-trailer", "the trailer is missing", cut(index.len() - 32), "Length"),
        ("setindex-cut-last-byte", "the last byte is missing", cut(index.len() - 1), "Length"),
        (
            "setindex-trailing-byte",
            "a byte behind the trailer",
            [&index[..], &[0]].concat(),
            "Length",
        ),
        (
            "setindex-flipped-trailer",
            "a bit flipped",
            flipped(&index, index.len() - 1, 0),
            "Digest",
        ),
    ] {
        refused(vectors, name, note, &bytes, "set/many.bin", error);
    }
}

fn entries(vectors: &mut Vectors) {
    let index = index_of(&many());
    let flip = |at: usize| resealed(&flipped(&index, HEADER + at, 0));
    let (first, second) = (&index[HEADER..HEADER + ENTRY], &index[HEADER + ENTRY..][..ENTRY]);
    let swapped = resealed(&edited(&index, &[(HEADER, second), (HEADER + ENTRY, first)]));
    for (name, note, bytes) in [
        ("setindex-bit", "bit of a block is another", flip(ENTRY)),
        ("setindex-next", "next of a block is another", flip(ENTRY + 8)),
        ("setindex-rank", "rank of a block is another", flip(ENTRY + 16)),
        ("setindex-first-bit", "bit of the first block is 1", flip(0)),
        ("setindex-first-rank", "rank of the first block is 1", flip(16)),
        ("setindex-reserved", "reserved is not zero", flip(ENTRY + 23)),
        ("setindex-check", "the check of a block is another", flip(24)),
        ("setindex-end-rank", "rank of the end is another", flip(2 * ENTRY + 16)),
        ("setindex-end-check", "the check of the end is 1", flip(2 * ENTRY + 24)),
        ("setindex-swapped", "two entries have changed places", swapped),
    ] {
        refused(vectors, name, note, &bytes, "set/many.bin", "Block");
    }
}

/// The index, or the set beside it, is that of another set.
fn sets(vectors: &mut Vectors) {
    let (set, index) = (many(), index_of(&many()));
    let values: Vec<u64> = set.iter().skip(1).chain([419_999]).collect();
    let other = build(420_000, &values);
    assert_eq!(other.len(), set.len());
    let identity = resealed(&flipped(&index, 56 + 31, 0));
    let salt = resealed(&flipped(&index, 8 + 8, 0));
    let file = vectors.file("set-of-index-damaged.bin", &flipped(set.as_bytes(), 400, 3));
    let many = "set/many.bin";
    for (name, note, bytes, set, error) in [
        (
            "setindex-other-set",
            "of another set of the same salt",
            index_of(&other),
            many,
            "OtherSet",
        ),
        ("setindex-identity", "a bit of the identity flipped", identity, many, "OtherSet"),
        ("setindex-header-salt", "a bit of the salt flipped", salt, many, "Header"),
        ("setindex-set-damaged", "a bit of the set flipped", index, &file[..], "Set.Digest"),
    ] {
        refused(vectors, name, note, &bytes, set, error);
    }
}

//! Deltas.

use gcs_core::{Delta, HashRange, Set};
use serde_json::json;

use super::out::Vectors;
use super::raw::{self, RawBody, RawDelta};
use super::sets::build;
use crate::naive;

const RANGE: u64 = 10_000;
const BASE: [u64; 10] = [5, 300, 301, 2_000, 3_500, 5_000, 5_001, 8_000, 9_000, 9_990];
const TARGET: [u64; 9] = [5, 7, 301, 2_000, 3_500, 5_001, 6_100, 9_000, 9_999];

pub(crate) fn add(vectors: &mut Vectors) {
    valid(vectors);
    other_bases(vectors);
    replaces_all(vectors);
    wrong_results(vectors);
    lengths(vectors);
    headers(vectors);
    shapes(vectors);
    codes(vectors);
}

/// Ranks in `base` of what `target` lacks, and what `target` adds.
fn difference(base: &[u64], target: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let ranks = (0..).zip(base).filter(|(_, value)| !target.contains(value));
    let removed = ranks.map(|(rank, _): (u64, _)| rank).collect();
    let added = target.iter().copied().filter(|value| !base.contains(value)).collect();
    (removed, added)
}

fn raw_delta(range: u64, base: &[u64], target: &[u64]) -> RawDelta {
    let (removed, added) = difference(base, target);
    let (from, to) = (build(range, base), build(range, target));
    RawDelta {
        salt: raw::SALT,
        range,
        base_len: from.len(),
        target_len: to.len(),
        base: from.identity().0,
        target: to.identity().0,
        body: RawBody::of(from.len(), range, &removed, &added),
    }
}

fn changed(change: impl FnOnce(&mut RawDelta)) -> Vec<u8> {
    let mut delta = raw_delta(RANGE, &BASE, &TARGET);
    change(&mut delta);
    delta.bytes()
}

/// The delta with these removals and additions, whatever they lead to.
fn with_changes(removed: &[u64], added: &[u64]) -> Vec<u8> {
    changed(|delta| {
        delta.body = RawBody::of(delta.base_len, RANGE, removed, added);
        delta.target_len = delta.base_len - removed.len() as u32 + added.len() as u32;
    })
}

/// The delta with these changes that promises to lead to its base.
fn to_base(removed: &[u64], added: &[u64]) -> Vec<u8> {
    changed(|delta| {
        delta.body = RawBody::of(delta.base_len, RANGE, removed, added);
        delta.target_len = delta.base_len - removed.len() as u32 + added.len() as u32;
        delta.target = delta.base;
    })
}

fn valid(vectors: &mut Vectors) {
    let max = HashRange::MAX.get();
    let long: Vec<u64> = (0..400).map(|i| i * 24).collect();
    let longer: Vec<u64> = long.iter().map(|value| value + u64::from(value % 72 == 0)).collect();
    for (name, note, range, base, target) in [
        ("delta-both", "removes and adds", RANGE, BASE.to_vec(), TARGET.to_vec()),
        ("delta-adds", "only adds", RANGE, BASE[..9].to_vec(), BASE.to_vec()),
        ("delta-removes", "only removes", RANGE, BASE.to_vec(), BASE[1..].to_vec()),
        ("delta-nothing", "changes nothing", RANGE, BASE.to_vec(), BASE.to_vec()),
        ("delta-of-empty", "empty to empty", RANGE, vec![], vec![]),
        ("delta-from-empty", "all is added", RANGE, vec![], TARGET.to_vec()),
        ("delta-to-empty", "all is removed", RANGE, BASE.to_vec(), vec![]),
        ("delta-of-max", "the largest range", max, vec![0, max - 1], vec![0, max - 2]),
        ("delta-many", "134 of 400 move by one", RANGE, long, longer),
    ] {
        let (from, to) = (build(range, &base), build(range, &target));
        let bytes = Delta::between(&from, &to).unwrap().into_inner();
        assert_eq!(bytes, raw_delta(range, &base, &target).bytes());
        let (removed, added) = difference(&base, &target);
        let base_file = vectors.file(&format!("{name}.base.bin"), from.as_bytes());
        let target_file = vectors.file(&format!("{name}.target.bin"), to.as_bytes());
        let case = vectors.file_case("delta", name, note, &bytes).with("base", base_file);
        let expect = json!({
            "base": from.identity().to_string(), "base_count": base.len(),
            "target": to.identity().to_string(), "target_count": target.len(),
            "target_file": target_file, "removed": removed, "added": added,
        });
        vectors.valid(case, expect);
    }
}

/// The delta is right, but not for the set at hand.
fn other_bases(vectors: &mut Vectors) {
    let bytes = raw_delta(RANGE, &BASE, &TARGET).bytes();
    let salted = {
        let mut set = raw::RawSet::of(RANGE, &BASE);
        set.salt[0] ^= 1;
        set.bytes()
    };
    Set::parse(&salted).unwrap();
    for (name, note, base, error) in [
        ("delta-on-other-salt", "the base has another salt", salted, "Salt"),
        (
            "delta-on-other-range",
            "the base has another range",
            build(RANGE + 1, &BASE).into_inner(),
            "HashRange",
        ),
        ("delta-on-target", "the base is the target", build(RANGE, &TARGET).into_inner(), "Base"),
        ("delta-on-empty", "the base is empty", build(RANGE, &[]).into_inner(), "Base"),
    ] {
        let base = vectors.file(&format!("{name}.base.bin"), &base);
        let file = vectors.file("delta-both.bin", &bytes);
        let case = vectors.case("delta", name, note).with("file", file).with("base", base);
        vectors.invalid(case, error);
    }
}

/// A delta that replaces all of its base would do so on any other of as many values.
fn replaces_all(vectors: &mut Vectors) {
    let others = BASE.map(|value| value + 2);
    let bytes = raw_delta(RANGE, &BASE, &[1, 2, 3]).bytes();
    let base = vectors.file("delta-replaces-all.base.bin", build(RANGE, &others).as_bytes());
    let note = "removes all of another base of as many values";
    let case = vectors.file_case("delta", "delta-replaces-all", note, &bytes).with("base", base);
    vectors.invalid(case, "Base");
}

/// Sound in itself, but not what it promises for its base.
fn wrong_results(vectors: &mut Vectors) {
    let lie = changed(|delta| {
        delta.base_len += 1;
        delta.target_len += 1;
    });
    for (name, note, bytes, error) in [
        (
            "delta-other-target",
            "promises another identity",
            changed(|delta| delta.target[0] ^= 1),
            "Target",
        ),
        (
            "delta-other-added",
            "adds 7 too little",
            with_changes(&[1, 5, 7, 9], &[6, 6_100, 9_999]),
            "Target",
        ),
        (
            "delta-other-removed",
            "removes a neighbour",
            with_changes(&[2, 5, 7, 9], &[7, 6_100, 9_999]),
            "Target",
        ),
        ("delta-adds-present", "adds what the base has", to_base(&[], &[2_000]), "AlreadyPresent"),
        ("delta-adds-removed", "adds what it removes", to_base(&[3], &[2_000]), "AlreadyPresent"),
        ("delta-base-count", "the base has one value less", lie, "BaseLength"),
    ] {
        let base = vectors.file("delta-both.base.bin", build(RANGE, &BASE).as_bytes());
        let case = vectors.file_case("delta", name, note, &bytes).with("base", base);
        vectors.invalid(case, error);
    }
}

fn lengths(vectors: &mut Vectors) {
    let bytes = raw_delta(RANGE, &BASE, &TARGET).bytes();
    for (name, note, length) in [
        ("delta-cut-in-header", "103 bytes", 103),
        ("delta-cut-in-body", "163 bytes, less than any delta", 163),
        ("delta-cut-in-code", "164 bytes, the least, but not for this one", 164),
        ("delta-cut-last-byte", "the last byte is missing", bytes.len() - 1),
    ] {
        vectors.refused("delta", name, note, &bytes[..length], "Length");
    }
    let longer = [&bytes[..], &[0]].concat();
    vectors.refused("delta", "delta-trailing-byte", "a byte behind the trailer", &longer, "Length");
}

fn headers(vectors: &mut Vectors) {
    let bytes = raw_delta(RANGE, &BASE, &TARGET).bytes();
    let edited = |edits: &[(usize, &[u8])]| naive::resealed(&raw::edited(&bytes, edits));
    let nothing = RawDelta { range: 0, ..raw_delta(1, &[], &[]) }.bytes();
    let large = changed(|delta| {
        delta.base_len = u32::MAX;
        delta.target_len = 0;
        delta.body = RawBody::of(u32::MAX, RANGE, &[], &[1]);
    });
    for (name, note, bytes, error) in [
        ("delta-magic", "magic of a set", edited(&[(0, b"GCSSET")]), "Magic"),
        ("delta-version", "version 2", edited(&[(6, &[2, 0])]), "Version"),
        ("delta-range-0", "F = 0", changed(|delta| delta.range = 0), "Limit"),
        ("delta-range-0-of-none", "F = 0, from nothing to nothing", nothing, "Limit"),
        ("delta-range-2-57", "F = 2^57", changed(|delta| delta.range = 1 << 57), "Limit"),
        (
            "delta-target-count",
            "target length one too many",
            changed(|delta| delta.target_len += 1),
            "Mismatch",
        ),
        ("delta-target-2-32", "2^32 - 1 values and one more", large, "Limit"),
        (
            "delta-reserved",
            "reserved not zero",
            changed(|delta| delta.body.reserved[1] = 1),
            "Padding",
        ),
    ] {
        vectors.refused("delta", name, note, &bytes, error);
    }
}

fn shapes(vectors: &mut Vectors) {
    let right = raw_delta(RANGE, &BASE, &TARGET).body;
    let (removed, added) = difference(&BASE, &TARGET);
    let [p, q] = right.parameters;
    let with = |parameters| {
        changed(|delta| delta.body = RawBody::with_parameters(&removed, &added, parameters))
    };
    let all: Vec<u64> = (0..11).collect();
    let body = |change: fn(&mut RawBody)| changed(|delta| change(&mut delta.body));
    for (name, note, bytes, error) in [
        (
            "delta-removes-too-many",
            "removes 11 of 10",
            changed(|delta| delta.body = RawBody::of(10, RANGE, &all, &added)),
            "Limit",
        ),
        ("delta-removed-parameter", "P of removals one too large", with([p + 1, q]), "Mismatch"),
        ("delta-added-parameter", "P of additions one too small", with([p, q - 1]), "Mismatch"),
        (
            "delta-removed-bits",
            "B of removals impossible",
            body(|body| body.bits[0] = 2),
            "BitLength",
        ),
        (
            "delta-added-bits",
            "B of additions impossible",
            body(|body| body.bits[1] = 1 << 40),
            "BitLength",
        ),
    ] {
        vectors.refused("delta", name, note, &bytes, error);
    }
}

fn codes(vectors: &mut Vectors) {
    let right = raw_delta(RANGE, &BASE, &TARGET);
    assert!(right.body.bits.iter().all(|bits| !bits.is_multiple_of(8)), "{:?}", right.body.bits);
    let body = |change: fn(&mut RawBody)| changed(|delta| change(&mut delta.body));
    let flipped = raw::flipped(&right.bytes(), 40, 3);
    assert_eq!(right.body.bits[0], 9);
    let cut = body(|body| {
        body.bits[0] = 8;
        body.codes[0].pop();
    });
    for (name, note, bytes, error) in [
        (
            "delta-rank-beyond",
            "removes rank 10 of 10",
            with_changes(&[1, 5, 7, 10], &[7, 6_100, 9_999]),
            "Limit",
        ),
        (
            "delta-value-of-range",
            "adds F",
            with_changes(&[1, 5, 7, 9], &[7, 6_100, RANGE]),
            "Limit",
        ),
        (
            "delta-removed-padding",
            "padding of the removals",
            body(|body| *body.codes[0].last_mut().unwrap() |= 0x80),
            "Padding",
        ),
        (
            "delta-added-padding",
            "padding of the additions",
            body(|body| *body.codes[1].last_mut().unwrap() |= 0x80),
            "Padding",
        ),
        ("delta-removed-overrun", "the additions must not be read as removals", cut, "Overrun"),
        ("delta-added-overrun", "ones only", body(|body| body.codes[1].fill(0xff)), "Overrun"),
        ("delta-flipped", "a bit of the base's identity flipped", flipped, "Digest"),
    ] {
        vectors.refused("delta", name, note, &bytes, error);
    }
}

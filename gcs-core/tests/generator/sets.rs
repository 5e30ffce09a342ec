//! Sets.

use gcs_core::{HashRange, Salt, Set};
use serde_json::{Value, json};

use super::out::Vectors;
use super::raw::{self, RawSet};
use crate::golden::hex;
use crate::naive::{self, bits};

/// F, salt and fingerprints of the set that most invalid ones are made from.
const RANGE: u64 = 10_000;
const VALUES: [u64; 8] = [17, 1_200, 1_201, 2_900, 4_444, 7_000, 7_777, 9_999];

pub(crate) fn add(vectors: &mut Vectors) {
    valid(vectors);
    of_elements(vectors);
    matches(vectors);
    lengths(vectors);
    headers(vectors);
    shapes(vectors);
    codes(vectors);
    trailers(vectors);
}

/// The set of these values by the library, which the naive writer must agree with.
pub(crate) fn build(range: u64, values: &[u64]) -> Set {
    let hash_range = HashRange::new(range).unwrap();
    let set = Set::from_fingerprints(Salt(raw::SALT), hash_range, values.iter().copied()).unwrap();
    assert_eq!(set.as_bytes(), RawSet::of(range, values).bytes());
    set
}

fn expect(set: &Set, values: &[u64]) -> Value {
    let bits = bits::code(values, set.rice_parameter() as u8).1;
    let mut expect = json!({
        "salt": hex(&set.salt().0),
        "range": set.hash_range().get(),
        "count": values.len(),
        "parameter": set.rice_parameter(),
        "bits": bits,
        "identity": set.identity().to_string(),
        "first": values.first(),
        "last": values.last(),
    });
    if values.len() <= 100 {
        expect["values"] = values.into();
    }
    expect
}

fn valid(vectors: &mut Vectors) {
    let (max, published) = (HashRange::MAX.get(), HashRange::MAX_PUBLISHED.get());
    let many: Vec<u64> = (0..300u64).map(|i| i * 1_400 + i * i % 1_399).collect();
    for (name, note, range, values) in [
        ("set-small", "eight values", RANGE, VALUES.to_vec()),
        ("set-empty", "no values", RANGE, vec![]),
        ("set-empty-of-1", "no values in the smallest range", 1, vec![]),
        ("set-empty-of-max", "no values in the largest range", max, vec![]),
        ("set-one", "one value", RANGE, vec![9_998]),
        ("set-one-of-1", "the only value of the smallest range", 1, vec![0]),
        ("set-one-last-of-max", "the last value of the largest range", max, vec![max - 1]),
        ("set-ends-of-max", "first and last of the largest range", max, vec![0, max - 1]),
        (
            "set-published-max",
            "the largest range of a publication",
            published,
            vec![0, published - 1],
        ),
        ("set-dense", "every value of the range", 64, (0..64).collect()),
        ("set-nearly-dense", "P is 0, three values are missing", 100, (2..99).collect()),
        ("set-long-quotient", "126 ones", 1 << 20, (0..99).chain([(1 << 20) - 1]).collect()),
        ("set-longer-quotient", "1024 ones", 1 << 20, (0..900).chain([(1 << 20) - 9]).collect()),
        ("set-whole-bytes", "no padding", 200, vec![100, 171]),
        ("set-boundary", "26 F = 27 N 2^6 exactly", 27 << 6, (0..26).map(|i| 60 * i).collect()),
        ("set-below-boundary", "F one less", (27 << 6) - 1, (0..26).map(|i| 60 * i).collect()),
        ("set-many", "more than a reader may decode at a time", 420_000, many),
    ] {
        let set = build(range, &values);
        let case = vectors.file_case("set", name, note, set.as_bytes());
        vectors.valid(case, expect(&set, &values));
    }
    let whole = RawSet::of(200, &[100, 171]);
    assert!(whole.bits.is_multiple_of(8), "{} bits", whole.bits);
}

fn of_elements(vectors: &mut Vectors) {
    let range = HashRange::for_expected(20, 20).unwrap();
    let elements: Vec<[u8; 16]> = (0..20).map(raw::element).collect();
    let set = Set::build(Salt(raw::SALT), range, &elements).unwrap();
    let mut values: Vec<u64> =
        elements.iter().map(|element| set.hasher().fingerprint(element)).collect();
    values.sort_unstable();
    let case = vectors
        .file_case("set", "set-of-elements", "fingerprints of elements", set.as_bytes())
        .with("elements", elements.iter().map(|element| hex(element)).collect::<Vec<_>>());
    vectors.valid(case, expect(&set, &values));
}

/// What was heard against a set: hits and their ranks, false ones and repeated ones too.
fn matches(vectors: &mut Vectors) {
    let range = HashRange::for_expected(200, 3).unwrap();
    let elements: Vec<[u8; 16]> = (0..200).map(raw::element).collect();
    let set = Set::build(Salt(raw::SALT), range, &elements).unwrap();
    let values: Vec<u64> = set.iter().collect();
    let long: Vec<u8> = (0..64).collect();
    let published = [7, 3, 199, 7].map(|number| raw::element(number).to_vec());
    let strangers = (1_000..1_040).map(|number| raw::element(number).to_vec());
    let heard: Vec<Vec<u8>> =
        published.into_iter().chain(strangers).chain([long.clone(), long[..17].to_vec()]).collect();
    let rank_of = |element: &Vec<u8>| values.binary_search(&set.hasher().fingerprint(element)).ok();
    let hits: Vec<Value> = (0..)
        .zip(heard.iter().map(rank_of))
        .filter_map(|(at, rank): (usize, _)| rank.map(|rank| json!({ "heard": at, "rank": rank })))
        .collect();
    assert!(hits.len() > 4 && hits.len() < heard.len() / 2, "{} hits", hits.len());
    for (name, note, set, heard, hits) in [
        ("match-some", "published, false and repeated hits", &set, &heard[..], hits),
        ("match-nothing", "nothing was heard", &set, &[], vec![]),
        ("match-empty", "the set is empty", &build(RANGE, &[]), &heard[..], vec![]),
    ] {
        let heard: Vec<String> = heard.iter().map(|element| hex(element)).collect();
        let case = vectors.file_case("match", name, note, set.as_bytes()).with("heard", heard);
        vectors.valid(case, json!({ "hits": hits }));
    }
}

fn base() -> RawSet {
    RawSet::of(RANGE, &VALUES)
}

fn changed(change: impl FnOnce(&mut RawSet)) -> Vec<u8> {
    let mut set = base();
    change(&mut set);
    set.bytes()
}

fn lengths(vectors: &mut Vectors) {
    let bytes = base().bytes();
    for (name, note, length) in [
        ("set-cut-to-nothing", "no bytes at all", 0),
        ("set-cut-in-magic", "5 bytes", 5),
        ("set-cut-in-version", "7 bytes", 7),
        ("set-cut-in-header", "47 bytes", 47),
        ("set-cut-after-header", "48 bytes", 48),
        ("set-cut-in-code", "one byte of the code", 49),
        ("set-cut-trailer", "the trailer is missing", bytes.len() - 32),
        ("set-cut-last-byte", "the last byte is missing", bytes.len() - 1),
    ] {
        vectors.refused("set", name, note, &bytes[..length], "Length");
    }
    let longer = [&bytes[..], &[0]].concat();
    vectors.refused("set", "set-trailing-byte", "a byte behind the trailer", &longer, "Length");
    let sealed = naive::sealed(&[&bytes[..bytes.len() - 32], &[0]].concat());
    let note = "a zero byte between code and trailer, sealed";
    vectors.refused("set", "set-byte-before-trailer", note, &sealed, "Length");
}

fn headers(vectors: &mut Vectors) {
    let bytes = base().bytes();
    let edited = |edits: &[(usize, &[u8])]| naive::resealed(&raw::edited(&bytes, edits));
    for (name, note, bytes, error) in [
        ("set-magic", "magic of a delta", edited(&[(0, b"GCSDLT")]), "Magic"),
        ("set-magic-case", "magic in lower case", edited(&[(0, b"gcsset")]), "Magic"),
        ("set-version-0", "version 0", edited(&[(6, &[0, 0])]), "Version"),
        ("set-version-2", "version 2", edited(&[(6, &[2, 0])]), "Version"),
        ("set-version-256", "version in the wrong byte order", edited(&[(6, &[0, 1])]), "Version"),
        ("set-range-0", "F = 0", changed(|set| set.range = 0), "Limit"),
        (
            "set-range-0-of-none",
            "F = 0 without values",
            RawSet { range: 0, ..RawSet::of(1, &[]) }.bytes(),
            "Limit",
        ),
        ("set-range-2-57", "F = 2^57", changed(|set| set.range = 1 << 57), "Limit"),
        ("set-reserved-1", "reserved not zero", changed(|set| set.reserved[0] = 1), "Padding"),
        ("set-reserved-3", "reserved not zero", changed(|set| set.reserved[2] = 128), "Padding"),
    ] {
        vectors.refused("set", name, note, &bytes, error);
    }
}

fn shapes(vectors: &mut Vectors) {
    let base = base();
    let (least, most) = {
        let least = 8 * (u64::from(base.parameter) + 1);
        (least, least + (RANGE >> base.parameter))
    };
    let with_parameter = |parameter| RawSet::with_parameter(RANGE, &VALUES, parameter).bytes();
    let with_bits = |bits: u64| {
        changed(|set| {
            set.bits = bits;
            set.code.resize(bits.div_ceil(8) as usize, 0);
        })
    };
    let full = || RawSet::of(64, &(0..64).collect::<Vec<_>>());
    let over_full = RawSet { len: 65, ..full() }.bytes();
    let huge = RawSet { len: u32::MAX, ..base.clone() }.bytes();
    for (name, note, bytes, error) in [
        ("set-over-full", "N = F + 1", over_full, "Limit"),
        ("set-count-2-32-less-1", "N = 2^32 - 1 in a file of 100 bytes", huge, "Limit"),
        ("set-parameter-low", "P one too small", with_parameter(base.parameter - 1), "Mismatch"),
        ("set-parameter-high", "P one too large", with_parameter(base.parameter + 1), "Mismatch"),
        ("set-parameter-255", "P = 255", changed(|set| set.parameter = 255), "Mismatch"),
        (
            "set-parameter-of-none",
            "P = 1 without values",
            RawSet { parameter: 1, ..RawSet::of(RANGE, &[]) }.bytes(),
            "Mismatch",
        ),
        ("set-bits-below-least", "B below N (P + 1)", with_bits(least - 1), "BitLength"),
        ("set-bits-above-most", "B above N (P + 1) + (F >> P)", with_bits(most + 1), "BitLength"),
        (
            "set-bits-of-none",
            "B = 1 without values",
            RawSet { bits: 1, code: vec![0], ..RawSet::of(RANGE, &[]) }.bytes(),
            "BitLength",
        ),
        ("set-bits-2-64-less-1", "B = 2^64 - 1", changed(|set| set.bits = u64::MAX), "BitLength"),
    ] {
        vectors.refused("set", name, note, &bytes, error);
    }
}

fn codes(vectors: &mut Vectors) {
    let base = base();
    assert!(!base.bits.is_multiple_of(8), "has padding");
    // Quotients of 1 only, then of 0 only: there is room for 8 bits fewer, or more.
    let mut cut = RawSet::of(RANGE, &[1_024, 2_049, 3_074, 4_099, 5_124, 6_149, 7_174, 8_199]);
    cut.bits -= 8;
    cut.code.pop();
    let mut longer = RawSet::of(RANGE, &[0, 1, 2, 3, 4, 5, 6, 7]);
    longer.bits += 8;
    longer.code.push(0);
    let ones = changed(|set| set.code.fill(0xff));
    let beyond = RawSet::of(RANGE, &[&VALUES[..7], &[RANGE]].concat()).bytes();
    let padding = changed(|set| *set.code.last_mut().unwrap() |= 0x80);
    // The same P fits one more and one fewer, and so does the length.
    let fives = RawSet::of(200, &(0..40).map(|i| 5 * i).collect::<Vec<_>>());
    let counted = |len| RawSet { len, ..fives.clone() }.bytes();
    let bits = |bits: u64| changed(|set| set.bits = bits);
    for (name, note, bytes, error) in [
        ("set-bits-one-less", "B one too small", bits(base.bits - 1), "Overrun"),
        ("set-bits-one-more", "B one too large", bits(base.bits + 1), "Mismatch"),
        ("set-bits-byte-less", "the trailer must not be read as code", cut.bytes(), "Overrun"),
        ("set-bits-byte-more", "8 bits behind the last value", longer.bytes(), "Mismatch"),
        ("set-all-ones", "a run of ones without end", ones, "Overrun"),
        ("set-count-one-more", "N one more than coded", counted(41), "Overrun"),
        ("set-count-one-less", "N one less than coded", counted(39), "Mismatch"),
        ("set-value-of-range", "the last value is F", beyond, "Limit"),
        ("set-padding", "a padding bit is set", padding, "Padding"),
    ] {
        vectors.refused("set", name, note, &bytes, error);
    }
}

fn trailers(vectors: &mut Vectors) {
    let bytes = base().bytes();
    let other = RawSet::of(RANGE, &VALUES[1..]).bytes();
    let last: [u8; 32] = other[other.len() - 32..].try_into().unwrap();
    let salt = raw::flipped(&bytes, 8, 0);
    let code = raw::flipped(&bytes, 48, 1);
    let trailer = raw::flipped(&bytes, bytes.len() - 1, 7);
    let exchanged = raw::edited(&bytes, &[(bytes.len() - 32, &last)]);
    for (name, note, bytes) in [
        ("set-flipped-salt", "a bit of the salt flipped", salt),
        ("set-flipped-code", "a bit of a remainder flipped", code),
        ("set-flipped-trailer", "the last bit flipped", trailer),
        ("set-other-trailer", "the trailer of another set", exchanged),
        (
            "set-no-trailer",
            "a trailer of zeros",
            raw::edited(&bytes, &[(bytes.len() - 32, &[0; 32])]),
        ),
    ] {
        vectors.refused("set", name, note, &bytes, "Digest");
    }
}

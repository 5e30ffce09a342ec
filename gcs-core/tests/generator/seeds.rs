//! Lists of seeds, and deltas between them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::out::{Case, Vectors};
use super::raw;
use crate::golden::hex;
use crate::naive::seeds::{Pair, SeedList, lengths};
use crate::naive::{self, bits};

const DAY_KEYS: u16 = 1;
const WINDOW_SEED: u16 = 2;
const EXPOSURE_KEY: u16 = 3;

pub(crate) fn add(vectors: &mut Vectors) {
    valid(vectors);
    valid_deltas(vectors);
    headers(vectors);
    directories(vectors);
    notes(vectors);
    codes(vectors);
    lengths_and_trailers(vectors);
    wrong_deltas(vectors);
    wrong_bases(vectors);
}

/// Bytes that look random, other ones for each number.
fn noise(number: u32, len: usize) -> Vec<u8> {
    naive::sha256(&[b"seed", &number.to_le_bytes()])[..len].to_vec()
}

fn seed(kind: u16, number: u32) -> Vec<u8> {
    noise(number, lengths(kind).1)
}

/// Used for five days.
fn day_key(date: u32, number: u32) -> Pair {
    day_keys(date, 5, number)
}

fn day_keys(date: u32, days: u8, number: u32) -> Pair {
    (day_note(date, days), seed(DAY_KEYS, number))
}

fn day_note(date: u32, days: u8) -> Vec<u8> {
    [&date.to_be_bytes()[..], &[days]].concat()
}

fn window_seed(length: u8, window: u32, seed: &[u8]) -> Pair {
    ([&[length][..], &window.to_be_bytes()].concat(), seed.to_vec())
}

/// Rolling start; rolling period, report type, variant, risk and days since onset.
fn exposure_key(start: u32, rest: [u8; 5], number: u32) -> Pair {
    ([&start.to_be_bytes()[..], &rest].concat(), seed(EXPOSURE_KEY, number))
}

/// A list, of which every part can be wrong.
#[derive(Clone)]
struct RawList {
    kind: u16,
    reserved: [u8; 2],
    groups: u32,
    bits: u64,
    directory: Vec<u8>,
    code: Vec<u8>,
    tails: Vec<u8>,
}

impl RawList {
    /// As it should be.
    fn of(kind: u16, pairs: &[Pair]) -> RawList {
        let file = SeedList::write(kind, &pairs.iter().cloned().collect());
        let body = &file[12..file.len() - 32];
        let (groups, rest) = body.split_at(4);
        let (bits, rest) = rest.split_at(8);
        let bits = u64::from_le_bytes(bits.try_into().unwrap());
        let tails = pairs.len() * (lengths(kind).1 - 6);
        let (rest, tails) = rest.split_at(rest.len() - tails);
        let (directory, code) = rest.split_at(rest.len() - bits.div_ceil(8) as usize);
        RawList {
            kind,
            reserved: [0; 2],
            groups: u32::from_le_bytes(groups.try_into().unwrap()),
            bits,
            directory: directory.to_vec(),
            code: code.to_vec(),
            tails: tails.to_vec(),
        }
    }

    fn body(&self) -> Vec<u8> {
        let head = [&self.groups.to_le_bytes()[..], &self.bits.to_le_bytes()].concat();
        [&head, &self.directory[..], &self.code, &self.tails].concat()
    }

    fn bytes(&self) -> Vec<u8> {
        let head = [b"GCSSED\x01\x00", &self.kind.to_le_bytes()[..], &self.reserved].concat();
        naive::sealed(&[head, self.body()].concat())
    }
}

/// Three keys of two dates, whose code does not end with a byte.
fn few() -> Vec<Pair> {
    vec![day_key(18_362, 2), day_key(18_362, 7), day_key(18_363, 1)]
}

fn changed(change: impl FnOnce(&mut RawList)) -> Vec<u8> {
    let mut list = RawList::of(DAY_KEYS, &few());
    change(&mut list);
    list.bytes()
}

fn expect(pairs: &[Pair], file: &[u8]) -> Value {
    let sorted: BTreeSet<&Pair> = pairs.iter().collect();
    let pairs: Vec<Value> =
        sorted.iter().map(|(note, seed)| json!([hex(note), hex(seed)])).collect();
    let mut expect = json!({
        "count": pairs.len(),
        "identity": hex(&file[file.len() - 32..]),
        "first": pairs.first(),
        "last": pairs.last(),
    });
    if pairs.len() <= 100 {
        expect["pairs"] = pairs.into();
    }
    expect
}

fn list_case(vectors: &mut Vectors, kind: u16, name: &str, note: &str, bytes: &[u8]) -> Case {
    vectors.file_case("seed_list", name, note, bytes).with("seed_kind", kind)
}

fn refused(vectors: &mut Vectors, kind: u16, name: &str, note: &str, bytes: &[u8], error: &str) {
    let case = list_case(vectors, kind, name, note, bytes);
    vectors.invalid(case, error);
}

fn valid(vectors: &mut Vectors) {
    let alike = |last: u8| [&[0xab; 15][..], &[last]].concat();
    let all_notes = [
        exposure_key(0, [1, 0, 0, 0, 0], 1),
        exposure_key(2_649_888, [144, 1, 255, 255, 128], 2),
        exposure_key(2_649_888, [144, 1, 255, 8, 242], 3),
        exposure_key(2_649_888, [144, 5, 4, 8, 242], 4),
        exposure_key(2_649_888, [144, 5, 4, 8, 242], 5),
        exposure_key(u32::MAX - 144, [144, 255, 255, 255, 127], 6),
    ];
    let many: Vec<Pair> = (0..300)
        .map(|number| exposure_key(144, [144, 1, 255, 0, 128], number))
        .chain((300..427).map(|number| exposure_key(288, [144, 1, 255, 0, 128], number)))
        .chain((427..555).map(|number| exposure_key(288, [144, 1, 255, 1, 128], number)))
        .collect();
    let ends = [[0; 32], [0xff; 32]].map(|key| (day_note(18_362, 5), key.to_vec()));
    let windows = [(1, 0, 1), (1, 220_348, 2), (2, u32::MAX, 3), (2, u32::MAX, 4)]
        .map(|(length, window, number)| window_seed(length, window, &seed(WINDOW_SEED, number)));
    let dates = [(0, 1), (255, 32), (256, 1), (256, 2), (2_932_865, 32), (2_932_896, 1)];
    let dates: Vec<Pair> =
        (1..).zip(dates).map(|(number, (date, days))| day_keys(date, days, number)).collect();
    for (name, note, kind, pairs) in [
        ("seeds-small", "keys of two dates", DAY_KEYS, few()),
        ("seeds-empty", "no seeds", DAY_KEYS, vec![]),
        ("seeds-one", "one seed: P is 47", DAY_KEYS, vec![day_key(18_362, 9)]),
        ("seeds-ends", "first and last of all seeds", DAY_KEYS, ends.to_vec()),
        ("seeds-dates", "notes that ascend by their bytes", DAY_KEYS, dates),
        ("seeds-windows", "windows of both lengths", WINDOW_SEED, windows.to_vec()),
        (
            "seeds-alike",
            "seeds whose heads are equal",
            WINDOW_SEED,
            (0..40).map(|last| window_seed(2, 5, &alike(3 * last))).collect(),
        ),
        (
            "seeds-twice",
            "one seed with two notes",
            WINDOW_SEED,
            vec![window_seed(1, 7, &alike(1)), window_seed(1, 8, &alike(1))],
        ),
        ("seeds-notes", "notes with and without each field", EXPOSURE_KEY, all_notes.to_vec()),
        ("seeds-many", "lengths of groups in one and two bytes", EXPOSURE_KEY, many),
    ] {
        let bytes = SeedList::write(kind, &pairs.iter().cloned().collect());
        let case = list_case(vectors, kind, name, note, &bytes);
        vectors.valid(case, expect(&pairs, &bytes));
    }
}

fn headers(vectors: &mut Vectors) {
    let bytes = changed(|_| ());
    let edited = |edits: &[(usize, &[u8])]| naive::resealed(&raw::edited(&bytes, edits));
    for (name, note, bytes, error) in [
        ("seeds-magic", "magic of a delta", edited(&[(0, b"GCSSDD")]), "Magic"),
        ("seeds-version", "version 2", edited(&[(6, &[2])]), "Version"),
        ("seeds-kind", "seeds of another kind", edited(&[(8, &[2])]), "Mismatch"),
        ("seeds-kind-of-none", "a kind that there is not", edited(&[(8, &[4])]), "Mismatch"),
        ("seeds-reserved", "reserved not zero", changed(|list| list.reserved[1] = 1), "Padding"),
    ] {
        refused(vectors, DAY_KEYS, name, note, &bytes, error);
    }
}

/// The directory of the few: 0, date, 5 days, 2; 3, last byte of the date, 5 days, 1.
fn directories(vectors: &mut Vectors) {
    assert_eq!(changed(|list| assert_eq!(list.directory[6..], [2, 3, 187, 5, 1])).len(), 164);
    let directory = |new: &[u8]| changed(|list| list.directory = new.to_vec());
    let first = [0, 0, 0, 71, 186, 5];
    let with = |rest: &[u8]| directory(&[&first[..], rest].concat());
    let twice = RawList {
        groups: 2,
        directory: [&first[..], &[1, 0, 0, 0, 71, 186, 5, 1]].concat(),
        ..RawList::of(DAY_KEYS, &[])
    };
    let parts = |number| RawList::of(DAY_KEYS, &[day_key(18_362, number)]);
    let (one, two) = if seed(DAY_KEYS, 1) < seed(DAY_KEYS, 2) { (1, 2) } else { (2, 1) };
    let twice = {
        let codes = [one, two].map(|number| bits_of(&parts(number)));
        let (code, bits) = joined(&codes);
        let tails = [parts(one).tails, parts(two).tails].concat();
        RawList { bits, code, tails, ..twice }
    };
    for (name, note, bytes, error) in [
        (
            "seeds-first-shares",
            "the first group shares a byte with none",
            changed(|list| drop(list.directory.splice(..2, [1]))),
            "Limit",
        ),
        ("seeds-shares-all", "a note that is wholly shared", with(&[2, 5, 1]), "Limit"),
        (
            "seeds-shares-less",
            "a byte that is shared and given",
            with(&[2, 2, 71, 187, 5, 1]),
            "Order",
        ),
        ("seeds-note-twice", "two groups of one note", twice.bytes(), "Order"),
        ("seeds-notes-descend", "an earlier note", with(&[2, 3, 185, 5, 1]), "Order"),
        ("seeds-group-of-none", "n = 0", with(&[2, 3, 187, 5, 0]), "Padding"),
        ("seeds-count-long", "n = 1 in two bytes", with(&[2, 3, 187, 5, 0x81, 0]), "Padding"),
        ("seeds-count-2-32", "n = 2^32", with(&[2, 3, 187, 5, 128, 128, 128, 128, 16]), "Limit"),
        (
            "seeds-count-endless",
            "n in six bytes, the last of which is 0",
            with(&[2, 3, 187, 5, 129, 128, 128, 128, 128, 0]),
            "Limit",
        ),
        (
            "seeds-count-most",
            "n = 2^32 - 3 and 2",
            with(&[2, 3, 187, 5, 253, 255, 255, 255, 15]),
            "BitLength",
        ),
        (
            "seeds-count-sum",
            "n = 2^32 - 2 and 2",
            with(&[2, 3, 187, 5, 254, 255, 255, 255, 15]),
            "Limit",
        ),
        ("seeds-groups-more", "one group more", changed(|list| list.groups = 3), "Limit"),
        ("seeds-groups-less", "one group less", changed(|list| list.groups = 1), "BitLength"),
        ("seeds-groups-2-32", "2^32 - 1 groups", changed(|list| list.groups = u32::MAX), "Limit"),
    ] {
        refused(vectors, DAY_KEYS, name, note, &bytes, error);
    }
}

/// The bits of a code, one by one.
fn bits_of(list: &RawList) -> Vec<bool> {
    (0..list.bits).map(|bit| list.code[bit as usize / 8] >> (bit % 8) & 1 == 1).collect()
}

/// Codes one behind the other, and how many bits they are together.
fn joined(codes: &[Vec<bool>]) -> (Vec<u8>, u64) {
    let bits = codes.concat();
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    (bits.chunks(8).map(byte).collect(), bits.len() as u64)
}

fn notes(vectors: &mut Vectors) {
    let days = |date, days| RawList::of(DAY_KEYS, &[day_keys(date, days, 1)]);
    let window = |length| RawList::of(WINDOW_SEED, &[window_seed(length, 5, &noise(1, 16))]);
    let exposure = |start, rest| RawList::of(EXPOSURE_KEY, &[exposure_key(start, rest, 1)]);
    for (name, note, list) in [
        ("seeds-date-10000", "10000-01-01", days(2_932_897, 1)),
        ("seeds-last-date", "a second day that is 10000-01-01", days(2_932_896, 2)),
        ("seeds-days-0", "a key that was never used", days(18_362, 0)),
        ("seeds-days-33", "a key that was used for too long", days(18_362, 33)),
        ("seeds-window-0", "a window of no length", window(0)),
        ("seeds-window-3", "a window of six hours", window(3)),
        ("seeds-start", "2^32 - 144", exposure(u32::MAX - 143, [1, 0, 0, 0, 0])),
        ("seeds-period-0", "no rolling period", exposure(5, [0, 0, 0, 0, 0])),
        ("seeds-period-145", "more than a day", exposure(5, [145, 0, 0, 0, 0])),
        ("seeds-report-type-6", "no such report type", exposure(5, [1, 6, 0, 0, 0])),
        ("seeds-variant-5", "no such variant", exposure(5, [1, 0, 5, 0, 0])),
        ("seeds-risk-9", "no such risk", exposure(5, [1, 0, 0, 9, 0])),
        ("seeds-risk-254", "not quite none", exposure(5, [1, 0, 0, 254, 0])),
    ] {
        refused(vectors, list.kind, name, note, &list.bytes(), "Limit");
    }
}

fn codes(vectors: &mut Vectors) {
    let few = RawList::of(DAY_KEYS, &few());
    let bits = |bits: u64| changed(|list| list.bits = bits);
    assert!(few.bits % 8 > 1, "{} bits: room for one more in the last byte", few.bits);
    // The second group has 48 to 50 bits, the first 2·47 to 2·47 + 4.
    let least = 2 * 47 + 48;
    let with_bits = |bits: u64| {
        changed(|list| {
            list.bits = bits;
            list.code.resize(bits.div_ceil(8) as usize, 0);
        })
    };
    let one = RawList::of(DAY_KEYS, &[day_key(18_362, 9)]);
    let beyond = RawList { bits: 50, code: vec![3, 0, 0, 0, 0, 0, 0], ..one.clone() };
    // 80 seeds after it have room for the ones of the first.
    let longer = {
        let mut pairs = vec![day_key(1, 1)];
        pairs.extend((2..82).map(|number| day_key(2, number)));
        let mut list = RawList::of(DAY_KEYS, &pairs);
        list.code[0] = 0xff;
        list
    };
    let alike = |lasts: [u8; 2]| {
        let seed = |last| window_seed(2, 5, &[&[0xab; 15][..], &[last]].concat());
        let mut list = RawList::of(WINDOW_SEED, &[seed(1), seed(2)]);
        list.tails[9] = lasts[0];
        list.tails[19] = lasts[1];
        list.bytes()
    };
    for (name, note, kind, bytes, error) in [
        (
            "seeds-bits-below-least",
            "B too small for the groups",
            DAY_KEYS,
            with_bits(least - 1),
            "BitLength",
        ),
        (
            "seeds-bits-above-most",
            "B too large for the groups",
            DAY_KEYS,
            with_bits(least + 7),
            "BitLength",
        ),
        ("seeds-bits-2-64-less-1", "B = 2^64 - 1", DAY_KEYS, bits(u64::MAX), "BitLength"),
        ("seeds-bits-one-less", "B one too small", DAY_KEYS, bits(few.bits - 1), "Overrun"),
        ("seeds-bits-one-more", "B one too large", DAY_KEYS, bits(few.bits + 1), "Mismatch"),
        (
            "seeds-ones",
            "ones without end",
            DAY_KEYS,
            changed(|list| list.code.fill(0xff)),
            "Overrun",
        ),
        (
            "seeds-ones-of-group",
            "more ones than its group may have",
            DAY_KEYS,
            longer.bytes(),
            "Overrun",
        ),
        ("seeds-head-2-48", "a head of 2^48", DAY_KEYS, beyond.bytes(), "Limit"),
        (
            "seeds-padding",
            "a padding bit is set",
            DAY_KEYS,
            changed(|list| *list.code.last_mut().unwrap() |= 0x80),
            "Padding",
        ),
        ("seeds-same", "the same seed twice", WINDOW_SEED, alike([2, 2]), "Order"),
        ("seeds-descend", "tails that descend", WINDOW_SEED, alike([2, 1]), "Order"),
    ] {
        refused(vectors, kind, name, note, &bytes, error);
    }
}

fn lengths_and_trailers(vectors: &mut Vectors) {
    let bytes = changed(|_| ());
    for (name, note, length) in [
        ("seeds-cut-to-nothing", "no bytes at all", 0),
        ("seeds-cut-in-header", "11 bytes", 11),
        ("seeds-cut-in-body", "13 bytes", 13),
        ("seeds-cut-short", "43 bytes", 43),
        ("seeds-cut-trailer", "the trailer is missing", bytes.len() - 32),
        ("seeds-cut-last-byte", "the last byte is missing", bytes.len() - 1),
    ] {
        refused(vectors, DAY_KEYS, name, note, &bytes[..length], "Length");
    }
    let sealed = naive::sealed(&[&bytes[..bytes.len() - 32], &[0]].concat());
    let note = "a zero byte between tails and trailer, sealed";
    refused(vectors, DAY_KEYS, "seeds-byte-before-trailer", note, &sealed, "Length");
    for (name, note, at) in [
        ("seeds-flipped-tail", "a bit of a tail flipped", bytes.len() - 33),
        ("seeds-flipped-trailer", "the last bit flipped", bytes.len() - 1),
    ] {
        refused(vectors, DAY_KEYS, name, note, &raw::flipped(&bytes, at, 7), "Digest");
    }
}

/// A delta, of which every part can be wrong.
#[derive(Clone)]
struct RawDelta {
    kind: u16,
    reserved: [u8; 2],
    base_length: u32,
    base: [u8; 32],
    target: [u8; 32],
    removed: u32,
    bits: u64,
    ranks: Vec<u8>,
    body: Vec<u8>,
}

impl RawDelta {
    /// As it should be.
    fn of(kind: u16, base: &[Pair], target: &[Pair]) -> RawDelta {
        let sorted = |pairs: &[Pair]| pairs.iter().cloned().collect::<BTreeSet<Pair>>();
        let (base, target) = (sorted(base), sorted(target));
        let identity = |pairs| -> [u8; 32] {
            let file = SeedList::write(kind, pairs);
            file[file.len() - 32..].try_into().unwrap()
        };
        let ranked = (0..).zip(&base).filter(|(_, pair)| !target.contains(*pair));
        let removed: Vec<u64> = ranked.map(|(rank, _)| rank).collect();
        let added: Vec<Pair> = target.difference(&base).cloned().collect();
        let length = base.len() as u32;
        let (ranks, bits) = coded(length, &removed);
        RawDelta {
            kind,
            reserved: [0; 2],
            base_length: length,
            base: identity(&base),
            target: identity(&target),
            removed: removed.len() as u32,
            bits,
            ranks,
            body: RawList::of(kind, &added).body(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let head = [b"GCSSDD\x01\x00", &self.kind.to_le_bytes()[..], &self.reserved].concat();
        let lists = [&self.base_length.to_le_bytes()[..], &self.base, &self.target].concat();
        let removed = [&self.removed.to_le_bytes()[..], &self.bits.to_le_bytes()].concat();
        naive::sealed(&[&head[..], &lists, &removed, &self.ranks, &self.body].concat())
    }
}

/// The code of ranks in a base.
fn coded(base: u32, ranks: &[u64]) -> (Vec<u8>, u64) {
    bits::code(ranks, bits::parameter(base.into(), ranks.len() as u32))
}

/// Twelve keys of three dates, and what becomes of them.
fn base() -> Vec<Pair> {
    (0..12).map(|number| day_key(18_362 + number / 4, number)).collect()
}

fn target() -> Vec<Pair> {
    let kept = base().into_iter().enumerate().filter(|(at, _)| ![1, 5, 6].contains(at));
    kept.map(|(_, pair)| pair).chain([day_key(18_361, 20), day_key(18_364, 21)]).collect()
}

fn changed_delta(change: impl FnOnce(&mut RawDelta)) -> Vec<u8> {
    let mut delta = RawDelta::of(DAY_KEYS, &base(), &target());
    change(&mut delta);
    delta.bytes()
}

fn delta_case(vectors: &mut Vectors, kind: u16, name: &str, note: &str, bytes: &[u8]) -> Case {
    vectors.file_case("seed_delta", name, note, bytes).with("seed_kind", kind)
}

fn valid_deltas(vectors: &mut Vectors) {
    let revoked = exposure_key(288, [144, 5, 255, 0, 128], 7);
    let confirmed = exposure_key(288, [144, 1, 255, 0, 128], 7);
    let others: Vec<Pair> =
        (10..200).map(|number| exposure_key(288, [144, 1, 255, 0, 128], number)).collect();
    for (name, note, kind, base, target) in [
        ("seeddelta-both", "removes and adds", DAY_KEYS, base(), target()),
        ("seeddelta-nothing", "changes nothing", DAY_KEYS, base(), base()),
        ("seeddelta-of-empty", "empty to empty", DAY_KEYS, vec![], vec![]),
        ("seeddelta-from-empty", "all is added", DAY_KEYS, vec![], base()),
        ("seeddelta-to-empty", "all is removed", DAY_KEYS, base(), vec![]),
        (
            "seeddelta-note",
            "a key is revoked: its note changes",
            EXPOSURE_KEY,
            [&others[..], &[confirmed]].concat(),
            [&others[..], &[revoked]].concat(),
        ),
    ] {
        let delta = RawDelta::of(kind, &base, &target);
        let list = |pairs: &[Pair]| SeedList::write(kind, &pairs.iter().cloned().collect());
        let base_file = vectors.file(&format!("{name}.base.bin"), &list(&base));
        let target_file = vectors.file(&format!("{name}.target.bin"), &list(&target));
        let case = delta_case(vectors, kind, name, note, &delta.bytes()).with("base", base_file);
        let (base, target): (BTreeSet<_>, BTreeSet<_>) =
            (base.iter().collect(), target.iter().collect());
        let ranked = (0..).zip(&base).filter(|(_, pair)| !target.contains(*pair));
        let removed: Vec<u32> = ranked.map(|(rank, _)| rank).collect();
        let added = target.difference(&base).map(|(note, seed)| json!([hex(note), hex(seed)]));
        let expect = json!({
            "base": hex(&delta.base), "base_count": base.len(),
            "target": hex(&delta.target), "target_count": target.len(),
            "removed": removed, "added": added.collect::<Vec<_>>(), "target_file": target_file,
        });
        vectors.valid(case, expect);
    }
}

fn wrong_deltas(vectors: &mut Vectors) {
    let right = RawDelta::of(DAY_KEYS, &base(), &target());
    let bytes = right.bytes();
    let (least, most) = (3 * 2, 3 * 2 + (12 >> 1));
    assert_eq!(bits::parameter(12, 3), 1);
    assert!(!right.bits.is_multiple_of(8), "the ranks have padding");
    let with_bits = |bits: u64| {
        changed_delta(|delta| {
            delta.bits = bits;
            delta.ranks.resize(bits.div_ceil(8) as usize, 0);
        })
    };
    let ranks = |ranks: &[u64]| {
        changed_delta(|delta| {
            (delta.ranks, delta.bits) = coded(12, ranks);
            delta.removed = ranks.len() as u32;
        })
    };
    let no_change = RawDelta::of(DAY_KEYS, &[], &[day_key(5, 1)]);
    let full = RawDelta { base_length: u32::MAX, ..no_change };
    let twins = {
        let seed = |last| window_seed(2, 5, &[&[0xab; 15][..], &[last]].concat());
        let mut delta = RawDelta::of(WINDOW_SEED, &[], &[seed(1), seed(2)]);
        *delta.body.last_mut().unwrap() = 1;
        delta.bytes()
    };
    for (name, note, kind, bytes, error) in [
        (
            "seeddelta-magic",
            "magic of a list",
            DAY_KEYS,
            naive::resealed(&raw::edited(&bytes, &[(0, b"GCSSED")])),
            "Magic",
        ),
        (
            "seeddelta-version",
            "version 0",
            DAY_KEYS,
            naive::resealed(&raw::edited(&bytes, &[(6, &[0])])),
            "Version",
        ),
        (
            "seeddelta-kind",
            "another kind",
            DAY_KEYS,
            changed_delta(|delta| delta.kind = 3),
            "Mismatch",
        ),
        (
            "seeddelta-reserved",
            "reserved not zero",
            DAY_KEYS,
            changed_delta(|delta| delta.reserved[0] = 1),
            "Padding",
        ),
        (
            "seeddelta-over-full",
            "removes more than there are",
            DAY_KEYS,
            changed_delta(|delta| delta.removed = 13),
            "Limit",
        ),
        ("seeddelta-bits-below-least", "B too small", DAY_KEYS, with_bits(least - 1), "BitLength"),
        ("seeddelta-bits-above-most", "B too large", DAY_KEYS, with_bits(most + 1), "BitLength"),
        (
            "seeddelta-ranks-bits-less",
            "B one too small for the ranks",
            DAY_KEYS,
            with_bits(right.bits - 1),
            "Overrun",
        ),
        (
            "seeddelta-ranks-bits-more",
            "B one too large for the ranks",
            DAY_KEYS,
            with_bits(right.bits + 1),
            "Mismatch",
        ),
        ("seeddelta-rank-beyond", "removes rank 12 of 12", DAY_KEYS, ranks(&[1, 5, 12]), "Limit"),
        (
            "seeddelta-ranks-padding",
            "padding of the ranks",
            DAY_KEYS,
            changed_delta(|delta| *delta.ranks.last_mut().unwrap() |= 0x80),
            "Padding",
        ),
        (
            "seeddelta-ranks-overrun",
            "ones only",
            DAY_KEYS,
            changed_delta(|delta| delta.ranks.fill(0xff)),
            "Overrun",
        ),
        (
            "seeddelta-added-padding",
            "a group of none",
            DAY_KEYS,
            changed_delta(|delta| delta.body[12 + 6] = 0),
            "Padding",
        ),
        ("seeddelta-added-same", "adds a seed twice", WINDOW_SEED, twins, "Order"),
        ("seeddelta-too-many", "2^32 seeds come out", DAY_KEYS, full.bytes(), "Limit"),
        (
            "seeddelta-byte-before-trailer",
            "a byte too many",
            DAY_KEYS,
            changed_delta(|delta| delta.body.push(0)),
            "Length",
        ),
        ("seeddelta-cut-in-header", "91 bytes", DAY_KEYS, bytes[..91].to_vec(), "Length"),
        ("seeddelta-cut-in-ranks", "92 bytes", DAY_KEYS, bytes[..92].to_vec(), "Length"),
        ("seeddelta-cut-in-body", "120 bytes", DAY_KEYS, bytes[..120].to_vec(), "Length"),
        (
            "seeddelta-flipped",
            "a bit of the base's identity",
            DAY_KEYS,
            raw::flipped(&bytes, 20, 3),
            "Digest",
        ),
    ] {
        let case = delta_case(vectors, kind, name, note, &bytes);
        vectors.invalid(case, error);
    }
}

fn wrong_bases(vectors: &mut Vectors) {
    let file = |pairs: &[Pair]| SeedList::write(DAY_KEYS, &pairs.iter().cloned().collect());
    let with = |removed: &[u64], added: &[Pair]| {
        changed_delta(|delta| {
            (delta.ranks, delta.bits) = coded(12, removed);
            delta.removed = removed.len() as u32;
            delta.body = RawList::of(DAY_KEYS, added).body();
        })
    };
    let to_base = |removed: &[u64], added: &[Pair]| {
        let mut bytes = with(removed, added);
        let identity: [u8; 32] = bytes[16..48].try_into().unwrap();
        bytes[48..80].copy_from_slice(&identity);
        naive::resealed(&bytes)
    };
    let (sorted, right) = (base().into_iter().collect::<BTreeSet<_>>(), changed_delta(|_| ()));
    let first = sorted.first().cloned().unwrap();
    let new = [day_key(18_361, 20), day_key(18_364, 21)];
    let ranks: Vec<u64> = {
        let kept: BTreeSet<Pair> = target().into_iter().collect();
        (0..).zip(&sorted).filter(|(_, pair)| !kept.contains(*pair)).map(|(rank, _)| rank).collect()
    };
    // A seed that is removed anyway.
    let mut other: Vec<Pair> = sorted.iter().cloned().collect();
    *other[ranks[0] as usize].1.last_mut().unwrap() ^= 1;
    let neighbour: Vec<u64> = [ranks[0], ranks[1], ranks[2] + 1].to_vec();
    for (name, note, base, bytes, error) in [
        ("seeddelta-on-target", "the base is the target", file(&target()), right.clone(), "Base"),
        (
            "seeddelta-on-other",
            "a seed that is removed is another",
            file(&other),
            right.clone(),
            "Base",
        ),
        ("seeddelta-on-empty", "the base is empty", file(&[]), right, "Base"),
        (
            "seeddelta-base-count",
            "the base has one seed more",
            file(&base()),
            changed_delta(|delta| delta.base_length -= 1),
            "BaseLength",
        ),
        (
            "seeddelta-other-target",
            "promises another identity",
            file(&base()),
            changed_delta(|delta| delta.target[0] ^= 1),
            "Target",
        ),
        (
            "seeddelta-other-removed",
            "removes a neighbour",
            file(&base()),
            with(&neighbour, &new),
            "Target",
        ),
        (
            "seeddelta-adds-present",
            "adds what the base has",
            file(&base()),
            to_base(&[], std::slice::from_ref(&first)),
            "AlreadyPresent",
        ),
        (
            "seeddelta-adds-removed",
            "adds what it removes",
            file(&base()),
            to_base(&[0], &[first]),
            "AlreadyPresent",
        ),
    ] {
        let base = vectors.file(&format!("{name}.base.bin"), &base);
        let case = delta_case(vectors, DAY_KEYS, name, note, &bytes).with("base", base);
        vectors.invalid(case, error);
    }
}

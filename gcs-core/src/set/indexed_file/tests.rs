use super::run::RUN_BYTES;
use super::*;
use crate::set::buckets::CodePlace;
use crate::set::index_file::{Block, parse_entry};
use crate::set::set::HEADER_LEN;
use crate::set::{Mapped, Match, Set, write_index};
use core::hash::Hasher as _;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::string::ToString;
use std::vec;

const SALT: Salt = Salt([9; 16]);

type InMemory<'a> = IndexedFile<&'a [u8], &'a [u8]>;

fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
    Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
}

fn index_of(set: &Set) -> Vec<u8> {
    let mut index = Vec::new();
    assert_eq!(write_index(&set.as_bytes(), &mut index).unwrap(), set.info());
    index
}

fn open<'a>(set: &'a [u8], index: &'a [u8]) -> Result<InMemory<'a>, IndexError> {
    IndexedFile::open(set, index)
}

/// 520 values below 1500, crowded at both ends: three blocks.
fn small() -> Set {
    set_of(1_500, (0..300).chain((300..1_400).step_by(9)).chain(1_402..1_499))
}

/// Hash ranges of every size; values evenly spread, crowded in one place, or both.
fn values() -> impl Strategy<Value = (u64, BTreeSet<u64>)> {
    let hash_range = prop_oneof![
        1u64..2_000,
        (0u32..57).prop_map(|bits| 1 << bits),
        1u64..1 << 57,
        Just((1 << 57) - 1)
    ];
    (hash_range, any::<u64>(), 0u32..57).prop_flat_map(|(bound, place, crowd)| {
        let crowded = (0u64..1 << crowd).prop_map(move |near| place.wrapping_add(near) % bound);
        let value = prop_oneof![0..bound, crowded, bound - bound.min(9)..bound];
        (Just(bound), prop::collection::btree_set(value, 0..2_000))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn ranks_are_those_of_a_btree_set(
        (bound, model) in values(),
        others in prop::collection::vec(any::<u64>(), 0..100),
        some in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let set = set_of(bound, model.iter().copied());
        let index = index_of(&set);
        let file = open(set.as_bytes(), &index).unwrap();
        prop_assert_eq!(file.info(), set.info());
        prop_assert_eq!(file.verify().unwrap(), set.info());

        let ranks: BTreeMap<u64, u32> = model.iter().copied().zip(0..).collect();
        let around =
            model.iter().flat_map(|&value| [value + 1, value, value.saturating_sub(1)]);
        let below = others.iter().map(|other| other % bound);
        let far = others.iter().copied().chain([0, bound]);
        let all: Vec<u64> = around.chain(below).chain(far).collect();
        for query in &all {
            prop_assert_eq!(file.rank_of(*query).unwrap(), ranks.get(query).copied());
        }
        // Very many queries, and a few in any order.
        let few = some.iter().map(|at| *at.get(&all)).collect();
        for queries in [all.clone(), few] {
            let expected: Vec<Match> = queries.iter().enumerate()
                .filter_map(|(query, value)| Some(Match { query, rank: *ranks.get(value)? }))
                .collect();
            let found = file.matches_fingerprints(&queries).unwrap();
            prop_assert_eq!(found.method(), Method::Index);
            prop_assert_eq!(found.into_vec(), expected);
        }
    }

    /// Parts of a file that come from another place in it, or are lost.
    #[test]
    fn torn_files_give_an_error_or_the_right_answer(
        in_index in any::<bool>(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        len in prop_oneof![Just(32usize), Just(64), 1usize..200],
        lost in any::<bool>(),
    ) {
        let set = set_of(1 << 20, (0..2_000).map(|i| i * 523));
        let mut files = [set.as_bytes().to_vec(), index_of(&set)];
        let torn = &mut files[usize::from(in_index)];
        let len = len.min(torn.len());
        // Whole entries change places, and other bytes too.
        let step = if len % 32 == 0 { 32 } else { 1 };
        let places = (torn.len() - len) / step + 1;
        let (from, to) = (from.index(places) * step, to.index(places) * step);
        if lost {
            torn[to..to + len].fill(0);
        } else {
            torn.copy_within(from..from + len, to);
        }
        let queries: Vec<u64> = (0..2_100).map(|i| i * 523 + u64::from(i % 5 == 4)).collect();
        assert_right_or_error(&files[0], &files[1], &set, &queries);
    }

    /// Entries that are wrong under right checks: whatever comes out, nothing panics.
    #[test]
    fn forged_entries_are_survived(
        changes in prop::collection::vec((0usize..4, -40i64..40, -40i64..40, -2i32..2), 1..4),
        wild in prop::option::of((0usize..4, any::<u64>(), any::<u64>(), any::<u32>())),
    ) {
        let set = small();
        let true_index = index_of(&set);
        let entries = true_index[96..].as_chunks::<ENTRY_LEN>().0[..4].iter();
        let mut places: Vec<CodePlace> =
            entries.map(|entry| parse_entry(entry).unwrap().0).collect();
        for (at, bit, next, rank) in changes {
            let place = &mut places[at];
            place.bit = place.bit.saturating_add_signed(bit);
            place.next = place.next.saturating_add_signed(next);
            place.rank = place.rank.saturating_add_signed(rank);
        }
        if let Some((at, bit, next, rank)) = wild {
            places[at] = CodePlace { bit, next, rank };
        }
        let index = forged(&set, &places);
        let file = open(set.as_bytes(), &index).unwrap();
        for fingerprint in (0..1_500).step_by(7) {
            let _ = file.rank_of(fingerprint);
        }
        let _ = file.matches_fingerprints(0..1_500u64);
        prop_assert_eq!(file.verify().is_ok(), index == true_index);
    }
}

/// The index of a set with other places, and the checks that they have.
fn forged(set: &Set, places: &[CodePlace]) -> Vec<u8> {
    use crate::bytes::Put as _;
    let header = IndexHeader { set: set.header(), identity: set.identity() };
    let mut index = header.to_bytes();
    let code = |range: core::ops::Range<u64>| {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        set.as_bytes().get(range)
    };
    for number in 0..places.len() {
        let from = places[number];
        index.put_u64(from.bit).put_u64(from.next).put_u32(from.rank).put_u32(0);
        let Some(&to) = places.get(number + 1) else {
            index.put_u64(0);
            break;
        };
        let mut hasher = header.checks().begin(&Block { number: number as u64, from, to });
        let range = HEADER_LEN as u64 + from.bit / 8..HEADER_LEN as u64 + to.bit.div_ceil(8);
        hasher.write(code(range).unwrap_or_default());
        index.put_u64(hasher.finish());
    }
    crate::bytes::seal(&mut index);
    index
}

/// Asserts that no answer is wrong. Returns whether some query, or opening, gave an error.
fn assert_right_or_error(set: &[u8], index: &[u8], model: &Set, queries: &[u64]) -> bool {
    let Ok(file) = open(set, index) else { return true };
    let mut failed = false;
    for &query in queries {
        match file.rank_of(query) {
            Ok(rank) => assert_eq!(rank, model.rank_of(query), "{query}"),
            Err(_) => failed = true,
        }
    }
    match file.matches_fingerprints(queries) {
        Ok(found) => {
            assert!(!failed);
            assert_eq!(found[..], model.matches_fingerprints(queries)[..]);
        }
        Err(_) => assert!(failed),
    }
    failed
}

/// Every changed byte of either file is an error of the queries that need it, and else of
/// none; verifying finds all.
#[test]
fn every_changed_byte() {
    let model = small();
    let (mut set, mut index) = (model.as_bytes().to_vec(), index_of(&model));
    let every: Vec<u64> = (0..1_501).collect();
    assert!(!assert_right_or_error(&set, &index, &model, &every));
    assert_eq!(index.len(), 96 + 4 * 32 + 32);
    // Of the last entry's check and the trailer, no answer depends.
    let unused = index.len() - 8 - 32;
    let verifies = |set: &[u8], index: &[u8]| open(set, index).and_then(|file| file.verify());
    for flip in [1, 0x80, 0xff] {
        for at in 0..set.len() {
            set[at] ^= flip;
            assert!(assert_right_or_error(&set, &index, &model, &every), "set, {at}");
            assert!(verifies(&set, &index).is_err(), "set, {at}");
            set[at] ^= flip;
        }
        for at in 0..index.len() {
            index[at] ^= flip;
            let failed = assert_right_or_error(&set, &index, &model, &every);
            assert_eq!(failed, at < unused, "index, {at}");
            assert!(verifies(&set, &index).is_err(), "index, {at}");
            index[at] ^= flip;
        }
    }
    verifies(&set, &index).unwrap();
}

/// A damaged header, or identity, is no index of another set.
#[test]
fn a_damaged_header_is_no_other_set() {
    let model = small();
    let (mut set, mut index) = (model.as_bytes().to_vec(), index_of(&model));
    for at in 8..88 {
        index[at] ^= 1;
        let error = open(&set, &index).unwrap_err();
        assert!(matches!(error, IndexError::Index(_)), "{at}: {error}");
        index[at] ^= 1;
    }
    for at in 0..48 {
        set[at] ^= 1;
        let error = open(&set, &index).unwrap_err();
        assert!(matches!(error, IndexError::Set(_)), "{at}: {error}");
        set[at] ^= 1;
    }
    // An identity that has changed may be that of another set: reading the set tells.
    *set.last_mut().unwrap() ^= 1;
    assert!(matches!(open(&set, &index), Err(IndexError::OtherSet { .. })));
}

#[test]
fn errors_name_the_block_and_the_file() {
    let model = small();
    let (mut set, mut index) = (model.as_bytes().to_vec(), index_of(&model));
    let block_of = |at: u32| (at * 3 / 1_500) as u64;
    // A bit of the code in the middle of the set: block 1, and no other.
    let begin = u64::from_le_bytes(index[96 + 32..][..8].try_into().unwrap());
    let at = 48 + begin as usize / 8 + 5;
    set[at] ^= 4;
    let file = open(&set, &index).unwrap();
    for query in [0, 700, 1_499] {
        match file.rank_of(query.into()) {
            Ok(_) => assert_ne!(block_of(query), 1),
            Err(IndexError::Block { block }) => assert_eq!((block, block_of(query)), (1, 1)),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(file.verify(), Err(IndexError::Set(_))));
    assert!(matches!(file.matches_fingerprints([3u64, 700]), Err(IndexError::Block { block: 1 })));
    assert!(file.matches_fingerprints([3u64]).is_ok());
    set[at] ^= 4;

    index[96 + 2 * 32 + 30] ^= 1;
    let file = open(&set, &index).unwrap();
    assert!(matches!(file.verify(), Err(IndexError::Block { block: 2 })));
    index[96 + 2 * 32 + 30] ^= 1;
    *index.last_mut().unwrap() ^= 1;
    let file = open(&set, &index).unwrap();
    let error = file.verify().unwrap_err();
    assert!(matches!(error, IndexError::Index(ParseError::Digest { .. })), "{error}");
}

#[test]
fn cut_files_and_files_that_go_on() {
    let model = small();
    let (set, index) = (model.as_bytes(), index_of(&model));
    for length in 0..set.len() {
        let error = open(&set[..length], &index).unwrap_err();
        assert!(matches!(error, IndexError::Set(ParseError::Length { .. })), "{error}");
    }
    for length in 0..index.len() {
        let error = open(set, &index[..length]).unwrap_err();
        assert!(matches!(error, IndexError::Index(ParseError::Length { .. })), "{error}");
    }
    let longer = [set, &[0]].concat();
    assert!(matches!(open(&longer, &index), Err(IndexError::Set(ParseError::Length { .. }))));
    let longer = [&index[..], &[0; 32]].concat();
    let error = open(set, &longer).unwrap_err();
    let expected = ParseError::Length { expected: 256, got: 288 };
    assert!(matches!(error, IndexError::Index(error) if error == expected));
}

#[test]
fn files_of_other_kinds_and_of_other_sets() {
    let model = small();
    let (set, index) = (model.as_bytes(), index_of(&model));
    let error = open(&index, set).unwrap_err();
    assert!(matches!(&error, IndexError::Set(ParseError::Magic { got, .. }) if got == b"GCSSIX"));
    let error = open(set, set).unwrap_err();
    assert!(matches!(&error, IndexError::Index(ParseError::Magic { got, .. }) if got == b"GCSSET"));
    let mut newer = index.clone();
    newer[6] = 2;
    let error = open(set, &newer).unwrap_err();
    assert!(matches!(error, IndexError::Index(ParseError::Version { expected: 1, got: 2 })));

    // Of the same salt, hash range and length; one value is another.
    let other = set_of(1_500, model.iter().map(|value| value + u64::from(value == 1_498)));
    assert_eq!(other.len(), model.len());
    let error = open(other.as_bytes(), &index).unwrap_err();
    let IndexError::OtherSet { expected, got } = &error else { panic!("{error}") };
    assert_eq!((*expected, *got), (model.identity(), other.identity()));
    let message = error.to_string();
    assert!(message.contains(&expected.to_string()) && message.contains(&got.to_string()));

    // Even if most of an older index is left under a new header, or of an older set.
    let newer = index_of(&other);
    let every: Vec<u64> = (0..1_500).collect();
    let torn = [&newer[..96], &index[96..]].concat();
    assert!(assert_right_or_error(other.as_bytes(), &torn, &other, &every));
    let torn = [&other.as_bytes()[..48], &set[48..set.len() - 32], &other.identity().0].concat();
    assert!(assert_right_or_error(&torn, &newer, &other, &every));
}

#[test]
fn the_smallest_sets() {
    for (hash_range, values) in
        [(1, vec![]), (1, vec![0]), ((1 << 57) - 1, vec![(1 << 57) - 2]), (9, vec![])]
    {
        let set = set_of(hash_range, values.iter().copied());
        let index = index_of(&set);
        assert_eq!(index.len(), 192);
        let file = open(set.as_bytes(), &index).unwrap();
        let edges = [0, 1, hash_range - 1, hash_range, u64::MAX];
        for query in edges {
            assert_eq!(file.contains_fingerprint(query).unwrap(), values.contains(&query));
        }
        assert_eq!(
            file.matches_fingerprints(edges).unwrap()[..],
            set.matches_fingerprints(edges)[..]
        );
        assert!(file.matches([[0; 16]; 0]).unwrap().is_empty());
    }
}

/// All values but two in one block: it has more bytes than are read at a time otherwise.
#[test]
fn a_block_with_nearly_all_values() {
    let hash_range = 1 << 56;
    let crowd = (0..150_000).map(|i| (1 << 55) + 3 * i);
    let set = set_of(hash_range, crowd.chain([0, hash_range - 1]));
    assert!(set.as_bytes().len() as u64 > 2 * RUN_BYTES);
    let index = index_of(&set);
    let file = open(set.as_bytes(), &index).unwrap();
    for query in [0, 1, 1 << 55, (1 << 55) + 299_997, (1 << 55) + 299_998, hash_range - 1] {
        assert_eq!(file.rank_of(query).unwrap(), set.rank_of(query));
    }
    let queries: Vec<u64> = (0..1_000).map(|i| i << 46).chain(set.iter().step_by(1_000)).collect();
    let found = file.matches_fingerprints(&queries).unwrap();
    assert_eq!(found[..], set.matches_fingerprints(&queries)[..]);
}

/// Files on disk, and queries from four threads at once.
#[test]
fn files_and_threads() {
    use std::fs::File;
    let elements: Vec<[u8; 16]> = (0..40_000u128).map(|i| (i * i + 7).to_le_bytes()).collect();
    let hash_range = HashRange::for_expected(20_000, 10).unwrap();
    let set = Set::build(SALT, hash_range, &elements[..20_000]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (set_path, index_path) = (folder.path().join("set"), folder.path().join("index"));
    std::fs::write(&set_path, set.as_bytes()).unwrap();
    let set_file = File::open(&set_path).unwrap();
    write_index(&set_file, File::create(&index_path).unwrap()).unwrap();
    let mut of_memory = Vec::new();
    assert_eq!(set.write_index(&mut of_memory).unwrap(), set.info());
    assert_eq!(std::fs::read(&index_path).unwrap(), of_memory);

    let file = IndexedFile::open(&set_file, File::open(&index_path).unwrap()).unwrap();
    let mapped = IndexedFile::open(Mapped(set.as_bytes()), Mapped(&of_memory)).unwrap();
    let expected = set.matches(&elements);
    assert!(expected.len() > 20_000);
    assert_eq!(file.matches(&elements).unwrap()[..], expected[..]);
    let found: BTreeSet<usize> = expected.iter().map(|found| found.query).collect();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let (file, mapped, found, elements) = (&file, &mapped, &found, &elements);
            scope.spawn(move || {
                for (at, element) in elements.iter().enumerate().skip(part * 10_000).step_by(5) {
                    assert_eq!(file.contains(element).unwrap(), found.contains(&at));
                    assert_eq!(mapped.contains(element).unwrap(), found.contains(&at));
                }
            });
        }
    });
    file.verify().unwrap();
    assert_eq!(file.hasher().fingerprint(&elements[0]), set.hasher().fingerprint(&elements[0]));
    assert_eq!((file.len(), file.salt(), file.hash_range()), (set.len(), SALT, hash_range));
    let (set_again, _) = file.into_inner();
    assert!(core::ptr::eq(set_again, &set_file));
}

/// A file that is there when it is opened, and fails later.
struct Failing<'a>(&'a [u8], u64);

impl ReadAt for Failing<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset == self.1 {
            Err(io::Error::other("gone"))
        } else {
            self.0.read_exact_at(buffer, offset)
        }
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn files_that_cannot_be_read() {
    let set = small();
    let (set, index) = (set.as_bytes(), index_of(&set));
    let never = u64::MAX;
    for at in [0, set.len() as u64 - 32] {
        let error = IndexedFile::open(Failing(set, at), &index[..]).unwrap_err();
        assert!(matches!(error, IndexError::ReadSet(_)), "{error}");
    }
    let error = IndexedFile::open(set, Failing(&index, 0)).unwrap_err();
    assert!(matches!(error, IndexError::ReadIndex(_)), "{error}");
    let file = IndexedFile::open(Failing(set, 48), Failing(&index, never)).unwrap();
    assert!(matches!(file.rank_of(0), Err(IndexError::ReadSet(_))));
    assert!(matches!(file.verify(), Err(IndexError::ReadSet(_))));
    assert!(file.rank_of(1_499).is_ok());
    let file = IndexedFile::open(Failing(set, never), Failing(&index, 96)).unwrap();
    assert!(matches!(file.rank_of(0), Err(IndexError::ReadIndex(_))));
}

#[test]
fn debug_shows_no_value() {
    let set = set_of(1 << 50, [123_456_789]);
    let index = index_of(&set);
    let file = open(set.as_bytes(), &index).unwrap();
    assert!(!std::format!("{file:?}").contains("123456789"));
}

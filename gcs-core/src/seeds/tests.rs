//! Laws of lists and deltas against a `BTreeSet`, and hostile bytes.

use alloc::vec;
use alloc::vec::Vec;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::bytes::{TRAILER_LEN, seal};
use crate::error::ParseError;

/// A seed of any bytes, whose note is any but those whose second byte is above 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Any<const NOTE: usize, const LEN: usize>([u8; NOTE], [u8; LEN]);

impl<const NOTE: usize, const LEN: usize> Seed for Any<NOTE, LEN> {
    const KIND: u16 = FIRST_PRIVATE_KIND + 7;
    type Note = [u8; NOTE];
    type Bytes = [u8; LEN];

    fn to_parts(&self) -> Result<([u8; NOTE], [u8; LEN]), NoteError> {
        Self::from_parts(self.0, self.1).map(|_| (self.0, self.1))
    }

    fn from_parts(note: [u8; NOTE], bytes: [u8; LEN]) -> Result<Self, NoteError> {
        let second = note.get(1).copied().unwrap_or(0);
        NoteError::unless_within("second", 0..=200, second.into()).map(|()| Any(note, bytes))
    }
}

type Small = Any<2, 8>;
type Large = Any<5, 32>;

/// Seeds that are evenly spread, or have heads in common, or nearly all bytes.
fn seeds<const NOTE: usize, const LEN: usize>() -> impl Strategy<Value = BTreeSet<Any<NOTE, LEN>>> {
    let note = prop_oneof![
        Just([0; NOTE]),
        Just([7; NOTE]),
        any::<[u8; NOTE]>().prop_map(|note| note.map(|byte| byte % 201)),
    ];
    let bytes = prop_oneof![
        4 => any::<[u8; LEN]>(),
        1 => Just([0; LEN]),
        1 => Just([0xff; LEN]),
        2 => any::<u8>().prop_map(|last| core::array::from_fn(|at| if at + 1 == LEN { last } else { 0xab })),
        1 => any::<u8>().prop_map(|fifth| core::array::from_fn(|at| if at == 5 { fifth } else { 0xff })),
    ];
    let few = prop::collection::btree_set((note.clone(), bytes.clone()), 0..60);
    let many = prop::collection::btree_set((note, bytes), 500..800);
    let pairs = prop_oneof![6 => few, 1 => many];
    pairs.prop_map(|pairs| pairs.into_iter().map(|(note, bytes)| Any(note, bytes)).collect())
}

fn built<S: Seed + Copy>(seeds: &BTreeSet<S>) -> SeedList<S> {
    SeedList::build(seeds.iter().copied()).unwrap()
}

/// Builds the list in another order, with repetitions; reads it; compares all with the model.
fn expect_list<S: Seed + Copy + Ord + core::fmt::Debug>(model: &BTreeSet<S>) {
    let list = built(model);
    let backwards = model.iter().rev().chain(model.iter().take(3));
    assert_eq!(SeedList::<S>::build(backwards).unwrap(), list);
    let parsed = SeedList::<S, _>::parse(list.as_bytes()).unwrap();
    assert!(parsed == list && parsed.identity() == list.identity());
    assert_eq!((parsed.len() as usize, parsed.is_empty()), (model.len(), model.is_empty()));
    assert_eq!(parsed.iter().len(), model.len());
    assert_eq!(parsed.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
}

/// The delta between two lists leads from one to the other, byte for byte, and says what changed.
fn expect_delta<S: Seed + Copy + Ord + core::fmt::Debug>(old: &BTreeSet<S>, new: &BTreeSet<S>) {
    let (base, target) = (built(old), built(new));
    let delta = SeedDelta::between(&base, &target);
    let parsed = SeedDelta::<S, _>::parse(delta.as_bytes()).unwrap();
    assert_eq!(parsed, delta);
    assert_eq!(parsed.apply(&base).unwrap(), target);
    assert_eq!((parsed.base(), parsed.target()), (base.identity(), target.identity()));
    assert_eq!((parsed.base_len(), parsed.target_len()), (base.len(), target.len()));
    let removed: Vec<u32> =
        (0..).zip(old).filter(|(_, seed)| !new.contains(seed)).map(|(rank, _)| rank).collect();
    assert!(parsed.removed().eq(removed.iter().copied()));
    assert!(parsed.removed_from(&base).unwrap().eq(old.difference(new).copied()));
    assert_eq!(parsed.removed_len() as usize, removed.len());
    assert!(parsed.added().eq(new.difference(old).copied()));
    assert_eq!(parsed.added_len() as usize, parsed.added().len());
    if old != new {
        let (expected, got) = (base.identity(), target.identity());
        assert_eq!(parsed.apply(&target), Err(SeedDeltaError::Base { expected, got }));
        let removed = parsed.removed_from(&target).map(drop);
        assert_eq!(removed, Err(SeedDeltaError::Base { expected, got }));
    }
}

proptest! {
    #[test]
    fn lists_agree_with_a_btree_set(small in seeds::<2, 8>(), large in seeds::<5, 32>(), one in seeds::<1, 64>(), long in seeds::<16, 16>()) {
        expect_list(&small);
        expect_list(&large);
        expect_list(&one);
        expect_list(&long);
    }

    #[test]
    fn deltas_equal_a_fresh_build(all in seeds::<2, 8>(), large in seeds::<5, 32>(), picks in prop::collection::vec(0u8..3, 800)) {
        fn side<S: Copy + Ord>(all: &BTreeSet<S>, picks: &[u8], skip: u8) -> BTreeSet<S> {
            all.iter().zip(picks).filter(|(_, pick)| **pick != skip).map(|(seed, _)| *seed).collect()
        }
        expect_delta(&side(&all, &picks, 0), &side(&all, &picks, 1));
        expect_delta(&side(&large, &picks, 0), &side(&large, &picks, 1));
        expect_delta(&all, &all);
        expect_delta(&all, &BTreeSet::new());
        expect_delta(&BTreeSet::new(), &all);
    }

    /// Whatever the bytes are, what is read is written as the same bytes.
    #[test]
    fn one_byte_string_for_one_list(model in seeds::<2, 8>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = built(&model).into_inner();
        bytes.truncate(bytes.len() - TRAILER_LEN);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        seal(&mut bytes);
        if let Ok(list) = SeedList::<Small, _>::parse(&bytes) {
            let seeds: Vec<Small> = list.iter().collect();
            prop_assert_eq!(seeds.len(), list.len() as usize);
            let again = SeedList::<Small>::build(seeds).unwrap();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
        }
    }
}

/// Three groups, one with two seeds of equal heads, one that needs more than a chunk.
fn sample() -> BTreeSet<Small> {
    let twins = [1, 2].map(|last| Any([3, 0], [5, 5, 5, 5, 5, 5, 5, last]));
    let many = (0..300u64).map(|at| {
        let spread = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Any([3, 1], spread.to_be_bytes())
    });
    twins.into_iter().chain(many).chain([Any([9, 200], [0xff; 8])]).collect()
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let list = built(&sample());
    let delta = SeedDelta::between(&list, &built(&sample().into_iter().skip(40).collect()));
    let bytes = list.as_bytes();
    let flip = |bytes: &[u8], at: usize, bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1 << bit;
        bytes
    };
    for at in 0..bytes.len() {
        for bit in 0..8 {
            assert!(SeedList::<Small, _>::parse(flip(bytes, at, bit)).is_err(), "{at} {bit}");
        }
        assert!(SeedList::<Small, _>::parse(&bytes[..at]).is_err(), "{at}");
    }
    let bytes = delta.as_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            assert!(SeedDelta::<Small, _>::parse(flip(bytes, at, bit)).is_err(), "{at} {bit}");
        }
        assert!(SeedDelta::<Small, _>::parse(&bytes[..at]).is_err(), "{at}");
    }
}

/// The bytes without their trailer, changed, with a right trailer again.
fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    bytes.truncate(bytes.len() - TRAILER_LEN);
    change(&mut bytes);
    seal(&mut bytes);
    bytes
}

fn parse_changed(
    seeds: &[Small],
    change: impl FnOnce(&mut Vec<u8>),
) -> Result<SeedList<Small>, ParseError> {
    SeedList::parse(resealed(SeedList::<Small>::build(seeds).unwrap().into_inner(), change))
}

const DIRECTORY: usize = 24;

#[test]
fn seeds_that_do_not_ascend_are_refused() {
    let twins = [1, 2].map(|last| Any([3, 0], [5, 5, 5, 5, 5, 5, 5, last]));
    let last = |bytes: &mut Vec<u8>| bytes.len() - 1;
    assert!(parse_changed(&twins, |_| ()).is_ok());
    let order = Err(ParseError::Order { field: "seed", position: 1 });
    for byte in [0, 1] {
        let changed = parse_changed(&twins, |bytes| {
            let at = last(bytes);
            bytes[at] = byte;
        });
        assert_eq!(changed, order);
    }
    // The last of one chunk and the first of the next.
    let many: Vec<Small> = (0..300u16)
        .map(|at| Any([0, 0], [1, 1, 1, 1, 1, 1, at.to_be_bytes()[0], at.to_be_bytes()[1]]))
        .collect();
    assert!(parse_changed(&many, |_| ()).is_ok());
    let swapped = parse_changed(&many, |bytes| {
        let at = bytes.len() - 2 * 300 + 2 * 256;
        bytes.swap(at - 1, at + 1);
        bytes.swap(at - 2, at);
    });
    assert_eq!(swapped, Err(ParseError::Order { field: "seed", position: 256 }));
    // The same seed under two notes is two entries of a list.
    let both = [Any([1, 1], [1; 8]), Any([1, 2], [1; 8])];
    assert_eq!(parse_changed(&both, |_| ()).unwrap().len(), 2);
}

#[test]
fn directories_have_one_spelling() {
    let seeds = [Any([3, 1], [1; 8]), Any([3, 7], [2; 8]), Any([4, 7], [3; 8])];
    // shared, own bytes, count: 0 3 1 1, 1 7 1, 0 4 7 1
    let directory = |bytes: &mut Vec<u8>| bytes[DIRECTORY..DIRECTORY + 11].to_vec();
    assert!(
        parse_changed(&seeds, |bytes| assert_eq!(
            directory(bytes),
            [0, 3, 1, 1, 1, 7, 1, 0, 4, 7, 1]
        ))
        .is_ok()
    );
    let set = |at: usize, byte: u8| move |bytes: &mut Vec<u8>| bytes[DIRECTORY + at] = byte;
    let limit = |max, got| Err(ParseError::Limit { field: "shared bytes of a note", max, got });
    assert_eq!(parse_changed(&seeds, set(0, 1)), limit(0, 1));
    assert_eq!(parse_changed(&seeds, set(4, 2)), limit(1, 2));
    let order = |at| Err(ParseError::Order { field: "note", position: at });
    // The same note, an earlier note, a byte that is shared but not said to be.
    assert_eq!(parse_changed(&seeds, set(5, 1)), order(1));
    assert_eq!(parse_changed(&seeds, set(5, 0)), order(1));
    assert_eq!(parse_changed(&seeds, set(8, 3)), order(2));
    // A note that is none, a count of none, a count in two bytes that fits in one.
    let note = NoteError { field: "second", least: 0, most: 200, none: None, got: 201 };
    let second = Err(ParseError::Note(note));
    assert_eq!(parse_changed(&seeds, set(5, 201)), second);
    assert_eq!(parse_changed(&seeds, set(6, 0)), Err(ParseError::Padding));
    let long = parse_changed(&seeds, |bytes| {
        bytes[DIRECTORY + 6] = 0x81;
        bytes.insert(DIRECTORY + 7, 0);
    });
    assert_eq!(long, Err(ParseError::Padding));
    let huge = |count: &'static [u8]| {
        parse_changed(&seeds, |bytes| {
            drop(bytes.splice(DIRECTORY + 10..=DIRECTORY + 10, count.iter().copied()));
        })
    };
    let max = u32::MAX.into();
    let of_group = |got| Err(ParseError::Limit { field: "seeds of a group", max, got });
    assert_eq!(huge(&[0xff, 0xff, 0xff, 0xff, 0x1f]), of_group((1 << 33) - 1));
    assert_eq!(huge(&[0x80, 0x80, 0x80, 0x80, 0x80, 1]), of_group(u64::MAX));
    let sum = Err(ParseError::Limit { field: "number of seeds", max, got: max + 2 });
    assert_eq!(huge(&[0xff, 0xff, 0xff, 0xff, 0x0f]), sum);
}

#[test]
fn declared_numbers_are_bounded_by_the_bytes() {
    let seeds: Vec<Small> = sample().into_iter().collect();
    let put = |at: usize, bytes: Vec<u8>| {
        move |file: &mut Vec<u8>| file[at..at + bytes.len()].copy_from_slice(&bytes)
    };
    let groups = parse_changed(&seeds, put(12, u32::MAX.to_le_bytes().into()));
    assert!(groups.is_err());
    let bits = parse_changed(&seeds, put(16, u64::MAX.to_le_bytes().into())).unwrap_err();
    assert!(matches!(bits, ParseError::BitLength { got: u64::MAX, .. }), "{bits:?}");
    // A single seed is said to be 2^32 - 1 of them, in bits that these could have.
    let one = [Any([0, 0], [0; 8])];
    let many = parse_changed(&one, |bytes| {
        bytes.splice(DIRECTORY + 3..DIRECTORY + 4, [0xff, 0xff, 0xff, 0xff, 0x0f]);
        bytes[16..24].copy_from_slice(&(u64::from(u32::MAX) * 17).to_le_bytes());
    });
    assert!(matches!(many, Err(ParseError::Length { .. })), "{many:?}");
    let kind = parse_changed(&one, put(8, vec![1, 0]));
    let expected = u64::from(FIRST_PRIVATE_KIND + 7);
    assert_eq!(kind, Err(ParseError::Mismatch { field: "kind of seed", expected, got: 1 }));
    assert_eq!(parse_changed(&one, put(10, vec![0, 1])), Err(ParseError::Padding));
    // A seed of another length has the same kind here: the file has another length then.
    let other = SeedList::<Any<2, 9>, _>::parse(built(&BTreeSet::from(one)).into_inner());
    assert!(matches!(other, Err(ParseError::Length { .. })));
}

/// A quotient of many ones in a group of one seed, whose gap would be more than 64 bits if the
/// room of another group could be used for it.
#[test]
fn quotients_end_with_their_group() {
    let group_of = |note: u8, len: u64| {
        (0..len).map(move |at| Any([note, 0], (at << 40).wrapping_mul(0x9e37_79b9).to_be_bytes()))
    };
    let seeds: Vec<Small> = group_of(1, 1).chain(group_of(2, 4_000)).collect();
    let code = DIRECTORY + 4 + 4 + 1;
    let bomb = parse_changed(&seeds, |bytes| bytes[code..code + 3_000].fill(0xff));
    assert!(matches!(bomb, Err(ParseError::Overrun { .. })), "{bomb:?}");
    // 2^17 ones are a gap of 2^64 for P = 47.
    let wrapped = parse_changed(&seeds, |bytes| {
        bytes[code..code + (1 << 14)].fill(0xff);
        bytes[code + (1 << 14)] = 0xfe;
    });
    assert!(matches!(wrapped, Err(ParseError::Overrun { .. })), "{wrapped:?}");
}

#[test]
fn a_head_of_more_than_48_bits_is_refused() {
    let one = [Any([0, 0], [0xff; 8])];
    let parts = |bytes: &[u8]| u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    // P = 47: a quotient of 1, then 47 ones.
    assert!(parse_changed(&one, |bytes| assert_eq!(parts(bytes), 49)).is_ok());
    let beyond = parse_changed(&one, |bytes| {
        bytes[DIRECTORY + 4..DIRECTORY + 11].copy_from_slice(&[3, 0, 0, 0, 0, 0, 0]);
        bytes[16] = 50;
    });
    let (max, got) = ((1 << 48) - 1, 1 << 48);
    assert_eq!(beyond, Err(ParseError::Limit { field: "last value", max, got }));
}

#[test]
fn deltas_are_for_one_base_and_add_nothing_twice() {
    let (a, b, c) = (Any([1, 1], [1; 8]), Any([1, 2], [2; 8]), Any([2, 1], [3; 8]));
    let list = |seeds: &[Small]| SeedList::<Small>::build(seeds).unwrap();
    let (base, target) = (list(&[a, b]), list(&[a, c]));
    let delta = SeedDelta::between(&base, &target);
    // With another base written in, it adds what is there.
    let onto = |base: &SeedList<Small>| {
        resealed(delta.as_bytes().to_vec(), |bytes| {
            bytes[12..16].copy_from_slice(&base.len().to_le_bytes());
            bytes[16..48].copy_from_slice(&base.identity().0);
        })
    };
    let applied = |bytes: Vec<u8>, base: &SeedList<Small>| {
        SeedDelta::<Small, _>::parse(bytes).unwrap().apply(base)
    };
    let other = list(&[b, c]);
    let present = Err(SeedDeltaError::AlreadyPresent { rank: 1 });
    assert_eq!(applied(onto(&other), &other), present);
    let third = list(&[b, a]);
    assert_eq!(applied(onto(&third), &third), Ok(target.clone()));
    let fourth = list(&[Any([0, 0], [9; 8]), b]);
    let got = list(&[Any([0, 0], [9; 8]), c]).identity();
    let expected = target.identity();
    assert_eq!(applied(onto(&fourth), &fourth), Err(SeedDeltaError::Target { expected, got }));
    let longer = list(&[a, b, c]);
    let wrong_len = resealed(onto(&longer), |bytes| bytes[12] = 2);
    let length = Err(SeedDeltaError::BaseLength { expected: 2, got: 3 });
    assert_eq!(applied(wrong_len, &longer), length);
}

#[test]
fn a_target_of_too_many_seeds_is_refused() {
    let one = built(&BTreeSet::from([Any([1, 1], [1; 8])]));
    let delta = SeedDelta::between(&built::<Small>(&BTreeSet::new()), &one);
    let full = resealed(delta.into_inner(), |bytes| bytes[12..16].fill(0xff));
    let max = u64::from(u32::MAX);
    let too_many = ParseError::Limit { field: "target length", max, got: max + 1 };
    assert_eq!(SeedDelta::<Small, _>::parse(full), Err(too_many));
}

#[test]
fn a_seed_without_a_note_is_named() {
    let note = NoteError { field: "second", least: 0, most: 200, none: None, got: 201 };
    let error = SeedBuildError::Note { position: 1, error: note };
    let built = SeedList::<Small>::build([Any([0, 0], [0; 8]), Any([0, 201], [0; 8])]);
    assert_eq!(built, Err(error));
    assert_eq!(std::format!("{error}"), "seed 1: second is 0 to 200 here, got 201");
}

/// A seed that breaks what the trait asks: it is written with any note and read with one below 2,
/// and not if its first byte is 9.
#[derive(Debug, PartialEq)]
struct Careless(u8, [u8; 8]);

impl Seed for Careless {
    const KIND: u16 = FIRST_PRIVATE_KIND + 8;
    type Note = [u8; 1];
    type Bytes = [u8; 8];

    fn to_parts(&self) -> Result<([u8; 1], [u8; 8]), NoteError> {
        Ok(([self.0], self.1))
    }

    fn from_parts([note]: [u8; 1], bytes: [u8; 8]) -> Result<Careless, NoteError> {
        NoteError::unless_within("note", 0..=1, note.into())?;
        NoteError::unless_within("byte", 0..=8, bytes[0].into())?;
        Ok(Careless(note, bytes))
    }
}

#[test]
fn no_list_is_built_that_nobody_can_read() {
    let built = SeedList::build([Careless(1, [3; 8]), Careless(2, [1; 8])]);
    let note = NoteError { field: "note", least: 0, most: 1, none: None, got: 2 };
    assert_eq!(built, Err(SeedBuildError::Note { position: 1, error: note }));
}

#[test]
fn iteration_that_ended_has_ended() {
    let list = SeedList::build([1, 9, 10].map(|byte| Careless(0, [byte; 8]))).unwrap();
    let mut seeds = list.iter();
    assert_eq!(seeds.next(), Some(Careless(0, [1; 8])));
    assert_eq!((seeds.next(), seeds.len(), seeds.next()), (None, 0, None));
    let good = SeedList::build([Careless(0, [9; 8]), Careless(1, [3; 8])]).unwrap();
    assert_eq!(good.iter().collect::<Vec<_>>(), []);
}

#[test]
fn lists_and_deltas_tell_what_they_are() {
    let list = built(&sample());
    let delta = SeedDelta::between(&list, &built(&BTreeSet::new()));
    assert!(std::format!("{list:?}").starts_with("SeedList { len: 303, identity: "));
    assert!(std::format!("{delta:?}").ends_with("removed: 303, added: 0 }"));
    assert_eq!(AsRef::<[u8]>::as_ref(&list), list.as_bytes());
    assert_eq!(AsRef::<[u8]>::as_ref(&delta), delta.as_bytes());
    assert_eq!((&list).into_iter().size_hint(), (303, Some(303)));
    let mut seeds = list.iter();
    seeds.next();
    assert_eq!(std::format!("{seeds:?}"), "Seeds { remaining: 302 }");
    assert!(list.clone() == list && delta.clone() == delta);
    for file in [list.as_bytes(), delta.as_bytes()] {
        assert_eq!(seed_kind(file), Ok(Small::KIND));
        let cut = Err(ParseError::Length { expected: 10, got: 9 });
        assert_eq!(seed_kind(&file[..9]), cut);
    }
    let other = b"GCSSET\x01\x00\x01\x00";
    assert!(matches!(seed_kind(other), Err(ParseError::Magic { .. })));
    let _: Option<SeedList<Large>> = None;
}

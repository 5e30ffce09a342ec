//! A second, naive reader of the format against the golden files and against the library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod golden;
mod naive;
mod reading;

use std::collections::BTreeSet;

use gcs_core::files::ExportList;
use gcs_core::identifiers::dp3t::{DayKeys, WindowSeed};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::seeds::{Seed, SeedDelta, SeedList};
use gcs_core::{Date, Delta, Digest, HashRange, Salt, Set};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use proptest::{collection, prop_assert_eq, sample};

use serde_json::Value;

use golden::{Case, all_cases};
use naive::seeds::{self, Pair};
use naive::{bits, class, delta, exports, resealed, sealed, set};
use reading::{accept, read};

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
            // A list of exports that ends with a line is another list.
            let is_list = case.kind() == "export_list" && length.is_multiple_of(91);
            // White space behind a manifest may go.
            if !is_list && !bytes[length..].iter().all(u8::is_ascii_whitespace) {
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

/// Pairs of a kind, in few groups or in many, evenly spread or with heads in common.
fn pairs(kind: u16) -> impl Strategy<Value = Vec<BTreeSet<Pair>>> {
    let (_, len) = seeds::lengths(kind);
    let number = prop_oneof![3 => 18_360..18_364u32, 1 => 0..2_000_000u32];
    let small = |most: u8| prop_oneof![3 => 0..=most, 1 => Just(255)];
    let rest = (1..=144u8, small(5), small(4), small(8), any::<u8>());
    let note =
        (number, 1..=2u8, rest, any::<bool>()).prop_map(move |(number, length, rest, often)| {
            let (period, report_type, variant, risk, days) = rest;
            let number = number.to_be_bytes();
            match (kind, often) {
                (1, true) => [&number[..], &[14]].concat(),
                (1, _) => [&number[..], &[1 + period % 32]].concat(),
                (2, _) => [&[length][..], &number].concat(),
                (_, true) => [&number[..], &[144, 1, 255, 8, 128]].concat(),
                _ => [&number[..], &[period, report_type, variant, risk, days]].concat(),
            }
        });
    let seed = prop_oneof![
        4 => collection::vec(any::<u8>(), len),
        1 => any::<u8>().prop_map(move |last| [vec![0xab; len - 1], vec![last]].concat()),
        1 => prop_oneof![Just(0), Just(0xff)].prop_map(move |byte| vec![byte; len]),
    ];
    collection::vec(collection::btree_set((note, seed), 0..80), 3)
}

/// Reads lists and a delta with both readers, as they are and damaged.
fn read_seeds_alike<S: Seed>(sets: &[BTreeSet<Pair>], damages: &[(Vec<Damage>, bool)]) {
    let kind = S::KIND;
    // The third set joins both, so that base and target share something.
    let base: BTreeSet<Pair> = sets[0].union(&sets[2]).cloned().collect();
    let target: BTreeSet<Pair> = sets[1].union(&sets[2]).cloned().collect();
    let library = |pairs: &BTreeSet<Pair>| {
        let written = seeds::SeedList::write(kind, pairs);
        let list = SeedList::<S, _>::parse(written).unwrap();
        let built = SeedList::<S>::build(list.iter()).unwrap();
        assert_eq!(built.as_bytes(), list.as_bytes());
        assert_eq!(seeds::SeedList::parse(built.as_bytes(), kind).unwrap().pairs, *pairs);
        built
    };
    let (base, target) = (library(&base), library(&target));
    let delta = SeedDelta::between(&base, &target);
    let read = seeds::SeedDelta::parse(delta.as_bytes(), kind).unwrap();
    let applied = read.apply(&seeds::SeedList::parse(base.as_bytes(), kind).unwrap()).unwrap();
    assert_eq!(&applied[..], target.as_bytes());

    for (damages, seal) in damages {
        let file = damage(base.as_bytes(), 40, damages, *seal);
        let naive = seeds::SeedList::parse(&file, kind).map(drop);
        assert_eq!(naive, class(&SeedList::<S, _>::parse(&file)), "{damages:?} {seal}");
        let file = damage(delta.as_bytes(), 130, damages, *seal);
        let naive = seeds::SeedDelta::parse(&file, kind).map(drop);
        assert_eq!(naive, class(&SeedDelta::<S, _>::parse(&file)), "{damages:?} {seal}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 64, failure_persistence: None, ..Config::default() })]

    #[test]
    fn lists_of_seeds_are_read_alike(days in pairs(1), windows in pairs(2), keys in pairs(3), damages in damages()) {
        read_seeds_alike::<DayKeys>(&days, &damages);
        read_seeds_alike::<WindowSeed>(&windows, &damages);
        read_seeds_alike::<ExportKey>(&keys, &damages);
    }
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

    /// Most damages of a list give another list.
    #[test]
    fn lists_of_exports_are_read_alike(
        files in collection::vec((0..=Date::MAX.days(), any::<[u8; 32]>()), 0..5),
        damages in damages(),
    ) {
        let file = |(days, sha256): &(u32, _)| (Date::from_days(*days).unwrap(), Digest(*sha256));
        let list = ExportList { files: files.iter().map(file).collect() };
        prop_assert_eq!(&exports::list(&list.to_bytes()).unwrap(), &files);
        for (damages, _) in damages {
            let file = damage(&list.to_bytes(), 92, &damages, false);
            let naive = exports::list(&file);
            prop_assert_eq!(naive.as_ref().map(drop).map_err(Clone::clone), class(&ExportList::parse(&file)));
            if let (Ok(naive), Ok(list)) = (naive, ExportList::parse(&file)) {
                let ours = list.files.iter().map(|(date, sha256)| (date.days(), sha256.0));
                prop_assert_eq!(naive, ours.collect::<Vec<_>>());
            }
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

/// Too long for a golden file.
#[test]
fn the_longest_list_of_exports_is_read_alike() {
    let date = Date::from_days(20_000).unwrap();
    for (count, expected) in [(100_000, Ok(())), (100_001, Err("Limit".to_string()))] {
        let list = ExportList { files: vec![(date, Digest([7; 32])); count] };
        let bytes = list.to_bytes();
        assert_eq!(class(&ExportList::parse(&bytes)), expected);
        assert_eq!(exports::list(&bytes).map(drop), expected);
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
        let (gaps, taken) = bits::gaps(parameter, values.len() as u32, 0, end, &code).unwrap();
        assert_eq!(gaps, values);
        assert!(end - taken < 8);
    }
}

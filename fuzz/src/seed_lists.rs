//! Lists of seeds, and deltas between them.

use std::fmt::Debug;

use gcs_core::identifiers::dp3t::{DayKeys, WindowSeed};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::seeds::{Seed, SeedDelta, SeedList};

use crate::naive::{self, class, sealed};
use crate::reader::pair;

/// Where a delta has the length and identity of its base, the identity of its target, its removals.
const BASE: usize = 12;
const TARGET: usize = 48;
const REMOVED: usize = 80;

/// Calls a function of the kind of seed that the first byte of the input says, with the rest.
macro_rules! of_kind {
    ($body:ident, $data:expr) => {
        match $data.split_first() {
            Some((0, rest)) => $body::<DayKeys>(rest),
            Some((1, rest)) => $body::<WindowSeed>(rest),
            Some((2, rest)) => $body::<ExportKey>(rest),
            _ => {}
        }
    };
}

/// The input is a kind of seed, and a list without its trailer. With and without a right trailer,
/// [`SeedList::parse`] accepts it if and only if the naive reader does, with the same pairs, and
/// otherwise gives the same class of error. Building the list of its seeds gives the same bytes.
pub fn seed_list(data: &[u8]) {
    of_kind!(list_of, data);
}

fn list_of<S: Seed + Debug>(data: &[u8]) {
    expect_list::<S>(data);
    expect_list::<S>(&sealed(data));
}

fn expect_list<S: Seed + Debug>(
    file: &[u8],
) -> Option<(SeedList<S, &[u8]>, naive::seeds::SeedList)> {
    let parsed = SeedList::<S, _>::parse(file);
    let naive = naive::seeds::SeedList::parse(file, S::KIND);
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (list, naive) = (parsed.ok()?, naive.ok()?);
    assert_eq!(list.identity().0, naive.identity);
    assert_eq!(list.iter().len(), naive.pairs.len());
    assert!(parts(list.iter()).eq(naive.pairs.iter().cloned()));
    let again = SeedList::<S>::build(list.iter()).expect("seeds of a list make a list");
    assert_eq!(again.as_bytes(), file);
    Some((list, naive))
}

fn parts<S: Seed>(seeds: impl Iterator<Item = S>) -> impl Iterator<Item = naive::seeds::Pair> {
    seeds.map(|seed| {
        let (note, bytes) = seed.to_parts().expect("it was in a list");
        (note.as_ref().to_vec(), bytes.as_ref().to_vec())
    })
}

/// The input is a kind of seed, a list behind its length, and a delta, both without their trailers.
/// The delta's header is made right: its base is the list, and its target is the result of the
/// naive reader, if it applies. With and without that, both readers do the same.
pub fn seed_delta(data: &[u8]) {
    of_kind!(delta_of, data);
}

fn delta_of<S: Seed + Debug>(data: &[u8]) {
    let Some((base, delta)) = pair(data) else { return };
    let (base, mut delta) = (sealed(base), delta.to_vec());
    expect_delta::<S>(&base, &sealed(&delta));
    let (Some((list, naive)), true) = (expect_list::<S>(&base), delta.len() >= REMOVED) else {
        return;
    };
    delta[BASE..BASE + 4].copy_from_slice(&list.len().to_le_bytes());
    delta[BASE + 4..TARGET].copy_from_slice(&naive.identity);
    let parsed = naive::seeds::SeedDelta::parse(&sealed(&delta), S::KIND);
    if let Ok(target) = parsed.and_then(|delta| delta.result(&naive)) {
        delta[TARGET..REMOVED].copy_from_slice(&target[target.len() - 32..]);
    }
    expect_delta::<S>(&base, &sealed(&delta));
}

fn expect_delta<S: Seed + Debug>(base: &[u8], file: &[u8]) {
    let parsed = SeedDelta::<S, _>::parse(file);
    let naive = naive::seeds::SeedDelta::parse(file, S::KIND);
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(delta), Ok(naive)) = (parsed, naive) else { return };
    assert_eq!((delta.base().0, delta.target().0), (naive.base, naive.target));
    assert!(delta.removed().map(u64::from).eq(naive.removed.iter().copied()));
    assert!(parts(delta.added()).eq(naive.added.iter().cloned()));

    let Some((base, naive_base)) = expect_list::<S>(base) else { return };
    let (applied, expected) = (delta.apply(&base), naive.apply(&naive_base));
    assert_eq!(class(&applied), expected.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(target), Ok(expected)) = (applied, expected) else { return };
    assert_eq!(target.as_bytes(), expected);
    assert_eq!(SeedDelta::between(&base, &target).as_bytes(), file);
}

pub(crate) mod seeds {
    use gcs_core::Date;
    use gcs_core::identifiers::dp3t::{DayKey, HybridSeed, HybridWindow};
    use gcs_core::identifiers::gaen::{ExposureKey, ReportType};

    use super::{DayKeys, ExportKey, Seed, SeedDelta, SeedList, WindowSeed};
    use crate::reader::join;
    use crate::world::element;

    fn bytes(number: u64) -> [u8; 16] {
        element(number)[..16].try_into().expect("16 bytes")
    }

    fn day_keys(number: u64) -> DayKeys {
        let date = Date::from_days(18_362 + (number % 5) as u32).expect("a date");
        let key = [bytes(number), bytes(number + 1)].concat();
        let first = DayKey::new(date, key.try_into().expect("32 bytes"));
        DayKeys::new(first, 1 + (number % 3) as u8).expect("few days")
    }

    fn window_seed(number: u64) -> WindowSeed {
        let seed =
            HybridSeed::new(if number < 20 { [number as u8 % 2; 16] } else { bytes(number) });
        WindowSeed { windows: HybridWindow::FourHours, window: (number % 7) as u32, seed }
    }

    fn export_key(number: u64) -> ExportKey {
        let start = 144 * (number % 3) as u32;
        let key = ExposureKey::new(bytes(number), start, 144).expect("a key");
        let risk = (!number.is_multiple_of(5)).then_some((number % 9) as u8);
        let report_type = Some(ReportType::ConfirmedTest);
        ExportKey { report_type, transmission_risk: risk, ..key.into() }
    }

    fn unsealed(file: &[u8]) -> &[u8] {
        &file[..file.len() - 32]
    }

    fn list_of<S: Seed>(seeds: impl Iterator<Item = S>) -> SeedList<S> {
        SeedList::build(seeds).expect("few seeds")
    }

    pub(crate) fn lists() -> Vec<Vec<u8>> {
        let input = |kind: u8, file: &[u8]| [&[kind], unsealed(file)].concat();
        [0, 1, 30]
            .into_iter()
            .flat_map(|count| {
                [
                    input(0, list_of((0..count).map(day_keys)).as_bytes()),
                    input(1, list_of((0..count).map(window_seed)).as_bytes()),
                    input(2, list_of((0..count).map(export_key)).as_bytes()),
                ]
            })
            .collect()
    }

    fn delta_of<S: Seed>(kind: u8, old: &SeedList<S>, new: &SeedList<S>) -> Vec<u8> {
        let delta = SeedDelta::between(old, new);
        [&[kind][..], &join(unsealed(old.as_bytes()), unsealed(delta.as_bytes()))].concat()
    }

    pub(crate) fn deltas() -> Vec<Vec<u8>> {
        [(0..0, 0..4), (0..30, 10..34), (0..12, 0..12)]
            .into_iter()
            .flat_map(|(old, new)| {
                [
                    delta_of(
                        0,
                        &list_of(old.clone().map(day_keys)),
                        &list_of(new.clone().map(day_keys)),
                    ),
                    delta_of(
                        1,
                        &list_of(old.clone().map(window_seed)),
                        &list_of(new.clone().map(window_seed)),
                    ),
                    delta_of(2, &list_of(old.map(export_key)), &list_of(new.map(export_key))),
                ]
            })
            .collect()
    }
}

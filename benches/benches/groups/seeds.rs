//! Benchmarks of lists of seeds: 32 bytes each, in fourteen groups. Rates are seeds per second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use gcs_benches::settings::Settings;
use gcs_benches::{SEEDS, elements};
use gcs_core::Date;
use gcs_core::identifiers::dp3t::{DayKey, DayKeys};
use gcs_core::seeds::{SeedDelta, SeedList};

fn day_keys(len: usize) -> Vec<DayKeys> {
    let dates = (0..).filter_map(|number: u32| Date::from_days(20_000 + number % 14).ok());
    let halves = elements(SEEDS.base, len).into_iter().zip(elements(SEEDS.added, len));
    dates
        .zip(halves)
        .filter_map(|(date, (a, b))| {
            let mut key = [0; 32];
            key[..16].copy_from_slice(&a);
            key[16..].copy_from_slice(&b);
            DayKeys::new(DayKey::new(date, key), 5).ok()
        })
        .collect()
}

/// Building, full validation, reading, and a delta of 1 % each way.
pub(crate) fn seeds(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("seeds");
    for &len in &settings.lens {
        let all = day_keys(len + len / 100);
        let build = |keys: &[DayKeys]| SeedList::<DayKeys>::build(keys);
        let (Ok(base), Ok(target)) = (build(&all[..len]), build(&all[len / 100..])) else {
            unreachable!("there are fewer than 2^32 seeds")
        };
        let delta = SeedDelta::between(&base, &target);
        assert!(delta.apply(&base).as_ref() == Ok(&target), "a delta gives its target");
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "build"), |bencher| {
            bencher.iter(|| build(black_box(&all[..len])));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "parse"), |bencher| {
            let bytes = black_box(base.as_bytes());
            bencher.iter(|| SeedList::<DayKeys, _>::parse(bytes).map(|list| list.len()));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "iterate"), |bencher| {
            bencher.iter(|| base.iter().map(|keys| u64::from(keys.days())).sum::<u64>());
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "between"), |bencher| {
            bencher.iter(|| SeedDelta::between(black_box(&base), black_box(&target)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "apply"), |bencher| {
            bencher.iter(|| delta.apply(black_box(&base)));
        });
    }
}

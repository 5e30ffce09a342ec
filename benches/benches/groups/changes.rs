//! Benchmarks of what only our files can do: parse with full validation, deltas, algebra, publishing.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use gcs_benches::settings::Settings;
use gcs_benches::tick::{Changes, Ticks};
use gcs_benches::{SEEDS, elements, ours};
use gcs_core::Set;
use gcs_core::set::algebra::Operation;
use sha2::{Digest, Sha256};

/// Full validation beside the SHA-256 that is part of it. Rates are elements per second.
pub(crate) fn parse(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("parse");
    for &len in &settings.lens {
        let set = ours::set(&settings.plan(len), &elements(SEEDS.base, len));
        let bytes = set.as_bytes();
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours"), |bencher| {
            bencher.iter(|| Set::parse(black_box(bytes)).map(|set| set.len()));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "ours with index"), |bencher| {
            bencher.iter(|| ours::parse_and_index(black_box(bytes)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "SHA-256 alone"), |bencher| {
            bencher.iter(|| Sha256::digest(black_box(bytes)));
        });
    }
}

/// 1 % of the elements removed, as many others added. Rates are elements of the base per second.
pub(crate) fn delta(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("delta");
    for &len in &settings.lens {
        let (base, target) = ours::changed_by(&settings.plan(len), len / 100);
        let delta = ours::between(&base, &target);
        assert!(delta.apply(&base).as_ref() == Ok(&target), "a delta gives its target");
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "between"), |bencher| {
            bencher.iter(|| ours::between(black_box(&base), black_box(&target)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "apply"), |bencher| {
            bencher.iter(|| delta.apply(black_box(&base)));
        });
    }
}

/// Two sets that share half of their elements. Rates are elements of both per second.
pub(crate) fn algebra(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("algebra");
    for &len in &settings.lens {
        let (plan, all) = (settings.plan(len), elements(SEEDS.base, len + len / 2));
        let sets = [ours::set(&plan, &all[..len]), ours::set(&plan, &all[len / 2..])];
        group.throughput(Throughput::Elements(2 * len as u64));
        for (name, operation) in [
            ("union", Operation::Union),
            ("intersection", Operation::Intersection),
            ("difference", Operation::Difference),
            ("symmetric difference", Operation::SymmetricDifference),
        ] {
            group.bench_function(BenchmarkId::new(len.to_string(), name), |bencher| {
                bencher.iter(|| ours::combined(operation, black_box(&sets)));
            });
        }
    }
}

/// One tick of fourteen dates with 10,000 changes. Rates are elements of all dates per second.
pub(crate) fn publish(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("publish");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let len = settings.middle();
    let changed = (len / 10).min(10_000);
    group.throughput(Throughput::Elements(len as u64));
    for (name, changes) in [("all dates", Changes::InAllDates), ("one date", Changes::InOneDate)] {
        group.bench_function(BenchmarkId::new(len.to_string(), name), |bencher| {
            let ticks = Ticks::new(len);
            bencher.iter(|| {
                ticks.change(changed, changes);
                ticks.publish()
            });
        });
    }
}

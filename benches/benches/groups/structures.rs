//! Benchmarks of what every structure can do: build, decode, answer queries; and of hashing, which all need.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use gcs_benches::queries::Pool;
use gcs_benches::settings::Settings;
use gcs_benches::structure::{Built, Fingerprints, Structure};
use gcs_benches::{QUERIES, SEEDS, elements, ours, structures};

/// The structures that take part: all, or those that take hashes when hashing is excluded.
fn taking_part(settings: &Settings, also: fn(&Structure) -> bool) -> Vec<Structure> {
    let takes_part = |one: &Structure| also(one) && (settings.is_hashing || one.takes_hashes);
    structures().into_iter().filter(takes_part).collect()
}

/// SipHash-2-4 of 16 bytes, mapped into a range. Rates are elements per second.
pub(crate) fn hash(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("hash");
    let plan = settings.plan(settings.middle());
    let elements = elements(SEEDS.base, QUERIES);
    let (hasher, peer) = (ours::hasher(&plan), Fingerprints::new(&plan));
    let add = |sum: u64, value: u64| sum.wrapping_add(value);
    group.throughput(Throughput::Elements(QUERIES as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| ours::sum_of_fingerprints(&hasher, black_box(&elements)));
    });
    group.bench_function("ours one by one", |bencher| {
        let hash = || black_box(&elements).iter().map(|one| hasher.fingerprint(one)).fold(0, add);
        bencher.iter(hash);
    });
    group.bench_function("siphasher", |bencher| {
        bencher.iter(|| black_box(&elements).iter().map(|one| peer.of(one)).fold(0, add));
    });
}

/// From elements to a structure. Rates are elements per second.
pub(crate) fn build(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("build");
    // One run of some peers takes seconds.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for &len in &settings.lens {
        let plan = settings.plan(len);
        let base = Pool::base(&plan, settings);
        group.throughput(Throughput::Elements(len as u64));
        for structure in taking_part(settings, |_| true) {
            group.bench_function(id(len, &structure), |bencher| {
                bencher.iter(|| (structure.build)(&plan, black_box(base.all())));
            });
        }
    }
}

/// All values in order. Rates are elements per second.
pub(crate) fn decode(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("decode");
    for &len in &settings.lens {
        let beyond = ours::beyond(&ours::set(&settings.plan(len), &elements(SEEDS.base, len)));
        group.throughput(Throughput::Elements(len as u64));
        let takes_part = |one: &Structure| one.is_listable && one.name != ours::INDEXED.name;
        of_built(&mut group, settings, len, takes_part, |built| built.decode(&beyond).unwrap_or(0));
    }
}

/// One query after another, for absent elements. Rates are queries per second.
pub(crate) fn contains(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("contains");
    for &len in &settings.lens {
        let queries = Pool::absent(&settings.plan(len), settings);
        group.throughput(Throughput::Elements(queries.batch().len() as u64));
        let ask = |built: &dyn Built| built.count(queries.batch()) as u64;
        of_built(&mut group, settings, len, |one| one.is_indexed, ask);
    }
}

/// Which of 10,000 absent elements are in a set. Rates are queries per second.
pub(crate) fn batch(criterion: &mut Criterion, settings: &Settings) {
    let mut group = criterion.benchmark_group("batch");
    for &len in &settings.lens {
        let queries = Pool::absent(&settings.plan(len), settings);
        group.throughput(Throughput::Elements(QUERIES as u64));
        let ask = |built: &dyn Built| built.matches(queries.batch()) as u64;
        of_built(&mut group, settings, len, |_| true, ask);
    }
}

/// Measures every structure, built once.
fn of_built(
    group: &mut BenchmarkGroup<'_, WallTime>,
    settings: &Settings,
    len: usize,
    takes_part: fn(&Structure) -> bool,
    run: impl Fn(&dyn Built) -> u64,
) {
    let plan = settings.plan(len);
    let base = Pool::base(&plan, settings);
    for structure in taking_part(settings, takes_part) {
        // Only what is picked by name is built.
        let mut built = None;
        group.bench_function(id(len, &structure), |bencher| {
            let built = built.get_or_insert_with(|| (structure.build)(&plan, base.all()));
            bencher.iter(|| run(&**black_box(&*built)));
        });
    }
}

fn id(len: usize, structure: &Structure) -> BenchmarkId {
    BenchmarkId::new(len.to_string(), structure.name)
}

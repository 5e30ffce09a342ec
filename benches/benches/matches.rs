//! Which of 10,000 absent elements are in a set: hashing, sorting, searching.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gcs_benches::{QUERIES, SEEDS, SIZES, bip158, elements, set};

/// Rates are queries per second. Ours says which queries matched, by one pass or by an
/// index built before; the peer says whether any did, by one pass.
fn matches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matches");
    let queries = elements(SEEDS.queries, QUERIES);
    for len in SIZES {
        let elements = elements(SEEDS.base, len);
        let ours = set(len, &elements);
        let index = ours.index();
        let theirs = bip158::build(&elements);
        assert!(ours.matches(&queries).is_empty() && index.matches(&queries).is_empty());
        assert!(!bip158::match_any(&theirs, &queries));
        group.throughput(Throughput::Elements(QUERIES as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours"), |bencher| {
            bencher.iter(|| ours.matches(black_box(&queries)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "ours-index"), |bencher| {
            bencher.iter(|| index.matches(black_box(&queries)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "bip158"), |bencher| {
            bencher.iter(|| bip158::match_any(&theirs, black_box(&queries)));
        });
    }
}

/// Building the index, once per set.
fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    for len in SIZES {
        let ours = set(len, &elements(SEEDS.base, len));
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours"), |bencher| {
            bencher.iter(|| black_box(&ours).index());
        });
    }
}

criterion_group! { name = benches; config = gcs_benches::criterion(); targets = matches, index }
criterion_main!(benches);

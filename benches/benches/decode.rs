//! Decoding all values in order, and (ours only) parsing bytes that are not validated yet.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gcs_benches::{SEEDS, SIZES, beyond, bip158, elements, set};
use gcs_core::Set;

/// Ours adds up all values. The peer has no iterator; it looks for one element that is
/// beyond the end, so that it decodes every value and compares it once.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for len in SIZES {
        let elements = elements(SEEDS.base, len);
        let ours = set(len, &elements);
        let theirs = bip158::build(&elements);
        let query = [beyond(&ours)];
        assert!(!ours.contains(query[0]) && !bip158::match_any(&theirs, &query));
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours"), |bencher| {
            bencher.iter(|| black_box(&ours).iter().sum::<u64>());
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "bip158"), |bencher| {
            bencher.iter(|| bip158::match_any(black_box(&theirs), &query));
        });
    }
}

/// Full validation: decodes everything and hashes everything.
fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for len in SIZES {
        let ours = set(len, &elements(SEEDS.base, len));
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours"), |bencher| {
            bencher.iter(|| Set::parse(black_box(ours.as_bytes())).map(|set| set.len()));
        });
    }
}

criterion_group! { name = benches; config = gcs_benches::criterion(); targets = decode, parse }
criterion_main!(benches);

//! Building a set from elements: hashing, sorting, coding; ours adds a SHA-256 as well.

use std::hint::black_box;
use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use gcs_benches::{SEEDS, SIZES, bip158, elements, set};

const SLOW: Duration = Duration::from_secs(15);

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    // One run of the peer takes more than a second.
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(SLOW);
    for len in SIZES {
        let elements = elements(SEEDS.base, len);
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours"), |bencher| {
            bencher.iter(|| set(len, black_box(&elements)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "bip158"), |bencher| {
            bencher.iter(|| bip158::build(black_box(&elements)));
        });
    }
}

criterion_group! { name = benches; config = gcs_benches::criterion(); targets = build }
criterion_main!(benches);

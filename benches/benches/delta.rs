//! Deltas from one day to the next: 1 % of the elements removed, as many others added. The peer has
//! no deltas. Rates are elements of the base set per second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gcs_benches::{SIZES, two_days};
use gcs_core::Delta;

fn delta(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delta");
    for len in SIZES {
        let (base, target) = two_days(len);
        let delta = Delta::between(&base, &target).expect("sets of one salt and hash range");
        assert!(delta.apply(&base).as_ref() == Ok(&target));
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new(len.to_string(), "ours-between"), |bencher| {
            bencher.iter(|| Delta::between(black_box(&base), black_box(&target)));
        });
        group.bench_function(BenchmarkId::new(len.to_string(), "ours-apply"), |bencher| {
            bencher.iter(|| delta.apply(black_box(&base)));
        });
    }
}

criterion_group! { name = benches; config = gcs_benches::criterion(); targets = delta }
criterion_main!(benches);

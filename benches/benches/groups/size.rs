//! The size of each structure, in bits an element.

use criterion::{BenchmarkId, Criterion, SamplingMode};
use gcs_benches::bits::Bits;
use gcs_benches::queries::Pool;
use gcs_benches::settings::Settings;
use gcs_benches::structure::Structure;
use gcs_benches::structures;

/// Sizes of whole structures, of ours also with its index. They do not vary: the fewest samples do.
pub(crate) fn size(criterion: &mut Criterion<Bits>, settings: &Settings) {
    let mut group = criterion.benchmark_group("size");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for &len in &settings.lens {
        let plan = settings.plan(len);
        let base = Pool::base(&plan, settings);
        let takes_part = |one: &Structure| settings.is_hashing || one.takes_hashes;
        for structure in structures().into_iter().filter(takes_part) {
            let mut bits = None;
            group.bench_function(BenchmarkId::new(len.to_string(), structure.name), |bencher| {
                let bits = *bits.get_or_insert_with(|| {
                    (structure.build)(&plan, base.all()).bytes() as f64 * 8.0 / len as f64
                });
                bencher.iter_custom(|runs| bits * runs as f64);
            });
        }
    }
}

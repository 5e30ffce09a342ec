//! All groups of benchmarks: `cargo bench -p gcs-benches -- batch` picks one.

use std::time::Duration;

use criterion::Criterion;
use gcs_benches::bits::Bits;
use gcs_benches::settings::Settings;

mod changes;
mod seeds;
mod size;
mod structures;

fn main() {
    let settings = Settings::of_criterion();
    let mut criterion = configured(Criterion::default());
    structures::hash(&mut criterion, &settings);
    structures::build(&mut criterion, &settings);
    structures::decode(&mut criterion, &settings);
    structures::contains(&mut criterion, &settings);
    structures::batch(&mut criterion, &settings);
    changes::parse(&mut criterion, &settings);
    changes::delta(&mut criterion, &settings);
    changes::algebra(&mut criterion, &settings);
    changes::publish(&mut criterion, &settings);
    seeds::seeds(&mut criterion, &settings);
    criterion.final_summary();
    size::size(&mut configured(Criterion::default().with_measurement(Bits)), &settings);
}

/// The settings of all measurements: few samples, so that the whole run takes only minutes.
fn configured<M: criterion::measurement::Measurement + 'static>(
    criterion: Criterion<M>,
) -> Criterion<M> {
    let criterion = criterion
        .sample_size(15)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    if cfg!(feature = "plots") { criterion } else { criterion.without_plots() }
}

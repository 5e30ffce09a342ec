//! Protocols beside each other: a town of 50 people for three virtual days, with the phones of
//! each protocol in turn. It prints a table, and fails if a phone finds anything else than it
//! should.
//!
//! ```text
//! cargo run --release -p gcs-examples --bin protocols
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `town`, `radio` | who is near whom, and what their phones exchange |
//! | `design`, `dp3t`, `tcn`, `gaen` | protocols whose phones make their identifiers |
//! | `bluetrace`, `classic`, `published` | BlueTrace in its two modes |
//! | `health`, `handset` | an authority that publishes, and a phone that syncs and matches |
//! | `broadcasts`, `reports`, `trial` | one protocol from beginning to end |
//! | `truth` | what should be found, from the specifications alone |
//! | `checks` | what must hold besides: deltas, wrong files, replays, false hits |
//! | `contacts`, `table` | which meetings were found, and what is printed |

mod bluetrace;
mod broadcasts;
mod checks;
mod classic;
mod contacts;
mod design;
mod dp3t;
mod gaen;
mod handset;
mod health;
mod published;
mod radio;
mod random;
mod reports;
mod table;
mod tcn;
mod town;
mod trial;
mod truth;

use std::process::ExitCode;
use std::thread;

use gcs_core::DAY_SECONDS;
use gcs_examples::{Checked, ensure};

use self::design::Design;
use self::table::BlueTrace;
use self::town::Town;
use self::trial::{Figures, Trial};

fn main() -> ExitCode {
    match simulate() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("NOT AS IT SHOULD BE: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate() -> Checked<String> {
    let town = Town::new()?;
    let receptions = radio::receptions(&town);
    let exchanges = radio::exchanges(&town);
    let authority = bluetrace::Authority::new(&town)?;
    let mut phones = bluetrace::Phones::new(&town, &authority)?;
    for exchange in &exchanges {
        phones.exchange(exchange)?;
    }
    let learned = classic::uploads(&town, &exchanges, &authority, &phones)?;

    // Each with the time for which an identifier counts, once it was broadcast.
    let designs: [(&dyn Design, u64); 5] = [
        (&dp3t::LowCost { first: town.first }, DAY_SECONDS),
        (&dp3t::Hybrid, 4 * 3600),
        (&dp3t::Unlinkable, 900),
        (&tcn::Tcn, DAY_SECONDS),
        (&gaen::Gaen, DAY_SECONDS),
    ];
    let mut trials = vec![published::trial(&town, &exchanges, &authority, &phones)?];
    for (design, span) in designs {
        trials.push(broadcasts::trial(&town, &receptions, design, span)?);
    }
    let figures = run(&trials)?;
    let agreement = contacts::agreement(&town, &learned, &figures[0].contacts)?;
    let bluetrace = BlueTrace { learned, agreement, temp_ids: 2 * phones.batch_bytes()? };
    Ok(table::text(&town, &figures, &bluetrace))
}

/// Runs the trials side by side. The error has those of all that fail.
fn run(trials: &[Trial<'_>]) -> Checked<Vec<Figures>> {
    let ended: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> =
            trials.iter().map(|trial| (trial.name, scope.spawn(|| trial.run()))).collect();
        let end = |(name, trial): (_, thread::ScopedJoinHandle<'_, Checked<Figures>>)| {
            let ended = trial.join().unwrap_or_else(|_| Err("panicked".into()));
            ended.map_err(|error| format!("{name}: {error}"))
        };
        running.into_iter().map(end).collect()
    });
    let (figures, errors): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    let errors: Vec<String> = errors.into_iter().filter_map(Result::err).collect();
    ensure(errors.is_empty(), || errors.join("\n"))?;
    Ok(figures.into_iter().flatten().collect())
}

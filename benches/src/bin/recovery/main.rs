//! How long a server takes to come back, and what its state costs in memory and in each tick.
//!
//! It makes a log as a server would, then measures on it, each in a process of its own: a replay of
//! the state, a rebuild of all publications, a start without and with a checkpoint; and on a smaller
//! log ticks while others read, report and fetch. Where PostgreSQL is installed, it also moves the large log there and
//! comes back from there. It prints a table and writes it to
//! `benches/report/RECOVERY.md`.
//!
//! `cargo run --release -p gcs-benches --bin recovery`, with `--quick` for a tenth of the elements.

mod database;
mod make;
mod measure;
mod process;
mod table;
mod ticks;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use make::Kind;
use process::Figures;

const HELP: &str = "\
Usage: recovery [--quick] [--elements N] [--reports R] [--out FILE] [--folder FOLDER]

Makes a log of N elements in R reports, measures how a server comes back from it, and writes a table.

  --quick          a million elements in 10,000 reports, instead of ten million in 100,000
  --elements N     elements of the log
  --reports R      reports of the log
  --out FILE       where the table is written (default: benches/report/RECOVERY.md)
  --folder FOLDER  where the logs are made (default: a new folder for temporary files); a log that
                   is there already is measured again, and stays
";

/// What is measured, and where.
struct Plan {
    elements: u64,
    reports: u64,
    out: PathBuf,
    folder: Option<PathBuf>,
}

/// Elements and reports of the log on which ticks are measured.
const TICKS: (u64, u64) = (1_000_000, 10_000);

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if let [process::CHILD, step, folder, rest @ ..] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let figures = child(step, Path::new(folder), rest)?;
        print!("{figures}");
        return Ok(());
    }
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("report/RECOVERY.md");
    let mut plan = Plan { elements: 10_000_000, reports: 100_000, out, folder: None };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument}: expected a value"));
        match argument.as_str() {
            "--quick" => (plan.elements, plan.reports) = TICKS,
            "--elements" => plan.elements = value()?.parse()?,
            "--reports" => plan.reports = value()?.parse()?,
            "--out" => plan.out = value()?.into(),
            "--folder" => plan.folder = Some(value()?.into()),
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("unexpected argument {other:?}\n\n{HELP}").into()),
        }
    }
    measure_all(&plan)
}

fn child(step: &str, folder: &Path, rest: &[&str]) -> Result<Figures, Box<dyn Error>> {
    match (step, rest) {
        ("make", [elements, reports]) => {
            make::make(folder, Kind::Raw, elements.parse()?, reports.parse()?)
        }
        ("make-seeds", [elements, reports]) => {
            make::make(folder, Kind::Seeds, elements.parse()?, reports.parse()?)
        }
        ("replay", []) => measure::replay_state(folder),
        ("rebuild", []) => measure::rebuild(folder),
        ("restart", []) => measure::restart(folder),
        ("ticks", []) => ticks::ticks(folder),
        ("copy", []) => database::copy(folder),
        ("move", []) => database::move_to_database(folder),
        ("move-back", []) => database::move_back(folder),
        _ => Err(format!("no such step: {step}").into()),
    }
}

fn measure_all(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let temporary = std::env::temp_dir().join(format!("gcs-recovery-{}", std::process::id()));
    let home = plan.folder.clone().unwrap_or_else(|| temporary.clone());
    let measured = measure_in(&home, plan);
    if plan.folder.is_none() {
        std::fs::remove_dir_all(&temporary)?;
    }
    let text = measured?;
    print!("{text}");
    std::fs::write(&plan.out, text)?;
    Ok(())
}

fn measure_in(home: &Path, plan: &Plan) -> Result<String, Box<dyn Error>> {
    let (large, seeds, small) = (home.join("large"), home.join("seeds"), home.join("ticks"));
    let size = [plan.elements, plan.reports];
    let mut results = table::Results::new(plan.elements, plan.reports);
    if !large.exists() {
        process::step("make", &large, &size)?;
    }
    results.log_bytes = std::fs::metadata(large.join("log.sqlite"))?.len() as f64;
    results.replay = process::step("replay", &large, &[])?;
    results.rebuild = process::step("rebuild", &large, &[])?;
    let _forgotten = std::fs::remove_file(large.join("private/checkpoint"));
    results.without = process::step("restart", &large, &[])?;
    results.with = process::step("restart", &large, &[])?;
    results.database = database::measure(home, &large)?;
    results.large = process::step("ticks", &large, &[])?;
    if !seeds.exists() {
        process::step("make-seeds", &seeds, &size)?;
    }
    results.seeds = process::step("replay", &seeds, &[])?;
    if !small.exists() {
        process::step("make", &small, &[TICKS.0, TICKS.1])?;
        process::step("rebuild", &small, &[])?;
    }
    results.ticks = process::step("ticks", &small, &[])?;
    Ok(results.text())
}

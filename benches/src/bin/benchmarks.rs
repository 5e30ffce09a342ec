//! Measures everything beside the peers and writes the report: `benches/report/REPORT.md`, its
//! plots, and a file of numbers beside each table.
//!
//! `cargo run --release -p gcs-benches --bin benchmarks`, with `--quick` for a few minutes.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gcs_benches::report::{self, Scope, memory};

const HELP: &str = "\
Usage: report [--quick] [--out FOLDER]

Measures gcs-core beside its peers and writes REPORT.md, plots (SVG) and numbers (CSV).

  --quick       100,000 and a million elements, fewer passes: a few minutes
  --out FOLDER  where to write (default: benches/report)

The environment sets what is measured: GCS_BENCH_N (such as 100k,1M), GCS_BENCH_RATE_BITS (19),
GCS_BENCH_HASHING (included or excluded), GCS_BENCH_PASSES, GCS_BENCH_MILLIS (of each case in a
pass), GCS_BENCH_ABSENT (queries by which false positives are counted).
";

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
    if let Some((memory::CHILD, rest)) =
        arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        print!("{}", memory::child(rest)?);
        return Ok(());
    }
    let mut folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("report");
    let mut is_quick = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => is_quick = true,
            "--out" => folder = PathBuf::from(arguments.next().ok_or("--out: expected a folder")?),
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("unexpected argument {other:?}\n\n{HELP}").into()),
        }
    }
    report::run(&Scope::of_environment(is_quick, folder, std::env::current_exe()?)?)
}

//! The time in which a BlueTrace authority derives, codes and signs what 40,000 cases have broadcast.
//!
//! `cargo run --release -p gcs-benches --bin bluetrace`, with `--quick` for a tenth of it. It prints a table
//! and writes it to `benches/report/BLUETRACE.md`.

mod published;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use gcs_benches::report::machine;

const HELP: &str = "\
Usage: bluetrace [--quick]

Measures BlueTrace's published mode, and writes a table to benches/report/BLUETRACE.md.

  --quick  a tenth of everything; the table is only printed
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
    let is_quick = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--quick"] => true,
        ["--help" | "-h"] => {
            print!("{HELP}");
            return Ok(());
        }
        _ => return Err(HELP.into()),
    };
    let share = if is_quick { 10 } else { 1 };
    let mut page = String::from("# BlueTrace\n\n");
    writeln!(page, "{}\n", machine())?;
    writeln!(page, "{}", published::measure(40_000 / share)?)?;
    print!("{page}");
    if !is_quick {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("report/BLUETRACE.md"), page)?;
    }
    Ok(())
}

//! Measures how much load the server of a BlueTrace authority takes: registrations, five million users, uploads, and cases to publish.
//!
//! `cargo build --release -p gcs-server && cargo run --release -p gcs-benches --bin bluetrace`, with `--quick`
//! for a tenth of it. It prints tables and writes them to `benches/report/BLUETRACE.md`.

mod arrivals;
mod day;
mod held;
mod phones;
mod published;
mod table;
mod uploads;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gcs_benches::report::machine;
use gcs_benches::server::Checked;

const HELP: &str = "\
Usage: bluetrace [--quick] [--only day|held|published] [--server PROGRAM]

Measures what a BlueTrace authority can bear, and writes tables to benches/report/BLUETRACE.md.

  --quick           a tenth of everything; the tables are only printed
  --only SECTION    one of the tables, only printed
  --server PROGRAM  the server's program (default: gcs-server beside this program)
";

/// The options of the command line.
struct Options {
    is_quick: bool,
    only: Option<String>,
    server: PathBuf,
}

impl Options {
    /// `None` if help is asked for.
    fn read(mut arguments: impl Iterator<Item = String>) -> Checked<Option<Options>> {
        let server = env::current_exe()?.with_file_name("gcs-server");
        let mut options = Options { is_quick: false, only: None, server };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.is_quick = true,
                "--only" => options.only = Some(value()?),
                "--server" => options.server = value()?.into(),
                "--help" | "-h" => return Ok(None),
                _ => return Err(HELP.into()),
            }
        }
        Ok(Some(options))
    }

    fn has(&self, section: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == section)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Checked<()> {
    let Some(options) = Options::read(env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(());
    };
    let share = if options.is_quick { 10 } else { 1 };
    // Below the present folder, so that the disk is the one of the repository.
    let folder = tempfile::Builder::new().prefix("bluetrace-").tempdir_in(".")?;
    let mut page = format!("# BlueTrace\n\n{}\n", machine());
    if options.has("day") {
        page += &day::measure(&options.server, folder.path(), share)?;
    }
    if options.has("held") {
        page += &held::measure(&options.server, folder.path(), 5_000_000 / share)?;
    }
    if options.has("published") {
        page += &published::measure(40_000 / share)?;
    }
    print!("{page}");
    if !options.is_quick && options.only.is_none() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("report/BLUETRACE.md"), page)?;
    }
    Ok(())
}

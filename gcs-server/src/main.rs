//! The server of a health authority, and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    gcs_server::cli::run()
}

//! The command line.

mod offline;
mod remote;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::config::{Config, Options};
use crate::code_sheet::Format;

/// Publishes compact sets of infected identifiers, and receives authorised reports of them.
///
/// Without a command it serves: on loopback, with a data folder below the working directory.
#[derive(Debug, Parser)]
#[command(name = "gcs-server", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default)
    Serve,
    /// Live through two weeks of an epidemic on a temporary folder, and check everything
    Demo {
        /// Leave the server running at the end
        #[arg(long)]
        keep: bool,
    },
    /// Show the configuration in force, as a configuration file
    ShowConfig,
    /// Check a log, which may be in use, and name the first bad event
    VerifyLog {
        /// The log [default: that of the data folder]
        file: Option<PathBuf>,
    },
    /// Compute state and files from log and key file alone, and compare them with what is there
    Rebuild {
        /// Write files that are missing or different, delete those that nothing names
        #[arg(long)]
        write: bool,
    },
    /// Replace a lost operator token, while the server is stopped
    ResetToken,
    /// Go on from a log whose end is lost, in a new series
    Recover {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Print the codes of a range that was opened, offline, with the provider's key
    PrintCodes(PrintCodes),
    /// Tell whether a code has a typing mistake, without asking a server
    CheckCode {
        /// The code as it was typed
        code: String,
    },
    /// Print the OpenAPI document
    Openapi,
    #[command(flatten)]
    Remote(remote::Command),
}

/// Codes to print offline.
#[derive(Args, Debug)]
struct PrintCodes {
    /// What `provider key` gave
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What `codes open --no-codes` gave
    #[arg(long, value_name = "FILE")]
    range: PathBuf,
    /// Form of the sheet
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    match dispatch(&options, command.unwrap_or(Command::Serve)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gcs-server: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn dispatch(options: &Options, command: Command) -> Outcome {
    let config = Config::load(options)?;
    match command {
        Command::Serve => serve::serve(&config),
        Command::Demo { keep } => Ok(crate::demo::run(keep)),
        Command::ShowConfig => {
            print!("{}", config.to_toml());
            Ok(ExitCode::SUCCESS)
        }
        Command::VerifyLog { file } => offline::verify_log(&config, file),
        Command::Rebuild { write } => offline::rebuild(&config, write),
        Command::ResetToken => offline::reset_token(&config),
        Command::Recover { yes } => offline::recover(&config, yes),
        Command::PrintCodes(codes) => offline::print_codes(&codes),
        Command::CheckCode { code } => {
            code.parse::<gcs_core::report::Code>()?;
            println!("no typing mistake; whether the code counts, only the server knows");
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => {
            println!("{}", crate::http::openapi().to_pretty_json()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Remote(command) => remote::run(&config, command),
    }
}

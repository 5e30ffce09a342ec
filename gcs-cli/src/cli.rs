//! The command line: its commands, the options that all of them share, and exit statuses.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cmd;
use crate::error::Error;
use crate::{help, interrupt, output};

/// Exit status when something asked for was found or done.
pub(crate) const SUCCESS: u8 = 0;
/// Exit status of a query that found nothing.
pub(crate) const NOTHING_FOUND: u8 = 1;
/// Exit status of every error.
pub(crate) const FAILURE: u8 = 2;
/// Exit status when the reader of the output has gone: what a shell shows for other tools then.
pub(crate) const CLOSED_PIPE: u8 = 128 + 13;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "gcs",
    version,
    about = "Makes a small file from a large list of elements, and tells whether an element is in it",
    long_about = "Makes a small file, a set, from a large list of elements, such as hashes of leaked \
                  passwords or serial numbers, and tells whether an element is in it.\n\n\
                  The answer \"no\" is certain. The answer \"yes\" is wrong for one in so many \
                  other elements as you choose: this is the false-positive rate. A set at one in a \
                  million takes 21.5 bits for each element, however long it is.\n\n\
                  A set holds fingerprints: an element's fingerprint is its hash below the hash \
                  range F. The salt keys the hash. Numbers may be written 200k, 1.5M, 16Ki or 1e6, \
                  and sizes 512MiB or 1.2GB. A file named - is standard input or output.",
    max_term_width = 100,
    after_help = "First steps:\n  \
        gcs encode hashes.txt -o hashes.gcs   a set of the hashes, one on each line\n  \
        gcs query hashes.gcs 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8\n  \
        gcs inspect hashes.gcs                how large it is, and how often it is wrong\n\n\
        Exit status: 0 found or done, 1 nothing found (query), 2 error, 130 interrupted, 141 the \
        reader of the output has gone."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Context {
    /// Write the answer as JSON; the help of each command names the fields
    #[arg(long, global = true, display_order = 100)]
    pub(crate) json: bool,
    /// Show progress on standard error even where it is no terminal, as lines
    #[arg(long, global = true, display_order = 101, conflicts_with = "no_progress")]
    pub(crate) progress: bool,
    /// Show no progress, even on a terminal
    #[arg(long, global = true, display_order = 102)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a set from lines or records
    Encode(Box<cmd::encode::Encode>),
    /// Tell which elements are in a set
    Query(cmd::query::Query),
    /// Make an index of a set, so that a query reads a few pages of it
    Index(cmd::index::Index),
    /// Show the statistics of sets, deltas and indexes, after verifying them
    Inspect(cmd::inspect::Inspect),
    /// Verify every byte of sets, deltas and indexes
    Verify(cmd::verify::Verify),
    /// Write what changed between two sets, as a delta
    Diff(cmd::diff::Diff),
    /// Apply a delta to a set
    Apply(cmd::apply::Apply),
    /// Write the set of what is in any of several sets
    Union(cmd::combine::Combine),
    /// Write the set of what is in all of several sets
    Intersect(cmd::combine::Combine),
    /// Write the set of what is in the first set and in none of the others
    Subtract(cmd::combine::Combine),
    /// Print the fingerprints of a set in ascending order
    List(cmd::list::List),
    /// Print a script that completes commands and options in a shell
    Completions(cmd::completions::Completions),
    /// Print the manual page of gcs or of one command
    Man(cmd::man::Man),
}

/// The whole command line, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    help::add_to(Cli::command())
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    let parsed = command().try_get_matches();
    let outcome = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => interrupt::handle().and_then(|()| dispatch(cli)),
        Err(shown) => show(&shown),
    };
    ExitCode::from(match outcome {
        Ok(status) => status,
        Err(Error::ClosedPipe) => CLOSED_PIPE,
        Err(error) => {
            output::note(format_args!("gcs: {error}"));
            FAILURE
        }
    })
}

fn dispatch(Cli { context, command }: Cli) -> Result<u8, Error> {
    match command {
        Command::Encode(command) => command.run(context),
        Command::Query(command) => command.run(context),
        Command::Index(command) => command.run(context),
        Command::Inspect(command) => command.run(context),
        Command::Verify(command) => command.run(context),
        Command::Diff(command) => command.run(context),
        Command::Apply(command) => command.run(context),
        Command::Union(command) => command.run(context, cmd::combine::Operation::Union),
        Command::Intersect(command) => command.run(context, cmd::combine::Operation::Intersect),
        Command::Subtract(command) => command.run(context, cmd::combine::Operation::Subtract),
        Command::List(command) => command.run(context),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    }
}

/// Shows help, the version, or what is wrong with the arguments.
fn show(shown: &clap::Error) -> Result<u8, Error> {
    let printed = shown.print();
    if shown.use_stderr() {
        return Ok(FAILURE);
    }
    printed.map_err(Error::stdout).map(|()| SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}

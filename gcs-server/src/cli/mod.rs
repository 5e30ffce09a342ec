//! The command line. Each command takes the settings that it uses; any other is an error.

mod ask_error;
mod backup;
mod bluetrace;
mod codes;
mod connection;
mod corrections;
mod export_key;
mod mirror;
mod move_log;
mod offline;
mod operate;
mod output;
mod provider;
mod report;
mod restore;
mod salvage;
mod serve;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::connection::{Ask, Private};
use self::output::{OutputArgs, Readers};
use crate::app::config::{Config, Options};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "gcs-server",
    version,
    about = "Receives authorised reports of infected identifiers, and publishes them as compact \
             sets.\n\nWithout a command it serves, on loopback and with a data folder in the \
             working directory.",
    long_about = None,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    override_usage = "gcs-server [SETTINGS]\n       gcs-server <COMMAND> [OPTIONS]",
    mut_args = |setting| setting.hide(true),
    after_help = "First steps:\n  \
        gcs-server                               serve, and show the operator's token once\n  \
        gcs-server provider add 'City hospital'  (operator) show the provider's token once\n  \
        gcs-server codes open --count 100        (provider) print one-time codes\n\n\
        Every command has --help; the settings are those of `serve --help`. Commands that ask a\n\
        running server take --url and --token, or GCS_SERVER_URL and GCS_SERVER_TOKEN."
)]
struct Cli {
    #[command(flatten)]
    settings: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default)
    Serve(Options),
    /// Show the settings in force, as a configuration file
    ShowConfig {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        settings: Options,
    },

    /// Operator: add, list and change providers
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Operator: revoke one unused code
    RevokeCode(codes::RevokeCode),
    /// Operator: retract reports; without --yes, only show what would change
    Retract(corrections::CorrectionArgs),
    /// Operator: reinstate retracted reports; without --yes, only show what would change
    Reinstate(corrections::CorrectionArgs),
    /// Operator: show the state of the server: log, publication, reports and dates
    Status(Private),
    /// Operator: publish now
    Tick(Private),
    /// Operator: show or change the policy: what is accepted and published
    #[command(subcommand)]
    Policy(operate::PolicyCommand),
    /// Operator: let reports and ticks go on after the clock leapt
    #[command(subcommand)]
    Clock(operate::ClockCommand),
    /// Operator: begin a new series, so that phones compare all their sets
    StartSeries(operate::StartSeries),
    /// Operator: show the digest of the state, to compare with a rebuild
    Digest(Private),
    /// Operator: replace the operator's token, and show the new one once
    OperatorToken(operate::NewToken),
    /// Operator: replace the token of backends, and show the new one once
    BackendToken(operate::NewToken),

    /// Provider: open ranges of codes, print and revoke them
    #[command(subcommand)]
    Codes(codes::CodesCommand),
    /// Provider: print codes offline, with the provider's key
    PrintCodes(codes::PrintCodes),
    /// Anyone: find a typing mistake in a code, without a server
    TestCode(codes::TestCode),

    /// Operator: the other health authorities of BlueTrace, and what waits for them
    #[command(subcommand)]
    Authority(bluetrace::AuthorityCommand),
    /// BlueTrace: who traces contacts, and whom cases have met
    #[command(subcommand)]
    Tracer(bluetrace::TracerCommand),
    /// Provider: make a short code for one user of BlueTrace
    ShortCode(bluetrace::ShortCode),

    /// Try out: make a random seed, and the element that other phones hear
    Element(report::ElementArgs),
    /// Try out: report a seed with a code, as a patient's app does
    Report(report::ReportArgs),
    /// Try out: show the status of a report
    ReportStatus(report::ReportStatusArgs),
    /// Backend: ask whether an element is published
    Exact(report::Exact),

    /// Anyone: fetch what a server publishes, verify it, and keep a folder of it up to date
    Mirror(mirror::MirrorCommand),

    /// Offline: verify a log, and name every event that is damaged
    VerifyLog(offline::VerifyLog),
    /// Offline: compute state and files from the log, and compare them with what is there
    Rebuild(offline::Rebuild),
    /// Copy the log of a running server, or what it has beyond an earlier copy
    Backup(backup::Backup),
    /// Offline: move the log to a PostgreSQL database, or back, where it goes on
    MoveLog(move_log::MoveLog),
    /// Offline: put a copy of the log in the place of a log that is lost, in a new series
    Restore(restore::Restore),
    /// Offline: replace a lost operator token, while the server is stopped
    ResetToken(offline::ResetToken),
    /// Offline: continue with a log whose end is lost, or that is damaged, in a new series
    Recover(offline::Recover),
    /// Print the public key that signs export files, which Apple and Google are given
    ExportKey(export_key::ExportKey),
    /// Print the OpenAPI document
    Openapi(OutputArgs),
}

type Error = Box<dyn std::error::Error>;
type CommandResult = Result<ExitCode, Error>;

/// The beginning of every environment variable of this program.
const PREFIX: &str = "GCS_SERVER_";

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    run_from(std::env::args_os())
}

/// Runs a command line, for a program that contains the server. The first argument is the
/// name of the program.
pub fn run_from<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> ExitCode {
    let outcome = match Cli::try_parse_from(args) {
        Ok(Cli { settings, command }) => expect_known_variables()
            .and_then(|()| dispatch(command.unwrap_or(Command::Serve(settings)))),
        Err(shown) => show(&shown),
    };
    outcome.unwrap_or_else(|error| {
        output::note(format_args!("gcs-server: {error}"));
        ExitCode::FAILURE
    })
}

/// Shows help, the version, or what is wrong with the arguments.
fn show(shown: &clap::Error) -> CommandResult {
    let code = ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(1));
    match output::unless_closed(shown.print()) {
        Err(error) if !shown.use_stderr() => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ => Ok(code),
    }
}

fn dispatch(command: Command) -> CommandResult {
    match command {
        Command::Serve(settings) => serve::serve(&settings),
        Command::ShowConfig { output, settings } => {
            output.write(Readers::Anyone, &Config::load(&settings)?.to_toml())
        }
        Command::Provider(command) => provider::run(command),
        Command::RevokeCode(code) => codes::revoke(&code),
        Command::Retract(correction) => corrections::run("retract", &correction),
        Command::Reinstate(correction) => corrections::run("reinstate", &correction),
        Command::Status(server) => server.connect()?.show(&Ask::get("/v1/admin/status")),
        Command::Tick(server) => operate::tick(&server),
        Command::Policy(command) => operate::policy(command),
        Command::Clock(command) => operate::clock(command),
        Command::StartSeries(start) => operate::start_series(&start),
        Command::Digest(server) => server.connect()?.show(&Ask::get("/v1/admin/digest")),
        Command::OperatorToken(new) => operate::operator_token(&new),
        Command::BackendToken(new) => operate::backend_token(&new),
        Command::Codes(command) => codes::run(command),
        Command::PrintCodes(codes) => codes::print_offline(&codes),
        Command::TestCode(code) => codes::test(&code),
        Command::Authority(command) => bluetrace::authority(command),
        Command::Tracer(command) => bluetrace::tracer(command),
        Command::ShortCode(short) => bluetrace::short_code(&short),
        Command::Element(element) => report::element(&element),
        Command::Report(patient) => report::report(&patient),
        Command::ReportStatus(status) => report::report_status(&status),
        Command::Exact(query) => report::exact(&query),
        Command::Mirror(command) => mirror::mirror(&command),
        Command::VerifyLog(log) => offline::verify_log(log),
        Command::Rebuild(rebuild) => offline::rebuild(rebuild),
        Command::Backup(backup) => backup::backup(&backup),
        Command::MoveLog(options) => move_log::run(options),
        Command::Restore(restore) => restore::restore(restore),
        Command::ResetToken(reset) => offline::reset_token(reset),
        Command::Recover(recover) => offline::recover(recover),
        Command::ExportKey(key) => export_key::run(key),
        Command::Openapi(output) => {
            let document = crate::http::openapi().to_pretty_json()?;
            output.write(Readers::Anyone, &format!("{document}\n"))
        }
    }
}

/// Makes sure that every environment variable that begins with [`PREFIX`] is known, so that a
/// typing mistake is noticed.
fn expect_known_variables() -> Result<(), Error> {
    let ours = variables(&Cli::command());
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    match names.filter(|name| name.starts_with(PREFIX)).find(|name| !ours.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let known = ours.into_iter().collect::<Vec<_>>().join(", ");
            Err(format!("environment variable {name} is unknown; known are {known}").into())
        }
    }
}

/// Every environment variable of a command and of those below it.
fn variables(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_env);
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert!(variables(&Cli::command()).iter().all(|name| name.starts_with(PREFIX)));
    }
    #[test]
    fn no_debug_line_has_a_token_a_password_or_a_code() {
        let code = "0000-0005-N14B-38SN";
        let shown = |arguments: &[&str]| {
            let url = ["--url", "http://127.0.0.1:1", "--token", "secret-token"];
            let proxy = ["--proxy", "http://me:secret-word@127.0.0.1:2"];
            let command = [&["gcs-server"], arguments, &url, &proxy].concat();
            let shown = Cli::parse_from(command);
            match &shown.command {
                Some(Command::Status(server)) => format!("{shown:?} {:?}", server.connect()),
                _ => format!("{shown:?}"),
            }
        };
        let to = ["--to", "postgres://me:secret-word@127.0.0.1/log"];
        let backup = [&["backup"], &to[..]].concat();
        assert!(shown(&["status"]).contains("127.0.0.1:1"));
        for command in
            [&["status"][..], &["revoke-code", code], &["retract", "--code", code], &backup]
        {
            let shown = shown(command);
            for secret in [code, "secret-token", "secret-word"] {
                assert!(!shown.contains(secret), "{command:?}: {shown}");
            }
        }
        let tested = Cli::parse_from(["gcs-server", "test-code", code]);
        assert!(!format!("{tested:?}").contains(code));
        let [_, place] = to;
        for other in [["move-log", "--to", place], ["serve", "--store", place]] {
            let shown = format!("{:?}", Cli::parse_from([&["gcs-server"], &other[..]].concat()));
            assert!(!shown.contains("secret-word"), "{shown}");
        }
    }
}

//! The commands of BlueTrace.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CommandResult;
use super::connection::{Ask, Private};
use super::operate::NewToken;
use super::output::{OutputArgs, Readers};
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum TracerCommand {
    /// Operator: replace the token of tracers, and show the new one once
    Token(NewToken),
    /// Tracer: list the cases of the last 21 days
    Cases(Private),
    /// Tracer: show whom a case has met; the look is written to the log
    #[command(after_help = "Example:\n  gcs-server tracer encounters 1234 --csv --output case.csv")]
    Encounters(Encounters),
}

#[derive(Args, Debug)]
pub(super) struct Encounters {
    /// Number of the case, as `tracer cases` shows it
    case: u64,
    /// As CSV, not JSON
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: Private,
}

/// For whom, and for which code.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  gcs-server short-code +6591234567 01A0-0Z92-6H3S-GEV5")]
pub(super) struct ShortCode {
    /// The user's phone number
    number: Secret,
    /// An unused code, as printed
    code: Secret,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: Private,
}

pub(super) fn tracer(command: TracerCommand) -> CommandResult {
    match command {
        TracerCommand::Token(NewToken { output, server }) => {
            let new = Ask::post("/bluetrace/v1/admin/tracer-token");
            server.connect()?.act_for_secret(&new, &output, |_| {
                "The old token is void, and the new one is lost: `gcs-server tracer token` makes another."
                    .to_owned()
            })
        }
        TracerCommand::Cases(server) => {
            server.connect()?.show(&Ask::get("/bluetrace/v1/tracer/cases"))
        }
        TracerCommand::Encounters(encounters) => show_encounters(&encounters),
    }
}

fn show_encounters(Encounters { case, csv, output, server }: &Encounters) -> CommandResult {
    let format = if *csv { "csv" } else { "json" };
    let path = format!("/bluetrace/v1/tracer/cases/{case}/encounters?format={format}");
    let mut text = server.connect()?.ask_text(&Ask::post(path))?;
    if !*csv {
        text.push('\n');
    }
    output.write(Readers::Owner, &text)
}

pub(super) fn short_code(ShortCode { number, code, output, server }: &ShortCode) -> CommandResult {
    let make = Ask::post("/bluetrace/v1/provider/short-codes")
        .with(&json!({ "number": number.0, "code": code.0 }));
    server.connect()?.act_for_secret(&make, output, |_| {
        "The short code has been made; the same command shows it again.".to_owned()
    })?;
    Ok(ExitCode::SUCCESS)
}

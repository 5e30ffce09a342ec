//! The commands about one-time codes: those of providers, `revoke-code` of the operator, and
//! `print-codes` and `test-code`, which need no server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum as _};
use data_encoding::HEXLOWER;
use gcs_core::report::{Code, ProviderKey};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::connection::{Ask, Client, Private, SMALL};
use super::output::{OutputArgs, Readers, say};
use super::{CommandResult, Error};
use crate::code_sheet::{Format, Sheet};
use crate::domain::judge::MAX_RANGE;
use crate::http::{ExportedKey, OpenedRange};
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum CodesCommand {
    /// Open a range of codes and print them
    #[command(
        after_help = "Example:\n  gcs-server codes open --count 500 --format csv --output codes.csv"
    )]
    Open(Open),
    /// List the provider's ranges
    List(Private),
    /// Print the unused codes of a range again
    Print(Print),
    /// Revoke the unused codes of a range
    Close(Close),
}

/// Where a sheet of codes is written, and how.
#[derive(Args, Debug)]
struct SheetArgs {
    /// Form of the sheet: text, csv or json
    #[arg(long, value_enum, value_name = "FORM", default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
pub(super) struct Open {
    /// Number of codes, 1 to 10000
    #[arg(long, value_name = "NUMBER")]
    count: u32,
    /// Days for which the codes are valid
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    valid_days: u32,
    /// Show the range instead of its codes, to print them offline with `print-codes`
    #[arg(long, conflicts_with = "format")]
    no_codes: bool,
    #[command(flatten)]
    sheet: SheetArgs,
    #[command(flatten)]
    server: Private,
}

/// A range that was opened before.
#[derive(Args, Debug)]
struct Range {
    /// The range's first serial number, as `codes list` shows it
    first: u32,
    /// Generation of the range's key, as `codes list` shows it; needed where two keys have such a range
    #[arg(long, value_name = "NUMBER")]
    generation: Option<u32>,
}

impl Range {
    /// A path below the range, with its query.
    fn path(&self, name: &str) -> String {
        let Range { first, generation } = self;
        let query = generation.map(|generation| format!("?generation={generation}"));
        format!("{RANGES}/{first}/{name}{}", query.unwrap_or_default())
    }
}

#[derive(Args, Debug)]
pub(super) struct Print {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    sheet: SheetArgs,
    #[command(flatten)]
    server: Private,
}

#[derive(Args, Debug)]
pub(super) struct Close {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    server: Private,
}

/// One code that the operator revokes.
#[derive(Args, Debug)]
pub(super) struct RevokeCode {
    /// The code as printed
    code: Secret,
    #[command(flatten)]
    server: Private,
}

/// Codes to print offline.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  gcs-server print-codes --key key.json --range range.json --output codes.txt"
)]
pub(super) struct PrintCodes {
    /// The file that `provider key --output` wrote
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The file that `codes open --no-codes --output` wrote
    #[arg(long, value_name = "FILE")]
    range: PathBuf,
    #[command(flatten)]
    sheet: SheetArgs,
}

/// A code to test for typing mistakes.
#[derive(Args, Debug)]
pub(super) struct TestCode {
    /// The code as it was typed
    code: Secret,
}

/// Bytes that one code takes in the longest form of a sheet.
const CODE_ROOM: usize = 64;

const RANGES: &str = "/v1/provider/ranges";

pub(super) fn run(command: CodesCommand) -> CommandResult {
    match command {
        CodesCommand::Open(range) => open(&range),
        CodesCommand::List(server) => server.connect()?.show(&Ask::get(RANGES)),
        CodesCommand::Print(Print { range, sheet: SheetArgs { format, output }, server }) => {
            let sheet = sheet(&server.connect()?, &range, format)?;
            output.write(Readers::Owner, &sheet)
        }
        CodesCommand::Close(Close { range, server }) => {
            let done = "The range is closed; `gcs-server codes list` shows it.";
            server.connect()?.act(&Ask::post(range.path("close")), done)
        }
    }
}

fn open(range: &Open) -> CommandResult {
    let Open { count, valid_days, no_codes, sheet: SheetArgs { format, output }, server } = range;
    let client = server.connect()?;
    let codes = usize::try_from((*count).min(MAX_RANGE))?;
    let output = output.open(Readers::Owner, codes * CODE_ROOM + SMALL)?;
    let body = json!({ "count": count, "valid_days": valid_days });
    let range = client.ask(&Ask::post(RANGES).with(&body))?;
    let number = |name: &str| range[name].as_u64().and_then(|number| u32::try_from(number).ok());
    let first = number("first").ok_or("no serial number in the answer")?;
    let generation = number("generation").ok_or("no generation in the answer")?;
    let named = format!("{first} --generation {generation}");
    if *no_codes {
        let done = format!(
            "The range {first} is open; `gcs-server codes list` shows it, `gcs-server codes close \
             {named}` revokes its codes."
        );
        output.write_after(&format!("{range:#}\n"), done)?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = format!(
        "The range {first} is open; `gcs-server codes print {named}` prints its codes, `gcs-server \
         codes close {named}` revokes them."
    );
    let sheet = sheet(&client, &Range { first, generation: Some(generation) }, *format)
        .map_err(|error| format!("{error}\n{done}"))?;
    output.write_after(&sheet, done)?;
    Ok(ExitCode::SUCCESS)
}

/// The unused codes of a range.
fn sheet(client: &Client, range: &Range, format: Format) -> Result<String, Error> {
    let format = format.to_possible_value().ok_or("a form without a name")?;
    let path = range.path("codes");
    let and = if path.contains('?') { '&' } else { '?' };
    Ok(client.ask_text(&Ask::get(format!("{path}{and}format={}", format.get_name())))?)
}

pub(super) fn revoke(RevokeCode { code, server }: &RevokeCode) -> CommandResult {
    let client = server.connect()?;
    let revoke = Ask::post("/v1/admin/codes/revoke").with(&json!({ "code": code.0 }));
    client.act(&revoke, "The code has been revoked.")
}

pub(super) fn test(TestCode { code }: &TestCode) -> CommandResult {
    code.0.parse::<Code>()?;
    say("no typing mistake; only the server knows whether the code is valid")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn print_offline(codes: &PrintCodes) -> CommandResult {
    let ExportedKey { provider, generation, key } = read(&codes.key, "provider key")?;
    let range: OpenedRange = read(&codes.range, "codes open --no-codes")?;
    if (range.provider, range.generation) != (provider, generation) {
        return Err(format!(
            "the range is of provider {} and key generation {}, but the key is of provider \
             {provider} and generation {generation}; `gcs-server provider key` shows the present key",
            range.provider, range.generation
        )
        .into());
    }
    let key = HEXLOWER.decode(key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    let key = ProviderKey::from_bytes(key.ok_or("the key is not 64 hexadecimal digits")?);
    if !(1..=MAX_RANGE).contains(&range.count) {
        return Err(format!("a range has 1 to {MAX_RANGE} codes, got {}", range.count).into());
    }
    let serials = range.first..range.first.saturating_add(range.count);
    let issued: Option<Vec<Code>> =
        serials.map(|serial| Code::issue(&key, provider, serial)).collect();
    let issued = issued.ok_or("no code has such a provider or serial number")?;
    let sheet = Sheet::new(issued, range.expires).print(codes.sheet.format);
    codes.sheet.output.write(Readers::Owner, &sheet)
}

/// Reads the answer of a command from a file.
fn read<T: DeserializeOwned>(path: &Path, command: &str) -> Result<T, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|_| format!("{}: not what `{command}` gives", path.display()))?)
}

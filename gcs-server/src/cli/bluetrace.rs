//! The commands of BlueTrace.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gcs_core::identifiers::bluetrace::{Hai, PseudoId};
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
    /// Tracer: have another authority call contacts of a case
    #[command(
        after_help = "Example:\n  gcs-server tracer follow-up 1234 NZ_MOH --pseudo-id GWZ92PM27AAwFsqbJz3G2Q"
    )]
    FollowUp(FollowUp),
    /// Tracer: list what other authorities ask to be called
    FollowUps(Private),
    /// Tracer: show whom to call for another authority; the look is written to the log
    Contacts(Contacts),
}

#[derive(Args, Debug)]
pub(super) struct FollowUp {
    /// Number of the case, as `tracer cases` shows it
    case: u64,
    /// HAI of the authority whose users they are
    authority: String,
    /// A contact's PseudoID, as `tracer encounters` shows it; once for each contact
    // One may begin with a hyphen.
    #[arg(
        long = "pseudo-id",
        required = true,
        value_name = "PSEUDO_ID",
        allow_hyphen_values = true
    )]
    pseudo_ids: Vec<PseudoId>,
    #[command(flatten)]
    server: Private,
}

#[derive(Args, Debug)]
pub(super) struct Contacts {
    /// Number of the follow-up, as `tracer follow-ups` shows it
    follow_up: u64,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: Private,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuthorityCommand {
    /// Show the key of this authority, the other authorities, and what waits for them
    List(Private),
    /// Add another authority, or change its URL or key
    #[command(
        after_help = "Example:\n  gcs-server authority set NZ_MOH https://bluetrace.example \
        8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
    )]
    Set {
        /// HAI of the authority
        hai: String,
        /// URL of its server, without a slash at the end
        authority_url: String,
        /// Its key: 64 hexadecimal digits, from its operator
        key: String,
        #[command(flatten)]
        server: Private,
    },
    /// Remove another authority
    Remove {
        /// HAI of the authority
        hai: String,
        #[command(flatten)]
        server: Private,
    },
}

const AUTHORITIES: &str = "/bluetrace/v1/admin/authorities";

pub(super) fn authority(command: AuthorityCommand) -> CommandResult {
    let shows = "`gcs-server authority list` shows it.";
    match command {
        AuthorityCommand::List(server) => server.connect()?.show(&Ask::get(AUTHORITIES)),
        AuthorityCommand::Set { hai, authority_url, key, server } => {
            let body = json!({ "url": authority_url, "key": key });
            let set = Ask::put(of_authority(&hai)?).with(&body);
            server.connect()?.act(&set, &format!("The authority is set; {shows}"))
        }
        AuthorityCommand::Remove { hai, server } => {
            let remove = Ask::delete(of_authority(&hai)?);
            server.connect()?.act(&remove, &format!("The authority is removed; {shows}"))
        }
    }
}

/// The path of an authority.
fn of_authority(hai: &str) -> Result<String, super::Error> {
    let hai: Hai = hai.parse()?;
    Ok(format!("{AUTHORITIES}/{hai}"))
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
        TracerCommand::FollowUp(FollowUp { case, authority, pseudo_ids, server }) => {
            let pseudo_ids: Vec<String> = pseudo_ids.iter().map(ToString::to_string).collect();
            let body = json!({ "authority": authority, "pseudo_ids": pseudo_ids });
            let make = Ask::post(format!("/bluetrace/v1/tracer/cases/{case}/follow-ups"));
            let done = "It is in the log, and sent as soon as the authority can be reached.";
            server.connect()?.act(&make.with(&body), done)
        }
        TracerCommand::FollowUps(server) => {
            server.connect()?.show(&Ask::get("/bluetrace/v1/tracer/follow-ups"))
        }
        TracerCommand::Contacts(Contacts { follow_up, output, server }) => {
            let path = format!("/bluetrace/v1/tracer/follow-ups/{follow_up}/contacts");
            let text = server.connect()?.ask_text(&Ask::post(path))?;
            output.write(Readers::Owner, &format!("{text}\n"))
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Tracer {
        #[command(subcommand)]
        command: TracerCommand,
    }

    fn parse(behind: &[&str]) -> Result<Tracer, clap::Error> {
        Tracer::try_parse_from([&["tracer", "follow-up", "7", "NZ_MOH"], behind].concat())
    }

    /// A PseudoID may begin with a hyphen, as an option does. Taken for one, a token would be sent in the body.
    #[test]
    fn options_behind_pseudo_ids_are_options() {
        let (first, second) = ("-WZ92PM27AAwFsqbJz3G2Q", "GWZ92PM27AAwFsqbJz3G2Q");
        let ids = ["--pseudo-id", first, "--pseudo-id", second];
        for options in [&[][..], &["--url", "https://127.0.0.1:1"]] {
            let parsed = parse(&[&ids, options].concat()).unwrap();
            let TracerCommand::FollowUp(follow_up) = parsed.command else { panic!() };
            let got: Vec<String> = follow_up.pseudo_ids.iter().map(ToString::to_string).collect();
            assert_eq!(got, [first, second]);
            let shown = format!("{:?}", follow_up.server);
            assert_eq!(shown.contains("url: Some"), !options.is_empty(), "{shown}");
        }
        for wrong in [&[][..], &[first], &["--pseudo-id"], &["--pseudo-id", "--url"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! The operator's commands about providers.

use clap::{Args, Subcommand};
use serde_json::json;

use super::CommandResult;
use super::connection::{Ask, Private};
use super::output::OutputArgs;

#[derive(Debug, Subcommand)]
pub(super) enum ProviderCommand {
    /// Add a provider, and show its token once
    #[command(
        after_help = "Example:\n  gcs-server provider add 'City hospital' --output token.json"
    )]
    Add(Add),
    /// List all providers
    List(Private),
    /// Suspend a provider: its codes are not accepted until it is resumed
    Suspend(Number),
    /// Make a suspended provider active again
    Resume(Number),
    /// Revoke a provider and its unused codes, for good
    Revoke(Number),
    /// Replace a provider's token, and show the new one once
    Token(Shown),
    /// Replace a provider's key: unused codes become void
    Rotate(Number),
    /// Show a provider's key, to print codes offline with `print-codes`
    Key(Shown),
}

#[derive(Args, Debug)]
pub(super) struct Add {
    /// Name of the provider
    name: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: Private,
}

#[derive(Args, Debug)]
pub(super) struct Number {
    /// Number of the provider, as `provider list` shows it
    provider: u16,
    #[command(flatten)]
    server: Private,
}

#[derive(Args, Debug)]
pub(super) struct Shown {
    /// Number of the provider, as `provider list` shows it
    provider: u16,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: Private,
}

pub(super) fn run(command: ProviderCommand) -> CommandResult {
    match command {
        ProviderCommand::Add(Add { name, output, server }) => {
            let add = Ask::post(PROVIDERS).with(&json!({ "name": name }));
            server.connect()?.act_for_secret(&add, &output, |added| {
                let provider = &added["provider"];
                format!(
                    "The provider has been added, with number {provider}. Its token is lost: \
                     `gcs-server provider token {provider}` makes another."
                )
            })
        }
        ProviderCommand::List(server) => server.connect()?.show(&Ask::get(PROVIDERS)),
        ProviderCommand::Suspend(provider) => change(&provider, "suspend"),
        ProviderCommand::Resume(provider) => change(&provider, "resume"),
        ProviderCommand::Revoke(provider) => change(&provider, "revoke"),
        ProviderCommand::Rotate(provider) => change(&provider, "rotate"),
        ProviderCommand::Token(provider) => show(&provider, "token", "The old token is void."),
        ProviderCommand::Key(provider) => show(&provider, "key", "Nothing has changed."),
    }
}

const PROVIDERS: &str = "/v1/admin/providers";

fn change(Number { provider, server }: &Number, act: &str) -> CommandResult {
    let change = Ask::post(format!("{PROVIDERS}/{provider}/{act}"));
    let done = "The provider has been changed; `gcs-server provider list` shows it.";
    server.connect()?.act(&change, done)
}

fn show(Shown { provider, output, server }: &Shown, act: &str, done: &str) -> CommandResult {
    let show = Ask::post(format!("{PROVIDERS}/{provider}/{act}"));
    server.connect()?.act_for_secret(&show, output, |_| {
        format!("{done} To see it, run `gcs-server provider {act} {provider}` again.")
    })
}

//! The operator's commands about policy, clock, ticks, series and tokens.

use clap::{Args, Subcommand};
use gcs_core::report::{Kind, KindError};
use serde::Deserialize as _;
use serde_json::Value;

use super::connection::{Ask, Private};
use super::output::OutputArgs;
use super::{CommandResult, Error};
use crate::domain::policy::{ExportPolicy, Policy};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show all settings of the policy
    Show(Private),
    /// Change settings of the policy
    #[command(after_help = "Examples:\n  \
            gcs-server policy set min_reports=10 kinds=dp3t-unlinkable,gaen\n  \
            gcs-server policy set exports.region=NL exports.key_id=204   # export files\n  \
            gcs-server policy set exports=                               # none any more")]
    Set(SetPolicy),
}

#[derive(Args, Debug)]
pub(super) struct SetPolicy {
    /// Settings with their values, as in min_reports=10
    #[arg(required = true, value_name = "SETTING=VALUE")]
    settings: Vec<String>,
    /// Do it even if dates are dropped, for good
    #[arg(long)]
    drop_dates: bool,
    /// Do it even if a report alone can bring much more filler than before
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: Private,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Say that the clock is right, so that reports and ticks go on
    Resume {
        /// Do it even if dates are dropped, for good
        #[arg(long)]
        drop_dates: bool,
        #[command(flatten)]
        server: Private,
    },
}

#[derive(Args, Debug)]
pub(super) struct StartSeries {
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Do it even if dates are dropped, for good
    #[arg(long)]
    drop_dates: bool,
    #[command(flatten)]
    server: Private,
}

/// Options of the commands that make a new token.
#[derive(Args, Debug)]
pub(super) struct NewToken {
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) server: Private,
}

const POLICY: &str = "/v1/admin/policy";

pub(super) fn policy(command: PolicyCommand) -> CommandResult {
    match command {
        PolicyCommand::Show(server) => server.connect()?.show(&Ask::get(POLICY)),
        PolicyCommand::Set(set) => set_policy(&set),
    }
}

fn set_policy(SetPolicy { settings, drop_dates, yes, server }: &SetPolicy) -> CommandResult {
    let client = server.connect()?;
    let mut policy = client.ask(&Ask::get(POLICY))?;
    let before = filler_of_one_report(&policy);
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("say SETTING=VALUE")?;
        let known = place(&mut policy, name)?;
        let known =
            known.ok_or_else(|| format!("there is no setting {name}; see `policy show`"))?;
        *known = like(known, value).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    let filler = filler_of_one_report(&policy);
    if filler > before.max(MUCH_FILLER) && !yes {
        return Err(format!(
            "with these settings, one report alone can bring up to {filler} random filler elements to \
             each of its dates (before: {before}): min_reports - 1 times max_elements_per_date, at most \
             max_filler. They stay until the date expires, and every phone fetches them. If that is \
             meant, add --yes"
        )
        .into());
    }
    let set = Ask::put(format!("{POLICY}?drop_dates={drop_dates}")).with(&policy);
    client.act(&set, "The policy has been changed; `gcs-server policy show` shows it.")
}

/// Where a setting is in a policy; `None` if there is none of this name. The first setting of export files turns them
/// on.
fn place<'p>(policy: &'p mut Value, name: &str) -> Result<Option<&'p mut Value>, Error> {
    let Some((group, name)) = name.split_once('.') else { return Ok(policy.get_mut(name)) };
    let Some(exports) = policy.get_mut(group).filter(|_| group == EXPORTS) else { return Ok(None) };
    if exports.is_null() {
        *exports = serde_json::to_value(ExportPolicy::default())?;
    }
    Ok(exports.get_mut(name))
}

/// The settings of export files, together.
const EXPORTS: &str = "exports";

/// A value as it is typed, of the type that the setting has.
fn like(known: &Value, typed: &str) -> Result<Value, String> {
    let kind = |name: &str| {
        name.trim().parse().map(Kind::name).map_err(|wrong: KindError| wrong.to_string())
    };
    match known {
        Value::String(_) => Ok(typed.into()),
        // Lists are of kinds.
        Value::Array(_) if typed.is_empty() => Ok(Value::Array(Vec::new())),
        Value::Array(_) => typed.split(',').map(kind).collect(),
        // Those of export files, which are set one by one.
        Value::Object(_) | Value::Null if typed.is_empty() => Ok(Value::Null),
        Value::Object(_) | Value::Null => {
            Err(format!("say {EXPORTS}.region={typed} and so on, or {EXPORTS}= for none"))
        }
        _ => serde_json::from_str(typed).map_err(|_| format!("{typed} is no number")),
    }
}

/// Filler of one report for one date that is not worth a question.
const MUCH_FILLER: u64 = 10_000;

/// See [`Policy::filler_of_one_report`]. Settings that are none bring no filler: the server refuses them.
fn filler_of_one_report(policy: &Value) -> u64 {
    Policy::deserialize(policy).map_or(0, |policy| policy.filler_of_one_report())
}

pub(super) fn tick(server: &Private) -> CommandResult {
    let done = "A tick has been made; `gcs-server status` shows it.";
    server.connect()?.act(&Ask::post("/v1/admin/tick"), done)
}

pub(super) fn clock(command: ClockCommand) -> CommandResult {
    let ClockCommand::Resume { drop_dates, server } = command;
    let resume = Ask::post(format!("/v1/admin/clock/resume?drop_dates={drop_dates}"));
    let done = "Ticks go on; `gcs-server status` shows the last one.";
    server.connect()?.act(&resume, done)
}

pub(super) fn start_series(options: &StartSeries) -> CommandResult {
    let StartSeries { yes, drop_dates, server } = options;
    if !yes {
        return Err(
            "every phone will compare all its sets and fetch those that differ; add --yes to do it"
                .into(),
        );
    }
    let done = "A new series begins with the next tick; `gcs-server status` shows it then.";
    let start = Ask::post(format!("/v1/admin/series?drop_dates={drop_dates}"));
    server.connect()?.act(&start, done)
}

pub(super) fn operator_token(NewToken { output, server }: &NewToken) -> CommandResult {
    server.connect()?.act_for_secret(&Ask::post("/v1/admin/token"), output, |_| {
        "The old token is void, and the new one is lost: stop the server, then run \
         `gcs-server reset-token`."
            .to_owned()
    })
}

pub(super) fn backend_token(NewToken { output, server }: &NewToken) -> CommandResult {
    server.connect()?.act_for_secret(&Ask::post("/v1/admin/backend-token"), output, |_| {
        "The old token is void, and the new one is lost: `gcs-server backend-token` makes another."
            .to_owned()
    })
}

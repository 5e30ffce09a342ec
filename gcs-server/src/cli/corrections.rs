//! The commands `retract` and `reinstate`: first a preview, then the change that it showed.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::CommandResult;
use super::connection::{Ask, Private};
use super::output::{note, say};
use crate::secret::Secret;
use crate::time;

/// Which reports to correct, and whether to do it or only to show what would change.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: first look, then do what was shown; `reinstate` takes the same options:\n  \
    gcs-server retract --provider 1 --received-from 2026-01-31\n  \
    gcs-server retract --provider 1 --received-from 2026-01-31 --position 1234 --yes"
)]
pub(super) struct CorrectionArgs {
    /// The report of this tracking id
    #[arg(long, value_name = "ID")]
    report: Option<String>,
    /// The report that this code brought
    #[arg(long)]
    code: Option<Secret>,
    /// Reports of this provider
    #[arg(long, value_name = "NUMBER")]
    provider: Option<u16>,
    /// Reports of the provider's range that begins with this serial number
    #[arg(long, value_name = "FIRST", requires = "provider")]
    range: Option<u32>,
    /// Reports of this generation of the provider's key [default with --range: the present one]
    #[arg(long, value_name = "NUMBER", requires = "provider")]
    generation: Option<u32>,
    /// Reports received at this UTC time or later, as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    received_from: Option<u64>,
    /// Reports received before this UTC time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    received_until: Option<u64>,
    /// Position of the log that the preview showed; later reports are left alone
    #[arg(long, value_name = "NUMBER")]
    position: Option<u64>,
    /// Do it; without --yes, only show what would change
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: Private,
}

pub(super) fn run(act: &str, correction: &CorrectionArgs) -> CommandResult {
    let CorrectionArgs { report, code, provider, range, generation, position, .. } = correction;
    let (from, until) = (correction.received_from, correction.received_until);
    let code = code.as_ref().map(|code| &code.0);
    let client = correction.server.connect()?;
    let select = json!({
        "report": report, "code": code, "provider": provider, "range": range,
        "generation": generation, "received_from": from, "received_until": until,
    });
    let mut body = json!({ "act": act, "select": select });
    if correction.yes {
        let position = position.ok_or(
            "look first, without --yes: that shows what changes, and the --position to act on",
        )?;
        body["position"] = position.into();
        let done = "The reports are corrected; phones get the change with the next tick.";
        client.act(&Ask::post("/v1/admin/corrections").with(&body), done)?;
        note("done; phones get the change with the next tick");
        return Ok(ExitCode::SUCCESS);
    }
    let preview = client.ask(&Ask::post("/v1/admin/corrections/preview").with(&body))?;
    say(format_args!("{preview:#}"))?;
    let position = &preview["position"];
    say(format_args!("nothing has changed yet; add `--position {position} --yes` to do it"))?;
    Ok(ExitCode::SUCCESS)
}

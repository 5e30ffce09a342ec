//! The command `move-log`.

use std::process::ExitCode;

use clap::Args;
use data_encoding::HEXLOWER;

use super::CommandResult;
use super::output::{say, say_done};
use crate::app::config::{Config, FolderOptions};
use crate::app::{MovedLog, move_log};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::LogPlace;

/// Options of `move-log`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    gcs-server move-log --to postgres://gcs@db.example/log            # from log.sqlite\n  \
    gcs-server move-log --store postgres://gcs@db.example/log --to-file  # back\n\n\
    No report is taken while this runs. `backup --to postgres://…` copies most of a large log\n\
    while the server still runs; then this has little left to do.")]
pub(super) struct MoveLog {
    /// PostgreSQL database in which the log goes on
    #[arg(long, value_name = "URL", required_unless_present = "to_file")]
    to: Option<Secret>,
    /// The log goes on in log.sqlite in the data folder
    #[arg(long, conflicts_with = "to")]
    to_file: bool,
    #[command(flatten)]
    settings: FolderOptions,
}

pub(super) fn run(MoveLog { to, settings, .. }: MoveLog) -> CommandResult {
    let config = Config::load(&settings.into())?;
    let to = match to {
        Some(Secret(url)) => LogPlace::Postgres(url.parse()?),
        None => LogPlace::File(config.data_dir.join("log.sqlite")),
    };
    let mut said = Ok(());
    let moved = move_log(&config, &to, &Random::System, |text| said = say(text))?;
    said?;
    let MovedLog { position, head, aside } = moved;
    say(format_args!("{to} has events 1 to {position}\nhead {}", HEXLOWER.encode(&head)))?;
    if let Some(aside) = aside {
        say(format_args!("the old files are in {}", aside.display()))?;
    }
    let next = match &to {
        LogPlace::Postgres(_) => "start every node with this database as its setting `store`",
        LogPlace::File(_) => "start the server without the setting `store`",
    };
    say_done(&format!("the log has moved; {next}"))?;
    Ok(ExitCode::SUCCESS)
}

//! The command `restore`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::connection::SMALL;
use super::offline::{Allow, begin_series, expect_recoverable, say_codes};
use super::output::{Output, say, say_done};
use super::{CommandResult, Error};
use crate::app::config::{Config, FolderOptions};
use crate::app::{DataFolder, Restore as Restoring};

/// Options of `restore`.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The copy: the folder that `backup` wrote, or a file of a log
    copy: PathBuf,
    /// Do it; without --yes, only show what would happen
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    settings: FolderOptions,
}

pub(super) fn restore(options: Restore) -> CommandResult {
    let Restore { copy, yes, allow, settings } = options;
    let config = Config::load(&settings.into())?;
    if let Some(url) = &config.store {
        return Err(format!(
            "restore puts a copy in the place of log.sqlite, and the log of this data folder is in {url}. To put a \
             copy into an empty database, restore it in an empty data folder with the key file and without the \
             setting `store`, then move it with `gcs-server move-log --to`"
        )
        .into());
    }
    DataFolder::expect_unused(&config)?;
    let restoring = Restoring::look(&copy, &config)?;
    let (state, folder) = (&restoring.state, config.data_dir.display());
    let tick = state.last_tick.map_or(0, |last| last.version.tick);
    say(format_args!(
        "the copy is sound up to event {}: {} reports, last tick {tick}",
        state.position,
        state.reports.len()
    ))?;
    say(&restoring.present)?;
    expect_recoverable(&config, state, allow)?;
    if !yes {
        say_codes(state, config.clock().now(), allow)?;
        let flags = allow.flags();
        say(format_args!(
            "`gcs-server restore {}{flags} --yes` moves what is there to a folder replaced-TIME in {folder}, puts the \
             copy in its place, and begins a new series. Everything after the copy is lost for the server: \
             reports have to be sent again, and corrections, revocations, rotated keys, suspensions and new tokens \
             to be done again",
            copy.display()
        ))?;
        return Ok(ExitCode::FAILURE);
    }
    drop(Output::stdout(SMALL)?);
    let keys = Arc::clone(&restoring.keys);
    let claimed = DataFolder::claim(&config.data_dir, config.log())?;
    let mut series = 0;
    let aside = restoring.install(&claimed, config.clock().now(), |store, state| {
        series = begin_series(&config, (&claimed, &keys), store, state, allow)?;
        Ok::<(), Error>(())
    })?;
    let aside = aside.map_or_else(String::new, |aside| {
        format!("what was there is in {}: keep it. ", aside.display())
    });
    say_done(&format!(
        "the copy is in place. {aside}Series {series} begins with the next tick; start the server if it does not run"
    ))?;
    Ok(ExitCode::SUCCESS)
}

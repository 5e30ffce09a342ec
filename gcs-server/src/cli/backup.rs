//! The command `backup`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use data_encoding::HEXLOWER;

use super::connection::{Ask, Client, Private};
use super::output::{note, say};
use super::{CommandResult, Error};
use crate::app::{CopyError, DataFolder, LogCopy, expect_undamaged};
use crate::http::LogPage;
use crate::secret::Secret;
use crate::store::{LogPlace, LogReader, Page};

/// Bytes of a log that are read from a folder at a time, about.
const PAGE_BYTES: usize = 4 << 20;

/// How long `--follow` waits before it asks again.
const PAUSE: Duration = Duration::from_secs(5);

/// What a copy of the log does not have.
const NOT_IN_IT: &str = "not in this copy: the key file, without which it cannot be used. Keep one copy of the key file apart \
     from copies of the log: whoever has it can publish in your name and make codes. The files that phones \
     fetch are not in it either: they are computed from the log";

/// Options of `backup`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    gcs-server backup --to /mnt/backup/gcs\n  \
    gcs-server backup --to /mnt/backup/gcs --from gcs-data    # the server is stopped\n  \
    gcs-server backup --to postgres://gcs@db.example/log      # as `move-log` can do later")]
pub(super) struct Backup {
    /// Folder of the copy, which is made if it does not exist, or a PostgreSQL database; a copy that is
    /// there is brought up to date
    #[arg(long, value_name = "FOLDER_OR_URL")]
    to: Secret,
    /// Copy the log of this data folder, whose server is stopped, instead of a running server's
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["follow", "proxy"])]
    from: Option<PathBuf>,
    /// Do not end: copy what comes every few seconds
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    server: Private,
}

pub(super) fn backup(Backup { to, from, follow, server }: &Backup) -> CommandResult {
    let mut copy = match to.0.contains("://") {
        true => LogCopy::open_database(&to.0.parse()?)?,
        false => LogCopy::open(Path::new(&to.0))?,
    };
    match from {
        Some(folder) => copy_folder(&mut copy, folder)?,
        None => {
            let client = server.connect()?;
            copy_server(&mut copy, &client)?;
            if *follow {
                return keep_following(&mut copy, &client);
            }
        }
    }
    say(NOT_IN_IT)?;
    Ok(ExitCode::SUCCESS)
}

/// Copies what a running server has.
fn copy_server(copy: &mut LogCopy, client: &Client) -> Result<(), Error> {
    update(copy, |from| {
        let page = client.ask(&Ask::get(format!("/v1/admin/log?from={from}")))?;
        let page: Option<LogPage> = serde_json::from_value(page).ok();
        let page = page.and_then(|page| page.decode());
        page.ok_or_else(|| {
            "what came is no part of a log; is the server of another release?".into()
        })
    })
}

/// Copies what the log of a stopped server has.
fn copy_folder(copy: &mut LogCopy, folder: &Path) -> Result<(), Error> {
    let log = folder.join("log.sqlite");
    if !log.exists() {
        return Err(format!("there is no log {}", log.display()).into());
    }
    let place = LogPlace::File(log.clone());
    let _claimed = DataFolder::claim(folder, place.clone())?;
    expect_undamaged(&log)?;
    let reader = LogReader::new(place);
    update(copy, |from| Ok(reader.page(from, PAGE_BYTES)?))
}

/// Brings a copy up to date, and says what it has then.
fn update(copy: &mut LogCopy, read: impl FnMut(u64) -> Result<Page, Error>) -> Result<(), Error> {
    let before = copy.position();
    copy.follow(read)?;
    copy.finish()?;
    let (place, position) = (copy.place(), copy.position());
    say(format_args!("{place} has events 1 to {position}, {} of them new", position - before))?;
    say(format_args!("head {}", HEXLOWER.encode(&copy.head())))?;
    Ok(())
}

/// Copies what comes, until the process is ended, or the log is not the copy's any more.
fn keep_following(copy: &mut LogCopy, client: &Client) -> CommandResult {
    say(NOT_IN_IT)?;
    loop {
        std::thread::sleep(PAUSE);
        match copy_server(copy, client) {
            Err(error) if error.is::<CopyError>() => return Err(error),
            Err(error) => note(format_args!("not copied, trying again: {error}")),
            Ok(()) => {}
        }
    }
}

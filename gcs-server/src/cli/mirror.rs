//! The command `mirror`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use gcs_core::files::Path;
use gcs_core::{Folder, PublicKey};

use super::ask_error::AskError;
use super::connection::{Client, Public};
use super::output::{note, say};
use super::{CommandResult, Error};
use crate::clock::Clock;
use crate::publishing::{Mirror, MirrorError, Origin, Pulled};
use crate::random::Random;

/// Least wait between two pulls, and after one that failed, in seconds.
const SOONEST: u64 = 60;

/// Longest wait between two pulls, in seconds.
const LATEST: u64 = 3600;

/// Options of `mirror`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    gcs-server mirror --public-url https://health.example --root-key KEY --to /srv/mirror\n  \
    gcs-server mirror --public-url https://health.example --root-key KEY --to /srv/mirror --follow\n\n\
    Any web server can serve the folder as it is, and needs no key: phones verify every file.")]
pub(super) struct MirrorCommand {
    /// Folder of the mirror, which is made if it does not exist; one that is there is brought up to date
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// The deployment's root key, as the server shows it when it starts
    #[arg(long, value_name = "KEY")]
    root_key: PublicKey,
    /// Do not end: fetch each publication when it comes
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    server: Public,
}

pub(super) fn mirror(command: &MirrorCommand) -> CommandResult {
    let MirrorCommand { to, root_key, follow, server } = command;
    if to.to_string_lossy().contains("://") {
        let to = to.display();
        return Err(format!(
            "--to {to} is a URL, and a mirror is a folder: name one, and let another program copy it"
        )
        .into());
    }
    let mut client = server.connect()?;
    let folder = Folder::open(to).map_err(|error| format!("{}: {error}", to.display()))?;
    let mut mirror = Mirror::open(folder, *root_key)?;
    let clock = Clock::System;
    loop {
        let pulled = mirror.pull(&mut client, clock.now());
        match &pulled {
            Ok(pulled) => report(command, pulled)?,
            Err(error) if *follow && !is_final(error) => {
                note(format_args!("not mirrored, trying again: {error}"));
            }
            Err(_) => {}
        }
        match pulled {
            Ok(_) if !follow => return Ok(ExitCode::SUCCESS),
            Err(error) if !follow || is_final(&error) => return Err(error.into()),
            pulled => std::thread::sleep(wait(&pulled, clock.now())?),
        }
    }
}

/// Whether a person must look at it, since the server says two things.
fn is_final(error: &MirrorError) -> bool {
    matches!(error, MirrorError::Equivocation(_))
}

fn report(command: &MirrorCommand, pulled: &Pulled) -> Result<(), Error> {
    let Pulled { manifest, fetched, deleted } = pulled;
    let place = command.to.display();
    say(format_args!(
        "{place} has series {}, tick {}: {fetched} files fetched, {deleted} deleted",
        manifest.series, manifest.tick
    ))?;
    Ok(())
}

/// How long to wait before the next pull: until the next publication, and a little, so that not all
/// mirrors ask at once.
fn wait(pulled: &Result<Pulled, MirrorError>, now: u64) -> Result<Duration, Error> {
    let [a, b] = Random::System.bytes::<2>()?;
    let spread = u64::from(u16::from_le_bytes([a, b])) % SOONEST;
    let wait = match pulled {
        Ok(pulled) => pulled.manifest.next.saturating_sub(now).clamp(SOONEST, LATEST),
        Err(_) => SOONEST,
    };
    Ok(Duration::from_secs(wait + spread))
}

impl Origin for Client {
    type Error = AskError;

    fn fetch(&mut self, path: &Path, most: u64) -> Result<Vec<u8>, AskError> {
        self.download(&path.to_string(), most)
    }
}

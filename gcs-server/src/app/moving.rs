//! Moving a log to another place, in which it goes on.
//!
//! Everything is copied and verified first. Then one event ends the log, right behind what was copied: it
//! cannot be appended if anything came between. From then on no server goes on with the old log. The new
//! one does not have that event. Cut short at any point, the same command goes on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::backup::{CopyError, LogCopy};
use super::folder::{DataFolder, FolderError};
use super::repair::{LOG, LOG_WAL, OnLoss, OpenLog, WITNESS};
use super::restore::{expect_one_file, move_aside};
use crate::app::config::Config;
use crate::app::key_file::{self, KeyFileError};
use crate::domain::events::{Event, LogMoved};
use crate::new_file::sync_folder;
use crate::node::{ReplayError, Replayed, replay, seal};
use crate::random::{self, Random};
use crate::store::{AppendError, LogPlace, Page, Store, StoreError};

/// Folder in the data folder in which a log is made ready.
const STAGE: &str = "moving";

/// Bytes of a log that are copied at a time, about.
const PAGE_BYTES: usize = 4 << 20;

/// Why a log was not moved.
#[derive(Debug, Error)]
pub enum MoveError {
    /// The log is there already.
    #[error("the log is in {place} already: it can be moved from a file to a database, or back")]
    Same {
        /// Where it is.
        place: LogPlace,
    },
    /// Another log is in the way.
    #[error(
        "there is a log {path} already: move it to another folder first. Nothing has been changed."
    )]
    InTheWay {
        /// That log.
        path: PathBuf,
    },
    /// The log cannot be read or ended.
    #[error("the log {place}: {error}")]
    Store {
        /// The log.
        place: LogPlace,
        /// What went wrong.
        error: StoreError,
    },
    /// The copy is not what it should be.
    #[error("the copy {place} is not right, and the log stays where it is: {error}")]
    Copy {
        /// The copy.
        place: LogPlace,
        /// What is wrong with it.
        error: ReplayError,
    },
    /// The copy cannot be made.
    #[error(transparent)]
    Copying(#[from] CopyError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The key file cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] random::Error),
    /// A file cannot be moved.
    #[error("{path}: {error}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// A log that was moved.
#[derive(Debug)]
pub struct MovedLog {
    /// Position of its last event.
    pub position: u64,
    /// SHA-256 of that event's header.
    pub head: [u8; 32],
    /// Where the files of the old log are now, if it was in files.
    pub aside: Option<PathBuf>,
}

/// Moves the log of a data folder, which no server uses, from its file to a database, or back. The folder
/// keeps everything else.
///
/// # Errors
/// A [`MoveError`]. The log is in its old place then, or the error is one of moving files at the end; in
/// both cases the same call goes on.
pub fn move_log(
    config: &Config,
    to: &LogPlace,
    random: &Random,
    mut say: impl FnMut(&str),
) -> Result<MovedLog, MoveError> {
    let now = config.clock().now();
    let from = config.log();
    // Two URLs may lead to one database.
    if matches!((&from, to), (LogPlace::Postgres(_), LogPlace::Postgres(_)))
        || from.to_string() == to.to_string()
    {
        return Err(MoveError::Same { place: from });
    }
    DataFolder::expect_deployment(config)?;
    let folder = DataFolder::claim(&config.data_dir, from.clone())?;
    let OpenLog { mut store, .. } = folder.open_log(now, OnLoss::Refuse)?;
    let keys = key_file::read(&config.key_file)?;
    let stage = config.data_dir.join(STAGE);
    let mut copy = match to {
        LogPlace::Postgres(url) => LogCopy::open_database(url)?,
        LogPlace::File(path) if path.exists() => {
            return Err(MoveError::InTheWay { path: path.clone() });
        }
        LogPlace::File(_) => LogCopy::open(&stage)?,
    };
    copy_rest(&mut *store, &from, &mut copy)?;
    say(&format!("{} events are copied; they are verified", copy.position()));
    let verified = replay(copy.store(), Some(&keys), |_, _| Ok(())).and_then(Replayed::whole);
    verified.map_err(|error| MoveError::Copy { place: copy.place().clone(), error })?;
    while !end(&mut *store, &from, &copy, to, now, random)? {
        copy_rest(&mut *store, &from, &mut copy)?;
    }
    // Not before the old log is ended. A copy that was finished earlier stays one that can be used.
    copy.finish()?;
    let (position, head) = (copy.position(), copy.head());
    drop((store, copy));
    let aside = settle(&config.data_dir, &stage, &from, to, now);
    let aside = aside.map_err(|error| MoveError::Io { path: config.data_dir.clone(), error })?;
    Ok(MovedLog { position, head, aside })
}

/// Copies what the copy does not have yet.
fn copy_rest(store: &mut dyn Store, place: &LogPlace, copy: &mut LogCopy) -> Result<(), MoveError> {
    copy.follow(|from| {
        let failed = |error| MoveError::Store { place: place.clone(), error };
        Page::read(store, from, PAGE_BYTES).map_err(failed)
    })
}

/// Ends a log right behind what was copied; `false` if there is more of it.
fn end(
    store: &mut dyn Store,
    place: &LogPlace,
    copy: &LogCopy,
    to: &LogPlace,
    now: u64,
    random: &Random,
) -> Result<bool, MoveError> {
    let failed = |error| MoveError::Store { place: place.clone(), error };
    if is_ended(store, copy).map_err(failed)? {
        return Ok(true);
    }
    let event = LogMoved { to: to.to_string() }.into();
    let Some(sealed) = seal(copy.chain(), &[event], now, random)? else { return Ok(true) };
    match store.append(&sealed.batch) {
        Ok(()) => Ok(true),
        Err(AppendError::Conflict) => Ok(false),
        Err(AppendError::Unknown(_)) if store.is_durable(&sealed.batch).map_err(failed)? => {
            Ok(true)
        }
        Err(AppendError::Failed(error) | AppendError::Unknown(error)) => Err(failed(error)),
    }
}

/// Whether an earlier call ended the log there.
fn is_ended(store: &mut dyn Store, copy: &LogCopy) -> Result<bool, StoreError> {
    let mut chain = copy.chain();
    let next = store.read(chain.position + 1, 1)?;
    let event = next.first().and_then(|batch| batch.events.first());
    let Some((event, body)) = event.and_then(|event| Some((event, event.body.as_ref()?))) else {
        return Ok(false);
    };
    let verified = chain.verify(&event.header, Some((&body.salt, &body.bytes)));
    Ok(verified.is_ok_and(|logged| matches!(logged.event, Some(Event::LogMoved(_)))))
}

/// Puts the files in their places.
fn settle(
    folder: &Path,
    stage: &Path,
    from: &LogPlace,
    to: &LogPlace,
    now: u64,
) -> io::Result<Option<PathBuf>> {
    if matches!(to, LogPlace::File(_)) {
        expect_one_file(stage)?;
    }
    let aside = match from {
        LogPlace::File(_) => move_aside(folder, "moved", now, &[LOG, LOG_WAL, WITNESS])?,
        LogPlace::Postgres(_) => None,
    };
    if let LogPlace::File(place) = to {
        fs::rename(stage.join(LOG), place)?;
        sync_folder(folder)?;
        fs::remove_dir_all(stage)?;
    }
    Ok(aside)
}

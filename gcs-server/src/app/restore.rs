//! Putting a copy of the log in the place of the log of a data folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gcs_core::Digest;
use thiserror::Error;

use super::folder::{DataFolder, FolderError};
use super::kept::keep_owner;
use super::repair::{LOG, LOG_WAL, WITNESS, expect_undamaged, has_wal};
use crate::app::config::Config;
use crate::app::key_file;
use crate::domain::keys::DeploymentKeys;
use crate::domain::state::State;
use crate::new_file::{NewFile, Readers, sync_folder, sync_folder_of};
use crate::node::{ReplayError, Survey, replay};
use crate::store::{SqliteStore, Store as _, StoreError};
use crate::time::utc;

/// Folder in the data folder in which the copy is made ready.
pub(super) const STAGE: &str = "restoring";

/// Why a copy cannot be restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// There is no such copy.
    #[error(
        "there is no copy of a log at {path}: name the folder that `gcs-server backup` wrote, or the file"
    )]
    NoCopy {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The copy is the log itself.
    #[error("{path} is the log of this data folder, not a copy: name the folder of the copy")]
    Itself {
        /// The log.
        path: PathBuf,
    },
    /// There is no key file.
    #[error(
        "there is no key file {path}. Put the key file there that was made with the log, or name it with \
         --key-file: a copy of the log cannot be used without it. Nothing has been changed."
    )]
    NoKeys {
        /// Where the key file should be.
        path: PathBuf,
    },
    /// The copy is damaged, or it belongs to another deployment.
    #[error("the copy {path} cannot be restored: {error}")]
    Replay {
        /// The copy.
        path: PathBuf,
        /// What is wrong with it.
        error: ReplayError,
    },
    /// The copy cannot be read.
    #[error("the copy {path} cannot be restored: {error}")]
    Store {
        /// The copy.
        path: PathBuf,
        /// What went wrong.
        error: StoreError,
    },
    /// A file cannot be copied or moved.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder or the copy cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The key file cannot be used.
    #[error(transparent)]
    Keys(#[from] key_file::KeyFileError),
}

/// A copy that can be restored to a data folder.
#[derive(Debug)]
pub struct Restore {
    copy: PathBuf,
    folder: PathBuf,
    /// The secret keys.
    pub keys: Arc<DeploymentKeys>,
    /// The state at the end of the copy.
    pub state: State,
    /// What is in the place of the log now, for people.
    pub present: String,
}

impl Restore {
    /// Looks at a copy, which is a folder or a file, and at the data folder. Changes nothing.
    ///
    /// # Errors
    /// A [`RestoreError`] that says what to do.
    pub fn look(copy: &Path, config: &Config) -> Result<Restore, RestoreError> {
        let copy = if copy.is_dir() { copy.join(LOG) } else { copy.to_owned() };
        if !copy.exists() {
            return Err(RestoreError::NoCopy { path: copy });
        }
        // Its write-ahead log is beside the file that a link leads to.
        let copy = fs::canonicalize(&copy)
            .map_err(|error| RestoreError::Io { path: copy.clone(), error })?;
        let log = config.data_dir.join(LOG);
        if fs::canonicalize(&copy).ok() == fs::canonicalize(&log).ok() {
            return Err(RestoreError::Itself { path: log });
        }
        if !config.key_file.exists() {
            return Err(RestoreError::NoKeys { path: config.key_file.clone() });
        }
        let keys = key_file::read(&config.key_file)?;
        expect_undamaged(&copy)?;
        let state = read(&copy, &keys)?;
        let present = describe(&log, &state);
        let (folder, keys) = (config.data_dir.clone(), Arc::new(keys));
        Ok(Restore { copy, folder, keys, state, present })
    }

    /// Makes the copy ready in the data folder, lets `go_on` add to it, and puts it in the place of
    /// the log. What was there is moved to a new folder, whose path is returned; `None` if nothing
    /// was there.
    ///
    /// # Errors
    /// What cannot be copied or moved, or an error of `go_on`. The log that was there is in its
    /// place, or in the new folder.
    pub fn install<E: From<RestoreError>>(
        self,
        _claimed: &DataFolder,
        now: u64,
        go_on: impl FnOnce(&mut SqliteStore, &State) -> Result<(), E>,
    ) -> Result<Option<PathBuf>, E> {
        let place = self.folder.join(STAGE);
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| RestoreError::Io { path, error }
        };
        stage(&self.copy, &place).map_err(io(&place))?;
        let ready = place.join(LOG);
        let failed = |error| RestoreError::Store { path: ready.clone(), error };
        let mut store = SqliteStore::open(&ready).map_err(failed)?;
        go_on(&mut store, &self.state)?;
        store.gather().map_err(failed)?;
        drop(store);
        let installed = install(&self.folder, now, &[LOG, LOG_WAL, WITNESS]);
        Ok(installed.map_err(io(&self.folder))?)
    }
}

/// Copies a log, with its write-ahead log. What an earlier restore left there, which was cut short, is of no use.
pub(super) fn stage(log: &Path, stage: &Path) -> io::Result<()> {
    match fs::remove_dir_all(stage) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir(stage)?,
    }
    for (from, name) in [(log.to_owned(), LOG), (wal_of(log), LOG_WAL)] {
        if from.exists() {
            let mut file = NewFile::create(&stage.join(name), Readers::Owner)?;
            file.fill_from(&mut File::open(from)?)?;
            file.sync()?;
            file.keep();
        }
    }
    sync_folder(stage)
}

fn wal_of(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The state at the end of a copy, every event of which is verified.
fn read(copy: &Path, keys: &DeploymentKeys) -> Result<State, RestoreError> {
    let failed = |error| RestoreError::Store { path: copy.to_owned(), error };
    let mut store = SqliteStore::open_read_only(copy).map_err(failed)?;
    let replayed = replay(&mut store, Some(keys), |_, _| Ok(()));
    let state = replayed.and_then(crate::node::Replayed::whole);
    state.map_err(|error| RestoreError::Replay { path: copy.to_owned(), error })
}

/// What a data folder has in the place of the log, compared with a copy, for people.
fn describe(log: &Path, copy: &State) -> String {
    let place = log.display();
    if !log.exists() {
        return format!("{place} is not there");
    }
    let Present { last, has_copy, damage } = match Present::look(log, copy) {
        Ok(present) => present,
        Err(error) => return format!("{place} cannot be used: {error}"),
    };
    let next = copy.position + 1;
    match damage {
        Some(damage) if has_copy && last > copy.position => format!(
            "{place} is damaged: {damage}. It has events {next} to {last}, which the copy lacks: first see what \
             `gcs-server recover --salvage` can keep"
        ),
        Some(damage) => format!("{place} is damaged: {damage}"),
        None if !has_copy => {
            format!("{place} ends with event {last}, and does not have the copy's last event")
        }
        None if last == copy.position => format!("{place} has the same events"),
        None => format!(
            "{place} is whole and has more than the copy: events {next} to {last} would be lost. If the \
             server starts on it, do not restore"
        ),
    }
}

/// What a data folder has in the place of the log.
struct Present {
    /// Position of its last event.
    last: u64,
    /// Whether it has the last event of the copy.
    has_copy: bool,
    /// What is wrong with it first.
    damage: Option<String>,
}

impl Present {
    /// Reads the log as a whole.
    fn look(log: &Path, copy: &State) -> Result<Present, String> {
        expect_undamaged(log).map_err(|error| error.to_string())?;
        let failed = |error: StoreError| error.to_string();
        let mut store = SqliteStore::open_read_only(log).map_err(failed)?;
        let last = store.last().map_err(failed)?;
        let batches = store.read(copy.position, 1).map_err(failed)?;
        let events = batches.iter().flat_map(|batch| (batch.first..).zip(&batch.events));
        let has_copy = events.into_iter().any(|(position, event)| {
            position == copy.position && Digest::of(&event.header).0 == copy.head
        });
        let Survey { damaged, end, .. } = Survey::of(&mut store);
        let first = damaged.first().map(ToString::to_string);
        Ok(Present { last, has_copy, damage: first.or_else(|| end.map(|end| end.to_string())) })
    }
}

/// Puts the log that is ready in the place of the one that is there. These files of the data folder are moved to a new
/// folder, whose path is returned; `None` if there was none of them.
pub(super) fn install(folder: &Path, now: u64, old: &[&str]) -> io::Result<Option<PathBuf>> {
    let (log, stage) = (folder.join(LOG), folder.join(STAGE));
    expect_one_file(&stage)?;
    if log.exists() {
        keep_owner(&log, &File::open(stage.join(LOG))?)?;
    }
    let aside = move_aside(folder, "replaced", now, old)?;
    fs::rename(stage.join(LOG), log)?;
    sync_folder(folder)?;
    fs::remove_dir_all(&stage)?;
    Ok(aside)
}

/// Makes sure that a log which is about to be moved has everything in its file: see [`SqliteStore::gather`].
pub(super) fn expect_one_file(folder: &Path) -> io::Result<()> {
    match has_wal(folder) {
        true => Err(io::Error::other("the log that was made ready is not all in one file")),
        false => Ok(()),
    }
}

/// Moves files of a data folder to a new folder, whose name begins with `why`, the log first: what is
/// left without it is refused by every start.
pub(super) fn move_aside(
    folder: &Path,
    why: &str,
    now: u64,
    names: &[&str],
) -> io::Result<Option<PathBuf>> {
    let names = names.iter().copied().filter(|name| folder.join(name).exists());
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(None);
    }
    let name = format!("{why}-{}", utc(now).replace(['-', ':'], ""));
    let numbered = (2..).map(|number| folder.join(format!("{name}-{number}")));
    let mut places = std::iter::once(folder.join(&name)).chain(numbered);
    let place = places.find(|place| !place.exists()).unwrap_or_else(|| folder.join(&name));
    fs::create_dir(&place)?;
    sync_folder(folder)?;
    for name in names {
        let from = folder.join(name);
        fs::rename(&from, place.join(from.file_name().unwrap_or_default()))?;
        sync_folder_of(&from)?;
    }
    sync_folder(&place)?;
    sync_folder(folder)?;
    Ok(Some(place))
}

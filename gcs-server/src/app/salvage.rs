//! What can be kept of a log with damaged events, of which there is no copy.
//!
//! Everything happens in a copy of the log: what can be proven is put right, bodies that are damaged for good are
//! erased, and an event names them. Only when the whole copy has been read and nothing is wrong with it, it takes the
//! place of the log, which is moved to a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::checkpoint::Checkpoints;
use super::config::Config;
use super::folder::{DataFolder, FolderError};
use super::key_file::{self, KeyFileError};
use super::repair::{LOG, LOG_WAL, WITNESS, expect_whole_wal};
use super::restore::{STAGE, install, stage};
use crate::domain::chain::{Chain, LogError};
use crate::domain::judge::LostBody;
use crate::domain::keys::DeploymentKeys;
use crate::domain::mend::{Behind, Found, Mended, Stored, mend};
use crate::domain::state::State;
use crate::node::{ReplayError, replay, replay_incomplete};
use crate::store::witness::{Seen, Witness};
use crate::store::{Batch, LogPlace, SqliteStore, Store as _, StoreError, StoredBody, StoredEvent};

/// Bytes of the log that are read at a time, about.
const PAGE_BYTES: usize = 1 << 20;

/// The checkpoint in a data folder: it knows of the events that are lost.
const CHECKPOINT: &str = "private/checkpoint";

/// Why nothing can be kept of a log.
#[derive(Debug, Error)]
pub enum SalvageError {
    /// The log is not in a file.
    #[error(
        "the log is in {log}, and only a log in a file can be salvaged: put the database back from its backup. \
         Nothing has been changed."
    )]
    NoFile {
        /// The log.
        log: LogPlace,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The key file cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// A file cannot be read, copied or moved.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The database itself is damaged.
    #[error(
        "the database cannot be read around event {position}: {error}\nOnly single events can be left out, and not \
         parts of the database. Restore the log from a copy. Nothing has been changed."
    )]
    Database {
        /// Position of the first event that cannot be read.
        position: u64,
        /// What SQLite says.
        error: StoreError,
    },
    /// SQLite finds the database damaged, though its events can be read.
    #[error(
        "the database is damaged between its events: restore the log from a copy. Nothing has been changed."
    )]
    Unsound,
    /// An event can neither be put right nor left out.
    #[error(
        "{0}\nThe log cannot go on without it: restore the log from a copy. Nothing has been changed."
    )]
    Hopeless(LogError),
    /// What is left does not add up to a state.
    #[error("what is left cannot be used: {0}")]
    Replay(#[from] ReplayError),
    /// The copy cannot be written.
    #[error("the copy of the log: {0}")]
    Store(#[from] StoreError),
}

/// An event that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedEvent {
    /// Its position in the log.
    pub position: u64,
    /// Its kind, as in the header.
    pub kind: u16,
    /// Unix time of the event, in seconds.
    pub time: u64,
    /// Whether it has been put right, as is proven; else its body is lost.
    pub is_mended: bool,
}

/// A log in the making, from what can be kept of a damaged one. When it is dropped, the log is as before.
#[derive(Debug)]
pub struct Salvage {
    /// The data folder, which nobody else uses.
    pub folder: DataFolder,
    /// The secret keys.
    pub keys: Arc<DeploymentKeys>,
    /// The state without what is lost.
    pub state: State,
    /// The events that are damaged.
    pub damaged: Vec<DamagedEvent>,
    /// The events whose bodies are lost, or erased by a purge that is lost.
    pub lost: Vec<LostBody>,
    /// The last event that is known to have been acknowledged, if the log ends before it.
    pub end: Option<u64>,
    /// Whether a checkpoint has what the lost events brought, so that the server still starts.
    pub is_in_checkpoint: bool,
    path: PathBuf,
    /// The copy; `None` once it is the log.
    store: Option<SqliteStore>,
    _stage: Stage,
}

/// The folder in which the copy is made ready. When it is dropped, the folder is deleted.
#[derive(Debug)]
struct Stage(PathBuf);

impl Drop for Stage {
    fn drop(&mut self) {
        let _the_next_one_begins_anew = fs::remove_dir_all(&self.0);
    }
}

impl Salvage {
    /// Looks at the log of a data folder that nobody uses. Changes nothing of it.
    ///
    /// # Errors
    /// A [`SalvageError`] that says what to do.
    pub fn look(config: &Config) -> Result<Salvage, SalvageError> {
        let path = config.data_dir.clone();
        let LogPlace::File(log) = config.log() else {
            return Err(SalvageError::NoFile { log: config.log() });
        };
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| SalvageError::Io { path, error }
        };
        DataFolder::expect_deployment(config)?;
        let log = fs::canonicalize(&log).map_err(io(&log))?;
        let folder = DataFolder::claim(&path, config.log())?;
        let keys = Arc::new(key_file::read(&config.key_file)?);
        expect_whole_wal(&log)?;
        let place = path.join(STAGE);
        let staged = Stage(place.clone());
        stage(&log, &place).map_err(io(&place))?;
        let mut store = SqliteStore::open(&place.join(LOG))?;
        let seen = Witness::read(&path.join(WITNESS)).unwrap_or(None);
        let Mending { mut damaged, missing, .. } = mend_all(&mut store, seen)?;
        expect_dispensable(&damaged)?;
        if !store.is_sound() {
            return Err(SalvageError::Unsound);
        }
        let (state, unnamed) = replay_incomplete(&mut store, &keys)?;
        // Those that an event names were lost before.
        damaged.retain(|event| {
            !missing.contains(&event.position) || unnamed.contains_key(&event.position)
        });
        let lost = unnamed.into_iter().map(|(position, kind)| LostBody { position, kind });
        let lost: Vec<LostBody> = lost.collect();
        let checkpoint = Checkpoints::new(&folder.private(), Arc::clone(&keys)).read(&mut store);
        let last = lost.last().map_or(0, |lost| lost.position);
        let is_in_checkpoint = checkpoint.is_ok_and(|state| last > 0 && state.position >= last);
        let end = seen.map(|seen| seen.position).filter(|end| *end > state.position);
        let (store, _stage) = (Some(store), staged);
        Ok(Salvage {
            folder,
            keys,
            state,
            damaged,
            lost,
            end,
            is_in_checkpoint,
            path,
            store,
            _stage,
        })
    }

    /// Lets `go_on` add to the copy, reads all of it, and puts it in the place of the log. What was there is moved to
    /// a new folder, whose path is returned.
    ///
    /// # Errors
    /// What cannot be moved, or an error of `go_on`. The log that was there is in its place, or in the new folder.
    pub fn install<E: From<SalvageError>>(
        mut self,
        now: u64,
        go_on: impl FnOnce(&mut SqliteStore, &Salvage) -> Result<(), E>,
    ) -> Result<Option<PathBuf>, E> {
        let Some(mut store) = self.store.take() else { return Ok(None) };
        go_on(&mut store, &self)?;
        let replayed = replay(&mut store, Some(&self.keys), |_, _| Ok(()));
        replayed.and_then(crate::node::Replayed::whole).map_err(SalvageError::from)?;
        store.gather().map_err(SalvageError::from)?;
        drop(store);
        let old = [LOG, LOG_WAL, WITNESS, CHECKPOINT];
        let installed = install(&self.path, now, &old);
        let io = |error| SalvageError::Io { path: self.path.clone(), error };
        Ok(installed.map_err(io)?)
    }
}

/// Makes sure that the log can go on without what is lost.
fn expect_dispensable(damaged: &[DamagedEvent]) -> Result<(), SalvageError> {
    let lost = damaged.iter().filter(|event| !event.is_mended);
    let mut lost = lost.map(|event| LostBody { position: event.position, kind: event.kind });
    match lost.find(LostBody::is_needed) {
        None => Ok(()),
        Some(lost) => {
            let (position, name) = (lost.position, lost.name());
            let what = format!("{name}, is lost, and nobody can tell what the later ones did");
            Err(SalvageError::Hopeless(LogError::broken(position, what)))
        }
    }
}

/// Puts right what can be proven, erases bodies that are damaged for good, and names both.
fn mend_all(store: &mut SqliteStore, seen: Option<Seen>) -> Result<Mending, SalvageError> {
    let (damaged, missing) = (Vec::new(), BTreeSet::new());
    let mut mending = Mending { chain: Chain::default(), time: 0, seen, damaged, missing };
    let mut waiting: Option<Batch> = None;
    loop {
        let position = waiting.as_ref().map_or(0, Batch::last) + 1;
        let batches = store.read(position, PAGE_BYTES);
        let batches = batches.map_err(|error| SalvageError::Database { position, error })?;
        if batches.is_empty() {
            break;
        }
        for batch in batches {
            if let Some(before) = waiting.take() {
                mending.mend(store, before, batch.events.first())?;
            }
            waiting = Some(batch);
        }
    }
    if let Some(last) = waiting {
        mending.mend(store, last, None)?;
    }
    Ok(mending)
}

/// How far a log has been put right.
struct Mending {
    chain: Chain,
    /// Time of the last event.
    time: u64,
    seen: Option<Seen>,
    damaged: Vec<DamagedEvent>,
    /// Positions of those whose bodies were not there at all.
    missing: BTreeSet<u64>,
}

impl Mending {
    /// Puts a batch right. `next` is the event behind it.
    fn mend(
        &mut self,
        store: &mut SqliteStore,
        mut batch: Batch,
        next: Option<&StoredEvent>,
    ) -> Result<(), SalvageError> {
        let (mut is_changed, mut lost) = (false, Vec::new());
        for at in 0..batch.events.len() {
            let position = self.chain.position + 1;
            let behind = match batch.events.get(at + 1).or(next) {
                Some(next) => Behind::Event(stored(next)),
                None => {
                    let seen = self.seen.filter(|seen| seen.position == position);
                    Behind::End(seen.map(|seen| seen.head))
                }
            };
            let mended = mend(&mut self.chain, self.time, stored(&batch.events[at]), behind);
            let Mended { header, body, found } = mended.map_err(|error| match error {
                LogError::Newer { .. } | LogError::Moved { .. } => {
                    SalvageError::Replay(error.into())
                }
                LogError::Broken { .. } => SalvageError::Hopeless(error),
            })?;
            self.time = header.time;
            if found == Found::Whole {
                continue;
            }
            let (is_mended, kind, time) = (found == Found::Mended, header.kind, header.time);
            self.damaged.push(DamagedEvent { position, kind, time, is_mended });
            let event = &mut batch.events[at];
            if event.body.is_none() && !is_mended {
                self.missing.insert(position);
            }
            is_changed |= is_mended || event.header != header.to_bytes();
            event.header = header.to_bytes().to_vec();
            match body {
                Some((salt, bytes)) => event.body = Some(StoredBody { salt, bytes }),
                // It is erased below, in its place.
                None if found == Found::BodyLost => lost.push(position),
                None => {}
            }
        }
        if is_changed {
            store.replace(&batch)?;
        }
        if !lost.is_empty() {
            store.erase(&lost)?;
        }
        Ok(())
    }
}

fn stored(event: &StoredEvent) -> Stored<'_> {
    let body = event.body.as_ref().map(|body| (&body.salt, body.bytes.as_slice()));
    Stored { header: &event.header, body }
}

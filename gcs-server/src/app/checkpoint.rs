//! The checkpoint: a copy of the state, from which a start goes on instead of replaying the whole log.
//!
//! It is the file `private/checkpoint`, and nothing but a short cut: one that cannot be used is
//! ignored, and the state is computed from the log. The file:
//!
//! ```text
//! magic      8   "gcschk01"
//! layout     u32 number of the state's layout
//! release    16  version of the server, filled up with zeros
//! position   u64 of the last event in the state
//! head       32  SHA-256 of that event's header
//! state          see `State::write`
//! seal       32  HMAC of SHA-256 over all of the above, under a key that follows from the master key
//! ```
//!
//! Numbers are little-endian. It is used only if it is whole, of this layout, release and deployment,
//! and if the log has exactly this event at this position. It has elements that are not published,
//! so only its owner may read it. Before bodies are erased from the log, it is overwritten and deleted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gcs_core::live::Live;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::{Notify, oneshot, watch};

use crate::domain::keys::DeploymentKeys;
use crate::domain::state::{LAYOUT, State, StateImage};
use crate::hashed_file::{HashedFile, UNSYNCED};
use crate::new_file::{NewFile, Readers, sync_folder_of};
use crate::node::StateView;
use crate::publishing::Published;
use crate::store::witness::Seen;
use crate::store::{AppendError, Batch, News, Store, StoreError};

const MAGIC: &[u8; 8] = b"gcschk01";
const HEAD: usize = 8 + 4 + 16 + 8 + 32;
const SEAL: usize = 32;

/// Events after a checkpoint that are worth another one, at least.
const LEAST_EVENTS: u64 = 256;

/// The part of all reports and users that is worth another checkpoint: what each of them takes is written
/// each time.
const PART_OF_ALL: u64 = 16;

/// Why a checkpoint is not used.
#[derive(Debug, Error)]
pub enum Unusable {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is damaged or cut, or the checkpoint of another deployment.
    #[error("it is damaged, or of another deployment")]
    Damaged,
    /// Another release wrote it.
    #[error("another release wrote it")]
    OtherRelease,
    /// The log does not have the event after which it was made.
    #[error("the log does not have event {position} as it was")]
    NotInLog {
        /// Position of the event.
        position: u64,
    },
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// The checkpoint of a data folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    path: PathBuf,
    keys: Arc<DeploymentKeys>,
    known: Arc<Mutex<Known>>,
    /// Wakes whoever writes checkpoints, once nothing is left to erase.
    is_erased: Arc<Notify>,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Known {
    /// Position of the checkpoint that is there and can be used, 0 if there is none.
    position: u64,
    /// How often bodies were erased. A checkpoint that was begun before is not kept.
    erasures: u64,
    /// How often the log was read from its beginning on, to erase from it. What was to be erased from the log as
    /// it was before says nothing of it.
    logs: u64,
    /// Events whose bodies should be erased, and may still be in the log. A start that replays all of it
    /// finds them, so there must be no later checkpoint.
    unerased: BTreeSet<u64>,
}

impl Checkpoints {
    /// The checkpoint in the folder of private files.
    pub fn new(private: &Path, keys: Arc<DeploymentKeys>) -> Checkpoints {
        let (known, is_erased) = (Arc::default(), Arc::default());
        Checkpoints { path: private.join("checkpoint"), keys, known, is_erased }
    }

    /// Where a checkpoint is while it is written.
    fn new_path(&self) -> PathBuf {
        self.path.with_extension("new")
    }

    /// Where the checkpoint before is until it is overwritten.
    fn old_path(&self) -> PathBuf {
        self.path.with_extension("old")
    }

    /// No step leaves it half changed, so it is usable even after a panic of a holder.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the checkpoint, if it can be used with this log.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(&self, store: &mut dyn Store) -> Result<State, Unusable> {
        let state = self.decode()?;
        let position = state.position;
        if !(Seen { position, head: state.head }).is_in(store)? {
            return Err(Unusable::NotInLog { position });
        }
        self.known().position = position;
        Ok(state)
    }

    /// The state of a checkpoint that is whole, of this release and of this deployment.
    fn decode(&self) -> Result<State, Unusable> {
        let bytes = fs::read(&self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::Io(error),
        })?;
        let (sealed, seal) = bytes.split_last_chunk::<SEAL>().ok_or(Unusable::Damaged)?;
        if self.keys.seal(&Sha256::digest(sealed).into()) != *seal {
            return Err(Unusable::Damaged);
        }
        let (head, body) = sealed.split_at_checked(HEAD).ok_or(Unusable::Damaged)?;
        let place = head.strip_prefix(start().as_slice()).ok_or(Unusable::OtherRelease)?;
        let state = State::read(body, self.keys.filler()).map_err(|_| Unusable::Damaged)?;
        let position = state.position;
        if place != place_of(position, &state.head) {
            return Err(Unusable::Damaged);
        }
        Ok(state)
    }

    /// The state of the checkpoint without its elements, whether or not the log still leads to it.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn last_known(&self) -> Result<State, Unusable> {
        let mut state = self.decode()?;
        state.live = Live::new(self.keys.filler());
        Ok(state)
    }

    /// Whether a start would have to replay so much that another checkpoint is worth its time.
    fn is_due(&self, state: &State) -> bool {
        let known = self.known();
        let since = state.position.saturating_sub(known.position);
        let users = state.bluetrace.as_ref().map_or(0, |bluetrace| bluetrace.users.len());
        let all = (state.reports.len() + users) as u64;
        known.unerased.is_empty() && since >= LEAST_EVENTS.max(all / PART_OF_ALL)
    }

    /// Writes a checkpoint of what `copy` gives, if it gives one, in place of the one
    /// before. `false` if it gives none, or if bodies were erased meanwhile: then nothing is kept.
    ///
    /// # Errors
    /// When it cannot be written. The one before may be lost then.
    pub fn write(&self, copy: impl FnOnce() -> Option<StateImage>) -> io::Result<bool> {
        // Before the state is copied: what is erased from now on may be in the copy.
        let erasures = self.known().erasures;
        let Some(image) = copy() else { return Ok(false) };
        let written = self.write_new(erasures, image.position(), |file| {
            let mut hashed = HashedFile::new(file);
            hashed.write_all(&start())?;
            hashed.write_all(&place_of(image.position(), &image.head()))?;
            image.write(|block| hashed.write_all(block))?;
            let seal = self.keys.seal(&hashed.hash());
            file.write_all(&seal)
        })?;
        sync_folder_of(&self.path)?;
        Ok(written)
    }

    /// Writes a file with this content, and puts it in the place of the checkpoint, unless more was erased meanwhile.
    /// What is not kept is overwritten.
    fn write_new(
        &self,
        erasures: u64,
        position: u64,
        content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<bool> {
        let new = self.new_path();
        forget(&new)?;
        forget(&self.old_path())?;
        let mut file = NewFile::create(&new, Readers::Owner)?;
        let written = content(file.file()).and_then(|()| file.sync());
        let is_kept = written.and_then(|()| self.keep(&new, erasures, position));
        if let Ok(true) = is_kept {
            file.keep();
        } else {
            // Not by its path: whoever erased has deleted that, perhaps in the middle of the content.
            overwrite(file.file())?;
        }
        is_kept
    }

    /// Puts a whole file in the place of the checkpoint, unless more was erased since it was begun.
    fn keep(&self, new: &Path, erasures: u64, position: u64) -> io::Result<bool> {
        let mut known = self.known();
        if known.erasures != erasures || !known.unerased.is_empty() {
            return Ok(false);
        }
        known.position = 0;
        let old = self.old_path();
        if self.path.exists() {
            fs::rename(&self.path, &old)?;
        }
        fs::rename(new, &self.path)?;
        known.position = position;
        // Whoever is about to erase waits for this lock, and whoever reads the state for them.
        drop(known);
        if let Err(error) = forget(&old) {
            tracing::warn!(%error, "the checkpoint before is still on disk");
        }
        Ok(true)
    }

    /// A store that forgets the checkpoint before it erases bodies, which the checkpoint may have.
    pub fn guard(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        Box::new(Guarded { store, checkpoints: self.clone(), left: BTreeSet::new() })
    }

    /// Lets no checkpoint be written until these bodies are erased. Gives a number that stands for the log as it is
    /// now.
    pub(super) fn begin_erasing(&self, events: &[u64]) -> u64 {
        let mut known = self.known();
        known.erasures += 1;
        known.unerased.extend(events);
        known.logs
    }

    /// Notes what should be erased from a log that was read anew: these bodies, and nothing that was to be erased
    /// before. Gives the number of the log.
    pub(super) fn begin_anew(&self, events: &[u64]) -> u64 {
        let mut known = self.known();
        known.unerased.clear();
        known.logs += 1;
        drop(known);
        self.begin_erasing(events)
    }

    /// Notes that bodies are erased from the log with this number.
    pub(super) fn end_erasing(&self, log: u64, events: &[u64]) {
        let mut known = self.known();
        if known.logs == log {
            events.iter().for_each(|event| {
                known.unerased.remove(event);
            });
            if known.unerased.is_empty() {
                self.is_erased.notify_one();
            }
        }
    }

    /// Erases the checkpoint that is there, which may have bodies that are to be erased.
    pub(super) fn forget(&self) {
        self.known().position = 0;
        // One that is being written, now or when the server was killed, has them too.
        for path in [&self.path, &self.new_path(), &self.old_path()] {
            if let Err(error) = forget(path) {
                tracing::error!(%error, "reports that were purged are still in the checkpoint");
            }
        }
    }

    /// Writes checkpoints when they are due, after publications and erasures, until whoever could `stop` it does so or
    /// is gone; and at the end once more.
    pub(super) async fn run(
        self,
        state: StateView,
        mut published: watch::Receiver<Option<Published>>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut is_over = false;
        loop {
            let version = published.borrow_and_update().as_ref().map(|it| it.position.version);
            let (checkpoints, state) = (self.clone(), state.clone());
            let copy = move || {
                let state = state.read();
                // Not before the last tick is published: a start goes on from both.
                let is_published = state.last_tick.map(|last| last.version) <= version;
                (is_published && checkpoints.is_due(&state)).then(|| state.image())
            };
            let checkpoints = self.clone();
            let written = tokio::task::spawn_blocking(move || checkpoints.write(copy)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "no checkpoint was written: a start replays the whole log");
            }
            if is_over {
                return;
            }
            is_over = tokio::select! {
                changed = published.changed() => changed.is_err(),
                // None could be written since the purge, which may have come right before the publication.
                () = self.is_erased.notified() => false,
                _ = &mut stop => true,
            };
        }
    }
}

/// What a checkpoint of this release begins with.
fn start() -> Vec<u8> {
    let mut release = [0; 16];
    let name = env!("CARGO_PKG_VERSION").as_bytes();
    let length = name.len().min(release.len());
    release[..length].copy_from_slice(&name[..length]);
    [MAGIC.as_slice(), &LAYOUT.to_le_bytes(), &release].concat()
}

/// The place in the log of an event.
fn place_of(position: u64, head: &[u8; 32]) -> Vec<u8> {
    [&position.to_le_bytes(), head.as_slice()].concat()
}

/// Overwrites a file and deletes it, if there is one.
fn forget(path: &Path) -> io::Result<()> {
    overwrite_at(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(()) => sync_folder_of(path),
        Err(error) => Err(error),
    }
}

/// Overwrites the file at a path, if there is one.
fn overwrite_at(path: &Path) -> io::Result<()> {
    match File::options().write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        opened => overwrite(&mut opened?),
    }
}

/// Overwrites what a file has with zeros, on disk.
fn overwrite(file: &mut File) -> io::Result<()> {
    let mut left = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let zeros = vec![0; UNSYNCED];
    while left > 0 {
        let part = left.min(UNSYNCED as u64);
        file.write_all(&zeros[..part as usize])?;
        file.sync_data()?;
        left -= part;
    }
    Ok(())
}

struct Guarded {
    store: Box<dyn Store>,
    checkpoints: Checkpoints,
    /// Events whose bodies could not be erased, or may still be in the write-ahead log. Only of a log that nobody else
    /// appends to: it still has what decided about them.
    left: BTreeSet<u64>,
}

impl Store for Guarded {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.store.last()
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.store.append(batch)
    }

    fn is_durable(&mut self, batch: &Batch) -> Result<bool, StoreError> {
        self.store.is_durable(batch)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        self.store.read(from, max_bytes)
    }

    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.headers(from)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        let log = self.checkpoints.begin_erasing(events);
        self.checkpoints.forget();
        if let Err(error) = self.store.erase(events) {
            if !self.store.is_shared() {
                self.left.extend(events);
            }
            return Err(error);
        }
        self.checkpoints.end_erasing(log, events);
        events.iter().for_each(|event| {
            self.left.remove(event);
        });
        Ok(())
    }

    fn announce_erasure(&mut self, events: &[u64]) {
        self.checkpoints.begin_erasing(events);
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn news(&mut self) -> Result<Option<News>, StoreError> {
        self.store.news()
    }

    fn time(&mut self) -> Result<Option<u64>, StoreError> {
        self.store.time()
    }

    fn settle(&mut self) {
        self.store.settle();
        let left: Vec<u64> = self.left.iter().copied().collect();
        if !left.is_empty()
            && let Err(error) = self.erase(&left)
        {
            tracing::error!(%error, "bodies that were purged are still on disk");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::domain::events::{BlueTraceBegun, Deployment, Event, UserRegistered};
    use crate::node::seal;
    use crate::random::Random;

    /// A state with so many users.
    fn state(keys: &DeploymentKeys, users: u64) -> State {
        let mut state = State::new(keys.filler());
        let (root, master_check) = (keys.root().0, keys.master_check());
        let registered = |number: u64| {
            let mut id = [0; 21];
            id[..8].copy_from_slice(&number.to_le_bytes());
            let token = gcs_core::Digest::of(&number.to_le_bytes()).0;
            Event::from(UserRegistered { number, id, token })
        };
        let begun = BlueTraceBegun { hai: "SG_OTC".into(), keys: [0; 32] };
        let first = [Deployment { id: [0; 16], root, master_check }.into(), begun.into()];
        let events: Vec<Event> = first.into_iter().chain((1..=users).map(registered)).collect();
        let now = Clock::System.now();
        let sealed = seal(state.chain(), &events, now, &Random::seeded(1)).unwrap().unwrap();
        sealed.logged.iter().for_each(|logged| state.apply(logged).unwrap());
        state
    }

    /// What is written each time grows with the users, so it must not be written for a few events.
    #[test]
    fn the_more_users_there_are_the_more_events_are_worth_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(crate::app::key_file::draw(&Random::seeded(1)).unwrap());
        let checkpoints = Checkpoints::new(folder.path(), Arc::clone(&keys));
        for (users, enough) in [(254, 256), (8192, 512)] {
            let state = state(&keys, users);
            for (since, is_due) in [(enough - 1, false), (enough, true)] {
                checkpoints.known().position = state.position - since;
                assert_eq!(checkpoints.is_due(&state), is_due, "{users} users, {since} events");
            }
        }
    }

    /// The purge comes right before a tick, and erasing may take longer than to publish it.
    #[tokio::test]
    async fn a_checkpoint_is_written_as_soon_as_nothing_is_left_to_erase() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(crate::app::key_file::draw(&Random::seeded(1)).unwrap());
        let checkpoints = Checkpoints::new(folder.path(), Arc::clone(&keys));
        let (node, entry, _thread) = crate::node::Node::without_log().unwrap();
        entry.open_read_only(state(&keys, 300));
        let log = checkpoints.begin_erasing(&[5, 6]);
        let (published, stop) = (watch::Sender::new(None), oneshot::channel());
        let run = checkpoints.clone().run(node.view(), published.subscribe(), stop.1);
        let run = tokio::spawn(run);
        let in_time = |seconds| {
            let path = folder.path().join("checkpoint");
            let is_there = async move {
                while !path.exists() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(seconds), is_there)
        };
        published.send_replace(None);
        assert!(in_time(1).await.is_err());
        checkpoints.end_erasing(log, &[5]);
        assert!(in_time(1).await.is_err());
        checkpoints.end_erasing(log, &[6]);
        in_time(20).await.expect("a checkpoint without another publication");
        drop(stop.0);
        run.await.unwrap();
    }

    /// Whoever erases deletes it by its path, whatever is still to be written.
    #[test]
    fn nothing_is_left_on_disk_of_a_checkpoint_that_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(crate::app::key_file::draw(&Random::seeded(1)).unwrap());
        let checkpoints = Checkpoints::new(folder.path(), keys);
        let on_disk = || File::open(checkpoints.new_path()).unwrap();
        let bytes_of = |mut file: File| {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            bytes
        };
        let mut left = None;
        let erased = checkpoints.write_new(0, 1, |file| {
            file.write_all(b"before")?;
            left = Some(on_disk());
            let log = checkpoints.begin_erasing(&[5]);
            checkpoints.forget();
            checkpoints.end_erasing(log, &[5]);
            file.write_all(b"behind")
        });
        assert!(!erased.unwrap());
        assert_eq!(bytes_of(left.unwrap()), [0; 12]);
        let mut left = None;
        let failed = checkpoints.write_new(1, 1, |file| {
            file.write_all(b"before")?;
            left = Some(on_disk());
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(bytes_of(left.unwrap()), [0; 6]);
        assert!(checkpoints.write_new(1, 1, |file| file.write_all(b"whole")).unwrap());
        assert_eq!(fs::read(&checkpoints.path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

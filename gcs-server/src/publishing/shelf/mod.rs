//! The published files as they are served: verified, and from memory as far as they fit.
//!
//! No byte leaves the shelf that was not compared with the file's hash: files in memory were when
//! they were put there, and slices of files on disk are whenever they are read. What is wrong on disk
//! is mended by [`Mender`](super::mender::Mender).

mod load;
mod sealed;
mod shelved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use gcs_core::files::{Manifest, Path};
use gcs_core::{Digest, PublicKey, Version};
use prometheus_client::metrics::counter::Counter;
use thiserror::Error;
use tokio::sync::Notify;

pub use self::sealed::Sealed;
use self::shelved::{Contents, SLICE, most_held};
pub use self::shelved::{Memory, Shelved};
use super::export_index::is_named;
use super::files::PATIENCE;
use super::verify::{Names, Verdict};
use super::{Files, version_of};

/// A published file that cannot be served now, because it is damaged or missing in its place, or cannot be read
/// from there. It is being mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a published file is damaged, missing or cannot be read")]
pub struct Damaged;

/// A place on the shelf.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The file is verified.
    Checked(Arc<Shelved>),
    /// Nobody has looked at the file yet since the start: no manifest that counts names it.
    Unchecked(Path),
    /// The file is damaged or missing. Its hash, if it is known.
    Wrong(Path, Option<Digest>),
}

/// All places by name, and how many bytes of memory their files take.
#[derive(Debug, Default)]
struct Places {
    by_name: HashMap<Arc<str>, Place>,
    used: u64,
}

impl Places {
    fn insert(&mut self, name: Arc<str>, place: Place) {
        self.used += held(&place);
        let before = self.by_name.insert(name, place);
        self.used -= before.as_ref().map_or(0, held);
    }

    fn remove(&mut self, name: &str) {
        let before = self.by_name.remove(name);
        self.used -= before.as_ref().map_or(0, held);
    }
}

/// All published files.
#[derive(Debug)]
pub struct Shelf {
    pub(super) files: Files,
    pub(super) root: PublicKey,
    /// Whether the published files have been looked at.
    is_loaded: AtomicBool,
    /// Most bytes of memory for files.
    most: u64,
    places: RwLock<Places>,
    /// What the indexes say that were there at the start.
    names: RwLock<Names>,
    /// Held by whoever verifies a file for a client.
    checking: tokio::sync::Mutex<()>,
    /// Files that are wrong on disk and could not be mended yet.
    unmended: Mutex<BTreeMap<Arc<str>, Path>>,
    /// Number of files that were mended.
    pub mended: Counter,
    /// Wakes the mender.
    pub(super) hurry: Notify,
}

impl Shelf {
    /// An empty shelf for files of the deployment with this root key, of which at most so many bytes
    /// are in memory.
    pub fn new(files: Files, root: PublicKey, most: u64) -> Shelf {
        Shelf {
            files,
            root,
            is_loaded: AtomicBool::new(false),
            most,
            places: RwLock::default(),
            names: RwLock::default(),
            checking: tokio::sync::Mutex::default(),
            unmended: Mutex::default(),
            mended: Counter::default(),
            hurry: Notify::new(),
        }
    }

    /// A verified file; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`Damaged`] if the file is wrong on disk.
    pub async fn find(&self, name: &str) -> Result<Option<Arc<Shelved>>, Damaged> {
        match self.place(name) {
            None => Ok(None),
            Some(Place::Checked(file)) => Ok(Some(file)),
            Some(Place::Unchecked(path)) => self.check(name, path).await.map(Some),
            Some(Place::Wrong(..)) => Err(Damaged),
        }
    }

    /// A verified file that is in memory.
    pub fn in_memory(&self, name: &str) -> Option<Arc<Shelved>> {
        self.read_places().by_name.get(name).and_then(in_memory).cloned()
    }

    /// Some bytes of a file from the beginning of a range, at least one.
    ///
    /// # Errors
    /// [`Damaged`] if they are wrong on disk.
    pub async fn read(&self, file: &Shelved, range: Range<u64>) -> Result<Bytes, Damaged> {
        let slices = match &file.contents {
            Contents::Memory(memory) => return memory.read(range).map_err(|_| Damaged),
            Contents::Disk(slices) => slices,
        };
        let number = range.start / SLICE;
        let (start, end) = (number * SLICE, file.length.min((number + 1) * SLICE));
        let expected = slices.get(number as usize).ok_or(Damaged)?;
        match self.files.part_soon(&file.name, start..end).await {
            Ok(slice) if Digest::of(&slice) == *expected => {
                let wanted = (range.start - start) as usize..(range.end.min(end) - start) as usize;
                Ok(slice.slice(wanted))
            }
            _ => {
                self.doubt(&file.name);
                Err(Damaged)
            }
        }
    }

    /// Verifies a file that nobody has looked at yet. One after the other: each is in memory meanwhile.
    async fn check(&self, name: &str, path: Path) -> Result<Arc<Shelved>, Damaged> {
        // Where storage does not answer, nobody waits for all those before.
        let turn = tokio::time::timeout(PATIENCE, self.checking.lock()).await;
        let _one = turn.map_err(|_| Damaged)?;
        if let Some(Place::Unchecked(_)) = self.place(name) {
            match self.files.find_soon(name).await {
                Ok(Some(bytes)) if self.is_as_written(&path, &bytes) => {
                    self.is_checked(path, &bytes);
                }
                _ => self.doubt(name),
            }
        }
        match self.place(name) {
            Some(Place::Checked(file)) => Ok(file),
            _ => Err(Damaged),
        }
    }

    /// Has the mender look at a file at once.
    fn doubt(&self, name: &str) {
        self.lock_unmended().extend(self.place(name).map(|place| (name.into(), path_of(&place))));
        self.hurry.notify_one();
    }

    fn lock_unmended(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Path>> {
        self.unmended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files that are wrong on disk, or may be.
    pub fn unmended(&self) -> Vec<Path> {
        self.lock_unmended().values().copied().collect()
    }

    pub(super) fn doubtful(&self) -> Vec<Arc<str>> {
        self.lock_unmended().keys().cloned().collect()
    }

    pub(super) fn place(&self, name: &str) -> Option<Place> {
        self.read_places().by_name.get(name).cloned()
    }

    /// The names of all files.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.read_places().by_name.keys().cloned().collect()
    }

    fn read_places(&self) -> RwLockReadGuard<'_, Places> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Places)) {
        act(&mut self.places.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn put(&self, file: Arc<Shelved>) {
        self.change(|places| places.insert(Arc::clone(&file.name), Place::Checked(file)));
    }

    /// A file is right on disk: it is served from there, or from memory if there is room.
    pub(super) fn is_right(&self, file: &Arc<Shelved>, bytes: &Bytes) {
        let fits = self.used() + most_held(&file.path, file.length) <= self.most;
        if file.memory().is_none() && fits && !matches!(file.path, Path::KeptManifest { .. }) {
            self.put(Arc::new(Shelved::new(file.path, bytes, true)));
        }
        self.lock_unmended().remove(&file.name);
    }

    /// A file that nobody had looked at is right, unless it was deleted or found wrong meanwhile.
    fn is_checked(&self, path: Path, bytes: &Bytes) {
        let file = self.shelved(path, bytes);
        self.change(|places| {
            if let Some(Place::Unchecked(_)) = places.by_name.get(&file.name) {
                places.insert(Arc::clone(&file.name), Place::Checked(file));
            }
        });
    }

    /// A file that was wrong has its bytes again.
    pub(super) fn restore(&self, path: Path, bytes: &Bytes) {
        let file = self.shelved(path, bytes);
        self.lock_unmended().remove(&file.name);
        self.put(file);
    }

    /// A file in memory, if there is room for it.
    fn shelved(&self, path: Path, bytes: &Bytes) -> Arc<Shelved> {
        let before = self.in_memory(&path.to_string()).map_or(0, |before| before.held());
        // What changes does so on disk before it changes here.
        let needed = self.used() - before + most_held(&path, bytes.len() as u64);
        let fits = !path.is_immutable() || needed <= self.most;
        Arc::new(Shelved::new(path, bytes, fits))
    }

    /// A file is wrong on disk; without a copy in memory nobody gets it any more.
    pub(super) fn is_wrong(&self, name: &Arc<str>, place: &Place) {
        self.lock_unmended().insert(Arc::clone(name), path_of(place));
        let wrong = match place {
            Place::Checked(file) if file.good_copy().is_some() => return,
            Place::Checked(file) => Place::Wrong(file.path, Some(file.sha256)),
            Place::Unchecked(path) => Place::Wrong(*path, None),
            Place::Wrong(..) => return,
        };
        self.change(|places| places.insert(Arc::clone(name), wrong));
    }

    /// A file is gone for good.
    pub(super) fn forget(&self, name: &str) {
        self.change(|places| places.remove(name));
        self.lock_unmended().remove(name);
    }

    /// Bytes of memory that files take.
    fn used(&self) -> u64 {
        self.read_places().used
    }

    /// Takes new files and lets go of old ones, at one moment. Files that clients need now come
    /// before others into the memory, and small ones before large ones.
    pub(super) fn publish<'f>(
        &self,
        files: impl Iterator<Item = (&'f Path, Bytes)>,
        deleted: impl Iterator<Item = &'f Path>,
        live: &BTreeSet<Path>,
    ) {
        let new = files.map(|(path, bytes)| {
            let file = Shelved::new(*path, &bytes, true);
            (Arc::clone(&file.name), Arc::new(file))
        });
        let new: HashMap<Arc<str>, Arc<Shelved>> = new.collect();
        let deleted: BTreeSet<String> = deleted.map(ToString::to_string).collect();
        let mut moved = self.beyond_memory(&new, live);
        let mut right: BTreeSet<Arc<str>> = new.keys().cloned().collect();
        self.change(|places| {
            for (name, file) in new {
                let file = moved.remove(&name).unwrap_or(file);
                places.insert(name, Place::Checked(file));
            }
            for (name, file) in moved {
                places.insert(name, Place::Checked(file));
            }
            deleted.iter().for_each(|name| places.remove(name));
        });
        // Last: a file that has no place any more is doubted by nobody.
        right.extend(deleted.into_iter().map(Arc::from));
        self.lock_unmended().retain(|name, _| !right.contains(name));
    }

    /// Places that the files in memory are too many for, as they are on disk.
    fn beyond_memory(
        &self,
        new: &HashMap<Arc<str>, Arc<Shelved>>,
        live: &BTreeSet<Path>,
    ) -> HashMap<Arc<str>, Arc<Shelved>> {
        let mut files: Vec<Arc<Shelved>> = {
            let places = self.read_places();
            let old = places.by_name.values().filter_map(in_memory);
            old.filter(|file| !new.contains_key(&file.name)).cloned().collect()
        };
        files.extend(new.values().cloned());
        files.retain(|file| file.memory().is_some() && file.path.is_immutable());
        files.sort_by_key(|file| (!live.contains(&file.path), file.length));
        let mut used = 0;
        let beyond = files.iter().filter(|file| {
            used += file.held();
            used > self.most
        });
        let moved =
            beyond.filter_map(|file| Some((Arc::clone(&file.name), Arc::new(file.on_disk()?))));
        moved.collect()
    }

    /// The manifest that is served from now on.
    pub(super) fn set_manifest(&self, manifest: &Bytes) {
        self.put(Arc::new(Shelved::new(Path::Manifest, manifest, true)));
    }

    /// The manifest that is served now.
    pub(super) fn manifest(&self) -> Option<Bytes> {
        self.in_memory(&Path::Manifest.to_string())?.good_copy()
    }

    /// The version of the manifest that is served now.
    pub(super) fn version(&self) -> Option<Version> {
        version_of(&self.manifest()?, &self.root)
    }

    /// Whether the published files have been looked at: those that are not here are not there.
    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Relaxed)
    }

    /// Why the storage of the files cannot be used, if the last try failed.
    pub fn trouble(&self) -> Option<String> {
        self.files.trouble()
    }

    /// Whether a file has the bytes that its name, the manifest that is served, or an index that was there at the
    /// start, says.
    pub(super) fn is_as_written(&self, path: &Path, bytes: &[u8]) -> bool {
        if *path == Path::ExportIndex {
            let manifest = self.manifest();
            let manifest = manifest.and_then(|it| Manifest::verify_file(&it, &self.root).ok());
            return manifest.is_some_and(|manifest| is_named(&manifest, bytes));
        }
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.verify(path, bytes, &self.root) == Verdict::Right
    }
}

fn in_memory(place: &Place) -> Option<&Arc<Shelved>> {
    match place {
        Place::Checked(file) => file.memory().is_some().then_some(file),
        _ => None,
    }
}

/// How many bytes of the memory the file at a place takes.
fn held(place: &Place) -> u64 {
    in_memory(place).map_or(0, |file| file.held())
}

pub(super) fn path_of(place: &Place) -> Path {
    match place {
        Place::Checked(file) => file.path,
        Place::Unchecked(path) | Place::Wrong(path, _) => *path,
    }
}

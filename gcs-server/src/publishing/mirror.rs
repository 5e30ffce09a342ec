//! A mirror: a folder with what another server publishes, verified up to the root key.
//!
//! Whoever serves the folder needs no key and no trust: phones verify the same bytes once more.

mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::{self, File, Metadata, TryLockError};
use std::io;

use gcs_core::files::{
    ExportList, ExportListError, MAX_MANIFEST_BYTES, Manifest, ManifestError, Path,
    PublicationIndex, SeedFiles, SeedIndex,
};
use gcs_core::{Folder, ParseError, PublicKey, Version};
use thiserror::Error;

use self::named::{named, named_exports, named_seeds};
use super::verify::{Names, Verdict};

/// The folders that published files are in.
const FOLDERS: [&str; 7] =
    ["v1/manifests", "v1/index", "v1/sets", "v1/bundles", "v1/checks", "v1/seeds", "v1/exports"];

/// The file that is locked while a mirror is open.
const LOCK: &str = "mirror.lock";

/// Where a mirror fetches from.
pub trait Origin {
    /// The error of a fetch that failed.
    type Error: Display;

    /// The whole file at a path, which has at most `most` bytes.
    ///
    /// # Errors
    /// When it cannot be had, or has more bytes.
    fn fetch(&mut self, path: &Path, most: u64) -> Result<Vec<u8>, Self::Error>;
}

/// A folder with what another server publishes.
#[derive(Debug)]
pub struct Mirror {
    folder: Folder,
    root: PublicKey,
    /// Files that have been verified since this was opened, and what they looked like then.
    verified: BTreeMap<Path, Metadata>,
    /// Locked: two mirrors in one folder would delete each other's files.
    _lock: File,
}

/// What a mirror has after a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The manifest that is in the folder now.
    pub manifest: Manifest,
    /// Number of files that were fetched.
    pub fetched: usize,
    /// Number of files that were deleted, since no manifest that a phone may hold names them.
    pub deleted: usize,
}

/// Why a pull failed. The folder serves as it did, and perhaps has some more verified files; what no
/// manifest names any more may still be there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// A file could not be had.
    #[error("{path} cannot be fetched: {reason}")]
    Fetch {
        /// Its path.
        path: Path,
        /// What went wrong.
        reason: String,
    },
    /// The manifest is not one that the root key vouches for now.
    #[error("the manifest is refused: {0}")]
    Manifest(#[from] ManifestError),
    /// The manifest is older than the one in the folder.
    #[error("the server went back from {} to {}", version(.held), version(.got))]
    RolledBack {
        /// What the folder has.
        held: Version,
        /// What the server has.
        got: Version,
    },
    /// The server has published two manifests under one version.
    #[error("the server has another manifest of {} than before", version(.0))]
    Equivocation(Version),
    /// The index is not one that belongs to the manifest.
    #[error("the index is refused: {0}")]
    Index(#[from] ParseError),
    /// The list of exports cannot be read.
    #[error("the list of exports is refused: {0}")]
    Exports(#[from] ExportListError),
    /// The index belongs to another publication than the manifest that names it.
    #[error("the index belongs to another publication than the manifest")]
    OtherIndex,
    /// A file has other bytes than the manifest says.
    #[error("{0} is not what the manifest names")]
    Wrong(Path),
    /// Another mirror works in the folder.
    #[error("another mirror works in this folder")]
    Busy,
    /// The folder cannot be read or written.
    #[error("{path}: {source}")]
    Folder {
        /// The file's path.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
}

fn version(version: &Version) -> String {
    format!("series {}, tick {}", version.series, version.tick)
}

/// A version and the version of the key list that came with it.
struct Held {
    version: Version,
    keys: u32,
    bytes: Vec<u8>,
}

impl Mirror {
    /// A mirror in a folder, of the deployment with this root key.
    ///
    /// # Errors
    /// [`MirrorError::Busy`], and when the folder cannot be written.
    pub fn open(folder: Folder, root: PublicKey) -> Result<Mirror, MirrorError> {
        let failed = |source| MirrorError::Folder { path: LOCK.to_owned(), source };
        let lock = File::create(folder.path().join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Mirror { folder, root, verified: BTreeMap::new(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(MirrorError::Busy),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Fetches what is missing of the present publication, verifies it, and makes it the folder's once
    /// it is whole. Files in the folder that have changed since the last pull are verified again, and
    /// fetched if they are damaged.
    ///
    /// # Errors
    /// A [`MirrorError`]. Pull again later: what was fetched stays.
    pub fn pull<O: Origin>(&mut self, origin: &mut O, now: u64) -> Result<Pulled, MirrorError> {
        let bytes = fetch(origin, Path::Manifest, MAX_MANIFEST_BYTES as u64)?;
        let held = self.held()?;
        let least_keys = held.as_ref().map_or(0, |held| held.keys);
        Manifest::verify(&bytes, &self.root, now, least_keys)?;
        // Phones take other bytes for the same manifest too. But whoever changes them on the way cannot
        // be told from a server that says two things.
        let manifest = Manifest::verify_file(&bytes, &self.root)?;
        let version = Version { series: manifest.series, tick: manifest.tick };
        if let Some(held) = &held {
            if version < held.version {
                return Err(MirrorError::RolledBack { held: held.version, got: version });
            }
            if version == held.version && bytes != held.bytes {
                return Err(MirrorError::Equivocation(version));
            }
        }
        let mut names = Names::default();
        let mut fetched = 0;
        let index = Path::Index(manifest.index.sha256);
        fetched += self.get(origin, index, manifest.index.bytes, &names)?;
        let index = self.expect(&index, &names)?;
        names.learn(&index);
        let index = PublicationIndex::parse(&index)?;
        let is_its = (index.series, index.tick) == (manifest.series, manifest.tick)
            && index.table.state() == manifest.state;
        if !is_its {
            return Err(MirrorError::OtherIndex);
        }
        let mut needed = named(&index);
        if let Some(SeedFiles { index, state, .. }) = manifest.seeds {
            let path = Path::Seeds(index.sha256);
            fetched += self.get(origin, path, index.bytes, &names)?;
            let seeds = SeedIndex::parse(&self.expect(&path, &names)?)?;
            let is_its = (seeds.series, seeds.tick) == (manifest.series, manifest.tick)
                && seeds.table.state() == state;
            if !is_its {
                return Err(MirrorError::OtherIndex);
            }
            needed.insert(path, index.bytes);
            needed.extend(named_seeds(&seeds));
        }
        let mut exports = Vec::new();
        if let Some(list) = manifest.exports {
            let path = Path::ExportList(list.sha256);
            fetched += self.get(origin, path, list.bytes, &names)?;
            exports = self.expect(&path, &names)?;
            needed.insert(path, list.bytes);
            needed.extend(named_exports(&ExportList::parse(&exports)?));
        }
        for (path, length) in &needed {
            fetched += self.get(origin, *path, *length, &names)?;
        }
        if manifest.exports.is_some() || self.look(&Path::ExportIndex).is_some() {
            self.write(&Path::ExportIndex, &exports)?;
        }
        let kept = Path::KeptManifest { series: version.series, tick: version.tick };
        self.write(&kept, &bytes)?;
        self.write(&Path::Manifest, &bytes)?;
        needed.extend([(kept, 0), (Path::Index(manifest.index.sha256), 0), (Path::ExportIndex, 0)]);
        let deleted = self.sweep(needed.into_keys().collect(), now)?;
        Ok(Pulled { manifest, fetched, deleted })
    }

    /// The newest manifest in the folder that is whole.
    fn held(&self) -> Result<Option<Held>, MirrorError> {
        let kept =
            self.present()?.into_iter().filter(|path| matches!(path, Path::KeptManifest { .. }));
        let mut newest: Option<Held> = None;
        for path in kept.chain([Path::Manifest]) {
            let Some(bytes) = self.read(&path)? else { continue };
            // As if it had just been issued: one that has expired still says what was published.
            let Ok((manifest, keys)) = Manifest::verify(&bytes, &self.root, 0, 0) else { continue };
            let version = Version { series: manifest.series, tick: manifest.tick };
            if newest.as_ref().is_none_or(|newest| newest.version <= version) {
                newest = Some(Held { version, keys, bytes });
            }
        }
        Ok(newest)
    }

    /// Makes sure that a file is there and right. Returns the number of files fetched.
    fn get<O: Origin>(
        &mut self,
        origin: &mut O,
        path: Path,
        length: u64,
        names: &Names,
    ) -> Result<usize, MirrorError> {
        let is_right = |bytes: &[u8]| names.verify(&path, bytes, &self.root) == Verdict::Right;
        if self.is_unchanged(&path) {
            return Ok(0);
        }
        let fetched = if self.read(&path)?.is_some_and(|present| is_right(&present)) {
            0
        } else {
            let bytes = fetch(origin, path, length)?;
            if !is_right(&bytes) {
                return Err(MirrorError::Wrong(path));
            }
            self.write(&path, &bytes)?;
            1
        };
        let look = self.look(&path);
        self.verified.extend(look.map(|look| (path, look)));
        Ok(fetched)
    }

    /// Deletes files that no manifest names which has not expired, unless they are among `needed`.
    fn sweep(&mut self, mut needed: BTreeSet<Path>, now: u64) -> Result<usize, MirrorError> {
        let present = self.present()?;
        for path in present.iter().filter(|path| matches!(path, Path::KeptManifest { .. })) {
            let Some(bytes) = self.read(path)? else { continue };
            let Ok(manifest) = Manifest::verify_file(&bytes, &self.root) else { continue };
            if manifest.expires <= now {
                continue;
            }
            let index = Path::Index(manifest.index.sha256);
            needed.extend([*path, index]);
            match self.read(&index)?.map(|bytes| PublicationIndex::parse(&bytes)) {
                Some(Ok(index)) => needed.extend(named(&index).into_keys()),
                // What it named is not known. It all goes when the manifest has expired.
                _ => return Ok(0),
            }
            self.keep_seeds(&manifest, &present, &mut needed)?;
            self.keep_exports(&manifest, &present, &mut needed)?;
        }
        let unneeded: Vec<&Path> = present.difference(&needed).collect();
        for path in &unneeded {
            self.folder.delete(&path.to_string()).map_err(|source| failed(path, source))?;
            self.verified.remove(path);
        }
        Ok(unneeded.len())
    }

    /// Adds the files of seeds that a manifest names.
    fn keep_seeds(
        &self,
        manifest: &Manifest,
        present: &BTreeSet<Path>,
        needed: &mut BTreeSet<Path>,
    ) -> Result<(), MirrorError> {
        let Some(seeds) = manifest.seeds else { return Ok(()) };
        let index = Path::Seeds(seeds.index.sha256);
        needed.insert(index);
        match self.read(&index)?.map(|bytes| SeedIndex::parse(&bytes)) {
            Some(Ok(index)) => needed.extend(named_seeds(&index).map(|(path, _)| path)),
            // A release that knew nothing of seeds fetched it. No file of seeds goes before it has expired.
            _ => needed.extend(present.iter().filter(|path| matches!(path, Path::Seeds(_)))),
        }
        Ok(())
    }

    /// Adds the export files that a manifest names, and their list.
    fn keep_exports(
        &self,
        manifest: &Manifest,
        present: &BTreeSet<Path>,
        needed: &mut BTreeSet<Path>,
    ) -> Result<(), MirrorError> {
        let Some(list) = manifest.exports else { return Ok(()) };
        let list = Path::ExportList(list.sha256);
        needed.insert(list);
        match self.read(&list)?.map(|bytes| ExportList::parse(&bytes)) {
            Some(Ok(list)) => needed.extend(list.paths()),
            // As for seeds.
            _ => needed.extend(
                present
                    .iter()
                    .filter(|path| matches!(path, Path::Export { .. } | Path::ExportList(_))),
            ),
        }
        Ok(())
    }

    /// Every published file in the folder but the manifest.
    fn present(&self) -> Result<BTreeSet<Path>, MirrorError> {
        let mut found = BTreeSet::new();
        let mut folders: Vec<String> = FOLDERS.map(str::to_owned).into();
        while let Some(folder) = folders.pop() {
            let failed = |source| MirrorError::Folder { path: folder.clone(), source };
            let entries = match fs::read_dir(self.folder.path().join(&folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(failed)?,
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(name);
                } else if let Ok(path) = format!("/{name}").parse() {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }

    fn look(&self, path: &Path) -> Option<Metadata> {
        let path = self.folder.path().join(path.to_string().trim_start_matches('/'));
        fs::metadata(path).ok().filter(Metadata::is_file)
    }

    /// Whether a file looks as it did when it was verified.
    fn is_unchanged(&self, path: &Path) -> bool {
        let looks = |file: &Metadata| (file.len(), file.modified().ok());
        let then = self.verified.get(path).map(looks);
        then.is_some() && then == self.look(path).as_ref().map(looks)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, MirrorError> {
        self.folder.read(&path.to_string()).map_err(|source| failed(path, source))
    }

    /// A file that is there and right.
    fn expect(&self, path: &Path, names: &Names) -> Result<Vec<u8>, MirrorError> {
        let bytes = self.read(path)?.ok_or_else(|| failed(path, io::ErrorKind::NotFound.into()))?;
        let is_right = names.verify(path, &bytes, &self.root) == Verdict::Right;
        if is_right { Ok(bytes) } else { Err(MirrorError::Wrong(*path)) }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), MirrorError> {
        if self.read(path)?.is_some_and(|present| present == bytes) {
            return Ok(());
        }
        self.folder.write(&path.to_string(), bytes).map_err(|source| failed(path, source))
    }
}

fn failed(path: &Path, source: io::Error) -> MirrorError {
    MirrorError::Folder { path: path.to_string(), source }
}

fn fetch<O: Origin>(origin: &mut O, path: Path, most: u64) -> Result<Vec<u8>, MirrorError> {
    let failed = |error: O::Error| MirrorError::Fetch { path, reason: error.to_string() };
    origin.fetch(&path, most).map_err(failed)
}

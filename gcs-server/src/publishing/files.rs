//! Files in an object store: a local folder by default.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path as FolderPath, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gcs_core::Folder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use sha2::{Digest as _, Sha256};

use crate::hashed_file::HashedFile;
use crate::new_file::{NewFile, Readers, sync_folder_of};

/// Bytes of a file that are read at once.
const BLOCK: usize = 64 << 10;

/// Files with paths, in an object store.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    path: PathBuf,
    /// The folder that they are in, to wait for what is there already. Opened before anything is written,
    /// so that files can be read where nothing may be written.
    folder: Arc<OnceLock<Folder>>,
}

impl Files {
    /// Files below a local folder, which is made if it does not exist. A file and its name are on
    /// disk when the call that writes it returns.
    ///
    /// # Errors
    /// When the folder cannot be made or read. That it cannot be written to is found by what writes.
    pub fn local(path: &FolderPath) -> Result<Files, Error> {
        fs::create_dir_all(path).map_err(generic)?;
        let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
        let files = Files { store: Arc::new(store), path: path.to_owned(), folder: Arc::default() };
        if let Err(error) = files.open().and_then(|_| sweep(path)) {
            let path = path.display();
            tracing::warn!(%path, %error, "nothing can be written to a folder of files");
        }
        Ok(files)
    }

    /// Makes sure that the folder's own name is on disk.
    fn open(&self) -> io::Result<&Folder> {
        if self.folder.get().is_none() {
            let _by_another_meanwhile = self.folder.set(Folder::open(&self.path)?);
        }
        self.folder.get().ok_or_else(|| io::Error::other("the folder is not open"))
    }

    /// Waits until a file that is there already, and its name, are on disk: a crash may have come
    /// between the moment when it got its name and the moment when that was on disk.
    async fn settle(&self, path: &str) -> Result<(), Error> {
        self.in_folder(path, Folder::settle).await
    }

    /// Does what the store cannot.
    async fn in_folder(
        &self,
        path: &str,
        act: fn(&Folder, &str) -> io::Result<()>,
    ) -> Result<(), Error> {
        let (files, path) = (self.clone(), path.to_owned());
        let act = move || files.open().and_then(|folder| act(folder, &path));
        tokio::task::spawn_blocking(act).await?.map_err(generic)
    }

    /// A whole file; `None` if there is no such file.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Bytes>, Error> {
        match self.get(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file whole or not at all, and reads it back, unless it exists with these bytes.
    pub(super) async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        if self.find(path).await?.is_some_and(|present| present == bytes) {
            return self.settle(path).await;
        }
        self.put_opts(path, bytes, PutMode::Overwrite).await?;
        if self.get(path).await? == bytes { Ok(()) } else { Err(read_back(path)) }
    }

    /// Writes a file whole or not at all, from the blocks that `content` gives to its argument, and
    /// reads it back. Neither needs all of it in memory.
    pub(super) async fn put_blocks(
        &self,
        path: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let (files, name) = (self.clone(), path.to_owned());
        let write = move || write_blocks(&files.open()?.path().join(name), content);
        let is_right = tokio::task::spawn_blocking(write).await?;
        if is_right.map_err(generic)? { Ok(()) } else { Err(read_back(path)) }
    }

    /// Writes a new file. Returns `false` if the file exists with other bytes, `true` if it is
    /// written or exists with the same bytes.
    pub(super) async fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        if let Some(present) = self.find(path).await? {
            self.settle(path).await?;
            return Ok(present == bytes);
        }
        match self.put_opts(path, bytes, PutMode::Create).await {
            Ok(()) => Ok(self.get(path).await? == bytes),
            Err(Error::AlreadyExists { .. }) => {
                self.settle(path).await?;
                Ok(self.get(path).await? == bytes)
            }
            Err(error) => Err(error),
        }
    }

    async fn put_opts(&self, path: &str, bytes: &[u8], mode: PutMode) -> Result<(), Error> {
        if self.folder.get().is_none() {
            self.in_folder(path, |_, _| Ok(())).await?;
        }
        let payload = PutPayload::from(bytes.to_vec());
        self.store.put_opts(&object(path)?, payload, mode.into()).await.map(drop)
    }

    /// A whole file.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, Error> {
        self.store.get(&object(path)?).await?.bytes().await
    }

    /// A part of a file.
    pub(crate) async fn get_range(
        &self,
        path: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, Error> {
        self.store.get_range(&object(path)?, range).await
    }

    /// A file's length; `None` if there is no such file.
    pub(crate) async fn length(&self, path: &str) -> Result<Option<u64>, Error> {
        match self.store.head(&object(path)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The paths of all files below a folder.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let metas = self.store.list(Some(&object(folder)?));
        metas.map_ok(|meta| format!("/{}", meta.location)).try_collect().await
    }

    /// Deletes a file, if it exists. It is gone from the disk when the call returns, for which the
    /// store does not wait.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.in_folder(path, Folder::delete).await
    }
}

/// Writes a file under the name that the store gives to a file that it writes, then moves it to its
/// place. Returns whether what is on disk now has the hash of what was written.
fn write_blocks(
    place: &FolderPath,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<bool> {
    let mut new = place.as_os_str().to_owned();
    new.push("#1");
    let _left_by_a_write_that_failed = fs::remove_file(&new);
    let mut file = NewFile::create(FolderPath::new(&new), Readers::Owner)?;
    let mut hashed = HashedFile::new(file.file());
    content(&mut hashed)?;
    let hash = hashed.hash();
    file.sync()?;
    fs::rename(&new, place)?;
    file.keep();
    sync_folder_of(place)?;
    Ok(hash_of(File::open(place)?)? == hash)
}

/// SHA-256 of what a file has.
fn hash_of(mut file: File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finalize().into()),
            length => hasher.update(&block[..length]),
        }
    }
}

/// Deletes what writing left behind when the server was killed. The store writes a file as `name#1` first, and
/// hides such names when it lists files.
fn sweep(folder: &FolderPath) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sweep(&entry.path())?;
        } else if is_left_over(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_left_over(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn generic(source: io::Error) -> Error {
    Error::Generic { store: "folder", source: source.into() }
}

fn object(path: &str) -> Result<Path, Error> {
    Ok(Path::parse(path.trim_start_matches('/'))?)
}

fn read_back(path: &str) -> Error {
    let what = format!("{path} has other bytes after writing than were written");
    Error::Generic { store: "read back", source: what.into() }
}

//! Files in a local folder.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path as FolderPath, PathBuf};
use std::sync::{Arc, OnceLock};

use gcs_core::Folder;
use object_store::Error;
use object_store::local::LocalFileSystem;
use sha2::{Digest as _, Sha256};
use tokio::sync::RwLock;

use super::read_back;
use crate::hashed_file::HashedFile;
use crate::new_file::{NewFile, Readers, sync_folder_of};

/// Bytes of a file that are read at once.
const BLOCK: usize = 64 << 10;

/// A local folder of files, each written whole or not at all. A file and its name are on disk when the call that
/// writes it returns.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    path: PathBuf,
    /// Opened before anything is written, so that files can be read where nothing may be written.
    folder: Arc<OnceLock<Folder>>,
    /// Held to read by whatever is being done in the folder. That goes on when nobody waits for it any more.
    doing: Arc<RwLock<()>>,
}

impl LocalFolder {
    /// The folder at a path, which is made if it does not exist.
    ///
    /// # Errors
    /// When it cannot be made. That it cannot be written to is found by what writes.
    pub fn at(path: &FolderPath) -> Result<LocalFolder, Error> {
        fs::create_dir_all(path).map_err(generic)?;
        let (folder, doing) = (Arc::default(), Arc::default());
        let folder = LocalFolder { path: path.to_owned(), folder, doing };
        if let Err(error) = folder.open().and_then(|_| sweep(path)) {
            let path = path.display();
            tracing::warn!(%path, %error, "nothing can be written to a folder of files");
        }
        Ok(folder)
    }

    /// The same folder as a store of objects.
    pub(super) fn store(&self) -> Result<LocalFileSystem, Error> {
        Ok(LocalFileSystem::new_with_prefix(&self.path)?.with_fsync(true))
    }

    pub(super) fn path(&self) -> &FolderPath {
        &self.path
    }

    /// Makes sure that the folder's own name is on disk.
    fn open(&self) -> io::Result<&Folder> {
        if self.folder.get().is_none() {
            let _by_another_meanwhile = self.folder.set(Folder::open(&self.path)?);
        }
        self.folder.get().ok_or_else(|| io::Error::other("the folder is not open"))
    }

    /// Makes sure of that before the store writes a file.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        if self.folder.get().is_none() { self.act(|_| Ok(())).await } else { Ok(()) }
    }

    /// Waits until a file that is there already, and its name, are on disk: a crash may have come
    /// between the moment when it got its name and the moment when that was on disk.
    pub(super) async fn settle(&self, path: &str) -> Result<(), Error> {
        let path = path.to_owned();
        self.act(move |folder| folder.settle(&path)).await
    }

    /// A whole file; `None` if there is no such file.
    pub(in crate::publishing) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let place = self.path.join(name);
        let read = tokio::task::spawn_blocking(move || match fs::read(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        });
        read.await?.map_err(generic)
    }

    /// Writes a file from the blocks that `content` gives to its argument, and reads it back. Neither needs
    /// all of it in memory.
    pub(in crate::publishing) async fn write(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let file = name.to_owned();
        let write = move |folder: &Folder| write_blocks(&folder.path().join(file), content);
        if self.act(write).await? { Ok(()) } else { Err(read_back(name)) }
    }

    /// Deletes a file, if it exists. It is gone from the disk when the call returns, for which the
    /// store does not wait.
    pub(in crate::publishing) async fn delete(&self, path: &str) -> Result<(), Error> {
        let path = path.to_owned();
        self.act(move |folder| folder.delete(&path)).await
    }

    /// Does something in the folder, away from the threads that serve requests.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Folder) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let own = self.clone();
        let doing = Arc::clone(&self.doing).read_owned().await;
        let act = move || {
            let _until_the_end = doing;
            own.open().and_then(act)
        };
        tokio::task::spawn_blocking(act).await?.map_err(generic)
    }

    /// Does what the store does in threads of its own, as far as the end, even if nobody waits for it any more.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let doing = Arc::clone(&self.doing).read_owned().await;
        let act = async move {
            let _until_the_end = doing;
            act.await
        };
        tokio::spawn(act).await?
    }

    /// Waits until nothing is being done in the folder.
    pub(in crate::publishing) async fn until_idle(&self) {
        let _nothing = self.doing.write().await;
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Whether a folder becomes idle in some time.
    async fn is_idle(folder: &LocalFolder) -> bool {
        tokio::time::timeout(Duration::from_millis(200), folder.until_idle()).await.is_ok()
    }

    #[tokio::test]
    async fn a_write_that_nobody_waits_for_ends_before_the_folder_is_idle() {
        let home = tempfile::tempdir().unwrap();
        let folder = LocalFolder::at(home.path()).unwrap();
        assert!(is_idle(&folder).await);
        let (release, is_released) = mpsc::channel::<()>();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let own = folder.clone();
        let first = tokio::spawn(async move {
            let slow = move |file: &mut dyn Write| {
                let _heard = began.send(());
                let _released = is_released.recv();
                file.write_all(b"first")
            };
            own.write("publisher", slow).await
        });
        has_begun.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(!is_idle(&folder).await);
        drop(release);
        folder.until_idle().await;
        assert_eq!(folder.read("publisher").await.unwrap().unwrap(), b"first");
        folder.write("publisher", |file| file.write_all(b"second")).await.unwrap();
        assert_eq!(folder.read("publisher").await.unwrap().unwrap(), b"second");
    }

    /// What the store does, too.
    #[tokio::test]
    async fn what_is_to_be_finished_is_finished() {
        let home = tempfile::tempdir().unwrap();
        let folder = LocalFolder::at(home.path()).unwrap();
        let (release, is_released) = tokio::sync::oneshot::channel::<()>();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let own = folder.clone();
        let slow = async {
            let _heard = began.send(());
            Ok(is_released.await.is_err())
        };
        let waits = tokio::spawn(async move { own.finish(slow).await });
        has_begun.await.unwrap();
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        assert!(!is_idle(&folder).await);
        drop(release);
        folder.until_idle().await;
    }
}

//! The folder of a spool, and what a spool needs of a disk.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::new_file::{NewFile, Readers, sync_folder};

/// Longest file of a spool, in bytes.
pub const LONGEST_FILE: usize = 4 << 20;

/// What a spool needs of a disk: files of one folder, by their names. A test has its own, to stop between
/// any two steps.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Names of all files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn names(&self) -> io::Result<Vec<String>>;

    /// What a file has.
    ///
    /// # Errors
    /// When it cannot be read, or has more than [`LONGEST_FILE`].
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file. Its content is on disk when this returns, and its name after [`Disk::sync_names`].
    ///
    /// # Errors
    /// When there is a file of this name, or the content may not be on disk.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// When there is no such file, or the folder cannot be written.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Overwrites what a file has with zeros, and then deletes the file.
    ///
    /// # Errors
    /// When the file may still be there.
    fn destroy(&self, name: &str) -> io::Result<()>;

    /// Waits until all names are on disk as they are now.
    ///
    /// # Errors
    /// When a power cut may lose a name, or bring one back.
    fn sync_names(&self) -> io::Result<()>;
}

const LOCK: &str = "lock";

/// A file by which it is tried whether files may be made.
const TRY: &str = "try";

/// How long to wait for another server that ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// A folder that no other server uses.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// It stays locked until this is dropped.
    _lock: File,
}

impl Folder {
    /// Takes a folder, and makes it if `make` says so, readable by its owner only.
    ///
    /// # Errors
    /// [`ErrorKind::ResourceBusy`] when another server uses it; or an error of the system, as when no file may be
    /// made there. That a disk is full is none: there may be room later.
    pub fn claim(path: &Path, make: bool) -> io::Result<Folder> {
        if make && !path.exists() {
            let mut folder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
            folder.create(path)?;
        }
        let lock =
            File::options().create(true).truncate(false).write(true).open(path.join(LOCK))?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => {
                    let folder = Folder { path: path.to_owned(), _lock: lock };
                    folder.expect_writable()?;
                    return Ok(folder);
                }
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                    std::thread::sleep(LOOK);
                }
                Err(TryLockError::WouldBlock) => {
                    let what = "another server uses this spool";
                    return Err(io::Error::new(ErrorKind::ResourceBusy, what));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Folder {
    /// Makes sure that files may be made in the folder, unless its disk is full.
    fn expect_writable(&self) -> io::Result<()> {
        let place = self.path.join(TRY);
        match File::create(&place).and_then(|_| fs::remove_file(&place)) {
            Err(error) if is_full(&error) => Ok(()),
            tried => tried,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>()?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let most = LONGEST_FILE as u64 + 1;
        File::open(self.path.join(name))?.take(most).read_to_end(&mut bytes)?;
        if bytes.len() > LONGEST_FILE {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "it is longer than any spool file",
            ));
        }
        Ok(bytes)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = NewFile::create(&self.path.join(name), Readers::Owner)?;
        file.write(bytes)?;
        file.sync()?;
        file.keep();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn destroy(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let mut file = File::options().write(true).open(&path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        io::copy(&mut io::repeat(0).take(length), &mut file)?;
        file.flush()?;
        file.sync_data()?;
        fs::remove_file(&path)
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_owners_and_the_folder_is_one_servers() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("spool");
        assert!(Folder::claim(&path, false).is_err());
        let folder = Folder::claim(&path, true).unwrap();
        folder.create("a", b"report").unwrap();
        assert!(folder.create("a", b"other").is_err());
        assert_eq!(folder.read("a").unwrap(), b"report");
        folder.rename("a", "b").unwrap();
        folder.sync_names().unwrap();
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["b", LOCK]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&path.join("b"))), (0o700, 0o600));
        }
        let again = File::open(path.join(LOCK)).unwrap();
        assert!(matches!(again.try_lock(), Err(TryLockError::WouldBlock)));
        folder.destroy("b").unwrap();
        assert!(folder.read("b").is_err() && folder.destroy("b").is_err());
        fs::write(path.join("long"), vec![1; LONGEST_FILE + 1]).unwrap();
        assert_eq!(folder.read("long").unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}

//! New files. One that exists is never overwritten, and one that cannot be written whole is deleted
//! again.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone: it has codes, keys or tokens.
    Owner,
    /// Everyone whom the system's defaults for new files allow.
    Anyone,
}

/// A new file, which is deleted when this is dropped, unless [`NewFile::keep`] was called.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl NewFile {
    /// Makes an empty file.
    ///
    /// # Errors
    /// When there is a file of this name already, or none can be made.
    pub fn create(path: &Path, readers: Readers) -> io::Result<NewFile> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if readers == Readers::Owner {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        #[cfg(not(unix))]
        let _ = readers;
        let file = options.open(path)?;
        Ok(NewFile { path: path.to_owned(), file, is_kept: false })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes disk space for a content of so many bytes.
    ///
    /// # Errors
    /// When there is not so much space.
    pub fn reserve(&mut self, room: usize) -> io::Result<()> {
        if reserve(&self.file, room)? {
            return Ok(());
        }
        // Where space cannot be taken otherwise, spaces take it.
        self.file.write_all(&vec![b' '; room])?;
        self.file.sync_all()
    }

    /// Writes the whole content.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(bytes)?;
        self.file.set_len(bytes.len() as u64)
    }

    /// Writes everything that a reader has.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn fill_from(&mut self, from: &mut impl io::Read) -> io::Result<()> {
        io::copy(from, &mut self.file).map(drop)
    }

    /// The file itself, to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Waits until the content is on disk.
    ///
    /// # Errors
    /// When it may not be on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Waits until the file's name is on disk. Not every file system can do that.
    ///
    /// # Errors
    /// When a power cut may lose the file.
    pub fn sync_name(&self) -> io::Result<()> {
        sync_folder_of(&self.path)
    }

    /// From here on nothing deletes the file.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_kept {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Waits until the names in a folder are on disk. Not every file system can do that.
///
/// # Errors
/// When a power cut may lose a name, or bring one back.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// As [`sync_folder`], for the folder that a path is in.
///
/// # Errors
/// As [`sync_folder`].
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

/// Takes disk space behind the end of a file, whose content and length stay. `false` if that is not
/// possible: the file is no regular one, or its file system cannot do it.
///
/// # Errors
/// When the disk is full, or a limit of the user or the process is reached.
#[cfg(target_os = "linux")]
pub fn reserve(file: &impl std::os::fd::AsFd, room: usize) -> io::Result<bool> {
    use rustix::fs::{FallocateFlags, FileType, fallocate, fstat};
    use rustix::io::Errno;
    use rustix::process::{Resource, getrlimit};

    let stat = fstat(file)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(false);
    }
    let (end, room) = (u64::try_from(stat.st_size).unwrap_or(0), room as u64);
    // Space behind the end is not counted against this limit until it is written to.
    if getrlimit(Resource::Fsize).current.is_some_and(|most| end.saturating_add(room) > most) {
        return Err(Errno::FBIG.into());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, end, room) {
        Ok(()) => Ok(true),
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// Only Linux can take disk space without changing a file.
#[cfg(not(target_os = "linux"))]
pub fn reserve<F>(_: &F, _: usize) -> io::Result<bool> {
    Ok(false)
}

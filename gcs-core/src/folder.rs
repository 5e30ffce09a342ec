//! A folder of files that are written whole or not at all.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

/// Name of the folder, inside this one, for files that are being written. It is not a legal
/// file name.
const PARTIAL: &str = ".partial";

/// Age at which a half-written file counts as left by a crash.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A local folder of files by name, each written whole or not at all.
///
/// A name is one or more parts of lower-case letters, digits and `-`, and `.` between these, with
/// `/` between parts and optionally before the first: the names of a client's own files and the
/// paths of published ones. Any other name is an error, so no file is ever read or written outside
/// of the folder.
///
/// ```
/// use gcs_core::Folder;
///
/// # let home = tempfile::tempdir()?;
/// # let path = home.path().join("folder");
/// let folder = Folder::open(path)?;
/// folder.write("state", b"some bytes")?;
/// assert_eq!(folder.read("state")?, Some(b"some bytes".to_vec()));
/// assert!(folder.read("../other").is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    durable: bool,
}

impl Folder {
    /// Opens a folder, and makes it if there is none. A file and its name are on disk
    /// when the call that writes it returns.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Folder> {
        Folder::new(path.into(), true)
    }

    /// Opens a folder whose files may be lost in a power cut: they are still written whole
    /// or not at all, but no call waits for the disk. It is several times as fast, for tests
    /// and simulations.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn temporary(path: impl Into<PathBuf>) -> io::Result<Folder> {
        Folder::new(path.into(), false)
    }

    fn new(path: PathBuf, durable: bool) -> io::Result<Folder> {
        let folder = Folder { path, durable };
        folder.make(&folder.path)?;
        // It may have been made just before a crash.
        if let Some(parent) = parent_of(&folder.path) {
            folder.sync(parent)?;
        }
        folder.remove_abandoned()?;
        Ok(folder)
    }

    /// Removes files that a crash left half written. Others may be writing to this folder
    /// now, so only files are removed that nobody has touched for an hour.
    fn remove_abandoned(&self) -> io::Result<()> {
        let Some(entries) = found(fs::read_dir(self.path.join(PARTIAL)))? else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            // A file that has just gone was in use.
            let Some(metadata) = found(fs::metadata(&path))? else { continue };
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            if age >= ABANDONED_AFTER {
                found(fs::remove_file(&path))?;
            }
        }
        Ok(())
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file; `None` if there is no such file.
    ///
    /// # Errors
    /// When the name is not legal or the file cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        found(fs::read(self.place(name)?))
    }

    /// Reads a part of a file, as much of it as there is; `None` if there is no such file.
    ///
    /// # Errors
    /// When the name is not legal or the file cannot be read.
    pub fn read_part(&self, name: &str, byte_range: Range<u64>) -> io::Result<Option<Vec<u8>>> {
        let place = self.place(name)?;
        let read = || {
            let mut file = File::open(place)?;
            file.seek(io::SeekFrom::Start(byte_range.start))?;
            let mut bytes = Vec::new();
            let length = byte_range.end.saturating_sub(byte_range.start);
            file.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        found(read())
    }

    /// Writes or replaces a file, whole or not at all.
    ///
    /// # Errors
    /// When the name is not legal or the file cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let place = self.place(name)?;
        self.write_with(&place, bytes, |partial| fs::rename(partial, &place))
    }

    /// Writes a file whole or not at all, if there is none of its name. `false` if there is.
    ///
    /// # Errors
    /// When the name is not legal or the file cannot be written.
    pub fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let place = self.place(name)?;
        // Unlike renaming, linking never replaces a file.
        let link = |partial: &Path| {
            fs::hard_link(partial, &place)?;
            fs::remove_file(partial)
        };
        match self.write_with(&place, bytes, link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            written => written.map(|()| true),
        }
    }

    /// Waits until a file that is there already, and its name, are on disk: whoever wrote it may
    /// have been stopped before they were. It is no error if there is none.
    ///
    /// # Errors
    /// When the name is not legal or the file cannot be opened.
    pub fn settle(&self, name: &str) -> io::Result<()> {
        let place = self.place(name)?;
        if !self.durable {
            return Ok(());
        }
        // Windows waits only for files that are open for writing.
        let open = File::options().read(true).write(cfg!(windows)).open(&place);
        let Some(file) = found(open)? else { return Ok(()) };
        file.sync_all()?;
        self.sync_names(&place)
    }

    /// Deletes a file. It is no error if there is none.
    ///
    /// # Errors
    /// When the name is not legal or the file cannot be deleted.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        let place = self.place(name)?;
        found(fs::remove_file(&place))?;
        // Else it may be there again after a power cut, also if another call has deleted it.
        if place.parent().is_some_and(Path::is_dir) { self.sync_names(&place) } else { Ok(()) }
    }

    /// The path of a file.
    fn place(&self, name: &str) -> io::Result<PathBuf> {
        let is_part = |part: &str| {
            let is_legal = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            part.split('.').all(|piece| !piece.is_empty() && piece.bytes().all(is_legal))
        };
        let relative = name.strip_prefix('/').unwrap_or(name);
        if relative.split('/').all(is_part) {
            Ok(self.path.join(relative))
        } else {
            let message = format!("{name:?} is not a legal name for a file in this folder");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }

    /// Writes a file under a temporary name, then moves it to its place with `finish`.
    fn write_with(
        &self,
        place: &Path,
        bytes: &[u8],
        finish: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let parent = place.parent().unwrap_or(&self.path);
        self.make(parent)?;
        let (partial, file) = self.new_partial()?;
        let written = self.fill(file, bytes).and_then(|()| finish(&partial));
        if written.is_err() {
            // The file may not exist, which is no error.
            let _ = fs::remove_file(&partial);
        }
        written?;
        self.sync_names(place)
    }

    /// Waits until the name of a file is on disk, and those of the folders that lead to it from this
    /// one: whoever made them may have been stopped before they were.
    fn sync_names(&self, place: &Path) -> io::Result<()> {
        let folders = place.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.path));
        folders.into_iter().try_for_each(|folder| self.sync(folder))
    }

    /// A file of its own to write to: another process, perhaps on another machine or with
    /// the same process id in another container, may use the same names.
    fn new_partial(&self) -> io::Result<(PathBuf, File)> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let partials = self.path.join(PARTIAL);
        fs::create_dir_all(&partials)?;
        loop {
            let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
            let partial = partials.join(format!("{}-{number}", process::id()));
            match File::options().write(true).create_new(true).open(&partial) {
                Ok(file) => return Ok((partial, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&self, mut file: File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)?;
        if self.durable { file.sync_all() } else { Ok(()) }
    }

    /// Makes a folder and those above it, where they are missing.
    fn make(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = parent_of(path);
        if let Some(parent) = parent {
            self.make(parent)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if !path.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            _ => {}
        }
        parent.map_or(Ok(()), |parent| self.sync(parent))
    }

    /// Waits until the names in a folder are on disk.
    fn sync(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        tests::SYNCED.with_borrow_mut(|synced| synced.push(path.to_path_buf()));
        // On other systems a folder cannot be opened as a file.
        if self.durable && cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
}

/// The folder in which a path is: the working folder, if it names no other.
fn parent_of(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// `None` in place of the error that there is no such file.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    std::thread_local! {
        /// The folders whose names were waited for, in their order.
        pub(super) static SYNCED: core::cell::RefCell<Vec<PathBuf>> = const { core::cell::RefCell::new(Vec::new()) };
    }

    /// Whatever was there before, a crash may have left it short of the disk.
    #[test]
    fn every_name_on_the_way_to_a_file_is_waited_for() {
        let (home, folder) = folder();
        let synced = |act: &dyn Fn()| {
            SYNCED.take();
            act();
            SYNCED.take()
        };
        let [inner, outer] = ["v1/sets", "v1"].map(|name| folder.path().join(name));
        fs::create_dir_all(&inner).unwrap();
        let wanted = [inner, outer, folder.path().to_path_buf()];
        assert_eq!(synced(&|| folder.write("v1/sets/a", b"x").unwrap()), wanted);
        assert_eq!(synced(&|| assert!(folder.create("v1/sets/b", b"x").unwrap())), wanted);
        assert_eq!(synced(&|| folder.settle("v1/sets/a").unwrap()), wanted);
        assert_eq!(synced(&|| folder.delete("v1/sets/a").unwrap()), wanted);
        assert_eq!(synced(&|| folder.delete("v1/sets/a").unwrap()), wanted);
        assert!(synced(&|| folder.delete("v1/other/a").unwrap()).is_empty());
        folder.settle("v1/sets/none").unwrap();
        let opened = synced(&|| drop(Folder::open(folder.path()).unwrap()));
        assert_eq!(opened, [home.path().join("some")]);
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path().join("some/where")).unwrap();
        (home, folder)
    }

    #[test]
    fn files_are_written_replaced_read_in_part_and_deleted() {
        let (_home, folder) = folder();
        assert_eq!(folder.read("/v1/manifest").unwrap(), None);
        assert_eq!(folder.read_part("state", 0..9).unwrap(), None);
        folder.write("/v1/manifest", b"first").unwrap();
        folder.write("v1/manifest", b"second").unwrap();
        assert_eq!(folder.read("/v1/manifest").unwrap().unwrap(), b"second");
        let part = |byte_range| folder.read_part("/v1/manifest", byte_range).unwrap().unwrap();
        assert_eq!((&part(1..4)[..], &part(4..99)[..]), (&b"eco"[..], &b"nd"[..]));
        assert!(part(6..7).is_empty() && part(99..u64::MAX).is_empty());
        folder.delete("/v1/manifest").unwrap();
        folder.delete("/v1/manifest").unwrap();
        assert_eq!(folder.read("/v1/manifest").unwrap(), None);
    }

    #[test]
    fn a_file_that_is_there_is_not_created() {
        let (_home, folder) = folder();
        assert!(folder.create("a/b", b"first").unwrap());
        assert!(!folder.create("a/b", b"second").unwrap());
        assert_eq!(folder.read("a/b").unwrap().unwrap(), b"first");
        let partials = fs::read_dir(folder.path().join(PARTIAL)).unwrap();
        assert_eq!(partials.count(), 0);
    }

    #[test]
    fn files_left_behind_by_a_crash_are_removed() {
        let (_home, folder) = folder();
        let partials = folder.path().join(PARTIAL);
        fs::create_dir_all(&partials).unwrap();
        let (old, new) = (partials.join("1-2"), partials.join("1-3"));
        fs::write(&new, "being written").unwrap();
        fs::write(&old, "half a fi").unwrap();
        let crash = std::time::SystemTime::now() - ABANDONED_AFTER;
        File::options().write(true).open(&old).unwrap().set_modified(crash).unwrap();
        folder.write("state", b"kept").unwrap();
        let again = Folder::open(folder.path()).unwrap();
        assert!(!old.exists() && new.exists());
        assert_eq!(again.read("state").unwrap().unwrap(), b"kept");
    }

    #[test]
    fn opening_a_folder_disturbs_nobody_who_writes_to_it() {
        let (_home, folder) = folder();
        let path = folder.path().to_path_buf();
        let opener =
            std::thread::spawn(move || (0..300).try_for_each(|_| Folder::open(&path).map(drop)));
        for number in 0..300u32 {
            folder.write("state", &number.to_le_bytes()).unwrap();
        }
        opener.join().unwrap().unwrap();
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let (_home, folder) = folder();
        for name in [
            "", "/", "//a", "a//b", "a/", ".", "..", "../a", "a/../b", ".partial", "A", "a\\b",
            "a b", "ä", "a.", "a..b", "a/.b",
        ] {
            assert!(folder.write(name, b"x").is_err(), "{name}");
            assert!(folder.create(name, b"x").is_err(), "{name}");
            assert!(folder.read(name).is_err() && folder.delete(name).is_err(), "{name}");
        }
        folder.write("a/b.c-d.zip", b"x").unwrap();
        assert_eq!(folder.read("/a/b.c-d.zip").unwrap().unwrap(), b"x");
    }

    #[test]
    fn a_failed_write_leaves_no_file_behind() {
        let (_home, folder) = folder();
        folder.write("a", b"a file, not a folder").unwrap();
        assert!(folder.write("a/b", b"x").is_err());
        folder.write("b/c", b"x").unwrap();
        assert!(folder.write("b", b"a folder, not a file").is_err());
        let partials = fs::read_dir(folder.path().join(PARTIAL)).unwrap();
        assert_eq!(partials.count(), 0);
        assert_eq!(folder.read("a").unwrap().unwrap(), b"a file, not a folder");
    }
}

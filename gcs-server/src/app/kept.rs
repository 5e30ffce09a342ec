//! Copies of damaged files, which are made before anything is repaired.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::repair::{LOG, LOG_WAL};
use crate::new_file::{NewFile, Readers, sync_folder};
use crate::store::wal::Wal;
use crate::time::utc;

/// Name of a repaired database, in the folder of the copies that it is made from.
const REPAIRED: &str = "repaired.sqlite";

/// What the names of folders with copies begin with.
const DAMAGED: &str = "damaged-";

/// What the name of such a folder ends with as long as not everything is in it.
const PART: &str = "part";

/// Bytes that are compared at a time.
const PIECE: u64 = 1 << 20;

/// Copies of a log and its write-ahead log, in a folder of their own beside the log.
#[derive(Debug)]
pub(super) struct Kept {
    /// The folder.
    pub(super) folder: PathBuf,
    /// The log itself, which no link leads to.
    log: PathBuf,
}

impl Kept {
    /// Copies a log and its write-ahead log to a new folder, unless a folder has them already: a server
    /// that tries again and again must not fill the disk.
    ///
    /// # Errors
    /// The new folder, and why the files cannot be copied to it.
    pub(super) fn copy(log: &Path, now: u64) -> Result<Kept, (PathBuf, io::Error)> {
        let beside = beside(log);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        let log = fs::canonicalize(log).map_err(failed(&beside))?;
        for folder in folders(&beside).map_err(failed(&beside))? {
            let kept = Kept { folder, log: log.clone() };
            if kept.is_same().unwrap_or(false) {
                return Ok(kept);
            }
        }
        let name = format!("{DAMAGED}{}", utc(now).replace(['-', ':'], ""));
        let numbered = (2..).map(|number| beside.join(format!("{name}-{number}")));
        let mut places = std::iter::once(beside.join(&name)).chain(numbered);
        let folder = places.find(|place| !place.exists()).unwrap_or_else(|| beside.join(&name));
        let part = folder.with_added_extension(PART);
        let kept = Kept { folder, log };
        let copied = kept.fill(&part).and_then(|()| {
            fs::rename(&part, &kept.folder)?;
            sync_folder(&beside)
        });
        match copied {
            Ok(()) => Ok(kept),
            Err(error) => {
                // What is half copied would only be in the way.
                let _gone = fs::remove_dir_all(&part);
                Err((kept.folder, error))
            }
        }
    }

    /// The log and its write-ahead log, with the names of their copies.
    fn files(&self) -> io::Result<[(PathBuf, &'static str); 2]> {
        Ok([(self.log.clone(), LOG), (Wal::path(&self.log)?, LOG_WAL)])
    }

    fn is_same(&self) -> io::Result<bool> {
        for (file, name) in self.files()? {
            if !is_equal(&file, &self.folder.join(name))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fill(&self, part: &Path) -> io::Result<()> {
        fs::create_dir(part)?;
        for (file, name) in self.files()? {
            let mut copy = NewFile::create(&part.join(name), Readers::Owner)?;
            copy.fill_from(&mut File::open(file)?)?;
            copy.sync()?;
            copy.keep();
        }
        sync_folder(part)
    }

    /// Where a repaired database is.
    pub(super) fn repaired(&self) -> PathBuf {
        self.folder.join(REPAIRED)
    }

    /// Makes a copy of the damaged database, which `repair` changes.
    pub(super) fn make_repaired(
        &self,
        repair: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let to = self.repaired();
        remove(&to)?;
        let mut repaired = NewFile::create(&to, Readers::Owner)?;
        repaired.fill_from(&mut File::open(self.folder.join(LOG))?)?;
        keep_owner(&self.log, repaired.file())?;
        repair(repaired.file())?;
        repaired.sync()?;
        repaired.keep();
        Ok(())
    }

    /// Puts the repaired database in the place of the log. After a crash in between it is repaired again,
    /// to the same effect.
    pub(super) fn install(&self) -> io::Result<()> {
        let wal = Wal::path(&self.log)?;
        let beside = beside(&self.log);
        fs::rename(self.repaired(), &self.log)?;
        sync_folder(&beside)?;
        fs::remove_file(wal)?;
        sync_folder(&beside)
    }
}

/// The folder that a log is in, wherever links lead.
fn beside(log: &Path) -> PathBuf {
    let log = fs::canonicalize(log).unwrap_or_else(|_| log.to_owned());
    log.parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Deletes what a kill left while files were copied or repaired. What was copied whole stays.
pub(super) fn sweep(log: &Path) -> io::Result<()> {
    let beside = beside(log);
    for name in names(&beside)? {
        let path = beside.join(&name);
        if name.ends_with(&format!(".{PART}")) {
            fs::remove_dir_all(path)?;
        } else {
            remove(&path.join(REPAIRED))?;
        }
    }
    Ok(())
}

/// The folders with copies.
fn folders(beside: &Path) -> io::Result<impl Iterator<Item = PathBuf>> {
    let whole = names(beside)?.into_iter().filter(|name| !name.ends_with(&format!(".{PART}")));
    Ok(whole.map(|name| beside.join(name)))
}

fn names(beside: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(beside)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(DAMAGED) {
            names.push(name);
        }
    }
    Ok(names)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whoever repairs the log, perhaps root, everyone who could use it still can: as far as whoever it is may give
/// files away.
pub(super) fn keep_owner(log: &Path, copy: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let (of, now) = (fs::metadata(log)?, copy.metadata()?);
        let give = |user, group| match fchown(copy, user, group) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
            given => given.map(|()| true),
        };
        if (of.uid(), of.gid()) != (now.uid(), now.gid())
            && !give(Some(of.uid()), Some(of.gid()))?
            && !give(None, Some(of.gid()))?
        {
            tracing::warn!("the repaired log belongs to the user who repairs it");
        }
        copy.set_permissions(of.permissions())?;
    }
    #[cfg(not(unix))]
    let _ = (log, copy);
    Ok(())
}

fn is_equal(one: &Path, two: &Path) -> io::Result<bool> {
    let (mut one, mut two) = (File::open(one)?, File::open(two)?);
    if one.metadata()?.len() != two.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        one.by_ref().take(PIECE).read_to_end(&mut left)?;
        two.by_ref().take(PIECE).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_is_deleted_and_what_is_whole_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join(LOG);
        fs::write(&log, "a log").unwrap();
        fs::write(folder.path().join(LOG_WAL), "a write-ahead log").unwrap();
        let kept = Kept::copy(&log, 0).unwrap();
        assert_eq!(kept.folder.file_name().unwrap(), "damaged-19700101T000000Z");
        assert_eq!(Kept::copy(&log, 1000).unwrap().folder, kept.folder);
        kept.make_repaired(|_| Ok(())).unwrap();
        let part = kept.folder.with_file_name("damaged-2.part");
        fs::create_dir(&part).unwrap();
        fs::write(part.join(LOG), "half").unwrap();
        sweep(&log).unwrap();
        let mut left = names(folder.path()).unwrap();
        assert_eq!(left.pop().unwrap(), "damaged-19700101T000000Z");
        assert!(left.is_empty() && !kept.repaired().exists());
        assert_eq!(fs::read(kept.folder.join(LOG)).unwrap(), b"a log");
        fs::write(&log, "another log").unwrap();
        assert_ne!(Kept::copy(&log, 0).unwrap().folder, kept.folder);
    }

    #[cfg(unix)]
    #[test]
    fn a_repaired_log_is_where_its_link_leads_and_whoever_could_use_it_still_can() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let [folder, disk] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (log, real) = (folder.path().join(LOG), disk.path().join("its log"));
        fs::write(&real, "a log").unwrap();
        fs::write(disk.path().join("its log-wal"), "a write-ahead log").unwrap();
        symlink(&real, &log).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o660)).unwrap();
        let may_give = std::os::unix::fs::chown(&real, Some(12_345), Some(54_321)).is_ok();
        let owner = |path: &Path| {
            let meta = fs::metadata(path).unwrap();
            (meta.uid(), meta.gid(), meta.mode() & 0o777)
        };
        let before = owner(&real);
        assert!(!may_give || (before.0, before.1) == (12_345, 54_321));
        let kept = Kept::copy(&log, 0).unwrap();
        assert_eq!(kept.folder.parent().unwrap(), disk.path().canonicalize().unwrap());
        kept.make_repaired(|file| io::Write::write_all(file, b", repaired")).unwrap();
        kept.install().unwrap();
        assert!(fs::symlink_metadata(&log).unwrap().is_symlink());
        assert_eq!(fs::read(&log).unwrap(), b"a log, repaired");
        assert!(!disk.path().join("its log-wal").exists());
        assert_eq!(owner(&real), before);
    }
}

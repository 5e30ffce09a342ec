//! The data folder of a server: lock, log, keys and files.
//!
//! ```text
//! lock           locked by the process that uses the folder; has its number, and its addresses
//! log.sqlite     the log, from which everything else is computed, unless it is in a database
//! anchor         when the machine booted, by a clock that was trusted
//! witness        which event was acknowledged last
//! damaged-…/     what a damaged log was before it was repaired; beside the file, if the log is a link
//! keys.json      the secret keys, unless the configuration names another file
//! spool/         reports that came while the database of the log could not be reached: see `spool`
//! starting/      a new deployment, until its operator's token has been shown
//! public/        what phones fetch; computed from the log
//! private/       the saved publisher and a checkpoint of the state, for a fast restart; computed
//!                from the log
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::config::Config;
use super::first_start;
pub use super::folder_error::FolderError;
use super::key_file;
use super::loss::Loss;
use super::repair::{self, OnLoss, OpenLog};
use crate::clock::LARGEST_STEP;
use crate::domain::keys::DeploymentKeys;
use crate::domain::policy::Policy;
use crate::domain::token::Token;
use crate::random::Random;
use crate::store::{LogPlace, PostgresStore, PostgresUrl, Store, StoreError};

/// A data folder that no other process uses.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Where the log is.
    log: LogPlace,
    /// The lock file, or the folder itself where that file cannot be opened. It stays locked until
    /// this is dropped.
    _lock: File,
}

/// An open data folder, with its log and keys.
pub struct Opened {
    /// The folder.
    pub folder: DataFolder,
    /// The log.
    pub store: Box<dyn Store>,
    /// The secret keys.
    pub keys: DeploymentKeys,
    /// The operator's token, if this is a new deployment whose token has not been shown.
    pub token: Option<Token>,
    /// What is lost, if that was accepted.
    pub loss: Option<Loss>,
    /// What was repaired, for people.
    pub repaired: Option<String>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Opens a copy of a log that is not finished, and says what of the log may be lost.
fn open_part(url: &PostgresUrl) -> Result<(PostgresStore, Option<Loss>), StoreError> {
    let mut store = PostgresStore::open_copy(url.clone())?;
    let last = store.last()?;
    let what = StoreError::Unfinished.to_string();
    let loss = Loss { what, kept: last, last, readable: Vec::new(), may_be_more: true, copy: None };
    Ok((store, Some(loss)))
}

impl DataFolder {
    /// Opens a folder, or makes a new deployment in it if there is neither log nor keys.
    ///
    /// # Errors
    /// A [`FolderError`] that says what to do; the folder has not been changed.
    pub fn open(config: &Config, now: u64, random: &Random) -> Result<Opened, FolderError> {
        let (folder, keys) = DataFolder::prepare(config, now, random)?;
        folder.existing(keys, now, OnLoss::Refuse)
    }

    /// As [`DataFolder::open`], but does not look at the log of a deployment that is there.
    ///
    /// # Errors
    /// As [`DataFolder::open`]. That the log cannot be used is found when it is opened.
    pub(super) fn prepare(
        config: &Config,
        now: u64,
        random: &Random,
    ) -> Result<(DataFolder, DeploymentKeys), FolderError> {
        let folder = DataFolder::claim(&config.data_dir, config.log())?;
        if DataFolder::is_new(config) {
            folder.begin(config, now, random)?;
        }
        if first_start::is_pending(&folder.path) {
            first_start::finish(&folder.path, &config.key_file, &folder.log)?;
        }
        let keys = folder.keys(&config.key_file)?;
        Ok((folder, keys))
    }

    /// Makes a new deployment.
    fn begin(&self, config: &Config, now: u64, random: &Random) -> Result<(), FolderError> {
        let left = first_start::others_files(&self.path);
        let left = left.map_err(|error| FolderError::Io { path: self.path.clone(), error })?;
        if !left.is_empty() {
            return Err(FolderError::LeftOver { path: self.path.clone(), left: left.join(", ") });
        }
        // The log begins at the time that all nodes will judge by: no tick can be made before it.
        let of_database = self.expect_no_log(&config.key_file)?;
        let now = of_database.filter(|time| time.abs_diff(now) <= LARGEST_STEP).unwrap_or(now);
        let mut policy = Policy::default();
        if config.is_loopback() {
            // On loopback the server is being tried out: a single report is published at once.
            policy.min_reports = 1;
        }
        first_start::make(&self.path, policy, now, random)
    }

    /// Makes sure that the database of a new deployment has no log yet. Gives the time by its clock.
    fn expect_no_log(&self, keys: &Path) -> Result<Option<u64>, FolderError> {
        let LogPlace::Postgres(url) = &self.log else { return Ok(None) };
        let log = self.log.clone();
        // The tables may be empty already, and are needed next.
        let looked = PostgresStore::create(url.clone())
            .and_then(|mut store| Ok((store.last()?, store.time()?)));
        match looked {
            Ok((0, time)) => Ok(time),
            Ok(_) => Err(FolderError::NoKeys { log, keys: keys.to_owned() }),
            Err(error) => Err(FolderError::Store { log, error }),
        }
    }

    /// Opens the folder of a deployment that is there.
    ///
    /// # Errors
    /// As [`DataFolder::open`], and when there is no deployment in the folder.
    pub fn open_existing(config: &Config, on_loss: OnLoss) -> Result<Opened, FolderError> {
        if first_start::is_unfinished(&config.data_dir) {
            return Err(FolderError::CutShort { path: config.data_dir.clone() });
        }
        DataFolder::expect_deployment(config)?;
        let folder = DataFolder::claim(&config.data_dir, config.log())?;
        let keys = folder.keys(&config.key_file)?;
        folder.existing(keys, config.clock().now(), on_loss)
    }

    /// Makes sure that there is a deployment for a command to work on, before anything is made.
    ///
    /// # Errors
    /// [`FolderError::Nothing`], [`FolderError::NoLog`] or [`FolderError::NoKeys`].
    pub(super) fn expect_deployment(config: &Config) -> Result<(), FolderError> {
        let keys = config.key_file.clone();
        match config.log() {
            LogPlace::File(log) if log.exists() => Ok(()),
            LogPlace::File(log) if keys.exists() => Err(FolderError::NoLog { log }),
            LogPlace::File(_) => Err(FolderError::Nothing { path: config.data_dir.clone() }),
            LogPlace::Postgres(_) if keys.exists() => Ok(()),
            log => Err(FolderError::NoKeys { log, keys }),
        }
    }

    /// The secret keys of the deployment that is there.
    fn keys(&self, path: &Path) -> Result<DeploymentKeys, FolderError> {
        let keys = path.to_owned();
        match &self.log {
            _ if keys.exists() => Ok(key_file::read(&keys)?),
            LogPlace::File(log) if !log.exists() => {
                Err(FolderError::Neither { log: log.clone(), keys })
            }
            log => Err(FolderError::NoKeys { log: log.clone(), keys }),
        }
    }

    fn existing(
        self,
        keys: DeploymentKeys,
        now: u64,
        on_loss: OnLoss,
    ) -> Result<Opened, FolderError> {
        let OpenLog { store, loss, repaired } = self.open_log(now, on_loss)?;
        let token = self.token();
        Ok(Opened { folder: self, store, keys, token, loss, repaired })
    }

    /// Opens the log, which is repaired first if that is needed.
    ///
    /// # Errors
    /// A [`FolderError`] that says what to do; the log has not been changed.
    pub(super) fn open_log(&self, now: u64, on_loss: OnLoss) -> Result<OpenLog, FolderError> {
        match &self.log {
            // SQLite would make a new one.
            LogPlace::File(log) if !log.exists() => Err(FolderError::NoLog { log: log.clone() }),
            LogPlace::File(_) => repair::open(&self.path, now, on_loss),
            LogPlace::Postgres(url) => {
                let opened = match (PostgresStore::open(url.clone()), on_loss) {
                    (Err(StoreError::Unfinished), OnLoss::Accept) => open_part(url),
                    (opened, _) => opened.map(|store| (store, None)),
                };
                let (store, loss) = opened.map_err(|error| self.unopened(error))?;
                Ok(OpenLog { store: Box::new(store), loss, repaired: None })
            }
        }
    }

    /// Makes a log of what was opened without the events that it has lost, and goes on without them.
    ///
    /// # Errors
    /// When the database does not say that it has done so. The call can be repeated.
    pub fn accept_loss(&self) -> Result<(), FolderError> {
        match &self.log {
            LogPlace::File(_) => Ok(()),
            LogPlace::Postgres(url) => {
                let finished = PostgresStore::open_copy(url.clone()).and_then(|mut it| it.finish());
                finished.map_err(|error| self.unopened(error))
            }
        }
    }

    /// Why the log in a database cannot be opened.
    fn unopened(&self, error: StoreError) -> FolderError {
        let log = self.log.clone();
        match error {
            StoreError::Empty => FolderError::EmptyDatabase { log, path: self.path.clone() },
            error => FolderError::Store { log, error },
        }
    }

    /// The operator's token, if this is a new deployment whose token has not been shown.
    pub(super) fn token(&self) -> Option<Token> {
        first_start::token(&self.path)
    }

    /// Whether a start would make a new deployment. A link that leads nowhere, as to a disk that is not
    /// mounted, is no missing file.
    fn is_new(config: &Config) -> bool {
        let is_missing = |path: &Path| fs::symlink_metadata(path).is_err();
        let may_begin = match config.log() {
            LogPlace::File(log) => is_missing(&log),
            LogPlace::Postgres(_) => true,
        };
        may_begin && is_missing(&config.key_file) && !first_start::is_pending(&config.data_dir)
    }

    /// Whether a start would show the operator's token.
    pub fn will_show_token(config: &Config) -> bool {
        let folder = &config.data_dir;
        DataFolder::is_new(config)
            || first_start::is_pending(folder)
            || first_start::token(folder).is_some()
    }

    /// Makes sure that no other process uses the folder, if it exists.
    ///
    /// # Errors
    /// [`FolderError::InUse`]. Other errors of the lock are found when the folder is opened.
    pub fn expect_unused(config: &Config) -> Result<(), FolderError> {
        let path = &config.data_dir;
        let lock = File::open(path.join(LOCK));
        match lock.map(|lock| patiently(path, || lock.try_lock_shared())) {
            Ok(Err(TryLockError::WouldBlock)) => Err(FolderError::in_use(path)),
            _ => Ok(()),
        }
    }

    /// Writes the server's addresses into the lock file, for the message of [`FolderError::InUse`].
    pub fn announce(&self, public: &str, private: &str) {
        self.sign(&format!(", public: {public}, private: {private}"));
    }

    /// Writes into the lock file that a server tries to open its log: whoever else wants the folder waits for the
    /// end of that.
    pub(super) fn announce_try(&self) {
        self.sign(TRYING);
    }

    /// Writes the process, and what it does, into the lock file. An error is ignored: without it
    /// the message of [`FolderError::InUse`] says less.
    fn sign(&self, what: &str) {
        let text = format!("process {}{what}\n", std::process::id());
        let write = || {
            let mut file = File::options().write(true).open(self.path.join(LOCK))?;
            // In this order whoever reads meanwhile never finds it empty.
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)
        };
        let _unsigned: io::Result<()> = write();
    }

    /// Makes sure that no other process uses a folder, whose log is in this place, and keeps it until this is
    /// dropped. The folder is made if it does not exist.
    ///
    /// # Errors
    /// [`FolderError::InUse`], or an error of the system.
    pub fn claim(path: &Path, log: LogPlace) -> Result<DataFolder, FolderError> {
        let folder = DataFolder::lock(path, log, |lock| patiently(path, || lock.try_lock()))?;
        folder.sign("");
        Ok(folder)
    }

    /// As [`DataFolder::claim`], for a try to open the log, which others wait for.
    ///
    /// # Errors
    /// As [`DataFolder::claim`].
    pub(super) fn claim_to_try(path: &Path, log: LogPlace) -> Result<DataFolder, FolderError> {
        let folder = DataFolder::lock(path, log, File::try_lock)?;
        folder.announce_try();
        Ok(folder)
    }

    fn lock(
        path: &Path,
        log: LogPlace,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<DataFolder, FolderError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| FolderError::Io { path, error }
        };
        fs::create_dir_all(path).map_err(io(path))?;
        let place = path.join(LOCK);
        let lock = open_lock(path).map_err(io(&place))?;
        match try_lock(&lock) {
            Ok(()) => Ok(DataFolder { path: path.to_owned(), log, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::in_use(path)),
            Err(TryLockError::Error(error)) => Err(io(&place)(error)),
        }
    }

    /// Where the log is.
    pub fn log(&self) -> &LogPlace {
        &self.log
    }

    /// Path of the file by which a leap of the clock is noticed between two runs.
    pub(super) fn anchor(&self) -> PathBuf {
        self.path.join("anchor")
    }

    /// Folder of the files that phones fetch.
    pub fn public(&self) -> PathBuf {
        self.path.join("public")
    }

    /// Folder of the saved publisher, from which a restart goes on.
    pub fn private(&self) -> PathBuf {
        self.path.join("private")
    }
}

pub(super) const LOCK: &str = "lock";

/// What the lock file says after the process, while a server tries to open its log.
const TRYING: &str = ", which tries to open its log";

/// How long to wait for the end of such a try.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for the end of a try to open the log, after which the folder may be free.
fn patiently(
    path: &Path,
    try_lock: impl Fn() -> Result<(), TryLockError>,
) -> Result<(), TryLockError> {
    let is_tried = || {
        let user = fs::read_to_string(path.join(LOCK)).unwrap_or_default();
        user.contains(TRYING)
    };
    let began = Instant::now();
    loop {
        match try_lock() {
            Err(TryLockError::WouldBlock) if is_tried() && began.elapsed() < PATIENCE => {
                std::thread::sleep(LOOK);
            }
            locked => return locked,
        }
    }
}

/// Opens what is locked. Where nothing may be written, a lock needs no file that is open to write: there the
/// file that is there will do, or the folder itself.
fn open_lock(path: &Path) -> io::Result<File> {
    let place = path.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&place);
    match lock {
        Err(error) if may_not_write(&error) => {
            File::open(&place).or_else(|_| File::open(path)).map_err(|_| error)
        }
        lock => lock,
    }
}

fn may_not_write(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

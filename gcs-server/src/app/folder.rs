//! The data folder of a server: lock, log, keys and files.
//!
//! ```text
//! lock           locked by the process that uses the folder; has its number and addresses
//! log.sqlite     the log, from which everything else is computed
//! anchor         when the machine booted, by a clock that was trusted
//! witness        which event was acknowledged last
//! damaged-…/     what a damaged log was before it was repaired
//! keys.json      the secret keys, unless the configuration names another file
//! starting/      a new deployment, until its operator's token has been shown
//! public/        what phones fetch; computed from the log
//! private/       the saved publisher and a checkpoint of the state, for a fast restart; computed
//!                from the log
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::app::config::Config;
use crate::app::first_start;
use crate::app::key_file::{self, KeyFileError};
use crate::app::loss::Loss;
use crate::app::repair::{self, LOG, OnLoss, OpenLog};
use crate::domain::keys::DeploymentKeys;
use crate::domain::policy::Policy;
use crate::domain::token::Token;
use crate::random::{self, Random};
use crate::store::{Store, StoreError};

/// A data folder that cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// A new deployment would begin in a folder that has files of another one.
    #[error(
        "{path} has no log and no key file, but other files of a deployment ({left}). Is a disk not \
         mounted?\nPut log.sqlite, log.sqlite-wal if there was one, and the key file back; or, for a new \
         deployment, take another folder, and keep this one. Nothing has been changed."
    )]
    LeftOver {
        /// The data folder.
        path: PathBuf,
        /// Names of these files.
        left: String,
    },
    /// A first start was cut short, and has to end before anything else.
    #[error(
        "the first start of {path} was cut short: start the server, which goes on with it. Nothing has \
         been changed."
    )]
    CutShort {
        /// The data folder.
        path: PathBuf,
    },
    /// The folder cannot be made, read or written.
    #[error("data folder {path}: {error}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// Another server uses it.
    #[error(
        "data folder {path} is in use by another gcs-server{}: use or stop that server, or give \
         this one another folder and other addresses (--data-dir, --public-listen, \
         --private-listen)",
        by(.user)
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Process number and addresses of the server that uses the folder, as it wrote them; may
        /// be empty.
        user: String,
    },
    /// There are names of a log or a key file, but no files.
    #[error(
        "there is neither a log {log} nor a key file {keys}, but a link to one, or what a first start left. Is a \
         disk not mounted? Put them back; or, for a new deployment, take another folder and key file. \
         Nothing has been changed."
    )]
    Neither {
        /// The log.
        log: PathBuf,
        /// The key file.
        keys: PathBuf,
    },
    /// There is a log, but no key file.
    #[error(
        "there is a log in {log}, but no key file {keys}. Put the key file there that was made \
         with this log, or name it with --key-file. Without its key file the log cannot be used."
    )]
    NoKeys {
        /// The log.
        log: PathBuf,
        /// Where the key file should be.
        keys: PathBuf,
    },
    /// There is a key file, but no log.
    #[error(
        "there is a key file {keys}, but no log {log}. Put log.sqlite there, and log.sqlite-wal if there was \
         one: from where they were moved to, or from a copy. To begin a new deployment, take another \
         folder and key file; apps of the old deployment will not accept it."
    )]
    NoLog {
        /// The log.
        log: PathBuf,
        /// The key file.
        keys: PathBuf,
    },
    /// The log cannot be opened.
    #[error("log {path}: {error}\n{advice} Nothing has been changed.", advice = .error.advice())]
    Store {
        /// The log.
        path: PathBuf,
        /// What went wrong.
        error: StoreError,
    },
    /// Events that were acknowledged are not in the log any more.
    #[error(
        "log {path}: {loss}\
         If another copy of the log has what is lost, move log.sqlite and log.sqlite-wal to another \
         folder, and put that copy in their place.\n\
         If there is none, `gcs-server recover --yes` goes on without it in a new series: reports have \
         to be sent again, and corrections, revocations, rotated keys, suspensions and new tokens to be \
         done again. With --void-codes, codes that are out bring no reports any more, in case a lost event \
         had made a stolen key void. Nothing has been changed."
    )]
    Lost {
        /// The log.
        path: PathBuf,
        /// What is lost.
        loss: Box<Loss>,
    },
    /// The log is damaged, and no repaired copy of it can be read.
    #[error(
        "log {path}: {what}\n\
         It cannot be repaired. A copy of the damaged files is in {copy}: keep it. Nothing else has \
         been changed.\n\
         Move log.sqlite and log.sqlite-wal to another folder, put a copy of the log in their place, and \
         run `gcs-server recover`, which says what the copy lacks."
    )]
    Unreadable {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// The folder with the copies.
        copy: PathBuf,
    },
    /// The log is damaged, and was not opened to be repaired.
    #[error(
        "log {path}: {what}\n\
         The next start of the server copies the damaged files to another folder, repairs the log if \
         everything is there, and says what is lost if not. Nothing has been changed."
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The damaged files cannot be copied, and so are left as they are.
    #[error(
        "log {path}: {what}\n\
         Before it is repaired, the damaged files are copied to {copy}, and that failed: {error}\n\
         Make room for two copies of the log. Nothing has been changed."
    )]
    NotKept {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// The folder for the copies.
        copy: PathBuf,
        /// Why they cannot be made.
        error: io::Error,
    },
    /// A first start that was cut short goes on, but another file has taken the place of one of its own.
    #[error(
        "a first start was cut short, and goes on with {from}; but there is another {to} already, which is not \
         overwritten.\nIf that one is of a deployment that you are putting back, move the folder `starting` \
         away. If not, move that file away. Nothing has been changed."
    )]
    NotOverwritten {
        /// The file of the first start.
        from: PathBuf,
        /// The file in its place.
        to: PathBuf,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The system cannot give random bytes.
    #[error("the system gave no random bytes for keys: {0}")]
    Random(#[from] random::Error),
    /// The first events could not be written.
    #[error("a new log cannot be written: {0}")]
    Begin(String),
}

fn by(user: &str) -> String {
    if user.is_empty() { String::new() } else { format!(" ({user})") }
}

impl FolderError {
    fn in_use(path: &Path) -> FolderError {
        let user = fs::read_to_string(path.join(LOCK)).unwrap_or_default().trim().to_owned();
        FolderError::InUse { path: path.to_owned(), user }
    }
}

/// A data folder that no other process uses.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// The lock file. It stays locked until this is dropped, and has the process and its addresses.
    lock: File,
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

impl DataFolder {
    /// Opens a folder, or makes a new deployment in it if there is neither log nor keys.
    ///
    /// # Errors
    /// A [`FolderError`] that says what to do; the folder has not been changed.
    pub fn open(config: &Config, now: u64, random: &Random) -> Result<Opened, FolderError> {
        let folder = DataFolder::lock(&config.data_dir)?;
        if DataFolder::is_new(config) {
            folder.begin(config, now, random)?;
        }
        if first_start::is_pending(&folder.path) {
            first_start::finish(&folder.path, &config.key_file)?;
        }
        folder.existing(config.key_file.clone(), now, OnLoss::Refuse)
    }

    /// Makes a new deployment.
    fn begin(&self, config: &Config, now: u64, random: &Random) -> Result<(), FolderError> {
        let left = first_start::others_files(&self.path);
        let left = left.map_err(|error| FolderError::Io { path: self.path.clone(), error })?;
        if !left.is_empty() {
            return Err(FolderError::LeftOver { path: self.path.clone(), left: left.join(", ") });
        }
        let mut policy = Policy::default();
        if config.is_loopback() {
            // On loopback the server is being tried out: a single report is published at once.
            policy.min_reports = 1;
        }
        first_start::make(&self.path, policy, now, random)
    }

    /// Opens the folder of a deployment that is there.
    ///
    /// # Errors
    /// As [`DataFolder::open`], and when there is no deployment in the folder.
    pub fn open_existing(config: &Config, on_loss: OnLoss) -> Result<Opened, FolderError> {
        let log = config.data_dir.join(LOG);
        if !log.exists() && first_start::is_pending(&config.data_dir) {
            return Err(FolderError::CutShort { path: config.data_dir.clone() });
        }
        if !log.exists() {
            let error = io::Error::from(io::ErrorKind::NotFound);
            return Err(FolderError::Io { path: log, error });
        }
        let folder = DataFolder::lock(&config.data_dir)?;
        folder.existing(config.key_file.clone(), config.clock().now(), on_loss)
    }

    fn existing(self, keys: PathBuf, now: u64, on_loss: OnLoss) -> Result<Opened, FolderError> {
        let log = self.log();
        match (log.exists(), keys.exists()) {
            (false, false) => Err(FolderError::Neither { log, keys }),
            (true, false) => Err(FolderError::NoKeys { log, keys }),
            (false, true) => Err(FolderError::NoLog { log, keys }),
            (true, true) => {
                let keys = key_file::read(&keys)?;
                let OpenLog { store, loss, repaired } = repair::open(&self.path, now, on_loss)?;
                let store = Box::new(store);
                let token = first_start::token(&self.path);
                Ok(Opened { folder: self, store, keys, token, loss, repaired })
            }
        }
    }

    /// Whether a start would make a new deployment. A link that leads nowhere, as to a disk that is not
    /// mounted, is no missing file.
    fn is_new(config: &Config) -> bool {
        let is_missing = |path: &Path| fs::symlink_metadata(path).is_err();
        is_missing(&config.data_dir.join(LOG))
            && is_missing(&config.key_file)
            && !first_start::is_pending(&config.data_dir)
    }

    /// Whether a start would show the operator's token.
    pub fn will_show_token(config: &Config) -> bool {
        DataFolder::is_new(config) || first_start::is_pending(&config.data_dir)
    }

    /// Notes that the operator's token has been shown, so that no start shows it again.
    ///
    /// # Errors
    /// When the token cannot be deleted; then the next start shows it again.
    pub fn token_is_shown(&self) -> io::Result<()> {
        first_start::end(&self.path)
    }

    /// Makes sure that no other process uses the folder, if it exists.
    ///
    /// # Errors
    /// [`FolderError::InUse`]. Other errors of the lock are found when the folder is opened.
    pub fn expect_unused(config: &Config) -> Result<(), FolderError> {
        let path = &config.data_dir;
        match File::open(path.join(LOCK)).map(|lock| lock.try_lock_shared()) {
            Ok(Err(TryLockError::WouldBlock)) => Err(FolderError::in_use(path)),
            _ => Ok(()),
        }
    }

    /// Writes the server's addresses into the lock file, for the message of [`FolderError::InUse`].
    pub fn announce(&mut self, public: SocketAddr, private: SocketAddr) {
        self.sign(&format!(", public: http://{public}, private: http://{private}"));
    }

    /// Writes the process and its addresses into the lock file. Only people read them, so an error
    /// is ignored.
    fn sign(&mut self, addresses: &str) {
        let text = format!("process {}{addresses}\n", std::process::id());
        let _unsigned = self
            .lock
            .set_len(0)
            .and_then(|()| self.lock.rewind())
            .and_then(|()| self.lock.write_all(text.as_bytes()));
    }

    /// Makes sure that no other process uses a folder, and keeps it until this is dropped. The folder is made if it
    /// does not exist.
    ///
    /// # Errors
    /// [`FolderError::InUse`], or an error of the system.
    pub fn claim(path: &Path) -> Result<DataFolder, FolderError> {
        DataFolder::lock(path)
    }

    fn lock(path: &Path) -> Result<DataFolder, FolderError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| FolderError::Io { path, error }
        };
        fs::create_dir_all(path).map_err(io(path))?;
        let place = path.join(LOCK);
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).open(&place);
        let lock = lock.map_err(io(&place))?;
        match lock.try_lock() {
            Ok(()) => {
                let mut folder = DataFolder { path: path.to_owned(), lock };
                folder.sign("");
                Ok(folder)
            }
            Err(TryLockError::WouldBlock) => Err(FolderError::in_use(path)),
            Err(TryLockError::Error(error)) => Err(io(&place)(error)),
        }
    }

    /// Path of the log.
    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
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

const LOCK: &str = "lock";

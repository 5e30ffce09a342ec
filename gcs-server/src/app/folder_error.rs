//! Why a data folder cannot be used, and what to do about it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::folder::LOCK;
use super::key_file::KeyFileError;
use super::loss::Loss;
use crate::random;
use crate::store::{LogPlace, StoreError};

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
        "data folder {path} is in use by another gcs-server{}: stop that one first. A second server needs \
         another folder and other addresses (--data-dir, --public-listen, --private-listen)",
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
    /// There is neither a log nor a key file.
    #[error(
        "there is neither a log nor a key file in {path}: name the data folder with --data-dir. Nothing has been \
         changed."
    )]
    Nothing {
        /// The data folder.
        path: PathBuf,
    },
    /// There is a log, but no key file.
    #[error(
        "there is a log in {log}, but no key file {keys}. Put the key file there that was made \
         with this log, or name it with --key-file. Without its key file the log cannot be used."
    )]
    NoKeys {
        /// The log.
        log: LogPlace,
        /// Where the key file should be.
        keys: PathBuf,
    },
    /// There is a key file, but no log.
    #[error(
        "there is a key file, but no log {log}. Is a disk not mounted? If the log is in a database, name it with the \
         setting `store`. Otherwise put log.sqlite back, and log.sqlite-wal if there was one, or run \
         `gcs-server restore COPY`. To begin a new deployment, take another folder and key file; apps of the old deployment will not accept it."
    )]
    NoLog {
        /// The log.
        log: PathBuf,
    },
    /// There is a key file, but no log in the database.
    #[error(
        "there is a key file for {path}, but no log in {log}. Is it the right database? To begin a new \
         deployment, take another folder and key file; apps of the old deployment will not accept it. Nothing \
         has been changed."
    )]
    EmptyDatabase {
        /// The log.
        log: LogPlace,
        /// The data folder.
        path: PathBuf,
    },
    /// A first start goes on, and the database has the log of another deployment.
    #[error(
        "a first start was cut short, and meanwhile another deployment began in {log}. To be a node of that \
         one, move the data folder {path} away, and name its key file. Nothing has been changed."
    )]
    OtherBegan {
        /// The log.
        log: LogPlace,
        /// The data folder.
        path: PathBuf,
    },
    /// The log cannot be opened.
    #[error("log {log}: {error}\n{advice} Nothing has been changed.", advice = .error.advice())]
    Store {
        /// The log.
        log: LogPlace,
        /// What went wrong.
        error: StoreError,
    },
    /// Events that were acknowledged are not in the log any more.
    #[error(
        "log {path}: {loss}\
         If there is a copy, `gcs-server restore COPY` says whether it has what is lost.\n\
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
         `gcs-server restore COPY` says what a copy of the log has, and puts it in its place with --yes."
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
    /// Another server uses a folder, whose lock file says which.
    pub(super) fn in_use(path: &Path) -> FolderError {
        let user = fs::read_to_string(path.join(LOCK)).unwrap_or_default().trim().to_owned();
        FolderError::InUse { path: path.to_owned(), user }
    }
}

//! The first start of a new deployment: all of it or nothing, whenever it is cut short.
//!
//! Everything is made in the folder `starting.part` and gets the name `starting` once it is whole. From
//! then on, every start goes on with it: the key file and the log are moved to their places (the first
//! events, if the log is in a database), and the operator's token is shown until it has been shown once.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::folder::FolderError;
use super::key_file::{self, KeyFileError};
use super::repair::{self, LOG, WITNESS};
use crate::domain::chain::Chain;
use crate::domain::events::{Deployment, Event, OperatorTokenSet, PolicySet};
use crate::domain::judge;
use crate::domain::keys::DeploymentKeys;
use crate::domain::policy::Policy;
use crate::domain::token::{Role, Token};
use crate::new_file::{sync_folder, sync_folder_of};
use crate::node::seal;
use crate::random::Random;
use crate::store::{AppendError, LogPlace, PostgresStore, PostgresUrl, SqliteStore, Store as _};

const UNFINISHED: &str = "starting.part";
const WHOLE: &str = "starting";
const KEYS: &str = "keys.json";
const TOKEN: &str = "token";

/// Whether a first start was cut short after everything was made.
pub(super) fn is_pending(folder: &Path) -> bool {
    is_unfinished(folder) || folder.join(WHOLE).exists() && folder.join(LOG).exists()
}

/// Whether a first start was cut short before its log was in its place.
pub(super) fn is_unfinished(folder: &Path) -> bool {
    folder.join(WHOLE).join(LOG).exists()
}

/// Names of the files in a folder that no first start leaves there before its log.
pub(super) fn others_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A folder may have been made for a disk to be mounted there.
        let is_empty = fs::read_dir(entry.path()).is_ok_and(|mut entries| entries.next().is_none());
        if !is_empty && (name.starts_with(LOG) || OF_DEPLOYMENT.contains(&name.as_str())) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What a data folder has besides its log and keys.
const OF_DEPLOYMENT: [&str; 4] = [WITNESS, WHOLE, "public", "private"];

/// Makes keys, a token and a log with the first events. After an error nothing is left of them.
pub(super) fn make(
    folder: &Path,
    policy: Policy,
    now: u64,
    random: &Random,
) -> Result<(), FolderError> {
    let part = folder.join(UNFINISHED);
    let begun = fill(folder, &part, policy, now, random);
    if begun.is_err() {
        let _left_for_the_next_start = fs::remove_dir_all(&part);
    }
    begun
}

fn fill(
    folder: &Path,
    part: &Path,
    policy: Policy,
    now: u64,
    random: &Random,
) -> Result<(), FolderError> {
    let io = |error| FolderError::Io { path: part.to_owned(), error };
    remove_folder(part).map_err(io)?;
    fs::create_dir(part).map_err(io)?;
    let keys = key_file::draw(random)?;
    key_file::create(&keys, &part.join(KEYS))?;
    let secret: [u8; 32] = random.bytes()?;
    key_file::write_new(&part.join(TOKEN), &secret).map_err(io)?;
    let token = Token::new(Role::Operator, &secret);

    let events = first_events(&keys, random.bytes()?, policy, &token, now)?;
    let mut store = repair::create(part)?;
    if let Some(sealed) = seal(Chain::default(), &events, now, random)? {
        let appended = store.append(&sealed.batch);
        appended.map_err(|error| FolderError::Begin(error.to_string()))?;
    }
    store.settle();
    drop(store);
    if repair::has_wal(part) {
        return Err(FolderError::Begin("its last part could not be put into its file".to_owned()));
    }
    sync_folder(part).and_then(|()| fs::rename(part, folder.join(WHOLE))).map_err(io)?;
    sync_folder(folder).map_err(io)
}

/// The first events of a new deployment's log.
fn first_events(
    keys: &DeploymentKeys,
    id: [u8; 16],
    policy: Policy,
    token: &Token,
    now: u64,
) -> Result<[Event; 4], FolderError> {
    let key_list = judge::set_key_list(keys, now);
    let (root, master_check) = (keys.root().0, keys.master_check());
    Ok([
        Deployment { id, root, master_check }.into(),
        PolicySet { policy }.into(),
        key_list.map_err(|error| FolderError::Begin(error.to_string()))?,
        OperatorTokenSet { token: token.hash() }.into(),
    ])
}

/// Moves what was made to its places. This can be cut short and done again at any point.
pub(super) fn finish(folder: &Path, key_file: &Path, log: &LogPlace) -> Result<(), FolderError> {
    let whole = folder.join(WHOLE);
    let keys = whole.join(KEYS);
    let io = |error| KeyFileError::Io { path: key_file.to_owned(), error };
    if keys.exists() {
        expect_free(&keys, key_file)?;
        move_file(&keys, key_file).map_err(io)?;
    }
    match log {
        LogPlace::File(_) => move_log(&whole, folder),
        LogPlace::Postgres(url) if is_unfinished(folder) => send_log(&whole, folder, url),
        LogPlace::Postgres(_) => Ok(()),
    }
}

fn move_log(whole: &Path, folder: &Path) -> Result<(), FolderError> {
    for name in [WITNESS, LOG] {
        let (from, to) = (whole.join(name), folder.join(name));
        if from.exists() {
            expect_free(&from, &to)?;
            move_file(&from, &to).map_err(|error| FolderError::Io { path: to, error })?;
        }
    }
    Ok(())
}

/// Appends the first events to a database, unless they are in it.
fn send_log(whole: &Path, folder: &Path, url: &PostgresUrl) -> Result<(), FolderError> {
    let path = whole.join(LOG);
    let unread = |error| FolderError::Store { log: LogPlace::File(path.clone()), error };
    let first = SqliteStore::open_read_only(&path).and_then(|mut store| store.read(1, 1));
    let log = LogPlace::Postgres(url.clone());
    let failed = |error| FolderError::Store { log: log.clone(), error };
    let mut store = PostgresStore::create(url.clone()).map_err(failed)?;
    for batch in first.map_err(unread)? {
        match store.append(&batch) {
            Ok(()) => {}
            // An earlier try may have appended it.
            Err(AppendError::Conflict) if store.is_durable(&batch).map_err(failed)? => {}
            Err(AppendError::Conflict) => {
                return Err(FolderError::OtherBegan { log, path: folder.to_owned() });
            }
            Err(AppendError::Failed(error) | AppendError::Unknown(error)) => {
                return Err(failed(error));
            }
        }
    }
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let done = remove(&whole.join(WITNESS)).and_then(|()| remove(&path));
    done.map_err(|error| FolderError::Io { path, error })
}

/// Makes sure that nobody's file is overwritten.
fn expect_free(from: &Path, to: &Path) -> Result<(), FolderError> {
    let is_free = fs::symlink_metadata(to).is_err() || is_same(from, to).unwrap_or(false);
    let (from, to) = (from.to_owned(), to.to_owned());
    if is_free { Ok(()) } else { Err(FolderError::NotOverwritten { from, to }) }
}

/// The operator's token, as long as it has not been shown.
pub(super) fn token(folder: &Path) -> Option<Token> {
    let secret = fs::read(folder.join(WHOLE).join(TOKEN)).ok()?;
    Some(Token::new(Role::Operator, secret.as_slice().try_into().ok()?))
}

/// Ends the first start: the token has been shown.
pub(super) fn end(folder: &Path) -> io::Result<()> {
    remove_folder(&folder.join(WHOLE))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Moves a file, also to another file system. It is on disk when this returns.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let near = to.with_added_extension("part");
            if near.exists() {
                fs::remove_file(&near)?;
            }
            key_file::write_new(&near, &fs::read(from)?)?;
            fs::rename(&near, to)?;
            sync_folder_of(to)?;
            fs::remove_file(from)?;
        }
        moved => moved?,
    }
    sync_folder_of(to)?;
    sync_folder_of(from)
}

fn is_same(one: &Path, two: &Path) -> io::Result<bool> {
    Ok(fs::read(one)? == fs::read(two)?)
}

//! The first start of a new deployment: all of it or nothing, whenever it is cut short.
//!
//! Everything is made in the folder `starting.part` and gets the name `starting` once it is whole. From
//! then on, every start goes on with it: the key file and the log are moved to their places, and the
//! operator's token is shown until it has been shown once.

use std::fs::{self, File};
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
use crate::new_file::{NewFile, Readers};
use crate::node::seal;
use crate::random::Random;
use crate::store::Store as _;

const UNFINISHED: &str = "starting.part";
const WHOLE: &str = "starting";
const KEYS: &str = "keys.json";
const TOKEN: &str = "token";

/// Whether a first start was cut short after everything was made.
pub(super) fn is_pending(folder: &Path) -> bool {
    folder.join(WHOLE).exists()
}

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
    write_new(&part.join(TOKEN), &secret).map_err(io)?;
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
    sync(part).and_then(|()| fs::rename(part, folder.join(WHOLE))).map_err(io)?;
    sync(folder).map_err(io)
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
pub(super) fn finish(folder: &Path, key_file: &Path) -> Result<(), FolderError> {
    let whole = folder.join(WHOLE);
    let keys = whole.join(KEYS);
    let io = |error| KeyFileError::Io { path: key_file.to_owned(), error };
    if keys.exists() {
        // Nobody's key file is overwritten.
        if key_file.exists() && !is_same(&keys, key_file).map_err(io)? {
            return Err(io(ErrorKind::AlreadyExists.into()).into());
        }
        move_file(&keys, key_file).map_err(io)?;
    }
    for name in [WITNESS, LOG] {
        let (from, to) = (whole.join(name), folder.join(name));
        if from.exists() {
            move_file(&from, &to).map_err(|error| FolderError::Io { path: to, error })?;
        }
    }
    Ok(())
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
            write_new(&near, &fs::read(from)?)?;
            fs::rename(&near, to)?;
            sync_folder_of(to)?;
            fs::remove_file(from)?;
        }
        moved => moved?,
    }
    sync_folder_of(to)?;
    sync_folder_of(from)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create(path, Readers::Owner)?;
    file.write(bytes)?;
    file.sync()?;
    file.keep();
    Ok(())
}

fn is_same(one: &Path, two: &Path) -> io::Result<bool> {
    Ok(fs::read(one)? == fs::read(two)?)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync(folder.unwrap_or(Path::new(".")))
}

fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

//! `bluetrace.key`: the keys of the authority. The day keys in it are destroyed one after the
//! other; then the file is written anew, and the bytes of the old one are overwritten.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use gcs_core::Date;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::new_file::{NewFile, Readers, sync_folder_of};
use crate::random::Random;

/// Name of the file in the data folder.
pub(super) const NAME: &str = "bluetrace.key";

const ABOUT: &str = "Secret keys of a gcs-server's BlueTrace. Keep it secret. Old day keys are destroyed in it \
                     every day: a copy that is older than 22 days opens what nobody should open any more.";

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    about: String,
    format: u32,
    oldest_date: Date,
    day_key: Zeroizing<String>,
    fixed_key: Zeroizing<String>,
}

/// The secrets of an authority.
pub(super) struct StoredKeys {
    /// The oldest date that has a key.
    pub(super) date: Date,
    /// The key of that date. Those of later dates follow from it.
    pub(super) day: Zeroizing<[u8; 32]>,
    /// The secret of which all keys are made that last.
    pub(super) fixed: Zeroizing<[u8; 32]>,
}

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{path}: {what}", path = .path.display())]
pub struct KeysError {
    path: PathBuf,
    what: String,
}

/// The file in a data folder.
#[derive(Clone, Debug)]
pub(super) struct KeyFile(PathBuf);

impl KeyFile {
    pub(super) fn new(folder: &Path) -> KeyFile {
        KeyFile(folder.join(NAME))
    }

    /// Reads the file, or makes one with new keys, whose first date is this.
    pub(super) fn read_or_make(
        &self,
        today: Date,
        random: &Random,
    ) -> Result<StoredKeys, KeysError> {
        match fs::read_to_string(&self.0).map(Zeroizing::new) {
            Ok(text) => self.parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = || random.bytes().map(Zeroizing::new).map_err(io::Error::other);
                let made = secret().and_then(|day| {
                    let keys = StoredKeys { date: today, day, fixed: secret()? };
                    self.write_new(&self.0, &keys)?;
                    sync_folder_of(&self.0)?;
                    Ok(keys)
                });
                made.map_err(|error| self.error(&error))
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    fn parse(&self, text: &str) -> Result<StoredKeys, KeysError> {
        let text: Text = serde_json::from_str(text)
            .map_err(|_| self.error("it is not a file of keys of BlueTrace"))?;
        if text.format != 1 {
            return Err(self.error("a newer release wrote it; install that"));
        }
        let key = |hex: &str| {
            let key = HEXLOWER.decode(hex.as_bytes()).map(Zeroizing::new).ok();
            let key = key.and_then(|key| key.as_slice().try_into().ok()).map(Zeroizing::new);
            key.ok_or_else(|| self.error("a key is not 64 hexadecimal digits"))
        };
        let (day, fixed) = (key(&text.day_key)?, key(&text.fixed_key)?);
        Ok(StoredKeys { date: text.oldest_date, day, fixed })
    }

    fn error(&self, what: &(impl ToString + ?Sized)) -> KeysError {
        KeysError { path: self.0.clone(), what: what.to_string() }
    }

    fn write_new(&self, path: &Path, keys: &StoredKeys) -> io::Result<()> {
        let hex = |key: &[u8; 32]| Zeroizing::new(HEXLOWER.encode(key));
        let text = Text {
            about: ABOUT.to_owned(),
            format: 1,
            oldest_date: keys.date,
            day_key: hex(&keys.day),
            fixed_key: hex(&keys.fixed),
        };
        let json = Zeroizing::new(serde_json::to_string_pretty(&text)? + "\n");
        let mut file = NewFile::create(path, Readers::Owner)?;
        file.write(json.as_bytes())?;
        file.sync()?;
        file.keep();
        Ok(())
    }

    /// Puts other keys into the file. They are on disk when this returns, and those of before are
    /// overwritten.
    pub(super) fn replace(&self, keys: &StoredKeys) -> Result<(), KeysError> {
        let replaced = || {
            let near = self.0.with_added_extension("part");
            // What is left of an attempt that was cut off has keys too.
            match File::options().write(true).open(&near) {
                Ok(left) => overwrite(&left).and_then(|()| fs::remove_file(&near))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.write_new(&near, keys)?;
            let before = File::options().write(true).open(&self.0)?;
            fs::rename(&near, &self.0)?;
            sync_folder_of(&self.0)?;
            overwrite(&before)
        };
        replaced().map_err(|error| self.error(&error))
    }
}

/// Overwrites what a file has, on disk.
fn overwrite(mut file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.write_all(&vec![b'0'; length as usize])?;
    file.sync_all()
}

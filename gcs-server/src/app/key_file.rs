//! The key file: every secret of a deployment. A restore needs the log and the key file, nothing
//! else; without the key file nothing can be published from the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::keys::{DeploymentKeys, Secrets};
use crate::new_file::{NewFile, Readers};
use crate::random::{self, Random};

/// The content of a key file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    about: String,
    format: u32,
    root_key: Zeroizing<String>,
    online_key: Zeroizing<String>,
    master_key: Zeroizing<String>,
}

const ABOUT: &str = "Secret keys of a gcs-server. Keep a copy in a safe place: without it \
                     neither the server nor its log can be restored. Keep it secret.";

/// A key file that cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file could not be read or written.
    #[error("key file {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not a key file.
    #[error("key file {path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file, without any secret.
        what: &'static str,
    },
}

/// Makes random keys for a new deployment.
///
/// # Errors
/// When there are no random bytes.
pub fn draw(random: &Random) -> Result<DeploymentKeys, random::Error> {
    let secrets = Secrets::new(random.bytes()?, random.bytes()?, random.bytes()?);
    Ok(DeploymentKeys::new(secrets))
}

/// Writes a new key file that only its owner can read.
///
/// # Errors
/// When there is a file already, or it cannot be written.
pub fn create(keys: &DeploymentKeys, path: &Path) -> Result<(), KeyFileError> {
    let hex = |secret: &[u8; 32]| Zeroizing::new(HEXLOWER.encode(secret));
    let Secrets { root, online, master } = keys.secrets();
    let text = Text {
        about: ABOUT.to_owned(),
        format: 1,
        root_key: hex(root),
        online_key: hex(online),
        master_key: hex(master),
    };
    let json = serde_json::to_string_pretty(&text).map(|json| Zeroizing::new(json + "\n"));
    let written = json.map_err(io::Error::from).and_then(|json| write_new(path, json.as_bytes()));
    written.map_err(|error| KeyFileError::Io { path: path.to_owned(), error })
}

/// Reads a key file.
///
/// # Errors
/// When there is no file, or it is not a key file.
pub fn read(path: &Path) -> Result<DeploymentKeys, KeyFileError> {
    let invalid = |what| KeyFileError::Invalid { path: path.to_owned(), what };
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    let text: Text =
        serde_json::from_str(&text).map_err(|_| invalid("not a key file of gcs-server"))?;
    if text.format != 1 {
        return Err(invalid("written by a newer release; install that"));
    }
    let key = |hex: &str| -> Result<[u8; 32], KeyFileError> {
        let key = HEXLOWER.decode(hex.as_bytes()).ok().and_then(|key| key.try_into().ok());
        key.ok_or_else(|| invalid("a key is not 64 hexadecimal digits"))
    };
    let secrets =
        Secrets::new(key(&text.root_key)?, key(&text.online_key)?, key(&text.master_key)?);
    Ok(DeploymentKeys::new(secrets))
}

/// Writes a new file that only its owner can read. It is on disk when this returns.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create(path, Readers::Owner)?;
    file.write(bytes)?;
    file.sync()?;
    file.sync_name()?;
    file.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys = draw(&Random::System).unwrap();
        create(&keys, &path).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read.root(), keys.root());
        assert_eq!(read.master_check(), keys.master_check());
        assert_ne!(keys.master_check(), draw(&Random::System).unwrap().master_check());
        // An existing key file is never overwritten.
        assert!(matches!(create(&keys, &path), Err(KeyFileError::Io { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        create(&draw(&Random::System).unwrap(), &path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        for bad in
            [&good[..good.len() / 2], "", "{}", &good.replace("\"format\": 1", "\"format\": 2")]
        {
            fs::write(&path, bad).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.starts_with("key file "), "{error}");
            assert!(
                !good.split('"').filter(|part| part.len() == 64).any(|key| error.contains(key))
            );
        }
    }
}

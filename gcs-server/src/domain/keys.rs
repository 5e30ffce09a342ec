//! The key file: every secret of a deployment. Together with the log it is all that a
//! restore needs; without it the log cannot be published from.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use gcs_core::files::{KeyList, SignedKeyList};
use gcs_core::{DerivationKey, PublicKey, SigningKey};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::code::ProviderKey;
use crate::domain::state::FillerKey;
use crate::random;

/// How long a list of online keys is valid when it is signed: a year.
pub const KEY_LIST_SECONDS: u64 = 365 * 86_400;

/// The file's text.
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
                     neither the server nor its log can be restored. Show it to nobody.";

/// The secrets of a deployment.
pub struct KeyFile {
    root: SigningKey,
    online: SigningKey,
    master: Zeroizing<[u8; 32]>,
    secrets: [Zeroizing<[u8; 32]>; 2],
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile(..)")
    }
}

/// A key file that cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It could not be read or written.
    #[error("key file {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is not a key file.
    #[error("key file {path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong. Never a secret.
        what: &'static str,
    },
    /// The system gives no randomness.
    #[error("no randomness for keys: {0}")]
    Random(#[from] random::Error),
}

impl KeyFile {
    /// Draws new keys.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn draw() -> Result<KeyFile, random::Error> {
        Ok(KeyFile::of(random::bytes()?, random::bytes()?, random::bytes()?))
    }

    fn of(root: [u8; 32], online: [u8; 32], master: [u8; 32]) -> KeyFile {
        KeyFile {
            root: SigningKey::from_seed(root),
            online: SigningKey::from_seed(online),
            master: Zeroizing::new(master),
            secrets: [Zeroizing::new(root), Zeroizing::new(online)],
        }
    }

    /// Writes a new file that only its owner can read.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), KeyFileError> {
        let hex = |secret: &[u8; 32]| Zeroizing::new(HEXLOWER.encode(secret));
        let text = Text {
            about: ABOUT.to_owned(),
            format: 1,
            root_key: hex(&self.secrets[0]),
            online_key: hex(&self.secrets[1]),
            master_key: hex(&self.master),
        };
        let json = serde_json::to_string_pretty(&text).map(Zeroizing::new);
        let written = json.map_err(io::Error::from).and_then(|json| write_new(path, &json));
        written.map_err(|error| KeyFileError::Io { path: path.to_owned(), error })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When there is none, or it is no key file.
    pub fn read(path: &Path) -> Result<KeyFile, KeyFileError> {
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
        Ok(KeyFile::of(key(&text.root_key)?, key(&text.online_key)?, key(&text.master_key)?))
    }

    /// The key that apps pin.
    pub fn root(&self) -> PublicKey {
        self.root.public()
    }

    /// The key that signs manifests.
    pub fn online(&self) -> SigningKey {
        self.online.clone()
    }

    /// A list of the online key alone, signed by the root, valid for a year from `now`.
    ///
    /// # Errors
    /// Only for a key list that is out of bounds, which this is not.
    pub fn sign_key_list(
        &self,
        version: u32,
        now: u64,
    ) -> Result<SignedKeyList, gcs_core::files::ManifestError> {
        let expires = now.saturating_add(KEY_LIST_SECONDS);
        KeyList { version, expires, keys: vec![self.online.public()] }.sign(&self.root)
    }

    /// The key of a provider's codes.
    pub fn provider(&self, provider: u16, generation: u32) -> ProviderKey {
        ProviderKey::derive(&self.master, provider, generation)
    }

    /// The key from which salts and noise are derived.
    pub fn derivation(&self) -> DerivationKey {
        DerivationKey::new(self.derive("gcs publication key v1"))
    }

    /// The key from which filler is derived.
    pub fn filler(&self) -> FillerKey {
        FillerKey(self.derive("gcs filler key v1"))
    }

    /// What the first event of the log says of the master key: only the same key gives it.
    pub fn master_check(&self) -> [u8; 32] {
        self.derive("gcs master key check v1")
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, self.master.as_slice())
            .expand(label.as_bytes(), &mut key)
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        key
    }
}

/// Writes a file that was not there, for its owner only, durably.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // The new name is in the folder's own data.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) { fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys = KeyFile::draw().unwrap();
        keys.create(&path).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(read.root(), keys.root());
        assert_eq!(read.master_check(), keys.master_check());
        assert_ne!(keys.master_check(), KeyFile::draw().unwrap().master_check());
        // An existing key file is never overwritten.
        assert!(matches!(keys.create(&path), Err(KeyFileError::Io { .. })));
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
        KeyFile::draw().unwrap().create(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        for bad in
            [&good[..good.len() / 2], "", "{}", &good.replace("\"format\": 1", "\"format\": 2")]
        {
            fs::write(&path, bad).unwrap();
            let error = KeyFile::read(&path).unwrap_err().to_string();
            assert!(error.starts_with("key file "), "{error}");
            assert!(
                !good.split('"').filter(|part| part.len() == 64).any(|key| error.contains(key))
            );
        }
    }
}

//! The manifest, which names all other files and is signed.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::dsse::Envelope;
use super::error::ManifestError;
use super::json::{self, Object};
use super::key_list::{KeyList, SignedKeyList};
use crate::date::DAY_SECONDS;
use crate::digest::Digest;
use crate::keys::{PublicKey, SigningKey};

const PAYLOAD_TYPE: &str = "application/vnd.gcs.manifest+json";

/// Format of the manifest and of everything that it names.
pub const FORMAT: u32 = 1;

/// Most bytes a manifest has, envelope and all.
pub const MAX_MANIFEST_BYTES: usize = 2048;

/// Length and hash of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

impl FileHash {
    /// Length and hash of `bytes`.
    pub fn of(bytes: &[u8]) -> FileHash {
        FileHash { bytes: bytes.len() as u64, sha256: Digest::of(bytes) }
    }
}

/// The lists of seeds of a publication, for phones that expand seeds themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedFiles {
    /// SHA-256 of the table of lists.
    pub state: Digest,
    /// The index of lists.
    pub index: FileHash,
    /// The bundle from the tick before, unless there were no lists in it.
    pub bundle: Option<FileHash>,
}

/// Which publication is the newest, until when it is valid, and which files lead to it.
///
/// JSON in a DSSE envelope, at most [`MAX_MANIFEST_BYTES`]; members that a reader does
/// not know are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The series, raised by a restore or a recall.
    pub series: u32,
    /// Number of the publication in its series.
    pub tick: u32,
    /// Unix time of issue.
    pub issued: u64,
    /// Unix time of expiry: a day after issue.
    pub expires: u64,
    /// Unix time at which the next publication is expected.
    pub next: u64,
    /// SHA-256 of the table.
    pub state: Digest,
    /// The index.
    pub index: FileHash,
    /// The bundle from the tick before, unless this tick is the first of its series.
    pub bundle: Option<FileHash>,
    /// The lists of seeds, if any are published.
    pub seeds: Option<SeedFiles>,
    /// The list of exports, if any are published.
    pub exports: Option<FileHash>,
}

#[derive(Serialize, Deserialize)]
struct SeedFilesJson {
    state: Digest,
    index: Object<FileHash>,
    bundle: Option<Object<FileHash>>,
}

#[derive(Serialize, Deserialize)]
struct ManifestJson {
    format: u32,
    series: u32,
    tick: u32,
    issued: u64,
    expires: u64,
    next: u64,
    state: Digest,
    index: Object<FileHash>,
    bundle: Option<Object<FileHash>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seeds: Option<Object<SeedFilesJson>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exports: Option<Object<FileHash>>,
    keys: Object<Envelope>,
}

impl From<SeedFiles> for SeedFilesJson {
    fn from(SeedFiles { state, index, bundle }: SeedFiles) -> SeedFilesJson {
        SeedFilesJson { state, index: Object(index), bundle: bundle.map(Object) }
    }
}

impl From<SeedFilesJson> for SeedFiles {
    fn from(SeedFilesJson { state, index, bundle }: SeedFilesJson) -> SeedFiles {
        SeedFiles { state, index: index.0, bundle: bundle.map(|Object(bundle)| bundle) }
    }
}

/// The format alone, which is read first and decides whether the rest can be read.
#[derive(Deserialize)]
struct FormatJson {
    format: u32,
}

impl Manifest {
    /// Signs the manifest.
    ///
    /// # Errors
    /// [`ManifestError::TooLarge`] if it comes out larger than a manifest may be.
    pub fn sign(
        &self,
        key: &SigningKey,
        key_list: &SignedKeyList,
    ) -> Result<Vec<u8>, ManifestError> {
        let members = ManifestJson {
            format: FORMAT,
            series: self.series,
            tick: self.tick,
            issued: self.issued,
            expires: self.expires,
            next: self.next,
            state: self.state,
            index: Object(self.index),
            bundle: self.bundle.map(Object),
            seeds: self.seeds.map(|seeds| Object(seeds.into())),
            exports: self.exports.map(Object),
            keys: Object(key_list.0.clone()),
        };
        let payload = json::to_vec("manifest", &members)?;
        let envelope = Envelope::sign(PAYLOAD_TYPE, &payload, key);
        let bytes = json::to_vec("envelope", &envelope)?;
        expect_size(&bytes)?;
        Ok(bytes)
    }

    /// Verifies a manifest and gives it, with the version of its key list. `root` must have
    /// signed the key list, and one of the listed keys exactly these bytes. At the Unix time
    /// `now` neither may have expired. The key list must be of version `least_keys` or later.
    ///
    /// # Errors
    /// A [`ManifestError`] for any other bytes.
    pub fn verify(
        bytes: &[u8],
        root: &PublicKey,
        now: u64,
        least_keys: u32,
    ) -> Result<(Manifest, u32), ManifestError> {
        let Verified { manifest, list, .. } = Verified::read(bytes, Some(root))?;
        if list.version < least_keys {
            return Err(ManifestError::KeysRolledBack { seen: least_keys, got: list.version });
        }
        if list.expires <= now {
            return Err(ManifestError::KeysExpired { expires: list.expires, now });
        }
        manifest.expect_lifetime()?;
        if manifest.expires <= now {
            return Err(ManifestError::Expired { expires: manifest.expires, now });
        }
        Ok((manifest, list.version))
    }

    /// Verifies that a file has, byte for byte, what [`Manifest::sign`] wrote, at whatever time that
    /// was, and gives the manifest. It is for a publisher that looks for damage in its own files: clients
    /// accept white space and other key names, and no manifest that has expired.
    ///
    /// # Errors
    /// A [`ManifestError`] for any other bytes.
    pub fn verify_file(bytes: &[u8], root: &PublicKey) -> Result<Manifest, ManifestError> {
        let Verified { manifest, list, envelope } = Verified::read(bytes, Some(root))?;
        manifest.expect_lifetime()?;
        for key in &list.keys {
            if let Some(again) = envelope.as_signed_by(key)
                && json::to_vec("envelope", &again)? == bytes
            {
                return Ok(manifest);
            }
        }
        let message = "not as it was written".into();
        Err(ManifestError::Json { part: "envelope", message })
    }

    /// Whether `present`, which was found where the file `ours` belongs, is another manifest, and not
    /// ours with damage. Another one is signed by a key of its own list, whoever signed that list, or
    /// has a format that this release does not know. It is for a publisher: it must not replace
    /// another manifest, which clients may have seen, and it should replace a damaged one.
    pub fn is_another(present: &[u8], ours: &[u8]) -> bool {
        let read = |bytes| Verified::read(bytes, None).map(|verified| verified.manifest);
        match (read(present), read(ours)) {
            (Ok(present), Ok(ours)) => present != ours,
            (Ok(_), Err(_)) => true,
            (Err(error), _) => matches!(error, ManifestError::Format { .. }),
        }
    }

    fn expect_lifetime(&self) -> Result<(), ManifestError> {
        let (issued, expires) = (self.issued, self.expires);
        if expires.checked_sub(issued) == Some(DAY_SECONDS) {
            Ok(())
        } else {
            Err(ManifestError::Lifetime { issued, expires })
        }
    }
}

/// A manifest that a key of its list signed, although it may have expired.
struct Verified {
    manifest: Manifest,
    list: KeyList,
    envelope: Envelope,
}

impl Verified {
    /// Also verifies who signed the list, if `root` says who must have.
    fn read(bytes: &[u8], root: Option<&PublicKey>) -> Result<Verified, ManifestError> {
        expect_size(bytes)?;
        let envelope: Envelope = json::from_slice("envelope", bytes)?;
        let payload = envelope.payload(PAYLOAD_TYPE)?;
        let FormatJson { format } = json::from_slice("manifest", &payload)?;
        if format != FORMAT {
            return Err(ManifestError::Format { expected: FORMAT, got: format });
        }
        let members: ManifestJson = json::from_slice("manifest", &payload)?;
        let list = SignedKeyList(members.keys.0).read(root)?;
        if !envelope.is_signed(&payload, &list.keys)? {
            return Err(ManifestError::OnlineSignature { keys: list.keys.len() });
        }
        let manifest = Manifest {
            series: members.series,
            tick: members.tick,
            issued: members.issued,
            expires: members.expires,
            next: members.next,
            state: members.state,
            index: members.index.0,
            bundle: members.bundle.map(|Object(bundle)| bundle),
            seeds: members.seeds.map(|Object(seeds)| seeds.into()),
            exports: members.exports.map(|Object(exports)| exports),
        };
        Ok(Verified { manifest, list, envelope })
    }
}

fn expect_size(bytes: &[u8]) -> Result<(), ManifestError> {
    let got = bytes.len();
    if got <= MAX_MANIFEST_BYTES {
        Ok(())
    } else {
        Err(ManifestError::TooLarge { max: MAX_MANIFEST_BYTES, got })
    }
}

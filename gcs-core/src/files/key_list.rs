//! The list of online keys, signed by the root.

use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::dsse::Envelope;
use super::error::ManifestError;
use super::json;
use crate::base64;
use crate::keys::{PublicKey, SigningKey};

const PAYLOAD_TYPE: &str = "application/vnd.gcs.keys+json";

/// Most online keys in a list.
pub const MAX_KEYS: usize = 4;

/// Which keys may sign manifests, and until when.
///
/// The root key, which apps pin, signs nothing else; it can stay offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyList {
    /// Raised with every new list; clients refuse a lower one than they saw.
    pub version: u32,
    /// Unix time at which clients stop trusting it.
    pub expires: u64,
    /// The online keys, 1 to [`MAX_KEYS`].
    pub keys: Vec<PublicKey>,
}

#[derive(Serialize, Deserialize)]
struct KeyListJson {
    version: u32,
    expires: u64,
    keys: Vec<String>,
}

/// A [`KeyList`] with the root's signature. A publisher needs no more of the root key.
#[derive(Clone, Debug)]
pub struct SignedKeyList(pub(crate) Envelope);

impl SignedKeyList {
    /// The envelope as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Reads an envelope. It is not verified here; see [`SignedKeyList::verify`].
    ///
    /// # Errors
    /// [`ManifestError::Json`] for anything but an envelope.
    pub fn from_json(json: &str) -> Result<SignedKeyList, ManifestError> {
        json::from_slice("key list", json.as_bytes()).map(SignedKeyList)
    }

    /// Verifies that `root` signed the list, and gives it. Its expiry is not looked at.
    ///
    /// # Errors
    /// A [`ManifestError`] for any other list.
    pub fn verify(&self, root: &PublicKey) -> Result<KeyList, ManifestError> {
        self.read(Some(root))
    }

    /// Gives the list, and verifies that `root` signed it if it says who must have.
    pub(super) fn read(&self, root: Option<&PublicKey>) -> Result<KeyList, ManifestError> {
        let payload = self.0.payload(PAYLOAD_TYPE)?;
        match root {
            Some(root) if !self.0.is_signed(&payload, &[*root])? => {
                Err(ManifestError::RootSignature { root: *root })
            }
            _ => KeyList::from_json(&payload),
        }
    }
}

impl KeyList {
    /// Signs the list with the root key.
    ///
    /// # Errors
    /// [`ManifestError::Count`] for no key or more than [`MAX_KEYS`].
    pub fn sign(&self, root: &SigningKey) -> Result<SignedKeyList, ManifestError> {
        expect_key_count(self.keys.len())?;
        let members = KeyListJson {
            version: self.version,
            expires: self.expires,
            keys: self.keys.iter().map(|key| BASE64.encode(&key.0)).collect(),
        };
        let payload = json::to_vec("key list", &members)?;
        Ok(SignedKeyList(Envelope::sign(PAYLOAD_TYPE, &payload, root)))
    }

    fn from_json(payload: &[u8]) -> Result<KeyList, ManifestError> {
        let members: KeyListJson = json::from_slice("key list", payload)?;
        expect_key_count(members.keys.len())?;
        let key = |text: &String| {
            let bytes = base64::decode(text).and_then(|key| key.try_into().ok());
            bytes.map(PublicKey).ok_or(ManifestError::Base64 { part: "online key" })
        };
        let keys = members.keys.iter().map(key).collect::<Result<_, _>>()?;
        Ok(KeyList { version: members.version, expires: members.expires, keys })
    }
}

fn expect_key_count(got: usize) -> Result<(), ManifestError> {
    if (1..=MAX_KEYS).contains(&got) {
        Ok(())
    } else {
        Err(ManifestError::Count { part: "online keys", max: MAX_KEYS, got })
    }
}

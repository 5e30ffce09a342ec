//! The keys that sign export files.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

use super::error::ExportError;
use super::proto::{ALGORITHM, SignatureInfo};
use crate::digest::Digest;

/// Most characters of a key's id or version.
const MAX_NAME: usize = 64;

/// What a key in SEC 1 begins with. The block that names its curve may be before it.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----";

/// A P-256 key that signs export files, with the id and version by which phones know it. Its
/// memory is wiped when dropped; `Debug` shows only how it is called.
#[derive(Clone)]
pub struct ExportSigningKey {
    key: SigningKey,
    id: String,
    version: String,
}

impl ExportSigningKey {
    /// The key of a secret number of 32 bytes, big-endian, from a cryptographic source of
    /// randomness. Its id, mostly the country's number for telephones (MCC), and its version are
    /// as agreed with Apple and Google.
    ///
    /// # Errors
    /// [`ExportError::NotAKey`] if the number is 0 or not below the order of the curve;
    /// [`ExportError::KeyName`].
    pub fn from_bytes(
        secret: &[u8; 32],
        id: &str,
        version: &str,
    ) -> Result<ExportSigningKey, ExportError> {
        let key = SigningKey::from_slice(secret).map_err(|_| ExportError::NotAKey)?;
        ExportSigningKey::named(key, id, version)
    }

    /// The key of a PEM text, PKCS #8 or SEC 1, as OpenSSL writes it: the name of the curve may
    /// come first.
    ///
    /// # Errors
    /// [`ExportError::NotAKey`]; [`ExportError::KeyName`].
    pub fn from_pem(pem: &str, id: &str, version: &str) -> Result<ExportSigningKey, ExportError> {
        let key = p256::SecretKey::from_pem(&pem[pem.find(SEC1).unwrap_or(0)..])
            .map_err(|_| ExportError::NotAKey)?;
        ExportSigningKey::named(key.into(), id, version)
    }

    fn named(key: SigningKey, id: &str, version: &str) -> Result<ExportSigningKey, ExportError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = |name: &str| (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(legal);
        if !is_name(id) || !is_name(version) {
            return Err(ExportError::KeyName);
        }
        Ok(ExportSigningKey { key, id: id.to_string(), version: version.to_string() })
    }

    /// Its public half.
    pub fn public(&self) -> ExportPublicKey {
        ExportPublicKey(*self.key.verifying_key())
    }

    pub(super) fn info(&self) -> SignatureInfo {
        SignatureInfo {
            key_version: Some(self.version.clone()),
            key_id: Some(self.id.clone()),
            algorithm: Some(ALGORITHM.to_string()),
        }
    }

    /// The signature in DER. It is deterministic (RFC 6979).
    pub(super) fn sign(&self, content: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(content);
        signature.as_bytes().to_vec()
    }
}

impl fmt::Debug for ExportSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExportSigningKey({} {})", self.id, self.version)
    }
}

/// A P-256 public key that verifies export files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportPublicKey(VerifyingKey);

impl ExportPublicKey {
    /// The key of a PEM text, as OpenSSL writes it.
    ///
    /// # Errors
    /// [`ExportError::NotAKey`].
    pub fn from_pem(pem: &str) -> Result<ExportPublicKey, ExportError> {
        let key = VerifyingKey::from_public_key_pem(pem).map_err(|_| ExportError::NotAKey)?;
        Ok(ExportPublicKey(key))
    }

    /// The key as a PEM text, to be given to Apple and Google.
    pub fn to_pem(&self) -> String {
        match self.0.to_public_key_pem(LineEnding::LF) {
            Ok(pem) => pem,
            Err(_) => unreachable!("every key has a PEM text"),
        }
    }

    /// Whether a signature is that of the content with this SHA-256 digest.
    pub(super) fn verifies(&self, content: &Digest, signature: &[u8]) -> bool {
        let Ok(signature) = DerSignature::from_bytes(signature) else { return false };
        self.0.verify_prehash(&content.0, &signature).is_ok()
    }
}

//! Keys for signing, for verifying signatures, and for deriving secrets.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::digest::Digest;
use crate::error::DigestError;

/// An Ed25519 public key, 32 bytes (RFC 8032).
///
/// Shown and parsed as 64 lower-case hexadecimal digits, as gcs-server prints its root key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether `signature` was made over `message` with this key. Verification is strict: weak
    /// keys and signatures that are not canonical are refused.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        key.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<PublicKey, DigestError> {
        text.parse().map(|digits: Digest| PublicKey(digits.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// An Ed25519 signing key. Its memory is wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a 32-byte secret seed (RFC 8032, section 5.1.5), which must come from
    /// a cryptographic source of randomness.
    pub fn from_seed(seed: [u8; 32]) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {:?})", self.public())
    }
}

/// A secret from which everything random in a publication is derived, so that the same
/// inputs give the same bytes.
#[derive(Clone)]
pub struct DerivationKey([u8; 32]);

impl DerivationKey {
    /// A key of 32 secret bytes from a cryptographic source of randomness.
    pub fn new(secret: [u8; 32]) -> DerivationKey {
        DerivationKey(secret)
    }

    /// HMAC-SHA256 of the label and the context, each behind its length (u32), under
    /// this key.
    pub(crate) fn derive(&self, label: &str, context: &[&[u8]]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        for part in core::iter::once(&label.as_bytes()).chain(context) {
            mac.update(&(part.len() as u32).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// A stream of derived numbers.
    pub(crate) fn stream(&self, label: &str, context: &[&[u8]]) -> Stream {
        Stream::new(self.derive(label, context))
    }
}

impl fmt::Debug for DerivationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivationKey(..)")
    }
}

/// Numbers from a 32-byte seed: block i is SHA-256(seed ‖ i as u64), read as four
/// little-endian numbers.
#[derive(Clone)]
pub(crate) struct Stream {
    seed: [u8; 32],
    drawn: u64,
    block: [u8; 32],
}

impl Stream {
    pub(crate) fn new(seed: [u8; 32]) -> Stream {
        Stream { seed, drawn: 0, block: [0; 32] }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let (counter, at) = (self.drawn / 4, (self.drawn % 4) as usize * 8);
        if at == 0 {
            let parts: [&[u8]; 2] = [&self.seed, &counter.to_le_bytes()];
            self.block = Digest::of_parts(&parts).0;
        }
        self.drawn += 1;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.block[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, or 0 if `bound` is 0; the bias is below `bound / 2^64`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

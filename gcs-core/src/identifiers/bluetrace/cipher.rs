//! AES-256-GCM as BlueTrace has it.

use alloc::vec::Vec;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::aead::consts::U16;
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit as _};

/// Length of an initialisation vector in bytes.
pub(super) const IV_LEN: usize = 16;

/// Length of an authentication tag in bytes.
pub(super) const TAG_LEN: usize = 16;

/// A key of AES-256-GCM (NIST SP 800-38D), ready for use. What it seals is
/// ciphertext ‖ IV ‖ tag. The IV has 16 bytes, not 12, so GCM hashes it.
#[derive(Clone)]
pub(super) struct Cipher(AesGcm<Aes256, U16>);

impl Cipher {
    pub(super) fn new(key: &[u8; 32]) -> Cipher {
        Cipher(AesGcm::new(key.into()))
    }

    pub(super) fn seal(&self, iv: [u8; IV_LEN], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plaintext.len() + IV_LEN + TAG_LEN);
        sealed.extend_from_slice(plaintext);
        let Ok(tag) = self.0.encrypt_inout_detached(&iv.into(), &[], sealed.as_mut_slice().into())
        else {
            unreachable!("GCM seals up to 64 GiB")
        };
        sealed.extend_from_slice(&iv);
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// The plaintext; `None` if it was not sealed with this key.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (rest, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
        let (ciphertext, iv) = rest.split_last_chunk::<IV_LEN>()?;
        let mut plaintext = ciphertext.to_vec();
        let buffer = plaintext.as_mut_slice().into();
        self.0.decrypt_inout_detached(iv.into(), &[], buffer, tag.into()).ok()?;
        Some(plaintext)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cipher_is_wiped() {
        crate::identifiers::secret::wiped(&super::Cipher::new(&[1; 32]).0);
    }
}

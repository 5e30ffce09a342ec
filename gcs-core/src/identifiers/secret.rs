//! Secret bytes, and what is derived from them.

use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// Secret bytes: wiped when dropped, compared in the same time whatever they are, hidden in
/// `Debug`.
#[derive(Clone)]
pub(crate) struct Secret<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Secret<N>) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// HMAC-SHA256 (RFC 2104) of the parts one after the other.
#[cfg(any(feature = "bluetrace", feature = "dp3t", feature = "gaen"))]
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Secret<32> {
    use hmac::{KeyInit as _, Mac as _};
    let Ok(mut mac) = hmac::Hmac::<sha2::Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length")
    };
    for part in parts {
        mac.update(part);
    }
    Secret(mac.finalize().into_bytes().into())
}

/// HKDF-SHA256 (RFC 5869) without salt; the info is the parts one after the other.
#[cfg(any(feature = "bluetrace", feature = "gaen"))]
pub(super) fn hkdf<const N: usize>(key: &[u8], info: &[&[u8]]) -> Secret<N> {
    let mut derived = Secret([0; N]);
    match hkdf::Hkdf::<sha2::Sha256>::new(None, key).expand_multi_info(info, &mut derived.0) {
        Ok(()) => derived,
        Err(_) => unreachable!("HKDF-SHA256 gives up to 8160 bytes"),
    }
}

/// Compiles only for what is wiped when dropped.
#[cfg(test)]
pub(super) fn wiped<T: ZeroizeOnDrop>(_: &T) {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_secret_is_compared_whole_and_shown_to_nobody() {
        let secret = Secret([7; 32]);
        assert_eq!(secret, secret.clone());
        for at in 0..32 {
            let mut other = secret.clone();
            other.0[at] ^= 1;
            assert_ne!(secret, other);
        }
        assert_eq!(format!("{secret:?}"), "..");
        wiped(&secret);
    }

    /// What hashes secrets holds them, or what follows from them.
    #[test]
    #[cfg(any(feature = "bluetrace", feature = "dp3t", feature = "gaen"))]
    fn hashers_are_wiped() {
        use hmac::{KeyInit as _, Mac as _};
        wiped(&sha2::Sha256::default());
        let hmac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"key").unwrap();
        wiped(&hmac.finalize());
    }
}

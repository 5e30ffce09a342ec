//! The keys of a publisher.

use alloc::vec;

use crate::files::{KeyList, SignedKeyList};
use crate::keys::{DerivationKey, PublicKey, SigningKey};

/// The keys of a publisher.
///
/// Three secrets, each with a purpose of its own: the root key, which apps pin, signs the
/// list of online keys and nothing else; an online key signs manifests; salts and noise
/// are derived from the derivation key. [`Keys::from_secret`] makes all three of one
/// secret. To keep the root key on a machine without network, put the fields together
/// instead, with a list that was signed there:
///
/// ```
/// use gcs_core::files::{KeyList, SignedKeyList};
/// use gcs_core::publish::Keys;
/// use gcs_core::{DerivationKey, SigningKey};
///
/// # let (root_secret, online_secret, derivation_secret) = ([1; 32], [2; 32], [3; 32]);
/// # let expires = 2_000_000_000;
/// // Where the root key is, with a public key that came from the server:
/// # let online_public = SigningKey::from_seed(online_secret).public();
/// let root = SigningKey::from_seed(root_secret);
/// let list = KeyList { version: 1, expires, keys: vec![online_public] };
/// let signed: String = list.sign(&root)?.to_json();
///
/// // On the server:
/// let keys = Keys {
///     root: root.public(),
///     key_list: SignedKeyList::from_json(&signed)?,
///     online: SigningKey::from_seed(online_secret),
///     derivation: DerivationKey::new(derivation_secret),
/// };
/// # Ok::<(), gcs_core::files::ManifestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keys {
    /// The key that apps pin.
    pub root: PublicKey,
    /// The online keys, signed by the root.
    pub key_list: SignedKeyList,
    /// One of the online keys.
    pub online: SigningKey,
    /// Salts and noise are derived from it.
    pub derivation: DerivationKey,
}

impl Keys {
    /// All keys from 32 secret bytes of a cryptographic source of randomness. Clients trust
    /// them until the Unix time `valid_until`.
    ///
    /// The same secret gives the same keys: keep it, and call this again after a restart,
    /// with a later `valid_until` when the time comes. Whoever reads the secret has the root
    /// key too.
    ///
    /// ```
    /// use gcs_core::DAY_SECONDS;
    /// use gcs_core::publish::Keys;
    ///
    /// # let (secret, now) = ([1; 32], 1_767_225_600);
    /// let keys = Keys::from_secret(secret, now + 365 * DAY_SECONDS);
    /// println!("for apps to pin: {:?}", keys.root);
    /// ```
    pub fn from_secret(secret: [u8; 32], valid_until: u64) -> Keys {
        let secret = DerivationKey::new(secret);
        let root = SigningKey::from_seed(secret.derive("root key", &[]));
        let online = SigningKey::from_seed(secret.derive("online key", &[]));
        let derivation = DerivationKey::new(secret.derive("derivation key", &[]));
        let list = KeyList { version: 1, expires: valid_until, keys: vec![online.public()] };
        let Ok(key_list) = list.sign(&root) else { unreachable!("a list of one key is signed") };
        Keys { root: root.public(), key_list, online, derivation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of FORMAT.md, appendix A, which an independent program computed.
    #[test]
    fn derived_secrets_are_those_of_the_format() {
        let secret = DerivationKey::new([1; 32]);
        let hex = |bytes: [u8; 32]| data_encoding::HEXLOWER.encode(&bytes[..8]);
        assert_eq!(hex(secret.derive("root key", &[])), "1c812950fe386d57");
        assert_eq!(hex(secret.derive("online key", &[])), "0a0dbfa43f1b6e50");
        assert_eq!(hex(secret.derive("derivation key", &[])), "c545b526bcd60497");
        let keys = Keys::from_secret([1; 32], 1);
        assert_eq!(keys.root, SigningKey::from_seed(secret.derive("root key", &[])).public());

        let context: [&[u8]; 3] =
            [&1u32.to_le_bytes(), &4u32.to_le_bytes(), &20_458u32.to_le_bytes()];
        let salt = DerivationKey::new([3; 32]).derive("salt", &context);
        let salt = data_encoding::HEXLOWER.encode(&salt[..16]);
        assert_eq!(salt, "a939ededabd9963d4085a1497ceb1a24");
    }
}

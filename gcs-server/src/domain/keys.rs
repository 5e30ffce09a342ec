//! The secret keys of a deployment, and what is derived from them.

use std::fmt;

use gcs_core::files::{KeyList, ManifestError, SignedKeyList};
use gcs_core::identifiers::gaen::export::{ExportError, ExportSigningKey};
use gcs_core::live::FillerKey;
use gcs_core::report::ProviderKey;
use gcs_core::{DerivationKey, PublicKey, SigningKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Seconds for which a list of online keys is valid after it is signed: a year.
pub const KEY_LIST_SECONDS: u64 = 365 * 86_400;

/// The three secrets of a deployment, 32 random bytes each. All other keys follow from them.
#[derive(Clone)]
pub struct Secrets {
    /// Seed of the root key, which apps pin.
    pub root: Zeroizing<[u8; 32]>,
    /// Seed of the online key, which signs manifests.
    pub online: Zeroizing<[u8; 32]>,
    /// The master key, from which keys of providers, salts and filler are derived.
    pub master: Zeroizing<[u8; 32]>,
}

/// The keys of a deployment. Together with the log they are all that a restore needs.
#[derive(Clone)]
pub struct DeploymentKeys {
    root: SigningKey,
    online: SigningKey,
    secrets: Secrets,
}

impl fmt::Debug for DeploymentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeploymentKeys(..)")
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Secrets from their bytes.
    pub fn new(root: [u8; 32], online: [u8; 32], master: [u8; 32]) -> Secrets {
        let [root, online, master] = [root, online, master].map(Zeroizing::new);
        Secrets { root, online, master }
    }
}

impl DeploymentKeys {
    /// The keys that follow from the secrets.
    pub fn new(secrets: Secrets) -> DeploymentKeys {
        let (root, online) =
            (SigningKey::from_seed(*secrets.root), SigningKey::from_seed(*secrets.online));
        DeploymentKeys { root, online, secrets }
    }

    /// The secrets, to be stored.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
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
    /// When the list is longer than the format allows, which does not happen with one key.
    pub fn sign_key_list(&self, version: u32, now: u64) -> Result<SignedKeyList, ManifestError> {
        let expires = now.saturating_add(KEY_LIST_SECONDS);
        KeyList { version, expires, keys: vec![self.online.public()] }.sign(&self.root)
    }

    /// The key of a provider's codes.
    pub fn provider(&self, provider: u16, generation: u32) -> ProviderKey {
        ProviderKey::derive(&self.secrets.master, provider, generation)
    }

    /// The key from which the salts of sets and random choices of the publisher are derived.
    pub fn derivation(&self) -> DerivationKey {
        DerivationKey::new(self.derive("gcs publication key v1"))
    }

    /// The key from which filler is derived.
    pub fn filler(&self) -> FillerKey {
        FillerKey::new(self.derive("gcs filler key v1"))
    }

    /// The key of a version that signs export files, called as Apple and Google know it. Its number is the first of
    /// 256 that is one of a key: all but one of 2^32 numbers are.
    ///
    /// # Errors
    /// [`ExportError::KeyName`] if no key can have this id or version.
    pub fn export(&self, id: &str, version: &str) -> Result<ExportSigningKey, ExportError> {
        let number = |counter: u8| {
            let info: [&[u8]; 3] = [b"gcs export key v1", version.as_bytes(), &[counter]];
            Zeroizing::new(self.expand(&info))
        };
        let key = |counter| ExportSigningKey::from_bytes(&number(counter), id, version);
        let is_one = |key: &Result<_, ExportError>| !matches!(key, Err(ExportError::NotAKey));
        (0..=u8::MAX).map(key).find(is_one).unwrap_or(Err(ExportError::NotAKey))
    }

    /// A value that only this master key gives. The first event of the log has it, so that a start
    /// with another key file is noticed.
    pub fn master_check(&self) -> [u8; 32] {
        self.derive("gcs master key check v1")
    }

    /// A value for a digest of 32 bytes that only this master key gives, by which a checkpoint of
    /// this deployment is known.
    pub fn seal(&self, digest: &[u8; 32]) -> [u8; 32] {
        self.expand(&[b"gcs checkpoint v1", digest])
    }

    /// The key that seals the reports in a file of a spool, which has this salt.
    pub fn spool_key(&self, salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.expand(&[b"gcs spool key v1", salt]))
    }

    /// A value for the head of a file of a spool that only this master key gives, by which a file of this
    /// deployment is known.
    pub fn spool_check(&self, head: &[u8]) -> [u8; 32] {
        self.expand(&[b"gcs spool file v1", head])
    }

    /// A value for the beginning of a tracking id that only this master key gives, by which a tracking id of
    /// a 202 is known.
    pub fn spool_tracking(&self, beginning: &[u8]) -> [u8; 32] {
        self.expand(&[b"gcs spool tracking v1", beginning])
    }

    /// A value for what a revision token says that only this master key gives.
    pub fn revision_check(&self, said: &[u8]) -> [u8; 32] {
        self.expand(&[b"gcs revision token v1", said])
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        self.expand(&[label.as_bytes()])
    }

    fn expand(&self, info: &[&[u8]]) -> [u8; 32] {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, self.secrets.master.as_slice())
            .expand_multi_info(info, &mut key)
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(master: u8) -> DeploymentKeys {
        DeploymentKeys::new(Secrets::new([1; 32], [2; 32], [master; 32]))
    }

    /// A key that Apple and Google have must stay the same for ever.
    #[test]
    fn the_key_of_export_files_follows_from_master_key_and_version_alone() {
        let pem = |master, id: &str, version: &str| {
            keys(master).export(id, version).unwrap().public().to_pem()
        };
        // Computed by another program, from RFC 5869 and the curve's equation.
        let golden = "-----BEGIN PUBLIC KEY-----\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENRbcSa4UiY2OCGIREbV5G3RqEP6C\n\
            5mAejj39ifWHOnVfJQuqQoZ7foM7ifIinYwew4PNRRpDa2gvHmstfhKVbA==\n\
            -----END PUBLIC KEY-----\n";
        assert_eq!(pem(3, "204", "v1"), golden);
        assert_eq!(pem(3, "310", "v1"), golden);
        for other in [pem(3, "204", "v2"), pem(4, "204", "v1"), pem(3, "204", "v1_")] {
            assert_ne!(other, golden);
        }
        assert!(matches!(keys(3).export("204", "v-1"), Err(ExportError::KeyName)));
        assert!(matches!(keys(3).export("", "v1"), Err(ExportError::KeyName)));
    }
}

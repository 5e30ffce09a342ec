//! Section 10: the manifest and its key list.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};

use super::json::Json;
use super::{Digest, Outcome, check, paths};

/// Length and SHA-256 of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

/// A manifest that passed every check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) series: u32,
    pub(crate) tick: u32,
    pub(crate) issued: u64,
    pub(crate) expires: u64,
    pub(crate) next: u64,
    pub(crate) state: Digest,
    pub(crate) index: Named,
    pub(crate) bundle: Option<Named>,
    /// The version of the key list.
    pub(crate) keys: u32,
}

/// What a reader knows before it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) root: [u8; 32],
    pub(crate) now: u64,
    pub(crate) highest_keys: u32,
}

fn base64(text: &str) -> Outcome<Vec<u8>> {
    BASE64.decode(text.as_bytes()).map_err(|_| "Base64".into())
}

fn digest(value: &Json) -> Outcome<Digest> {
    Ok(paths::digest(value.text()?).ok_or("Json")?)
}

fn named(value: &Json) -> Outcome<Named> {
    let bytes = value.member("bytes")?.integer()?;
    Ok(Named { bytes, sha256: digest(value.member("sha256")?)? })
}

/// A DSSE envelope whose payload type was compared.
struct Envelope {
    kind: &'static str,
    payload: Vec<u8>,
    signatures: Vec<String>,
}

impl Envelope {
    fn parse(value: &Json, kind: &'static str) -> Outcome<Self> {
        let payload_type = value.member("payloadType")?.text()?;
        let payload = value.member("payload")?.text()?;
        let mut signatures = Vec::new();
        for signature in value.member("signatures")?.array()? {
            if let Some(keyid) = signature.optional("keyid")? {
                keyid.text()?;
            }
            signatures.push(signature.member("sig")?.text()?.to_owned());
        }
        check(payload_type == kind, "PayloadType")?;
        Ok(Self { kind, payload: base64(payload)?, signatures })
    }

    /// What is signed.
    fn pae(&self) -> Vec<u8> {
        let head = format!("DSSEv1 {} {} {} ", self.kind.len(), self.kind, self.payload.len());
        [head.as_bytes(), &self.payload].concat()
    }

    fn is_signed_by(&self, keys: &[[u8; 32]]) -> bool {
        let verifies = |sig: &String, key: &[u8; 32]| {
            let sig: [u8; 64] = base64(sig).ok()?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(key).ok()?;
            key.verify_strict(&self.pae(), &Signature::from_bytes(&sig)).ok()
        };
        self.signatures.iter().any(|sig| keys.iter().any(|key| verifies(sig, key).is_some()))
    }

    /// 1 to 4 signatures; signed by one of the keys.
    fn verify(&self, keys: &[[u8; 32]], class: &str) -> Outcome<()> {
        check((1..=4).contains(&self.signatures.len()), "Count")?;
        check(self.is_signed_by(keys), class)
    }
}

impl Manifest {
    /// Reads and verifies a file, step by step as the table has it.
    pub(crate) fn open(file: &[u8], known: Known) -> Outcome<Self> {
        // 1
        check(file.len() <= 2048, "TooLarge")?;
        // 2
        let envelope = Envelope::parse(&Json::parse(file)?, "application/vnd.gcs.manifest+json")?;
        // 3, 4
        let payload = Json::parse(&envelope.payload)?;
        check(payload.member("format")?.integer()? == 1, "Format")?;
        // 5
        let bundle = match payload.optional("bundle")? {
            None | Some(Json::Null) => None,
            Some(bundle) => Some(named(bundle)?),
        };
        let mut manifest = Self {
            series: payload.member("series")?.u32()?,
            tick: payload.member("tick")?.u32()?,
            issued: payload.member("issued")?.integer()?,
            expires: payload.member("expires")?.integer()?,
            next: payload.member("next")?.integer()?,
            state: digest(payload.member("state")?)?,
            index: named(payload.member("index")?)?,
            bundle,
            keys: 0,
        };
        // 6
        let list = Envelope::parse(payload.member("keys")?, "application/vnd.gcs.keys+json")?;
        // 7
        list.verify(&[known.root], "RootSignature")?;
        // 8
        let list = Json::parse(&list.payload)?;
        manifest.keys = list.member("version")?.u32()?;
        let keys_expire = list.member("expires")?.integer()?;
        let texts = list.member("keys")?.array()?;
        let texts = texts.iter().map(Json::text).collect::<Outcome<Vec<_>>>()?;
        check((1..=4).contains(&texts.len()), "Count")?;
        let mut keys: Vec<[u8; 32]> = Vec::new();
        for text in texts {
            keys.push(base64(text)?.try_into().map_err(|_| "Base64")?);
        }
        // 9
        envelope.verify(&keys, "OnlineSignature")?;
        // 10 to 13
        check(manifest.keys >= known.highest_keys, "KeysRolledBack")?;
        check(keys_expire > known.now, "KeysExpired")?;
        let lifetime = i128::from(manifest.expires) - i128::from(manifest.issued);
        check(lifetime == 86400, "Lifetime")?;
        check(manifest.expires > known.now, "Expired")?;
        Ok(manifest)
    }
}

//! Section 10: the manifest and its key list.

use super::dsse::{self, Envelope, base64};
use super::json::Json;
use super::{Digest, Outcome, expect, paths};

/// Length and SHA-256 of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

/// What a manifest says of lists of seeds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seeds {
    pub(crate) state: Digest,
    pub(crate) index: Named,
    pub(crate) bundle: Option<Named>,
}

/// A manifest whose envelopes and members are all in order.
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
    pub(crate) seeds: Option<Seeds>,
    pub(crate) exports: Option<Named>,
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

fn digest(value: &Json) -> Outcome<Digest> {
    Ok(paths::digest(value.text()?).ok_or("Json")?)
}

fn named(value: &Json) -> Outcome<Named> {
    let bytes = value.member("bytes")?.integer()?;
    Ok(Named { bytes, sha256: digest(value.member("sha256")?)? })
}

fn seeds(value: &Json) -> Outcome<Seeds> {
    Ok(Seeds {
        state: digest(value.member("state")?)?,
        index: named(value.member("index")?)?,
        bundle: unless_null(value.optional("bundle")?, named)?,
    })
}

/// A member that may be missing or null.
fn unless_null<T>(value: Option<&Json>, read: impl Fn(&Json) -> Outcome<T>) -> Outcome<Option<T>> {
    value.filter(|value| !matches!(value, Json::Null)).map(read).transpose()
}

impl Manifest {
    /// Reads and verifies a file, step by step as the table of section 10 has it.
    pub(crate) fn open(file: &[u8], known: Known) -> Outcome<Self> {
        // 1
        expect(file.len() <= 2048, "TooLarge")?;
        // 2
        let envelope = Envelope::parse(&Json::parse(file)?, dsse::MANIFEST)?;
        // 3, 4
        let payload = Json::parse(&envelope.payload)?;
        expect(payload.member("format")?.u32()? == 1, "Format")?;
        // 5
        let mut manifest = Self {
            series: payload.member("series")?.u32()?,
            tick: payload.member("tick")?.u32()?,
            issued: payload.member("issued")?.integer()?,
            expires: payload.member("expires")?.integer()?,
            next: payload.member("next")?.integer()?,
            state: digest(payload.member("state")?)?,
            index: named(payload.member("index")?)?,
            bundle: unless_null(payload.optional("bundle")?, named)?,
            seeds: unless_null(payload.optional("seeds")?, seeds)?,
            exports: unless_null(payload.optional("exports")?, named)?,
            keys: 0,
        };
        // 6
        let list = Envelope::parse(payload.member("keys")?, dsse::KEYS)?;
        // 7
        list.expect_signatures()?;
        expect(list.is_signed_by(&[known.root]), "RootSignature")?;
        // 8
        let list = Json::parse(&list.payload)?;
        manifest.keys = list.member("version")?.u32()?;
        let keys_expire = list.member("expires")?.integer()?;
        let texts = list.member("keys")?.array()?;
        let texts = texts.iter().map(Json::text).collect::<Outcome<Vec<_>>>()?;
        expect((1..=4).contains(&texts.len()), "Count")?;
        let mut keys: Vec<[u8; 32]> = Vec::new();
        for text in texts {
            keys.push(base64(text)?.try_into().map_err(|_| "Base64")?);
        }
        // 9
        envelope.expect_signatures()?;
        expect(envelope.is_signed_by(&keys), "OnlineSignature")?;
        // 10 to 13
        expect(manifest.keys >= known.highest_keys, "KeysRolledBack")?;
        expect(keys_expire > known.now, "KeysExpired")?;
        let lifetime = i128::from(manifest.expires) - i128::from(manifest.issued);
        expect(lifetime == 86400, "Lifetime")?;
        expect(manifest.expires > known.now, "Expired")?;
        Ok(manifest)
    }
}

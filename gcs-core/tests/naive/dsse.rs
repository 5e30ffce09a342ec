//! Section 10: DSSE envelopes, read as the table there has it, and written as it is asked for.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::json::Json;
use super::{Outcome, expect, mutant, sha256};

/// Payload type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.gcs.manifest+json";

/// Payload type of key lists.
pub(crate) const KEYS: &str = "application/vnd.gcs.keys+json";

/// Padded base64 of the standard alphabet, as bytes.
pub(crate) fn base64(text: &str) -> Outcome<Vec<u8>> {
    (mutant::now().base64)(text)
}

pub(crate) fn strict_base64(text: &str) -> Outcome<Vec<u8>> {
    // The library also reads several texts that are padded each.
    expect(!text.trim_end_matches('=').contains('='), "Base64")?;
    BASE64.decode(text.as_bytes()).map_err(|_| "Base64".into())
}

/// An envelope whose payload type was compared, and whose signatures were not.
pub(crate) struct Envelope {
    kind: &'static str,
    pub(crate) payload: Vec<u8>,
    /// The members `sig`.
    signatures: Vec<String>,
}

impl Envelope {
    /// Reads an envelope of this payload type.
    pub(crate) fn parse(value: &Json, kind: &'static str) -> Outcome<Self> {
        let payload_type = value.member("payloadType")?.text()?;
        let payload = value.member("payload")?.text()?;
        let mut signatures = Vec::new();
        for signature in value.member("signatures")?.array()? {
            if let Some(keyid) = signature.optional("keyid")? {
                keyid.text()?;
            }
            signatures.push(signature.member("sig")?.text()?.to_owned());
        }
        expect(payload_type == kind, "PayloadType")?;
        Ok(Self { kind, payload: base64(payload)?, signatures })
    }

    /// Whether one of the keys signed it.
    pub(crate) fn is_signed_by(&self, keys: &[[u8; 32]]) -> bool {
        let message = signed_bytes(self.kind, &self.payload);
        let verifies = |sig: &String, key: &[u8; 32]| {
            let sig: Option<[u8; 64]> = base64(sig).ok().and_then(|sig| sig.try_into().ok());
            sig.is_some_and(|sig| (mutant::now().verifies)(key, &message, &sig))
        };
        self.signatures.iter().any(|sig| keys.iter().any(|key| verifies(sig, key)))
    }

    /// 1 to 4 signatures.
    #[track_caller]
    pub(crate) fn expect_signatures(&self) -> Outcome<()> {
        expect((1..=4).contains(&self.signatures.len()), "Count")
    }
}

/// Whether a key verifies a signature as section 10 wants it.
pub(crate) fn strictly_verifies(key: &[u8; 32], message: &[u8], sig: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(sig)).is_ok())
}

/// The pre-authentication encoding: what is signed.
pub(crate) fn signed_bytes(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A signature of a payload under any type.
pub(crate) fn sign(kind: &str, payload: &[u8], key: &SigningKey) -> [u8; 64] {
    key.sign(&signed_bytes(kind, payload)).to_bytes()
}

/// A member of `signatures`.
pub(crate) fn signature(kind: &str, payload: &[u8], key: &SigningKey) -> String {
    signature_of(key.verifying_key().as_bytes(), &sign(kind, payload, key))
}

/// A member of `signatures` with any signature of any key.
pub(crate) fn signature_of(key: &[u8; 32], sig: &[u8; 64]) -> String {
    let (keyid, sig) = (HEXLOWER.encode(&sha256(&[key])[..4]), BASE64.encode(sig));
    format!(r#"{{"keyid":"{keyid}","sig":"{sig}"}}"#)
}

/// The text of an envelope with one signature.
pub(crate) fn envelope(kind: &str, payload: &[u8], key: &SigningKey) -> String {
    envelope_with(kind, payload, &[signature(kind, payload, key)])
}

/// The text of an envelope with these members of `signatures`.
pub(crate) fn envelope_with(kind: &str, payload: &[u8], signatures: &[String]) -> String {
    let (payload, signatures) = (BASE64.encode(payload), signatures.join(","));
    format!(r#"{{"payloadType":"{kind}","payload":"{payload}","signatures":[{signatures}]}}"#)
}

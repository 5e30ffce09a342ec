//! Section 10: DSSE envelopes, read as the table there has it, and written as it is asked for.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::json::Json;
use super::{Outcome, expect, sha256};

/// Payload type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.gcs.manifest+json";

/// Payload type of key lists.
pub(crate) const KEYS: &str = "application/vnd.gcs.keys+json";

/// Padded base64 of the standard alphabet, as bytes.
pub(crate) fn base64(text: &str) -> Outcome<Vec<u8>> {
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

    fn is_signed_by(&self, keys: &[[u8; 32]]) -> bool {
        let message = signed_bytes(self.kind, &self.payload);
        let verifies = |sig: &String, key: &[u8; 32]| {
            let sig: [u8; 64] = base64(sig).ok()?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(key).ok()?;
            key.verify_strict(&message, &Signature::from_bytes(&sig)).ok()
        };
        self.signatures.iter().any(|sig| keys.iter().any(|key| verifies(sig, key).is_some()))
    }

    /// 1 to 4 signatures, one of them by one of the keys; else `Count`, then `class`.
    pub(crate) fn verify(&self, keys: &[[u8; 32]], class: &str) -> Outcome<()> {
        expect((1..=4).contains(&self.signatures.len()), "Count")?;
        expect(self.is_signed_by(keys), class)
    }
}

/// The pre-authentication encoding: what is signed.
fn signed_bytes(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A signature of a payload under any type.
pub(crate) fn sign(kind: &str, payload: &[u8], key: &SigningKey) -> [u8; 64] {
    key.sign(&signed_bytes(kind, payload)).to_bytes()
}

/// A member of `signatures`.
pub(crate) fn signature(kind: &str, payload: &[u8], key: &SigningKey) -> String {
    let keyid = HEXLOWER.encode(&sha256(&[key.verifying_key().as_bytes()])[..4]);
    let sig = BASE64.encode(&sign(kind, payload, key));
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

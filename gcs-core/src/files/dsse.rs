//! DSSE envelopes: a payload, and Ed25519 signatures over it and its type.
//!
//! Dead Simple Signing Envelope v1.0.2, with standard base64 only.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::error::ManifestError;
use super::json::Object;
use crate::base64;
use crate::digest::Digest;
use crate::keys::{PublicKey, SigningKey};

/// Most signatures an envelope has.
const MAX_SIGNATURES: usize = 4;

/// The JSON object of an envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<Object<EnvelopeSignature>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EnvelopeSignature {
    /// A hint for people; readers try every key.
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Signs `payload` as of `payload_type`.
    pub(crate) fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> Envelope {
        let signature = key.sign(&pre_authentication_encoding(payload_type, payload));
        Envelope {
            payload_type: payload_type.to_string(),
            payload: BASE64.encode(payload),
            signatures: alloc::vec![Object(EnvelopeSignature {
                keyid: key_id(&key.public()),
                sig: BASE64.encode(&signature),
            })],
        }
    }

    /// The envelope that [`Envelope::sign`] makes of what this one has, if the key is `key`.
    pub(crate) fn as_signed_by(&self, key: &PublicKey) -> Option<Envelope> {
        let again = |text: &str| base64::decode(text).map(|bytes| BASE64.encode(&bytes));
        let Object(EnvelopeSignature { sig, .. }) = self.signatures.first()?;
        Some(Envelope {
            payload_type: self.payload_type.clone(),
            payload: again(&self.payload)?,
            signatures: alloc::vec![Object(EnvelopeSignature {
                keyid: key_id(key),
                sig: again(sig)?
            })],
        })
    }

    /// The payload, not authenticated yet.
    pub(crate) fn payload(&self, expected: &'static str) -> Result<Vec<u8>, ManifestError> {
        if self.payload_type != expected {
            let got = self.payload_type.chars().take(100).collect();
            return Err(ManifestError::PayloadType { expected, got });
        }
        base64::decode(&self.payload).ok_or(ManifestError::Base64 { part: "payload" })
    }

    /// Whether one of `keys` signed `payload`.
    pub(crate) fn is_signed(
        &self,
        payload: &[u8],
        keys: &[PublicKey],
    ) -> Result<bool, ManifestError> {
        let got = self.signatures.len();
        if got == 0 || got > MAX_SIGNATURES {
            return Err(ManifestError::Count { part: "signatures", max: MAX_SIGNATURES, got });
        }
        let message = pre_authentication_encoding(&self.payload_type, payload);
        Ok(self.signatures.iter().any(|signature| {
            base64::decode(&signature.0.sig)
                .is_some_and(|signature| keys.iter().any(|key| key.verifies(&message, &signature)))
        }))
    }
}

/// A name for a key, for people.
fn key_id(key: &PublicKey) -> String {
    HEXLOWER.encode(&Digest::of(&key.0).0[..4])
}

/// "DSSEv1", then type and payload, each behind its length in decimal, spaces between.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let header = alloc::format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [header.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the DSSE specification.
    #[test]
    fn pre_authentication_encoding_is_the_specifications() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}

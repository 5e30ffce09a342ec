//! The signed JSON of a publication, for the OpenAPI document only: gcs-core writes and reads it.

use utoipa::ToSchema;

/// A DSSE v1.0.2 envelope: a signed payload, and Ed25519 signatures over it. A reader ignores
/// members that it does not know.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document")]
pub(crate) struct Envelope {
    /// The payload's media type: `application/vnd.gcs.manifest+json` for a manifest,
    /// `application/vnd.gcs.keys+json` for the key list in it.
    #[schema(example = "application/vnd.gcs.manifest+json")]
    payload_type: String,
    /// The payload's JSON in base64: a ManifestPayload or a KeyListPayload, as `payloadType` says.
    #[schema(content_encoding = "base64", content_media_type = "application/json")]
    payload: String,
    /// Signatures over `"DSSEv1 " ‖ len(type) ‖ " " ‖ type ‖ " " ‖ len(payload) ‖ " " ‖ payload`,
    /// with lengths in bytes as decimal ASCII and the payload decoded from base64. One signature
    /// by a known key is enough.
    #[schema(min_items = 1, max_items = 4)]
    signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
struct EnvelopeSignature {
    /// A name for the key, for people. Readers ignore it and try every key that they know.
    #[schema(required = false)]
    keyid: String,
    /// The Ed25519 signature: 64 bytes in base64.
    #[schema(content_encoding = "base64", min_length = 88, max_length = 88)]
    sig: String,
}

/// The payload of a manifest's envelope. It is signed by a key of the key list in `keys`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
pub(crate) struct ManifestPayload {
    /// Version of the format. This document describes 1.
    #[schema(example = 1)]
    format: u32,
    /// Series of the publication: it goes up by one when the operator begins a new series.
    #[schema(example = 1)]
    series: u32,
    /// Tick of the publication: its number, one more than the one before.
    #[schema(example = 96)]
    tick: u32,
    /// Unix time, in seconds, at which the manifest was made.
    #[schema(example = 1_768_910_400)]
    issued: u64,
    /// Unix time, in seconds, from which readers do not accept the manifest any more: 86400 seconds
    /// after `issued`.
    #[schema(example = 1_768_996_800)]
    expires: u64,
    /// Unix time, in seconds, at which the next publication is expected.
    #[schema(example = 1_768_911_300)]
    next: u64,
    /// SHA-256 of the table of dates, as hexadecimal digits. A client that applied a bundle
    /// compares its own table with it.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    state: String,
    /// The index file, at /v1/index/{sha256}.
    index: NamedFile,
    /// The bundle that leads from the tick before to this one; null or missing when there is
    /// none.
    bundle: Option<NamedFile>,
    /// The key list, signed by the root key that apps contain.
    keys: Envelope,
}

/// The payload of a key list's envelope. It is signed by the root key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
pub(crate) struct KeyListPayload {
    /// Version of the list. A client does not accept a lower version than it has seen.
    #[schema(example = 1)]
    version: u32,
    /// Unix time, in seconds, from which readers do not accept the list any more.
    #[schema(example = 1_776_686_400)]
    expires: u64,
    /// Ed25519 public keys that may sign manifests: each 32 bytes in base64.
    #[schema(min_items = 1, max_items = 4)]
    keys: Vec<String>,
}

/// Length and hash of a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
struct NamedFile {
    /// Length of the file in bytes.
    bytes: u64,
    /// SHA-256 of the file, as hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
}

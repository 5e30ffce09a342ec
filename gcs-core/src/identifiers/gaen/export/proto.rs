//! The messages of export.proto. Fields that this library does not know are ignored, as protobuf
//! has it.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::ExportError;
use super::{MAX_KEYS, MAX_SIGNATURES};

/// ECDSA with SHA-256, on P-256 here.
pub(super) const ALGORITHM: &str = "1.2.840.10045.4.3.2";

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyExport {
    #[prost(fixed64, optional, tag = "1")]
    pub(super) start_timestamp: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(super) end_timestamp: Option<u64>,
    #[prost(string, optional, tag = "3")]
    pub(super) region: Option<String>,
    #[prost(int32, optional, tag = "4")]
    pub(super) batch_num: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(super) batch_size: Option<i32>,
    #[prost(message, repeated, tag = "6")]
    pub(super) signature_infos: Vec<SignatureInfo>,
    #[prost(message, repeated, tag = "7")]
    pub(super) keys: Vec<Key>,
    #[prost(message, repeated, tag = "8")]
    pub(super) revised_keys: Vec<Key>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct SignatureInfo {
    #[prost(string, optional, tag = "3")]
    pub(super) key_version: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) key_id: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) algorithm: Option<String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Key {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(super) data: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(super) transmission_risk: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) rolling_start: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(super) rolling_period: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(super) report_type: Option<i32>,
    #[prost(sint32, optional, tag = "6")]
    pub(super) days_since_onset: Option<i32>,
    #[prost(int32, optional, tag = "8")]
    pub(super) variant: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct SignatureList {
    #[prost(message, repeated, tag = "1")]
    pub(super) signatures: Vec<Signature>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Signature {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<SignatureInfo>,
    #[prost(int32, optional, tag = "2")]
    pub(super) batch_num: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) batch_size: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) signature: Option<Vec<u8>>,
}

impl KeyExport {
    pub(super) fn read(bytes: &[u8]) -> Result<KeyExport, ExportError> {
        expect_at_most(bytes, "signatures", &[6], MAX_SIGNATURES)?;
        expect_at_most(bytes, "keys", &[7, 8], MAX_KEYS)?;
        decode("export.bin", bytes)
    }
}

impl SignatureList {
    pub(super) fn read(bytes: &[u8]) -> Result<SignatureList, ExportError> {
        expect_at_most(bytes, "signatures", &[1], MAX_SIGNATURES)?;
        decode("export.sig", bytes)
    }
}

fn decode<M: prost::Message + Default>(part: &'static str, bytes: &[u8]) -> Result<M, ExportError> {
    M::decode(bytes)
        .map_err(|error| ExportError::Protobuf { part, what: alloc::format!("{error}") })
}

/// Fails if there are more than `max` of some repeated fields: before they are decoded, since two
/// bytes on the wire can become seventy in memory. What is not protobuf is left to the decoder.
fn expect_at_most(
    mut bytes: &[u8],
    what: &'static str,
    fields: &[usize],
    max: usize,
) -> Result<(), ExportError> {
    let mut got = 0;
    while let Some(field) = skip_field(&mut bytes) {
        got += usize::from(fields.contains(&field));
    }
    if got > max { Err(ExportError::TooMany { what, max, got }) } else { Ok(()) }
}

/// Takes a field off the begin of a message; its number.
fn skip_field(bytes: &mut &[u8]) -> Option<usize> {
    let tag = prost::decode_length_delimiter(&mut *bytes).ok()?;
    let length = match tag & 7 {
        0 => prost::decode_length_delimiter(&mut *bytes).ok().map(|_| 0)?,
        1 => 8,
        2 => prost::decode_length_delimiter(&mut *bytes).ok()?,
        5 => 4,
        _ => return None,
    };
    *bytes = bytes.get(length..)?;
    Some(tag >> 3)
}

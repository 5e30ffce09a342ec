//! The messages of export.proto. Fields that this library does not know are ignored, as protobuf
//! has it; groups are refused.

use alloc::format;
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
        expect_at_most("export.bin", bytes, "signatures", &[6], MAX_SIGNATURES)?;
        expect_at_most("export.bin", bytes, "keys", &[7, 8], MAX_KEYS)?;
        decode("export.bin", bytes)
    }
}

impl SignatureList {
    pub(super) fn read(bytes: &[u8]) -> Result<SignatureList, ExportError> {
        expect_at_most("export.sig", bytes, "signatures", &[1], MAX_SIGNATURES)?;
        decode("export.sig", bytes)
    }
}

fn decode<M: prost::Message + Default>(part: &'static str, bytes: &[u8]) -> Result<M, ExportError> {
    M::decode(bytes).map_err(|error| ExportError::Protobuf { part, what: format!("{error}") })
}

/// Fails if there are more than `max` of some repeated fields: before they are decoded, since two
/// bytes on the wire can become seventy in memory. What it cannot skip, the decoder may not see
/// either: it would go on where the counting ended.
fn expect_at_most(
    part: &'static str,
    bytes: &[u8],
    what: &'static str,
    fields: &[u64],
    max: usize,
) -> Result<(), ExportError> {
    let (mut rest, mut got) = (bytes, 0);
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let field = skip_field(&mut rest).ok_or_else(|| ExportError::Protobuf {
            part,
            what: format!("no field that can be skipped begins at byte {at} of the message"),
        })?;
        got += usize::from(fields.contains(&field));
    }
    if got > max { Err(ExportError::TooMany { what, max, got }) } else { Ok(()) }
}

/// Takes a field off the begin of a message; its number. Groups, which no version of the message
/// ever had, are not taken.
fn skip_field(bytes: &mut &[u8]) -> Option<u64> {
    let tag = take_varint(bytes)?;
    let length = match tag & 7 {
        0 => take_varint(bytes).map(|_| 0)?,
        1 => 8,
        2 => take_varint(bytes)?,
        5 => 4,
        _ => return None,
    };
    *bytes = bytes.get(usize::try_from(length).ok()?..)?;
    Some(tag >> 3)
}

/// Takes a varint of 64 bits, at most ten bytes, on targets of 32 bits too.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

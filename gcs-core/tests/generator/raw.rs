//! Writes files field by field, naively and without any validation, so that every field can
//! be wrong.

use crate::naive::bits::{code, parameter};
use crate::naive::sealed;

/// The salt of every set that is not made by a publisher.
pub(crate) const SALT: [u8; 16] = *b"salt of vectors!";

/// The element of this number: 16 bytes of text.
pub(crate) fn element(number: u32) -> [u8; 16] {
    format!("element {number:08}").into_bytes().try_into().unwrap()
}

/// `bytes` with some overwritten.
pub(crate) fn edited(bytes: &[u8], edits: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, new) in edits {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// `bytes` with one bit turned over.
pub(crate) fn flipped(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    edited(bytes, &[(at, &[bytes[at] ^ (1 << bit)])])
}

/// `bytes` with the last 32 replaced by the hash of those before.
pub(crate) fn resealed(bytes: &[u8]) -> Vec<u8> {
    sealed(&bytes[..bytes.len() - 32])
}

/// A set.
#[derive(Clone)]
pub(crate) struct RawSet {
    pub salt: [u8; 16],
    pub range: u64,
    pub len: u32,
    pub parameter: u8,
    pub reserved: [u8; 3],
    pub bits: u64,
    pub code: Vec<u8>,
}

impl RawSet {
    /// As it should be.
    pub(crate) fn of(range: u64, values: &[u64]) -> RawSet {
        RawSet::with_parameter(range, values, parameter(range, values.len() as u32))
    }

    pub(crate) fn with_parameter(range: u64, values: &[u64], parameter: u8) -> RawSet {
        let (code, bits) = code(values, parameter);
        let len = values.len() as u32;
        RawSet { salt: SALT, range, len, parameter, reserved: [0; 3], bits, code }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GCSSET\x01\x00".to_vec();
        bytes.extend(self.salt);
        bytes.extend(self.range.to_le_bytes());
        bytes.extend(self.len.to_le_bytes());
        bytes.push(self.parameter);
        bytes.extend(self.reserved);
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(&self.code);
        sealed(&bytes)
    }
}

/// The body of a delta: removals, then additions.
#[derive(Clone)]
pub(crate) struct RawBody {
    pub lens: [u32; 2],
    pub parameters: [u8; 2],
    pub reserved: [u8; 2],
    pub bits: [u64; 2],
    pub codes: [Vec<u8>; 2],
}

impl RawBody {
    /// As it should be.
    pub(crate) fn of(base_len: u32, range: u64, removed: &[u64], added: &[u64]) -> RawBody {
        let lens = [removed.len() as u32, added.len() as u32];
        let parameters = [parameter(base_len.into(), lens[0]), parameter(range, lens[1])];
        RawBody::with_parameters(removed, added, parameters)
    }

    pub(crate) fn with_parameters(removed: &[u64], added: &[u64], parameters: [u8; 2]) -> RawBody {
        let lens = [removed.len() as u32, added.len() as u32];
        let (ranks, values) = (code(removed, parameters[0]), code(added, parameters[1]));
        let (bits, codes) = ([ranks.1, values.1], [ranks.0, values.0]);
        RawBody { lens, parameters, reserved: [0; 2], bits, codes }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.lens.iter().flat_map(|len| len.to_le_bytes()).collect();
        bytes.extend(self.parameters);
        bytes.extend(self.reserved);
        bytes.extend(self.bits.iter().flat_map(|bits| bits.to_le_bytes()));
        bytes.extend(self.codes.concat());
        bytes
    }
}

/// A delta.
#[derive(Clone)]
pub(crate) struct RawDelta {
    pub salt: [u8; 16],
    pub range: u64,
    pub base_len: u32,
    pub target_len: u32,
    pub base: [u8; 32],
    pub target: [u8; 32],
    pub body: RawBody,
}

impl RawDelta {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GCSDLT\x01\x00".to_vec();
        bytes.extend(self.salt);
        bytes.extend(self.range.to_le_bytes());
        bytes.extend(self.base_len.to_le_bytes());
        bytes.extend(self.target_len.to_le_bytes());
        bytes.extend(self.base);
        bytes.extend(self.target);
        bytes.extend(self.body.bytes());
        sealed(&bytes)
    }
}

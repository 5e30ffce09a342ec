//! Sections 2 and 4: elements, their fingerprints and checks, and the set.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use super::bits::{Shape, encode};
use super::{Digest, Outcome, Reader, expect, sealed, sha256};

/// A set that was read, or made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Set {
    pub(crate) salt: [u8; 16],
    pub(crate) range: u64,
    pub(crate) fingerprints: BTreeSet<u64>,
    pub(crate) identity: Digest,
    /// Bytes of its file.
    pub(crate) length: u64,
}

pub(crate) fn siphash(key: &[u8; 16], message: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(message);
    hasher.finish()
}

/// floor(SipHash(salt, m) · F / 2^64)
pub(crate) fn fingerprint(salt: &[u8; 16], range: u64, element: &[u8]) -> u64 {
    let product = u128::from(siphash(salt, element)) * u128::from(range);
    (product >> 64) as u64
}

/// max(1, SipHash(SHA-256("gcs check v1" ‖ salt)[0..16], m))
pub(crate) fn check_of(salt: &[u8; 16], element: &[u8]) -> u64 {
    let mut key = [0; 16];
    key.copy_from_slice(&sha256(&[b"gcs check v1", salt])[..16]);
    siphash(&key, element).max(1)
}

impl Set {
    /// N.
    pub(crate) fn count(&self) -> u32 {
        self.fingerprints.len() as u32
    }

    /// The rank of a fingerprint, if it is in the set.
    pub(crate) fn rank(&self, fingerprint: u64) -> Option<u32> {
        let rank = self.fingerprints.iter().position(|member| *member == fingerprint);
        rank.map(|rank| rank as u32)
    }

    /// Reads the header: the salt, and the shape of the code.
    pub(crate) fn header(reader: &mut Reader<'_>) -> Outcome<([u8; 16], Shape)> {
        reader.magic(b"GCSSET")?;
        let salt = reader.salt()?;
        let range = reader.range()?;
        let count = reader.u32()?;
        let parameter = reader.u8()?;
        reader.reserved(3)?;
        let shape = Shape { bound: range, count, parameter, bits: reader.u64()? };
        shape.validate()?;
        Ok((salt, shape))
    }

    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        let (salt, shape) = Self::header(&mut reader)?;
        let range = shape.bound;
        expect(file.len() as u128 == 48 + shape.bytes() + 32, "Length")?;
        let fingerprints = shape.decode(reader.bytes(shape.bytes())?)?.into_iter().collect();
        let identity = sha256(&[&file[..file.len() - 32]]);
        expect(reader.digest()? == identity, "Digest")?;
        Ok(Self { salt, range, fingerprints, identity, length: file.len() as u64 })
    }

    /// Writes the file.
    pub(crate) fn write(
        salt: [u8; 16],
        range: u64,
        fingerprints: &BTreeSet<u64>,
    ) -> Outcome<Vec<u8>> {
        let (shape, code) = encode(range, fingerprints.iter().copied())?;
        let mut file = b"GCSSET\x01\x00".to_vec();
        file.extend(salt);
        file.extend(range.to_le_bytes());
        file.extend(shape.count.to_le_bytes());
        file.extend([shape.parameter, 0, 0, 0]);
        file.extend(shape.bits.to_le_bytes());
        file.extend(code);
        Ok(sealed(&file))
    }
}

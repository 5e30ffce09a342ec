//! Section 20: the index file of a set.

use super::set::{Set, siphash};
use super::{Digest, Outcome, Reader, bits, expect, sha256, within};

/// An index that was read with its set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SetIndex {
    pub(crate) identity: Digest,
    /// Of each entry bit, next, rank and check.
    pub(crate) entries: Vec<(u64, u64, u32, u64)>,
}

impl SetIndex {
    /// Opens an index with a set, and verifies it as a whole.
    pub(crate) fn parse(file: &[u8], set_file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSSIX")?;
        let header = reader.bytes(48)?;
        let (_, shape) = Set::header(&mut Reader::new(header))?;
        let (identity, blocks) = (reader.digest()?, reader.u64()?);
        let count = u64::from(shape.count).div_ceil(256).max(1);
        expect(blocks == count, "Mismatch")?;
        let length = 96 + 32 * (u128::from(count) + 1) + 32;
        expect(file.len() as u128 == length, "Length")?;

        let set = within("Set", Set::parse(set_file))?;
        expect(identity == set.identity, "OtherSet")?;
        expect(header == &set_file[..48], "Header")?;
        let entries = entries(&set, count, shape.parameter, set_file);
        for entry in &entries {
            expect(reader.bytes(32)? == bytes(*entry), "Block")?;
        }
        let end = length as usize - 32;
        expect(reader.digest()? == sha256(&[&file[..end]]), "Digest")?;
        Ok(Self { identity, entries })
    }
}

/// floor(v · s / 2^64)
fn block_of(value: u64, count: u64, range: u64) -> u64 {
    let scale = ((u128::from(count) << 64) / u128::from(range)).min(u128::from(u64::MAX));
    ((u128::from(value) * scale) >> 64) as u64
}

/// What the entries must be.
fn entries(set: &Set, count: u64, parameter: u8, file: &[u8]) -> Vec<(u64, u64, u32, u64)> {
    let mut entries = Vec::new();
    for block in 0..=count {
        let before = |value: &&u64| block_of(**value, count, set.range) < block;
        let before: Vec<u64> = set.fingerprints.iter().take_while(before).copied().collect();
        let next = before.last().map_or(0, |last| last + 1);
        entries.push((bits::code(&before, parameter).1, next, before.len() as u32, 0));
    }
    let header = [b"GCSSIX\x01\x00", &file[..48], &set.identity, &count.to_le_bytes()];
    let mut key = [0; 16];
    key.copy_from_slice(&sha256(&header)[..16]);
    for block in 0..count as usize {
        let pair = [entries[block], entries[block + 1]];
        let code = 48 + pair[0].0 as usize / 8..48 + pair[1].0.div_ceil(8) as usize;
        let [from, to] = pair.map(|entry| bytes(entry)[..24].to_vec());
        let message = [&(block as u64).to_le_bytes(), &from[..], &to, &file[code]].concat();
        entries[block].3 = siphash(&key, &message);
    }
    entries
}

/// An entry as it is written.
fn bytes((bit, next, rank, check): (u64, u64, u32, u64)) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&bit.to_le_bytes());
    bytes[8..16].copy_from_slice(&next.to_le_bytes());
    bytes[16..20].copy_from_slice(&rank.to_le_bytes());
    bytes[24..].copy_from_slice(&check.to_le_bytes());
    bytes
}

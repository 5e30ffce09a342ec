//! Slow decoders of sets and deltas, written from FORMAT.md: bit by bit, in 128-bit
//! integers, into ordinary vectors. What they accept, gcs-core must, and nothing else.

use std::collections::BTreeSet;

use gcs_core::{Digest, Salt};

/// Length of a SHA-256 trailer.
const TRAILER_LEN: usize = 32;

/// The bytes, and their SHA-256 behind them.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &Digest::of(bytes).0].concat()
}

/// What is before the trailer, if the trailer is right.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (body, trailer) = bytes.split_last_chunk::<TRAILER_LEN>()?;
    (Digest::of(body).0 == *trailer).then_some(body)
}

/// Fixed fields at the front of a file.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(len)?;
        self.0 = left;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes that can only be these.
    pub(crate) fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        (self.take(bytes.len())? == bytes).then_some(())
    }

    fn range(&mut self) -> Option<u64> {
        self.u64().filter(|range| (1..1 << 53).contains(range))
    }

    /// As many bytes as `bits` bits take.
    fn code(&mut self, bits: u64) -> Option<&'a [u8]> {
        self.take(usize::try_from(bits.div_ceil(8)).ok()?)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The only legal Rice parameter.
fn rice_parameter(range: u64, len: u32) -> u32 {
    let fits = |p: &u32| 26 * u128::from(range) >= (27 * u128::from(len)) << p;
    if len == 0 { 0 } else { (0..64).rev().find(fits).unwrap_or(0) }
}

/// The `len` values below `range` that `code` consists of, in exactly `bits` bits.
fn rice(code: &[u8], range: u64, len: u32, parameter: u8, bits: u64) -> Option<Vec<u64>> {
    if u64::from(len) > range || u32::from(parameter) != rice_parameter(range, len) {
        return None;
    }
    let mut at = 0;
    let mut bit = || {
        let bit = (at < bits).then(|| code[(at / 8) as usize] >> (at % 8) & 1);
        at += 1;
        bit
    };
    let mut values = Vec::new();
    let mut next = 0u128;
    for _ in 0..len {
        let mut quotient = 0u128;
        while bit()? == 1 {
            quotient += 1;
        }
        let mut remainder = 0;
        for place in 0..parameter {
            remainder |= u64::from(bit()?) << place;
        }
        let value = next + ((quotient << parameter) | u128::from(remainder));
        values.push(u64::try_from(value).ok().filter(|value| *value < range)?);
        next = value + 1;
    }
    let used = bits % 8;
    let is_padded = used == 0 || code.last().is_some_and(|last| last >> used == 0);
    (at == bits && is_padded).then_some(values)
}

/// A set, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub salt: Salt,
    pub range: u64,
    pub values: Vec<u64>,
}

impl Set {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Set> {
        let mut fields = Fields(unsealed(bytes)?);
        fields.expect(b"GCSSET\x01\0")?;
        let (salt, range, len) = (Salt(fields.array()?), fields.range()?, fields.u32()?);
        let [parameter] = fields.array()?;
        fields.expect(&[0; 3])?;
        let bits = fields.u64()?;
        let values = rice(fields.code(bits)?, range, len, parameter, bits)?;
        fields.is_empty().then_some(Set { salt, range, values })
    }
}

/// A delta, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delta {
    pub salt: Salt,
    pub range: u64,
    pub base_len: u32,
    pub base: Digest,
    pub target: Digest,
    pub removed: Vec<u64>,
    pub added: Vec<u64>,
}

impl Delta {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Delta> {
        let mut fields = Fields(unsealed(bytes)?);
        fields.expect(b"GCSDLT\x01\0")?;
        let (salt, range) = (Salt(fields.array()?), fields.range()?);
        let (base_len, target_len) = (fields.u32()?, fields.u32()?);
        let (base, target) = (Digest(fields.array()?), Digest(fields.array()?));
        let (removed_len, added_len) = (fields.u32()?, fields.u32()?);
        let [removed_parameter, added_parameter] = fields.array()?;
        fields.expect(&[0; 2])?;
        let (removed_bits, added_bits) = (fields.u64()?, fields.u64()?);
        let code = fields.code(removed_bits)?;
        let removed =
            rice(code, u64::from(base_len), removed_len, removed_parameter, removed_bits)?;
        let added = rice(fields.code(added_bits)?, range, added_len, added_parameter, added_bits)?;
        let expected = u64::from(base_len) - u64::from(removed_len) + u64::from(added_len);
        let delta = Delta { salt, range, base_len, base, target, removed, added };
        (fields.is_empty() && u64::from(target_len) == expected).then_some(delta)
    }

    /// The values it leads to, if it fits these at all.
    pub(crate) fn apply(&self, base: &[u64]) -> Option<Vec<u64>> {
        if base.len() as u64 != u64::from(self.base_len)
            || self.added.iter().any(|value| base.binary_search(value).is_ok())
        {
            return None;
        }
        let removed: BTreeSet<u64> = self.removed.iter().copied().collect();
        let kept = (0u64..).zip(base).filter(|(rank, _)| !removed.contains(rank));
        let mut values: Vec<u64> = kept.map(|(_, value)| *value).collect();
        values.extend(&self.added);
        values.sort_unstable();
        Some(values)
    }
}

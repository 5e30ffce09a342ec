//! Section 5: the difference of two sets.

use std::collections::BTreeSet;

use super::bits::Shape;
use super::set::Set;
use super::{Digest, Outcome, Reader, expect, sha256};

/// The part that also stands alone in bundles.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Ranks in the base.
    pub(crate) removed: BTreeSet<u64>,
    /// Fingerprints.
    pub(crate) added: BTreeSet<u64>,
}

impl Body {
    /// Reads a body for a base of `base` fingerprints below `range`.
    pub(crate) fn parse(bytes: &[u8], base: u32, range: u64) -> Outcome<Self> {
        let mut reader = Reader::new(bytes);
        let removed = reader.u32()?;
        let added = reader.u32()?;
        let removals_parameter = reader.u8()?;
        let additions_parameter = reader.u8()?;
        reader.reserved(2)?;
        let removals = Shape {
            bound: base.into(),
            count: removed,
            parameter: removals_parameter,
            bits: reader.u64()?,
        };
        let additions = Shape {
            bound: range,
            count: added,
            parameter: additions_parameter,
            bits: reader.u64()?,
        };
        removals.validate()?;
        additions.validate()?;
        expect(bytes.len() as u128 == 28 + removals.bytes() + additions.bytes(), "Length")?;
        let body = Self {
            removed: removals.decode(reader.bytes(removals.bytes())?)?.into_iter().collect(),
            added: additions.decode(reader.bytes(additions.bytes())?)?.into_iter().collect(),
        };
        expect(u32::try_from(body.target(base)).is_ok(), "Limit")?;
        Ok(body)
    }

    /// base N - r + a.
    fn target(&self, base: u32) -> i128 {
        i128::from(base) - self.removed.len() as i128 + self.added.len() as i128
    }

    /// Steps 2 and 3 of applying: the file of the result.
    pub(crate) fn apply(&self, base: &Set, identity: &Digest) -> Outcome<Vec<u8>> {
        let file = self.result(base)?;
        expect(file.ends_with(identity), "Target")?;
        Ok(file)
    }

    /// The file that it leads to, whichever it promises.
    pub(crate) fn result(&self, base: &Set) -> Outcome<Vec<u8>> {
        expect(self.added.is_disjoint(&base.fingerprints), "AlreadyPresent")?;
        let ranked = (0..).zip(&base.fingerprints);
        let kept = ranked.filter(|(rank, _)| !self.removed.contains(rank)).map(|(_, kept)| *kept);
        let fingerprints = kept.chain(self.added.iter().copied()).collect();
        Set::write(base.salt, base.range, &fingerprints)
    }
}

/// A delta with its own header and trailer.
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    pub(crate) salt: [u8; 16],
    pub(crate) range: u64,
    pub(crate) base_length: u32,
    pub(crate) target_length: u32,
    pub(crate) base: Digest,
    pub(crate) target: Digest,
    pub(crate) body: Body,
}

impl Delta {
    /// Reads a file.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(file);
        reader.magic(b"GCSDLT")?;
        let salt = reader.salt()?;
        let range = reader.range()?;
        let base_length = reader.u32()?;
        let target_length = reader.u32()?;
        let base = reader.digest()?;
        let target = reader.digest()?;
        expect(file.len() >= 164, "Length")?;
        let body = reader.bytes(file.len() as u128 - 104 - 32)?;
        let body = Body::parse(body, base_length, range)?;
        expect(i128::from(target_length) == body.target(base_length), "Mismatch")?;
        expect(reader.digest()? == sha256(&[&file[..file.len() - 32]]), "Digest")?;
        Ok(Self { salt, range, base_length, target_length, base, target, body })
    }

    /// The file of the target.
    pub(crate) fn apply(&self, base: &Set) -> Outcome<Vec<u8>> {
        expect(self.salt == base.salt, "Salt")?;
        expect(self.range == base.range, "HashRange")?;
        expect(self.base == base.identity, "Base")?;
        expect(self.base_length == base.count(), "BaseLength")?;
        self.body.apply(base, &self.target)
    }
}

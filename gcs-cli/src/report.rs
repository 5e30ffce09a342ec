//! What is told about a set, a delta or an index: as JSON of a stable shape, or as text.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use gcs_core::set::SetInfo;
use gcs_core::{Delta, Salt};
use serde::{Serialize, Serializer};

use crate::load::IndexInfo;
use crate::quantity::{bytes, grouped, one_in};

/// A hash range or a fingerprint. As JSON a string, because many readers of JSON lose digits of
/// numbers above 2^53.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Large(pub(crate) u64);

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A path in JSON, where only text can stand.
pub(crate) fn path_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Statistics of a set.
#[derive(Debug, Serialize)]
pub(crate) struct SetReport {
    pub(crate) fingerprints: u32,
    pub(crate) hash_range: Large,
    pub(crate) rice_parameter: u32,
    pub(crate) bytes: u64,
    pub(crate) bits_per_fingerprint: Option<f64>,
    pub(crate) bound_bits_per_fingerprint: Option<f64>,
    pub(crate) false_positive_rate: f64,
    pub(crate) salt: String,
    pub(crate) identity: String,
}

impl SetReport {
    /// Statistics of a set.
    pub(crate) fn of(info: &SetInfo) -> SetReport {
        SetReport {
            fingerprints: info.len,
            hash_range: Large(info.hash_range.get()),
            rice_parameter: info.rice_parameter,
            bytes: info.bytes,
            bits_per_fingerprint: info.bits_per_element(),
            bound_bits_per_fingerprint: info.bound(),
            false_positive_rate: info.false_positive_rate(),
            salt: salt_text(info.salt),
            identity: info.identity.to_string(),
        }
    }

    /// How often an element that is not in the set is found in it.
    pub(crate) fn one_in(&self) -> String {
        one_in(self.false_positive_rate)
    }
}

/// A salt as it is given to `--salt`.
pub(crate) fn salt_text(salt: Salt) -> String {
    HEXLOWER.encode(&salt.0)
}

impl fmt::Display for SetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  fingerprints         {}", grouped(self.fingerprints.into()))?;
        writeln!(f, "  size                 {} ({})", bytes(self.bytes), self.bytes)?;
        if let (Some(bits), Some(bound)) =
            (self.bits_per_fingerprint, self.bound_bits_per_fingerprint)
        {
            writeln!(f, "  bits a fingerprint   {bits:.3} (bound {bound:.3})")?;
        }
        writeln!(f, "  false positives      {}", self.one_in())?;
        writeln!(f, "  hash range F         {}", self.hash_range.0)?;
        writeln!(f, "  Rice parameter P     {}", self.rice_parameter)?;
        writeln!(f, "  salt                 {}", self.salt)?;
        write!(f, "  identity             {}", self.identity)
    }
}

/// Statistics of a delta.
#[derive(Debug, Serialize)]
pub(crate) struct DeltaReport {
    pub(crate) removed: u32,
    pub(crate) added: u32,
    pub(crate) bytes: u64,
    pub(crate) hash_range: Large,
    pub(crate) salt: String,
    pub(crate) base: String,
    pub(crate) target: String,
}

impl DeltaReport {
    /// Statistics of this delta.
    pub(crate) fn of<D: AsRef<[u8]>>(delta: &Delta<D>) -> DeltaReport {
        DeltaReport {
            removed: delta.removed_len(),
            added: delta.added_len(),
            bytes: delta.as_bytes().len() as u64,
            hash_range: Large(delta.hash_range().get()),
            salt: salt_text(delta.salt()),
            base: delta.base().to_string(),
            target: delta.target().to_string(),
        }
    }
}

impl fmt::Display for DeltaReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  removed              {}", grouped(self.removed.into()))?;
        writeln!(f, "  added                {}", grouped(self.added.into()))?;
        writeln!(f, "  size                 {} ({})", bytes(self.bytes), self.bytes)?;
        writeln!(f, "  hash range F         {}", self.hash_range.0)?;
        writeln!(f, "  salt                 {}", self.salt)?;
        writeln!(f, "  from the set         {}", self.base)?;
        write!(f, "  to the set           {}", self.target)
    }
}

/// Statistics of an index.
#[derive(Debug, Serialize)]
pub(crate) struct IndexReport {
    pub(crate) fingerprints: u32,
    pub(crate) bytes: u64,
    pub(crate) set: String,
}

impl IndexReport {
    /// Statistics of an index.
    pub(crate) fn of(info: &IndexInfo) -> IndexReport {
        let IndexInfo { bytes, set } = info;
        IndexReport { fingerprints: set.len, bytes: *bytes, set: set.identity.to_string() }
    }
}

impl fmt::Display for IndexReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  fingerprints         {}", grouped(self.fingerprints.into()))?;
        writeln!(f, "  size                 {} ({})", bytes(self.bytes), self.bytes)?;
        write!(f, "  of the set           {}", self.set)
    }
}

//! Kinds of items, and sets of kinds.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A kind of item: a protocol and what its phones report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `dp3t-unlinkable`: a seed of one epoch.
    Dp3tUnlinkable,
    /// `raw`: an element as it was broadcast.
    Raw,
    /// `dp3t-low-cost`: the key of a day, from which those of later days follow.
    Dp3tLowCost,
    /// `dp3t-hybrid`: a seed of a window of some hours.
    Dp3tHybrid,
    /// `tcn`: a signed report.
    Tcn,
    /// `gaen`: a temporary exposure key.
    Gaen,
}

/// A text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a kind is one of {}, got {got:?}", names())]
pub struct KindError {
    /// The text.
    pub got: alloc::string::String,
}

fn names() -> alloc::string::String {
    Kind::ALL.map(Kind::name).join(", ")
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 6] = [
        Kind::Dp3tUnlinkable,
        Kind::Raw,
        Kind::Dp3tLowCost,
        Kind::Dp3tHybrid,
        Kind::Tcn,
        Kind::Gaen,
    ];

    /// Its name, as the member `kind` of an item has it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Dp3tUnlinkable => "dp3t-unlinkable",
            Kind::Raw => "raw",
            Kind::Dp3tLowCost => "dp3t-low-cost",
            Kind::Dp3tHybrid => "dp3t-hybrid",
            Kind::Tcn => "tcn",
            Kind::Gaen => "gaen",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Kind, KindError> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| KindError { got: text.into() })
    }
}

/// A set of kinds. In JSON it is a list of their names; in binary formats a number, in which bit n
/// stands for the n-th of [`Kind::ALL`].
///
/// ```
/// use gcs_core::report::{Kind, Kinds};
///
/// let kinds = Kinds::of(&[Kind::Gaen, Kind::Raw]);
/// assert!(kinds.has(Kind::Gaen) && !kinds.has(Kind::Tcn));
/// assert_eq!(serde_json::to_string(&kinds)?, r#"["raw","gaen"]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u32);

impl Kinds {
    /// Every kind.
    pub const ALL: Kinds = Kinds::of(&Kind::ALL);

    /// The set of these kinds.
    pub const fn of(kinds: &[Kind]) -> Kinds {
        let (mut set, mut at) = (0, 0);
        while at < kinds.len() {
            set |= 1 << kinds[at] as u32;
            at += 1;
        }
        Kinds(set)
    }

    /// Whether the set has a kind.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u32 & 1 == 1
    }

    /// Whether the set has no kind.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds of the set, in the order of [`Kind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter().map(Kind::name))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kinds, D::Error> {
        if deserializer.is_human_readable() {
            let names = Vec::<alloc::string::String>::deserialize(deserializer)?;
            let kinds: Result<Vec<Kind>, KindError> =
                names.iter().map(|name| name.parse()).collect();
            return kinds.map(|kinds| Kinds::of(&kinds)).map_err(D::Error::custom);
        }
        let kinds = Kinds(u32::deserialize(deserializer)?);
        if kinds.0 & !Kinds::ALL.0 == 0 {
            Ok(kinds)
        } else {
            Err(D::Error::custom("a kind that is not known"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_name_is_that_of_one_kind() {
        for (number, kind) in (0..).zip(Kind::ALL) {
            assert_eq!((kind as u32, kind.name().parse()), (number, Ok(kind)));
        }
        let error = "TCN".parse::<Kind>().unwrap_err().to_string();
        assert!(error.starts_with("a kind is one of dp3t-unlinkable, raw, dp3t-low-cost"));
    }

    #[test]
    fn sets_are_read_as_written() {
        for set in 0..1 << Kind::ALL.len() {
            let kinds = Kinds(set);
            let json = serde_json::to_string(&kinds).unwrap();
            assert_eq!(serde_json::from_str::<Kinds>(&json).unwrap(), kinds);
            let compact = postcard::to_allocvec(&kinds).unwrap();
            assert_eq!(compact, [set as u8]);
            assert_eq!(postcard::from_bytes(&compact), Ok(kinds));
        }
        assert!(postcard::from_bytes::<Kinds>(&[64]).is_err());
        assert!(serde_json::from_str::<Kinds>(r#"["x"]"#).is_err());
        assert_eq!(serde_json::from_str::<Kinds>(r#"["raw","raw"]"#).unwrap(), Kinds(2));
    }
}

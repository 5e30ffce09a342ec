//! The version of a publication.

use core::fmt;

/// The version of a publication. Versions are ordered by series, then by tick; a client
/// never goes back to a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Version {
    /// The series, raised by a restore or a recall.
    pub series: u32,
    /// The number of the publication in its series.
    pub tick: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.series, self.tick)
    }
}

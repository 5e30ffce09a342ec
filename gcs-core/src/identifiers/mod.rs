//! Protocols' identifiers: from what a patient reports, and from what a phone hears, to the
//! elements of a set.

#[cfg(feature = "dp3t")]
pub mod dp3t;

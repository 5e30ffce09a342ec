//! Identifiers of contact-tracing protocols: how elements are made of what a patient reports
//! and of what a phone hears.

#[cfg(feature = "dp3t")]
pub mod dp3t;

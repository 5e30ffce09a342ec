//! Identifiers of contact-tracing protocols: how elements are made of what a patient reports
//! and of what a phone hears.
//!
//! Each protocol is a module with a feature of its own. None does any input or output.
//!
//! | module | protocol | a patient gives | a phone hears | element |
//! |---|---|---|---|---|
#![cfg_attr(
    feature = "bluetrace",
    doc = "| [`bluetrace`] | BlueTrace, as in OpenTrace | consent: the authority derives what the phone broadcast | TempID, 61 bytes | SHA-256 of authority, window and TempID |"
)]

#[cfg(feature = "bluetrace")]
pub mod bluetrace;
#[cfg(feature = "dp3t")]
pub mod dp3t;
#[cfg(any(feature = "bluetrace", feature = "dp3t", feature = "gaen"))]
mod secret;

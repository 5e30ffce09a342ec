//! Identifiers of contact-tracing protocols: how elements are made of what a patient reports
//! and of what a phone hears.
//!
//! Each protocol is a module with a feature of its own. None does any input or output.
//!
//! | module | protocol | a patient gives | a phone hears | element |
//! |---|---|---|---|---|
//! | `bluetrace` | BlueTrace, as in OpenTrace | consent; the authority derives what the phone broadcast | TempID, 61 bytes | SHA-256 of authority, window and TempID |
//! | `dp3t` | DP-3T, unlinkable, low-cost and hybrid | seeds or a day's key | EphID, 16 bytes | SHA-256 of EphID and epoch; day or window and EphID |
//! | `gaen` | Apple and Google's Exposure Notification | a key a day | RPI, 16 bytes | RPI |
//! | `tcn` | TCN | signed reports | TCN, 16 bytes | TCN |
//!
//! A seed or key is never an element: a phone cannot test what it has not heard.
//!
//! The pages of `protocols/`, beside the sources of this crate, say for each who learns what, what
//! it costs, and where this library differs from the protocol's authors.

#[cfg(feature = "bluetrace")]
pub mod bluetrace;
#[cfg(feature = "dp3t")]
pub mod dp3t;
#[cfg(feature = "gaen")]
pub mod gaen;
#[cfg(any(feature = "bluetrace", feature = "dp3t", feature = "gaen", feature = "tcn"))]
mod secret;
#[cfg(feature = "tcn")]
pub mod tcn;

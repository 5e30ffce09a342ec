//! Parts of the server that stand on their own, ahead of the server itself.
//!
//! - [`code`]: one-time codes of healthcare providers.

pub mod code;

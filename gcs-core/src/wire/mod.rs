//! The files of the protocol, apart from sets and deltas, which stand on their own.
//!
//! All but the manifest is little-endian binary: a magic of six bytes, a version, then
//! fixed fields. FORMAT.md is normative.

pub(crate) mod bundle;
pub(crate) mod checks;
pub(crate) mod cursor;
pub(crate) mod dsse;
pub(crate) mod index;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod manifest;
pub(crate) mod path;
pub(crate) mod table;

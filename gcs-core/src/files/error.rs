//! The errors of paths, manifests and bundles.

use alloc::string::String;

use thiserror::Error;

use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::seeds::SeedDeltaError;
use crate::set::DeltaError;

/// A path that names no file of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no file of the protocol has the path {path:?}")]
pub struct PathError {
    /// The path.
    pub path: String,
}

/// Why a manifest, or the key list in it, cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is larger than a manifest may be.
    #[error("a manifest has at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Its length.
        got: usize,
    },
    /// It is not JSON of the right shape.
    #[error("{part}: {message}")]
    Json {
        /// Which part of it.
        part: &'static str,
        /// What the parser says.
        message: String,
    },
    /// A payload of the envelope, or a field of it, is not standard base64 of the right
    /// length.
    #[error("{part} is not base64 of the right length")]
    Base64 {
        /// Which part of it.
        part: &'static str,
    },
    /// The payload of an envelope is of another type.
    #[error("expected payload type {expected}, got {got}")]
    PayloadType {
        /// Type expected.
        expected: &'static str,
        /// Type found.
        got: String,
    },
    /// It is of a format that this release does not read.
    #[error("expected format {expected}, got {got}")]
    Format {
        /// The format that is read.
        expected: u32,
        /// The format found.
        got: u32,
    },
    /// The root did not sign the list of online keys.
    #[error("the list of online keys is not signed by the root key {root:?}")]
    RootSignature {
        /// The key that was pinned.
        root: crate::keys::PublicKey,
    },
    /// None of the listed online keys signed it.
    #[error("not signed by any of the {keys} online keys that the root lists")]
    OnlineSignature {
        /// How many keys are listed.
        keys: usize,
    },
    /// A list of keys or signatures is too long or empty.
    #[error("{part}: expected 1 to {max} entries, got {got}")]
    Count {
        /// Which list.
        part: &'static str,
        /// Most entries.
        max: usize,
        /// Entries found.
        got: usize,
    },
    /// The list of online keys has expired.
    #[error("the list of online keys expired at {expires}, now is {now}")]
    KeysExpired {
        /// Unix time at which it expired.
        expires: u64,
        /// Unix time now.
        now: u64,
    },
    /// The list of online keys is older than one seen before.
    #[error("the list of online keys is version {got}, but version {seen} was seen")]
    KeysRolledBack {
        /// Newest version seen.
        seen: u32,
        /// Version of this list.
        got: u32,
    },
    /// The manifest has expired.
    #[error("the manifest expired at {expires}, now is {now}")]
    Expired {
        /// Unix time at which it expired.
        expires: u64,
        /// Unix time now.
        now: u64,
    },
    /// It does not expire exactly a day after its issue.
    #[error("a manifest issued at {issued} expires at {}, got {expires}", issued.saturating_add(86_400))]
    Lifetime {
        /// Unix time of issue.
        issued: u64,
        /// Unix time of expiry.
        expires: u64,
    },
}

/// Why bytes are no list of exports.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExportListError {
    /// It does not consist of whole lines, which are all of one length.
    #[error("a list of exports has {each} bytes for each file, got {got} bytes")]
    Length {
        /// Length of a line in bytes.
        each: usize,
        /// Length of the list in bytes.
        got: usize,
    },
    /// It names more files than a list may.
    #[error("a list of exports names at most {max} files, got {got}")]
    Limit {
        /// The limit.
        max: usize,
        /// How many it names.
        got: usize,
    },
    /// A line is not the path of an export file.
    #[error("line {line} is not the path of an export file: {got:?}")]
    Path {
        /// The number of the line, from 1.
        line: usize,
        /// The line.
        got: String,
    },
}

/// Why a bundle cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file is not of the format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The table is not the bundle's base.
    #[error("expected a base table of state {expected}, got {got}")]
    Before {
        /// State that the bundle starts from.
        expected: Digest,
        /// State of the table given.
        got: Digest,
    },
    /// The result is not the table that the bundle declares.
    #[error("expected a resulting table of state {expected}, got {got}")]
    After {
        /// State that the bundle declares.
        expected: Digest,
        /// State of the result.
        got: Digest,
    },
    /// The bundle drops or changes a date that the base table does not have.
    #[error("date {date} is not in the base table")]
    NoSuchDate {
        /// The date.
        date: Date,
    },
    /// A set that the table names is missing.
    #[error("the set of date {date} is missing")]
    NoSuchSet {
        /// The date.
        date: Date,
    },
    /// A row does not describe its set, or does not fit the date's row in the base table.
    #[error("the row of date {date} does not describe its set")]
    Row {
        /// The date.
        date: Date,
    },
    /// A date's delta does not apply.
    #[error("date {date}: {error}")]
    Delta {
        /// The date.
        date: Date,
        /// What is wrong with it.
        error: DeltaError,
    },
    /// A list of seeds that the bundle drops, or changes by a delta, is not there.
    #[error("the list of seeds of date {date} and kind {kind} is missing")]
    NoSuchList {
        /// Its date.
        date: Date,
        /// The kind of its seeds.
        kind: u16,
    },
    /// A delta of a list of seeds does not apply.
    #[error("seeds of date {date}: {error}")]
    SeedDelta {
        /// The date of the list.
        date: Date,
        /// What is wrong with it.
        error: SeedDeltaError,
    },
}

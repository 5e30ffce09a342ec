//! Every error of the library: one type per operation, each saying what was expected
//! and what came.

use alloc::string::String;

use thiserror::Error;

use crate::date::Date;
use crate::digest::Digest;
use crate::hash::Salt;

/// A range or a plan that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// F outside `1..2^53`.
    #[error("hash range {got} is not in 1..2^53")]
    Range {
        /// The range asked for.
        got: u64,
    },
    /// A set was planned for no elements.
    #[error("expected number of elements is 0")]
    Expected,
    /// The planned range would reach `2^53`.
    #[error("{expected} elements at rate 2^-{rate_bits} need a hash range of 2^53 or more")]
    Rate {
        /// The expected number of elements.
        expected: u32,
        /// The rate asked for, as a negative power of two.
        rate_bits: u32,
    },
}

/// Text that is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected 64 lower-case hexadecimal digits, got {length} bytes of something else")]
pub struct DigestError {
    /// Length of the text in bytes.
    pub length: usize,
}

/// A date that is not `YYYY-MM-DD` from 1970-01-01 to 9999-12-31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a date YYYY-MM-DD from 1970-01-01 to 9999-12-31")]
pub struct DateError;

/// Bytes that are not a file of the format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The file is of another kind.
    #[error("expected magic {expected:02x?}, got {got:02x?}")]
    Magic {
        /// Magic of the kind that was asked for.
        expected: [u8; 6],
        /// The first six bytes.
        got: [u8; 6],
    },
    /// The file is of a version that this release does not read.
    #[error("expected format version {expected}, got {got}")]
    Version {
        /// The version that is read.
        expected: u16,
        /// The version of the file.
        got: u16,
    },
    /// The file is shorter or longer than its header says, or than any header.
    #[error("expected {expected} bytes, got {got}")]
    Length {
        /// Length that the header, or the least header, demands.
        expected: u64,
        /// Length at hand.
        got: u64,
    },
    /// A number is out of bounds.
    #[error("{field} is at most {max} here, got {got}")]
    Limit {
        /// Which number.
        field: &'static str,
        /// Its largest legal value.
        max: u64,
        /// The value found.
        got: u64,
    },
    /// A number has one legal value, and it is another.
    #[error("{field} must be {expected} here, got {got}")]
    Mismatch {
        /// Which number.
        field: &'static str,
        /// Its only legal value.
        expected: u64,
        /// The value found.
        got: u64,
    },
    /// Entries do not ascend.
    #[error("{field} does not ascend at entry {position}")]
    Order {
        /// Which sequence.
        field: &'static str,
        /// The first entry that is not above its predecessor.
        position: u64,
    },
    /// A coded sequence declares a length that no sequence of its shape can have.
    #[error("a code of this shape takes {least} to {most} bits, got {got}")]
    BitLength {
        /// Length if every quotient were 0.
        least: u64,
        /// Length if the quotients took all of the range.
        most: u64,
        /// Declared length.
        got: u64,
    },
    /// A code ended before all of its values.
    #[error("{bits} bits of code end before {values} values")]
    Overrun {
        /// Declared length in bits.
        bits: u64,
        /// Declared number of values.
        values: u64,
    },
    /// Bits or bytes that must be zero are not.
    #[error("padding or a reserved field is not zero")]
    Padding,
    /// A hash differs from the one that the file, or whoever named the file, declares.
    #[error("{field}: expected SHA-256 {expected}, got {got}")]
    Digest {
        /// Which hash.
        field: &'static str,
        /// The hash declared.
        expected: Digest,
        /// The hash of the bytes at hand.
        got: Digest,
    },
    /// A file speaks of another date than the one that was asked for.
    #[error("expected date {expected}, got {got}")]
    Date {
        /// The date asked for.
        expected: Date,
        /// The date in the file.
        got: Date,
    },
    /// A part of the file, itself a file, is wrong.
    #[error("date {date}: {error}")]
    Part {
        /// The date whose part it is.
        date: Date,
        /// What is wrong with it.
        error: alloc::boxed::Box<ParseError>,
    },
}

/// A set that cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A fingerprint is not below F.
    #[error("fingerprint {got} is not below the hash range {range}")]
    OutOfRange {
        /// F.
        range: u64,
        /// The fingerprint.
        got: u64,
    },
    /// More than `2^32 - 1` distinct fingerprints.
    #[error("a set holds at most 2^32 - 1 fingerprints, got {got}")]
    TooMany {
        /// How many there are.
        got: u64,
    },
}

/// A delta that cannot be made or applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// Base and target, or base and delta, have different salts.
    #[error("expected salt {expected:?}, got {got:?}")]
    Salt {
        /// Salt of the delta or of the base.
        expected: Salt,
        /// Salt of the set at hand.
        got: Salt,
    },
    /// Base and target, or base and delta, have different ranges.
    #[error("expected hash range {expected}, got {got}")]
    Range {
        /// F of the delta or of the base.
        expected: u64,
        /// F of the set at hand.
        got: u64,
    },
    /// The delta is for another base.
    #[error("expected a base of identity {expected}, got {got}")]
    Base {
        /// Identity that the delta starts from.
        expected: Digest,
        /// Identity of the set at hand.
        got: Digest,
    },
    /// The result is not the set that the delta promised.
    #[error("expected a result of identity {expected}, got {got}")]
    Target {
        /// Identity promised.
        expected: Digest,
        /// Identity of the result.
        got: Digest,
    },
    /// The delta adds a fingerprint that is in the base and not removed.
    #[error("fingerprint {value} is added, but is in the base already")]
    AlreadyPresent {
        /// The fingerprint.
        value: u64,
    },
    /// The result would have more than `2^32 - 1` fingerprints.
    #[error("a set holds at most 2^32 - 1 fingerprints, got {got}")]
    TooMany {
        /// How many there would be.
        got: u64,
    },
}

/// A path that names no file of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no file of the protocol has the path {path:?}")]
pub struct PathError {
    /// The path.
    pub path: String,
}

/// A bundle that cannot be applied.
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
        /// State of the table at hand.
        got: Digest,
    },
    /// The result is not the table that the bundle promised.
    #[error("expected a resulting table of state {expected}, got {got}")]
    After {
        /// State promised.
        expected: Digest,
        /// State of the result.
        got: Digest,
    },
    /// The bundle drops or changes a date that the base table has not got.
    #[error("date {date} is not in the base table")]
    NoSuchDate {
        /// The date.
        date: Date,
    },
    /// A set that the table names is not at hand.
    #[error("the set of date {date} is not at hand")]
    NoSuchSet {
        /// The date.
        date: Date,
    },
    /// A row does not fit its set, or the row before it.
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
}

/// A manifest, or the key list in it, that is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is larger than any manifest.
    #[error("a manifest has at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Length at hand.
        got: usize,
    },
    /// It is not the JSON that it should be.
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
    /// An envelope holds something else.
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
    /// A manifest lives exactly a day.
    #[error("a manifest issued at {issued} expires at {}, got {expires}", issued.saturating_add(86_400))]
    Lifetime {
        /// Unix time of issue.
        issued: u64,
        /// Unix time of expiry.
        expires: u64,
    },
}

/// A publication that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A tick out of turn.
    #[error("expected tick {expected}, got {got}")]
    Tick {
        /// One more than the last.
        expected: u32,
        /// The tick asked for.
        got: u32,
    },
    /// The time went back.
    #[error("the last tick was issued at {last}, now is {got}")]
    Clock {
        /// Unix time of the last tick.
        last: u64,
        /// Unix time now.
        got: u64,
    },
    /// A date is given twice.
    #[error("date {date} is given twice")]
    DateTwice {
        /// The date.
        date: Date,
    },
    /// More dates than a table holds.
    #[error("a table holds at most {max} dates, got {got}")]
    TooManyDates {
        /// The limit.
        max: usize,
        /// How many dates are due.
        got: usize,
    },
    /// More elements than a set may have fingerprints.
    #[error("date {date}: a date has at most 2^32 - 1 elements, got {got}")]
    TooManyElements {
        /// The date.
        date: Date,
        /// How many it has.
        got: usize,
    },
    /// An element is too short or too long.
    #[error("date {date}, element {index}: expected 16 to 64 bytes, got {got}")]
    ElementLength {
        /// The date.
        date: Date,
        /// Position among the date's elements.
        index: usize,
        /// Its length.
        got: usize,
    },
    /// A date cannot be planned for.
    #[error("date {date}: {error}")]
    Params {
        /// The date.
        date: Date,
        /// What does not fit.
        error: ParamsError,
    },
    /// A file came out wrong; nothing was published.
    #[error("a file came out wrong: {0}")]
    File(#[from] ParseError),
    /// A bundle does not fold to the sets that it claims; nothing was published.
    #[error("the bundle of span {span} came out wrong: {error}")]
    Bundle {
        /// Its span.
        span: u32,
        /// What is wrong with it.
        error: BundleError,
    },
    /// The manifest would be refused by clients: a key that the root does not list, a key
    /// list that has expired; nothing was published.
    #[error("clients would refuse the manifest: {0}")]
    Manifest(#[from] ManifestError),
}

/// Why a client could not be brought up to date. What it had, it still has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The driver could not fetch a file.
    #[error("{path}: {message}")]
    Network {
        /// Its path.
        path: String,
        /// What the driver says.
        message: String,
    },
    /// The driver could not read, write or delete a file of the client's folder.
    #[error("own file {name}: {message}")]
    Storage {
        /// Its name.
        name: String,
        /// What the driver says.
        message: String,
    },
    /// A file that a manifest names is not there.
    #[error("{path}: no such file")]
    Missing {
        /// Its path.
        path: String,
    },
    /// A file is not what it should be.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A bundle does not lead where it should.
    #[error("{path}: {error}")]
    Bundle {
        /// Its path.
        path: String,
        /// What is wrong with it.
        error: BundleError,
    },
    /// The manifest is not to be trusted.
    #[error("manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The manifest is older than one seen before.
    #[error("manifest {got} is older than {seen}, which was seen before")]
    RolledBack {
        /// Newest version seen.
        seen: crate::sync::Version,
        /// Version of this manifest.
        got: crate::sync::Version,
    },
    /// Two manifests of one version differ: the publisher says different things to
    /// different clients.
    #[error("manifest {version} has state {got}, but was seen with state {seen}")]
    Equivocation {
        /// The version of both.
        version: crate::sync::Version,
        /// State seen before.
        seen: Digest,
        /// State of this manifest.
        got: Digest,
    },
}

/// An exact-match request that is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExactError {
    /// It is larger than any request.
    #[error("a request has at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Length at hand.
        got: usize,
    },
    /// It is not the JSON that it should be.
    #[error("{message}")]
    Json {
        /// What the parser says.
        message: String,
    },
    /// It has too many queries.
    #[error("a request has at most {max} queries, got {got}")]
    TooMany {
        /// The limit.
        max: usize,
        /// How many it has.
        got: usize,
    },
    /// An element is too short or too long.
    #[error("query {index}: expected an element of 16 to 64 bytes, got {got}")]
    ElementLength {
        /// Position of the query.
        index: usize,
        /// Length of its element.
        got: usize,
    },
}

//! The errors of BlueTrace's parts.

use thiserror::Error;

use crate::date::Date;
use crate::json::JsonError;

/// A text that is not a UserID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a UserID is 28 characters of base64 without padding, got {length} bytes of something else"
)]
pub struct UserIdError {
    /// Length of the text in bytes.
    pub length: usize,
}

/// A text that does not name a health authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an HAI is 1 to 32 of A-Z, 0-9 and _, got {length} bytes of something else")]
pub struct HaiError {
    /// Length of the text in bytes.
    pub length: usize,
}

/// A text that is not a PseudoID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a PseudoID is 22 characters of base64url without padding, got {length} bytes of something else"
)]
pub struct PseudoIdError {
    /// Length of the text in bytes.
    pub length: usize,
}

/// A text that is not a TempID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TempIdError {
    /// It has another length.
    #[error("a TempID is {expected} characters of base64, got {got} bytes")]
    Length {
        /// The only length.
        expected: usize,
        /// Length of the text in bytes.
        got: usize,
    },
    /// It is not base64 as RFC 4648 has it in section 4.
    #[error("a TempID is base64 of the standard alphabet, padded, without white space")]
    Base64,
}

/// A date for which a key ring has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the key ring has keys from {oldest} to {newest}, and none of {got}")]
pub struct NoDayKey {
    /// The first date that has a key.
    pub oldest: Date,
    /// The last date that has a key.
    pub newest: Date,
    /// The date asked for.
    pub got: Date,
}

/// A text that is not an upload token of this authority, or one that is too long or too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It was not made with this key, or was changed.
    #[error("this is not an upload token of this authority")]
    Foreign,
    /// Its text is, or would be, too long.
    #[error("an upload token has at most {max} characters, got {got}")]
    TooLong {
        /// The limit.
        max: usize,
        /// Its length in bytes.
        got: usize,
    },
    /// It was made too long ago.
    #[error("an upload token is good for {max} ms, this one is {got} ms old")]
    Expired {
        /// The longest life in milliseconds.
        max: u64,
        /// Its age in milliseconds.
        got: u64,
    },
}

/// Bytes that are not a packet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It is longer than a Bluetooth attribute can be.
    #[error("a packet has at most {max} bytes, got {got}")]
    TooLong {
        /// The limit in bytes.
        max: usize,
        /// Its length in bytes.
        got: usize,
    },
    /// It is not JSON of the shape of its version.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is of a version that is not read.
    #[error("packets of version 1 and 2 are read, got version {got}")]
    Version {
        /// Its version.
        got: u64,
    },
    /// It has no member for the model of a phone, or several.
    #[error("expected one member of {expected}, got {got}")]
    Model {
        /// The names that the member may have.
        expected: &'static str,
        /// How many there are.
        got: usize,
    },
    /// The signal strength is missing where it must be, or is there where it may not be.
    #[error("{member} must be in the packet of a central, and in no other")]
    Rssi {
        /// The name of the member.
        member: &'static str,
    },
    /// It does not name an authority.
    #[error(transparent)]
    Hai(#[from] HaiError),
}

/// Why an upload file cannot be read further.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UploadError {
    /// It is not JSON.
    #[error("the upload file is not JSON at byte {position}")]
    Syntax {
        /// The byte that cannot be there, from 0. If that is within a name or value, the byte at
        /// which this ends: its last one, or the one behind a number or word.
        position: u64,
    },
    /// A member has a value of another type, or is there twice.
    #[error("`{member}` is there twice, or is not {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What its value is.
        expected: &'static str,
    },
    /// A name or a value outside of the lists is too long.
    #[error("a value has at most {max} bytes, byte {position} is one too many")]
    TooLong {
        /// The limit in bytes.
        max: usize,
        /// The first byte that is too many, from 0.
        position: u64,
    },
    /// It ended too early.
    #[error("the upload file ends at byte {position}, within a value")]
    Cut {
        /// Its length in bytes.
        position: u64,
    },
    /// A member is missing.
    #[error("`{member}` is missing")]
    Missing {
        /// Its name.
        member: &'static str,
    },
}

/// Why one record or event of an upload file cannot be read. The others still can.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is far longer than any record.
    #[error("a record has at most {max} bytes, got {got}")]
    TooLong {
        /// The limit in bytes.
        max: usize,
        /// Its length in bytes.
        got: u64,
    },
    /// It is not an object of the right shape.
    #[error(transparent)]
    Json(#[from] JsonError),
}

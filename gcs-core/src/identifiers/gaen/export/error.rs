//! Why an export file cannot be read or written.

use alloc::string::String;

use thiserror::Error;

use crate::identifiers::gaen::ExposureKeyError;

/// Why an export file cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A part is too long, whatever its header says.
    #[error("{part} has at most {max} bytes, got more")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// The limit in bytes.
        max: usize,
    },
    /// It is not a zip archive that can be read.
    #[error("the archive cannot be read: {0}")]
    Archive(String),
    /// The archive has other files than the two.
    #[error("the archive must have export.bin and export.sig alone, got {got} files")]
    Files {
        /// How many files it has.
        got: usize,
    },
    /// `export.bin` does not begin as it must.
    #[error("export.bin must begin with `EK Export v1` and four spaces")]
    Header,
    /// A message is not protobuf of its type.
    #[error("{part} is not the right protobuf message: {what}")]
    Protobuf {
        /// Which file.
        part: &'static str,
        /// What the decoder says.
        what: String,
    },
    /// There is too much of something.
    #[error("an export has at most {max} {what}, got {got}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// A field is missing or has a value that is not allowed.
    #[error("{field} is not allowed to be {got:?}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Its value, if it has one.
        got: Option<i64>,
    },
    /// The bytes of a key are not 16.
    #[error("a key has 16 bytes, got {got}")]
    KeyLength {
        /// How many there are.
        got: usize,
    },
    /// A key is used for intervals that are not allowed.
    #[error(transparent)]
    Key(#[from] ExposureKeyError),
    /// No signature was made with the key that it was verified with.
    #[error("no signature of the export is of this key")]
    Signature,
    /// A signature names another batch than `export.bin`.
    #[error("a signature is of batch {signed:?} (number, of how many), export.bin is {got:?}")]
    Batch {
        /// The number of the file, and how many there are, by the signature.
        signed: (u32, u32),
        /// The same by `export.bin`.
        got: (u32, u32),
    },
    /// There is no key to sign with.
    #[error("an export is signed with at least one key, got none")]
    NoSigningKey,
    /// A signing key has a name that is not allowed.
    #[error("a signing key's id and version are 1 to 64 of A-Z, a-z, 0-9 and _")]
    KeyName,
    /// Bytes or text that are not a P-256 key.
    #[error("this is not a P-256 key")]
    NotAKey,
}

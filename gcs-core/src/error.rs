//! The errors of reading bytes and text of the format.

use alloc::format;
use alloc::string::String;
use core::ops::RangeInclusive;

use thiserror::Error;

use crate::date::Date;
use crate::digest::Digest;

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

/// A field of a note is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field} is {least} to {most}{} here, got {got}", or_none(*.none))]
pub struct NoteError {
    /// Which field.
    pub field: &'static str,
    /// Its least legal value.
    pub least: i64,
    /// Its greatest legal value.
    pub most: i64,
    /// The value that says that it is missing, if one does.
    pub none: Option<u8>,
    /// The value found.
    pub got: i64,
}

impl NoteError {
    /// Fails unless a field is within bounds.
    ///
    /// # Errors
    /// The error of the field.
    pub fn unless_within(
        field: &'static str,
        bounds: RangeInclusive<i64>,
        got: i64,
    ) -> Result<(), NoteError> {
        let (least, most) = bounds.into_inner();
        let error = NoteError { field, least, most, none: None, got };
        if least <= got && got <= most { Ok(()) } else { Err(error) }
    }
}

fn or_none(none: Option<u8>) -> String {
    none.map_or_else(String::new, |none| format!(" or {none} for none"))
}

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
    /// The file is shorter or longer than its header says, or too short to have a header.
    #[error("expected {expected} bytes, got {got}")]
    Length {
        /// The length that follows from the header, or the least possible length.
        expected: u64,
        /// The length found.
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
    /// The note of a seed is out of bounds: the class `Limit` of FORMAT.md.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A number differs from the only value that is legal in its place.
    #[error("{field} must be {expected} here, got {got}")]
    Mismatch {
        /// Which number.
        field: &'static str,
        /// Its only legal value.
        expected: u64,
        /// The value found.
        got: u64,
    },
    /// Entries are not in ascending order.
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
        /// Least possible length in bits.
        least: u64,
        /// Greatest possible length in bits.
        most: u64,
        /// Declared length.
        got: u64,
    },
    /// A code ends before all of its values are read.
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
    /// A hash differs from the one declared in the file or in the file that names it.
    #[error("{field}: expected SHA-256 {expected}, got {got}")]
    Digest {
        /// Which hash.
        field: &'static str,
        /// The hash declared.
        expected: Digest,
        /// The hash of the bytes found.
        got: Digest,
    },
    /// A file is about another date than the one that was asked for.
    #[error("expected date {expected}, got {got}")]
    Date {
        /// The date asked for.
        expected: Date,
        /// The date in the file.
        got: Date,
    },
    /// A file that is embedded in the file is wrong.
    #[error("date {date}: {error}")]
    Part {
        /// The date that the embedded file is about.
        date: Date,
        /// What is wrong with it.
        error: alloc::boxed::Box<ParseError>,
    },
}

//! A second reader of the format, written from `FORMAT.md` alone: slow, literal, and without a line
//! of the library. An error is the name of its class.
//!
//! The tests of gcs-core read the golden files with it, and the fuzz targets hold the library against
//! it, input by input.

#![allow(dead_code, unreachable_pub, reason = "each test and the fuzz targets use their own part")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it reads anything")]

pub(crate) mod bits;
pub(crate) mod bundle;
pub(crate) mod delta;
pub(crate) mod dsse;
pub(crate) mod exports;
pub(crate) mod json;
pub(crate) mod manifest;
pub(crate) mod mutant;
pub(crate) mod paths;
pub(crate) mod records;
pub(crate) mod seed_files;
pub(crate) mod seeds;
pub(crate) mod set;
pub(crate) mod set_index;
pub(crate) mod table;

use std::fmt::Debug;
use std::panic::Location;

use sha2::{Digest as _, Sha256};

/// What was read, or the class of the error.
pub(crate) type Outcome<T> = Result<T, String>;

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// The digest that stands for none.
pub(crate) const ZERO: Digest = [0; 32];

/// 9999-12-31.
const LAST_DATE: u32 = 2_932_896;

/// An error of this class unless `ok`.
#[track_caller]
pub(crate) fn expect(ok: bool, class: &str) -> Outcome<()> {
    let holds = ok || mutant::overlooks(Location::caller(), class);
    if holds { Ok(()) } else { Err(class.to_owned()) }
}

/// Puts `part` and a dot before the class of an error.
pub(crate) fn within<T>(part: &str, outcome: Outcome<T>) -> Outcome<T> {
    outcome.map_err(|class| format!("{part}.{class}"))
}

/// SHA-256 of some byte strings, joined.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    Sha256::digest(parts.concat()).into()
}

/// Some bytes, and their SHA-256 behind them.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &sha256(&[bytes])].concat()
}

/// Some bytes with the last 32 replaced by the SHA-256 of those before; fewer as they are.
pub(crate) fn resealed(file: &[u8]) -> Vec<u8> {
    file.len().checked_sub(32).map_or_else(|| file.to_vec(), |end| sealed(&file[..end]))
}

/// What an outcome of another reader is in the words of this one. The class of an error is how its
/// name begins.
pub(crate) fn class<T, E: Debug>(outcome: &Result<T, E>) -> Outcome<()> {
    outcome.as_ref().map(drop).map_err(|error| {
        let name = format!("{error:?}");
        match name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default() {
            "Note" => "Limit".to_owned(),
            class => class.to_owned(),
        }
    })
}

/// Section 1: a date is a number of days up to 9999-12-31.
#[track_caller]
pub(crate) fn expect_date(date: u32) -> Outcome<()> {
    expect(date <= LAST_DATE, "Limit")
}

/// Section 1, limits: a hash range is 1 to 2^57 - 1.
#[track_caller]
pub(crate) fn expect_range(range: u64) -> Outcome<()> {
    expect((1..1 << 57).contains(&range), "Limit")
}

/// The fields of a file, by ascending offset.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: u128) -> Outcome<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| "Length")?;
        let (field, rest) = self.rest.split_at_checked(len).ok_or("Length")?;
        self.rest = rest;
        Ok(field)
    }

    fn array<const LEN: usize>(&mut self) -> Outcome<[u8; LEN]> {
        let (field, rest) = self.rest.split_first_chunk().ok_or("Length")?;
        self.rest = rest;
        Ok(*field)
    }

    pub(crate) fn u8(&mut self) -> Outcome<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Outcome<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Outcome<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Outcome<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn digest(&mut self) -> Outcome<Digest> {
        self.array()
    }

    pub(crate) fn salt(&mut self) -> Outcome<[u8; 16]> {
        self.array()
    }

    /// Six bytes of magic, then the version, which is 1.
    pub(crate) fn magic(&mut self, magic: &[u8; 6]) -> Outcome<()> {
        expect(self.array::<6>()? == *magic, "Magic")?;
        expect(self.u16()? == 1, "Version")
    }

    /// A date, validated as it is read.
    #[track_caller]
    pub(crate) fn date(&mut self) -> Outcome<u32> {
        let date = self.u32()?;
        expect_date(date)?;
        Ok(date)
    }

    /// A hash range, validated as it is read.
    #[track_caller]
    pub(crate) fn range(&mut self) -> Outcome<u64> {
        let range = self.u64()?;
        expect_range(range)?;
        Ok(range)
    }

    /// `len` reserved bytes, which are zero.
    #[track_caller]
    pub(crate) fn reserved(&mut self, len: u128) -> Outcome<()> {
        expect(self.bytes(len)?.iter().all(|byte| *byte == 0), "Padding")
    }

    /// Nothing follows.
    #[track_caller]
    pub(crate) fn end(&self) -> Outcome<()> {
        expect(self.rest.is_empty(), "Length")
    }
}

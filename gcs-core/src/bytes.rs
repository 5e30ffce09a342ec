//! Reading and writing headers: no read goes beyond the end of the bytes.

use alloc::vec::Vec;

use byteorder::{ByteOrder, LittleEndian};

#[cfg(feature = "protocol")]
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;

/// Version of every binary file.
pub(crate) const VERSION: u16 = 1;

/// Length of a SHA-256 trailer.
pub(crate) const TRAILER_LEN: usize = 32;

/// Reads the fields of a file from front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// A cursor behind the magic and version, which must be `magic` and [`VERSION`].
    pub(crate) fn open(bytes: &'a [u8], magic: &[u8; 6]) -> Result<Cursor<'a>, ParseError> {
        let mut cursor = Cursor::new(bytes);
        let got = cursor.array::<6>()?;
        if got != *magic {
            return Err(ParseError::Magic { expected: *magic, got });
        }
        let got = cursor.u16()?;
        if got != VERSION {
            return Err(ParseError::Version { expected: VERSION, got });
        }
        Ok(cursor)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], ParseError> {
        let left = &self.bytes[self.at..];
        let taken = usize::try_from(len).ok().and_then(|len| left.get(..len));
        let taken = taken.ok_or_else(|| ParseError::Length {
            expected: (self.at as u64).saturating_add(len),
            got: self.bytes.len() as u64,
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ParseError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ParseError> {
        Ok(LittleEndian::read_u16(&self.array::<2>()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ParseError> {
        Ok(LittleEndian::read_u32(&self.array::<4>()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ParseError> {
        Ok(LittleEndian::read_u64(&self.array::<8>()?))
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, ParseError> {
        Ok(Digest(self.array()?))
    }

    /// How many bytes were taken.
    pub(crate) fn position(&self) -> u64 {
        self.at as u64
    }

    /// Bytes not taken yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// A reserved field of `len` bytes, all zero.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<(), ParseError> {
        let zero = self.take(len)?.iter().all(|&byte| byte == 0);
        if zero { Ok(()) } else { Err(ParseError::Padding) }
    }
}

/// Methods that only the files of the protocol need.
#[cfg(feature = "protocol")]
impl<'a> Cursor<'a> {
    pub(crate) fn date(&mut self) -> Result<Date, ParseError> {
        let days = self.u32()?;
        Date::from_days(days).map_err(|_| ParseError::Limit {
            field: "date",
            max: u64::from(Date::MAX.days()),
            got: u64::from(days),
        })
    }

    /// Fails unless everything was taken.
    pub(crate) fn finish(self) -> Result<(), ParseError> {
        expect_len(self.bytes, self.at as u64)
    }
}

/// Fails unless `bytes` is exactly `expected` long.
pub(crate) fn expect_len(bytes: &[u8], expected: u64) -> Result<(), ParseError> {
    let got = bytes.len() as u64;
    if got == expected { Ok(()) } else { Err(ParseError::Length { expected, got }) }
}

/// Fails unless `got` is at most `max`.
pub(crate) fn expect_at_most(field: &'static str, got: u64, max: u64) -> Result<(), ParseError> {
    if got <= max { Ok(()) } else { Err(ParseError::Limit { field, max, got }) }
}

/// Fails unless `got` is `expected`.
pub(crate) fn expect_equal(field: &'static str, got: u64, expected: u64) -> Result<(), ParseError> {
    if got == expected { Ok(()) } else { Err(ParseError::Mismatch { field, expected, got }) }
}

/// Fails unless the SHA-256 of `bytes` is `expected`.
pub(crate) fn expect_digest(
    field: &'static str,
    bytes: &[u8],
    expected: Digest,
) -> Result<(), ParseError> {
    let got = Digest::of(bytes);
    if got == expected { Ok(()) } else { Err(ParseError::Digest { field, expected, got }) }
}

/// Fails unless the last 32 bytes are the SHA-256 of all before them; returns it.
pub(crate) fn expect_trailer(bytes: &[u8]) -> Result<Digest, ParseError> {
    let Some((body, trailer)) = bytes.split_last_chunk::<TRAILER_LEN>() else {
        return Err(ParseError::Length { expected: TRAILER_LEN as u64, got: bytes.len() as u64 });
    };
    let expected = Digest(*trailer);
    expect_digest("trailer", body, expected)?;
    Ok(expected)
}

/// Appends fields to a file; integers are little-endian.
pub(crate) trait Put {
    fn open(magic: &[u8; 6]) -> Self;
    fn put(&mut self, bytes: &[u8]) -> &mut Self;

    fn put_u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }
    fn put_u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }
    fn put_u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }
    fn put_u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }
}

impl Put for Vec<u8> {
    fn open(magic: &[u8; 6]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put(magic).put_u16(VERSION);
        bytes
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Vec<u8> {
        self.extend_from_slice(bytes);
        self
    }
}

/// Appends the SHA-256 of all bytes so far; returns it.
pub(crate) fn seal(bytes: &mut Vec<u8>) -> Digest {
    let digest = Digest::of(bytes);
    bytes.put(&digest.0);
    digest
}

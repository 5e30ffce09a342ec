//! Decoding and validating a set's file piece by piece.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::{ReadError, SetReader, State, read_some};
use crate::bytes::TRAILER_LEN;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::rice::{CHUNK, RiceReader};
use crate::set::set::HEADER_LEN;

impl<R: Read> SetReader<R> {
    /// Everything as it is behind the header, of these bytes.
    pub(super) fn restart(&mut self, header: &[u8; HEADER_LEN]) {
        self.hasher = Sha256::new_with_prefix(header);
        self.read = HEADER_LEN as u64;
        (self.filled, self.bit, self.dropped) = (0, 0, 0);
        (self.at, self.end) = (0, 0);
        (self.next, self.left) = (0, self.header.shape.len);
        self.state = State::Reading;
    }

    /// Decodes the next values if all before are consumed; leaves none at the valid end.
    pub(super) fn prepare(&mut self) -> Result<(), ReadError> {
        while self.at == self.end {
            match &self.state {
                State::Reading if self.left > 0 => self.decode()?,
                State::Reading => self.validate_end()?,
                State::Valid(_) => return Ok(()),
                State::Invalid(error) => return Err(error.clone().into()),
                State::Lost => {
                    let message = "going back to the first value failed: go back again";
                    return Err(io::Error::other(message).into());
                }
            }
            if self.next > self.header.shape.bound {
                // Some value is too large. What the error is depends on what follows.
                self.at = self.end;
            }
        }
        Ok(())
    }

    /// Decodes as many values as are buffered, at least one and at most a chunk.
    fn decode(&mut self) -> Result<(), ReadError> {
        let wanted = (self.left as usize).min(CHUNK);
        let usual = wanted as u64 * u64::from(self.header.shape.parameter + 4);
        if self.bit + usual > 8 * self.filled as u64 && self.code_left() > 0 {
            self.refill()?;
        }
        let mut count = self.decode_exactly(0, wanted);
        if count == 0 {
            // Some long codes: take those that are here one by one.
            while count < wanted && self.decode_exactly(count, 1) == 1 {
                count += 1;
            }
        }
        if count == 0 && self.code_left() == 0 {
            let (bits, values) = (self.header.shape.bits, u64::from(self.header.shape.len));
            return self.fail(ParseError::Overrun { bits, values });
        }
        if count == 0 && self.refill()? == 0 {
            self.skip_ones();
        }
        (self.at, self.end) = (0, count);
        self.left -= count as u32;
        Ok(())
    }

    /// Decodes `count` values to the chunk, from `at` on, and returns `count`; or nothing, and
    /// returns 0, if they are not all buffered.
    fn decode_exactly(&mut self, at: usize, count: usize) -> usize {
        let end = (8 * self.filled as u64).min(self.header.shape.bits - 8 * self.dropped);
        let bytes = &self.buffer[..self.filled];
        let reader = RiceReader::new(bytes, self.header.shape.parameter, end);
        let mut reader = reader.resume(self.bit, self.next);
        if reader.fill(&mut self.chunk[at..at + count]).is_err() {
            return 0;
        }
        (self.bit, self.next) = (reader.bit(), reader.next_least());
        count
    }

    /// Takes all ones that are buffered from a run of ones that the buffer cannot hold. Each
    /// of them adds `2^P` to the next value, whatever follows.
    fn skip_ones(&mut self) {
        let end = 8 * self.filled as u64;
        let mut ones = 0;
        while self.bit < end {
            let byte = self.buffer[(self.bit / 8) as usize] >> (self.bit % 8);
            let run = byte.trailing_ones();
            ones += u64::from(run);
            self.bit += u64::from(run);
            if !self.bit.is_multiple_of(8) || run == 0 {
                break;
            }
        }
        // All ones of a code together, times 2^P, are far below 2^64: see `Shape::validate`.
        self.next = self.next.wrapping_add(ones.wrapping_shl(self.header.shape.parameter));
    }

    /// Bytes of code that are not read yet.
    fn code_left(&self) -> u64 {
        self.header.shape.bytes() - self.dropped - self.filled as u64
    }

    /// Drops what is decoded from the buffer and fills it again; returns how many bytes came.
    /// Fails if the file ends before the code does.
    fn refill(&mut self) -> Result<usize, ReadError> {
        let decoded = (self.bit / 8) as usize;
        self.buffer.copy_within(decoded..self.filled, 0);
        self.filled -= decoded;
        self.bit %= 8;
        self.dropped += decoded as u64;
        let before = self.filled;
        loop {
            let room = self.buffer.len() - self.filled;
            let wanted = self.code_left().min(room as u64) as usize;
            let into = &mut self.buffer[self.filled..self.filled + wanted];
            if wanted == 0 {
                return Ok(self.filled - before);
            }
            let count = read_some(&mut self.source, into)?;
            if count == 0 {
                return self.fail(self.wrong_length());
            }
            self.hasher.update(&into[..count]);
            self.filled += count;
            self.read += count as u64;
        }
    }

    /// The error of a file that has another length than its header says. A file that is too
    /// long is not read to its end.
    fn wrong_length(&self) -> ParseError {
        ParseError::Length { expected: self.header.file_len(), got: self.read }
    }

    /// Ends in an error for good, unless the length of the file is wrong: that comes first.
    fn fail<T>(&mut self, error: ParseError) -> Result<T, ReadError> {
        let error = if matches!(error, ParseError::Length { .. }) {
            error
        } else {
            self.read_rest()?.err().unwrap_or(error)
        };
        (self.at, self.end) = (0, 0);
        self.state = State::Invalid(error.clone());
        Err(error.into())
    }

    /// Reads what follows the code that is buffered: more code, which is not decoded, the
    /// trailer, and nothing more. The inner error is that of another length.
    fn read_rest(&mut self) -> Result<Result<(), ParseError>, ReadError> {
        let trailer_at = self.header.file_len() - TRAILER_LEN as u64;
        while self.read < trailer_at {
            let room = self.buffer.len() as u64;
            let now = (trailer_at - self.read).min(room) as usize;
            // Only after an error: nobody decodes what is overwritten.
            match read_some(&mut self.source, &mut self.buffer[..now])? {
                0 => return Ok(Err(self.wrong_length())),
                count => self.read += count as u64,
            }
        }
        while self.read < self.header.file_len() {
            let at = (self.read - trailer_at) as usize;
            match read_some(&mut self.source, &mut self.trailer[at..])? {
                0 => return Ok(Err(self.wrong_length())),
                count => self.read += count as u64,
            }
        }
        self.read += read_some(&mut self.source, &mut [0])? as u64;
        if self.read > self.header.file_len() {
            return Ok(Err(self.wrong_length()));
        }
        Ok(Ok(()))
    }

    /// Validates everything but the values, once these are decoded.
    fn validate_end(&mut self) -> Result<(), ReadError> {
        let shape = self.header.shape;
        let bits = 8 * self.dropped + self.bit;
        if bits != shape.bits {
            let (expected, got) = (bits, shape.bits);
            return self.fail(ParseError::Mismatch { field: "bit length", expected, got });
        }
        if self.next > shape.bound {
            let (max, got) = (shape.bound - 1, self.next - 1);
            return self.fail(ParseError::Limit { field: "last value", max, got });
        }
        // All bits are taken, so the last byte is buffered, if there is any.
        let last = self.buffer[..self.filled].last().copied().unwrap_or(0);
        if !bits.is_multiple_of(8) && last >> (bits % 8) != 0 {
            return self.fail(ParseError::Padding);
        }
        if let Err(error) = self.read_rest()? {
            return self.fail(error);
        }
        let (expected, got) = (Digest(self.trailer), Digest(self.hasher.clone().finalize().into()));
        if expected != got {
            return self.fail(ParseError::Digest { field: "trailer", expected, got });
        }
        self.state = State::Valid(got);
        Ok(())
    }
}

//! Coding.

use alloc::vec::Vec;
use core::ops::Range;

use super::reader::WHOLE_BITS;
use super::{Code, LOAD_BITS, RiceReader};

/// Bytes of [`WHOLE_BITS`].
const WHOLE_BYTES: usize = WHOLE_BITS as usize / 8;

/// How many values are coded at a time.
const BATCH: usize = 64;

/// Appends the code of strictly ascending values to bytes.
pub(crate) struct RiceWriter {
    bytes: Vec<u8>,
    /// Where the next byte of the code goes; `bytes` reaches at least 8 bytes further.
    at: usize,
    start: usize,
    pending: u64,
    pending_bits: u32,
    parameter: u32,
    /// One more than the last value: the smallest value that may come next.
    next: u64,
    len: u32,
}

impl RiceWriter {
    /// A writer that appends to `bytes`, with room for `len` values expected.
    pub(crate) fn append_to(mut bytes: Vec<u8>, parameter: u32, len: u32) -> RiceWriter {
        let start = bytes.len();
        // 1.6 bits of quotient and stop bit a code, and a reserve; the buffer can still grow.
        let expected = (u64::from(len) * u64::from(16 * parameter + 27)).div_ceil(128);
        bytes.resize(start + expected as usize + 16, 0);
        RiceWriter {
            bytes,
            at: start,
            start,
            pending: 0,
            pending_bits: 0,
            parameter,
            next: 0,
            len: 0,
        }
    }

    /// Begins another sequence with another P, behind the bits of the one before.
    pub(crate) fn restart(&mut self, parameter: u32) {
        (self.parameter, self.next) = (parameter, 0);
    }

    /// Codes `value`, which must exceed every value before it.
    #[inline]
    pub(crate) fn push(&mut self, value: u64) {
        debug_assert!(value >= self.next, "values ascend");
        let gap = value.wrapping_sub(self.next);
        self.next = value.wrapping_add(1);
        self.len += 1;
        self.push_gap(gap);
    }

    /// Codes values that ascend from the last one on. Equal ones are coded once.
    ///
    /// A batch at a time, so that its room is made once and the state stays in registers.
    pub(crate) fn extend(&mut self, values: &[u64]) {
        let mut left = values;
        while !left.is_empty() {
            let done = self.extend_short(&left[..left.len().min(BATCH)]);
            left = &left[done..];
            if done < BATCH
                && let Some((&value, rest)) = left.split_first()
            {
                if value >= self.next {
                    self.push(value);
                }
                left = rest;
            }
        }
    }

    /// Codes the values of a batch until one is coded already or has a long code; returns how
    /// many it coded.
    #[inline]
    fn extend_short(&mut self, batch: &[u64]) -> usize {
        let needed = self.at + 8 * BATCH + 8;
        if needed > self.bytes.len() {
            self.bytes.resize(needed + self.bytes.len() / 2, 0);
        }
        let RiceWriter { at, parameter, mut pending, mut pending_bits, mut next, .. } = *self;
        let room = &mut self.bytes[at..needed];
        let (mask, fixed) = ((1u64 << parameter) - 1, parameter + 1);
        // With the bits that wait, a code must fit into 63 bits.
        let Some(longest) = (LOAD_BITS - 1).checked_sub(fixed).map(u64::from) else { return 0 };
        let (mut offset, mut done) = (0, 0);
        for &value in batch {
            // Of a value that is coded already, the gap wraps, so that its quotient is long.
            let gap = value.wrapping_sub(next);
            let quotient = gap >> parameter;
            if quotient > longest {
                break;
            }
            // Less one, the bit above the quotient's place becomes a zero and the ones below it.
            let code = ((((gap & mask) << 1) | 1) << quotient) - 1;
            pending |= code << pending_bits;
            pending_bits += quotient as u32 + fixed;
            room[offset..offset + 8].copy_from_slice(&pending.to_le_bytes());
            offset += (pending_bits >> 3) as usize;
            pending >>= pending_bits & !7;
            pending_bits &= 7;
            next = value + 1;
            done += 1;
        }
        self.len += done as u32;
        (self.at, self.pending, self.pending_bits, self.next) =
            (at + offset, pending, pending_bits, next);
        done
    }

    /// Appends codes of another sequence of the same P, as they are there from bit `start` on.
    /// The value before them must be the last one here too.
    pub(crate) fn copy(&mut self, from: &RiceReader<'_>, start: u64, codes: &[Code]) {
        let Some(last) = codes.last() else { return };
        let to_byte = u64::from(self.pending_bits.wrapping_neg() & 7).min(last.end - start);
        self.put_from(from, start..start + to_byte);
        let rest = self.copy_words(from, start + to_byte..last.end);
        self.put_from(from, rest);
        self.next = last.value + 1;
        self.len += codes.len() as u32;
    }

    /// Appends at most [`WHOLE_BITS`] bits of another code.
    fn put_from(&mut self, from: &RiceReader<'_>, bits: Range<u64>) {
        let count = bits.end - bits.start;
        self.put(from.bits_at(bits.start) & ((1 << count) - 1), count as u32);
    }

    /// Appends whole words of another code to this one, which ends on a byte if there are any.
    /// Returns the bits that are left, fewer than a word. No word waits for the one before.
    fn copy_words(&mut self, from: &RiceReader<'_>, mut bits: Range<u64>) -> Range<u64> {
        debug_assert!(self.pending_bits == 0 || bits.is_empty());
        let words = (bits.end - bits.start) / u64::from(WHOLE_BITS);
        let len = words as usize * WHOLE_BYTES;
        let needed = self.at + len + 8;
        if needed > self.bytes.len() {
            self.bytes.resize(needed + self.bytes.len() / 2, 0);
        }
        // The last byte of each store is written again by the next one.
        for at in (self.at..self.at + len).step_by(WHOLE_BYTES) {
            self.bytes[at..at + 8].copy_from_slice(&from.bits_at(bits.start).to_le_bytes());
            bits.start += u64::from(WHOLE_BITS);
        }
        self.at += len;
        bits
    }

    /// One more than the last value: the smallest value that may come next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    #[inline]
    fn push_gap(&mut self, gap: u64) {
        let quotient = gap >> self.parameter;
        let remainder = gap & ((1 << self.parameter) - 1);
        let bits = quotient + 1 + u64::from(self.parameter);
        if bits <= u64::from(LOAD_BITS) {
            let ones = (1 << quotient) - 1;
            self.put(ones | (remainder << (quotient + 1)), bits as u32);
        } else {
            self.put_long(quotient, remainder);
        }
    }

    #[cold]
    fn put_long(&mut self, quotient: u64, remainder: u64) {
        self.put_ones(quotient);
        self.put(0, 1);
        self.put(remainder, self.parameter);
    }

    fn put_ones(&mut self, mut count: u64) {
        while count >= 32 {
            self.put((1 << 32) - 1, 32);
            count -= 32;
        }
        self.put((1 << count) - 1, count as u32);
    }

    /// Appends the low `count ≤ 57` bits of `bits`, the rest of which are zero.
    #[inline]
    fn put(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.pending_bits;
        self.pending_bits += count;
        if self.at + 8 > self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 3 / 2 + 64, 0);
        }
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.pending.to_le_bytes());
        let whole = self.pending_bits >> 3;
        self.at += whole as usize;
        self.pending = self.pending.checked_shr(whole * 8).unwrap_or(0);
        self.pending_bits &= 7;
    }

    /// How many values were coded.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Ends the code on a byte; returns the buffer, how many values it codes, and the
    /// exact length in bits of what was not taken.
    pub(crate) fn finish(mut self) -> (Vec<u8>, u32, u64) {
        let bits = (self.at - self.start) as u64 * 8 + u64::from(self.pending_bits);
        if self.pending_bits > 0 {
            // Not written since whole bytes were taken, perhaps.
            self.bytes[self.at] = self.pending as u8;
        }
        self.bytes.truncate(self.at + usize::from(self.pending_bits > 0));
        (self.bytes, self.len, bits)
    }
}

/// For codes that are written in pieces.
#[cfg(feature = "std")]
impl RiceWriter {
    /// Codes the first `most` ones of the quotient of `value` if it has more, and returns
    /// whether it did. What is left is coded as if the last value had been larger.
    #[inline]
    pub(crate) fn push_ones(&mut self, value: u64, most: u64) -> bool {
        if self.ones_of(value) <= most {
            return false;
        }
        self.put_ones(most);
        self.next = self.next.wrapping_add(most << self.parameter);
        true
    }

    /// How many ones the quotient of `value` has if it comes next.
    #[inline]
    pub(crate) fn ones_of(&self, value: u64) -> u64 {
        value.wrapping_sub(self.next) >> self.parameter
    }

    /// How many whole bytes are coded since they were last taken.
    pub(crate) fn whole_len(&self) -> usize {
        self.at - self.start
    }

    /// Takes the whole bytes that are coded, so that a long code can be written in pieces:
    /// they are gone with the next value.
    pub(crate) fn take_whole(&mut self) -> &[u8] {
        let whole = self.start..self.at;
        self.at = self.start;
        &self.bytes[whole]
    }
}

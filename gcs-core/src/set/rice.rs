//! Golomb–Rice coding of strictly ascending integers.
//!
//! A value is coded as its gap: the first value as it is, every later one as the
//! distance to its predecessor less one, so that duplicates cannot be written. A gap
//! is its quotient by `2^P` in unary, as ones ended by a zero, then the P bits of its
//! remainder; all least significant bit first within each byte. This is the bit
//! convention of Safe Browsing's Rice coding.
//!
//! R. F. Rice, "Some practical universal noiseless coding techniques", JPL 79-22, 1979;
//! S. W. Golomb, "Run-length encodings", IEEE Trans. Inf. Theory 12(3), 1966.
//!
//! Decoding reads through unaligned 64-bit loads, of which at least 57 bits count: four codes
//! a load with P ≤ 6, two with P ≤ 20, above that one. Longer codes take a slower path.

use alloc::vec::Vec;

use super::hash_range::HashRange;
use crate::error::ParseError;

/// Bits of a load that count whatever its bit offset within the first byte.
const LOAD_BITS: u32 = 57;

/// How many values are decoded at a time: 2 KiB, well within a first-level cache.
pub(crate) const CHUNK: usize = 256;

/// How many values are coded at a time.
const BLOCK: usize = 64;

/// The properties that a coded sequence declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Every value is below it. It is the hash range for fingerprints, and the length of the
    /// base for ranks.
    pub bound: u64,
    /// How many values.
    pub len: u32,
    /// Rice parameter P.
    pub parameter: u32,
    /// Exact length of the code in bits.
    pub bits: u64,
}

impl Shape {
    /// Length of the code in whole bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bits.div_ceil(8)
    }

    /// The only legal Rice parameter. (Ranks in an empty base have bound 0 and length 0.)
    pub(crate) fn canonical_parameter(&self) -> u32 {
        HashRange::new(self.bound).map_or(0, |bound| bound.rice_parameter(self.len))
    }

    /// Least and greatest length in bits of a code of this length and parameter.
    pub(crate) fn possible_bits(&self) -> (u64, u64) {
        let least = u64::from(self.len) * u64::from(self.parameter + 1);
        let quotients = if self.len == 0 { 0 } else { self.bound >> self.parameter };
        (least, least + quotients)
    }

    /// Fails unless P is the canonical one and the bit length is possible at all:
    /// each code takes P + 1 bits and its quotient, and all quotients together are at
    /// most `bound >> P`. From here on the bit length alone bounds every unary run.
    pub(crate) fn validate(&self) -> Result<(), ParseError> {
        if u64::from(self.len) > self.bound {
            let got = u64::from(self.len);
            return Err(ParseError::Limit { field: "length", max: self.bound, got });
        }
        let parameter = self.canonical_parameter();
        if self.parameter != parameter {
            return Err(ParseError::Mismatch {
                field: "Rice parameter",
                expected: u64::from(parameter),
                got: u64::from(self.parameter),
            });
        }
        let (least, most) = self.possible_bits();
        if self.bits < least || self.bits > most {
            return Err(ParseError::BitLength { least, most, got: self.bits });
        }
        Ok(())
    }
}

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
    /// A block at a time, so that its room is made once and the state stays in registers.
    pub(crate) fn extend(&mut self, values: &[u64]) {
        let mut blocks = values;
        while !blocks.is_empty() {
            let done = self.extend_short(&blocks[..blocks.len().min(BLOCK)]);
            blocks = &blocks[done..];
            if done < BLOCK
                && let Some((&value, rest)) = blocks.split_first()
            {
                if value >= self.next {
                    self.push(value);
                }
                blocks = rest;
            }
        }
    }

    /// Codes the values of a block until one is coded already or has a long code; returns how
    /// many it coded.
    #[inline]
    fn extend_short(&mut self, block: &[u64]) -> usize {
        let needed = self.at + 8 * BLOCK + 8;
        if needed > self.bytes.len() {
            self.bytes.resize(needed + self.bytes.len() / 2, 0);
        }
        let RiceWriter { at, parameter, mut pending, mut pending_bits, mut next, .. } = *self;
        let room = &mut self.bytes[at..needed];
        let (mask, fixed) = ((1u64 << parameter) - 1, parameter + 1);
        // With the bits that wait, a code must fit into 63 bits.
        let Some(longest) = (LOAD_BITS - 1).checked_sub(fixed).map(u64::from) else { return 0 };
        let (mut offset, mut done) = (0, 0);
        for &value in block {
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

/// The code ran past its declared end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overrun;

/// Decodes what [`RiceWriter`] wrote, a chunk of values at a time.
#[derive(Clone, Debug)]
pub(crate) struct RiceReader<'a> {
    /// The code and the bytes behind it, which a load may read but a code may not use.
    bytes: &'a [u8],
    bit: u64,
    end: u64,
    parameter: u32,
    next: u64,
}

impl<'a> RiceReader<'a> {
    /// A reader of the `bits` bits at the start of `bytes`. Loads are fastest when at
    /// least 8 bytes follow the code, as a trailer does.
    pub(crate) fn new(bytes: &'a [u8], parameter: u32, bits: u64) -> RiceReader<'a> {
        RiceReader { bytes, bit: 0, end: bits, parameter, next: 0 }
    }

    /// A reader that goes on at bit `bit`, where `next` is the least possible value.
    pub(crate) fn resume(&self, bit: u64, next: u64) -> RiceReader<'a> {
        RiceReader { bit, next, ..self.clone() }
    }

    /// Loads the word at a bit, so that it is near when the code there is read.
    #[inline]
    pub(crate) fn touch(&self, bit: u64) {
        core::hint::black_box(inverted_word(self.bytes, bit));
    }

    /// Bits read so far.
    pub(crate) fn bit(&self) -> u64 {
        self.bit
    }

    /// One more than the last value read.
    pub(crate) fn next_least(&self) -> u64 {
        self.next
    }

    /// Decodes exactly `out.len() ≤ CHUNK` values.
    ///
    /// Nothing overflows, whatever the bytes: [`Shape::validate`] bounds the sums, a gap of
    /// the fast path is below `2^58`, and a chunk that overran its end is thrown away.
    pub(crate) fn fill(&mut self, out: &mut [u64]) -> Result<(), Overrun> {
        debug_assert!(out.len() <= CHUNK);
        let mut done = 0;
        while done < out.len() {
            let rest = &mut out[done..];
            // As many codes a load as leave room for their quotients and those before.
            done += match self.parameter {
                0..=6 => self.fill_groups::<4>(rest),
                7..=20 => self.fill_groups::<2>(rest),
                _ => self.fill_groups::<1>(rest),
            };
            // A long quotient, the end of the bytes, or of `out`.
            for slot in out[done..].iter_mut().take(2) {
                *slot = self.read_one()?;
                done += 1;
            }
        }
        if self.bit > self.end { Err(Overrun) } else { Ok(()) }
    }

    /// Fills groups of K values until quotients are too long; returns how many values it read.
    fn fill_groups<const K: usize>(&mut self, out: &mut [u64]) -> usize {
        let groups = out.as_chunks_mut::<K>().0.iter_mut();
        K * self.read_groups(groups, |group, values| {
            *group = values;
            true
        })
    }

    /// How many of the next `left` values lie before `value`, if it is one of them. Reads little
    /// further.
    #[inline]
    pub(crate) fn steps_to(self, value: u64, left: u32) -> Option<u32> {
        match self.parameter {
            0..=6 => self.steps_in_groups::<4>(value, left),
            7..=20 => self.steps_in_groups::<2>(value, left),
            _ => self.steps_in_groups::<1>(value, left),
        }
    }

    #[inline]
    fn steps_in_groups<const K: usize>(mut self, value: u64, left: u32) -> Option<u32> {
        let mut steps = 0;
        while steps < left {
            let mut reached = None;
            let read = self.read_groups(0..(left - steps) as usize / K, |_, values: [u64; K]| {
                let below = values[K - 1] < value;
                reached = (!below).then_some(values);
                below
            });
            steps += (K * read) as u32;
            if let Some(values) = reached {
                let at = values.iter().position(|&read| read == value)?;
                return Some(steps - (K - at) as u32);
            }
            // A long quotient, the end of the bytes, or of what is left.
            for _ in 0..(left - steps).min(2) {
                let read = self.read_one().ok()?;
                if read >= value {
                    return (read == value).then_some(steps);
                }
                steps += 1;
            }
        }
        None
    }

    /// Reads a group of K codes, by one load, for each of `groups`, until `visit` wants no more
    /// or quotients are too long for a load; returns how many groups it read.
    ///
    /// What limits the speed is one chain: count a run, shift by it, shift by P + 1. A load
    /// takes as long as a code, so the next word is loaded before its bit is known: from where
    /// it would start if all quotients here were 0. They are shifted out of it later. Measured
    /// (Zen 3) at P = 19: 2.1 ns a code; 2.9 with loads from the exact bit, 2.2 with a buffer
    /// that is topped up. Bounds checks are off the chain and cost nothing.
    #[inline(always)]
    fn read_groups<const K: usize, G>(
        &mut self,
        groups: impl Iterator<Item = G>,
        mut visit: impl FnMut(G, [u64; K]) -> bool,
    ) -> usize {
        let RiceReader { bytes, mut bit, parameter, .. } = *self;
        let fixed = parameter + 1;
        let (mask, shortest) = ((1u64 << fixed) - 2, K as u32 * fixed);
        let Some(word) = inverted_word(bytes, bit) else { return 0 };
        let mut zeros = word >> (bit & 7);
        let mut room = LOAD_BITS - shortest;
        // Twice the value before, as remainders stand one bit above the quotient's end.
        let mut doubled = self.next.wrapping_sub(1) << 1;
        let mut done = 0;
        for group in groups {
            let least = bit + u64::from(shortest);
            let Some(word) = inverted_word(bytes, least) else { break };
            let (mut rest, mut quotients, mut after) = (zeros, 0, doubled);
            let values = core::array::from_fn(|_| {
                let quotient = rest.trailing_zeros();
                rest = rest.wrapping_shr(quotient);
                // The remainder is 2^P - 1 less the inverted one, so the value grows by
                // (quotient + 1) * 2^P - inverted remainder.
                let step = (u64::from(quotient) + 1).wrapping_shl(fixed);
                after = after.wrapping_add(step).wrapping_sub(rest & mask);
                rest = rest.wrapping_shr(fixed);
                quotients += quotient;
                after >> 1
            });
            if quotients > room {
                break;
            }
            room = LOAD_BITS - shortest - quotients;
            zeros = word.wrapping_shr((least & 7) as u32 + quotients);
            (bit, doubled) = (least + u64::from(quotients), after);
            done += 1;
            if !visit(group, values) {
                break;
            }
        }
        if done > 0 {
            (self.bit, self.next) = (bit, (doubled >> 1) + 1);
        }
        done
    }

    /// Reads one code, with one load if it fits.
    #[inline]
    fn read_one(&mut self) -> Result<u64, Overrun> {
        let Some(word) = load(self.bytes, self.bit) else { return self.read_slowly() };
        let quotient = word.trailing_ones();
        let bits = quotient + 1 + self.parameter;
        if bits > LOAD_BITS {
            return self.read_slowly();
        }
        let remainder = (word >> (quotient + 1)) & ((1u64 << self.parameter) - 1);
        let gap = (u64::from(quotient) << self.parameter) | remainder;
        self.bit += u64::from(bits);
        Ok(self.advance(gap))
    }

    /// Reads one code of any length, in at most two loads and one for every 57 ones.
    #[cold]
    fn read_slowly(&mut self) -> Result<u64, Overrun> {
        let mut bit = self.bit;
        let mut quotient = 0u64;
        loop {
            if bit >= self.end {
                return Err(Overrun);
            }
            let ones = load_padded(self.bytes, bit).trailing_ones().min(LOAD_BITS);
            quotient += u64::from(ones);
            bit += u64::from(ones);
            if ones < LOAD_BITS {
                break;
            }
        }
        let remainder = load_padded(self.bytes, bit + 1) & ((1u64 << self.parameter) - 1);
        self.bit = bit + 1 + u64::from(self.parameter);
        if self.bit > self.end {
            return Err(Overrun);
        }
        // Cannot overflow: quotients within `end` times 2^P stay far below 2^64.
        Ok(self.advance(quotient.wrapping_shl(self.parameter) | remainder))
    }

    #[inline]
    fn advance(&mut self, gap: u64) -> u64 {
        let value = self.next.wrapping_add(gap);
        self.next = value.wrapping_add(1);
        value
    }
}

/// The 64 bits from the byte of `bit` on, inverted so that a quotient is a run of zeros.
#[inline]
fn inverted_word(bytes: &[u8], bit: u64) -> Option<u64> {
    let word = bytes.get((bit >> 3) as usize..)?.first_chunk::<8>()?;
    Some(!u64::from_le_bytes(*word))
}

/// The 64 bits at the byte of `bit`, shifted so that `bit` comes first; `None` within
/// 8 bytes of the end.
#[inline]
fn load(bytes: &[u8], bit: u64) -> Option<u64> {
    let word = bytes.get((bit >> 3) as usize..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*word) >> (bit & 7))
}

/// [`load`], with zeros behind the last byte.
fn load_padded(bytes: &[u8], bit: u64) -> u64 {
    let tail = bytes.get((bit >> 3) as usize..).unwrap_or(&[]);
    let mut word = [0; 8];
    let count = tail.len().min(8);
    word[..count].copy_from_slice(&tail[..count]);
    u64::from_le_bytes(word) >> (bit & 7)
}

/// Validates a whole code: the number of values, that they lie below the bound, the exact
/// bit length, zero padding. More bytes may follow it.
pub(crate) fn validate(bytes: &[u8], shape: &Shape) -> Result<(), ParseError> {
    validate_with(bytes, shape, |_| ())
}

/// [`validate`], which shows the values to `visit` as it reads them, chunk by chunk.
pub(crate) fn validate_with(
    bytes: &[u8],
    shape: &Shape,
    mut visit: impl FnMut(&[u64]),
) -> Result<(), ParseError> {
    shape.validate()?;
    let mut reader = RiceReader::new(bytes, shape.parameter, shape.bits);
    let mut chunk = [0; CHUNK];
    let mut left = shape.len as usize;
    while left > 0 {
        let now = left.min(CHUNK);
        let overrun = ParseError::Overrun { bits: shape.bits, values: u64::from(shape.len) };
        reader.fill(&mut chunk[..now]).map_err(|Overrun| overrun)?;
        visit(&chunk[..now]);
        left -= now;
    }
    if reader.bit() != shape.bits {
        return Err(ParseError::Mismatch {
            field: "bit length",
            expected: reader.bit(),
            got: shape.bits,
        });
    }
    // One more than the last value; 0 if there is none.
    if reader.next_least() > shape.bound {
        let got = reader.next_least() - 1;
        return Err(ParseError::Limit { field: "last value", max: shape.bound - 1, got });
    }
    let padding = load_padded(bytes, shape.bits) & ((1 << (shape.bits.wrapping_neg() & 7)) - 1);
    if padding != 0 {
        return Err(ParseError::Padding);
    }
    Ok(())
}

/// Iterates over a validated code.
#[derive(Clone, Debug)]
pub(crate) struct Values<'a> {
    reader: RiceReader<'a>,
    /// Values not decoded yet.
    left: u32,
    chunk: [u64; CHUNK],
    at: usize,
    filled: usize,
}

impl<'a> Values<'a> {
    /// The next `left` values of `reader`.
    pub(crate) fn new(reader: RiceReader<'a>, left: u32) -> Values<'a> {
        Values { reader, left, chunk: [0; CHUNK], at: 0, filled: 0 }
    }

    /// How many values are still to come.
    pub(crate) fn remaining(&self) -> u64 {
        u64::from(self.left) + (self.filled - self.at) as u64
    }

    /// The rest of the present chunk, or the next chunk if nothing is left of it; empty at
    /// the end.
    #[inline]
    pub(crate) fn next_chunk(&mut self) -> &[u64] {
        if self.at == self.filled {
            self.refill();
        }
        let chunk = &self.chunk[self.at..self.filled];
        self.at = self.filled;
        chunk
    }

    /// [`Values::next_chunk`], but its values stay the next ones.
    #[inline]
    pub(crate) fn peek_chunk(&mut self) -> &[u64] {
        if self.at == self.filled {
            self.refill();
        }
        &self.chunk[self.at..self.filled]
    }

    /// Skips the first `count` values of the present chunk.
    #[inline]
    pub(crate) fn skip_in_chunk(&mut self, count: usize) {
        self.at = (self.at + count).min(self.filled);
    }

    fn refill(&mut self) {
        let now = (self.left as usize).min(CHUNK);
        self.left -= now as u32;
        self.at = 0;
        // A validated code does not overrun. If it did, iteration would end here.
        self.filled = if self.reader.fill(&mut self.chunk[..now]).is_ok() { now } else { 0 };
    }
}

impl Iterator for Values<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if self.at == self.filled {
            self.refill();
            if self.filled == 0 {
                return None;
            }
        }
        let value = self.chunk[self.at];
        self.at += 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn encode(values: &[u64], parameter: u32) -> (Vec<u8>, u64) {
        let mut writer = RiceWriter::append_to(Vec::new(), parameter, values.len() as u32);
        for &value in values {
            writer.push(value);
        }
        let (bytes, len, bits) = writer.finish();
        assert_eq!(len as usize, values.len());
        let mut blocks = RiceWriter::append_to(Vec::new(), parameter, values.len() as u32);
        let twice: Vec<u64> = values.iter().flat_map(|&value| [value; 2]).collect();
        blocks.extend(&twice[..values.len()]);
        blocks.extend(&twice[values.len()..]);
        assert_eq!(blocks.finish(), (bytes.clone(), len, bits), "value by value, and in blocks");
        (bytes, bits)
    }

    fn decode(bytes: &[u8], parameter: u32, bits: u64, len: usize) -> Result<Vec<u64>, Overrun> {
        let mut reader = RiceReader::new(bytes, parameter, bits);
        let mut values = vec![0; len];
        for chunk in values.chunks_mut(CHUNK) {
            reader.fill(chunk)?;
        }
        assert_eq!(reader.bit(), bits);
        Ok(values)
    }

    /// Turns gaps into values: the first gap is the first value, each later value is its gap and
    /// one more above the value before.
    fn ascending(gaps: &[u64]) -> Vec<u64> {
        let mut next = 0;
        gaps.iter()
            .map(|gap| {
                let value = next + gap;
                next = value + 1;
                value
            })
            .collect()
    }

    proptest! {
        #[test]
        fn round_trips_at_every_parameter(
            parameter in 0u32..=56,
            gaps in prop::collection::vec((0u64..5, any::<u64>(), 0u64..300), 0..700),
            padding in 0usize..12,
        ) {
            // Mostly short quotients, now and then one that needs the slow path.
            let gaps: Vec<u64> = gaps
                .iter()
                .map(|&(quotient, remainder, odd)| {
                    let quotient = if odd == 0 { 40 + remainder % 90 } else { quotient };
                    (quotient << parameter.min(45)) | (remainder & ((1 << parameter.min(45)) - 1))
                })
                .collect();
            let values = ascending(&gaps);
            let (mut bytes, bits) = encode(&values, parameter);
            prop_assert_eq!(bytes.len() as u64, bits.div_ceil(8));
            // The result must not depend on the bytes behind the code, or on whether there are any.
            bytes.extend(core::iter::repeat_n(0xff, padding));
            prop_assert_eq!(decode(&bytes, parameter, bits, values.len()), Ok(values));
        }

        #[test]
        fn any_bytes_end_in_values_or_overrun(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff)], 0..200),
            parameter in 0u32..=56,
            len in 0usize..300,
        ) {
            let bits = bytes.len() as u64 * 8;
            let mut reader = RiceReader::new(&bytes, parameter, bits);
            let mut values = vec![0; len];
            for chunk in values.chunks_mut(CHUNK) {
                if reader.fill(chunk).is_err() {
                    return Ok(());
                }
            }
            prop_assert!(reader.bit() <= bits);
        }
    }

    /// The vectors of Chromium's Safe Browsing decoder, which codes bare integers: the
    /// first is our first value, every later one a gap.
    #[test]
    fn codes_the_vectors_of_safe_browsing() {
        let file = include_str!("../../tests/vectors/foreign/rice-safe-browsing.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let parameter = vector["k"].as_u64().unwrap() as u32;
            let gaps: Vec<u64> =
                vector["values"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
            let hex = vector["hex"].as_str().unwrap();
            let expected = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
            let values = ascending(&gaps);
            let (bytes, bits) = encode(&values, parameter);
            assert_eq!(bytes, expected);
            assert_eq!(decode(&bytes, parameter, bits, values.len()), Ok(values));
        }
    }

    #[test]
    fn a_run_of_ones_without_end_is_an_overrun() {
        for length in [0, 1, 7, 8, 9, 100] {
            let bytes = vec![0xff; length];
            for parameter in [0, 20, 56] {
                let mut out = [0; 2];
                let mut reader = RiceReader::new(&bytes, parameter, length as u64 * 8);
                assert_eq!(reader.fill(&mut out), Err(Overrun));
            }
        }
    }
}

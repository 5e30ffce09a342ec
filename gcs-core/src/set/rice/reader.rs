//! Decoding.
//!
//! Decoding reads through unaligned 64-bit loads, of which at least 57 bits count: four codes
//! a load with P ≤ 6, two with P ≤ 20, above that one. Longer codes take a slower path.

use super::{CHUNK, LOAD_BITS};

/// Bits that count of every load and are whole bytes, so that the next load is shifted as far.
pub(super) const WHOLE_BITS: u32 = LOAD_BITS & !7;

/// A value, and the bit of the code at which its own code ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Code {
    pub value: u64,
    pub end: u64,
}

impl Code {
    /// Where the next code begins, and the least possible value there.
    #[inline]
    pub(crate) fn after(self) -> (u64, u64) {
        (self.end, self.value + 1)
    }
}

/// What is kept of a code when it is read: its value alone, or the [`Code`].
pub(crate) trait Decoded: Copy + Default {
    fn from_code(code: Code) -> Self;
    fn value(self) -> u64;
}

impl Decoded for u64 {
    #[inline]
    fn from_code(code: Code) -> u64 {
        code.value
    }

    #[inline]
    fn value(self) -> u64 {
        self
    }
}

impl Decoded for Code {
    #[inline]
    fn from_code(code: Code) -> Code {
        code
    }

    #[inline]
    fn value(self) -> u64 {
        self.value
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
    pub(crate) fn fill<T: Decoded>(&mut self, out: &mut [T]) -> Result<(), Overrun> {
        debug_assert!(out.len() <= CHUNK);
        let mut done = 0;
        while done < out.len() {
            let rest = &mut out[done..];
            // As many codes a load as leave room for their quotients and those before.
            done += match self.parameter {
                0..=6 => self.fill_groups::<4, T>(rest),
                7..=20 => self.fill_groups::<2, T>(rest),
                _ => self.fill_groups::<1, T>(rest),
            };
            // A long quotient, the end of the bytes, or of `out`.
            for slot in out[done..].iter_mut().take(2) {
                let value = self.read_one()?;
                *slot = T::from_code(Code { value, end: self.bit });
                done += 1;
            }
        }
        if self.bit > self.end { Err(Overrun) } else { Ok(()) }
    }

    /// Fills groups of K values until quotients are too long; returns how many values it read.
    fn fill_groups<const K: usize, T: Decoded>(&mut self, out: &mut [T]) -> usize {
        let groups = out.as_chunks_mut::<K>().0.iter_mut();
        K * self.read_groups(groups, |group, codes| {
            *group = codes.map(T::from_code);
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
            let read = self.read_groups(0..(left - steps) as usize / K, |_, codes: [Code; K]| {
                let below = codes[K - 1].value < value;
                reached = (!below).then_some(codes);
                below
            });
            steps += (K * read) as u32;
            if let Some(codes) = reached {
                let at = codes.iter().position(|code| code.value == value)?;
                return Some(steps + at as u32);
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

    /// Reads the next value, if the code does not end before.
    #[inline]
    pub(crate) fn read(&mut self) -> Option<u64> {
        self.read_one().ok()
    }

    /// How many bits from `bit` on are the same in another code from where it stands, up to `end`.
    pub(crate) fn common_bits(&self, bit: u64, end: u64, other: &RiceReader<'_>) -> u64 {
        let most = (end - bit).min(other.end - other.bit);
        let mut same = 0;
        while same < most {
            let (here, there) = (bit + same, other.bit + same);
            let differing = match (load(self.bytes, here), load(other.bytes, there)) {
                (Some(bits), Some(others)) => bits ^ others,
                _ => load_padded(self.bytes, here) ^ load_padded(other.bytes, there),
            };
            let equal = differing.trailing_zeros();
            if equal < WHOLE_BITS {
                return most.min(same + u64::from(equal));
            }
            same += u64::from(WHOLE_BITS);
        }
        most
    }

    /// At least [`LOAD_BITS`] bits from a bit on.
    #[inline]
    pub(super) fn bits_at(&self, bit: u64) -> u64 {
        load(self.bytes, bit).unwrap_or_else(|| load_padded(self.bytes, bit))
    }

    /// Reads a group of K codes, by one load, for each of `groups`, until quotients are too long
    /// for a load, or `visit` does not want those it is shown; these count as not read. Returns how
    /// many groups it read.
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
        mut visit: impl FnMut(G, [Code; K]) -> bool,
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
            let codes = core::array::from_fn(|i| {
                let quotient = rest.trailing_zeros();
                rest = rest.wrapping_shr(quotient);
                // The remainder is 2^P - 1 less the inverted one, so the value grows by
                // (quotient + 1) * 2^P - inverted remainder.
                let step = (u64::from(quotient) + 1).wrapping_shl(fixed);
                after = after.wrapping_add(step).wrapping_sub(rest & mask);
                rest = rest.wrapping_shr(fixed);
                quotients += quotient;
                let length = (i as u32 + 1) * fixed + quotients;
                Code { value: after >> 1, end: bit + u64::from(length) }
            });
            if quotients > room {
                break;
            }
            if !visit(group, codes) {
                break;
            }
            room = LOAD_BITS - shortest - quotients;
            zeros = word.wrapping_shr((least & 7) as u32 + quotients);
            (bit, doubled) = (least + u64::from(quotients), after);
            done += 1;
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
pub(super) fn load_padded(bytes: &[u8], bit: u64) -> u64 {
    let tail = bytes.get((bit >> 3) as usize..).unwrap_or(&[]);
    let mut word = [0; 8];
    let count = tail.len().min(8);
    word[..count].copy_from_slice(&tail[..count]);
    u64::from_le_bytes(word) >> (bit & 7)
}

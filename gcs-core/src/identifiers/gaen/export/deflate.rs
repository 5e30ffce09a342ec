//! Compression whose bytes stay the same for ever, as the path of a published file needs: those of a
//! library may change with its release.

use alloc::vec::Vec;

/// Longest and shortest match, and how far back one may be.
const LONGEST: usize = 258;
const SHORTEST: usize = 3;
const FARTHEST: usize = 1 << 15;

/// Bits of the numbers by which three bytes are looked up.
const HASH_BITS: u32 = 15;

/// Deflates bytes, as one block of fixed Huffman codes (RFC 1951, section 3.2.6). What repeats is taken
/// from where its first three bytes came last, if it is there. Of the keys of an export it takes about 15 % more bytes
/// than the best codes. O(n) time; 128 KiB of memory besides the result. For fewer than 2^32 bytes.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Bits::default();
    out.put(0b011, 3); // The last block, of fixed codes.
    // Where each three bytes came last, plus one.
    let mut places = alloc::vec![0u32; 1 << HASH_BITS];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let before = place_of(bytes, at).map_or(0, |place| places[place] as usize);
        let distance = at + 1 - before;
        let is_near = before > 0 && distance <= FARTHEST;
        let length = if is_near { common(bytes, before - 1, at) } else { 0 };
        let taken = if length >= SHORTEST {
            out.put_match(length, distance);
            length
        } else {
            out.put_symbol(u16::from(byte));
            1
        };
        for at in at..at + taken {
            if let Some(place) = place_of(bytes, at) {
                places[place] = at as u32 + 1;
            }
        }
        at += taken;
    }
    out.put_symbol(256); // The end of the block.
    out.finish()
}

/// Where three bytes are looked up.
fn place_of(bytes: &[u8], at: usize) -> Option<usize> {
    let &[a, b, c] = bytes.get(at..)?.first_chunk()?;
    let number = u32::from_le_bytes([a, b, c, 0]);
    Some((number.wrapping_mul(0x9E37_79B1) >> (u32::BITS - HASH_BITS)) as usize)
}

/// How many bytes are the same in two places, up to the longest match.
fn common(bytes: &[u8], before: usize, at: usize) -> usize {
    let pairs = bytes[before..].iter().zip(&bytes[at..]).take(LONGEST);
    pairs.take_while(|(a, b)| a == b).count()
}

/// Bits, the first in the least significant place of a byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        self.waiting |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.waiting as u8);
            (self.waiting, self.count) = (self.waiting >> 8, self.count - 8);
        }
    }

    /// A Huffman code, whose most significant bit comes first.
    fn put_code(&mut self, code: u16, count: u32) {
        self.put(u64::from(code.reverse_bits()) >> (u16::BITS - count), count);
    }

    /// A byte, the end of the block (256), or a length (257 and above).
    fn put_symbol(&mut self, symbol: u16) {
        match symbol {
            0..144 => self.put_code(0x30 + symbol, 8),
            144..256 => self.put_code(0x190 + symbol - 144, 9),
            256..280 => self.put_code(symbol - 256, 7),
            _ => self.put_code(0xC0 + symbol - 280, 8),
        }
    }

    fn put_match(&mut self, length: usize, distance: usize) {
        let number = length - SHORTEST;
        match number {
            0..8 => self.put_symbol(257 + number as u16),
            255 => self.put_symbol(285),
            _ => {
                let extra = number.ilog2() - 2;
                self.put_symbol(257 + 4 * extra as u16 + (number >> extra) as u16);
                self.put((number & ((1 << extra) - 1)) as u64, extra);
            }
        }
        let number = distance - 1;
        match number {
            0..4 => self.put_code(number as u16, 5),
            _ => {
                let extra = number.ilog2() - 1;
                self.put_code(2 * extra as u16 + (number >> extra) as u16, 5);
                self.put((number & ((1 << extra) - 1)) as u64, extra);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.waiting as u8);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn inflate(deflated: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut decoder = flate2::bufread::DeflateDecoder::new(deflated);
        decoder.read_to_end(&mut bytes).unwrap();
        assert_eq!(decoder.total_in(), deflated.len() as u64);
        bytes
    }

    #[test]
    fn every_length_and_distance_is_read_back() {
        let noise: Vec<u8> =
            (0..40_000u64).map(|at| ((at * at * 0x9E37_79B9) >> 17) as u8).collect();
        for length in 3..=300 {
            let bytes = [&noise[..length], &[7; 2], &noise[..length]].concat();
            assert_eq!(inflate(&deflate(&bytes)), bytes, "{length}");
        }
        for distance in (1..=9).chain((3..=15).flat_map(|bits| (1 << bits) - 1..(1 << bits) + 3)) {
            let bytes =
                [&noise[..distance.max(300)], &noise[distance.max(300) - distance..][..200]];
            let bytes = bytes.concat();
            assert_eq!(inflate(&deflate(&bytes)), bytes, "{distance}");
        }
        let same = [5; 1000];
        assert_eq!(inflate(&deflate(&same)), same);
        assert!(deflate(&same).len() < 20);
    }

    /// From an independent reading of RFC 1951: `zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_FIXED)`.
    #[test]
    fn small_texts_are_those_of_another_program() {
        let of = |text: &[u8]| data_encoding::HEXLOWER.encode(&deflate(text));
        assert_eq!(of(b""), "0300");
        assert_eq!(of(b"abc"), "4b4c4a0600");
    }

    proptest! {
        #[test]
        fn whatever_is_deflated_is_read_back(
            words in prop::collection::vec((0usize..12, prop::collection::vec(any::<u8>(), 0..40)), 0..80),
        ) {
            // Some words come again.
            let words: Vec<&[u8]> = words.iter().map(|(back, word)| match back {
                0..8 => words[*back % words.len()].1.as_slice(),
                _ => word,
            }).collect();
            let bytes = words.concat();
            prop_assert_eq!(inflate(&deflate(&bytes)), bytes);
        }
    }
}

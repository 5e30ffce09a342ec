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

mod codes;
mod reader;
mod values;
mod writer;

use alloc::vec::Vec;

use super::hash_range::HashRange;
use crate::error::ParseError;

use reader::load_padded;

pub(super) use codes::Codes;
pub(crate) use reader::{Code, Decoded, Overrun, RiceReader};
pub(crate) use values::Values;
pub(crate) use writer::RiceWriter;

/// Bits of a load that count whatever its bit offset within the first byte.
const LOAD_BITS: u32 = 57;

/// How many values are decoded at a time: 2 KiB, well within a first-level cache.
pub(crate) const CHUNK: usize = 256;

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

/// Validates a whole code: the number of values, that they lie below the bound, the exact
/// bit length, zero padding. More bytes may follow it.
pub(crate) fn validate(bytes: &[u8], shape: &Shape) -> Result<(), ParseError> {
    validate_with(bytes, shape, |_: &[u64]| ())
}

/// [`validate`], which shows the values to `visit` as it reads them, chunk by chunk.
pub(crate) fn validate_with<T: Decoded>(
    bytes: &[u8],
    shape: &Shape,
    mut visit: impl FnMut(&[T]),
) -> Result<(), ParseError> {
    shape.validate()?;
    let mut reader = RiceReader::new(bytes, shape.parameter, shape.bits);
    let mut chunk = [T::default(); CHUNK];
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
    expect_padding(bytes, shape.bits)
}

/// Fails unless the bits behind a code of `bits` bits are zero to the end of its last byte.
pub(crate) fn expect_padding(bytes: &[u8], bits: u64) -> Result<(), ParseError> {
    let padding = load_padded(bytes, bits) & ((1 << (bits.wrapping_neg() & 7)) - 1);
    if padding == 0 { Ok(()) } else { Err(ParseError::Padding) }
}

/// Appends the code of ascending `values` below `bound`, at most `2^32 - 1` of them.
pub(crate) fn append(data: &mut Vec<u8>, bound: u64, values: &[u64]) -> Shape {
    let mut shape = Shape { bound, len: values.len() as u32, parameter: 0, bits: 0 };
    shape.parameter = shape.canonical_parameter();
    let mut writer = RiceWriter::append_to(core::mem::take(data), shape.parameter, shape.len);
    writer.extend(values);
    (*data, _, shape.bits) = writer.finish();
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
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

    fn packed(bits: &[bool]) -> Vec<u8> {
        let byte =
            |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        bits.chunks(8).map(byte).collect()
    }

    proptest! {
        /// At any place in a byte, near the end of the bytes and far from it.
        #[test]
        fn common_bits_are_all_before_the_first_that_differs(
            bits in prop::collection::vec(any::<bool>(), 1..400),
            before in prop::collection::vec(any::<bool>(), 0..12),
            other_before in prop::collection::vec(any::<bool>(), 0..12),
            differing in prop::option::of(any::<prop::sample::Index>()),
            ends in any::<[prop::sample::Index; 2]>(),
        ) {
            let mut others = bits.clone();
            let differing = differing.map(|at| at.index(bits.len()));
            differing.into_iter().for_each(|at| others[at] = !others[at]);
            let ends = ends.map(|end| end.index(bits.len() + 1));
            let expected = differing.unwrap_or(bits.len()).min(ends[0]).min(ends[1]);

            let (bit, other_bit) = (before.len() as u64, other_before.len() as u64);
            let (end, other_end) = (bit + ends[0] as u64, other_bit + ends[1] as u64);
            let (bytes, other_bytes) = (packed(&[before, bits].concat()), packed(&[other_before, others].concat()));
            let reader = RiceReader::new(&bytes, 0, end);
            let other = RiceReader::new(&other_bytes, 0, other_end).resume(other_bit, 0);
            prop_assert_eq!(reader.common_bits(bit, end, &other), expected as u64);
        }
    }

    /// The vectors of Chromium's Safe Browsing decoder, which codes bare integers: the
    /// first is our first value, every later one a gap.
    #[test]
    fn codes_the_vectors_of_safe_browsing() {
        let file = include_str!("../../../tests/vectors/foreign/rice-safe-browsing.json");
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

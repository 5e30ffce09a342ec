//! What changed between two codes of one P, and a code with its changes, on the codes' bits.
//!
//! A value is coded as the distance to the one before, so what stands between two changes has the
//! same bits in both codes: there only the base is decoded, and the other code compared or copied.
//! [`super::changes`] has the same for values, whatever they come from.

use alloc::vec::Vec;

use super::changes::{self, Changes, Piece};
use super::error::DeltaError;
use super::rice::{Codes, RiceReader, RiceWriter};

/// Ranks of the values that only `base` has, and the values that only `target` has.
///
/// Measured on x86-64 (Zen 3), with 1 % removed and 1 % added: 2.0 times a decode. To decode both
/// and compare values takes 2.6.
pub(super) fn between(
    mut base: Codes<'_>,
    mut target: RiceReader<'_>,
    target_len: u32,
) -> (Vec<u64>, Vec<u64>) {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut left, mut rank) = (target_len as usize, 0);
    loop {
        // Both stand behind the same value.
        let passed = base.skip_common(&mut target);
        rank += passed as u64;
        left -= passed;
        let mut read_new = || {
            left = left.checked_sub(1)?;
            target.read()
        };
        let (mut old, mut new) = (base.peek(), read_new());
        while old != new {
            if old.is_some_and(|old| new.is_none_or(|new| old < new)) {
                removed.push(rank);
                rank += 1;
                base.consume(1);
                old = base.peek();
            } else {
                added.extend(new);
                new = read_new();
            }
        }
        if old.is_none() {
            return (removed, added);
        }
        base.consume(1);
        rank += 1;
    }
}

/// Codes the values of `base` with its changes, with the P of the base.
pub(super) fn apply(
    mut base: Codes<'_>,
    (removed, added): Changes<'_>,
    out: &mut RiceWriter,
) -> Result<(), DeltaError> {
    let (mut removed, mut added) = (removed.peekable(), added.peekable());
    let mut rank = 0;
    loop {
        let count = base.chunk().len();
        if count == 0 {
            break;
        }
        let codes = base.present();
        changes::apply_to_chunk(codes, rank, &mut removed, &mut added, &mut |piece| {
            match piece {
                Piece::Added(value) => out.push(value),
                Piece::Span(span) => base.copy(span, out),
            }
            Ok::<(), DeltaError>(())
        })?;
        rank += count as u64;
        base.consume(count);
    }
    added.for_each(|new| out.push(new));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::rice::Values;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A code of ascending values, followed by bytes that are not zero.
    struct Coded {
        bytes: Vec<u8>,
        parameter: u32,
        bits: u64,
        len: u32,
    }

    impl Coded {
        fn new(values: impl IntoIterator<Item = u64>, parameter: u32) -> Coded {
            let mut writer = RiceWriter::append_to(Vec::new(), parameter, 0);
            values.into_iter().for_each(|value| writer.push(value));
            let (mut bytes, len, bits) = writer.finish();
            bytes.extend([0xa5; 12]);
            Coded { bytes, parameter, bits, len }
        }

        fn reader(&self) -> RiceReader<'_> {
            RiceReader::new(&self.bytes, self.parameter, self.bits)
        }

        fn codes(&self) -> Codes<'_> {
            Codes::new(self.reader(), self.len)
        }

        fn values(&self) -> Values<'_> {
            Values::new(self.reader(), self.len)
        }
    }

    /// Values with short and long gaps, what is taken away, and what is new.
    fn sets() -> impl Strategy<Value = (BTreeSet<u64>, BTreeSet<u64>)> {
        let gap = prop_oneof![20 => 0u64..40, 1 => 0u64..4000];
        let gaps = prop::collection::vec(gap, 0..900);
        let one_in = prop_oneof![Just(1u64), Just(2), Just(30), Just(400)];
        (gaps, any::<u64>(), one_in).prop_map(|(gaps, seed, one_in)| {
            let mut values = gaps.iter().scan(0, |next, gap| {
                *next += gap + 1;
                Some(*next - 1)
            });
            let (mut base, mut target) = (BTreeSet::new(), BTreeSet::new());
            for (number, value) in (1u64..).zip(values.by_ref()) {
                let random = seed.wrapping_mul(number).rotate_left(29) % (2 * one_in);
                if random != 0 {
                    base.insert(value);
                }
                if random != 1 {
                    target.insert(value);
                }
            }
            (base, target)
        })
    }

    proptest! {
        #[test]
        fn changes_are_those_of_sets((base, target) in sets(), parameter in 0u32..12) {
            let (old, new) = (base.iter().copied(), target.iter().copied());
            let (base_code, target_code) = (Coded::new(old.clone(), parameter), Coded::new(new, parameter));
            let (removed, added) = between(base_code.codes(), target_code.reader(), target_code.len);
            let expected: Vec<u64> = (0..).zip(old).filter(|(_, value)| !target.contains(value)).map(|(rank, _)| rank).collect();
            prop_assert_eq!(&removed, &expected);
            prop_assert_eq!(&added, &target.difference(&base).copied().collect::<Vec<u64>>());

            let (removed, added) = (Coded::new(removed, 3), Coded::new(added, 9));
            let mut out = RiceWriter::append_to(Vec::new(), parameter, 0);
            prop_assert_eq!(apply(base_code.codes(), (removed.values(), added.values()), &mut out), Ok(()));
            let (bytes, len, bits) = out.finish();
            prop_assert_eq!((len, bits), (target_code.len, target_code.bits));
            prop_assert_eq!(&bytes[..], &target_code.bytes[..bytes.len()]);
        }

        #[test]
        fn an_addition_that_is_there_is_an_error((base, _) in sets(), parameter in 0u32..12, at in any::<prop::sample::Index>()) {
            let Some(&value) = base.iter().nth(at.index(base.len().max(1))) else { return Ok(()) };
            let base = Coded::new(base, parameter);
            let (removed, added) = (Coded::new([], 0), Coded::new([value], 4));
            let mut out = RiceWriter::append_to(Vec::new(), parameter, 0);
            let result = apply(base.codes(), (removed.values(), added.values()), &mut out);
            prop_assert_eq!(result, Err(DeltaError::AlreadyPresent { value }));
        }
    }
}

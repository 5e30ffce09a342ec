//! Section 3: the Rice code, one bit at a time.

use bitvec::prelude::{BitSlice, BitVec, Lsb0};
use bitvec::view::BitView as _;

use super::{Outcome, expect};

/// What describes a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// R: all values are below.
    pub(crate) bound: u64,
    /// n: how many values there are.
    pub(crate) count: u32,
    /// P: the Rice parameter.
    pub(crate) parameter: u8,
    /// B: the length in bits.
    pub(crate) bits: u64,
}

/// P(R, n): the largest p with 26·R ≥ 27·n·2^p.
pub(crate) fn parameter(bound: u64, count: u32) -> u8 {
    if count == 0 {
        return 0;
    }
    let fits = |p: &u8| 26 * u128::from(bound) >= 27 * u128::from(count) * (1 << *p);
    (0..=64).take_while(fits).last().unwrap_or(0)
}

impl Shape {
    /// The shape checks of section 3.
    pub(crate) fn validate(self) -> Outcome<()> {
        expect(u64::from(self.count) <= self.bound, "Limit")?;
        expect(self.parameter == parameter(self.bound, self.count), "Mismatch")?;
        let least = u128::from(self.count) * (u128::from(self.parameter) + 1);
        let most =
            if self.count == 0 { 0 } else { least + u128::from(self.bound >> self.parameter) };
        expect((least..=most).contains(&u128::from(self.bits)), "BitLength")
    }

    /// How many bytes the code takes.
    pub(crate) fn bytes(self) -> u128 {
        u128::from(self.bits).div_ceil(8)
    }

    /// The code checks of section 3, of bytes that are all there; then the values, ascending.
    pub(crate) fn decode(self, code: &[u8]) -> Outcome<Vec<u64>> {
        let (gaps, taken) = gaps(self.parameter, self.count, 0, self.bits, code)?;
        expect(taken == self.bits, "Mismatch")?;

        let mut values: Vec<u128> = Vec::new();
        for gap in gaps {
            values.push(values.last().map_or(gap, |before| before + 1 + gap));
        }
        expect(values.last().is_none_or(|last| *last < u128::from(self.bound)), "Limit")?;

        let padding = code.view_bits::<Lsb0>().iter().by_vals().skip(taken as usize);
        expect(padding.into_iter().all(|bit| !bit), "Padding")?;
        values.into_iter().map(|value| u64::try_from(value).map_err(|_| "Limit".into())).collect()
    }
}

/// `count` gaps from the bits of a code from `start` to before `end`, and where they end.
pub(crate) fn gaps(
    parameter: u8,
    count: u32,
    start: u64,
    end: u64,
    code: &[u8],
) -> Outcome<(Vec<u128>, u64)> {
    let bits: &BitSlice<u8, Lsb0> = code.view_bits();
    let mut at = start;
    let mut next = || {
        expect(at < end, "Overrun")?;
        let bit = usize::try_from(at).ok().and_then(|at| bits.get(at)).ok_or("Overrun")?;
        at += 1;
        Ok::<bool, String>(*bit)
    };

    let mut gaps = Vec::new();
    for _ in 0..count {
        let mut quotient: u128 = 0;
        while next()? {
            quotient += 1;
        }
        let mut low: u128 = 0;
        for place in 0..parameter {
            low += u128::from(next()?) << place;
        }
        gaps.push((quotient << parameter) + low);
    }
    Ok((gaps, at))
}

/// The one code of some ascending values below `bound`, with its shape.
pub(crate) fn encode(
    bound: u64,
    values: impl IntoIterator<Item = u64>,
) -> Outcome<(Shape, Vec<u8>)> {
    let values: Vec<u64> = values.into_iter().collect();
    let count = u32::try_from(values.len()).map_err(|_| "Limit")?;
    expect(values.is_sorted_by(|a, b| a < b), "Order")?;
    expect(values.last().is_none_or(|last| *last < bound), "Limit")?;
    let parameter = parameter(bound, count);
    let (code, bits) = code(&values, parameter);
    Ok((Shape { bound, count, parameter, bits }, code))
}

/// The code of ascending values under any parameter, and its length in bits.
pub(crate) fn code(values: &[u64], parameter: u8) -> (Vec<u8>, u64) {
    let mut code: BitVec<u8, Lsb0> = BitVec::new();
    let mut free = 0; // the least value that may come next
    for value in values {
        let gap = value - free;
        free = value + 1;
        for _ in 0..gap >> parameter {
            code.push(true);
        }
        code.push(false);
        for place in 0..parameter {
            code.push(gap >> place & 1 == 1);
        }
    }
    let bits = code.len() as u64;
    code.set_uninitialized(false);
    (code.into_vec(), bits)
}

//! Where in a code to look for a fingerprint.
//!
//! The hash range is divided into buckets of some 16 fingerprints. Of each bucket we keep where
//! its code begins, and which of its 64 cells hold a fingerprint at all. Four of five
//! fingerprints that are not in the set lie in an empty cell; of these no code is read, and a
//! query is one memory access.

use alloc::vec::Vec;

use super::rice::Code;

/// Fingerprints in a bucket, on average.
pub(super) const BUCKET: u64 = 16;

/// Buckets in a line.
const LINE: usize = 3;

/// The buckets of one cache line, and where the first of them begins.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    /// Where its first bucket begins; see [`CodePlace::pack`].
    place: [u64; 2],
    buckets: [Bucket; LINE],
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// A bit for each 64th of the bucket that holds a fingerprint.
    cells: u64,
    /// How far behind its line's place the bucket begins: 16 bits of bits, 8 bits of ranks, 40
    /// bits of fingerprints; [`FAR`] if it is farther.
    start: u64,
}

impl Line {
    #[inline]
    fn bucket(&self, bucket: u64) -> Bucket {
        self.buckets[(bucket % LINE as u64) as usize]
    }
}

/// A bucket that begins too far from its line: it is read from the line's place on.
const FAR: u64 = u64::MAX;

/// A place in a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodePlace {
    /// Where the next code begins.
    pub bit: u64,
    /// One more than the last value before.
    pub next: u64,
    /// How many values are before.
    pub rank: u32,
}

/// The buckets of one set.
#[derive(Clone)]
pub(super) struct Buckets {
    scale: Scale,
    lines: Vec<Line>,
}

/// Buckets in the hash range, as a fraction of `2^64`.
#[derive(Clone, Copy)]
struct Scale(u64);

impl Scale {
    /// The bucket and the cell to which a fingerprint belongs.
    #[inline]
    fn locate(self, fingerprint: u64) -> (u64, u64) {
        let scaled = u128::from(fingerprint) * u128::from(self.0);
        ((scaled >> 64) as u64, (scaled as u64) >> 58)
    }
}

impl Buckets {
    #[inline]
    fn line(&self, bucket: u64) -> Option<&Line> {
        self.lines.get(usize::try_from(bucket / LINE as u64).ok()?)
    }

    /// Whether a fingerprint's cell holds one, so that it may be in the set. One access to
    /// memory, and no branch that waits for it.
    #[inline]
    pub(super) fn may_hold(&self, fingerprint: u64) -> bool {
        let (bucket, cell) = self.scale.locate(fingerprint);
        let cells = self.line(bucket).map_or(0, |line| line.bucket(bucket).cells);
        (cells >> cell) & 1 == 1
    }

    /// Where a fingerprint's bucket begins in the code; `None` if its cell is empty, so that it
    /// is not in the set.
    #[inline]
    pub(super) fn find(&self, fingerprint: u64) -> Option<CodePlace> {
        let (bucket, cell) = self.scale.locate(fingerprint);
        let line = self.line(bucket)?;
        let Bucket { cells, start } = line.bucket(bucket);
        if (cells >> cell) & 1 == 0 {
            return None;
        }
        Some(CodePlace::unpack(line.place).plus(start))
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&self.lines[..])
    }
}

impl CodePlace {
    /// Two words: 38 bits of bits, which are at most 2^32 codes of 58 bits; 32 bits of ranks; 57
    /// bits of fingerprints.
    fn pack(self) -> [u64; 2] {
        let rank = u64::from(self.rank);
        [self.bit | (rank << 38), (rank >> 26) | (self.next << 6)]
    }

    #[inline]
    fn unpack([low, high]: [u64; 2]) -> CodePlace {
        let rank = (low >> 38) | ((high & 0x3f) << 26);
        CodePlace { bit: low & ((1 << 38) - 1), next: high >> 6, rank: rank as u32 }
    }

    /// The place behind a code, the last of `count` from here on.
    fn behind(self, code: Code, count: usize) -> CodePlace {
        let (bit, next) = code.after();
        CodePlace { bit, next, rank: self.rank + count as u32 }
    }

    /// The place of a bucket whose line begins here.
    #[inline]
    fn plus(self, start: u64) -> CodePlace {
        if start == FAR {
            return self;
        }
        CodePlace {
            bit: self.bit + (start & 0xffff),
            next: self.next + (start >> 24),
            rank: self.rank + ((start >> 16) & 0xff) as u32,
        }
    }

    /// What [`CodePlace::plus`] adds to this place to come to a later one.
    fn distance_to(self, later: CodePlace) -> u64 {
        let bits = later.bit - self.bit;
        let (ranks, values) = (later.rank - self.rank, later.next - self.next);
        if bits > 0xffff || ranks > 0xff || values >= (1 << 40) - 1 {
            return FAR;
        }
        bits | (u64::from(ranks) << 16) | (values << 24)
    }
}

/// Fills buckets while a code is read from front to back.
pub(super) struct BucketsWriter {
    buckets: Buckets,
    /// How many buckets have begun.
    begun: u64,
    /// The cells of the bucket that began last, which are written when the next one begins.
    cells: u64,
    here: CodePlace,
    /// The place of the line that began last.
    line: CodePlace,
    /// The hash range, below which all values must lie.
    bound: u64,
}

impl BucketsWriter {
    /// A writer for `len` values below `bound`.
    pub(super) fn new(bound: u64, len: u32) -> BucketsWriter {
        let lines = u64::from(len).div_ceil(BUCKET * LINE as u64).clamp(1, bound);
        let scale = (u128::from(lines * LINE as u64) << 64) / u128::from(bound);
        let scale = Scale(u64::try_from(scale).unwrap_or(u64::MAX));
        let buckets = Buckets { scale, lines: alloc::vec![Line::default(); lines as usize] };
        BucketsWriter {
            buckets,
            begun: 0,
            cells: 0,
            here: CodePlace::default(),
            line: CodePlace::default(),
            bound,
        }
    }

    /// Takes the next codes.
    pub(super) fn take(&mut self, codes: &[Code]) {
        // Bytes that are no set may code values beyond their hash range.
        let Some(last) = codes.last().filter(|last| last.value < self.bound) else { return };
        let (scale, start) = (self.buckets.scale, self.here);
        let (mut begun, mut cells) = (self.begun, self.cells);
        for (at, code) in codes.iter().enumerate() {
            let (bucket, cell) = scale.locate(code.value);
            if bucket >= begun {
                self.set_cells(cells);
                if let Some(before) = at.checked_sub(1) {
                    self.here = start.behind(codes[before], at);
                }
                self.begin_to(bucket + 1);
                (begun, cells) = (bucket + 1, 0);
            }
            cells |= 1 << cell;
        }
        self.cells = cells;
        self.here = start.behind(*last, codes.len());
    }

    /// Writes the cells of the bucket that began last.
    fn set_cells(&mut self, cells: u64) {
        if let Some(bucket) = self.begun.checked_sub(1) {
            let bucket = bucket as usize;
            self.buckets.lines[bucket / LINE].buckets[bucket % LINE].cells = cells;
        }
    }

    /// Lets buckets begin here, up to but not including `end`.
    fn begin_to(&mut self, end: u64) {
        for bucket in self.begun..end {
            let line = &mut self.buckets.lines[bucket as usize / LINE];
            let at = bucket as usize % LINE;
            if at == 0 {
                self.line = self.here;
                line.place = self.here.pack();
            }
            line.buckets[at].start = self.line.distance_to(self.here);
        }
        self.begun = end;
    }

    /// The buckets, when all values were taken. Those that have not begun are empty.
    pub(super) fn finish(mut self) -> Buckets {
        self.set_cells(self.cells);
        self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_of_the_largest_sets_fit_into_two_words(
            bit in 0u64..(u64::from(u32::MAX) * 58), next in 0u64..1 << 57, rank in any::<u32>(),
        ) {
            let place = CodePlace { bit, next, rank };
            prop_assert_eq!(CodePlace::unpack(place.pack()), place);
        }
    }

    #[test]
    fn a_distance_that_does_not_fit_is_far() {
        let here = CodePlace { bit: 1_000, next: 5, rank: 7 };
        let later = |(bits, values, ranks)| {
            let CodePlace { bit, next, rank } = here;
            CodePlace { bit: bit + bits, next: next + values, rank: rank + ranks }
        };
        let (bits, values, ranks) = (0xffff, (1 << 40) - 2, 0xff);
        for near in [(0, 0, 0), (1, 2, 3), (bits, values, ranks)] {
            assert_eq!(here.plus(here.distance_to(later(near))), later(near));
        }
        for far in [
            (bits + 1, values, ranks),
            (bits, values + 1, ranks),
            (0, values + 2, 0),
            (bits, values, ranks + 1),
        ] {
            assert_eq!(here.distance_to(later(far)), FAR);
        }
        assert_eq!(here.plus(FAR), here);
    }

    /// Of values that are evenly spread every bucket has 16, one in every fourth cell.
    #[test]
    fn a_bucket_begins_behind_the_one_before() {
        let codes: Vec<Code> =
            (0..480).map(|i| Code { value: (i << 22) + 5, end: 30 * (i + 1) }).collect();
        let mut writer = BucketsWriter::new(30 << 26, 480);
        codes.chunks(100).for_each(|codes| writer.take(codes));
        let buckets = writer.finish();
        for (at, code) in codes.iter().enumerate() {
            let cell = at as u64 * 4;
            assert_eq!(buckets.scale.locate(code.value), (cell / 64, cell % 64));
            let begin = at / 16 * 16;
            let (bit, next) = begin.checked_sub(1).map_or((0, 0), |before| codes[before].after());
            let place = CodePlace { bit, next, rank: begin as u32 };
            assert_eq!(buckets.find(code.value), Some(place));
            assert!(buckets.may_hold(code.value));
            let in_next_cell = code.value + (1 << 20);
            assert_eq!(buckets.find(in_next_cell), None);
            assert!(!buckets.may_hold(in_next_cell));
        }
    }

    /// Bytes that are no set may code it.
    #[test]
    fn a_value_beyond_the_hash_range_is_in_no_bucket() {
        let mut writer = BucketsWriter::new(3 << 26, 48);
        writer.take(&[Code { value: 3 << 26, end: 1 }]);
        assert!(writer.finish().lines.iter().all(|line| line.bucket(0).cells == 0));
    }
}

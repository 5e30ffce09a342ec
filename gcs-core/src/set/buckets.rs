//! Where in a code to look for a fingerprint.
//!
//! The hash range is divided into buckets of some 16 fingerprints. Of each bucket we keep where
//! its code begins, and which of its 64 cells hold a fingerprint at all. Four of five
//! fingerprints that are not in the set lie in an empty cell; of these no code is read, and a
//! query is one memory access.

use alloc::vec::Vec;

/// Fingerprints in a bucket, on average.
const BUCKET: u64 = 16;

/// Buckets in a line.
const LINE: usize = 4;

/// The buckets of one cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([Bucket; LINE]);

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// A bit for each 64th of the bucket that holds a fingerprint.
    cells: u64,
    /// How far behind its line's place the bucket begins: 16 bits of bits, 8 bits of ranks, 40
    /// bits of fingerprints; [`FAR`] if it is farther.
    start: u64,
}

/// A bucket that begins too far from its line: it is read from the line's place on.
const FAR: u64 = u64::MAX;

/// A place in a code.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
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
    /// Buckets in the hash range, as a fraction of `2^64`.
    scale: u64,
    lines: Vec<Line>,
    /// Where each line's first bucket begins.
    places: Vec<Place>,
}

impl Buckets {
    /// The bucket of a fingerprint, and its cell there.
    #[inline]
    fn locate(&self, fingerprint: u64) -> (u64, u64) {
        let scaled = u128::from(fingerprint) * u128::from(self.scale);
        ((scaled >> 64) as u64, (scaled as u64) >> 58)
    }

    /// Where a fingerprint's bucket begins in the code; `None` if its cell is empty, so that it
    /// is not in the set.
    #[inline]
    pub(super) fn find(&self, fingerprint: u64) -> Option<Place> {
        let (bucket, cell) = self.locate(fingerprint);
        let line = (bucket / LINE as u64) as usize;
        let found = self.lines.get(line)?.0[bucket as usize % LINE];
        if (found.cells >> cell) & 1 == 0 {
            return None;
        }
        Some(self.places[line].plus(found.start))
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&self.lines[..]) + size_of_val(&self.places[..])
    }
}

impl Place {
    /// The place of a bucket whose line begins here.
    #[inline]
    fn plus(self, start: u64) -> Place {
        if start == FAR {
            return self;
        }
        Place {
            bit: self.bit + (start & 0xffff),
            next: self.next + (start >> 24),
            rank: self.rank + ((start >> 16) & 0xff) as u32,
        }
    }

    /// What [`Place::plus`] adds to this place to come to a later one.
    fn distance_to(self, later: Place) -> u64 {
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
    /// How many buckets there will be, and how many have begun.
    count: u64,
    begun: u64,
    /// The cells of the bucket that began last, which are written when the next one begins.
    cells: u64,
    here: Place,
    parameter: u32,
    /// The hash range, below which all values must lie.
    bound: u64,
}

impl BucketsWriter {
    /// A writer for `len` values below `bound`, coded with a Rice parameter.
    pub(super) fn new(bound: u64, len: u32, parameter: u32) -> BucketsWriter {
        let count = u64::from(len).div_ceil(BUCKET).clamp(1, bound);
        let scale = ((u128::from(count) << 64) / u128::from(bound)).min(u128::from(u64::MAX));
        let lines = count.div_ceil(LINE as u64) as usize;
        let buckets = Buckets {
            scale: scale as u64,
            lines: alloc::vec![Line::default(); lines],
            places: alloc::vec![Place::default(); lines],
        };
        BucketsWriter {
            buckets,
            count,
            begun: 0,
            cells: 0,
            here: Place::default(),
            parameter,
            bound,
        }
    }

    /// Takes the next values of the code.
    pub(super) fn take(&mut self, values: &[u64]) {
        // Bytes that are no set may code values beyond their hash range.
        if values.last().is_none_or(|&last| last >= self.bound) {
            return;
        }
        let Place { mut bit, mut next, mut rank } = self.here;
        let (fixed, mut cells) = (u64::from(self.parameter) + 1, self.cells);
        for &value in values {
            let (bucket, cell) = self.buckets.locate(value);
            if bucket >= self.begun {
                self.set_cells(cells);
                self.here = Place { bit, next, rank };
                self.begin_to(bucket + 1);
                cells = 0;
            }
            cells |= 1 << cell;
            bit += ((value - next) >> self.parameter) + fixed;
            next = value + 1;
            rank += 1;
        }
        self.cells = cells;
        self.here = Place { bit, next, rank };
    }

    /// Writes the cells of the bucket that began last.
    fn set_cells(&mut self, cells: u64) {
        if let Some(bucket) = self.begun.checked_sub(1) {
            let bucket = bucket as usize;
            self.buckets.lines[bucket / LINE].0[bucket % LINE].cells = cells;
        }
    }

    /// Lets buckets begin here, up to but not including `end`.
    fn begin_to(&mut self, end: u64) {
        for bucket in self.begun..end {
            let (line, at) = (bucket as usize / LINE, bucket as usize % LINE);
            if at == 0 {
                self.buckets.places[line] = self.here;
            }
            self.buckets.lines[line].0[at].start = self.buckets.places[line].distance_to(self.here);
        }
        self.begun = end;
    }

    /// The buckets, when all values were taken.
    pub(super) fn finish(mut self) -> Buckets {
        self.set_cells(self.cells);
        self.begin_to(self.count);
        self.buckets
    }
}

//! The values of a code and where each is in it, a chunk at a time.

use core::ops::Range;

use super::{CHUNK, Code, RiceReader, RiceWriter};

/// The codes of a set, a chunk at a time.
pub(crate) struct Codes<'a> {
    reader: RiceReader<'a>,
    /// Codes not read yet.
    left: u32,
    chunk: [Code; CHUNK],
    at: usize,
    filled: usize,
    /// Where the code at `at` begins, and the least possible value there.
    bit: u64,
    next: u64,
}

impl<'a> Codes<'a> {
    /// The next `left` codes of a reader.
    pub(crate) fn new(reader: RiceReader<'a>, left: u32) -> Codes<'a> {
        let (bit, next) = (reader.bit(), reader.next_least());
        let chunk = [Code::default(); CHUNK];
        Codes { reader, left, chunk, at: 0, filled: 0, bit, next }
    }

    /// The rest of the present chunk, or the next chunk if nothing is left of it; empty at the
    /// end.
    pub(crate) fn chunk(&mut self) -> &[Code] {
        if self.at == self.filled {
            let now = (self.left as usize).min(CHUNK);
            self.left -= now as u32;
            self.at = 0;
            // A validated code does not overrun. If it did, it would end here.
            self.filled = if self.reader.fill(&mut self.chunk[..now]).is_ok() { now } else { 0 };
        }
        self.present()
    }

    /// The rest of the present chunk, which may be empty before the end.
    pub(crate) fn present(&self) -> &[Code] {
        &self.chunk[self.at..self.filled]
    }

    /// Appends the codes of a range of the present chunk. The first is coded anew if `out`, which
    /// has the same P, stands behind another value.
    pub(crate) fn copy(&self, places: Range<usize>, out: &mut RiceWriter) {
        let codes = &self.present()[places.clone()];
        let before = places.start.checked_sub(1).map(|before| self.present()[before]);
        let (bit, next) = before.map_or((self.bit, self.next), Code::after);
        if out.next() == next {
            out.copy(&self.reader, bit, codes);
        } else if let Some((first, rest)) = codes.split_first() {
            out.push(first.value);
            out.copy(&self.reader, first.end, rest);
        }
    }

    /// Passes the first `count` codes of the chunk.
    pub(crate) fn consume(&mut self, count: usize) {
        self.at += count;
        if let Some(last) = self.at.checked_sub(1) {
            (self.bit, self.next) = self.chunk[last].after();
        }
    }

    pub(crate) fn peek(&mut self) -> Option<u64> {
        self.chunk().first().map(|code| code.value)
    }

    /// Passes the codes of the chunk that `other` has too, in both, which must stand behind the
    /// same value. Returns how many.
    pub(crate) fn skip_common(&mut self, other: &mut RiceReader<'_>) -> usize {
        let Some(last) = self.chunk().last().copied() else { return 0 };
        let bit = self.bit;
        let end = bit + self.reader.common_bits(bit, last.end, other);
        let passed = self.chunk().partition_point(|code| code.end <= end);
        self.consume(passed);
        *other = other.resume(other.bit() + (self.bit - bit), self.next);
        passed
    }
}

//! The values of a code, a chunk at a time.

use super::{CHUNK, RiceReader};

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

//! Reading blocks of a set beside each other, and checking them.

use alloc::vec::Vec;
use core::hash::Hasher as _;
use std::io;

use super::IndexedFile;
use crate::set::buckets::CodePlace;
use crate::set::index_file::{Block, ENTRY_LEN, INDEX_HEADER_LEN, IndexError, parse_entry};
use crate::set::read_at::ReadAt;
use crate::set::rice::RiceReader;
use crate::set::set::HEADER_LEN;

/// Most bytes of a set that are read with one call, unless a single block has more.
pub(super) const RUN_BYTES: u64 = 1 << 17;

/// Bytes behind a code with which it is decoded faster.
const MARGIN: usize = 8;

impl<S: ReadAt, I: ReadAt> IndexedFile<S, I> {
    /// Reads blocks from `first` to `last`, or at least the first of them, and checks them.
    pub(super) fn read(&self, first: u64, last: u64) -> Result<Run, IndexError> {
        let mut blocks = self.read_entries(first, last)?;
        let Some((begin, _)) = blocks.first() else {
            return Err(IndexError::Block { block: first });
        };
        let mut range = begin.bytes();
        // The caller asks again for those that are cut off.
        let most = range.end.max(range.start + RUN_BYTES);
        let kept = blocks.iter().take_while(|(block, _)| block.bytes().end <= most).count();
        blocks.truncate(kept);
        range.end = blocks.last().map_or(range.end, |(block, _)| block.bytes().end);
        // Within the code, and so within the file.
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other);
        let len = len.map_err(IndexError::ReadSet)?;
        let mut code = alloc::vec![0; len + MARGIN];
        self.set.read_exact_at(&mut code[..len], range.start).map_err(IndexError::ReadSet)?;
        let parameter = self.header.set.shape.parameter;
        let run = Run {
            first_bit: 8 * (range.start - HEADER_LEN as u64),
            parameter,
            blocks: blocks.iter().map(|(block, _)| *block).collect(),
            code,
        };
        for (block, expected) in &blocks {
            let mut check = self.checks.begin(block);
            let bytes = block.bytes();
            let (from, to) = (bytes.start - range.start, bytes.end - range.start);
            check.write(&run.code[from as usize..to as usize]);
            if check.finish() != *expected {
                return Err(IndexError::Block { block: block.number });
            }
        }
        Ok(run)
    }

    /// Reads the entries of blocks: each block with its check.
    fn read_entries(&self, first: u64, last: u64) -> Result<Vec<(Block, u64)>, IndexError> {
        // One entry more, where the last block ends. There are at most MOST_BLOCKS blocks.
        let mut bytes = alloc::vec![0; (last - first + 2) as usize * ENTRY_LEN];
        let offset = INDEX_HEADER_LEN as u64 + first * ENTRY_LEN as u64;
        self.index.read_exact_at(&mut bytes, offset).map_err(IndexError::ReadIndex)?;
        let entries = bytes.as_chunks::<ENTRY_LEN>().0;
        let blocks = (first..).zip(entries.windows(2)).map(|(number, pair)| {
            let damaged = IndexError::Block { block: number };
            let (Ok((from, check)), Ok((to, _))) = (parse_entry(&pair[0]), parse_entry(&pair[1]))
            else {
                return Err(damaged);
            };
            let block = Block { number, from, to };
            if block.is_possible(&self.header.set.shape) {
                Ok((block, check))
            } else {
                Err(damaged)
            }
        });
        blocks.collect()
    }
}

/// Blocks beside each other, read and checked.
pub(super) struct Run {
    pub(super) blocks: Vec<Block>,
    /// The bytes of their code, and a margin.
    code: Vec<u8>,
    /// Which bit of the set's code the bytes begin with.
    first_bit: u64,
    parameter: u32,
}

impl Run {
    /// The code of one of the blocks.
    pub(super) fn code_of(&self, block: &Block) -> RiceReader<'_> {
        let CodePlace { bit, next, .. } = block.from;
        let end = block.to.bit - self.first_bit;
        RiceReader::new(&self.code, self.parameter, end).resume(bit - self.first_bit, next)
    }
}

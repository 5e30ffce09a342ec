//! For tests: files that come in pieces, fail in the middle, or sit on a full disk.

use alloc::vec::Vec;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::output::SetOutput;

/// A file in memory whose calls move few bytes each, are interrupted now and then, and fail
/// from some byte on.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    pub(crate) bytes: Vec<u8>,
    at: usize,
    /// Most bytes that the calls move, in turn; a 0 is an interrupted call.
    sizes: Vec<usize>,
    calls: usize,
    /// Position at which calls fail.
    pub(crate) fails_at: Option<usize>,
    pub(crate) can_be_cut: bool,
}

impl Pieces {
    pub(crate) fn new(bytes: &[u8], sizes: &[usize]) -> Pieces {
        // No call would ever come through.
        let sizes = if sizes.iter().all(|&size| size == 0) { &[1] } else { sizes };
        Pieces {
            bytes: bytes.to_vec(),
            at: 0,
            sizes: sizes.to_vec(),
            calls: 0,
            fails_at: None,
            can_be_cut: false,
        }
    }

    pub(crate) fn failing(bytes: &[u8], at: usize) -> Pieces {
        Pieces { fails_at: Some(at), ..Pieces::new(bytes, &[usize::MAX]) }
    }

    /// How many of `wanted` bytes this call moves.
    fn size(&mut self, wanted: usize) -> io::Result<usize> {
        let left = self.fails_at.map_or(usize::MAX, |fails_at| fails_at.saturating_sub(self.at));
        if left == 0 && wanted > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.calls += 1;
        match self.sizes[self.calls % self.sizes.len()] {
            0 => Err(io::ErrorKind::Interrupted.into()),
            size => Ok(wanted.min(size).min(left)),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.size(into.len())?;
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let size = size.min(rest.len());
        into[..size].copy_from_slice(&rest[..size]);
        self.at += size;
        Ok(size)
    }
}

impl Write for Pieces {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let size = self.size(from.len())?;
        let end = self.at + size;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.at..end].copy_from_slice(&from[..size]);
        self.at = end;
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Pieces {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => at as i64,
            SeekFrom::End(by) => self.bytes.len() as i64 + by,
            SeekFrom::Current(by) => self.at as i64 + by,
        };
        self.at = usize::try_from(to).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(self.at as u64)
    }
}

impl SetOutput for Pieces {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        if self.can_be_cut {
            self.bytes.truncate(length as usize);
        }
        Ok(self.can_be_cut)
    }
}

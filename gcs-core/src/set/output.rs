//! Where sets' files are written, and what was written there.

use alloc::boxed::Box;
use alloc::vec::Vec;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

/// An output for a set's file whose length is not known before: it can be read back, and perhaps
/// be cut off.
///
/// It is there for files that are open for reading and writing, and for vectors of bytes in a
/// [`Cursor`]. For an output of your own `impl SetOutput for Mine {}` will do: it cannot be cut off
/// then, and a first attempt that was longer than the set is an error.
///
/// ```
/// use std::io::Cursor;
///
/// use gcs_core::set::SetOutput;
///
/// let mut output = Cursor::new(vec![1, 2, 3]);
/// assert!(output.cut(2)?);
/// assert_eq!(output.into_inner(), [1, 2]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait SetOutput: Read + Write + Seek {
    /// Cuts off everything but the first `length` bytes. `false` if such an output cannot be cut.
    ///
    /// # Errors
    /// As the output fails with.
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        let _stays_as_it_is = length;
        Ok(false)
    }
}

impl<T: SetOutput + ?Sized> SetOutput for &mut T {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        T::cut(self, length)
    }
}

impl<T: SetOutput + ?Sized> SetOutput for Box<T> {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        T::cut(self, length)
    }
}

impl SetOutput for File {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        self.set_len(length).map(|()| true)
    }
}

impl SetOutput for &File {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        self.set_len(length).map(|()| true)
    }
}

impl SetOutput for Cursor<Vec<u8>> {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        self.get_mut().truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(true)
    }
}

impl SetOutput for Cursor<&mut Vec<u8>> {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        self.get_mut().truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(true)
    }
}

/// Writes to the place of the file's header twice and reads it, so that an output that cannot be
/// read, or that appends whatever its position is, fails before any work is done. Leaves the
/// output behind the header.
pub(super) fn probe<const N: usize>(out: &mut (impl Read + Write + Seek)) -> io::Result<()> {
    let start = out.stream_position()?;
    for filler in [0xff, 0] {
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&[filler; N])?;
        out.flush()?;
    }
    out.seek(SeekFrom::Start(start))?;
    let mut header = [0xff; N];
    let read = out.read_exact(&mut header);
    let unreadable = |error: io::Error| {
        let message = alloc::format!("the output must be open for reading too: {error}");
        io::Error::new(error.kind(), message)
    };
    read.map_err(unreadable)?;
    if header != [0; N] {
        let message = "the output does not read back as it was written: it may be open to append";
        return Err(io::Error::other(message));
    }
    Ok(())
}

/// Fails if something is behind the output's position, which a set would not end.
pub(super) fn expect_end(out: &mut impl Seek) -> io::Result<()> {
    let start = out.stream_position()?;
    let end = out.seek(SeekFrom::End(0))?;
    if start == end {
        return Ok(());
    }
    let message = alloc::format!(
        "nothing may follow a set: expected the output to end at byte {start}, got {end}"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// A checksum of bytes in pieces, which tells whether they read back as they were written. It
/// finds accidents, at a few bytes each nanosecond.
#[derive(Clone, Debug, Default)]
pub(super) struct Check {
    sum: u64,
    /// Bytes that are no whole word yet, and their number.
    rest: [u8; 8],
    filled: usize,
}

impl Check {
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        if self.filled > 0 {
            let taken = bytes.len().min(8 - self.filled);
            self.rest[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < 8 {
                return;
            }
            self.mix(self.rest);
        }
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(*word));
        self.rest[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    fn mix(&mut self, word: [u8; 8]) {
        // Each step can be undone, so that no change of one word is lost.
        let sum = self.sum.rotate_left(23) ^ u64::from_le_bytes(word);
        self.sum = sum.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    pub(super) fn finish(mut self) -> u64 {
        let filled = self.filled;
        self.rest[filled..].fill(filled as u8);
        self.mix(self.rest);
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_does_not_depend_on_the_pieces_and_finds_every_changed_byte() {
        let bytes: Vec<u8> = (0..100u8).map(|i| i.wrapping_mul(7)).collect();
        let check = |bytes: &[u8], size: usize| {
            let mut check = Check::default();
            bytes.chunks(size).for_each(|piece| check.add(piece));
            check.finish()
        };
        let whole = check(&bytes, 100);
        assert!((1..30).all(|size| check(&bytes, size) == whole));
        for at in 0..100 {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_ne!(check(&changed, 100), whole, "{at}");
            assert_ne!(check(&bytes[..at], 100), whole, "{at}");
        }
    }

    #[test]
    fn what_can_be_cut_is_cut() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 9]).unwrap();
        assert!((&mut &file).cut(5).unwrap());
        assert_eq!(file.metadata().unwrap().len(), 5);
        let mut bytes = alloc::vec![1; 9];
        assert!(Cursor::new(&mut bytes).cut(5).unwrap());
        assert!(Box::new(Cursor::new(bytes)).cut(9).unwrap());
    }
}

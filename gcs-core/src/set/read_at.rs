//! Reading files at any offset, from several threads at once.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::io::{self, Read};

/// Most bytes that are read with one call when a file is read from front to back.
const PIECE: usize = 1 << 16;

/// Bytes that can be read at any offset through a shared reference: a file, or bytes in memory.
///
/// It is there for [`std::fs::File`] on Unix and Windows, for slices and vectors of bytes, for
/// references to any of these, a `Box` or an `Arc` of them, and in [`Mapped`] for whatever else
/// holds bytes.
pub trait ReadAt {
    /// Fills the buffer with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when there are fewer; whatever else the file fails with.
    /// The buffer may be half filled then.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Length of all bytes.
    ///
    /// # Errors
    /// As the file fails with.
    fn size(&self) -> io::Result<u64>;
}

/// What leads to something that can be read at any offset can be read so too.
macro_rules! read_at_through {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
                T::read_exact_at(self, buffer, offset)
            }

            fn size(&self) -> io::Result<u64> {
                T::size(self)
            }
        }
    )*};
}

read_at_through!(&T, Box<T>, Arc<T>);

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let behind = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let bytes = behind.and_then(|behind| behind.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

#[cfg(windows)]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Bytes of any type, such as a memory map, that can be read at any offset.
///
/// This crate maps no memory itself, as that needs unsafe code: a program that wants to brings its
/// own map.
///
/// ```
/// use gcs_core::set::{Mapped, ReadAt};
///
/// let map: std::sync::Arc<[u8]> = (*b"a memory map").into(); // Any `AsRef<[u8]>`.
/// let mut word = [0; 6];
/// Mapped(map).read_exact_at(&mut word, 2)?;
/// assert_eq!(&word, b"memory");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Mapped<M>(pub M);

impl<M: AsRef<[u8]>> ReadAt for Mapped<M> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.as_ref().read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.as_ref().size()
    }
}

/// Shows how many bytes there are, and not which.
impl<M: AsRef<[u8]>> fmt::Debug for Mapped<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("len", &self.0.as_ref().len()).finish()
    }
}

/// Reads from front to back what can be read at any offset.
pub(super) struct Sequential<'a, R> {
    source: &'a R,
    at: u64,
    size: u64,
}

impl<'a, R: ReadAt> Sequential<'a, R> {
    pub(super) fn new(source: &'a R) -> io::Result<Sequential<'a, R>> {
        Ok(Sequential { source, at: 0, size: source.size()? })
    }
}

impl<R: ReadAt> Read for Sequential<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.size - self.at).min(buffer.len() as u64) as usize;
        self.source.read_exact_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Shows the bytes of ranges that mostly ascend, through one buffer.
pub(super) struct Window<'a, R> {
    source: &'a R,
    /// Nothing from here on is read.
    end: u64,
    buffer: Vec<u8>,
    /// Where in the source the buffer begins.
    begin: u64,
}

impl<'a, R: ReadAt> Window<'a, R> {
    /// A window on the first `end` bytes, which must be there.
    pub(super) fn new(source: &'a R, end: u64) -> Window<'a, R> {
        Window { source, end, buffer: Vec::new(), begin: 0 }
    }

    /// Shows a range piece by piece.
    pub(super) fn show(
        &mut self,
        range: core::ops::Range<u64>,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.from(at)?;
            let wanted = (range.end - at).min(piece.len() as u64) as usize;
            take(&piece[..wanted]);
            at += wanted as u64;
        }
        Ok(())
    }

    /// Some bytes from `at` on, at least one.
    fn from(&mut self, at: u64) -> io::Result<&[u8]> {
        let is_buffered =
            at.checked_sub(self.begin).is_some_and(|offset| offset < self.buffer.len() as u64);
        if !is_buffered {
            let left = self.end.saturating_sub(at).min(PIECE as u64) as usize;
            if left == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Empty until it is read whole.
            let mut buffer = core::mem::take(&mut self.buffer);
            buffer.resize(left, 0);
            self.source.read_exact_at(&mut buffer, at)?;
            (self.buffer, self.begin) = (buffer, at);
        }
        Ok(&self.buffer[(at - self.begin) as usize..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(source: &impl ReadAt, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = std::vec![0; len];
        source.read_exact_at(&mut buffer, offset).map(|()| buffer)
    }

    fn assert_reads(source: &impl ReadAt, bytes: &[u8]) {
        let len = bytes.len();
        assert_eq!(source.size().unwrap(), len as u64);
        for (from, to) in [(0, 0), (0, len), (len, len), (3, 4), (2, len)] {
            assert_eq!(read(source, from as u64, to - from).unwrap(), bytes[from..to]);
        }
        for (offset, length) in [(0, len + 1), (len as u64, 1), (len as u64 + 1, 1), (1 << 40, 1)] {
            let error = read(source, offset, length).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn all_that_can_be_read() {
        let bytes: Vec<u8> = (0..200).collect();
        assert_reads(&bytes, &bytes);
        assert_reads(&&bytes[..], &bytes);
        assert_reads(&Mapped(Arc::<[u8]>::from(&bytes[..])), &bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        assert_reads(&file, &bytes);
        assert_reads(&&file, &bytes);
        assert_reads(&Box::new(&file), &bytes);
        assert_reads(&Arc::new(file), &bytes);
        assert_reads(&Arc::<[u8]>::from(&bytes[..]), &bytes);
        let any: Box<dyn ReadAt> = Box::new(bytes.clone());
        assert_reads(&any, &bytes);
        assert!(!std::format!("{:?}", Mapped(&bytes)).contains("199"));
    }

    #[test]
    fn from_front_to_back_and_in_windows() {
        let bytes: Vec<u8> = (0..3 * PIECE as u32).map(|i| (i / 7) as u8).collect();
        let mut read = Vec::new();
        Sequential::new(&bytes).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);

        let end = bytes.len() - 5;
        let mut window = Window::new(&bytes, end as u64);
        let at = [0, 1, 7, 8, PIECE - 1, PIECE, 2 * PIECE + 3, 5, end];
        for (from, to) in at.iter().flat_map(|&from| at.map(|to| (from, to))) {
            let mut shown = Vec::new();
            window.show(from as u64..to as u64, |piece| shown.extend_from_slice(piece)).unwrap();
            assert_eq!(shown, bytes.get(from..to).unwrap_or_default());
        }
        assert!(window.show(0..end as u64 + 1, |_| ()).is_err());
        assert!(window.show(u64::MAX - 1..u64::MAX, |_| ()).is_err());
    }
}

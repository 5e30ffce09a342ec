//! Files in memory that the system can send as they are.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gcs_huge_pages::HUGE_PAGE;

/// A file with more bytes than this is sealed. A smaller one is sent faster from ordinary memory.
pub(super) const LEAST: usize = 64 << 10;

/// Bytes that a huge page has at least of a file that ends in it; with fewer, the end of the file stays in small
/// pages. What a huge page has behind the end is taken from the memory too.
const LEAST_OF_HUGE_PAGE: usize = 700_000;

/// Bytes that a small page has at most.
const MOST_PAGE: usize = 64 << 10;

/// How many files are sealed at this time. Each takes one of the files that the process may have open.
static SEALED: AtomicUsize = AtomicUsize::new(0);

/// A file without a name, in memory, that nothing can change any more: not even this process.
#[derive(Debug)]
pub struct Sealed {
    file: File,
    held: u64,
}

impl Sealed {
    /// A sealed file with these bytes; `None` if the system has none to give.
    pub(crate) fn new(bytes: &[u8]) -> Option<Sealed> {
        if SEALED.fetch_add(1, Ordering::Relaxed) >= system::most() {
            SEALED.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        match system::seal(bytes) {
            Ok((file, held)) => Some(Sealed { file, held }).filter(|sealed| sealed.has(bytes)),
            Err(error) => {
                SEALED.fetch_sub(1, Ordering::Relaxed);
                tracing::debug!(%error, "a file is kept in ordinary memory");
                None
            }
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Whether it begins with these bytes.
    pub(super) fn has(&self, bytes: &[u8]) -> bool {
        let mut place = 0;
        bytes.chunks(LEAST).all(|piece| {
            let range = place..place + piece.len() as u64;
            place = range.end;
            self.read(range).is_ok_and(|read| read == piece)
        })
    }

    /// A copy of some of its bytes.
    ///
    /// # Errors
    /// When it ends before.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        system::read(&self.file, range).map(Bytes::from)
    }

    /// As a file that can be read.
    pub fn as_file(&self) -> &File {
        &self.file
    }
}

/// Bytes of a file of this length, from its beginning on, that are to be in huge pages.
fn in_huge_pages(length: usize) -> usize {
    let end = length % HUGE_PAGE;
    if end < LEAST_OF_HUGE_PAGE { length - end } else { length.next_multiple_of(HUGE_PAGE) }
}

/// Most bytes of memory that a file of this length takes.
pub(super) fn most_held(length: u64) -> u64 {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    in_huge_pages(length).max(length.saturating_add(MOST_PAGE)) as u64
}

impl Drop for Sealed {
    fn drop(&mut self) {
        SEALED.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::ops::Range;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::UnixStream;
    use std::sync::OnceLock;

    use rustix::buffer::spare_capacity;
    use rustix::fs::{
        MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_getfl, fcntl_setfl, memfd_create,
        sendfile,
    };
    use rustix::io::{Errno, pread};
    use rustix::process::{Resource, getrlimit};

    /// Most sealed files at a time, by how many files the process may have open.
    pub(super) fn most() -> usize {
        if !sends() {
            return 0;
        }
        let files = getrlimit(Resource::Nofile).current;
        files.map_or(128, |files| usize::try_from(files / 16).unwrap_or(128).min(128))
    }

    /// Whether the system makes such files and sends them: a sandbox may not let it. That has to be known
    /// before the head of an answer is on its way.
    fn sends() -> bool {
        static SENDS: OnceLock<bool> = OnceLock::new();
        *SENDS.get_or_init(|| {
            let sent = send_one();
            if let Err(error) = &sent {
                tracing::warn!(%error, "the system cannot send files itself: large ones cost more time and memory");
            }
            sent.is_ok()
        })
    }

    /// Sends a byte from one end of a connection to the other.
    fn send_one() -> io::Result<()> {
        let (here, _there) = UnixStream::pair()?;
        let (file, _) = seal(b"x")?;
        let sent = sendfile(&here, &file, Some(&mut 0), 1)?;
        if sent == 1 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// A sealed file with these bytes, and how many it takes of the memory.
    pub(super) fn seal(bytes: &[u8]) -> io::Result<(File, u64)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Linux before 6.3 does not know the last one.
        let file = memfd_create("published", flags | MemfdFlags::NOEXEC_SEAL).or_else(|error| {
            if error == Errno::INVAL { memfd_create("published", flags) } else { Err(error) }
        })?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        // Nobody asks when it was read last.
        let _costs_more = fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::NOATIME);
        if let Err(error) = gcs_huge_pages::collapse(&file, super::in_huge_pages(bytes.len())) {
            tracing::debug!(%error, "a file stays in small pages");
        }
        // In blocks of 512 bytes, whatever the system.
        let held = file.metadata()?.blocks() * 512;
        Ok((file, held))
    }

    pub(super) fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let place = range.start + bytes.len() as u64;
            if pread(file, spare_capacity(&mut bytes), place)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::io;
    use std::ops::Range;

    pub(super) fn most() -> usize {
        0
    }

    pub(super) fn seal(_: &[u8]) -> io::Result<(File, u64)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn read(_: &File, _: Range<u64>) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn nothing_changes_a_sealed_file() {
        let bytes: Vec<u8> = (0..200_000u32).map(|at| (at.wrapping_mul(at) >> 5) as u8).collect();
        let sealed = Sealed::new(&bytes).unwrap();
        assert_eq!(sealed.read(0..200_000).unwrap(), bytes);
        assert_eq!(sealed.read(70_000..70_001).unwrap(), bytes[70_000..70_001]);
        assert!(sealed.read(0..200_001).is_err());
        let mut file = sealed.as_file();
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.write(b"x").is_err());
        assert!(file.set_len(1).is_err() && file.set_len(1 << 20).is_err());
        assert_eq!(sealed.read(0..200_000).unwrap(), bytes);
    }

    /// It may take less, where the system has no huge pages to give.
    #[test]
    fn a_file_takes_no_more_memory_than_is_reckoned_with() {
        for length in [1, LEAST, LEAST_OF_HUGE_PAGE - 1, LEAST_OF_HUGE_PAGE, HUGE_PAGE + LEAST] {
            let sealed = Sealed::new(&vec![7; length]).unwrap();
            let held = sealed.held();
            assert!((length as u64..=most_held(length as u64)).contains(&held), "{length} {held}");
        }
    }

    #[test]
    fn little_of_a_huge_page_is_left_in_small_ones() {
        assert_eq!(in_huge_pages(0), 0);
        assert_eq!(in_huge_pages(LEAST_OF_HUGE_PAGE - 1), 0);
        assert_eq!(in_huge_pages(LEAST_OF_HUGE_PAGE), HUGE_PAGE);
        assert_eq!(in_huge_pages(HUGE_PAGE), HUGE_PAGE);
        assert_eq!(in_huge_pages(3 * HUGE_PAGE + 5), 3 * HUGE_PAGE);
        assert_eq!(most_held((HUGE_PAGE + LEAST_OF_HUGE_PAGE) as u64), 2 * HUGE_PAGE as u64);
    }

    #[test]
    fn a_file_with_other_bytes_is_noticed() {
        let bytes = vec![7; 3 * LEAST + 5];
        let sealed = Sealed::new(&bytes).unwrap();
        for changed in [0, LEAST, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[changed] ^= 1;
            assert!(sealed.has(&bytes) && !sealed.has(&other));
        }
        assert!(!sealed.has(&vec![7; bytes.len() + 1]));
    }
}

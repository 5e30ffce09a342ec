//! Has Linux move a file in memory into huge pages.
//!
//! The system sends a file a page at a time. In huge pages of 2 MiB a file in memory has 512 times fewer of them,
//! and sending it takes half of the processor time.

use std::fs::File;
use std::io;

/// Bytes of a huge page: where Linux has others, nothing is moved.
pub const HUGE_PAGE: usize = 2 << 20;

/// Moves the bytes of a file that is in memory only (a `memfd`) into huge pages, from its beginning on. A
/// part of a huge page at the end of `length` is not moved; the file may end in the last one that is. The file's
/// bytes and length stay as they are.
///
/// # Errors
/// When the system cannot: before Linux 6.1, or where it has no huge page left. It may have moved a part.
pub fn collapse(file: &File, length: usize) -> io::Result<()> {
    let length = length / HUGE_PAGE * HUGE_PAGE;
    if length == 0 { Ok(()) } else { system::collapse(file, length) }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::ptr;

    use libc::{
        MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ,
        c_int, c_void, madvise, mmap, munmap,
    };

    use super::HUGE_PAGE;

    /// Not in the C headers of all systems.
    const MADV_COLLAPSE: c_int = 25;

    /// Addresses of this process that nothing else uses, and that nobody reads or writes.
    struct Reserved {
        start: *mut c_void,
        length: usize,
    }

    impl Reserved {
        fn new(length: usize) -> io::Result<Reserved> {
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
            // SAFETY: without an address, the system chooses one where nothing is.
            let start = unsafe { mmap(ptr::null_mut(), length, PROT_NONE, flags, -1, 0) };
            if start == MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            Ok(Reserved { start, length })
        }
    }

    impl Drop for Reserved {
        fn drop(&mut self) {
            // SAFETY: it is this value's alone, there is no reference to any of it, and all of it ends here.
            let _gone = unsafe { munmap(self.start, self.length) };
        }
    }

    /// `length` is a number of whole huge pages, at least one.
    pub(super) fn collapse(file: &File, length: usize) -> io::Result<()> {
        // Huge pages of a file can only be where addresses are multiples of their size.
        let reserved = Reserved::new(length + HUGE_PAGE)?;
        let start = reserved.start.wrapping_byte_add(reserved.start.align_offset(HUGE_PAGE));
        let flags = MAP_PRIVATE | MAP_FIXED;
        // SAFETY: the first multiple is less than a huge page behind the beginning, so all of this is within
        // what is reserved. The mapping cannot be written, and nobody reads it, even if the file changes.
        let mapped = unsafe { mmap(start, length, PROT_READ, flags, file.as_raw_fd(), 0) };
        if mapped == MAP_FAILED {
            let error = io::Error::last_os_error();
            // A part of the reservation may be gone, and its addresses another thread's by now.
            std::mem::forget(reserved);
            return Err(error);
        }
        // SAFETY: this is the mapping. Its bytes stay the same, only elsewhere.
        match unsafe { madvise(mapped, length, MADV_COLLAPSE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::io;

    pub(super) fn collapse(_: &File, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    fn in_memory(name: &str, bytes: &[u8]) -> io::Result<File> {
        let mut file = File::from(memfd_create(name, MemfdFlags::ALLOW_SEALING)?);
        file.write_all(bytes)?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)?;
        Ok(file)
    }

    /// How many bytes of memory a file takes.
    fn held(file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.blocks() * 512)
    }

    /// Whether or not the system moves it. Nothing is left of the mapping.
    #[test]
    fn a_file_stays_the_same() {
        let name = "stays-the-same";
        for length in [1, HUGE_PAGE - 1, HUGE_PAGE, 2 * HUGE_PAGE + 700_000] {
            let bytes = (0..length as u32).map(|at| (at.wrapping_mul(at) >> 7) as u8);
            let bytes: Vec<u8> = bytes.collect();
            let file = in_memory(name, &bytes).unwrap();
            let whole = length.next_multiple_of(HUGE_PAGE);
            let collapsed = collapse(&file, whole);
            assert_eq!(file.metadata().unwrap().len(), length as u64);
            let mut read = vec![0; length];
            file.read_exact_at(&mut read, 0).unwrap();
            assert!(read == bytes);
            assert!(!fs::read_to_string("/proc/self/maps").unwrap().contains(name));
            let (held, whole) = (held(&file).unwrap(), whole as u64);
            assert!((length as u64..=whole).contains(&held), "{held}");
            match collapsed {
                // Elsewhere huge pages may have another size.
                Ok(()) => assert!(held == whole || !cfg!(target_arch = "x86_64"), "{held}"),
                Err(error) => eprintln!("this system does not move {length} bytes: {error}"),
            }
        }
    }

    #[test]
    fn less_than_a_huge_page_is_left_alone() {
        let file = in_memory("left-alone", &[7; 5000]).unwrap();
        let before = held(&file).unwrap();
        collapse(&file, HUGE_PAGE - 1).unwrap();
        assert_eq!(held(&file).unwrap(), before);
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        let (end, _other) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(end));
        assert!(collapse(&file, HUGE_PAGE).is_err());
    }
}

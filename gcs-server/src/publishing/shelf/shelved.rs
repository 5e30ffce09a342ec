//! One published file, whose content is known.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use gcs_core::Digest;
use gcs_core::files::Path;

use super::sealed::{self, Sealed};

/// Bytes of a file on disk that are read and verified at a time.
pub(super) const SLICE: u64 = 64 << 10;

/// A published file whose content is known.
#[derive(Debug)]
pub struct Shelved {
    pub(super) path: Path,
    pub(super) name: Arc<str>,
    pub(super) length: u64,
    pub(super) sha256: Digest,
    etag: Bytes,
    pub(super) contents: Contents,
}

#[derive(Debug)]
pub(super) enum Contents {
    Memory(Memory),
    /// On disk: the SHA-256 of each slice.
    Disk(Box<[Digest]>),
}

/// A file's bytes in memory, all of them.
#[derive(Clone, Debug)]
pub enum Memory {
    /// A small file, or one of which clients want small parts.
    Plain(Bytes),
    /// A large file that the system can send as it is.
    Sealed(Arc<Sealed>),
}

impl Memory {
    /// Where a file is held best.
    fn new(path: &Path, bytes: &Bytes) -> Memory {
        let is_sealed = is_sent_whole(path, bytes.len() as u64);
        match is_sealed.then(|| Sealed::new(bytes)).flatten() {
            Some(sealed) => Memory::Sealed(Arc::new(sealed)),
            None => Memory::Plain(bytes.clone()),
        }
    }

    /// How many bytes of the memory it takes.
    fn held(&self) -> u64 {
        match self {
            Memory::Plain(bytes) => bytes.len() as u64,
            Memory::Sealed(sealed) => sealed.held(),
        }
    }

    /// Some of the bytes.
    ///
    /// # Errors
    /// When the file ends before.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match self {
            Memory::Plain(bytes) => {
                let range = range.start as usize..range.end as usize;
                let part = bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(bytes.slice_ref(part))
            }
            Memory::Sealed(sealed) => sealed.read(range),
        }
    }
}

/// Whether a file is large, and not such a one as those of checks: phones ask for one record of them at a time.
fn is_sent_whole(path: &Path, length: u64) -> bool {
    length > sealed::LEAST as u64 && !matches!(path, Path::Checks { .. })
}

/// Most bytes of memory that a file takes.
pub(super) fn most_held(path: &Path, length: u64) -> u64 {
    if is_sent_whole(path, length) { sealed::most_held(length) } else { length }
}

impl Shelved {
    /// A file, in memory if it fits there. A kept manifest is left on disk all the same: there are ever more of
    /// them, and few ask for one.
    pub(super) fn new(path: Path, bytes: &Bytes, fits: bool) -> Shelved {
        let (name, sha256) = (path.to_string().into(), Digest::of(bytes));
        let hex: String = sha256.to_string().chars().take(32).collect();
        let (length, etag) = (bytes.len() as u64, format!("\"{hex}\"").into());
        let contents = if fits && !matches!(path, Path::KeptManifest { .. }) {
            Contents::Memory(Memory::new(&path, bytes))
        } else {
            Contents::Disk(bytes.chunks(SLICE as usize).map(Digest::of).collect())
        };
        Shelved { path, name, length, sha256, etag, contents }
    }

    /// The same file, left on disk; `None` if it is not in memory.
    pub(super) fn on_disk(&self) -> Option<Shelved> {
        let Shelved { path, length, sha256, .. } = *self;
        let (name, etag) = (Arc::clone(&self.name), self.etag.clone());
        let memory = self.memory()?;
        let starts = (0..length).step_by(SLICE as usize);
        let slices = starts.map(|start| memory.read(start..length.min(start + SLICE)));
        let slices = slices.map(|slice| slice.map(|bytes| Digest::of(&bytes)));
        let contents = Contents::Disk(slices.collect::<io::Result<_>>().ok()?);
        Some(Shelved { path, name, length, sha256, etag, contents })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its ETag, in quotation marks: made from its content alone.
    pub fn etag(&self) -> &Bytes {
        &self.etag
    }

    /// All of it, if it is in memory.
    pub fn memory(&self) -> Option<&Memory> {
        match &self.contents {
            Contents::Memory(memory) => Some(memory),
            Contents::Disk(_) => None,
        }
    }

    /// How many bytes of the memory it takes.
    pub(super) fn held(&self) -> u64 {
        self.memory().map_or(0, Memory::held)
    }

    /// Whether these are its bytes.
    pub(in crate::publishing) fn is(&self, bytes: &Bytes) -> bool {
        match &self.contents {
            Contents::Memory(Memory::Plain(own)) => own == bytes,
            Contents::Memory(Memory::Sealed(own)) => {
                self.length == bytes.len() as u64 && own.has(bytes)
            }
            Contents::Disk(_) => self.sha256 == Digest::of(bytes),
        }
    }

    /// Its bytes, if they are in memory and nothing has changed them there.
    pub(in crate::publishing) fn good_copy(&self) -> Option<Bytes> {
        let bytes = self.memory()?.read(0..self.length).ok()?;
        (Digest::of(&bytes) == self.sha256).then_some(bytes)
    }

    pub(in crate::publishing) fn sha256(&self) -> Digest {
        self.sha256
    }
}

//! One published file, whose content is known.

use std::sync::Arc;

use bytes::Bytes;
use gcs_core::Digest;
use gcs_core::files::Path;

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
    Memory(Bytes),
    /// On disk: the SHA-256 of each slice.
    Disk(Box<[Digest]>),
}

impl Shelved {
    /// A file in memory. A kept manifest is left on disk: there are ever more of them, and few ask for
    /// one.
    pub(super) fn new(path: Path, bytes: Bytes) -> Shelved {
        let (name, sha256) = (path.to_string().into(), Digest::of(&bytes));
        let hex: String = sha256.to_string().chars().take(32).collect();
        let (length, etag) = (bytes.len() as u64, format!("\"{hex}\"").into());
        let contents = match path {
            Path::KeptManifest { .. } => Contents::Disk(slices_of(&bytes)),
            _ => Contents::Memory(bytes),
        };
        Shelved { path, name, length, sha256, etag, contents }
    }

    /// The same file, left on disk.
    pub(super) fn on_disk(&self, bytes: &Bytes) -> Shelved {
        let Shelved { path, length, sha256, .. } = *self;
        let (name, etag) = (Arc::clone(&self.name), self.etag.clone());
        Shelved { path, name, length, sha256, etag, contents: Contents::Disk(slices_of(bytes)) }
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
    pub fn memory(&self) -> Option<&Bytes> {
        match &self.contents {
            Contents::Memory(bytes) => Some(bytes),
            Contents::Disk(_) => None,
        }
    }

    /// Whether these are its bytes.
    pub(in crate::publishing) fn is(&self, bytes: &Bytes) -> bool {
        match &self.contents {
            Contents::Memory(own) => own == bytes,
            Contents::Disk(_) => self.sha256 == Digest::of(bytes),
        }
    }

    /// Its bytes, if they are in memory and nothing has changed them there.
    pub(in crate::publishing) fn good_copy(&self) -> Option<&Bytes> {
        self.memory().filter(|bytes| Digest::of(bytes) == self.sha256)
    }

    pub(in crate::publishing) fn sha256(&self) -> Digest {
        self.sha256
    }
}

fn slices_of(bytes: &[u8]) -> Box<[Digest]> {
    bytes.chunks(SLICE as usize).map(Digest::of).collect()
}

//! Writing a large file that has a hash of itself.

use std::fs::File;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

/// Bytes after which the disk is waited for, so that an append to the log never waits for more.
pub const UNSYNCED: usize = 2 << 20;

/// Writes to a file what is hashed, and waits for the disk now and then.
#[derive(Debug)]
pub struct HashedFile<'f> {
    file: &'f mut File,
    hasher: Sha256,
    unsynced: usize,
}

impl HashedFile<'_> {
    /// Nothing of this file is written or hashed yet.
    pub fn new(file: &mut File) -> HashedFile<'_> {
        HashedFile { file, hasher: Sha256::new(), unsynced: 0 }
    }

    /// SHA-256 of what was written.
    pub fn hash(self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}

impl Write for HashedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(&bytes[..bytes.len().min(UNSYNCED)])?;
        self.hasher.update(&bytes[..written]);
        self.unsynced += written;
        if self.unsynced >= UNSYNCED {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

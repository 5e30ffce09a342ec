//! A state as bytes, to go on from without a replay.

use std::io::{self, BufWriter, Write};

use gcs_core::Digest;
use gcs_core::live::{FillerKey, Live};
use sha2::{Digest as _, Sha256};

use super::State;

/// Number of the layout of [`State::write`]. It is raised when the same bytes would mean something
/// else, or when the same log would add up to another state: a test compares the bytes.
pub const LAYOUT: u32 = 1;

/// Bytes that are written at once.
const BLOCK: usize = 64 << 10;

impl State {
    /// Writes the whole state: its fields, then the live elements.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let to = BufWriter::with_capacity(BLOCK, to);
        let written = postcard::to_io(self, to).and_then(|to| postcard::to_io(&self.live, to));
        // The format itself cannot fail, and hides the error of its writer.
        written.map_err(io::Error::other)?.flush()
    }

    /// A state from the bytes that [`State::write`] gave, and the key that it was made with.
    ///
    /// # Errors
    /// When these are other bytes.
    pub fn read(bytes: &[u8], filler: FillerKey) -> Result<State, postcard::Error> {
        let (mut state, rest): (State, _) = postcard::take_from_bytes(bytes)?;
        let mut reader = postcard::Deserializer::from_bytes(rest);
        state.live = Live::restore(&mut reader, filler)?;
        match reader.finalize()? {
            [] => Ok(state),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }
}

/// What a state has in place of its elements while it is read.
pub(super) fn nothing_live() -> Live {
    Live::new(FillerKey::new([0; 32]))
}

/// SHA-256 of what is written.
#[derive(Default)]
pub(super) struct Hashed(Sha256);

impl Hashed {
    pub(super) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

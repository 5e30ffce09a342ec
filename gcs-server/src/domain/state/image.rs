//! A state as bytes, to go on from without a replay.

use gcs_core::Digest;
use gcs_core::live::{FillerKey, Live, LiveImage};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::State;

/// Number of the layout of [`State::write`]. It is raised when the same bytes would mean something
/// else, or when the same log would add up to another state: a test compares the bytes.
pub const LAYOUT: u32 = 4;

/// Bytes that are written at once.
const BLOCK: usize = 64 << 10;

/// What a state was at one moment, to be written while the state goes on.
#[derive(Clone, Debug)]
pub struct StateImage {
    /// Everything but the live elements.
    rest: State,
    live: LiveImage,
}

impl StateImage {
    /// Position of the last event in the state.
    pub fn position(&self) -> u64 {
        self.rest.position
    }

    /// SHA-256 of that event's header.
    pub fn head(&self) -> [u8; 32] {
        self.rest.head
    }

    /// Gives the whole state as bytes to `write`, block by block, as [`State::write`] would have done.
    ///
    /// # Errors
    /// The first error of `write`.
    pub fn write<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        serialize(&self.rest, &mut write)?;
        serialize(&self.live, &mut write)?;
        self.rest.write_if_any(&mut write)
    }
}

impl State {
    /// What the state is now. It is made in milliseconds, however many elements there are, and what
    /// changes later costs little more memory: see [`Live::image`].
    pub fn image(&self) -> StateImage {
        StateImage { live: self.live.image(), rest: State { live: nothing_live(), ..self.clone() } }
    }

    /// Gives the whole state as bytes to `write`, block by block: its fields, then the live elements, then
    /// the verdicts and what BlueTrace adds up to, if there is any.
    ///
    /// # Errors
    /// The first error of `write`.
    pub fn write<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        serialize(self, &mut write)?;
        serialize(&self.live, &mut write)?;
        self.write_if_any(&mut write)
    }

    /// Gives what comes behind the live elements: a log without it gives the same bytes as it did
    /// before there could be such a thing.
    fn write_if_any<E>(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.verdicts.is_empty() || self.bluetrace.is_some() {
            serialize(&self.verdicts, write)?;
        }
        self.bluetrace.iter().try_for_each(|bluetrace| serialize(bluetrace, write))
    }

    fn read_if_any(&mut self, bytes: &[u8]) -> Result<(), postcard::Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (verdicts, rest) = postcard::take_from_bytes(bytes)?;
        self.verdicts = verdicts;
        if rest.is_empty() {
            return Ok(());
        }
        match postcard::take_from_bytes(rest)? {
            (bluetrace, []) => self.bluetrace = Some(bluetrace),
            _ => return Err(postcard::Error::DeserializeBadEncoding),
        }
        Ok(())
    }

    /// A state from the bytes that [`State::write`] gave, and the key that it was made with.
    ///
    /// # Errors
    /// When these are other bytes.
    pub fn read(bytes: &[u8], filler: FillerKey) -> Result<State, postcard::Error> {
        let (mut state, rest): (State, _) = postcard::take_from_bytes(bytes)?;
        let mut reader = postcard::Deserializer::from_bytes(rest);
        state.live = Live::restore(&mut reader, filler)?;
        state.read_if_any(reader.finalize()?)?;
        Ok(state)
    }

    /// SHA-256 over the whole state: all nodes have the same digest at the same position.
    pub fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        let Ok(()) = self.write(|block| {
            hasher.update(block);
            Ok::<(), std::convert::Infallible>(())
        });
        Digest(hasher.finalize().into())
    }
}

/// What a state has in place of its elements while it is read.
pub(super) fn nothing_live() -> Live {
    Live::new(FillerKey::new([0; 32]))
}

fn serialize<E>(
    value: &impl Serialize,
    write: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut failed = None;
    let blocks = Blocks { write, block: Vec::with_capacity(BLOCK), failed: &mut failed };
    let written = postcard::serialize_with_flavor(value, blocks);
    match failed {
        Some(error) => Err(error),
        None => {
            written.expect("only writing can fail");
            Ok(())
        }
    }
}

/// Collects bytes into blocks.
struct Blocks<'w, E> {
    write: &'w mut dyn FnMut(&[u8]) -> Result<(), E>,
    block: Vec<u8>,
    failed: &'w mut Option<E>,
}

impl<E> Blocks<'_, E> {
    fn write(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        (self.write)(bytes).map_err(|error| {
            *self.failed = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }

    fn empty(&mut self) -> postcard::Result<()> {
        let block = std::mem::take(&mut self.block);
        let written = self.write(&block);
        self.block = block;
        self.block.clear();
        written
    }
}

impl<E> Flavor for Blocks<'_, E> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.block.push(byte);
        if self.block.len() < BLOCK { Ok(()) } else { self.empty() }
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if self.block.len() + bytes.len() > BLOCK {
            self.empty()?;
        }
        if bytes.len() > BLOCK {
            return self.write(bytes);
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<()> {
        self.empty()
    }
}

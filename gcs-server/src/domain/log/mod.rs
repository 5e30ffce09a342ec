//! The log: numbered events in a chain of hashes. It is the truth; everything else is
//! computed from it.
//!
//! An event has a header and a body. The header is chained and kept for ever; the body
//! stands in it only as SHA-256(32 random bytes ‖ body), so that a purge can erase both
//! without breaking the chain, and what was erased cannot be guessed from what is left.

pub mod event;
mod header;
mod reader;

pub use event::Event;
pub use header::{HEADER_LEN, Header, RULES};
pub use reader::{LogError, LoggedEvent, Reader};

use crate::random;
use crate::store::{Body, Stored};

/// Makes the next events of a chain ready to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    /// Position of the last event.
    pub position: u64,
    /// Hash of its header.
    pub head: [u8; 32],
}

impl Writer {
    /// Seals an event at the next position.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(
        &mut self,
        event: &Event,
        time: u64,
    ) -> Result<(LoggedEvent, Stored), random::Error> {
        let salt: [u8; 32] = random::bytes()?;
        let bytes = event.encode();
        let header = Header {
            position: self.position + 1,
            previous: self.head,
            time,
            kind: event.kind(),
            outcome: header::ACCEPTED,
            rules: RULES,
            commitment: header::commitment(&salt, &bytes),
        };
        (self.position, self.head) = (header.position, header.hash());
        let stored =
            Stored { header: header.to_bytes().to_vec(), body: Some(Body { salt, bytes }) };
        Ok((LoggedEvent { header, event: Some(event.clone()) }, stored))
    }
}

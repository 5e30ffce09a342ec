//! The chain: numbered events, each bound to the one before.
//!
//! An event is a header and a body. The header is chained and kept for ever. Of the body it has
//! only a hash, the commitment, with a salt of 32 random bytes. A purge erases body and salt
//! without breaking the chain, and afterwards the body cannot be guessed from the hash.
//! A header:
//!
//! ```text
//! position   u64   from 1
//! previous   32    SHA-256 of the header before; zeros in the first header
//! time       u64   Unix time in seconds
//! kind       u16   the kind of event, see `Event::kind`
//! outcome    u8    1: accepted
//! rules      u16   version of the rules that judged it
//! commitment 32    SHA-256(salt ‖ all of the above ‖ body); up to rules 1, SHA-256(salt ‖ body)
//! ```
//!
//! Numbers are little-endian. A header has 85 bytes.
//!
//! The chain tells whether a header is right only by the header behind it. Of the last event the commitment
//! tells, since it covers the header too: no flipped bit makes it an event of another kind or time.

use gcs_core::Digest;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::events::{DecodeError, Event};

/// Length of a header in bytes.
pub const HEADER_LEN: usize = 85;

/// Bytes of a header before the commitment.
const COMMITTED: usize = HEADER_LEN - 32;

/// Version of the rules by which this release judges. The state is computed from the events as
/// they were recorded: a release with new rules does not judge old events again.
pub const RULES: u16 = 2;

/// The last version of the rules whose commitments do not cover headers.
const BODIES_ALONE: u16 = 1;

/// The outcome of an event that was accepted. Requests that are not accepted are not in the log.
const ACCEPTED: u8 = 1;

/// The part of an event that is never erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Position in the log, from 1.
    pub position: u64,
    /// Hash of the header before it.
    pub previous: [u8; 32],
    /// Unix time in seconds.
    pub time: u64,
    /// The kind of event: see [`Event::kind`].
    pub kind: u16,
    /// The outcome: always 1, accepted.
    pub outcome: u8,
    /// Version of the rules that judged it.
    pub rules: u16,
    /// SHA-256 of the salt, of this header as far as it comes before, and of the body.
    pub commitment: [u8; 32],
}

impl EventHeader {
    /// The header as bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, &self.position.to_le_bytes());
        put(&mut rest, &self.previous);
        put(&mut rest, &self.time.to_le_bytes());
        put(&mut rest, &self.kind.to_le_bytes());
        put(&mut rest, &[self.outcome]);
        put(&mut rest, &self.rules.to_le_bytes());
        put(&mut rest, &self.commitment);
        bytes
    }

    /// Reads a header; `None` if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<EventHeader> {
        let rest: &[u8; HEADER_LEN] = bytes.try_into().ok()?;
        let rest = &mut rest.as_slice();
        Some(EventHeader {
            position: u64::from_le_bytes(take(rest)?),
            previous: take(rest)?,
            time: u64::from_le_bytes(take(rest)?),
            kind: u16::from_le_bytes(take(rest)?),
            outcome: u8::from_le_bytes(take(rest)?),
            rules: u16::from_le_bytes(take(rest)?),
            commitment: take(rest)?,
        })
    }

    /// The commitment that belongs to this header and a body, whatever commitment it has. Without the
    /// salt it says nothing about the body.
    #[must_use]
    pub fn commitment_to(&self, salt: &[u8; 32], body: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(salt);
        if self.rules != BODIES_ALONE {
            hasher.update(&self.to_bytes()[..COMMITTED]);
        }
        hasher.chain_update(body).finalize().into()
    }

    /// The versions of the rules, by which headers are told to be right: the newest first.
    pub(super) const ALL_RULES: [u16; 2] = [RULES, BODIES_ALONE];

    /// Whether the commitment covers the header too.
    pub(super) fn covers_header(&self) -> bool {
        self.rules != BODIES_ALONE
    }

    /// The same header, of an event that was accepted.
    pub(super) fn accepted(self) -> EventHeader {
        EventHeader { outcome: ACCEPTED, ..self }
    }

    /// SHA-256 of the header's bytes. The next header contains it.
    pub fn hash(&self) -> [u8; 32] {
        Digest::of(&self.to_bytes()).0
    }
}

/// Writes bytes to the front of what is left of a buffer.
fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (front, behind) = std::mem::take(rest).split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    *rest = behind;
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// An event of the log.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// Its header.
    pub header: EventHeader,
    /// The content; `None` once the body has been erased.
    pub event: Option<Event>,
}

/// An event of the log that cannot be read or applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The event is damaged, missing, or does not follow from the events before.
    #[error("event {position}: {what}")]
    Broken {
        /// Position of the first bad event.
        position: u64,
        /// What is wrong with it.
        what: String,
    },
    /// An event with a kind or an outcome that this release does not know.
    #[error(
        "event {position} is of {field} {value}, which this release does not know: it was written \
         by a newer one; install that"
    )]
    Newer {
        /// Its position.
        position: u64,
        /// The field of its header.
        field: &'static str,
        /// The unknown value of that field.
        value: u16,
    },
    /// The end of a log that goes on in another place.
    #[error("the log was moved to {to}, where it goes on: set `store`, or leave it out, to match")]
    Moved {
        /// Position of the event that says so.
        position: u64,
        /// Where the log goes on.
        to: String,
    },
}

impl LogError {
    /// An event that is damaged, missing, or does not follow from the events before.
    pub fn broken(position: u64, what: impl Into<String>) -> LogError {
        LogError::Broken { position, what: what.into() }
    }

    /// Whether a newer release wrote the event.
    pub fn is_newer(&self) -> bool {
        matches!(self, LogError::Newer { .. })
    }

    /// The position of the event.
    pub fn position(&self) -> u64 {
        let (LogError::Broken { position, .. }
        | LogError::Newer { position, .. }
        | LogError::Moved { position, .. }) = self;
        *position
    }

    /// This error, found behind an event that seemed to be of a newer release. If it is found right
    /// behind it, the header of that event is damaged, and no newer release wrote it.
    #[must_use]
    pub fn behind(self, newer: &LogError) -> LogError {
        let position = newer.position();
        if self.position() != position + 1 {
            return self;
        }
        let what = format!("its header or that of the next event is damaged ({self})");
        LogError::broken(position, what)
    }
}

/// The end of a chain so far. It seals the next events, or verifies them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Position of the last event, 0 before the first.
    pub position: u64,
    /// SHA-256 of that event's header; zeros before the first.
    pub head: [u8; 32],
}

impl Chain {
    /// Seals an event at the next position: its header, and its body as bytes. The salt must be
    /// random and used only once.
    pub fn seal(&mut self, event: &Event, time: u64, salt: &[u8; 32]) -> (EventHeader, Vec<u8>) {
        let body = event.encode();
        let mut header = EventHeader {
            position: self.position + 1,
            previous: self.head,
            time,
            kind: event.kind(),
            outcome: ACCEPTED,
            rules: RULES,
            commitment: [0; 32],
        };
        header.commitment = header.commitment_to(salt, &body);
        (self.position, self.head) = (header.position, header.hash());
        (header, body)
    }

    /// Verifies that a header and a body, if it has not been erased, are the next event's.
    ///
    /// # Errors
    /// What is wrong with the event.
    pub fn verify(
        &mut self,
        header: &[u8],
        body: Option<(&[u8; 32], &[u8])>,
    ) -> Result<LoggedEvent, LogError> {
        let mut next = *self;
        let header = next.link(header)?;
        let position = header.position;
        if let Some((salt, body)) = body
            && header.commitment_to(salt, body) != header.commitment
        {
            let what = "its body is not the one it was written with, or its header is not";
            return Err(LogError::broken(position, what));
        }
        if header.outcome != ACCEPTED {
            let value = header.outcome.into();
            return Err(LogError::Newer { position, field: "outcome", value });
        }
        let event = body.map(|(_, body)| decode(&header, body)).transpose()?;
        *self = next;
        Ok(LoggedEvent { header, event })
    }

    /// Verifies that a header is the next event's, whatever its kind and outcome.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub fn link(&mut self, header: &[u8]) -> Result<EventHeader, LogError> {
        let position = self.position + 1;
        let broken = |what: &str| LogError::broken(position, what);
        let header = EventHeader::from_bytes(header)
            .ok_or_else(|| broken("its header is not one of this server's"))?;
        if header.position != position {
            let what = format!("its header says it is event {}", header.position);
            return Err(LogError::broken(position, what));
        }
        if header.previous != self.head {
            return Err(broken("it does not follow from the event before (its hash differs)"));
        }
        (self.position, self.head) = (position, header.hash());
        Ok(header)
    }
}

fn decode(header: &EventHeader, body: &[u8]) -> Result<Event, LogError> {
    let EventHeader { position, kind, .. } = *header;
    Event::decode(kind, body).map_err(|error| match error {
        DecodeError::UnknownKind => LogError::Newer { position, field: "kind", value: kind },
        DecodeError::Body(error) => {
            LogError::broken(position, format!("its body cannot be read: {error}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written() {
        let header = EventHeader {
            position: 0x0102_0304_0506_0708,
            previous: [9; 32],
            time: 10,
            kind: 0x0b0c,
            outcome: ACCEPTED,
            rules: 0x0d0e,
            commitment: [15; 32],
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes[..8], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(EventHeader::from_bytes(&bytes), Some(header));
        assert_eq!(EventHeader::from_bytes(&bytes[1..]), None);
    }
}

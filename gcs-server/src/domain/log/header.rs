//! Headers: what is chained.
//!
//! ```text
//! position   u64   from 1
//! previous   32    SHA-256 of the header before; zeros in the first
//! time       u64   Unix time in seconds
//! kind       u16   what happened
//! outcome    u8    1: accepted
//! rules      u16   version of the rules that judged it
//! commitment 32    SHA-256(salt ‖ body)
//! ```
//!
//! All little-endian, 85 bytes.

use gcs_core::Digest;
use sha2::{Digest as _, Sha256};

/// Bytes of a header.
pub const HEADER_LEN: usize = 85;

/// Version of the rules by which this release judges. The fold applies what was recorded,
/// so a new version never judges history again.
pub const RULES: u16 = 1;

/// The act was accepted. Rejections are counted, not logged.
pub(super) const ACCEPTED: u8 = 1;

/// What is known of an event for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Position in the log, from 1.
    pub position: u64,
    /// Hash of the header before it.
    pub previous: [u8; 32],
    /// Unix time in seconds.
    pub time: u64,
    /// What happened: see [`super::Event::kind`].
    pub kind: u16,
    /// 1: accepted.
    pub outcome: u8,
    /// Version of the rules that judged it.
    pub rules: u16,
    /// SHA-256(salt ‖ body).
    pub commitment: [u8; 32],
}

impl Header {
    /// The header as bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let parts: [&[u8]; 7] = [
            &self.position.to_le_bytes(),
            &self.previous,
            &self.time.to_le_bytes(),
            &self.kind.to_le_bytes(),
            &[self.outcome],
            &self.rules.to_le_bytes(),
            &self.commitment,
        ];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        bytes
    }

    /// Reads a header; `None` if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Header> {
        let rest: &[u8; HEADER_LEN] = bytes.try_into().ok()?;
        let rest = &mut rest.as_slice();
        Some(Header {
            position: u64::from_le_bytes(take(rest)?),
            previous: take(rest)?,
            time: u64::from_le_bytes(take(rest)?),
            kind: u16::from_le_bytes(take(rest)?),
            outcome: u8::from_le_bytes(take(rest)?),
            rules: u16::from_le_bytes(take(rest)?),
            commitment: take(rest)?,
        })
    }

    /// SHA-256 of its bytes: what the next header is chained to.
    pub fn hash(&self) -> [u8; 32] {
        Digest::of(&self.to_bytes()).0
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Binds a header to a body without telling anything about it.
pub(super) fn commitment(salt: &[u8; 32], body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(body).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written() {
        let header = Header {
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
        assert_eq!(Header::from_bytes(&bytes), Some(header));
        assert_eq!(Header::from_bytes(&bytes[1..]), None);
    }
}

//! Events that a disk has damaged: what is right about them, by proof.
//!
//! A header is right if the header behind it has its hash, and a body if it fits the commitment. What a damage has
//! changed is found by trying: only the right bytes have the right hash. So nothing that is put right here is a
//! guess. What is found quickly is tried: one field of a header, or two beside each other; and one flipped bit of
//! a body.

use super::chain::{Chain, EventHeader, LogError};
use super::events::{Event, is_erasable};

/// An event as it is stored: its header, and salt and body if they have not been erased.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The header.
    pub header: &'a [u8],
    /// Salt and body.
    pub body: Option<(&'a [u8; 32], &'a [u8])>,
}

/// What tells whether a header is right.
#[derive(Clone, Copy, Debug)]
pub enum Behind<'a> {
    /// The next event.
    Event(Stored<'a>),
    /// Nothing but, perhaps, the hash of the last header, as it was noted elsewhere.
    End(Option<[u8; 32]>),
}

/// How an event was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// As it was written.
    Whole,
    /// Damaged, and put right.
    Mended,
    /// Its body is damaged for good, or missing.
    BodyLost,
}

/// An event whose header is right.
#[derive(Clone, Debug)]
pub struct Mended {
    /// The header.
    pub header: EventHeader,
    /// Salt and body, if they are there and right.
    pub body: Option<([u8; 32], Vec<u8>)>,
    /// How it was found.
    pub found: Found,
}

/// Pairs of a kind and a time that are tried for one header. That takes some seconds.
const MOST_TRIES: usize = 1 << 21;

/// Seconds that the time of an event may be before that of the one before it, or after that of the next one.
const SLACK: u64 = 600;

/// Seconds after the event before, and before the next one, within which a damaged time is looked for: a week.
const AWAY: u64 = 7 * 86_400;

/// Bytes that are hashed to find one flipped bit. That takes some seconds.
const MOST_HASHED: usize = 1 << 32;

/// Puts the event after the end of a chain right, as far as that can be proven. `since` is the time of the event
/// before it.
///
/// # Errors
/// When nothing proves what the header was; or when a newer release wrote the event.
pub fn mend(
    chain: &mut Chain,
    since: u64,
    event: Stored<'_>,
    behind: Behind<'_>,
) -> Result<Mended, LogError> {
    let position = chain.position + 1;
    let header = if is_right(*chain, event, behind) {
        EventHeader::from_bytes(event.header)
    } else {
        rebuild(*chain, since, event, behind)
    };
    let what = "its header is damaged, and nothing proves what it was";
    let header = header.ok_or_else(|| LogError::broken(position, what))?;
    let is_header_whole = header.to_bytes() == event.header;
    let whole = if is_header_whole { Found::Whole } else { Found::Mended };
    let (body, found) = match event.body {
        // A purge erases no others.
        None if !is_erasable(header.kind) => (None, Found::BodyLost),
        None => (None, whole),
        Some((salt, body)) if header.commitment_to(salt, body) == header.commitment => {
            (Some((*salt, body.to_vec())), whole)
        }
        Some((salt, body)) => match flip_back(&header, salt, body) {
            Some(flipped) => (Some(flipped), Found::Mended),
            None => (None, Found::BodyLost),
        },
    };
    chain.verify(&header.to_bytes(), body.as_ref().map(|(salt, body)| (salt, body.as_slice())))?;
    Ok(Mended { header, body, found })
}

/// Whether a header is the one that was written.
fn is_right(mut chain: Chain, event: Stored<'_>, behind: Behind<'_>) -> bool {
    let Ok(header) = chain.link(event.header) else { return false };
    if is_expected(&header, behind) {
        return true;
    }
    // The commitment covers the header too.
    let fits = event.body.is_some_and(|(salt, body)| {
        header.covers_header() && header.commitment_to(salt, body) == header.commitment
    });
    fits || is_bound_by_next(&header, behind)
        || matches!(behind, Behind::End(None)) && event.body.is_none()
}

/// Whether what is behind a header has its hash.
fn is_expected(header: &EventHeader, behind: Behind<'_>) -> bool {
    let expected = match behind {
        Behind::Event(next) => EventHeader::from_bytes(next.header).map(|next| next.previous),
        Behind::End(head) => head,
    };
    expected == Some(header.hash())
}

/// Whether the next event had this header's hash before it was damaged: its commitment tells.
fn is_bound_by_next(header: &EventHeader, behind: Behind<'_>) -> bool {
    let Behind::Event(Stored { header: next, body: Some((salt, body)) }) = behind else {
        return false;
    };
    let next = EventHeader::from_bytes(next);
    let next = next.map(|next| EventHeader { previous: header.hash(), ..next });
    next.is_some_and(|next| {
        next.covers_header() && next.commitment_to(salt, body) == next.commitment
    })
}

/// The header that was written, found by its hash.
fn rebuild(chain: Chain, since: u64, event: Stored<'_>, behind: Behind<'_>) -> Option<EventHeader> {
    let stored = EventHeader::from_bytes(event.header)?;
    let until = match behind {
        Behind::Event(next) => EventHeader::from_bytes(next.header)?.time,
        Behind::End(_) => since.saturating_add(AWAY),
    };
    let (early, late) = (since.min(until), since.max(until));
    let near = early.saturating_sub(SLACK)..=early.saturating_add(AWAY);
    let far = late.saturating_sub(AWAY)..=late.saturating_add(SLACK);
    let times = || std::iter::once(stored.time).chain(near.clone()).chain(far.clone());
    let kinds = || std::iter::once(stored.kind).chain(Event::KINDS.iter().copied());
    let pairs = std::iter::once((stored.kind, stored.time))
        .chain(kinds().map(|kind| (kind, stored.time)))
        .chain(kinds().flat_map(|kind| times().map(move |time| (kind, time))));
    let like = |rules: u16, kind: u16, time: u64| {
        let (position, previous) = (chain.position + 1, chain.head);
        EventHeader { position, previous, time, kind, rules, ..stored }.accepted()
    };
    let is_right = |header: &EventHeader| is_expected(header, behind);
    let committed = event.body.and_then(|(salt, body)| {
        let headers = EventHeader::ALL_RULES.map(|rules| {
            let header = like(rules, stored.kind, stored.time);
            EventHeader { commitment: header.commitment_to(salt, body), ..header }
        });
        headers.into_iter().find(is_right)
    });
    let tried = || {
        let headers = pairs
            .take(MOST_TRIES)
            .flat_map(|(kind, time)| EventHeader::ALL_RULES.map(|rules| like(rules, kind, time)));
        headers.into_iter().find(is_right)
    };
    // The commitment is damaged, and nothing else; or it is right.
    committed.or_else(tried)
}

/// Salt and body as they were before one of their bits was flipped, if that is what happened.
fn flip_back(header: &EventHeader, salt: &[u8; 32], body: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let (mut salt, mut body) = (*salt, body.to_vec());
    let bits = 8 * (salt.len() + body.len());
    if bits.saturating_mul(salt.len() + body.len()) > MOST_HASHED {
        return None;
    }
    for bit in 0..bits {
        flip(&mut salt, &mut body, bit);
        if header.commitment_to(&salt, &body) == header.commitment {
            return Some((salt, body));
        }
        flip(&mut salt, &mut body, bit);
    }
    None
}

fn flip(salt: &mut [u8; 32], body: &mut [u8], bit: usize) {
    let (at, mask) = (bit / 8, 1 << (bit % 8));
    match at.checked_sub(salt.len()) {
        None => salt[at] ^= mask,
        Some(at) => body[at] ^= mask,
    }
}

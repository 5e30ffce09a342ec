//! Candidates: what was heard and may be in a set, until it is known.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::bytes::{self, Cursor, Put, TRAILER_LEN, expect_at_most};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::ELEMENT_LEN;

const MAGIC: &[u8; 6] = b"GCSQUE";

/// Most candidates that are stored. More are found again at the next wake.
pub(super) const CAPACITY: usize = 256;

/// Longest time between two hits of one episode, in seconds.
pub(super) const EPISODE_GAP: u64 = 30 * 60;

/// Which hit: an element heard at a time, in the set of a date. Ascends by time first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub time: u64,
    pub date: Date,
    pub element: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not answered by a record that can be trusted.
    Open,
    /// An authentic record says that it is a false positive.
    FalsePositive,
    /// An authentic record of this root has not got all checks of its rank.
    Incomplete(Digest),
    /// The element is in the set.
    Confirmed,
}

/// All hits that matter, in ascending order of time, with their ranks in today's sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    pub hits: BTreeMap<Hit, Candidate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub status: Status,
    /// Rank in its date's set; not stored, it changes with the set.
    pub rank: u32,
}

/// A hit and what is known of it.
pub(super) type Entry<'q> = (&'q Hit, &'q Candidate);

impl Queue {
    /// Hits in runs, each heard within [`EPISODE_GAP`] of the one before.
    pub(super) fn episodes(&self) -> Vec<Vec<Entry<'_>>> {
        let mut episodes: Vec<Vec<Entry<'_>>> = Vec::new();
        for (hit, candidate) in &self.hits {
            match episodes.last_mut() {
                Some(episode)
                    if episode.last().is_some_and(|last| hit.time - last.0.time <= EPISODE_GAP) =>
                {
                    episode.push((hit, candidate));
                }
                _ => episodes.push(alloc::vec![(hit, candidate)]),
            }
        }
        episodes
    }

    /// The [`CAPACITY`] hits to keep when there are more: what is confirmed, then the
    /// first open hit of every undecided episode, the second of every one, and so on.
    fn kept(&self) -> BTreeMap<&Hit, &Candidate> {
        let mut ranked: Vec<((u8, usize), Entry<'_>)> = Vec::new();
        for episode in self.episodes() {
            let decided = episode.iter().any(|entry| entry.1.status == Status::Confirmed);
            let mut counts = [0; 3];
            ranked.extend(episode.into_iter().map(|entry| {
                let class = match entry.1.status {
                    Status::Confirmed => 0,
                    Status::Open if !decided => 1,
                    _ => 2,
                };
                counts[class] += 1;
                ((class as u8, counts[class]), entry)
            }));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().take(CAPACITY).map(|(_, entry)| entry).collect()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let kept = self.kept();
        let mut bytes = Vec::open(MAGIC);
        bytes.put_u32(kept.len() as u32);
        for (hit, candidate) in kept {
            bytes.put_u64(hit.time).put_u32(hit.date.days());
            let (status, root) = match candidate.status {
                Status::Open => (0, Digest::ZERO),
                Status::FalsePositive => (1, Digest::ZERO),
                Status::Incomplete(root) => (2, root),
                Status::Confirmed => (3, Digest::ZERO),
            };
            bytes.put_u8(status).put(&root.0);
            bytes.put_u8(hit.element.len() as u8).put(&hit.element);
        }
        bytes::seal(&mut bytes);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Queue, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let count = cursor.u32()?;
        expect_at_most("candidates", u64::from(count), CAPACITY as u64)?;
        let mut queue = Queue::default();
        for _ in 0..count {
            let (time, date) = (cursor.u64()?, cursor.date()?);
            let (status, root) = (cursor.u8()?, cursor.digest()?);
            let status = match status {
                0 => Status::Open,
                1 => Status::FalsePositive,
                2 => Status::Incomplete(root),
                3 => Status::Confirmed,
                got => {
                    let got = u64::from(got);
                    return Err(ParseError::Limit { field: "status", max: 3, got });
                }
            };
            let length = u64::from(cursor.u8()?);
            expect_at_most("element length", length, *ELEMENT_LEN.end() as u64)?;
            let element = cursor.take(length)?.to_vec();
            queue.hits.insert(Hit { time, date, element }, Candidate { status, rank: 0 });
        }
        cursor.take(TRAILER_LEN as u64)?;
        cursor.finish()?;
        bytes::expect_trailer(bytes)?;
        Ok(queue)
    }
}

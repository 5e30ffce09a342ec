//! The queue of candidates: hits, and what is known about each.

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

/// A hit: an element that was heard at a time and may be in the set of a date. Hits are ordered
/// by time first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub time: u64,
    pub date: Date,
    pub element: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HitStatus {
    /// No authentic record has answered yet.
    Open,
    /// An authentic record says that it is a false positive.
    FalsePositive,
    /// The authentic record of this check root does not hold all checks of its rank.
    Incomplete(Digest),
    /// The element is in the set.
    Confirmed,
    /// The element counts as in the set without being asked for: because false alarms are rarer
    /// than the settings tolerate, or because a hit that was found with it is confirmed.
    Accepted,
}

impl HitStatus {
    /// Whether no authentic record has said yes or no.
    pub(super) fn is_undecided(self) -> bool {
        matches!(self, HitStatus::Open | HitStatus::Incomplete(_))
    }

    /// Whether the hit makes its episode a contact.
    pub(super) fn is_contact(self) -> bool {
        matches!(self, HitStatus::Confirmed | HitStatus::Accepted)
    }
}

/// All hits, in ascending order of time, with their ranks in the sets that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    pub hits: BTreeMap<Hit, Candidate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub status: HitStatus,
    /// Rank in its date's set; not stored, it changes with the set. `None` if there is no set
    /// to test it against, or only an older one that it is not in.
    pub rank: Option<u32>,
    /// The begin of the window in which the hit was found.
    pub window: u64,
}

/// A hit, and what is known about it.
pub(super) type QueuedHit<'q> = (&'q Hit, &'q Candidate);

impl Queue {
    /// Makes contacts of undecided hits without asking: of all, or of those found in one window.
    pub(super) fn accept(&mut self, window: Option<u64>) {
        for candidate in self.hits.values_mut().filter(|candidate| candidate.rank.is_some()) {
            let is_meant = window.is_none_or(|window| window == candidate.window);
            if is_meant && candidate.status.is_undecided() {
                candidate.status = HitStatus::Accepted;
            }
        }
    }

    /// Hits in runs, each heard within [`EPISODE_GAP`] of the one before.
    pub(super) fn episodes(&self) -> Vec<Vec<QueuedHit<'_>>> {
        let mut episodes: Vec<Vec<QueuedHit<'_>>> = Vec::new();
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

    /// The [`CAPACITY`] hits to keep when there are more: of every contact the first hit that makes
    /// it; then false positives and the first open hits of undecided episodes, before the second
    /// ones, and so on; then what is left.
    fn kept(&self) -> BTreeMap<&Hit, &Candidate> {
        let mut ranked: Vec<((u8, usize), QueuedHit<'_>)> = Vec::new();
        for episode in self.episodes() {
            let is_contact = episode.iter().any(|entry| entry.1.status.is_contact());
            let mut counts = [0; 3];
            ranked.extend(episode.into_iter().map(|entry| {
                let class = match entry.1.status {
                    status if status.is_contact() && counts[0] == 0 => 0,
                    HitStatus::FalsePositive => 1,
                    HitStatus::Open if !is_contact => 1,
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
                HitStatus::Open => (0, Digest::ZERO),
                HitStatus::FalsePositive => (1, Digest::ZERO),
                HitStatus::Incomplete(root) => (2, root),
                HitStatus::Confirmed => (3, Digest::ZERO),
                HitStatus::Accepted => (4, Digest::ZERO),
            };
            bytes.put_u8(status).put(&root.0).put_u64(candidate.window);
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
                0 => HitStatus::Open,
                1 => HitStatus::FalsePositive,
                2 => HitStatus::Incomplete(root),
                3 => HitStatus::Confirmed,
                4 => HitStatus::Accepted,
                got => {
                    let got = u64::from(got);
                    return Err(ParseError::Limit { field: "status", max: 4, got });
                }
            };
            let window = cursor.u64()?;
            let length = u64::from(cursor.u8()?);
            expect_at_most("element length", length, *ELEMENT_LEN.end() as u64)?;
            let element = cursor.take(length)?.to_vec();
            queue
                .hits
                .insert(Hit { time, date, element }, Candidate { status, rank: None, window });
        }
        cursor.take(TRAILER_LEN as u64)?;
        cursor.finish()?;
        bytes::expect_trailer(bytes)?;
        Ok(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(queue: &mut Queue, time: u64, status: HitStatus) {
        let (date, element) = (Date::from_days(20_000).unwrap(), time.to_le_bytes().repeat(2));
        let candidate = Candidate { status, rank: Some(0), window: 7 };
        queue.hits.insert(Hit { time, date, element }, candidate);
    }

    /// However many hits contacts have, false positives and open hits are remembered.
    #[test]
    fn contacts_do_not_push_out_the_others() {
        let mut queue = Queue::default();
        let mut add = |time, status| add(&mut queue, time, status);
        for episode in 0..10 {
            let start = 1_000_000 + episode * 100_000;
            (0..60).for_each(|at| add(start + at * 60, HitStatus::Confirmed));
        }
        add(100, HitStatus::FalsePositive);
        add(50_000, HitStatus::FalsePositive);
        add(100_000, HitStatus::Open);
        let stored = Queue::parse(&queue.to_bytes()).unwrap();
        assert_eq!(stored.hits.len(), CAPACITY);
        let statuses = |wanted| stored.hits.values().filter(|hit| hit.status == wanted).count();
        assert_eq!(statuses(HitStatus::FalsePositive), 2);
        assert_eq!(statuses(HitStatus::Open), 1);
        assert_eq!(stored.contacts().len(), 10);
        assert!(stored.hits.values().all(|hit| hit.window == 7 && hit.rank.is_none()));
    }

    /// Of one contact with very many hits, decided or not, the first is enough.
    #[test]
    fn what_is_undecided_or_refuted_comes_before_the_rest_of_a_contact() {
        for status in [HitStatus::FalsePositive, HitStatus::Open] {
            let mut queue = Queue::default();
            let mut add = |time, status| add(&mut queue, time, status);
            for at in 0..150 {
                add(1_000_000 + at, HitStatus::Confirmed);
                add(1_000_200 + at, HitStatus::Open);
                add(2_000_000 + at, status);
            }
            (150..200).for_each(|at| add(2_000_000 + at, status));
            let stored = Queue::parse(&queue.to_bytes()).unwrap();
            let (contact, others): (Vec<_>, Vec<_>) =
                stored.hits.keys().map(|hit| hit.time).partition(|time| *time < 2_000_000);
            assert_eq!((contact.len(), others.len()), (CAPACITY - 200, 200), "{status:?}");
            assert_eq!(contact[0], 1_000_000);
        }
    }
}

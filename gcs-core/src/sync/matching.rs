//! Testing what was heard against the sets of its dates.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::queue::{Candidate, Hit, HitStatus, Queue, QueuedHit};
use super::store::ClientStore;
use super::{Contact, Heard, Incident};
use crate::date::{DAY_SECONDS, Date};
use crate::files::Row;
use crate::set::ELEMENT_LEN;

/// Time before and after UTC midnight, in seconds, in which the neighbouring date is tested
/// too: clocks differ, and an identifier may be heard on both sides of midnight.
const MIDNIGHT: u64 = 2 * 3600;

/// The dates whose sets something heard at `time` is tested against.
pub(super) fn dates_of(time: u64) -> impl Iterator<Item = Date> {
    let date = Date::of_time(time);
    let second = time % DAY_SECONDS;
    let before = if second < MIDNIGHT { date.previous() } else { None };
    let after = if second >= DAY_SECONDS - MIDNIGHT { date.next() } else { None };
    [before, Some(date), after].into_iter().flatten()
}

/// All hits, and how many false ones to expect.
pub(super) struct Matched {
    pub queue: Queue,
    /// The expected number of false positives, in units of 2^-64. Every date counts for as many
    /// tests as a phone usually makes, or more if this one made more.
    pub false_hits: u128,
}

/// Tests the stored candidates again, and everything heard, against the sets that the
/// client has. Candidates that are no hits any more are dropped; those of a date whose newest set
/// is not there stay as they were.
pub(super) fn find(
    store: &mut ClientStore,
    stored: &Queue,
    heard: &[Heard],
    usual_heard: u64,
) -> Matched {
    let mut queries: BTreeMap<Date, Vec<HeardQuery<'_>>> = BTreeMap::new();
    for (hit, candidate) in &stored.hits {
        let (status, window) = (candidate.status, candidate.window);
        let query = HeardQuery { time: hit.time, element: &hit.element, status, window };
        queries.entry(hit.date).or_default().push(query);
    }
    for (index, Heard { time, element }) in heard.iter().enumerate() {
        if !ELEMENT_LEN.contains(&element.len()) {
            store.incidents.push(Incident::HeardLength { index, got: element.len() });
            continue;
        }
        for date in dates_of(*time) {
            let (status, window) = (HitStatus::Open, store.state.window.since);
            let query = HeardQuery { time: *time, element, status, window };
            queries.entry(date).or_default().push(query);
        }
    }
    let mut queue = Queue::default();
    for row in store.usable_rows() {
        let (Some(queries), Some(set)) = (queries.get(&row.date), store.sets.get(&row.identity))
        else {
            continue;
        };
        let elements: Vec<&[u8]> = queries.iter().map(|query| query.element).collect();
        for found in set.matches(&elements) {
            let HeardQuery { time, element, status, window } = queries[found.query];
            let hit = Hit { time, date: row.date, element: element.to_vec() };
            // Stored candidates come first, and their status counts.
            let (status, rank) = (renew(status, &row), Some(found.rank));
            queue.hits.entry(hit).or_insert(Candidate { status, rank, window });
        }
    }
    for (hit, candidate) in &stored.hits {
        if store.may_still_hold(hit.date) {
            queue.hits.entry(hit.clone()).or_insert(*candidate);
        }
    }
    let false_hits = expected_false_hits(store.newest_table().rows(), &queries, usual_heard);
    Matched { queue, false_hits }
}

/// The expected number of false positives, in units of 2^-64, over all published dates, also
/// those whose sets are not there: whoever withholds sets must not decide. Before anything is
/// known it is the largest number.
fn expected_false_hits(
    rows: &[Row],
    queries: &BTreeMap<Date, Vec<HeardQuery<'_>>>,
    usual_heard: u64,
) -> u128 {
    if rows.is_empty() {
        return u128::MAX;
    }
    let usual_tests = usual_heard.div_ceil(rows.len() as u64);
    let tests = |row: &Row| {
        let elements = queries.get(&row.date).into_iter().flatten().map(|query| query.element);
        (elements.collect::<BTreeSet<_>>().len() as u64).max(usual_tests)
    };
    rows.iter().fold(0, |sum, row| sum.saturating_add(expected_hits(row, tests(row))))
}

/// How many of so many tests hit the set of this row by chance, in units of 2^-64.
fn expected_hits(row: &Row, tests: u64) -> u128 {
    let products = u128::from(tests) * u128::from(row.len);
    match u64::try_from(products) {
        Ok(products) => (u128::from(products) << 64) / u128::from(row.hash_range.get()),
        Err(_) => u128::MAX,
    }
}

/// A hit whose record was incomplete is open again once its date has other records.
fn renew(status: HitStatus, row: &Row) -> HitStatus {
    match status {
        HitStatus::Incomplete(root) if root != row.check_root => HitStatus::Open,
        status => status,
    }
}

#[derive(Clone, Copy)]
struct HeardQuery<'h> {
    time: u64,
    element: &'h [u8],
    status: HitStatus,
    window: u64,
}

impl Queue {
    /// One contact for every episode with a hit that makes one.
    pub(super) fn contacts(&self) -> Vec<Contact> {
        let contact = |episode: Vec<QueuedHit<'_>>| {
            let (hit, _) = episode.iter().find(|entry| entry.1.status.is_contact())?;
            let is_hit = |entry: &&QueuedHit<'_>| entry.1.status != HitStatus::FalsePositive;
            let mut times = episode.iter().filter(is_hit).map(|entry| entry.0.time);
            let first = times.next()?;
            let last = times.next_back().unwrap_or(first);
            Some(Contact { first, last, date: hit.date, element: hit.element.clone() })
        };
        self.episodes().into_iter().filter_map(contact).collect()
    }

    /// Hits that no authentic record has answered, in episodes that are no contacts yet.
    pub(super) fn undecided(&self) -> usize {
        let hits = self.open_episodes().flatten();
        hits.filter(|(_, candidate)| candidate.status == HitStatus::Open).count()
    }

    /// Episodes that are no contacts yet.
    pub(super) fn open_episodes(&self) -> impl Iterator<Item = Vec<QueuedHit<'_>>> {
        let is_open = |episode: &Vec<QueuedHit<'_>>| {
            !episode.iter().any(|(_, candidate)| candidate.status.is_contact())
        };
        self.episodes().into_iter().filter(is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::files::RecordShape;
    use crate::set::{HashRange, Salt, Set};

    #[test]
    fn other_records_open_only_what_was_incomplete() {
        let set = Set::from_fingerprints(Salt([1; 16]), HashRange::new(9).unwrap(), [3]).unwrap();
        let (root, other) = (Digest::of(b"root"), Digest::of(b"other"));
        let date = Date::from_days(18_000).unwrap();
        let row = Row::of(date, &set, root, RecordShape::for_dates(1, |_| 0));
        assert_eq!(renew(HitStatus::Incomplete(other), &row), HitStatus::Open);
        for status in [HitStatus::Incomplete(root), HitStatus::Confirmed, HitStatus::FalsePositive]
        {
            assert_eq!(renew(status, &row), status);
        }
    }

    #[test]
    fn neighbours_count_within_two_hours_of_midnight() {
        let date = Date::from_days(18_000).unwrap();
        let days = |time| dates_of(time).map(Date::days).collect::<Vec<_>>();
        assert_eq!(days(date.start()), [17_999, 18_000]);
        assert_eq!(days(date.start() + 7199), [17_999, 18_000]);
        assert_eq!(days(date.start() + 7200), [18_000]);
        assert_eq!(days(date.end() - 7201), [18_000]);
        assert_eq!(days(date.end() - 7200), [18_000, 18_001]);
        assert_eq!(days(date.end() - 1), [18_000, 18_001]);
        assert_eq!(days(0), [0]);
        assert_eq!(days(u64::MAX).len(), 1);
    }
}

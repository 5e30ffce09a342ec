//! The confirmation slot: one check record is fetched, for a candidate or for a dummy.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::engine::{Engine, file_error};
use super::error::SyncError;
use super::queue::{Candidate, Hit, HitStatus, Queue};
use super::window::{Question, Window};
use super::{Asked, Incident};
use crate::files::{CheckRecord, Path, Row, Verdict};

/// One expected false positive, in units of 2^-64.
const ONE_FALSE_HIT: u128 = 1 << 64;

impl Engine {
    /// Asks the question that waits for an answer, or a new one if it is time for that.
    /// `false_hits` is the expected number of false positives, in units of 2^-64.
    pub(super) async fn ask(
        &mut self,
        queue: &mut Queue,
        false_hits: u128,
    ) -> Result<Option<Asked>, SyncError> {
        let standing = self.store.state.question.filter(|asked| self.place_of(asked).is_some());
        self.store.state.question = standing.or_else(|| self.new_question(queue));
        // The slot is used up before the request is made. Otherwise a server could delay its
        // answer until the app is stopped, and learn a second question. The hits come first, so that
        // they keep their window.
        self.store.save_queue(queue).await?;
        self.store.save_state().await?;
        let question = self.store.state.question;
        let Some((row, rank)) = question.and_then(|asked| self.place_of(&asked)) else {
            return Ok(None);
        };
        let hit = queue.open_hit(&row, row.record_of(rank));
        let is_answered = match self.judge(queue, &row, rank).await {
            Ok(confirmed) => {
                // So few false positives are expected that none is likely to have come with it.
                let windows = confirmed.into_iter().filter(|_| false_hits <= ONE_FALSE_HIT);
                windows.for_each(|window| queue.accept(Some(window)));
                true
            }
            Err(error) => {
                self.note(Incident::Detour(error));
                false
            }
        };
        if is_answered {
            self.store.state.question = None;
        }
        Ok(Some(match hit {
            None => Asked::Dummy { authentic: is_answered },
            Some(hit) => Asked::Candidate(queue.verdict(&hit)),
        }))
    }

    /// A new question, if enough is new: a candidate, or else one of the fingerprints that
    /// were added since the last question.
    fn new_question(&mut self, queue: &Queue) -> Option<Question> {
        let (state, settings) = (&self.store.state, &self.settings);
        let issued = state.issued();
        if !state.window.is_wide(issued, settings) {
            return None;
        }
        let place = self.candidate(queue).or_else(|| self.dummy())?;
        self.store.state.window = Window { since: issued, ..Window::default() };
        self.middle_of_record(&place)
    }

    /// The fingerprint in the middle of the record that a place lies in. A question keeps to it:
    /// as the set grows, the record that holds the middle changes without telling where in the
    /// record the place was.
    fn middle_of_record(&self, place: &Question) -> Option<Question> {
        let (row, rank) = self.place_of(place)?;
        let middle = middle_rank(&row, rank);
        let fingerprint = self.store.sets.get(&row.identity)?.iter().nth(middle as usize)?;
        Some(Question { date: row.date, fingerprint })
    }

    /// The first open hit of one of the undecided episodes.
    fn candidate(&mut self, queue: &Queue) -> Option<Question> {
        let open = queue.first_open_hits();
        let hit = *open.get(self.random.below(open.len() as u64) as usize)?;
        let set = self.store.set_of(hit.date)?;
        Some(Question { date: hit.date, fingerprint: set.hasher().fingerprint(&hit.element) })
    }

    /// One of the fingerprints that are new, or of all if nothing is.
    fn dummy(&mut self) -> Option<Question> {
        let new = self.store.state.window.sample.filter(|sample| self.place_of(sample).is_some());
        new.or_else(|| self.any_place())
    }

    fn any_place(&mut self) -> Option<Question> {
        let rows = self.store.usable_rows();
        let total: u64 = rows.iter().map(|row| u64::from(row.len)).sum();
        let (row, rank) = place_among(&rows, self.random.below(total))?;
        let fingerprint = self.store.sets.get(&row.identity)?.iter().nth(rank as usize)?;
        Some(Question { date: row.date, fingerprint })
    }

    /// The row of the question's date, and the rank of its fingerprint. If the fingerprint is
    /// gone, it is the rank of the next: a question stays until it is answered, whatever becomes
    /// of its fingerprint.
    fn place_of(&self, question: &Question) -> Option<(Row, u32)> {
        let row = self.store.usable_row(question.date)?;
        let set = self.store.sets.get(&row.identity)?;
        let rank = set.iter_within(..question.fingerprint).count() as u32;
        Some((row, rank.min(row.len.checked_sub(1)?)))
    }

    /// Fetches and verifies the record of a rank, and judges every hit that lies in it. Returns
    /// the windows in which hits were found that are confirmed now, but for the first window,
    /// which is of everything.
    async fn judge(
        &mut self,
        queue: &mut Queue,
        row: &Row,
        rank: u32,
    ) -> Result<BTreeSet<u64>, SyncError> {
        let number = row.record_of(rank);
        let length = row.record_shape.record_len();
        let path = Path::Checks { date: row.date, root: row.check_root };
        let start = u64::from(number) * length;
        let bytes = self.fetch_part(path, Some(start..start + length), length).await?;
        let record =
            CheckRecord::verify(&bytes, row, number).map_err(|error| file_error(path, error))?;
        let mut confirmed = queue.judge(row, &record);
        confirmed.remove(&0);
        Ok(confirmed)
    }
}

/// The rank in the middle of the record that a rank lies in.
fn middle_rank(row: &Row, rank: u32) -> u32 {
    let ranks = row.record_shape.ranks;
    let first = row.record_of(rank) * ranks;
    first + (row.len - first).min(ranks) / 2
}

/// The row and the rank of one of the fingerprints of all rows, which are counted through.
fn place_among(rows: &[Row], mut at: u64) -> Option<(&Row, u32)> {
    for row in rows {
        if at < u64::from(row.len) {
            return Some((row, at as u32));
        }
        at -= u64::from(row.len);
    }
    None
}

impl Queue {
    /// The first open hit of each undecided episode, where there is one in a set that is held.
    fn first_open_hits(&self) -> Vec<&Hit> {
        let is_open = |entry: &Candidate| entry.status == HitStatus::Open && entry.rank.is_some();
        self.open_episodes()
            .filter_map(|episode| episode.into_iter().find(|(_, entry)| is_open(entry)))
            .map(|(hit, _)| hit)
            .collect()
    }

    /// The first open hit in a record, of an episode that is no contact yet.
    fn open_hit(&self, row: &Row, number: u32) -> Option<Hit> {
        let in_record = self.open_episodes().flatten().find(|(hit, candidate)| {
            let record = candidate.rank.map(|rank| row.record_of(rank));
            let is_there = hit.date == row.date && record == Some(number);
            is_there && candidate.status == HitStatus::Open
        });
        in_record.map(|(hit, _)| hit.clone())
    }

    fn verdict(&self, hit: &Hit) -> Verdict {
        match self.hits.get(hit).map(|candidate| candidate.status) {
            Some(HitStatus::Confirmed) => Verdict::Confirmed,
            Some(HitStatus::FalsePositive) => Verdict::FalsePositive,
            _ => Verdict::Unknown,
        }
    }

    /// Judges every hit that lies in an authentic record. Returns the windows in which hits were
    /// found that are confirmed now.
    fn judge(&mut self, row: &Row, record: &CheckRecord<'_>) -> BTreeSet<u64> {
        let hasher = row.hasher();
        let mut confirmed = BTreeSet::new();
        for (hit, candidate) in self.hits.iter_mut().filter(|(hit, _)| hit.date == row.date) {
            let Some(rank) = candidate.rank else { continue };
            if row.record_of(rank) != record.number() {
                continue;
            }
            let before = candidate.status;
            candidate.status = match record.verdict(rank, hasher.check(&hit.element)) {
                Verdict::Confirmed => HitStatus::Confirmed,
                Verdict::FalsePositive => HitStatus::FalsePositive,
                Verdict::Unknown if before.is_undecided() => HitStatus::Incomplete(row.check_root),
                Verdict::Unknown => before,
            };
            let is_news = candidate.status == HitStatus::Confirmed && before != candidate.status;
            confirmed.extend(is_news.then_some(candidate.window));
        }
        confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Date;
    use crate::digest::Digest;
    use crate::files::{CheckFile, RecordShape};
    use crate::keys::DerivationKey;
    use crate::set::{HashRange, Salt, Set};

    fn date() -> Date {
        Date::from_days(20_000).unwrap()
    }

    /// A row of the fingerprints 0, 1, 2, …
    fn row_of(len: u32) -> Row {
        let hash_range = HashRange::new(1 << 20).unwrap();
        let set = Set::from_fingerprints(Salt([1; 16]), hash_range, 0..u64::from(len)).unwrap();
        Row::of(date(), &set, Digest::of(b"root"), RecordShape::for_dates(len, |_| 0))
    }

    fn queue_of(hits: &[(u64, &[u8], HitStatus, Option<u32>)]) -> Queue {
        let mut queue = Queue::default();
        for &(time, element, status, rank) in hits {
            let hit = Hit { time, date: date(), element: element.to_vec() };
            queue.hits.insert(hit, Candidate { status, rank, window: time });
        }
        queue
    }

    #[test]
    fn the_middle_of_a_record_is_that_of_its_ranks_in_the_set() {
        let row = row_of(5000);
        for (rank, middle) in
            [(0, 1024), (2047, 1024), (2048, 3072), (4095, 3072), (4096, 4548), (4999, 4548)]
        {
            assert_eq!(middle_rank(&row, rank), middle);
        }
    }

    #[test]
    fn every_fingerprint_of_all_rows_is_one_place() {
        let rows = [row_of(3), row_of(0), row_of(2)];
        let place = |at| place_among(&rows, at).map(|(row, rank)| (row.len, rank));
        let places: Vec<_> = (0..6).map(place).collect();
        let expected = [(3, 0), (3, 1), (3, 2), (2, 0), (2, 1)].map(Some);
        assert_eq!(places, [&expected[..], &[None]].concat());
    }

    /// What is decided already is not asked for again, nor what lies in no set that is held.
    #[test]
    fn the_first_open_hit_of_an_undecided_episode_is_asked_for() {
        let (open, refuted) = (HitStatus::Open, HitStatus::FalsePositive);
        let queue = queue_of(&[
            (10_000, b"no longer asked.", refuted, Some(1)),
            (10_001, b"of no set.......", open, None),
            (10_002, b"asked for.......", open, Some(2)),
            (10_003, b"asked for later.", open, Some(3)),
            (20_000, b"of no set.......", open, None),
            (30_000, b"a contact.......", HitStatus::Confirmed, Some(4)),
            (30_001, b"of a contact....", open, Some(5)),
        ]);
        let times: Vec<u64> = queue.first_open_hits().iter().map(|hit| hit.time).collect();
        assert_eq!(times, [10_002]);
    }

    /// A record that cannot tell takes nothing back; and only a confirmation that is new is news
    /// of its window.
    #[test]
    fn a_record_changes_what_it_can_tell() {
        let (there, other): (&[u8], &[u8]) = (b"in the set......", b"not in the set..");
        let mut row = row_of(2);
        // The check of one element at rank 0, and more than there are slots at rank 1.
        let entries: Vec<_> = core::iter::once((0, row.hasher().check(there)))
            .chain((1..=20).map(|check| (1, check)))
            .collect();
        let key = DerivationKey::new([5; 32]);
        let file = CheckFile::build(row.date, row.identity, &entries, row.record_shape, &key);
        row.check_root = file.root;
        let record = CheckRecord::verify(&file.bytes, &row, 0).unwrap();

        let (open, refuted) = (HitStatus::Open, HitStatus::FalsePositive);
        let (confirmed, incomplete) = (HitStatus::Confirmed, HitStatus::Incomplete(file.root));
        let mut queue = queue_of(&[
            (1, there, open, Some(0)),
            (2, other, open, Some(0)),
            (3, there, confirmed, Some(0)),
            (4, other, open, Some(1)),
            (5, other, confirmed, Some(1)),
            (6, other, refuted, Some(1)),
            (7, there, open, None),
        ]);
        assert_eq!(queue.judge(&row, &record), BTreeSet::from([1]));
        let statuses: Vec<HitStatus> = queue.hits.values().map(|hit| hit.status).collect();
        let expected = [confirmed, refuted, confirmed, incomplete, confirmed, refuted, open];
        assert_eq!(statuses, expected);
    }
}

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
        let (ranks, number) = (row.record_shape.ranks, row.record_of(rank));
        let first = number * ranks;
        let middle = first + (row.len - first).min(ranks) / 2;
        let fingerprint = self.store.sets.get(&row.identity)?.iter().nth(middle as usize)?;
        Some(Question { date: row.date, fingerprint })
    }

    /// The first open hit of one of the undecided episodes.
    fn candidate(&mut self, queue: &Queue) -> Option<Question> {
        let is_open = |entry: &Candidate| entry.status == HitStatus::Open && entry.rank.is_some();
        let open: Vec<&Hit> = queue
            .open_episodes()
            .filter_map(|episode| episode.into_iter().find(|(_, entry)| is_open(entry)))
            .map(|(hit, _)| hit)
            .collect();
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
        let mut at = self.random.below(total);
        for row in rows {
            if at < u64::from(row.len) {
                let set = self.store.sets.get(&row.identity)?;
                let fingerprint = set.iter().nth(at as usize)?;
                return Some(Question { date: row.date, fingerprint });
            }
            at -= u64::from(row.len);
        }
        None
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

impl Queue {
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

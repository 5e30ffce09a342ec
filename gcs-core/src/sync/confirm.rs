//! The confirmation slot: one check record is fetched, of a candidate or of a dummy.

use alloc::vec::Vec;

use super::engine::{Engine, file_error};
use super::error::SyncError;
use super::queue::{Hit, HitStatus, Queue};
use super::state::Dummy;
use super::{Asked, Incident};
use crate::files::{CheckRecord, Verdict};
use crate::files::{Path, Row};
use crate::set::ElementHasher;

/// Which record a slot asks for.
#[derive(Clone)]
enum Question {
    Candidate(Hit),
    Dummy(Dummy),
}

/// Uses the slot, and draws the time of the next.
pub(super) async fn ask(
    engine: &mut Engine,
    queue: &mut Queue,
) -> Result<Option<Asked>, SyncError> {
    let every = engine.settings.confirm_every.max(1);
    let wait = (every / 2).saturating_add(engine.random.below(every));
    engine.store.state.next_slot = engine.now.saturating_add(wait.max(1));
    let question = choose(engine, queue);
    if let Some(Question::Dummy(dummy)) = &question {
        engine.store.state.dummy = Some(*dummy);
    }
    // The slot is used up before the request is made. Otherwise a server could delay its answer
    // until the app is stopped, and learn a second question.
    engine.store.save_state().await?;
    let Some(question) = question else { return Ok(None) };
    let Some((row, rank)) = engine.place_of(&question, queue) else { return Ok(None) };
    let answered = match judge(engine, queue, &row, rank).await {
        Ok(()) => true,
        Err(error) => {
            engine.note(Incident::Detour(error));
            false
        }
    };
    Ok(Some(match question {
        Question::Dummy(_) => {
            if answered {
                engine.store.state.dummy = None;
            }
            Asked::Dummy { authentic: answered }
        }
        Question::Candidate(hit) => {
            let status = queue.hits.get(&hit).map(|candidate| candidate.status);
            Asked::Candidate(match status.filter(|_| answered) {
                Some(HitStatus::Confirmed) => Verdict::Confirmed,
                Some(HitStatus::FalsePositive) => Verdict::FalsePositive,
                _ => Verdict::Unknown,
            })
        }
    }))
}

/// One of the questions that wait for an answer: of every undecided episode its first open
/// hit, and the last dummy, which is treated as a candidate would be if its answer did not
/// come. If none waits, a new dummy: a uniformly random rank over all fingerprints.
fn choose(engine: &mut Engine, queue: &Queue) -> Option<Question> {
    let is_open = |status: HitStatus| status == HitStatus::Open;
    let mut waiting: Vec<Question> = queue
        .open_episodes()
        .filter_map(|episode| episode.into_iter().find(|(_, entry)| is_open(entry.status)))
        .map(|(hit, _)| Question::Candidate(hit.clone()))
        .collect();
    let dummy = engine.store.state.dummy.map(Question::Dummy);
    waiting.extend(dummy.filter(|dummy| engine.place_of(dummy, queue).is_some()));
    if waiting.is_empty() {
        return engine.new_dummy().map(Question::Dummy);
    }
    let at = engine.random.below(waiting.len() as u64) as usize;
    Some(waiting.swap_remove(at))
}

impl Engine {
    /// The row and the rank that a question is about, unless its fingerprint is gone.
    fn place_of(&self, question: &Question, queue: &Queue) -> Option<(Row, u32)> {
        match question {
            Question::Candidate(hit) => {
                let rank = queue.hits.get(hit)?.rank;
                Some((*self.store.table.row(hit.date)?, rank))
            }
            Question::Dummy(Dummy { date, fingerprint }) => {
                let row = *self.store.table.row(*date)?;
                let set = self.store.sets.get(&row.identity)?;
                Some((row, set.rank_of(*fingerprint)?))
            }
        }
    }

    fn new_dummy(&mut self) -> Option<Dummy> {
        let rows = self.store.table.rows();
        let total: u64 = rows.iter().map(|row| u64::from(row.len)).sum();
        let mut at = self.random.below(total);
        for row in rows {
            if at < u64::from(row.len) {
                let set = self.store.sets.get(&row.identity)?;
                return Some(Dummy { date: row.date, fingerprint: set.iter().nth(at as usize)? });
            }
            at -= u64::from(row.len);
        }
        None
    }
}

/// Fetches and verifies the record of a rank, and judges every hit that lies in it.
async fn judge(
    engine: &mut Engine,
    queue: &mut Queue,
    row: &Row,
    rank: u32,
) -> Result<(), SyncError> {
    let number = rank / row.record_ranks();
    let length = row.record_len();
    let path = Path::Checks { date: row.date, root: row.check_root };
    let start = u64::from(number) * length;
    let bytes = engine.fetch_part(path, Some(start..start + length), length).await?;
    let record =
        CheckRecord::verify(&bytes, row, number).map_err(|error| file_error(path, error))?;
    let hasher = ElementHasher::new(row.salt, row.hash_range);
    for (hit, candidate) in queue.hits.iter_mut().filter(|(hit, _)| hit.date == row.date) {
        if candidate.rank / row.record_ranks() == number {
            let check = hasher.check(&hit.element);
            candidate.status = match record.verdict(candidate.rank, check) {
                Verdict::Confirmed => HitStatus::Confirmed,
                Verdict::FalsePositive => HitStatus::FalsePositive,
                Verdict::Unknown => HitStatus::Incomplete(row.check_root),
            };
        }
    }
    Ok(())
}

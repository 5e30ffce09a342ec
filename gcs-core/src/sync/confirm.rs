//! The confirmation slot: one record, for a candidate or for nobody.

use alloc::vec::Vec;

use super::engine::{Engine, file_error};
use super::queue::{Candidate, Hit, Queue, Status};
use super::{Asked, Incident};
use crate::date::Date;
use crate::error::SyncError;
use crate::hash::ElementHasher;
use crate::keys::Stream;
use crate::publish::{Path, Row, Table};
use crate::wire::checks::{Record, Verdict};

/// Uses the slot, and draws the next.
pub(super) async fn ask(
    engine: &mut Engine,
    queue: &mut Queue,
) -> Result<Option<Asked>, SyncError> {
    let every = engine.settings.confirm_every.max(1);
    let wait = (every / 2).saturating_add(engine.random.below(every));
    engine.store.state.next_slot = engine.now.saturating_add(wait.max(1));

    let candidate = choose(queue, &engine.store.table, &mut engine.random);
    let place = match &candidate {
        Some(hit) => queue.hits.get(hit).map(|candidate| (hit.date, candidate.rank)),
        None => random_place(&engine.store.table, &mut engine.random),
    };
    let row = place.and_then(|(date, _)| engine.store.table.row(date).copied());
    let (Some((_, rank)), Some(row)) = (place, row) else { return Ok(None) };
    let judged = match fetch_verdict(engine, &row, rank, candidate.as_ref()).await {
        Ok(verdict) => Some(verdict),
        Err(error) => {
            engine.note(Incident::Detour(error));
            None
        }
    };
    let Some(hit) = candidate else {
        return Ok(Some(Asked::Dummy { authentic: judged.is_some() }));
    };
    if let (Some(verdict), Some(entry)) = (judged, queue.hits.get_mut(&hit)) {
        entry.status = match verdict {
            Verdict::Confirmed => Status::Confirmed,
            Verdict::FalsePositive | Verdict::Unknown => Status::Answered(row.check_root),
        };
    }
    Ok(Some(Asked::Candidate(judged.unwrap_or(Verdict::Unknown))))
}

/// The candidate to ask for: of a random episode that is not decided, the first that no
/// authentic record has answered. If there is none, one that was answered under another
/// check root: since then the very element may have been published too.
fn choose(queue: &Queue, table: &Table, random: &mut Stream) -> Option<Hit> {
    let open = |entry: &&(&Hit, &Candidate)| entry.1.status == Status::Open;
    let next: Vec<Hit> = queue
        .open_episodes()
        .filter_map(|episode| episode.iter().find(open).map(|entry| entry.0.clone()))
        .collect();
    if !next.is_empty() {
        return pick(next, random);
    }
    let is_stale = |entry: &(&Hit, &Candidate)| {
        let root = table.row(entry.0.date).map(|row| row.check_root);
        matches!(entry.1.status, Status::Answered(answered) if Some(answered) != root)
    };
    let stale = queue.open_episodes().flatten().filter(is_stale).map(|entry| entry.0.clone());
    pick(stale.collect(), random)
}

fn pick<T>(mut from: Vec<T>, random: &mut Stream) -> Option<T> {
    if from.is_empty() {
        return None;
    }
    let at = random.below(from.len() as u64) as usize;
    Some(from.swap_remove(at))
}

/// A uniformly random rank over all fingerprints that are held.
fn random_place(table: &Table, random: &mut Stream) -> Option<(Date, u32)> {
    let total: u64 = table.rows().iter().map(|row| u64::from(row.len)).sum();
    let mut at = random.below(total);
    for row in table.rows() {
        if at < u64::from(row.len) {
            return Some((row.date, at as u32));
        }
        at -= u64::from(row.len);
    }
    None
}

/// Fetches the record of a rank and verifies it; what it says of the hit, if there is one.
async fn fetch_verdict(
    engine: &mut Engine,
    row: &Row,
    rank: u32,
    hit: Option<&Hit>,
) -> Result<Verdict, SyncError> {
    let number = rank / row.record_ranks();
    let length = row.record_len();
    let path = Path::Checks { date: row.date, root: row.check_root };
    let range = (u64::from(number) * length, length);
    let bytes = engine.fetch_range(path, Some(range), length).await?;
    let record = Record::verify(&bytes, row, number).map_err(|error| file_error(path, error))?;
    let hasher = ElementHasher::new(row.salt, row.range);
    Ok(hit.map_or(Verdict::Unknown, |hit| record.verdict(rank, hasher.check(&hit.element))))
}

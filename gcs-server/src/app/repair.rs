//! Opening the log: damage by a failing disk is seen before SQLite changes anything.
//!
//! Two things are compared with the log before it is opened to write: its write-ahead log with
//! itself, since damage in the middle would end it there, and its last event with the witness. Where
//! something is wrong, the damaged files are copied away first. Then the database is repaired in a
//! copy, in several ways; the chain of the events decides which of them is right, and the witness
//! whether it is complete. Only a complete one takes the place of the log, or one that an operator accepts.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use super::folder::FolderError;
use super::kept::{Kept, sweep};
use super::loss::Loss;
use crate::node::{Replayed, replay};
use crate::store::wal::{Choice, Damage, Wal};
use crate::store::witness::{Seen, Witness, Witnessed};
use crate::store::{LogPlace, SqliteStore, Store, StoreError};

/// Name of the log in a data folder.
pub(super) const LOG: &str = "log.sqlite";

pub(super) const LOG_WAL: &str = "log.sqlite-wal";
pub(super) const WITNESS: &str = "witness";

/// What is done about events that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// The log is not opened.
    Refuse,
    /// The log is opened without them. So is a copy of a log that is not finished.
    Accept,
}

/// An open log, and what happened to it.
pub(super) struct OpenLog {
    /// The log.
    pub(super) store: Box<dyn Store>,
    /// What is lost.
    pub(super) loss: Option<Loss>,
    /// What was repaired, for people.
    pub(super) repaired: Option<String>,
}

/// Opens the log of a data folder that nobody else uses.
pub(super) fn open(folder: &Path, now: u64, on_loss: OnLoss) -> Result<OpenLog, FolderError> {
    let path = folder.join(LOG);
    let (mut loss, mut repaired) = (None, None);
    if let Err(error) = sweep(&path) {
        tracing::warn!(%error, "what is left of an earlier repair cannot be deleted");
    }
    if let Some(found) = look(&path)? {
        match found.mend(folder, now, on_loss)? {
            Mended::Whole(text) => repaired = Some(text),
            Mended::Lossy(lost) => loss = Some(lost),
        }
    }
    Ok(OpenLog { store: Box::new(create(folder)?), loss, repaired })
}

/// Opens the log of a data folder to write, or makes it, without a look at what is there.
pub(super) fn create(folder: &Path) -> Result<Witnessed, FolderError> {
    let path = folder.join(LOG);
    match SqliteStore::open(&path) {
        Ok(store) => Ok(Witnessed::new(store, folder.join(WITNESS))),
        Err(error) => Err(FolderError::Store { log: LogPlace::File(path), error }),
    }
}

/// Whether a folder has a write-ahead log with something in it.
pub(super) fn has_wal(folder: &Path) -> bool {
    fs::metadata(folder.join(LOG_WAL)).is_ok_and(|wal| wal.len() > 0)
}

/// Makes sure that nothing is wrong with a log that a start would repair or refuse.
///
/// # Errors
/// What is wrong.
pub fn expect_undamaged(log: &Path) -> Result<(), FolderError> {
    match look(log)? {
        None => Ok(()),
        Some(Found { what, .. }) => Err(FolderError::Damaged { path: log.to_owned(), what }),
    }
}

/// Something that is wrong with a log.
struct Found {
    what: String,
    wal: Option<Wal>,
    damage: Option<Damage>,
    seen: Option<Seen>,
}

/// Makes sure that the write-ahead log of a log is whole, whatever the log itself is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn expect_whole_wal(log: &Path) -> Result<(), FolderError> {
    match look_at_wal(log)?.what {
        None => Ok(()),
        Some(what) => Err(FolderError::Damaged { path: log.to_owned(), what }),
    }
}

/// A write-ahead log, and what is wrong with it.
struct FoundWal {
    wal: Option<Wal>,
    damage: Option<Damage>,
    what: Option<String>,
}

fn look_at_wal(log: &Path) -> Result<FoundWal, FolderError> {
    let io = |error| FolderError::Io { path: log.to_owned(), error };
    let wal = Wal::read(log).map_err(io)?;
    let damage = wal.as_ref().and_then(Wal::damage);
    let length = fs::metadata(log).map_err(io)?.len();
    let what = match &damage {
        Some(damage) => Some(describe(damage)),
        // SQLite deletes the write-ahead log of an empty database.
        None if wal.is_some() && length == 0 => {
            Some("The database is empty, and its write-ahead log is not.".to_owned())
        }
        // It never becomes shorter.
        None if wal.as_ref().and_then(Wal::database_len).is_some_and(|known| known < length) => {
            Some("The end of the write-ahead log is missing: the database is longer.".to_owned())
        }
        None => None,
    };
    Ok(FoundWal { wal, damage, what })
}

fn look(log: &Path) -> Result<Option<Found>, FolderError> {
    let FoundWal { wal, damage, what } = look_at_wal(log)?;
    // A copy of another name has no witness.
    let witness = Some(log.with_file_name(WITNESS)).filter(|_| log.ends_with(LOG));
    let seen =
        witness.map_or(Ok(None), |witness| Witness::read(&witness)).unwrap_or_else(|error| {
            // It only helps to see what is lost, and must not keep a log that is whole from being used.
            tracing::warn!(%error, "the witness cannot be read");
            None
        });
    let what = match what {
        None => compare(log, seen, wal.is_some())?,
        what => what,
    };
    Ok(what.map(|what| Found { what, wal, damage, seen }))
}

fn describe(damage: &Damage) -> String {
    let Damage { frame, frames, commits_behind } = damage;
    let place = match frame {
        0 => "The header of the write-ahead log".to_owned(),
        frame => format!("Frame {frame} of {frames} of the write-ahead log"),
    };
    format!("{place} is damaged, and {commits_behind} transactions end behind the damage.")
}

/// What is wrong with a log as SQLite sees it, by the witness if there is one. With a write-ahead log, an
/// error is damage too: the database alone may be whole. Other errors are left to who opens it.
fn compare(log: &Path, seen: Option<Seen>, has_wal: bool) -> Result<Option<String>, FolderError> {
    let fails = |error: &StoreError| {
        let is_damage = matches!(error, StoreError::Damaged(_) | StoreError::Corrupt { .. });
        let what = format!("The log cannot be read together with its write-ahead log: {error}.");
        (has_wal && is_damage).then_some(what)
    };
    // A checkpoint may have been there before the damage.
    let alone = if has_wal { SqliteStore::last_without_wal(log).unwrap_or(0) } else { 0 };
    let mut store = match SqliteStore::open_read_only(log) {
        Ok(store) => store,
        Err(error @ StoreError::Busy) => {
            return Err(FolderError::Store { log: LogPlace::File(log.to_owned()), error });
        }
        Err(error) => return Ok(fails(&error)),
    };
    let last = match store.last() {
        Ok(last) => last,
        Err(error) => return Ok(fails(&error)),
    };
    if last < alone {
        return Ok(Some(format!(
            "The database alone has event {alone}, but with its write-ahead log it ends with event \
             {last}: the end of the write-ahead log is missing."
        )));
    }
    let Some(seen) = seen else { return Ok(None) };
    let Seen { position, .. } = seen;
    Ok(match seen.is_in(&mut store) {
        _ if last < position => Some(format!(
            "The log ends with event {last}, and event {position} has been acknowledged."
        )),
        Ok(false) => Some(format!(
            "Event {position} is not the one that was acknowledged: the log was changed, or it is \
             another one."
        )),
        Ok(true) => None,
        Err(error) => fails(&error),
    })
}

enum Mended {
    /// Everything is there; what was done.
    Whole(String),
    /// The log can be used up to where it is whole.
    Lossy(Loss),
}

/// A repaired copy of the database.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    choice: Choice,
    /// Position of the last event, if the chain is whole.
    end: Option<u64>,
    /// Position of the last event, whatever is before.
    last: u64,
    /// Position of the last event of the batch before the last one.
    before_last: u64,
    /// Whether it has the event that the witness has seen.
    has_seen: bool,
}

impl Found {
    /// Repairs the log where everything is there, or without what is lost if that is accepted.
    fn mend(&self, folder: &Path, now: u64, on_loss: OnLoss) -> Result<Mended, FolderError> {
        let path = folder.join(LOG);
        let Some(wal) = &self.wal else { return self.without_wal(&path, on_loss) };
        let kept = Kept::copy(&path, now).map_err(|(copy, error)| FolderError::NotKept {
            path: path.clone(),
            what: self.what.clone(),
            copy,
            error,
        })?;
        let io = |error| FolderError::Io { path: kept.repaired(), error };
        let mut attempts = Vec::new();
        for choice in Choice::ALL {
            attempts.push(self.attempt(wal, choice, &kept).map_err(io)?);
            if self.is_complete(&attempts) {
                kept.install().map_err(io)?;
                let Found { what, .. } = self;
                let place = kept.folder.display();
                return Ok(Mended::Whole(format!(
                    "{what} The log has been repaired, and every event that was acknowledged is in it. \
                     A copy of the damaged files is in {place}. The disk may be failing: replace it."
                )));
            }
        }
        let best = attempts.iter().filter(|attempt| attempt.end.is_some());
        let best = best.copied().max_by_key(|attempt| attempt.end);
        let loss = self.loss(best, &attempts, wal, &kept).map_err(io)?;
        let made =
            best.map(|best| self.attempt(wal, best.choice, &kept)).transpose().map_err(io)?;
        match made {
            Some(_) if on_loss == OnLoss::Accept => {
                kept.install().map_err(io)?;
                Ok(Mended::Lossy(loss))
            }
            Some(_) => {
                fs::remove_file(kept.repaired()).map_err(io)?;
                Err(FolderError::Lost { path, loss: Box::new(loss) })
            }
            None => {
                let (what, copy) = (self.what.clone(), kept.folder);
                Err(FolderError::Unreadable { path, what, copy })
            }
        }
    }

    /// Without a write-ahead log there is nothing to repair, and nothing that a start destroys.
    fn without_wal(&self, path: &Path, on_loss: OnLoss) -> Result<Mended, FolderError> {
        let store = SqliteStore::open_read_only(path);
        let store = store.and_then(|mut store| store.last());
        let kept = store
            .map_err(|error| FolderError::Store { log: LogPlace::File(path.to_owned()), error })?;
        let last = self.seen.map_or(kept, |seen| seen.position);
        let may_be_more = last <= kept;
        let what = self.what.clone();
        let loss = Loss { what, kept, last, readable: vec![], may_be_more, copy: None };
        match on_loss {
            OnLoss::Accept => Ok(Mended::Lossy(loss)),
            OnLoss::Refuse => {
                Err(FolderError::Lost { path: path.to_owned(), loss: Box::new(loss) })
            }
        }
    }

    /// Makes and reads a repaired copy.
    fn attempt(&self, wal: &Wal, choice: Choice, kept: &Kept) -> io::Result<Attempt> {
        let path = kept.repaired();
        kept.make_repaired(|copy| wal.apply(choice, copy))?;
        let mut attempt = Attempt { choice, end: None, last: 0, before_last: 0, has_seen: false };
        let Ok(mut store) = SqliteStore::open_read_only(&path) else { return Ok(attempt) };
        // A batch that cannot be read counts for nothing: its numbers may be damaged.
        if let Some(last) = store.last().ok().and_then(|last| store.read(last, 1).ok()?.pop()) {
            (attempt.last, attempt.before_last) = (last.last(), last.first.saturating_sub(1));
        }
        if let Some(seen) = self.seen {
            attempt.has_seen = seen.is_in(&mut store).unwrap_or(false);
        }
        let replayed = replay(&mut store, None, |_, _| Ok(()));
        if let Ok(state) = replayed.and_then(Replayed::whole)
            && store.is_sound()
        {
            attempt.end = Some(state.position);
        }
        Ok(attempt)
    }

    /// The last event that is known to have been acknowledged.
    fn known(&self, attempts: &[Attempt]) -> u64 {
        let seen = self.seen.map_or(0, |seen| seen.position);
        let all = attempts.iter();
        let (last, before) = (
            all.clone().map(|attempt| attempt.last).max().unwrap_or(0),
            all.map(|attempt| attempt.before_last).max().unwrap_or(0),
        );
        // A transaction behind which another one ends was synced, and so acknowledged. The last one
        // may not have been.
        let synced = match self.damage.as_ref().map_or(0, |damage| damage.commits_behind) {
            _ if self.seen.is_none() => last,
            0 => 0,
            1 => before,
            _ => last,
        };
        seen.max(synced)
    }

    /// Whether the last attempt has everything that was acknowledged.
    fn is_complete(&self, attempts: &[Attempt]) -> bool {
        let known = self.known(attempts);
        let is_whole =
            |attempt: &Attempt| attempt.end.is_some_and(|end| end >= known) && attempt.has_seen;
        attempts.last().is_some_and(is_whole) && !self.may_be_more(attempts)
    }

    /// Whether transactions are lost of which nobody can say what was in them.
    fn may_be_more(&self, attempts: &[Attempt]) -> bool {
        let commits = self.damage.as_ref().map_or(0, |damage| damage.commits_behind);
        let is_applied = |attempt: &Attempt| {
            matches!(attempt.choice, Choice::Likely | Choice::Verified) && attempt.last > 0
        };
        self.seen.is_none() || commits > 1 && !attempts.iter().any(is_applied)
    }

    fn loss(
        &self,
        best: Option<Attempt>,
        attempts: &[Attempt],
        wal: &Wal,
        kept_files: &Kept,
    ) -> io::Result<Loss> {
        let (what, copy) = (self.what.clone(), Some(kept_files.folder.clone()));
        let (kept, last) = (best.and_then(|best| best.end).unwrap_or(0), self.known(attempts));
        let fullest = attempts.iter().max_by_key(|attempt| attempt.last);
        let mut readable = Vec::new();
        if let Some(fullest) = fullest.filter(|fullest| fullest.last > kept) {
            self.attempt(wal, fullest.choice, kept_files)?;
            readable = readable_after(&kept_files.repaired(), kept, last.min(fullest.last));
        }
        let may_be_more = self.may_be_more(attempts) || last <= kept;
        Ok(Loss { what, kept, last, readable, may_be_more, copy })
    }
}

/// The events behind a position that can be read.
fn readable_after(path: &Path, kept: u64, last: u64) -> Vec<RangeInclusive<u64>> {
    let mut readable: Vec<RangeInclusive<u64>> = Vec::new();
    let Ok(mut store) = SqliteStore::open_read_only(path) else { return readable };
    for position in kept + 1..=last {
        if !store.read(position, 1).is_ok_and(|batches| !batches.is_empty()) {
            continue;
        }
        match readable.last_mut().filter(|range| range.end() + 1 == position) {
            Some(range) => *range = *range.start()..=position,
            None => readable.push(position..=position),
        }
    }
    readable
}

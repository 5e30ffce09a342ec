//! The witness: which event was acknowledged last, kept outside the log.
//!
//! When the end of a write-ahead log is cut off or zeroed, what is left looks like a whole log that ends
//! earlier. The witness tells. It is a file of two slots, written by turns, so that one of them is
//! whole at any moment:
//!
//! ```text
//! magic      8    "gcswit01"
//! count      u64  of the writes to this file: the higher slot is the newer one
//! position   u64  of the last event that was acknowledged
//! head       32   SHA-256 of its header
//! check      8    the beginning of SHA-256 over the above
//! ```
//!
//! Numbers are little-endian; the slots begin at 0 and 4096. An append writes a slot before it
//! returns, without waiting for the disk: that survives the end of the process. A thread syncs the
//! file a quarter of a second later at most, and a tick waits for it, so after a power cut the witness
//! may be older by as much, and never newer than the log.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use gcs_core::Digest;

use super::{AppendError, Batch, SqliteStore, Store, StoreError};

const MAGIC: &[u8; 8] = b"gcswit01";
const SLOT: usize = 64;
const CHECKED: usize = SLOT - 8;
const PLACES: [u64; 2] = [0, 4096];

/// How long a witness may be unsynced.
const SYNC_AFTER: Duration = Duration::from_millis(250);

/// An event that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its position.
    pub position: u64,
    /// SHA-256 of its header.
    pub head: [u8; 32],
}

impl Seen {
    /// The last event of a batch; `None` if the batch has none.
    fn last(batch: &Batch) -> Option<Seen> {
        let head = Digest::of(&batch.events.last()?.header).0;
        Some(Seen { position: batch.last(), head })
    }

    /// Whether a log has the event. An error if it cannot be read.
    pub fn is_in(&self, store: &mut dyn Store) -> Result<bool, StoreError> {
        let batches = store.read(self.position, 1)?;
        let header = batches.first().and_then(|batch| {
            let at = usize::try_from(self.position.checked_sub(batch.first)?).ok()?;
            batch.events.get(at).map(|event| Digest::of(&event.header).0)
        });
        Ok(header == Some(self.head))
    }
}

/// The file of the witness, to write to.
#[derive(Debug)]
pub struct Witness {
    file: Arc<File>,
    count: u64,
    /// Wakes the thread that syncs the file.
    wake: SyncSender<()>,
}

impl Witness {
    /// What the witness has seen; `None` if there is no witness, or none that can be read.
    pub fn read(path: &Path) -> io::Result<Option<Seen>> {
        Ok(newest(path)?.map(|(_, seen)| seen))
    }

    /// Opens the file, or makes it, readable by its owner only.
    pub fn open(path: &Path) -> io::Result<Witness> {
        let count = newest(path)?.map_or(0, |(count, _)| count);
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let missing = (PLACES[1] as usize + SLOT).saturating_sub(file.metadata()?.len() as usize);
        if missing > 0 {
            // Takes the space now: later writes need none.
            file.seek(SeekFrom::End(0))?;
            file.write_all(&vec![0; missing])?;
            file.sync_all()?;
        }
        let file = Arc::new(file);
        let (wake, woken) = sync_channel(1);
        let syncs = Arc::clone(&file);
        std::thread::Builder::new().name("witness".into()).spawn(move || sync(&syncs, &woken))?;
        Ok(Witness { file, count, wake })
    }

    /// Notes an event that is about to be acknowledged.
    pub fn note(&mut self, seen: Seen) -> io::Result<()> {
        let count = self.count + 1;
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(PLACES[(count % 2) as usize]))?;
        file.write_all(&slot(count, seen))?;
        self.count = count;
        // When the thread is awake already, it syncs this too.
        let _awake = self.wake.try_send(());
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _older_after_a_power_cut = self.file.sync_data();
    }
}

fn sync(file: &File, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        std::thread::sleep(SYNC_AFTER);
        // What came meanwhile is synced now.
        while woken.try_recv().is_ok() {}
        let _tried_again_after_the_next_event = file.sync_data();
    }
}

fn slot(count: u64, Seen { position, head }: Seen) -> Vec<u8> {
    let numbers = [count.to_le_bytes(), position.to_le_bytes()].concat();
    let mut slot = [&MAGIC[..], &numbers, &head].concat();
    slot.extend_from_slice(&Digest::of(&slot).0[..8]);
    slot
}

/// The newest slot that is whole, and its count.
fn newest(path: &Path) -> io::Result<Option<(u64, Seen)>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let slot = |place: u64| read_slot(bytes.get(place as usize..)?.get(..SLOT)?);
    Ok(PLACES.into_iter().filter_map(slot).max_by_key(|(count, _)| *count))
}

fn read_slot(slot: &[u8]) -> Option<(u64, Seen)> {
    let (checked, check) = slot.split_at_checked(CHECKED)?;
    let (magic, rest) = checked.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (position, head) = rest.split_first_chunk()?;
    let is_whole = magic == MAGIC && Digest::of(checked).0[..8] == *check;
    let position = u64::from_le_bytes(*position);
    let seen = Seen { position, head: head.try_into().ok()? };
    is_whole.then_some((u64::from_le_bytes(*count), seen))
}

/// A log with its witness.
#[derive(Debug)]
pub struct Witnessed {
    store: SqliteStore,
    path: PathBuf,
    /// `None` until the first append: a log that is not used gets no witness.
    witness: Option<Witness>,
    is_failing: bool,
    /// The id of a batch that may have been stored, and its last event.
    doubtful: Option<([u8; 16], Seen)>,
}

impl Witnessed {
    /// A log, and the path of its witness.
    pub fn new(store: SqliteStore, path: PathBuf) -> Witnessed {
        Witnessed { store, path, witness: None, is_failing: false, doubtful: None }
    }

    /// Notes an event that is about to be acknowledged. That it cannot be noted is no reason not to
    /// acknowledge it: it is in the log.
    fn note(&mut self, seen: Option<Seen>) {
        let Some(seen) = seen else { return };
        let noted = self.try_note(seen);
        if let Err(error) = &noted
            && !self.is_failing
        {
            tracing::warn!(%error, "the log's witness cannot be written: a lost end would not be noticed");
        }
        self.is_failing = noted.is_err();
    }

    /// Notes the batch of which it was unknown whether it is stored, if it is one of these.
    fn acknowledge(&mut self, stored: &[[u8; 16]]) {
        if let Some((id, seen)) = self.doubtful
            && stored.contains(&id)
        {
            self.note(Some(seen));
            self.doubtful = None;
        }
    }

    fn try_note(&mut self, seen: Seen) -> io::Result<()> {
        match &mut self.witness {
            Some(witness) => witness.note(seen),
            None => self.witness.insert(Witness::open(&self.path)?).note(seen),
        }
    }
}

impl Store for Witnessed {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.store.last()
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let appended = self.store.append(batch);
        match &appended {
            Ok(()) => self.note(Seen::last(batch)),
            Err(AppendError::Unknown(_)) => {
                self.doubtful = Seen::last(batch).map(|seen| (batch.id, seen));
            }
            Err(_) => {}
        }
        appended
    }

    fn is_durable(&mut self, batch: &Batch) -> Result<bool, StoreError> {
        let is_durable = self.store.is_durable(batch)?;
        if is_durable {
            self.acknowledge(&[batch.id]);
        }
        Ok(is_durable)
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Batch>, StoreError> {
        let batches = self.store.read(from, max_bytes)?;
        // Whoever finds their batch there acknowledges it.
        self.acknowledge(&batches.iter().map(|batch| batch.id).collect::<Vec<_>>());
        Ok(batches)
    }

    fn headers(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.headers(from)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.store.erase(events)
    }

    /// So that after a power cut too the witness knows of every event that was published.
    fn settle(&mut self) {
        self.store.settle();
        if let Some(witness) = &self.witness {
            let _tried_again_by_the_thread = witness.file.sync_data();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(position: u64) -> Seen {
        Seen { position, head: [position as u8; 32] }
    }

    #[test]
    fn what_was_noted_last_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        assert_eq!(Witness::read(&path).unwrap(), None);
        let mut witness = Witness::open(&path).unwrap();
        assert_eq!(Witness::read(&path).unwrap(), None);
        // After a recovery the positions go on from a lower one.
        for position in [1, 2, 9, 4, 5] {
            witness.note(seen(position)).unwrap();
            assert_eq!(Witness::read(&path).unwrap(), Some(seen(position)));
            witness = Witness::open(&path).unwrap();
        }
    }

    #[test]
    fn a_slot_that_is_cut_short_leaves_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        let mut witness = Witness::open(&path).unwrap();
        [7, 8].into_iter().for_each(|position| witness.note(seen(position)).unwrap());
        let whole = fs::read(&path).unwrap();
        for (place, other) in PLACES.into_iter().zip([7, 8]) {
            for at in 0..SLOT {
                let mut bad = whole.clone();
                bad[place as usize + at] ^= 1;
                fs::write(&path, bad).unwrap();
                assert_eq!(Witness::read(&path).unwrap(), Some(seen(other)), "{place}, {at}");
            }
        }
        for length in [0, 10, 63] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Witness::read(&path).unwrap(), None, "{length}");
        }
    }
}

//! The spool: a folder where a server keeps reports while it cannot reach its log.
//!
//! ```text
//! lock                 locked by the server that uses the folder
//! try                  empty, for a moment at the start: whether files may be made
//! TIME-….spool         reports that wait, written together: see `sealed`
//! TIME-….new           one that is being written; nobody has been told of its reports
//! TIME-….drained       one whose reports are judged, and which is being deleted
//! TIME-….damaged       one that is kept for people, because something in it cannot be read
//! ```
//!
//! A file is written whole, under another name first, and never changed. All reports that wait while a
//! file is written go into the next one, so that many at once do not wait for the disk one after the
//! other. Once the log has a judgement on each report of a file, the file is renamed, overwritten and
//! deleted. Whatever stops a server in between, the next start finds the file whole, or judged, or
//! nobody was told of it; judging a report once more changes nothing, since the log knows its tracking id.
//!
//! This is the old pattern of a collector that numbers its messages, keeps each until the receiver has
//! acknowledged it, and sends it again until then; the receiver knows a message that comes twice. It is not
//! followed in one thing: the collector is no program of its own, but a part of the server, and knows codes by
//! the state that the log led to last.

mod disk;
mod drain;
mod index;
mod load;
pub mod sealed;
mod writer;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gcs_core::report::ReceivedReport;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::disk::{Disk, Folder, LONGEST_FILE};
pub use self::drain::{Drain, Drained};
use self::index::Index;
pub use self::index::Limits;
use self::writer::{Request, Writer};
use crate::domain::events::TrackingId;
use crate::domain::keys::DeploymentKeys;
use crate::domain::spooled::{SpooledReport, identity};
use crate::domain::state::State;
use crate::random::Random;

/// Largest number of reports that wait to be written.
const QUEUE: usize = 1024;

const REPORTS: &str = ".spool";
const NEW: &str = ".new";
const DRAINED: &str = ".drained";
const DAMAGED: &str = ".damaged";

/// Reports that wait for the log, on disk. Clones are handles of the same spool.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("disk", &self.shared.disk).finish_non_exhaustive()
    }
}

/// What every handle of a spool shares.
struct Shared {
    disk: Box<dyn Disk>,
    keys: Arc<DeploymentKeys>,
    limits: Limits,
    index: Mutex<Index>,
    /// Number of reports that are held.
    held: watch::Sender<u64>,
    /// A state of before, by which codes are known until the log has been read.
    remembered: OnceLock<State>,
}

/// Why a report is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotHeld {
    /// The spool is full, or what it keeps for codes that may not be open.
    #[error("the spool is full")]
    Full,
    /// The disk is full or fails.
    #[error("the spool cannot be written")]
    Failed,
}

/// How it stands with a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolStatus {
    /// Number of reports that wait.
    pub reports: u64,
    /// Bytes of these reports.
    pub bytes: u64,
    /// Unix time, in seconds, at which the first of them arrived.
    pub since: Option<u64>,
    /// Number of files that are damaged, and kept for people.
    pub damaged: u64,
    /// Number of files that only another deployment or a newer release can read.
    pub foreign: u64,
}

impl Spool {
    /// Opens a spool with the reports that are there.
    ///
    /// # Errors
    /// When the folder cannot be read, or the system cannot start a thread.
    pub fn open(
        disk: Box<dyn Disk>,
        keys: Arc<DeploymentKeys>,
        random: Random,
        limits: Limits,
    ) -> io::Result<Spool> {
        let index = load::load(&*disk, &keys)?;
        let held = watch::Sender::new(index.tally.all.reports);
        let (index, remembered) = (Mutex::new(index), OnceLock::new());
        let shared = Arc::new(Shared { disk, keys, limits, index, held, remembered });
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), random);
        std::thread::Builder::new().name("spool".into()).spawn(move || writer.run(queue))?;
        Ok(Spool { shared, requests })
    }

    /// Holds a report. It is on disk when this returns its tracking id: that of the same report, if
    /// that is held already.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub async fn hold(&self, report: SpooledReport) -> Result<TrackingId, NotHeld> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request { report, reply }).map_err(|_| NotHeld::Full)?;
        answer.await.unwrap_or(Err(NotHeld::Failed))
    }

    /// The tracking id of the same report, if it is held.
    pub fn tracking_of(&self, report: &ReceivedReport) -> Option<TrackingId> {
        if self.is_empty() { None } else { self.shared.index().tracking_of(&identity(report)) }
    }

    /// Whether a report with this tracking id is held.
    pub fn holds(&self, tracking: &TrackingId) -> bool {
        self.shared.index().holds(tracking)
    }

    /// Remembers a state by which codes are known until the log has been read.
    pub fn remember(&self, state: State) {
        let _first_one = self.shared.remembered.set(state);
    }

    /// The state that is remembered.
    pub fn remembered(&self) -> Option<&State> {
        self.shared.remembered.get()
    }

    /// Whether no report is held.
    pub fn is_empty(&self) -> bool {
        *self.shared.held.borrow() == 0
    }

    /// How it stands with the spool.
    pub fn status(&self) -> SpoolStatus {
        let index = self.shared.index();
        let is_damaged = index.files.values().filter(|listed| listed.is_damaged).count();
        SpoolStatus {
            reports: index.tally.all.reports,
            bytes: index.tally.all.bytes,
            since: index.since(),
            damaged: index.damaged + is_damaged as u64,
            foreign: index.foreign,
        }
    }
}

impl Shared {
    /// No step leaves it half changed, so it is usable even after a panic of a holder.
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is held.
    fn change(&self, change: impl FnOnce(&mut Index)) {
        let mut index = self.index();
        change(&mut index);
        self.held.send_replace(index.tally.all.reports);
    }
}

//! Erasing bodies from a log that several nodes share, beside what they judge.
//!
//! The node that decided a purge erases at once. The others wait, and erase what is left then: they find
//! nothing to do, unless that node has stopped in the middle. Whoever starts finds in the log what should be erased
//! and is not.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::checkpoint::Checkpoints;
use crate::node::{Decider, Erase, Erasure};
use crate::store::witness::Seen;
use crate::store::{Store, StoreError};

/// Number of bodies that are erased at a time.
const PIECE: usize = 64;

/// How long to wait before an erasure that failed is tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// How long to wait for the node that decided a purge.
pub(super) const OTHERS: Duration = Duration::from_secs(60);

/// Gives a connection to the log of its own.
type Open = Box<dyn Fn() -> Result<Box<dyn Store>, StoreError> + Send>;

/// What erases bodies from a log, in a thread of its own. Once this is dropped, the thread ends the piece that it is at; a start finds the rest.
#[derive(Debug)]
pub struct Eraser {
    checkpoints: Checkpoints,
    queue: Sender<Task>,
    others: Duration,
}

/// Bodies to erase, from some time on.
struct Task {
    due: Instant,
    /// Positions of their events, ascending.
    events: Vec<u64>,
    purge: Seen,
}

impl Eraser {
    /// Erases from the log that `open` opens, first what is `left` in it. What other nodes decided is left to them
    /// for so long.
    ///
    /// # Errors
    /// When the system cannot start a thread. No checkpoint is written then that would forget what is left.
    pub fn start(
        open: impl Fn() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
        left: Erasure,
        checkpoints: Checkpoints,
        others: Duration,
    ) -> io::Result<Eraser> {
        let log = checkpoints.begin_anew(&left.events);
        let (queue, tasks) = channel();
        let work = Work { open: Box::new(open), checkpoints: checkpoints.clone(), log, tasks };
        std::thread::Builder::new().name("eraser".into()).spawn(move || work.run())?;
        let eraser = Eraser { checkpoints, queue, others };
        eraser.erase(left);
        Ok(eraser)
    }

    /// Has bodies erased. No checkpoint is written until they are.
    pub fn erase(&self, erasure: Erasure) {
        let Erasure { mut events, purge, decider } = erasure;
        if events.is_empty() {
            return;
        }
        self.checkpoints.begin_erasing(&events);
        events.sort_unstable();
        let wait = if decider == Decider::This { Duration::ZERO } else { self.others };
        // Only if its thread has died; then the next start finds what is left.
        let _no_thread = self.queue.send(Task { due: Instant::now() + wait, events, purge });
    }
}

impl From<Eraser> for Erase {
    fn from(eraser: Eraser) -> Erase {
        Box::new(move |erasure| eraser.erase(erasure))
    }
}

/// The work of the thread.
struct Work {
    open: Open,
    checkpoints: Checkpoints,
    /// Stands for the log as it was when this began.
    log: u64,
    tasks: Receiver<Task>,
}

impl Work {
    fn run(self) {
        let mut waiting: Vec<Task> = Vec::new();
        loop {
            let next = waiting.iter().map(|task| task.due).min();
            let came = match next {
                None => self.tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => self.tasks.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match came {
                Ok(task) => {
                    self.checkpoints.forget();
                    waiting.push(task);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    let (due, later): (Vec<_>, _) =
                        waiting.into_iter().partition(|task| task.due <= now);
                    waiting = later;
                    waiting.extend(due.into_iter().filter_map(|task| self.erase(task)));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Erases bodies, piece by piece, from a log that has the purge. Gives what has to be tried again.
    fn erase(&self, mut task: Task) -> Option<Task> {
        let mut done = 0;
        let erased = (self.open)().and_then(|mut store| {
            for piece in task.events.chunks(PIECE) {
                if !task.purge.is_in(&mut *store)? {
                    tracing::warn!("the log has lost a purge: nothing is erased by it");
                    self.checkpoints.end_erasing(self.log, &task.events);
                    break;
                }
                store.erase(piece)?;
                self.checkpoints.end_erasing(self.log, piece);
                done += piece.len();
            }
            store.settle();
            Ok(())
        });
        let Err(error) = erased else { return None };
        tracing::error!(%error, "bodies that were purged are still in the log; trying again");
        task.events.drain(..done);
        Some(Task { due: Instant::now() + PAUSE, ..task })
    }
}

//! The thread behind the node.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{BatchContent, Job, PublicationInput};
use crate::clock::Clock;
use crate::domain::log::{Event, LogError, LoggedEvent, Reader, Writer};
use crate::domain::state::State;
use crate::random;
use crate::store::{AppendError, Batch, Store, StoreError};

/// Most jobs of one batch.
const BATCH_JOBS: usize = 256;

/// About how much one batch holds at most.
const BATCH_BYTES: usize = 512 << 10;

/// Conflicts after which a batch waits a little before it is judged again.
const QUICK_TRIES: u32 = 3;

pub(super) struct Appender {
    store: Box<dyn Store>,
    state: Arc<RwLock<State>>,
    clock: Clock,
    inputs: mpsc::Sender<PublicationInput>,
    is_well: Arc<AtomicBool>,
    /// A job that did not fit in the batch before.
    left: Option<Box<dyn Job>>,
}

impl Appender {
    pub(super) fn new(
        store: Box<dyn Store>,
        state: Arc<RwLock<State>>,
        clock: Clock,
        inputs: mpsc::Sender<PublicationInput>,
        is_well: Arc<AtomicBool>,
    ) -> Appender {
        Appender { store, state, clock, inputs, is_well, left: None }
    }

    /// Works until nobody has a handle any more.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = self.left.take().or_else(|| queue.blocking_recv()) {
            let mut taken = BatchContent::default();
            taken.take(&first.scope());
            let mut jobs = vec![first];
            while jobs.len() < BATCH_JOBS {
                let Ok(job) = queue.try_recv() else { break };
                if !taken.take(&job.scope()) {
                    self.left = Some(job);
                    break;
                }
                jobs.push(job);
            }
            self.work(jobs);
        }
    }

    /// Judges jobs and appends what they give, in as many batches as that takes.
    fn work(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut jobs = VecDeque::from(jobs);
        let mut conflicts = 0;
        while !jobs.is_empty() {
            let (judged, sealed) = self.judge(&mut jobs);
            let stored = match sealed.and_then(Sealing::finish) {
                Ok(Some(sealed)) => self.append(sealed),
                Ok(None) => Ok(()),
                Err(error) => Err(AppendError::Failed(StoreError::Io(error.into()))),
            };
            match stored {
                Ok(()) => judged.into_iter().for_each(|job| job.answer(true)),
                Err(AppendError::Conflict) => {
                    judged.into_iter().rev().for_each(|job| jobs.push_front(job));
                    conflicts += 1;
                    if let Err(error) = self.catch_up(conflicts) {
                        tracing::error!(%error, "the log cannot be read");
                        jobs.drain(..).for_each(|job| job.answer(false));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the log cannot be written");
                    judged.into_iter().for_each(|job| job.answer(false));
                }
            }
        }
    }

    /// Judges jobs from the front until a batch is full.
    fn judge(
        &self,
        jobs: &mut VecDeque<Box<dyn Job>>,
    ) -> (Vec<Box<dyn Job>>, Result<Sealing, random::Error>) {
        let now = self.clock.now();
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut sealing = Sealing::after(&state);
        let mut judged = Vec::new();
        while sealing.bytes < BATCH_BYTES {
            let Some(mut job) = jobs.pop_front() else { break };
            let added = sealing.add(&job.judge(&state, now), now);
            judged.push(job);
            if let Err(error) = added {
                return (judged, Err(error));
            }
        }
        (judged, Ok(sealing))
    }

    /// Appends a batch and applies it.
    fn append(&mut self, sealed: Sealed) -> Result<(), AppendError> {
        let Sealed { records, batch } = sealed;
        let appended = self.store.append(&batch);
        let is_well = matches!(appended, Ok(()) | Err(AppendError::Conflict));
        self.is_well.store(is_well, Ordering::Relaxed);
        match appended {
            Err(AppendError::Unknown(error)) if !self.is_there(&batch) => {
                return Err(AppendError::Failed(error));
            }
            Ok(()) | Err(AppendError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        for record in &records {
            self.apply(record);
        }
        Ok(())
    }

    /// Whether a batch whose fate was unknown has been stored.
    fn is_there(&mut self, batch: &Batch) -> bool {
        let read = self.store.read(batch.first, 1);
        read.is_ok_and(|read| read.first().is_some_and(|read| read.id == batch.id))
    }

    fn apply(&mut self, record: &LoggedEvent) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = state.apply(record) {
            // Judged against this very state: only a fault of ours can bring us here, and
            // the log has the event. Stop rather than serve what it does not say.
            tracing::error!(%error, "an event of our own does not fit; stopping");
            std::process::abort();
        }
        let input = PublicationInput::of(&state, record);
        drop(state);
        match (input, &record.event) {
            (Some(input), _) => {
                // The publisher is only gone when the server stops; the tick is in the log.
                let _gone = self.inputs.blocking_send(input);
            }
            (None, Some(Event::Purge(purge))) => {
                if let Err(error) = self.store.erase(&purge.reports) {
                    tracing::error!(%error, "purged bodies are erased at the next start");
                }
            }
            _ => {}
        }
    }

    /// Applies what another node appended.
    fn catch_up(&mut self, conflicts: u32) -> Result<(), LogError> {
        if conflicts > QUICK_TRIES {
            let random = random::bytes::<1>().map_or(128, |[byte]| byte);
            std::thread::sleep(Duration::from_millis(u64::from(random) % 50));
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut reader = Reader::after(state.position, state.head);
        drop(state);
        let mut records = Vec::new();
        let read = reader.read(&mut *self.store, |record| {
            records.push(record);
            Ok(())
        });
        records.iter().for_each(|record| self.apply(record));
        read
    }
}

/// Events on their way into a batch.
struct Sealing {
    writer: Writer,
    first: u64,
    bytes: usize,
    records: Vec<LoggedEvent>,
    events: Vec<crate::store::Stored>,
}

/// A batch, and its events to apply.
struct Sealed {
    records: Vec<LoggedEvent>,
    batch: Batch,
}

impl Sealing {
    fn after(state: &State) -> Sealing {
        Sealing {
            writer: Writer { position: state.position, head: state.head },
            first: state.position + 1,
            bytes: 0,
            records: Vec::new(),
            events: Vec::new(),
        }
    }

    fn add(&mut self, events: &[Event], now: u64) -> Result<(), random::Error> {
        for event in events {
            let (record, stored) = self.writer.seal(event, now)?;
            self.bytes += stored.body.as_ref().map_or(0, |body| body.bytes.len());
            self.records.push(record);
            self.events.push(stored);
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<Sealed>, random::Error> {
        if self.events.is_empty() {
            return Ok(None);
        }
        let batch = Batch { first: self.first, id: random::bytes()?, events: self.events };
        Ok(Some(Sealed { records: self.records, batch }))
    }
}

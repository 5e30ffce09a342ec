//! The thread that judges, appends and applies.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::batch::{BatchBuilder, SealedBatch};
use super::entry::{Closed, Gate};
use super::news::events_behind;
use super::replay::{Pages, ReplayError, end_behind};
use super::turns::Turns;
use super::{Decider, Erase, Erasure, Job, PublicationInput, TakenScopes};
use crate::clock::{Reading, WatchedClock};
use crate::domain::chain::{Chain, LogError, LoggedEvent};
use crate::domain::events::Event;
use crate::domain::judge::{RequestContext, agrees_with_log};
use crate::domain::state::State;
use crate::random::{self, Ahead, Random};
use crate::store::witness::Seen;
use crate::store::{AppendError, News, Store, StoreError};

/// Largest number of jobs in one batch.
const BATCH_JOBS: usize = 256;

/// Bytes of bodies after which a batch counts as full.
const BATCH_BYTES: usize = 512 << 10;

/// Number of conflicts in a row, with no event of another node behind any of them, after which a batch waits a
/// little before it is judged again.
const QUICK_TRIES: u32 = 3;

/// How often the clock is compared with that of a shared log, at most.
const TIME_PAUSE: Duration = Duration::from_secs(1);

/// Why a node accepts nothing while it reads its log again.
const LOST: &str =
    "the log is not the one that this node has followed: it is read again from its beginning";

pub(super) type JobQueue = mpsc::Receiver<Box<dyn Job>>;

/// Number of such conflicts after which the store is not believed any more.
const MOST_GROUNDLESS: u32 = 20;

pub(super) struct Appender {
    pub(super) store: Box<dyn Store>,
    pub(super) state: Arc<RwLock<State>>,
    pub(super) clock: WatchedClock,
    pub(super) random: Random,
    pub(super) inputs: mpsc::Sender<PublicationInput>,
    /// Erases beside this, if that takes its time.
    pub(super) erase: Option<Erase>,
    pub(super) is_writable: Arc<AtomicBool>,
    pub(super) gate: Gate,
    /// Told when the log is not the one any more that the state follows from.
    pub(super) lost: Arc<Notify>,
    pub(super) is_lost: bool,
    /// When the time of a shared log was last looked at.
    pub(super) looked: Option<Instant>,
    /// A job that could not be judged together with those before it.
    pub(super) postponed: Option<Box<dyn Job>>,
    /// Whose turn it is on a shared log.
    pub(super) turns: Turns,
    /// Whether the end of the log that the store knows is that of the events which were applied. Only then does a
    /// store's news follow them.
    pub(super) is_at_end: bool,
}

impl Appender {
    /// Works until every handle to the node is dropped, or the log is lost: then the queue is given back.
    pub(super) fn run(mut self, mut queue: JobQueue) -> Option<JobQueue> {
        while let Some(first) = self.postponed.take().or_else(|| queue.blocking_recv()) {
            self.turns.wait();
            let mut taken = TakenScopes::default();
            taken.take(first.scope());
            let mut jobs = vec![first];
            while jobs.len() < BATCH_JOBS {
                let Ok(job) = queue.try_recv() else { break };
                if !taken.take(job.scope()) {
                    self.postponed = Some(job);
                    break;
                }
                jobs.push(job);
            }
            self.work(jobs);
            if self.is_lost {
                self.postponed.into_iter().for_each(|job| job.answer(false));
                while let Ok(job) = queue.try_recv() {
                    job.answer(false);
                }
                return Some(queue);
            }
        }
        None
    }

    /// Judges jobs and appends their events, in as many batches as that takes.
    fn work(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut jobs = VecDeque::from(jobs);
        let (mut began, mut groundless) = (Instant::now(), 0);
        if self.store.is_shared()
            && let Err(error) = self.look()
        {
            tracing::error!(%error, "the log cannot be read");
            self.is_writable.store(false, Ordering::Relaxed);
            jobs.drain(..).for_each(|job| job.answer(false));
        }
        while !jobs.is_empty() {
            let (judged, batch) = self.judge(&mut jobs);
            let stored = match batch.and_then(|batch| batch.finish(&self.random)) {
                Ok(Some(sealed)) => {
                    let appended = self.append(sealed);
                    if appended.is_ok() {
                        self.turns.appended(began.elapsed());
                    }
                    appended
                }
                Ok(None) => Ok(()),
                Err(error) => Err(AppendError::Failed(StoreError::Io(error.into()))),
            };
            match stored {
                Ok(()) => {
                    judged.into_iter().for_each(|job| job.answer(true));
                    began = Instant::now();
                }
                Err(AppendError::Conflict) => {
                    judged.into_iter().rev().for_each(|job| jobs.push_front(job));
                    if groundless > QUICK_TRIES {
                        let random = self.random.bytes::<1>().map_or(128, |[byte]| byte);
                        std::thread::sleep(Duration::from_millis(u64::from(random) % 50));
                    }
                    began = Instant::now();
                    let position = self.chain().position;
                    // At once: the others, too, begin now, and who waited would find the next batch on its way.
                    let caught_up = self.catch_up();
                    let is_groundless = self.chain().position == position;
                    groundless = if is_groundless { groundless + 1 } else { 0 };
                    if let Err(error) = caught_up {
                        tracing::error!(%error, "the log cannot be read");
                        jobs.drain(..).for_each(|job| job.answer(false));
                    } else if groundless >= MOST_GROUNDLESS {
                        tracing::error!(
                            position,
                            "the store says that the log has a later event, and has none"
                        );
                        self.is_writable.store(false, Ordering::Relaxed);
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
    ) -> (Vec<Box<dyn Job>>, Result<BatchBuilder, random::Error>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let reading = self.clock.look(|now| agrees_with_log(&state, now));
        let mut batch = BatchBuilder::after(state.chain());
        // For each job, and for the salt of its event.
        let mut random = self.random.ahead(2 * jobs.len());
        let mut judged = Vec::new();
        while batch.bytes() < BATCH_BYTES {
            let Some(mut job) = jobs.pop_front() else { break };
            let added = judge_one(&mut *job, &state, reading, &mut random, &mut batch);
            judged.push(job);
            if let Err(error) = added {
                return (judged, Err(error));
            }
        }
        (judged, Ok(batch))
    }

    /// Appends a batch and applies it.
    fn append(&mut self, sealed: SealedBatch) -> Result<(), AppendError> {
        let SealedBatch { logged, batch } = sealed;
        let appended = self.store.append(&batch);
        if appended.is_ok() {
            self.is_at_end = true;
        } else if !matches!(appended, Err(AppendError::Conflict)) {
            self.is_at_end = false;
        }
        let is_writable = matches!(appended, Ok(()) | Err(AppendError::Conflict));
        self.is_writable.store(is_writable, Ordering::Relaxed);
        match appended {
            Err(AppendError::Unknown(error)) if !self.store.is_durable(&batch).unwrap_or(false) => {
                return Err(AppendError::Unknown(error));
            }
            Ok(()) | Err(AppendError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        self.apply(&logged, Decider::This);
        Ok(())
    }

    /// Applies the events of whole batches. Nobody sees the state between two events of a batch, which may be two
    /// halves of one decision.
    fn apply(&mut self, events: &[LoggedEvent], decider: Decider) {
        // A tick is the last event of its batch.
        for until_tick in events.split_inclusive(PublicationInput::is_due_after) {
            let input = self.apply_at_once(until_tick, decider);
            if let Some(input) = input {
                self.store.settle();
                // The publisher is only gone when the server stops; the tick is in the log.
                let _gone = self.inputs.blocking_send(input);
            }
            let erased = until_tick.iter().filter_map(erased).filter(|_| self.erase.is_none());
            for events in erased {
                if let Err(error) = self.store.erase(events) {
                    tracing::error!(%error, "bodies that were purged are still on disk");
                }
            }
        }
    }

    /// Applies events, while nobody reads the state. Gives what a publication is computed from, if the last of them
    /// is a tick.
    fn apply_at_once(
        &mut self,
        events: &[LoggedEvent],
        decider: Decider,
    ) -> Option<PublicationInput> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for logged in events {
            if let Err(error) = state.apply(logged) {
                // The event was judged against this very state, so only a fault of this program leads
                // here, and the event is in the log already. Stop rather than serve a wrong state.
                tracing::error!(%error, "an event that this server wrote does not fit; stopping");
                std::process::abort();
            }
            // Before anyone can copy this state: a copy that has the purge must not pass for one of a log
            // from which nothing is to be erased.
            let Some(events) = erased(logged) else { continue };
            let purge = Seen { position: logged.header.position, head: logged.header.hash() };
            match &self.erase {
                Some(erase) => erase(Erasure { events: events.to_vec(), purge, decider }),
                None => self.store.announce_erasure(events),
            }
        }
        // Others may read it meanwhile.
        let state = RwLockWriteGuard::downgrade(state);
        PublicationInput::of(&state, events.last()?)
    }

    /// Looks at a log that other nodes append to: its time, and whether something is new. Reading it now is
    /// cheaper than a conflict.
    fn look(&mut self) -> Result<(), ReplayError> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= TIME_PAUSE) {
            self.clock.compare(|| self.store.time())?;
            self.looked = Some(Instant::now());
        }
        if self.follow()? {
            self.is_writable.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let chain = self.chain();
        if matches!(end_behind(&mut *self.store, chain), Ok(last) if last == chain.position) {
            self.is_at_end = true;
            self.is_writable.store(true, Ordering::Relaxed);
            return Ok(());
        }
        self.read_again()
    }

    /// Applies the next batches of other nodes, in as few questions to the store as can be. `false` if the log does not
    /// simply go on from where this node is, if that cannot be told at once, or if there is much to read.
    fn follow(&mut self) -> Result<bool, StoreError> {
        if !std::mem::take(&mut self.is_at_end) {
            return Ok(false);
        }
        let Some(News { batches, end }) = self.store.news()? else { return Ok(false) };
        for batch in batches {
            let Some(events) = events_behind(self.chain(), batch) else { return Ok(false) };
            if !events.is_empty() {
                self.turns.others_appended();
            }
            self.apply(&events, Decider::Another);
        }
        self.is_at_end = end == Some(self.chain().position);
        Ok(self.is_at_end)
    }

    /// The end of what was applied.
    fn chain(&self) -> Chain {
        self.state.read().unwrap_or_else(PoisonError::into_inner).chain()
    }

    /// Applies the events after the end of a chain, as they are read: they may be many.
    fn apply_after(&mut self, chain: Chain) -> Result<(), ReplayError> {
        let mut pages = Pages::after(&mut *self.store, chain)?;
        loop {
            let (page, read) = pages.next(&mut *self.store);
            self.apply(&page, Decider::Another);
            if !read? {
                return Ok(());
            }
        }
    }

    /// Applies what another node appended.
    fn catch_up(&mut self) -> Result<(), ReplayError> {
        if self.follow()? { Ok(()) } else { self.read_again() }
    }

    /// Reads and applies what comes behind the last event that was applied, and finds out why, if nothing does.
    fn read_again(&mut self) -> Result<(), ReplayError> {
        let chain = self.chain();
        let read = self.apply_after(chain);
        match &read {
            Err(ReplayError::Log(error)) if error.is_newer() => {
                tracing::error!(%error, "this server accepts nothing until it is upgraded");
                self.gate.close(Closed::Newer);
            }
            Err(ReplayError::Log(error)) if self.store.is_shared() => {
                let position = chain.position;
                if !matches!(error, LogError::Moved { .. }) {
                    tracing::error!(%error, position, "the log is not the one that this node has followed");
                }
                self.gate.close(Closed::Refused(LOST.into()));
                self.is_lost = true;
                self.lost.notify_one();
            }
            _ => {}
        }
        read
    }
}

/// Positions of the bodies that an event erases.
fn erased(logged: &LoggedEvent) -> Option<&[u64]> {
    logged.event.as_ref().and_then(Event::erased)
}

fn judge_one(
    job: &mut dyn Job,
    state: &State,
    Reading { now, leap }: Reading,
    random: &mut Ahead<'_>,
    batch: &mut BatchBuilder,
) -> Result<(), random::Error> {
    let context = RequestContext { now, leap, random: random.bytes()? };
    for event in job.judge(state, context) {
        batch.add(event, now, random.bytes()?);
    }
    Ok(())
}

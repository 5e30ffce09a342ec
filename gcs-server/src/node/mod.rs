//! The node: the one thread that judges, appends and applies.
//!
//! Requests hand it jobs. It takes as many as have gathered, judges them against the state,
//! appends all events in one batch (so that one fsync makes all of them durable), applies
//! them, and only then answers. The state never runs ahead of the log.

mod appender;
mod replay;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use self::appender::Appender;
use crate::clock::Clock;
use crate::domain::judge::{Decision, Judgement};
use crate::domain::log::Event;
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::store::Store;

pub use self::replay::{PublicationInput, ReplayError, Replayed, replay};

/// Most jobs that wait; more are told to come again.
const QUEUE: usize = 1024;

/// A handle to the node.
#[derive(Clone, Debug)]
pub struct Node {
    state: Arc<RwLock<State>>,
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// Whether the last append succeeded.
    is_well: Arc<AtomicBool>,
    is_read_only: bool,
}

/// What other jobs of a batch a job can stand beside.
#[derive(Clone, Copy)]
pub(crate) enum BatchScope {
    /// None: it depends on everything.
    All,
    /// Those that do not need this provider and serial number.
    Code(u16, u32),
}

/// Something to judge, append and answer.
pub(crate) trait Job: Send {
    fn scope(&self) -> BatchScope;
    fn judge(&mut self, state: &State, now: u64) -> Vec<Event>;
    fn answer(self: Box<Self>, stored: bool);
}

struct Request<T, F> {
    needs: BatchScope,
    judge: F,
    judged: Result<T, Problem>,
    reply: oneshot::Sender<Result<T, Problem>>,
}

impl<T: Send, F: FnMut(&State, u64) -> Judgement<T> + Send> Job for Request<T, F> {
    fn scope(&self) -> BatchScope {
        self.needs
    }

    fn judge(&mut self, state: &State, now: u64) -> Vec<Event> {
        match (self.judge)(state, now) {
            Ok(Decision { events, answer }) => {
                self.judged = Ok(answer);
                events
            }
            Err(problem) => {
                self.judged = Err(problem);
                Vec::new()
            }
        }
    }

    fn answer(self: Box<Self>, stored: bool) {
        // Whoever asked may have gone; what was decided stands all the same.
        let _gone = self.reply.send(match stored {
            true => self.judged,
            false => Err(Problem::StorageUnavailable),
        });
    }
}

impl Node {
    /// Starts the node on a state that is up to date with the store.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        store: Box<dyn Store>,
        state: State,
        clock: Clock,
        inputs: mpsc::Sender<PublicationInput>,
    ) -> std::io::Result<(Node, JoinHandle<()>)> {
        let state = Arc::new(RwLock::new(state));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let is_well = Arc::new(AtomicBool::new(true));
        let appender =
            Appender::new(store, Arc::clone(&state), clock, inputs, Arc::clone(&is_well));
        let thread =
            std::thread::Builder::new().name("node".into()).spawn(move || appender.run(queue))?;
        Ok((Node { state, jobs, is_well, is_read_only: false }, thread))
    }

    /// A node that accepts nothing, on a log that a newer release wrote.
    pub fn read_only(state: State) -> Node {
        let (jobs, _) = mpsc::channel(1);
        let state = Arc::new(RwLock::new(state));
        Node { state, jobs, is_well: Arc::new(AtomicBool::new(false)), is_read_only: true }
    }

    /// Whether it accepts nothing.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether it works, and could write the log when it last had to.
    pub fn is_well(&self) -> bool {
        !self.jobs.is_closed() && self.is_well.load(Ordering::Relaxed)
    }

    /// The state, to read. Hold it briefly: nothing is accepted meanwhile.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges an act alone, appends what it gives, and answers once that is durable.
    ///
    /// # Errors
    /// What the judge says; [`Problem::StorageUnavailable`] if the log cannot be written.
    pub async fn act<T: Send + 'static>(
        &self,
        judge: impl FnMut(&State, u64) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.submit(BatchScope::All, judge).await
    }

    /// The same for an act that depends on one code only: many go into one batch.
    ///
    /// # Errors
    /// As [`Node::act`].
    pub async fn act_on_code<T: Send + 'static>(
        &self,
        provider: u16,
        serial: u32,
        judge: impl FnMut(&State, u64) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.submit(BatchScope::Code(provider, serial), judge).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        needs: BatchScope,
        judge: impl FnMut(&State, u64) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        if self.is_read_only {
            return Err(Problem::ReadOnly);
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { needs, judge, judged: Err(Problem::Unavailable), reply };
        self.jobs.try_send(Box::new(request)).map_err(|_| Problem::Unavailable)?;
        answer.await.unwrap_or(Err(Problem::Unavailable))
    }
}

/// Which codes a batch touches already.
#[derive(Default)]
struct BatchContent {
    all: bool,
    codes: BTreeSet<(u16, u32)>,
}

impl BatchContent {
    /// Takes a job into the batch, unless it cannot stand beside the others.
    fn take(&mut self, needs: &BatchScope) -> bool {
        match needs {
            _ if self.all => false,
            BatchScope::All if self.codes.is_empty() => {
                self.all = true;
                true
            }
            BatchScope::All => false,
            BatchScope::Code(provider, serial) => self.codes.insert((*provider, *serial)),
        }
    }
}

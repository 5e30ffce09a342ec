//! The node: one thread that judges requests, appends their events to the log, and applies
//! them.
//!
//! It takes all requests that are waiting, judges them against the state, appends their events in
//! one batch (so that one fsync makes all of them durable), applies them, and only then answers.
//! The state is never ahead of the log. Several nodes can share a log: when two append at the same
//! position, the store takes only the first batch, and the other node judges its requests again.

mod appender;
mod batch;
mod entry;
mod looks;
mod news;
mod replay;
mod survey;
mod turns;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use gcs_core::live::FillerKey;
use tokio::sync::{mpsc, oneshot};

use self::entry::{Closed, Gate, Opening};
use self::looks::Looks;
use crate::clock::WatchedClock;
use crate::domain::events::Event;
use crate::domain::judge::{Decision, Judgement, RequestContext};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::random::Random;
use crate::store::Store;
use crate::store::witness::Seen;

pub use self::batch::{BatchBuilder, SealedBatch, seal};
pub use self::entry::Entry;
pub use self::replay::{
    Exported, PublicationInput, ReplayError, Replayed, TickPosition, replay, replay_from,
    replay_incomplete,
};
pub use self::survey::Survey;

/// Largest number of jobs that wait. Further requests are answered with [`Problem::Unavailable`].
const QUEUE: usize = 1024;

/// A handle to the node.
#[derive(Clone, Debug)]
pub struct Node {
    state: Arc<RwLock<State>>,
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// Whether the last append succeeded.
    is_writable: Arc<AtomicBool>,
    gate: Gate,
    looks: Looks,
}

/// Whose decision an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// This node's.
    This,
    /// Another node's, or one's that ran before.
    Another,
}

/// Bodies that a log should have no more.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Positions of their events.
    pub events: Vec<u64>,
    /// The purge that names them, or any event behind it. Without it in the log nothing is erased: the log has lost
    /// its end, and may have other events at these positions.
    pub purge: Seen,
    /// Who decided the purge.
    pub decider: Decider,
}

/// Has bodies erased beside what is judged.
pub type Erase = Box<dyn Fn(Erasure) + Send>;

/// A view of the state that does not keep the node running.
#[derive(Clone, Debug)]
pub struct StateView(Arc<RwLock<State>>);

impl StateView {
    /// The state, to read. Drop the guard soon, as that of [`Node::state`].
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which part of the state a job depends on. Jobs of one batch are judged against the state
/// before it, so no two of them may depend on the same part.
#[derive(Clone, Copy)]
enum Scope {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// One code, by its provider and serial number.
    Code(u16, u32),
    /// One user of BlueTrace, by phone number.
    Number(PhoneNumber),
}

/// A request to judge, append and answer.
trait Job: Send {
    fn scope(&self) -> Scope;
    /// Judges the request. It is judged again when another node appended first.
    fn judge(&mut self, state: &State, context: RequestContext) -> Vec<Event>;
    /// Answers the request, after its events have been stored or could not be stored.
    fn answer(self: Box<Self>, stored: bool);
}

struct PendingAct<T, F> {
    scope: Scope,
    judge: F,
    judged: Result<T, Problem>,
    reply: oneshot::Sender<Result<T, Problem>>,
}

/// Where a job is answered.
type Answered<T> = oneshot::Receiver<Result<T, Problem>>;

impl<T, F> PendingAct<T, F>
where
    T: Send + 'static,
    F: FnMut(&State, RequestContext) -> Judgement<T> + Send + 'static,
{
    fn of(scope: Scope, judge: F) -> (Box<dyn Job>, Answered<T>) {
        let (reply, answer) = oneshot::channel();
        let act = PendingAct { scope, judge, judged: Err(Problem::Unavailable), reply };
        (Box::new(act), answer)
    }
}

impl<T: Send, F: FnMut(&State, RequestContext) -> Judgement<T> + Send> Job for PendingAct<T, F> {
    fn scope(&self) -> Scope {
        self.scope
    }

    fn judge(&mut self, state: &State, context: RequestContext) -> Vec<Event> {
        match (self.judge)(state, context) {
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
        // The client may have gone. That does not change the decision.
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
    /// When the system cannot start a thread.
    pub fn start(
        store: Box<dyn Store>,
        state: State,
        clock: impl Into<WatchedClock>,
        random: Random,
        inputs: mpsc::Sender<PublicationInput>,
    ) -> std::io::Result<(Node, JoinHandle<()>)> {
        let (node, entry, thread) = Node::without_log()?;
        entry.open(store, state, clock.into(), random, inputs, None);
        Ok((node, thread))
    }

    /// A node that has no log yet, and so accepts nothing; what gives it one; and the thread that
    /// works whenever it has one, until every handle and the entry are dropped.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn without_log() -> std::io::Result<(Node, Entry, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let state = Arc::new(RwLock::new(State::new(FillerKey::new([0; 32]))));
        let is_writable = Arc::default();
        let node =
            Node { state, jobs, is_writable, gate: Gate::default(), looks: Looks::default() };
        let (appender, given) = std::sync::mpsc::sync_channel::<Opening>(1);
        let work = move || {
            let mut queue = Some(queue);
            while let Some(mut jobs) = queue.take()
                && let Ok(Opening { appender, is_open }) = given.recv()
            {
                // These came for a log that was lost, and what they say may be of that one alone.
                while let Ok(job) = jobs.try_recv() {
                    job.answer(false);
                }
                appender.gate.open();
                let _nobody_waits = is_open.send(());
                queue = appender.run(jobs);
            }
        };
        let thread = std::thread::Builder::new().name("node".into()).spawn(work)?;
        let entry = Entry::new(node.clone(), appender);
        entry.refuse("the server is starting");
        Ok((node, entry, thread))
    }

    fn replace_state(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether the node accepts nothing, because a newer release wrote to the log. Its state is not
    /// that of the log then, but an older one.
    pub fn is_read_only(&self) -> bool {
        matches!(self.gate.closed(), Some(Closed::Newer))
    }

    /// Why the log cannot be used, if it cannot. The state is empty then, or that of a log which has lost its end.
    pub fn refusal(&self) -> Option<Arc<str>> {
        match self.gate.closed() {
            Some(Closed::Refused(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Makes sure that the state is that of the whole log.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`], [`Problem::LogUnusable`].
    pub fn expect_current(&self) -> Result<(), Problem> {
        match self.gate.closed() {
            None => Ok(()),
            Some(Closed::Newer) => Err(Problem::ReadOnly),
            Some(Closed::Refused(_)) => Err(Problem::LogUnusable),
        }
    }

    /// Whether the node runs, and its last append to the log succeeded.
    pub fn is_writable(&self) -> bool {
        !self.jobs.is_closed() && self.is_writable.load(Ordering::Relaxed)
    }

    /// The state, to read. Drop the guard soon: nothing is accepted while it is held.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A view of the state that does not keep the node running.
    pub fn view(&self) -> StateView {
        StateView(Arc::clone(&self.state))
    }

    /// Judges a request alone, appends its events, and answers once they are durable.
    ///
    /// # Errors
    /// The judge's problem; [`Problem::StorageUnavailable`] if the log cannot be written.
    pub async fn act<T: Send + 'static>(
        &self,
        judge: impl FnMut(&State, RequestContext) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.submit(Scope::Everything, judge).await
    }

    /// Like [`Node::act`], for a request that depends on one code only: many such requests go into
    /// one batch.
    ///
    /// # Errors
    /// As [`Node::act`].
    pub async fn act_on_code<T: Send + 'static>(
        &self,
        provider: u16,
        serial: u32,
        judge: impl FnMut(&State, RequestContext) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.submit(Scope::Code(provider, serial), judge).await
    }

    /// Like [`Node::act`], for a request that depends on the user with a phone number only.
    ///
    /// # Errors
    /// As [`Node::act`].
    pub async fn act_on_number<T: Send + 'static>(
        &self,
        number: PhoneNumber,
        judge: impl FnMut(&State, RequestContext) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.submit(Scope::Number(number), judge).await
    }

    /// Applies what other nodes have appended to the log before this call. All who wait for this share it, and
    /// it is done at most fifty times a second.
    ///
    /// # Errors
    /// [`Problem::StorageUnavailable`] if the log cannot be read; those of [`Node::expect_current`].
    pub async fn catch_up(&self) -> Result<(), Problem> {
        self.expect_current()?;
        // The node looks at a log that others append to before it judges anything. There is one look at a time, so that
        // it can wait where the queue is full.
        let node = self.clone();
        let look = async move {
            let (job, answer) = PendingAct::of(Scope::Nothing, |_, _| Ok(Decision::nothing(())));
            node.jobs.send(job).await.is_ok() && matches!(answer.await, Ok(Ok(())))
        };
        match self.looks.share(look).await {
            true => self.expect_current(),
            false => Err(self.why_not()),
        }
    }

    /// Why nothing could be judged.
    fn why_not(&self) -> Problem {
        // A newer release may have begun to write only now.
        match self.expect_current() {
            Err(problem) => problem,
            Ok(()) if self.jobs.is_closed() => Problem::Unavailable,
            Ok(()) => Problem::StorageUnavailable,
        }
    }

    async fn submit<T: Send + 'static>(
        &self,
        scope: Scope,
        judge: impl FnMut(&State, RequestContext) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.expect_current()?;
        let (job, answer) = PendingAct::of(scope, judge);
        self.jobs.try_send(job).map_err(|_| Problem::Unavailable)?;
        match answer.await.unwrap_or(Err(Problem::Unavailable)) {
            Err(Problem::StorageUnavailable) => Err(self.why_not()),
            answer => answer,
        }
    }
}

/// The scopes of the jobs that are in a batch.
#[derive(Default)]
struct TakenScopes {
    everything: bool,
    codes: BTreeSet<(u16, u32)>,
    numbers: BTreeSet<PhoneNumber>,
}

impl TakenScopes {
    /// Takes a job into the batch, unless it depends on the same part of the state as another job
    /// of the batch.
    fn take(&mut self, scope: Scope) -> bool {
        match scope {
            Scope::Nothing => true,
            _ if self.everything => false,
            Scope::Everything if self.codes.is_empty() && self.numbers.is_empty() => {
                self.everything = true;
                true
            }
            Scope::Everything => false,
            Scope::Code(provider, serial) => self.codes.insert((provider, serial)),
            Scope::Number(number) => self.numbers.insert(number),
        }
    }
}

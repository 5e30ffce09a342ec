//! How a node comes to its log, and why it accepts nothing as long as it has none.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Notify, mpsc};

use super::appender::Appender;
use super::turns::Turns;
use super::{Erase, Node, PublicationInput};
use crate::clock::WatchedClock;
use crate::domain::state::State;
use crate::random::Random;
use crate::store::Store;

/// Why a node accepts nothing.
#[derive(Clone, Debug)]
pub(super) enum Closed {
    /// A newer release has written to the log.
    Newer,
    /// The log cannot be used, for this reason.
    Refused(Arc<str>),
}

/// Whether a node accepts requests. All of its handles share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<RwLock<Option<Closed>>>);

impl Gate {
    /// Why the node accepts nothing, if it does not.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn close(&self, why: Closed) {
        self.set(Some(why));
    }

    pub(super) fn open(&self) {
        self.set(None);
    }

    fn set(&self, closed: Option<Closed>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = closed;
    }
}

/// A log for the node's thread, and where it says that the node accepts requests.
pub(super) struct Opening {
    pub(super) appender: Appender,
    pub(super) is_open: SyncSender<()>,
}

/// What gives a node its log. Until then, and after the log is lost, the node answers every request with
/// [`Problem::LogUnusable`](crate::domain::problem::Problem::LogUnusable).
#[derive(Debug)]
pub struct Entry {
    node: Node,
    appender: SyncSender<Opening>,
    lost: Arc<Notify>,
}

impl Entry {
    pub(super) fn new(node: Node, appender: SyncSender<Opening>) -> Entry {
        Entry { node, appender, lost: Arc::default() }
    }

    /// Says why the log cannot be used.
    pub fn refuse(&self, reason: &str) {
        self.node.gate.close(Closed::Refused(reason.into()));
    }

    /// Waits until the log is not the one any more that the state follows from, as after a database has lost
    /// its end. The node accepts nothing from then on, until it is given a log and a state again.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Lets the node go on from a state that is up to date with the store. Where others append to the log too,
    /// `erase` erases; without it the node does so between two batches.
    pub fn open(
        &self,
        store: Box<dyn Store>,
        state: State,
        clock: WatchedClock,
        random: Random,
        inputs: mpsc::Sender<PublicationInput>,
        erase: Option<Erase>,
    ) {
        let Entry { node, appender, lost } = self;
        node.replace_state(state);
        node.is_writable.store(true, Ordering::Relaxed);
        let (is_open, opened) = sync_channel(1);
        let with_log = Appender {
            store,
            state: Arc::clone(&node.state),
            clock,
            random,
            inputs,
            erase,
            is_writable: Arc::clone(&node.is_writable),
            gate: node.gate.clone(),
            lost: Arc::clone(lost),
            is_lost: false,
            looked: None,
            postponed: None,
            turns: Turns::default(),
            is_at_end: false,
        };
        // The thread waits for this, and for nothing else. It opens the gate itself: it may have to close it at once.
        if appender.send(Opening { appender: with_log, is_open }).is_ok() {
            let _gone = opened.recv();
        }
    }

    /// Lets the node have the state before the part of the log that a newer release wrote. It
    /// accepts nothing.
    pub fn open_read_only(&self, state: State) {
        self.node.replace_state(state);
        self.node.gate.close(Closed::Newer);
    }
}

#[cfg(test)]
mod tests {
    use gcs_core::live::FillerKey;

    use super::*;
    use crate::clock::Clock;
    use crate::domain::judge::Decision;
    use crate::domain::problem::Problem;
    use crate::node::{PendingAct, Scope};
    use crate::store::MemoryStore;

    /// It came between the loss of a log and the opening of another one.
    #[tokio::test]
    async fn a_request_that_was_made_for_another_log_is_not_judged() {
        let (node, entry, thread) = Node::without_log().unwrap();
        let (job, answer) = PendingAct::of(Scope::Everything, |_: &State, _| {
            panic!("judged against the log that was opened later")
        });
        let (job, answer): (_, super::super::Answered<()>) = (job, answer);
        assert!(node.jobs.try_send(job).is_ok());
        let (inputs, _queue) = mpsc::channel(1);
        let state = State::new(FillerKey::new([0; 32]));
        let clock = Clock::System.into();
        entry.open(Box::new(MemoryStore::new()), state, clock, Random::seeded(1), inputs, None);
        assert!(matches!(answer.await, Ok(Err(Problem::StorageUnavailable))));
        // From then on it judges.
        assert!(node.expect_current().is_ok());
        assert!(matches!(node.act(|_, _| Ok(Decision::nothing(7))).await, Ok(7)));
        drop((node, entry));
        thread.join().unwrap();
    }
}

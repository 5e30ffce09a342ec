//! How a node comes to its log, and why it accepts nothing as long as it has none.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
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

    fn set(&self, closed: Option<Closed>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = closed;
    }
}

/// What gives a node its log. Until then, and after the log is lost, the node answers every request with
/// [`Problem::LogUnusable`](crate::domain::problem::Problem::LogUnusable).
#[derive(Debug)]
pub struct Entry {
    node: Node,
    appender: SyncSender<Appender>,
    lost: Arc<Notify>,
}

impl Entry {
    pub(super) fn new(node: Node, appender: SyncSender<Appender>) -> Entry {
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
        let given = appender.send(Appender {
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
        });
        // The thread waits for this, and for nothing else.
        if given.is_ok() {
            node.gate.set(None);
        }
    }

    /// Lets the node have the state before the part of the log that a newer release wrote. It
    /// accepts nothing.
    pub fn open_read_only(&self, state: State) {
        self.node.replace_state(state);
        self.node.gate.close(Closed::Newer);
    }
}

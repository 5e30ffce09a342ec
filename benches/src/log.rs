//! A log that is made without a server, by the same functions that judge and store what one
//! receives.

use gcs_server::app::config::Config;
use gcs_server::app::{DataFolder, Opened};
use gcs_server::clock::Clock;
use gcs_server::domain::events::Event;
use gcs_server::domain::judge::{Judgement, RequestContext};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::state::State;
use gcs_server::node::{SealedBatch, replay, seal};
use gcs_server::random::Random;
use gcs_server::store::Store;

use crate::server::Checked;

/// A log that is being made.
pub struct Log {
    /// The secret keys of the deployment.
    pub keys: DeploymentKeys,
    /// What the log adds up to, without the events that wait.
    pub state: State,
    store: Box<dyn Store>,
    clock: Clock,
    random: Random,
    waiting: Vec<Event>,
    _folder: DataFolder,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("position", &self.state.position).finish_non_exhaustive()
    }
}

impl Log {
    /// A new deployment in a data folder, or the log of one that is there.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn begin(config: &Config, clock: Clock, random: Random) -> Checked<Log> {
        let opened = DataFolder::open(config, clock.now(), &random)?;
        let Opened { folder, mut store, keys, .. } = opened;
        let state = replay(&mut *store, Some(&keys), |_, _| Ok(()))?.whole()?;
        Ok(Log { store, keys, state, clock, random, waiting: Vec::new(), _folder: folder })
    }

    /// The time of its clock.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Appends what comes of a judgement.
    ///
    /// # Errors
    /// The judge's, or the store's.
    pub fn act<T>(
        &mut self,
        judge: impl FnOnce(&State, &DeploymentKeys, RequestContext) -> Judgement<T>,
    ) -> Checked<T> {
        self.flush()?;
        self.add(1, judge)
    }

    /// Adds what comes of a judgement that does not depend on the events that wait. They are
    /// appended when there are so many.
    ///
    /// # Errors
    /// The judge's, or the store's.
    pub fn add<T>(
        &mut self,
        batch: usize,
        judge: impl FnOnce(&State, &DeploymentKeys, RequestContext) -> Judgement<T>,
    ) -> Checked<T> {
        let context = RequestContext { now: self.now(), leap: None, random: self.random.bytes()? };
        let decision = judge(&self.state, &self.keys, context)?;
        self.waiting.extend(decision.events);
        if self.waiting.len() >= batch {
            self.flush()?;
        }
        Ok(decision.answer)
    }

    /// Appends the events that wait.
    ///
    /// # Errors
    /// The store's.
    pub fn flush(&mut self) -> Checked<()> {
        let events = std::mem::take(&mut self.waiting);
        let sealed = seal(self.state.chain(), &events, self.now(), &self.random)?;
        let Some(SealedBatch { logged, batch }) = sealed else { return Ok(()) };
        self.store.append(&batch)?;
        logged.iter().try_for_each(|logged| self.state.apply(logged))?;
        Ok(())
    }
}

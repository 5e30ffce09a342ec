//! Catching up: computing the state and the publications from the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StartError;
use super::needed::{Needed, needed};
use crate::domain::chain::LogError;
use crate::domain::events::Event;
use crate::domain::keys::DeploymentKeys;
use crate::domain::state::State;
use crate::node::{PublicationInput, ReplayError, Replayed, TickPosition, replay_from};
use crate::publishing::{Cores, Outbox, PublicationBuilder, PublicationError};
use crate::store::witness::Seen;
use crate::store::{LogPlace, Store};

/// The result of catching up with the log.
#[derive(Debug)]
pub struct CaughtUp {
    /// The result of the replay, with the state.
    pub replayed: Replayed,
    /// The builder after the last tick; `None` if a publication could not be computed.
    pub builder: Option<PublicationBuilder>,
    /// The files that have been computed and are not written yet.
    pub outbox: Outbox,
    /// The first publication that could not be computed, by its position in the log.
    pub failed: Option<(u64, PublicationError)>,
    /// The number of publications that were computed.
    pub ticks: u64,
    /// The time that computing the publications took.
    pub computing: Duration,
}

impl CaughtUp {
    /// Makes sure that every publication could be computed.
    ///
    /// # Errors
    /// The first publication that could not be computed.
    pub fn expect_computed(&self) -> Result<(), LogError> {
        match &self.failed {
            None => Ok(()),
            Some((position, error)) => Err(LogError::broken(*position, error.to_string())),
        }
    }
}

/// Replays the log, and computes the publications after the last one in an outbox. If it is empty,
/// all are computed on which a published file depends. Several dates of a publication are computed at once, on all cores.
///
/// # Errors
/// A log that is damaged, or that does not have the last publication.
pub fn catch_up(
    store: &mut dyn Store,
    keys: &DeploymentKeys,
    outbox: Outbox,
) -> Result<CaughtUp, StartError> {
    catch_up_from(State::new(keys.filler()), store, keys, outbox, Cores::All)
}

/// Goes on from a state that the log has already led to. Its last tick must not be later than the
/// last publication in the outbox: see [`can_go_on_from`].
///
/// # Errors
/// As [`catch_up`].
pub(super) fn catch_up_from(
    state: State,
    store: &mut dyn Store,
    keys: &DeploymentKeys,
    mut outbox: Outbox,
    cores: Cores,
) -> Result<CaughtUp, StartError> {
    let (published, publisher) = (outbox.position(), outbox.plan().publisher().cloned());
    let mut builder = Some(PublicationBuilder::new(keys, publisher));
    let mut is_there = match published {
        None => true,
        Some(TickPosition { position, head, .. }) => {
            position <= state.position
                && Seen { position, head }.is_in(store).map_err(ReplayError::from)?
        }
    };
    // If this cannot be read, the replay says why.
    let needed =
        if published.is_none() { needed(store).unwrap_or_default() } else { Needed::default() };
    let (mut failed, mut ticks, mut computing) = (None, 0, Duration::ZERO);
    let replayed = replay_from(state, store, Some(keys), |state, logged| {
        let position = logged.header.position;
        if let Some(published) = published.filter(|published| position <= published.position) {
            is_there |= position == published.position && logged.header.hash() == published.head;
            return Ok(());
        }
        if published.is_none()
            && matches!(logged.event, Some(Event::Purge(_) | Event::LogRecovered(_)))
        {
            outbox.forget_history();
        }
        if matches!(logged.event, Some(Event::BodiesLost(_))) {
            // What was published before is not computed any more, nor gone on from.
            (builder, outbox) = (Some(PublicationBuilder::new(keys, None)), Outbox::default());
            (failed, ticks) = (None, 0);
        }
        if position < needed.begin {
            return Ok(());
        }
        let Some(open) = &mut builder else { return Ok(()) };
        let began = Instant::now();
        let Some(input) = PublicationInput::of(state, logged) else { return Ok(()) };
        let is_needed = position >= needed.first;
        let built = if is_needed {
            open.build_on(cores, &input, &mut outbox)
        } else {
            open.skip_on(cores, &input)
        };
        if let Err(error) = built {
            failed = Some((position, error));
            builder = None;
        } else {
            ticks += u64::from(is_needed);
        }
        computing += began.elapsed();
        Ok(())
    })?;
    match published.filter(|_| !is_there && replayed.newer.is_none()) {
        Some(published) => Err(StartError::Behind { tick: published.version.tick }),
        None => Ok(CaughtUp { replayed, builder, outbox, failed, ticks, computing }),
    }
}

/// Whether all ticks of a state are published, so that what comes after it in the log is all that
/// there is to compute.
pub(super) fn can_go_on_from(state: &State, outbox: &Outbox) -> bool {
    state.last_tick.map(|last| last.version) <= outbox.position().map(|last| last.version)
}

/// What computes all publications from a log, while its server uses it.
pub(super) fn remake(
    log: LogPlace,
    keys: Arc<DeploymentKeys>,
) -> impl Fn() -> Result<Outbox, String> + Send + Sync {
    move || {
        let mut store = log.reader().map_err(|error| error.to_string())?;
        let (state, outbox) = (State::new(keys.filler()), Outbox::default());
        let caught_up = catch_up_from(state, &mut *store, &keys, outbox, Cores::One);
        let caught_up = caught_up.map_err(|error| error.to_string())?;
        caught_up.expect_computed().map_err(|error| error.to_string())?;
        Ok(caught_up.outbox)
    }
}

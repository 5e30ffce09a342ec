//! Events whose bodies are lost, or erased by a purge: what follows from their headers alone.
//!
//! What a damaged disk has lost is named by a [`BodiesLost`](crate::domain::events::BodiesLost) behind it, which
//! makes void or safe what cannot be known: see `judge::go_on_without`.

use gcs_core::Version;

use super::{InconsistentEvent, LastTick, Provider, State};
use crate::domain::events::{
    ClockResumed, FirstSeriesStarted, KeyRenewed, LogRecovered, ProviderAdded, ProviderKeyRaised,
    RangeOpened, SeriesStarted, TickMade, UserRegistered,
};

impl State {
    /// Applies an event of which only the header is there.
    pub(super) fn apply_without_body(
        &mut self,
        kind: u16,
        time: u64,
    ) -> Result<(), InconsistentEvent> {
        match kind {
            // Ticks are numbered one after the other.
            TickMade::KIND => {
                let last = self.last_tick.map(|last| last.version);
                let series = last.map_or(self.series, |last| last.series.max(self.series));
                let tick = last.map_or(1, |last| last.tick.saturating_add(1));
                self.tick(LastTick { version: Version { series, tick }, time });
            }
            ClockResumed::KIND
            | FirstSeriesStarted::KIND
            | SeriesStarted::KIND
            | LogRecovered::KIND => self.put_clock_right(time),
            // Providers are numbered one after the other too. Nobody has this one's token.
            ProviderAdded::KIND => {
                let last = self.providers.keys().next_back().copied().unwrap_or(0);
                let number = last.checked_add(1).ok_or(InconsistentEvent("no number is left"))?;
                let name = format!("provider {number}, whose name is lost");
                let provider = Provider::new(name, [0; 32], self.first_generation);
                self.providers.insert(number, provider);
            }
            UserRegistered::KIND => self.register_nobody(),
            _ => {}
        }
        self.lacks_ranges |= matches!(
            kind,
            RangeOpened::KIND | ProviderKeyRaised::KIND | KeyRenewed::KIND | LogRecovered::KIND
        );
        Ok(())
    }

    /// That a range is not there is no error if the event that opened it may have been lost.
    pub(super) fn unless_lost(
        &self,
        applied: Result<(), InconsistentEvent>,
    ) -> Result<(), InconsistentEvent> {
        if self.lacks_ranges { Ok(()) } else { applied }
    }
}

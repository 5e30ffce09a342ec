//! The events of what is published.

use serde::{Deserialize, Serialize};

/// A publication. Its time is that of the event's header; it covers every event before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickMade {
    /// The series.
    pub series: u32,
    /// The number of the tick.
    pub number: u32,
}

/// A new series, begun to recall what is published or after a recovery. It also left serial numbers
/// unused, which a lost end of the log may have brought out. New events are a [`SeriesStarted`] or a
/// [`LogRecovered`](super::LogRecovered).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSeriesStarted {
    /// The new series.
    pub series: u32,
}

/// A new series, begun to recall what is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesStarted {
    /// The new series.
    pub series: u32,
}

//! Kinds of reports: from the phone that reports to the phones that heard it.

mod bad;
mod exporting;
pub mod exports;
pub mod log;
mod phones;
mod publishing;
pub mod seeds;
mod shared;

use gcs_core::Date;
use gcs_core::identifiers::dp3t::{DayKey, HybridSeed, HybridWindow};
use gcs_core::identifiers::tcn::{MemoType, ReportAuthorizationKey};
use gcs_core::report::{GaenKey, Item};

/// The interval of Exposure Notification that begins `hours` after the start of a date.
pub fn interval(date: Date, hours: u32) -> u32 {
    (date.start() / 600) as u32 + 6 * hours
}

pub fn day_key(date: Date, byte: u8) -> (DayKey, Item) {
    (DayKey::new(date, [byte; 32]), Item::Dp3tLowCost { date, key: [byte; 32] })
}

/// The seed of the window of four hours in which a time lies.
pub fn hybrid(time: u64, byte: u8) -> (HybridSeed, Item) {
    let windows = HybridWindow::FourHours;
    let window = windows.of_time(time).unwrap();
    (HybridSeed::new([byte; 16]), Item::Dp3tHybrid { windows, window, seed: [byte; 16] })
}

pub fn tcn(date: Date, byte: u8, span: [u16; 2]) -> (ReportAuthorizationKey, Item) {
    let key = ReportAuthorizationKey::new([byte; 32]);
    let report = key.report(span[0], span[1], MemoType::CoEpi, b"memo").unwrap();
    (key, Item::Tcn { date, report })
}

pub fn gaen(rolling_start: u32, rolling_period: u32, byte: u8) -> GaenKey {
    GaenKey::new([byte; 16], rolling_start, rolling_period)
}

//! Apple and Google's Exposure Notification (GAEN): identifiers from keys, and what phones and
//! servers exchange.
//!
//! A phone draws a temporary exposure key (TEK) for every day, and broadcasts a rolling proximity
//! identifier (RPI) made from it in each interval of ten minutes. A patient reports keys. The
//! interface of both systems takes only export files, which hold keys; an app on a system that
//! tells apps what it heard tests the identifiers, 16 bytes each, as elements.
//!
//! ```
//! use gcs_core::identifiers::gaen::{self, ExposureKey};
//!
//! let start = gaen::interval_of(1_585_785_600).unwrap();
//! let key = ExposureKey::new([7; 16], start, gaen::INTERVALS_A_DAY)?;
//! let elements: Vec<[u8; 16]> = key.identifiers().collect();
//! assert_eq!(elements.len(), 144);
//! // What a phone heard in the third interval is among them.
//! let heard = key.rolling_keys().identifier(start + 2);
//! assert_eq!(elements[2], heard);
//! # Ok::<(), gaen::ExposureKeyError>(())
//! ```
//!
//! Sources: Exposure Notification, Bluetooth Specification and Cryptography Specification, v1.2
//! (April 2020); google/exposure-notifications-server for `tekmac` and the export file.

mod changes;
mod export_key;
mod key;
mod tekmac;

#[cfg(feature = "gaen-export")]
pub mod export;

pub use self::changes::KeyChanges;
pub use self::export_key::{ExportKey, ReportType};
pub use self::key::{ExposureKey, ExposureKeyError, RollingKeys};
pub use self::tekmac::{ReportedKey, is_tekmac, tekmac};

/// Length of an interval in seconds.
pub const INTERVAL_SECONDS: u64 = 600;

/// Number of intervals in a day, and the longest rolling period of a key.
pub const INTERVALS_A_DAY: u32 = 144;

/// The interval of a Unix time in seconds (ENIN): the time divided by [`INTERVAL_SECONDS`].
/// `None` beyond the year 83000.
pub fn interval_of(time: u64) -> Option<u32> {
    u32::try_from(time / INTERVAL_SECONDS).ok()
}

/// The associated metadata that a phone encrypts beside an identifier: version 1.0, the
/// transmission power in dBm, and two bytes that are reserved.
pub fn metadata(tx_power: i8) -> [u8; 4] {
    [0x40, tx_power as u8, 0, 0]
}

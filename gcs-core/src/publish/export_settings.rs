//! How export files are written.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::Publisher;
use crate::date::DAY_SECONDS;
use crate::identifiers::gaen::export::ExportSigningKey;
use crate::seeds::SeedDay;

/// How export files are written.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// Where the keys come from, as phones know it, such as a country's code.
    pub region: String,
    /// Seconds from one export to the next, within [`ExportSettings::INTERVALS`].
    pub interval: u64,
    /// The keys that sign every file, the newest first.
    pub keys: Vec<ExportSigningKey>,
}

impl ExportSettings {
    /// The intervals that are allowed: a quarter of an hour to a day.
    pub const INTERVALS: RangeInclusive<u64> = 900..=DAY_SECONDS;

    /// The interval of Google's server: four hours.
    pub const DEFAULT_INTERVAL: u64 = 4 * 3600;
}

/// What the next publication exports.
#[derive(Clone, Debug)]
pub(super) struct NextExports {
    pub settings: ExportSettings,
    pub lists: Vec<SeedDay>,
}

impl Publisher {
    /// The same publisher, whose **next** publication ([`Publisher::publish`] or [`Publisher::skip`]) has
    /// export files of these lists of the keys of Exposure Notification, in any order, beside its sets.
    /// Without this call it has none.
    #[must_use]
    pub fn with_exports(&self, settings: ExportSettings, lists: Vec<SeedDay>) -> Publisher {
        Publisher { next_exports: Some(NextExports { settings, lists }), ..self.clone() }
    }
}

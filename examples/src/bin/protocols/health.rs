//! The publishing side of a health authority, as a backend that embeds gcs-core has it.

use gcs_core::live::{FillerKey, Live, LiveDay, LiveSettings};
use gcs_core::publish::{Keys, Publisher, PublisherSettings};
use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date, Version};
use gcs_examples::Checked;
use gcs_examples::memory::Files;

use crate::design::Dated;

/// Seconds from one tick to the next.
pub(crate) const INTERVAL: u64 = 3600;

/// Elements that a date is planned for: of 100 patients a day, and some more.
const PLANNED: u32 = 40_000;

/// Reports, what is published of them, and the files that any web server could serve.
pub(crate) struct Authority {
    live: Live,
    publisher: Publisher,
    keys: Keys,
    reports: u64,
    pub(crate) files: Files,
}

impl Authority {
    /// An authority without reports, whose keys are valid until long after `now`.
    pub(crate) fn new(now: u64) -> Authority {
        let (interval, expected_per_date) = (INTERVAL, PLANNED);
        let settings =
            PublisherSettings { interval, expected_per_date, ..PublisherSettings::default() };
        Authority {
            live: Live::new(FillerKey::new([2; 32])),
            publisher: Publisher::new(settings, 1),
            keys: Keys::from_secret([1; 32], now + 90 * DAY_SECONDS),
            reports: 0,
            files: Files::new(),
        }
    }

    /// The settings of every app of this authority.
    pub(crate) fn client_settings(&self) -> ClientSettings {
        ClientSettings::new(self.keys.root)
    }

    /// Receives a report, and returns its number.
    pub(crate) fn receive(&mut self, now: u64, elements: Dated) -> Checked<u64> {
        self.reports += 1;
        self.live.add(self.reports, now, elements)?;
        Ok(self.reports)
    }

    /// Retracts a report.
    pub(crate) fn retract(&mut self, report: u64) {
        self.live.retract(report);
    }

    /// Publishes what is live.
    pub(crate) fn tick(&mut self, now: u64) -> Checked<()> {
        let tick = self.publisher.last_tick().map_or(1, |last| last + 1);
        let version = Version { series: self.publisher.series(), tick };
        self.live.tick(version, now, &LiveSettings::default());
        let publication = self.publisher.publish_next(now, &self.live.days(), &self.keys)?;
        for path in &publication.delete {
            self.files.remove(&path.to_string());
        }
        let files = publication.files.into_iter();
        self.files.extend(files.map(|file| (file.path.to_string(), file.bytes)));
        self.publisher = publication.publisher;
        Ok(())
    }

    /// Whether an element is published for a date, without false positives.
    pub(crate) fn is_published(&self, date: Date, element: &[u8]) -> bool {
        self.live.is_published(date, element)
    }

    /// What was published last.
    pub(crate) fn days(&self) -> Vec<LiveDay> {
        self.live.days()
    }
}

//! What a publication exports: files of the keys that have changed since the last export.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::exports::Exported;
use super::{PublishError, Publisher};
use crate::date::{DAY_SECONDS, Date};
use crate::files::Table;
use crate::identifiers::gaen::export::{Export, ExportSigningKey, MAX_KEYS};
use crate::identifiers::gaen::{ExportKey, KeyChanges};
use crate::seeds::{Seed as _, SeedDay, SeedList};

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
    settings: ExportSettings,
    lists: Vec<SeedDay>,
}

impl NextExports {
    /// The keys of a date, as the file of a list.
    fn list(&self, date: Date) -> Result<Arc<Vec<u8>>, PublishError> {
        let is_of = |day: &&SeedDay| day.date() == date && day.kind().number() == ExportKey::KIND;
        let mut lists = self.lists.iter().filter(is_of);
        match (lists.next(), lists.next()) {
            (None, _) => Ok(no_keys()),
            (Some(day), None) => Ok(Arc::clone(day.shared())),
            (Some(_), Some(_)) => Err(PublishError::DateTwice { date }),
        }
    }
}

impl Publisher {
    /// The same publisher, whose **next** publication ([`Publisher::publish`] or [`Publisher::skip`]) has
    /// export files beside its sets, of these lists of the keys of Exposure Notification, in any order.
    /// Without this call it has none, and its manifest does not speak of exports.
    ///
    /// The first publication of every slot of [`ExportSettings::interval`] seconds
    /// ([`Publisher::is_export_time`]) makes a file for each date whose keys have changed since the last
    /// one: with what is new, and with what is gone as revoked. It takes no date that is not published, so
    /// that keys appear no earlier than the set of their date. A date that has no list has no keys. At
    /// other times the lists are not looked at, and lists of other kinds never are. A date that is
    /// dropped takes its files along, and revokes nothing.
    ///
    /// ```
    /// use gcs_core::files::{ExportList, Path};
    /// use gcs_core::identifiers::gaen::export::{Export, ExportKey, ExportSigningKey};
    /// use gcs_core::identifiers::gaen::{ExposureKey, INTERVALS_A_DAY, interval_of};
    /// use gcs_core::publish::{Day, ExportSettings, Keys, Publisher, PublisherSettings};
    /// use gcs_core::seeds::{SeedDay, SeedList};
    /// use gcs_core::{DAY_SECONDS, Date};
    ///
    /// let date: Date = "2026-01-05".parse()?;
    /// let start = interval_of(date.start()).unwrap();
    /// let key = ExportKey::from(ExposureKey::new([7; 16], start, INTERVALS_A_DAY)?);
    /// let days = [Day { date, elements: key.key.identifiers().collect() }];
    /// let lists = vec![SeedDay::new(date, SeedList::<ExportKey>::build([&key])?)];
    ///
    /// let signing_key = ExportSigningKey::from_bytes(&[9; 32], "310", "v1")?;
    /// let settings = ExportSettings {
    ///     region: "US".to_string(),
    ///     interval: ExportSettings::DEFAULT_INTERVAL,
    ///     keys: vec![signing_key.clone()],
    /// };
    /// let now = date.entry();
    /// let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
    /// let publisher = Publisher::new(PublisherSettings::default(), 1);
    /// let publication =
    ///     publisher.with_exports(settings, lists).publish_next(now, &days, &keys)?;
    /// let file = |path| publication.files.iter().find(|file| file.path == path).unwrap();
    /// let list = file(Path::ExportList(publication.manifest.exports.unwrap().sha256));
    /// let list = ExportList::parse(&list.bytes)?;
    /// let zip = file(list.paths().next().unwrap());
    /// assert_eq!(Export::from_zip(&zip.bytes, &signing_key.public())?.keys, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_exports(&self, settings: ExportSettings, lists: Vec<SeedDay>) -> Publisher {
        Publisher { next_exports: Some(NextExports { settings, lists }), ..self.clone() }
    }

    /// Exports what has changed, if it is time.
    pub(super) fn export_changes(
        &self,
        now: u64,
        table: &Table,
        next: &NextExports,
        exported: &mut Exported,
    ) -> Result<(), PublishError> {
        let NextExports { settings, .. } = next;
        let (got, allowed) = (settings.interval, ExportSettings::INTERVALS);
        if !allowed.contains(&got) {
            let (least, most) = (*allowed.start(), *allowed.end());
            return Err(PublishError::ExportInterval { least, most, got });
        }
        if !self.is_export_time(now, settings.interval) {
            return Ok(());
        }
        let end = now - now % settings.interval;
        // Never before the end of the export before, unless the clock went back.
        let before = self.exported.as_ref().map(|exported| exported.end);
        let start = before.filter(|before| *before < end);
        let start = start.unwrap_or(end.saturating_sub(settings.interval));
        for date in table.rows().iter().map(|row| row.date) {
            let (base, target) = (exported.lists.get(&date).cloned(), next.list(date)?);
            let base = base.unwrap_or_else(no_keys);
            if base == target {
                continue;
            }
            let base = SeedList::parse(&base[..])?;
            let changes = KeyChanges::between(&base, &SeedList::parse(&target[..])?);
            for KeyChanges { new: keys, revised: revised_keys } in parts(changes, MAX_KEYS) {
                let region = settings.region.clone();
                let export =
                    Export { start, end, region, batch: 1, batches: 1, keys, revised_keys };
                let zip = export.to_zip(&settings.keys);
                exported.push(date, zip.map_err(|error| PublishError::Export { date, error })?);
            }
            exported.lists.insert(date, target);
        }
        exported.end = end;
        Ok(())
    }
}

/// A list of no keys.
fn no_keys() -> Arc<Vec<u8>> {
    match SeedList::build::<ExportKey>([]) {
        Ok(list) => Arc::new(list.into_inner()),
        Err(_) => unreachable!("a list of no keys is built"),
    }
}

/// Changes of at most `max` keys each, in their order, new keys first.
fn parts(changes: KeyChanges, max: usize) -> impl Iterator<Item = KeyChanges> {
    let (mut new, mut revised) = (changes.new.into_iter(), changes.revised.into_iter());
    core::iter::from_fn(move || {
        let new: Vec<ExportKey> = new.by_ref().take(max).collect();
        let revised = revised.by_ref().take(max - new.len()).collect();
        let part = KeyChanges { new, revised };
        (part != KeyChanges::default()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::files::{ExportList, MAX_EXPORTS};
    use crate::identifiers::gaen::ExposureKey;
    use crate::publish::{Day, Keys, PublisherSettings};
    use alloc::vec;

    fn date() -> Date {
        Date::of_time(1_700_000_000)
    }

    fn key(byte: u8) -> ExportKey {
        let start = (date().start() / 600) as u32;
        ExposureKey::new([byte; 16], start, 144).unwrap().into()
    }

    #[test]
    fn more_changes_than_a_file_holds_are_parted() {
        let keys = |range: core::ops::Range<u8>| range.map(key).collect::<Vec<_>>();
        for (new, revised, max, expected) in [
            (0, 0, 3, vec![]),
            (3, 0, 3, vec![(3, 0)]),
            (4, 0, 3, vec![(3, 0), (1, 0)]),
            (4, 5, 3, vec![(3, 0), (1, 2), (0, 3)]),
            (0, 4, 3, vec![(0, 3), (0, 1)]),
            (2, 1, 3, vec![(2, 1)]),
        ] {
            let changes = KeyChanges { new: keys(0..new), revised: keys(100..100 + revised) };
            let parts: Vec<KeyChanges> = parts(changes.clone(), max).collect();
            let lengths = parts.iter().map(|part| (part.new.len(), part.revised.len()));
            assert_eq!(lengths.collect::<Vec<_>>(), expected);
            let joined = |of: fn(&KeyChanges) -> &Vec<ExportKey>| -> Vec<ExportKey> {
                parts.iter().flat_map(|part| of(part).clone()).collect()
            };
            let (new, revised) = (joined(|part| &part.new), joined(|part| &part.revised));
            assert_eq!(KeyChanges { new, revised }, changes);
        }
    }

    #[test]
    fn more_files_than_a_list_names_are_refused() {
        let now = date().entry();
        let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
        let days = [Day { date: date(), elements: vec![[7; 16]] }];
        let settings = ExportSettings {
            region: "US".into(),
            interval: 900,
            keys: vec![ExportSigningKey::from_bytes(&[9; 32], "310", "v1").unwrap()],
        };
        let publish = |files: usize| {
            let list = SeedList::<ExportKey>::build([key(1)]).unwrap();
            let mut publisher = Publisher::new(PublisherSettings::default(), 1)
                .with_exports(settings.clone(), vec![SeedDay::new(date(), list)]);
            let list = ExportList { files: vec![(date(), Digest::of(b"a file")); files] };
            publisher.exported = Some(Exported { list, ..Exported::default() });
            let publication = publisher.publish_next(now, &days, &keys)?;
            Ok(publication.publisher.exports().map(|list| list.files.len()))
        };
        assert_eq!(publish(MAX_EXPORTS - 1), Ok(Some(MAX_EXPORTS)));
        let (max, got) = (MAX_EXPORTS, MAX_EXPORTS + 1);
        assert_eq!(publish(MAX_EXPORTS), Err(PublishError::TooManyExports { max, got }));
    }
}

//! Computing a publication.

use alloc::vec::Vec;

use super::day::{self, BuiltDay, Content, DayBuilder, KnownDay, TickContext};
use super::lifetimes::live_paths;
use super::snapshot::Snapshot;
use super::{DayElements, File, Keys, LastPublication, Publication, PublishError, Publisher};
use crate::date::{DAY_SECONDS, Date};
use crate::files::{
    BundleEntry, FileHash, KEPT_TICKS, MAX_DATES, Manifest, Path, PublicationIndex, SPANS, Table,
};
use crate::keys::DerivationKey;
use crate::version::Version;

/// Builds one date.
type Build<'b, D> = dyn Fn(&D) -> Result<BuiltDay, PublishError> + Sync + 'b;

fn one_by_one<D>(days: &[&D], build: &Build<'_, D>) -> Result<Vec<BuiltDay>, PublishError> {
    days.iter().map(|day| build(day)).collect()
}

impl Publisher {
    /// Makes the next publication, of the tick after the last one or of tick 1, from all
    /// live dates in any order. A date that was published before and is missing in `days` is
    /// dropped. `now` is the Unix time.
    ///
    /// O(n log n) time for n elements of the dates that have changed since the publication before,
    /// and some 50 bytes of memory for each element of one of these dates at a time, besides the
    /// files. Before it returns, every bundle has been applied to the state that it
    /// starts from and gave the sets that are published, and index and manifest have been
    /// read back.
    ///
    /// # Errors
    /// A [`PublishError`]; nothing has changed then.
    pub fn publish_next<D: DayElements>(
        &self,
        now: u64,
        days: &[D],
        keys: &Keys,
    ) -> Result<Publication, PublishError> {
        let number = self.last_tick().map_or(1, |last| last.saturating_add(1));
        self.publish(number, now, days, keys)
    }

    /// Makes a publication, as [`Publisher::publish_next`] does, under the number that a
    /// log gives it: one more than the last, or any in a new series.
    ///
    /// # Errors
    /// A [`PublishError`]; nothing has changed then.
    pub fn publish<D: DayElements>(
        &self,
        number: u32,
        now: u64,
        days: &[D],
        keys: &Keys,
    ) -> Result<Publication, PublishError> {
        self.publish_with(number, now, days, keys, one_by_one)
    }

    /// [`Publisher::publish`] with the threads of rayon's current pool, which build several dates at
    /// once; the result is the same, byte for byte. Memory is needed for as many changed dates as there
    /// are threads.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    #[cfg(feature = "parallel")]
    pub fn publish_parallel<D: DayElements + Sync>(
        &self,
        number: u32,
        now: u64,
        days: &[D],
        keys: &Keys,
    ) -> Result<Publication, PublishError> {
        use rayon::prelude::*;

        self.publish_with(number, now, days, keys, |days, build| {
            days.par_iter().map(|day| build(day)).collect()
        })
    }

    fn publish_with<D: DayElements>(
        &self,
        number: u32,
        now: u64,
        days: &[D],
        keys: &Keys,
        build_all: impl Fn(&[&D], &Build<'_, D>) -> Result<Vec<BuiltDay>, PublishError>,
    ) -> Result<Publication, PublishError> {
        self.expect_next(number, now)?;
        let (due, waiting) = self.due_days(now, days)?;
        let days = self.build_days(&due, keys, number, build_all)?;
        let mut snapshot = Snapshot::of(number, &days)?;
        let seeds = self.publish_seeds(number, &snapshot.table)?;
        snapshot.seeds = seeds.side;
        let exports = self.publish_exports(now, &snapshot.table)?;
        let new_bundles = self.write_bundles(&snapshot)?;

        let mut bundles: Vec<BundleEntry> = new_bundles.iter().map(|new| new.0).collect();
        bundles.extend(self.bundles.iter().filter(|old| number - old.to < KEPT_TICKS));
        bundles.sort_unstable_by_key(|entry| (entry.to, entry.span));
        let table = snapshot.table.clone();
        let index = PublicationIndex { series: self.series, tick: number, table, bundles };
        let index_bytes = index.to_bytes();
        PublicationIndex::parse(&index_bytes)?;
        let manifest = Manifest {
            series: self.series,
            tick: number,
            issued: now,
            expires: now.saturating_add(DAY_SECONDS),
            next: now.saturating_add(self.settings.interval),
            state: index.table.state(),
            index: FileHash::of(&index_bytes),
            bundle: new_bundles.iter().find(|new| new.0.span == 1).map(|new| FileHash::of(&new.1)),
            seeds: seeds.named,
            exports: exports.named,
        };
        let signed = manifest.sign(&keys.online, &keys.key_list)?;
        let (_, key_list) = Manifest::verify(&signed, &keys.root, now, self.key_list)?;

        let known = days.iter().map(|day| (day.row.date, KnownDay::of(day))).collect();
        let left_out = days.iter().flat_map(|day| day.left_out.iter().copied()).collect();
        let index_path = Path::Index(manifest.index.sha256);
        let mut live = live_paths(self.series, index_path, &index);
        live.extend(seeds.live);
        live.extend(exports.live);
        let mut files: Vec<File> = days.into_iter().flat_map(BuiltDay::into_files).collect();
        files.extend(new_bundles.into_iter().map(|(entry, bytes)| {
            let path = Path::Bundle { span: entry.span, series: self.series, to: entry.to };
            File { path, bytes }
        }));
        files.push(File { path: index_path, bytes: index_bytes });
        files.extend(seeds.files);
        files.extend(exports.files);
        files.retain(|file| !self.was_written(&file.path));
        files.extend(exports.index);
        let kept = Path::KeptManifest { series: self.series, tick: number };
        files.push(File { path: kept, bytes: signed.clone() });
        files.push(File { path: Path::Manifest, bytes: signed.clone() });

        let (retired, delete) = self.retire(&live, now);
        let version = Version { series: self.series, tick: number };
        let last = LastPublication { version, manifest: signed, deletions: delete.clone() };
        let publisher = Publisher {
            settings: self.settings,
            series: self.series,
            table: Some(index.table),
            snapshots: self.snapshots_after(snapshot),
            bundles: index.bundles,
            seed_bundles: seeds.bundles,
            issued: now,
            key_list,
            live,
            retired,
            last: Some(last),
            known,
            next_seeds: None,
            exported: exports.exported,
            next_exports: None,
        };
        Ok(Publication { files, delete, manifest, waiting, left_out, publisher })
    }

    /// Leaves out a publication of which nobody needs anything any more, for a publisher that
    /// computes its publications anew from a log of inputs. What later publications depend on is
    /// computed, which are the salts and hash ranges of the dates, and export files, since these are
    /// named for as long as their dates are published. No other file is made.
    ///
    /// Nothing is known of the files of a publication that was left out. So the next one has all its
    /// files and no bundles, the export files of those that were left out among them (but not what an
    /// earlier publication wrote); the 288th after it is as if none had been left out, but for the
    /// deletion of older files.
    ///
    /// # Errors
    /// A [`PublishError`], though not all that [`Publisher::publish`] would give.
    pub fn skip<D: DayElements>(
        &self,
        number: u32,
        now: u64,
        days: &[D],
        derivation: &DerivationKey,
    ) -> Result<Publisher, PublishError> {
        self.expect_next(number, now)?;
        let (due, _) = self.due_days(now, days)?;
        let context = TickContext { derivation, series: self.series, tick: number };
        let row = |day: &&D| day::skipped_row(*day, self.table(), self.settings, &context);
        let rows = due.iter().map(row).collect::<Result<_, _>>()?;
        let table = Table::from_rows(rows)?;
        let exported = self.export(now, &table)?;
        Ok(Publisher {
            table: Some(table),
            issued: now,
            exported,
            ..Publisher::new(self.settings, self.series)
        })
    }

    /// Builds the dates that are due, except for what stays as it was published last. `build_all` builds some of
    /// them, in their order.
    fn build_days<D: DayElements>(
        &self,
        due: &[&D],
        keys: &Keys,
        tick: u32,
        build_all: impl Fn(&[&D], &Build<'_, D>) -> Result<Vec<BuiltDay>, PublishError>,
    ) -> Result<Vec<BuiltDay>, PublishError> {
        let context = TickContext { derivation: &keys.derivation, series: self.series, tick };
        let builder = DayBuilder { before: self.table(), settings: self.settings, context };
        let likely = builder.likely_shape(due);
        let mut days = build_all(due, &|day| {
            let content = Content::of(day, context.derivation)?;
            match self.known(day.date(), &content) {
                Some(known) => Ok(known),
                None => builder.build(day, content, likely),
            }
        })?;
        // Twice at most: then the records have the ranks that the largest date asks for, and the spare
        // slots that these ask for.
        loop {
            let shape = BuiltDay::shape(&days);
            let others: Vec<usize> =
                (0..days.len()).filter(|at| days[*at].row.record_shape != shape).collect();
            if others.is_empty() {
                return Ok(days);
            }
            let again: Vec<&D> = others.iter().map(|at| due[*at]).collect();
            let built = build_all(&again, &|day| {
                let before = days.iter().find(|built| built.row.date == day.date());
                let content = before.map_or_else(
                    || Content::of(day, context.derivation),
                    |built| Ok(built.content.clone()),
                );
                builder.build(day, content?, shape)
            })?;
            for (at, built) in others.into_iter().zip(built) {
                days[at] = built;
            }
        }
    }

    /// A date as it was published last, if it would be the same now.
    fn known(&self, date: Date, content: &Content) -> Option<BuiltDay> {
        let known = self.known.get(&date)?;
        let row = self.table()?.row(date)?;
        let set = self.snapshots.last()?.shared_set(row.identity)?;
        known.built(content, row, set, self.settings.rate_bits)
    }

    /// Fails unless the tick is one more than the last, and the time not before it.
    fn expect_next(&self, number: u32, now: u64) -> Result<(), PublishError> {
        match self.last_tick() {
            Some(last) if last.checked_add(1) != Some(number) => {
                Err(PublishError::Tick { expected: last.saturating_add(1), got: number })
            }
            _ if now < self.issued => Err(PublishError::Clock { last: self.issued, got: now }),
            _ => Ok(()),
        }
    }

    /// The days to publish, by ascending date, and the dates that wait.
    fn due_days<'a, D: DayElements>(
        &self,
        now: u64,
        days: &'a [D],
    ) -> Result<(Vec<&'a D>, Vec<Date>), PublishError> {
        let mut days: Vec<&D> = days.iter().collect();
        days.sort_by_key(|day| day.date());
        if let Some(pair) = days.windows(2).find(|pair| pair[0].date() == pair[1].date()) {
            return Err(PublishError::DateTwice { date: pair[0].date() });
        }
        let is_due = |day: &&D| {
            let published = self.table().is_some_and(|table| table.row(day.date()).is_some());
            published || day.date().entry() <= now
        };
        let (due, waiting): (Vec<_>, Vec<_>) = days.into_iter().partition(is_due);
        if due.len() > MAX_DATES {
            return Err(PublishError::TooManyDates { max: MAX_DATES, got: due.len() });
        }
        Ok((due, waiting.into_iter().map(DayElements::date).collect()))
    }

    /// The snapshots that later bundles will reach back to.
    fn snapshots_after(&self, new: Snapshot) -> Vec<Snapshot> {
        let wanted = SPANS.map(|span| new.tick - new.tick % span);
        let old = self.snapshots.iter().filter(|old| wanted.contains(&old.tick)).cloned();
        let mut snapshots: Vec<Snapshot> = old.collect();
        snapshots.push(new);
        snapshots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Day, PublisherSettings};
    use alloc::vec;
    use proptest::prelude::*;

    /// What happens to a date before a tick.
    #[derive(Clone, Debug)]
    enum Edit {
        Add(u16),
        Remove(u8),
        Reverse,
        Crowd,
    }

    fn edits() -> impl Strategy<Value = Vec<(usize, Edit)>> {
        let edit = prop_oneof![
            (1u16..400).prop_map(Edit::Add),
            (1u8..50).prop_map(Edit::Remove),
            Just(Edit::Reverse),
            Just(Edit::Crowd),
        ];
        prop::collection::vec((0usize..4, edit), 0..3)
    }

    fn element(number: u32) -> [u8; 16] {
        let mut element = [7; 16];
        element[..4].copy_from_slice(&number.to_le_bytes());
        element
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// A publisher that remembers its dates publishes what one that was just restored does:
        /// also when records get more spare slots, when a date is re-based, and when nothing
        /// but the order changes. Rates are high, so that fingerprints are shared.
        #[test]
        fn what_is_remembered_is_what_would_be_computed(
            ticks in prop::collection::vec((edits(), any::<bool>()), 1..6),
        ) {
            let first = Date::from_days(20_000).unwrap();
            let date = |at: u32| Date::from_days(first.days() + at).unwrap();
            let mut days: Vec<Day<[u8; 16]>> =
                (0..4).map(|at| Day { date: date(at), elements: vec![element(at)] }).collect();
            let start = date(3).entry();
            let keys = Keys::from_secret([5; 32], start + 365 * DAY_SECONDS);
            let settings = PublisherSettings { rate_bits: 4, expected_per_date: 300, interval: 900 };
            let mut publisher = Publisher::new(settings, 1);
            let mut next = 100;
            for (tick, (edits, is_series)) in (0..).zip(ticks) {
                if is_series && tick > 1 {
                    publisher = publisher.next_series();
                }
                for (at, edit) in edits {
                    let elements = &mut days[at].elements;
                    match edit {
                        Edit::Add(count) => {
                            elements.extend((next..next + u32::from(count)).map(element));
                            next += u32::from(count);
                        }
                        Edit::Remove(count) => elements.truncate(elements.len() - (count as usize).min(elements.len())),
                        Edit::Reverse => elements.reverse(),
                        Edit::Crowd => elements.extend((next..next + 3000).map(element)),
                    }
                }
                let now = start + 900 * tick;
                let publication = publisher.publish_next(now, &days, &keys).unwrap();
                let restored = Publisher::from_bytes(&publisher.to_bytes()).unwrap();
                let again = restored.publish_next(now, &days, &keys).unwrap();
                #[cfg(feature = "parallel")]
                {
                    let number = publication.manifest.tick;
                    let together = publisher.publish_parallel(number, now, &days, &keys).unwrap();
                    prop_assert_eq!(&publication.files, &together.files);
                    prop_assert_eq!(publication.publisher.to_bytes(), together.publisher.to_bytes());
                }
                prop_assert_eq!(&publication.files, &again.files);
                prop_assert_eq!(&publication.delete, &again.delete);
                prop_assert_eq!(&publication.left_out, &again.left_out);
                prop_assert_eq!(publication.publisher.to_bytes(), again.publisher.to_bytes());
                publisher = publication.publisher;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// Whichever publications are left out, the dates of later ones are the same.
        #[test]
        fn what_follows_skipped_publications_has_the_same_sets(
            ticks in prop::collection::vec((edits(), any::<bool>()), 2..9),
        ) {
            let first = Date::from_days(20_000).unwrap();
            let date = |at: u32| Date::from_days(first.days() + at).unwrap();
            let mut days: Vec<Day<[u8; 16]>> =
                (0..4).map(|at| Day { date: date(at), elements: vec![element(at)] }).collect();
            let start = date(2).entry();
            let keys = Keys::from_secret([5; 32], start + 365 * DAY_SECONDS);
            let settings = PublisherSettings { rate_bits: 4, expected_per_date: 300, interval: 900 };
            let mut publisher = Publisher::new(settings, 1);
            let mut skipping = publisher.clone();
            let mut next = 100;
            let last = ticks.len() - 1;
            for (tick, (edits, skips)) in ticks.into_iter().enumerate() {
                for (at, edit) in edits {
                    let elements = &mut days[at].elements;
                    let count = match edit {
                        Edit::Add(count) => u32::from(count),
                        Edit::Crowd => 3000,
                        Edit::Remove(count) => {
                            let count = (count as usize).min(elements.len());
                            elements.truncate(elements.len() - count);
                            0
                        }
                        Edit::Reverse => {
                            elements.reverse();
                            0
                        }
                    };
                    elements.extend((next..next + count).map(element));
                    next += count;
                }
                // The last of the dates enters in between.
                let (number, now) = (tick as u32 + 1, start + 20_000 * tick as u64);
                publisher = publisher.publish(number, now, &days, &keys).unwrap().publisher;
                if skips && tick < last {
                    skipping = skipping.skip(number, now, &days, &keys.derivation).unwrap();
                } else {
                    skipping = skipping.publish(number, now, &days, &keys).unwrap().publisher;
                    prop_assert_eq!(publisher.table(), skipping.table());
                }
            }
        }
    }

    #[test]
    fn a_date_that_stays_is_not_built_again() {
        let date = Date::from_days(20_000).unwrap();
        let now = date.entry();
        let keys = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
        let mut days = [Day { date, elements: vec![element(1), element(2)] }];
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        let publisher = publisher.publish_next(now, &days, &keys).unwrap().publisher;
        let known = |publisher: &Publisher, days: &[Day<_>]| {
            let content = Content::of(&days[0], &keys.derivation).unwrap();
            publisher.known(date, &content).is_some()
        };
        assert!(known(&publisher, &days));
        assert!(!known(&Publisher::from_bytes(&publisher.to_bytes()).unwrap(), &days));
        assert!(!known(&publisher.next_series(), &days));
        let finer = PublisherSettings { rate_bits: 40, ..PublisherSettings::default() };
        assert!(!known(&publisher.with_settings(finer), &days));
        days[0].elements.swap(0, 1);
        assert!(!known(&publisher, &days));
    }
}

//! A publisher as bytes, to go on after a restart.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;

use sha2::{Digest as _, Sha256};

use super::exports::Exported;
use super::snapshot::Snapshot;
use super::{LastPublication, Publisher, PublisherSettings};
use crate::bytes::{self, Cursor, Put, TRAILER_LEN, expect_at_most};
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{BundleEntry, Path, SeedRow, SeedSide, SeedTable, Table};
use crate::set::Set;
use crate::version::Version;

const MAGIC: &[u8; 6] = b"GCSPUB";

/// The layout before there were lists of seeds, which is still read.
const WITHOUT_SEEDS: u16 = 1;

/// The layout before there were exports, which is still read.
const WITHOUT_EXPORTS: u16 = 2;

/// The layout that is written.
const LAYOUT: u16 = 3;

/// Most snapshots: one for each span.
const MAX_SNAPSHOTS: u64 = 4;

impl Publisher {
    /// Everything that the publisher knows, its sets included: about as many bytes as
    /// four publications. For the publisher's own storage; the layout is private to this
    /// version of the library.
    ///
    /// ```
    /// use gcs_core::publish::{PublisherSettings, Publisher};
    ///
    /// let publisher = Publisher::new(PublisherSettings::default(), 7);
    /// let restored = Publisher::from_bytes(&publisher.to_bytes())?;
    /// assert_eq!(restored.series(), 7);
    /// # Ok::<(), gcs_core::ParseError>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Ok(()) = self.write_to(|block| {
            bytes.extend_from_slice(block);
            Ok::<(), Infallible>(())
        });
        bytes
    }

    /// Gives the bytes of [`Publisher::to_bytes`] to `write`, block by block, so that they are never in
    /// memory all at once.
    ///
    /// # Errors
    /// The first error of `write`.
    pub fn write_to<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut hasher = Sha256::new();
        let mut put = |block: &[u8]| {
            hasher.update(block);
            write(block)
        };
        put(&self.bytes_before_sets())?;
        let sets = self.snapshots.iter().flat_map(Snapshot::sets);
        let sets: BTreeMap<Digest, &Arc<Set>> = sets.map(|set| (set.identity(), set)).collect();
        put(&(sets.len() as u32).to_le_bytes())?;
        for set in sets.values().map(|set| set.as_bytes()) {
            put(&(set.len() as u64).to_le_bytes())?;
            put(set)?;
        }
        let lists = self.snapshots.iter().flat_map(Snapshot::lists);
        let lists: BTreeMap<Digest, &Arc<Vec<u8>>> = lists.collect();
        put(&(lists.len() as u32).to_le_bytes())?;
        for list in lists.values() {
            put(&(list.len() as u64).to_le_bytes())?;
            put(list)?;
        }
        put(&self.bytes_behind_sets())?;
        put(&self.exported_bytes())?;
        let trailer: [u8; TRAILER_LEN] = hasher.finalize().into();
        write(&trailer)
    }

    fn bytes_before_sets(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes
            .put(MAGIC)
            .put_u16(LAYOUT)
            .put_u32(self.settings.rate_bits)
            .put_u32(self.settings.expected_per_date)
            .put_u64(self.settings.interval)
            .put_u32(self.series)
            .put_u64(self.issued)
            .put_u32(self.key_list);
        let tables: Vec<&Table> = self.table.iter().collect();
        bytes.put_u32(tables.len() as u32);
        tables.into_iter().for_each(|table| put_block(&mut bytes, &table.to_bytes()));

        bytes.put_u32(self.snapshots.len() as u32);
        for snapshot in &self.snapshots {
            bytes.put_u32(snapshot.tick);
            put_block(&mut bytes, &snapshot.table.to_bytes());
            let seeds: Vec<&Arc<SeedSide>> = snapshot.seeds.iter().collect();
            bytes.put_u32(seeds.len() as u32);
            seeds.iter().for_each(|seeds| put_block(&mut bytes, &seeds.table.to_bytes()));
        }
        bytes
    }

    fn bytes_behind_sets(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u32(self.bundles.len() as u32);
        self.bundles.iter().for_each(|entry| entry.append_to(&mut bytes));
        bytes.put_u32(self.seed_bundles.len() as u32);
        self.seed_bundles.iter().for_each(|entry| entry.append_to(&mut bytes));
        bytes.put_u32(self.live.len() as u32);
        self.live.iter().for_each(|path| put_block(&mut bytes, path.to_string().as_bytes()));
        bytes.put_u32(self.retired.len() as u32);
        for (path, until) in &self.retired {
            put_block(&mut bytes, path.to_string().as_bytes());
            bytes.put_u64(*until);
        }
        bytes.put_u32(u32::from(self.last.is_some()));
        if let Some(LastPublication { version, manifest, deletions }) = &self.last {
            bytes.put_u32(version.series).put_u32(version.tick);
            put_block(&mut bytes, manifest);
            bytes.put_u32(deletions.len() as u32);
            deletions.iter().for_each(|path| put_block(&mut bytes, path.to_string().as_bytes()));
        }
        bytes
    }

    fn exported_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u32(u32::from(self.exported.is_some()));
        self.exported.iter().for_each(|exported| exported.append_to(&mut bytes));
        bytes
    }

    /// A publisher from what [`Publisher::to_bytes`] wrote, also that of an earlier version of the library.
    /// All bytes are validated, those of the sets too.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Publisher, ParseError> {
        let mut cursor = Cursor::new(bytes);
        let layout = take_layout(&mut cursor)?;
        let (has_seeds, has_exports) = (layout > WITHOUT_SEEDS, layout > WITHOUT_EXPORTS);
        bytes::expect_trailer(bytes)?;
        let settings = PublisherSettings {
            rate_bits: cursor.u32()?,
            expected_per_date: cursor.u32()?,
            interval: cursor.u64()?,
        };
        let (series, issued, key_list) = (cursor.u32()?, cursor.u64()?, cursor.u32()?);
        let tables = take_list(&mut cursor, 1, |cursor| Table::parse(take_block(cursor)?))?;
        let saved_snapshots = take_list(&mut cursor, MAX_SNAPSHOTS, |cursor| {
            let (tick, table) = (cursor.u32()?, Table::parse(take_block(cursor)?)?);
            let seeds =
                take_if(has_seeds, cursor, 1, |cursor| SeedTable::parse(take_block(cursor)?))?;
            Ok((tick, table, seeds.into_iter().next()))
        })?;
        let sets = take_list(&mut cursor, u64::MAX, |cursor| {
            let set = Set::parse(take_block(cursor)?)?.to_owned_set();
            Ok((set.identity(), Arc::new(set)))
        })?;
        let sets: BTreeMap<Digest, Arc<Set>> = sets.into_iter().collect();
        let lists = take_if(has_seeds, &mut cursor, u64::MAX, |cursor| {
            let list = take_block(cursor)?;
            Ok((Digest::of(list), Arc::new(list.to_vec())))
        })?;
        let lists: BTreeMap<Digest, Arc<Vec<u8>>> = lists.into_iter().collect();
        let snapshots = saved_snapshots
            .into_iter()
            .map(|(tick, table, seeds)| {
                let seeds = seeds.map(|table| restore_seeds(table, &lists)).transpose()?;
                Snapshot::restore(tick, table, seeds, &sets)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let bundles = take_list(&mut cursor, u64::MAX, BundleEntry::parse)?;
        let seed_bundles = take_if(has_seeds, &mut cursor, u64::MAX, BundleEntry::parse)?;
        let live = take_list(&mut cursor, u64::MAX, take_path)?;
        let retired =
            take_list(&mut cursor, u64::MAX, |cursor| Ok((take_path(cursor)?, cursor.u64()?)))?;
        let publications = take_list(&mut cursor, 1, take_last)?;
        let exported = take_if(has_exports, &mut cursor, 1, Exported::take)?;
        cursor.take(TRAILER_LEN as u64)?;
        cursor.finish()?;
        let last = snapshots.last().map_or(0, |snapshot: &Snapshot| snapshot.tick);
        for bundles in [&bundles, &seed_bundles] {
            for (at, entry) in bundles.iter().enumerate() {
                entry.expect_after(&bundles[..at], last)?;
            }
        }
        if let Some(at) = snapshots.windows(2).position(|pair| pair[0].tick >= pair[1].tick) {
            return Err(ParseError::Order { field: "snapshot", position: at as u64 + 1 });
        }
        Ok(Publisher {
            settings,
            series,
            table: tables.into_iter().next(),
            snapshots,
            bundles,
            seed_bundles,
            issued,
            key_list,
            live: live.into_iter().collect::<BTreeSet<Path>>(),
            retired: retired.into_iter().collect(),
            last: publications.into_iter().next(),
            known: BTreeMap::new(),
            next_seeds: None,
            exported: exported.into_iter().next(),
            next_exports: None,
        })
    }
}

/// The lists of a table that are among `lists`, by their SHA-256.
fn restore_seeds(
    table: SeedTable,
    lists: &BTreeMap<Digest, Arc<Vec<u8>>>,
) -> Result<Arc<SeedSide>, ParseError> {
    let find = |row: &SeedRow| {
        let (expected, got) = (row.sha256, Digest::ZERO);
        let error = ParseError::Digest { field: "list of seeds", expected, got };
        lists.get(&row.sha256).cloned().ok_or(error)
    };
    let own = table.rows().iter().map(find).collect::<Result<_, _>>()?;
    Ok(Arc::new(SeedSide { table, lists: own }))
}

/// Appends bytes behind their length.
pub(super) fn put_block(bytes: &mut Vec<u8>, block: &[u8]) {
    bytes.put_u64(block.len() as u64).put(block);
}

pub(super) fn take_block<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], ParseError> {
    let length = cursor.u64()?;
    cursor.take(length)
}

fn take_path(cursor: &mut Cursor<'_>) -> Result<Path, ParseError> {
    let text = core::str::from_utf8(take_block(cursor)?).unwrap_or_default();
    text.parse().map_err(|_| ParseError::Limit { field: "path", max: 0, got: 1 })
}

fn take_last(cursor: &mut Cursor<'_>) -> Result<LastPublication, ParseError> {
    let version = Version { series: cursor.u32()?, tick: cursor.u32()? };
    let manifest = take_block(cursor)?.to_vec();
    let deletions = take_list(cursor, u64::MAX, take_path)?;
    Ok(LastPublication { version, manifest, deletions })
}

/// The number of the layout, behind the magic.
fn take_layout(cursor: &mut Cursor<'_>) -> Result<u16, ParseError> {
    let got = cursor.array()?;
    if got != *MAGIC {
        return Err(ParseError::Magic { expected: *MAGIC, got });
    }
    match cursor.u16()? {
        got @ WITHOUT_SEEDS..=LAYOUT => Ok(got),
        got => Err(ParseError::Version { expected: LAYOUT, got }),
    }
}

/// Reads a list that some layouts have; it is empty in the others.
fn take_if<'a, T>(
    is_there: bool,
    cursor: &mut Cursor<'a>,
    max: u64,
    take: impl Fn(&mut Cursor<'a>) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    if is_there { take_list(cursor, max, take) } else { Ok(Vec::new()) }
}

/// Reads a list behind its length. Nothing is allocated before its bytes are there.
pub(super) fn take_list<'a, T>(
    cursor: &mut Cursor<'a>,
    max: u64,
    take: impl Fn(&mut Cursor<'a>) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    let count = cursor.u32()?;
    expect_at_most("list", u64::from(count), max)?;
    (0..count).map(|_| take(cursor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::{DAY_SECONDS, Date};
    use crate::publish::{Day, Keys};

    /// The bytes of the layout before there were lists of seeds, of a publisher without any.
    fn without_seeds(publisher: &Publisher) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes
            .put(MAGIC)
            .put_u16(1)
            .put_u32(publisher.settings.rate_bits)
            .put_u32(publisher.settings.expected_per_date)
            .put_u64(publisher.settings.interval)
            .put_u32(publisher.series)
            .put_u64(publisher.issued)
            .put_u32(publisher.key_list);
        bytes.put_u32(1);
        put_block(&mut bytes, &publisher.table().unwrap().to_bytes());
        bytes.put_u32(publisher.snapshots.len() as u32);
        for snapshot in &publisher.snapshots {
            bytes.put_u32(snapshot.tick);
            put_block(&mut bytes, &snapshot.table.to_bytes());
        }
        let sets = publisher.snapshots.iter().flat_map(Snapshot::sets);
        let sets: BTreeMap<Digest, &Arc<Set>> = sets.map(|set| (set.identity(), set)).collect();
        bytes.put_u32(sets.len() as u32);
        sets.values().for_each(|set| put_block(&mut bytes, set.as_bytes()));
        bytes.put_u32(publisher.bundles.len() as u32);
        publisher.bundles.iter().for_each(|entry| entry.append_to(&mut bytes));
        // The rest follows the bundles; now the number of bundles of seeds, none, is between.
        let (now, mut bundles) = (publisher.bytes_behind_sets(), Vec::new());
        publisher.bundles.iter().for_each(|entry| entry.append_to(&mut bundles));
        let rest = &now[4 + bundles.len()..];
        assert_eq!(rest[..4], [0; 4]);
        bytes.put(&rest[4..]);
        bytes::seal(&mut bytes);
        bytes
    }

    /// The bytes of the layout before there were exports, of a publisher without any.
    fn without_exports(publisher: &Publisher) -> Vec<u8> {
        let mut bytes = publisher.to_bytes();
        bytes.truncate(bytes.len() - TRAILER_LEN);
        assert_eq!(bytes.split_off(bytes.len() - 4), [0; 4]);
        bytes[6] = 2;
        bytes::seal(&mut bytes);
        bytes
    }

    #[test]
    fn what_earlier_releases_saved_is_still_read() {
        let date = Date::from_days(20_000).unwrap();
        let keys = Keys::from_secret([1; 32], date.start() + 400 * DAY_SECONDS);
        let mut publisher = Publisher::new(PublisherSettings::default(), 1);
        for number in 1..=5 {
            let day = Day { date, elements: Vec::from([[number; 16]]) };
            let now = date.entry() + u64::from(number) * 900;
            publisher = publisher.publish_next(now, &[day], &keys).unwrap().publisher;
        }
        for earlier in [without_seeds(&publisher), without_exports(&publisher)] {
            let restored = Publisher::from_bytes(&earlier).unwrap();
            assert_eq!(restored.to_bytes(), publisher.to_bytes());
        }
        for layout in [0, 4] {
            let mut bytes = publisher.to_bytes();
            bytes[6] = layout;
            let error = ParseError::Version { expected: 3, got: layout.into() };
            assert_eq!(Publisher::from_bytes(&bytes).unwrap_err(), error);
        }
    }
}

//! The lists of seeds that a client holds, in its folder and in memory.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::SyncError;
use super::store::ClientStore;
use crate::bytes::{self, Cursor, Put, TRAILER_LEN};
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{SeedRow, SeedTable};
use crate::keys::PublicKey;
use crate::seeds::SeedKind;
use crate::version::Version;

const MAGIC: &[u8; 6] = b"GCSCSD";
const NAME: &str = "seeds";

/// The name in the client's folder of the list of seeds that a row of
/// [`Outcome::seeds`](super::Outcome::seeds) describes.
#[must_use]
pub fn seed_list_name(row: &SeedRow) -> String {
    format!("seeds-{}", row.sha256)
}

/// The lists that a client holds.
///
/// The file `seeds` is written before lists that it announces and before lists are deleted. So it names all lists
/// that are there. All lists of `table` are there, and those of `target` may be missing, until the target has all of its
/// lists: then it is the table, and lists of the table before may be missing.
#[derive(Clone, Debug)]
pub(super) struct HeldSeeds {
    root: PublicKey,
    pub kind: SeedKind,
    /// The newest manifest seen, and the state of seeds that it names.
    pub seen: SeedVersion,
    /// The version that has the table.
    pub version: Version,
    pub table: SeedTable,
    /// The table that the client is about to reach, and a version that has it.
    target: Option<(Version, SeedTable)>,
    /// The lists that are there, by the SHA-256 of their files.
    pub lists: BTreeMap<Digest, Arc<Vec<u8>>>,
}

/// A version, and the state of its table of lists of seeds; zero if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeedVersion {
    pub version: Version,
    pub state: Digest,
}

impl HeldSeeds {
    fn none(root: PublicKey, kind: SeedKind) -> HeldSeeds {
        let version = Version { series: 0, tick: 0 };
        let seen = SeedVersion { version, state: Digest::ZERO };
        let (table, lists) = Default::default();
        HeldSeeds { root, kind, seen, version, table, target: None, lists }
    }

    /// Whether all lists of a version are there.
    pub(super) fn is_at(&self, version: Option<Version>) -> bool {
        self.is_complete() && Some(self.version) == version
    }

    /// Whether all lists of the newest table that is known are there.
    pub(super) fn is_complete(&self) -> bool {
        self.target.is_none() && self.is_base()
    }

    /// Whether all lists of the table are there, so that bundles have a base.
    pub(super) fn is_base(&self) -> bool {
        self.has_all(&self.table)
    }

    fn has_all(&self, table: &SeedTable) -> bool {
        self.wanted(table).all(|row| self.lists.contains_key(&row.sha256))
    }

    /// The rows of the kind that the client wants.
    pub(super) fn wanted<'t>(&self, table: &'t SeedTable) -> impl Iterator<Item = &'t SeedRow> {
        let kind = self.kind.number();
        table.rows().iter().filter(move |row| row.kind == kind)
    }

    /// Of every date of the newest table the newest list that is there. While a date's newest list is missing,
    /// the one before serves.
    pub(super) fn rows(&self) -> Vec<SeedRow> {
        let target = self.target.as_ref().map(|(_, table)| table);
        let rows = self.wanted(target.unwrap_or(&self.table));
        let usable = |newest: &SeedRow| {
            let rows = [Some(newest), self.table.row(newest.date, newest.kind)];
            let mut rows = rows.into_iter().flatten();
            rows.find(|row| self.lists.contains_key(&row.sha256)).copied()
        };
        rows.filter_map(usable).collect()
    }

    /// The rows of a table whose lists no other table names.
    fn unnamed(&self, table: &SeedTable, others: &[&SeedTable]) -> Vec<SeedRow> {
        let is_named = |row: &SeedRow| {
            others.iter().any(|other| self.wanted(other).any(|kept| kept.sha256 == row.sha256))
        };
        self.wanted(table).filter(|row| !is_named(row)).copied().collect()
    }

    /// The list of a row, if it is there.
    pub(super) fn list(&self, row: &SeedRow) -> Option<&[u8]> {
        self.lists.get(&row.sha256).map(|list| &list[..])
    }

    /// Fails if another manifest of this version was seen.
    pub(super) fn expect_same(&self, got: SeedVersion) -> Result<(), SyncError> {
        let (version, seen) = (got.version, self.seen);
        if seen.version != version || seen.state == got.state {
            return Ok(());
        }
        Err(SyncError::Equivocation { version, seen: seen.state, got: got.state })
    }

    /// Root key; kind u16, 2 zero bytes; series, tick and state seen; then of the table and of the target, if there is
    /// one: series, tick, length of the table u32, the table.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes.put(&self.root.0).put_u16(self.kind.number()).put_u16(0);
        bytes.put_u32(self.seen.version.series).put_u32(self.seen.version.tick);
        bytes.put(&self.seen.state.0);
        let target = self.target.as_ref().map(|(version, table)| (*version, table));
        for (version, table) in [Some((self.version, &self.table)), target].into_iter().flatten() {
            let table = table.to_bytes();
            bytes.put_u32(version.series).put_u32(version.tick);
            bytes.put_u32(table.len() as u32).put(&table);
        }
        bytes::seal(&mut bytes);
        bytes
    }
}

/// The file `seeds`, of whatever root and kind.
struct Stored {
    root: PublicKey,
    kind: u16,
    seen: SeedVersion,
    version: Version,
    table: SeedTable,
    target: Option<(Version, SeedTable)>,
}

impl Stored {
    fn parse(file: &[u8]) -> Result<Stored, ParseError> {
        let mut cursor = Cursor::open(file, MAGIC)?;
        bytes::expect_trailer(file)?;
        let (root, kind) = (PublicKey(cursor.array()?), cursor.u16()?);
        cursor.zeros(2)?;
        let seen = Version { series: cursor.u32()?, tick: cursor.u32()? };
        let seen = SeedVersion { version: seen, state: cursor.digest()? };
        let (version, table) = take_table(&mut cursor)?;
        let has_target = cursor.rest().len() > TRAILER_LEN;
        let target = if has_target { Some(take_table(&mut cursor)?) } else { None };
        cursor.take(TRAILER_LEN as u64)?;
        cursor.finish()?;
        Ok(Stored { root, kind, seen, version, table, target })
    }

    /// All lists of the client that may be in the folder.
    fn rows(&self) -> impl Iterator<Item = &SeedRow> {
        let target = self.target.as_ref().map(|(_, table)| table);
        let tables = [Some(&self.table), target].into_iter().flatten();
        tables.flat_map(SeedTable::rows).filter(|row| row.kind == self.kind)
    }
}

fn take_table(cursor: &mut Cursor<'_>) -> Result<(Version, SeedTable), ParseError> {
    let version = Version { series: cursor.u32()?, tick: cursor.u32()? };
    let length = cursor.u32()?;
    Ok((version, SeedTable::parse(cursor.take(length.into())?)?))
}

impl ClientStore {
    /// Reads and validates the lists of a kind, and deletes those of another kind or root.
    pub(super) async fn load_seeds(
        &mut self,
        kind: Option<SeedKind>,
    ) -> Result<Option<HeldSeeds>, SyncError> {
        let root = self.state.root;
        let none = kind.map(|kind| HeldSeeds::none(root, kind));
        let Some(file) = self.get(NAME.to_string()).await? else { return Ok(none) };
        let stored = match Stored::parse(&file) {
            Ok(stored) => stored,
            Err(error) => {
                self.lost(NAME.to_string(), Some(error));
                self.delete(NAME.to_string()).await?;
                return Ok(none);
            }
        };
        let Some(kind) = kind.filter(|kind| kind.number() == stored.kind && stored.root == root)
        else {
            for row in stored.rows() {
                self.delete(seed_list_name(row)).await?;
            }
            self.delete(NAME.to_string()).await?;
            return Ok(none);
        };
        let mut lists = BTreeMap::new();
        // Of a change that was cut short, not all may be there.
        let is_cut_short = stored.target.is_some();
        for row in stored.rows() {
            if !lists.contains_key(&row.sha256)
                && let Some(list) = self.load_list(kind, row, !is_cut_short).await?
            {
                lists.insert(row.sha256, Arc::new(list));
            }
        }
        let Stored { seen, version, table, target, .. } = stored;
        let mut held = HeldSeeds { root, kind, seen, version, table, target, lists };
        self.reach_seeds(&mut held).await?;
        Ok(Some(held))
    }

    async fn load_list(
        &mut self,
        kind: SeedKind,
        row: &SeedRow,
        expected: bool,
    ) -> Result<Option<Vec<u8>>, SyncError> {
        let name = seed_list_name(row);
        let Some(list) = self.get(name.clone()).await? else {
            if expected {
                self.lost(name, None);
            }
            return Ok(None);
        };
        match row.expect(&list).and_then(|()| kind.validate(&list)) {
            Ok(()) => Ok(Some(list)),
            Err(error) => {
                self.lost(name, Some(error));
                Ok(None)
            }
        }
    }

    /// Writes the file that names the lists.
    pub(super) async fn save_seeds(&mut self, held: &HeldSeeds) -> Result<(), SyncError> {
        self.put(NAME.to_string(), held.to_bytes()).await
    }

    /// Announces a table as the target; from here on its lists may be written.
    pub(super) async fn announce_seeds(
        &mut self,
        held: &mut HeldSeeds,
        version: Version,
        table: &SeedTable,
    ) -> Result<(), SyncError> {
        let given_up = held.target.as_ref().map(|(_, table)| table.clone()).unwrap_or_default();
        let unnamed = held.unnamed(&given_up, &[&held.table, table]);
        self.delete_lists(held, unnamed).await?;
        held.target = Some((version, table.clone()));
        self.save_seeds(held).await
    }

    /// Writes a list of the target.
    pub(super) async fn keep_list(
        &mut self,
        held: &mut HeldSeeds,
        row: &SeedRow,
        list: Vec<u8>,
    ) -> Result<(), SyncError> {
        self.put(seed_list_name(row), list.clone()).await?;
        held.lists.insert(row.sha256, Arc::new(list));
        Ok(())
    }

    /// Makes the target the table, if all of its lists are there, and deletes those of the table before.
    pub(super) async fn reach_seeds(&mut self, held: &mut HeldSeeds) -> Result<(), SyncError> {
        let target = held.target.clone().filter(|(_, table)| held.has_all(table));
        let Some((version, table)) = target else { return Ok(()) };
        let unnamed = held.unnamed(&held.table, &[&table]);
        (held.version, held.table, held.target) = (version, table, None);
        self.delete_lists(held, unnamed).await?;
        self.save_seeds(held).await
    }

    async fn delete_lists(
        &mut self,
        held: &mut HeldSeeds,
        rows: Vec<SeedRow>,
    ) -> Result<(), SyncError> {
        for row in rows {
            held.lists.remove(&row.sha256);
            self.delete(seed_list_name(&row)).await?;
        }
        Ok(())
    }
}

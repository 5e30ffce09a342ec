//! The lists of seeds that a client holds, and how they are brought up to date.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::engine::{Engine, file_error};
use super::error::SyncError;
use super::plan::{REQUEST_BYTES, cheapest_chain};
use super::store::ClientStore;
use crate::bytes::{self, Cursor, Put, TRAILER_LEN, expect_equal};
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{
    BundleEntry, BundleError, FileHash, Manifest, Path, SeedBundle, SeedIndex, SeedRow, SeedTable,
};
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
#[derive(Clone, Debug)]
pub(super) struct HeldSeeds {
    version: Version,
    table: SeedTable,
    /// The lists of the kind that the client wants, by the SHA-256 of their files.
    lists: BTreeMap<Digest, Vec<u8>>,
    /// Whether all of them are there, so that bundles have a base.
    complete: bool,
}

impl HeldSeeds {
    fn none() -> HeldSeeds {
        let (version, table) = (Version { series: 0, tick: 0 }, SeedTable::default());
        HeldSeeds { version, table, lists: BTreeMap::new(), complete: true }
    }

    /// Whether all lists of a version are there.
    pub(super) fn is_at(&self, version: Option<Version>) -> bool {
        self.complete && Some(self.version) == version
    }

    /// The rows whose lists are there.
    pub(super) fn rows(&self) -> Vec<SeedRow> {
        let rows = self.table.rows().iter();
        rows.filter(|row| self.lists.contains_key(&row.sha256)).copied().collect()
    }

    /// The file that names the lists: series, tick, length of the table, the table, and the table before, whose
    /// lists may still be there.
    fn to_bytes(&self, before: &SeedTable) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        let table = self.table.to_bytes();
        bytes.put_u32(self.version.series).put_u32(self.version.tick);
        bytes.put_u32(table.len() as u32).put(&table).put(&before.to_bytes());
        bytes::seal(&mut bytes);
        bytes
    }

    fn parse(file: &[u8]) -> Result<(Version, SeedTable, SeedTable), ParseError> {
        let mut cursor = Cursor::open(file, MAGIC)?;
        bytes::expect_trailer(file)?;
        let version = Version { series: cursor.u32()?, tick: cursor.u32()? };
        let length = cursor.u32()?;
        let table = SeedTable::parse(cursor.take(length.into())?)?;
        let rest = cursor.rest();
        let before = rest.get(..rest.len().saturating_sub(TRAILER_LEN)).unwrap_or_default();
        Ok((version, table, SeedTable::parse(before)?))
    }
}

impl ClientStore {
    /// Reads and validates the lists of a kind.
    pub(super) async fn load_seeds(&mut self, kind: SeedKind) -> Result<HeldSeeds, SyncError> {
        let Some(file) = self.get(NAME.to_string()).await? else { return Ok(HeldSeeds::none()) };
        let (version, table, before) = match HeldSeeds::parse(&file) {
            Ok(parts) => parts,
            Err(error) => {
                self.lost(NAME.to_string(), Some(error));
                return Ok(HeldSeeds::none());
            }
        };
        let mut held = HeldSeeds { version, table, lists: BTreeMap::new(), complete: true };
        // It was cut short: not all may be there.
        let is_begun = !before.rows().is_empty();
        for row in held.table.rows().iter().filter(|row| row.kind == kind.number()) {
            match self.load_list(kind, row, !is_begun).await? {
                Some(list) => drop(held.lists.insert(row.sha256, list)),
                None => held.complete = false,
            }
        }
        if is_begun {
            self.delete_lists(&before, &held).await?;
            self.put(NAME.to_string(), held.to_bytes(&SeedTable::default())).await?;
        }
        Ok(held)
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

    async fn delete_lists(
        &mut self,
        before: &SeedTable,
        held: &HeldSeeds,
    ) -> Result<(), SyncError> {
        let kept: BTreeSet<Digest> = held.table.rows().iter().map(|row| row.sha256).collect();
        for row in before.rows().iter().filter(|row| !kept.contains(&row.sha256)) {
            self.delete(seed_list_name(row)).await?;
        }
        Ok(())
    }

    /// Puts lists in the place of those before. Whenever it is cut short, the folder names all lists that it has.
    async fn replace_seeds(
        &mut self,
        before: &HeldSeeds,
        held: &HeldSeeds,
    ) -> Result<(), SyncError> {
        let new = held.lists.iter().filter(|(sha256, _)| !before.lists.contains_key(sha256));
        let new: Vec<(String, Vec<u8>)> =
            new.map(|(sha256, list)| (format!("seeds-{sha256}"), list.clone())).collect();
        if held.table != before.table {
            self.put(NAME.to_string(), held.to_bytes(&before.table)).await?;
        }
        for (name, list) in new {
            self.put(name, list).await?;
        }
        self.delete_lists(&before.table, held).await?;
        self.put(NAME.to_string(), held.to_bytes(&SeedTable::default())).await
    }
}

impl Engine {
    /// Brings the lists of seeds to those that a verified manifest names.
    pub(super) async fn sync_seeds(&mut self, manifest: &Manifest) -> Result<(), SyncError> {
        let (Some(kind), Some(held)) = (self.settings.seeds, self.seeds.clone()) else {
            return Ok(());
        };
        let version = Version { series: manifest.series, tick: manifest.tick };
        let next = match manifest.seeds {
            None => HeldSeeds { version, ..HeldSeeds::none() },
            Some(named) if held.complete && held.table.state() == named.state => {
                HeldSeeds { version, ..held.clone() }
            }
            Some(_) => match self.newest_seeds(kind, &held, manifest).await? {
                Some(next) => next,
                None => self.indexed_seeds(kind, &held, manifest).await?,
            },
        };
        if next.version != held.version || next.table != held.table || !held.complete {
            self.store.replace_seeds(&held, &next).await?;
        }
        self.seeds = Some(next);
        Ok(())
    }

    /// By the bundle that the manifest names, if the client is just one tick behind and that bundle is right.
    async fn newest_seeds(
        &mut self,
        kind: SeedKind,
        held: &HeldSeeds,
        manifest: &Manifest,
    ) -> Result<Option<HeldSeeds>, SyncError> {
        let Some(named) = manifest.seeds else { return Ok(None) };
        let Some(FileHash { bytes, sha256 }) = named.bundle else { return Ok(None) };
        let is_next = held.version.series == manifest.series
            && held.version.tick.checked_add(1) == Some(manifest.tick);
        if !held.complete || !is_next {
            return Ok(None);
        }
        let entry = BundleEntry { span: 1, to: manifest.tick, bytes, sha256 };
        match self.follow_seeds(kind, held, manifest.series, entry, Some(named.state)).await {
            Ok(next) => Ok(Some(next)),
            Err(error) => self.detour(error).map(|()| None),
        }
    }

    /// By the index: by bundles or by whole lists, whichever is fewer bytes.
    async fn indexed_seeds(
        &mut self,
        kind: SeedKind,
        held: &HeldSeeds,
        manifest: &Manifest,
    ) -> Result<HeldSeeds, SyncError> {
        let Some(named) = manifest.seeds else { return Ok(HeldSeeds::none()) };
        let path = Path::Seeds(named.index.sha256);
        let bytes = self.fetch_hashed(path, named.index).await?;
        let index = parse_index(&bytes, manifest, named.state);
        let index = index.map_err(|error| file_error(path, error))?;
        let wanted = index.table.rows().iter().filter(|row| row.kind == kind.number());
        let missing = wanted.clone().filter(|row| !held.lists.contains_key(&row.sha256));
        let whole =
            missing.map(|row| row.bytes.saturating_add(REQUEST_BYTES)).fold(0, u64::saturating_add);
        let Version { series, tick } = held.version;
        let is_base = held.complete && series == index.series;
        let chain = || cheapest_chain(&index.bundles, &BTreeSet::new(), tick, index.tick);
        let chain = is_base.then(chain).flatten().filter(|(bytes, _)| *bytes <= whole);
        if let Some((_, chain)) = chain.filter(|(_, chain)| !chain.is_empty()) {
            match self.follow_chain(kind, held, &index, chain).await {
                Ok(next) => return Ok(next),
                Err(error) => self.detour(error)?,
            }
        }
        let mut lists = BTreeMap::new();
        for row in wanted {
            let list = match held.lists.get(&row.sha256) {
                Some(list) => list.clone(),
                None => self.fetch_list(kind, row).await?,
            };
            lists.insert(row.sha256, list);
        }
        let version = Version { series: index.series, tick: index.tick };
        Ok(HeldSeeds { version, table: index.table.clone(), lists, complete: true })
    }

    async fn fetch_list(&mut self, kind: SeedKind, row: &SeedRow) -> Result<Vec<u8>, SyncError> {
        let path = Path::Seeds(row.sha256);
        let hash = FileHash { bytes: row.bytes, sha256: row.sha256 };
        let list = self.fetch_hashed(path, hash).await?;
        kind.validate(&list).map_err(|error| file_error(path, error))?;
        Ok(list)
    }

    async fn follow_chain(
        &mut self,
        kind: SeedKind,
        held: &HeldSeeds,
        index: &SeedIndex,
        chain: Vec<BundleEntry>,
    ) -> Result<HeldSeeds, SyncError> {
        let mut next = held.clone();
        for entry in chain {
            let expected = (entry.to == index.tick).then(|| index.table.state());
            next = self.follow_seeds(kind, &next, index.series, entry, expected).await?;
        }
        Ok(next)
    }

    /// Fetches a bundle and applies it. If a state is `expected`, the result must have it.
    async fn follow_seeds(
        &mut self,
        kind: SeedKind,
        held: &HeldSeeds,
        series: u32,
        entry: BundleEntry,
        expected: Option<Digest>,
    ) -> Result<HeldSeeds, SyncError> {
        let BundleEntry { span, to, bytes, sha256 } = entry;
        let path = Path::Seeds(sha256);
        let bytes = self.fetch_hashed(path, FileHash { bytes, sha256 }).await?;
        let bundle = SeedBundle::parse(&bytes).map_err(|error| file_error(path, error))?;
        let is_its = expect_equal("series", bundle.series().into(), series.into())
            .and_then(|()| expect_equal("bundle tick", bundle.to().into(), to.into()))
            .and_then(|()| expect_equal("bundle span", bundle.span().into(), span.into()));
        is_its.map_err(|error| file_error(path, error))?;
        let wrong = |error| SyncError::Bundle { path: path.to_string(), error };
        let list_of = |row: &SeedRow| held.lists.get(&row.sha256).map(Vec::as_slice);
        let (table, new) = bundle.apply(&held.table, &[kind], list_of).map_err(wrong)?;
        if let Some(expected) = expected.filter(|expected| table.state() != *expected) {
            return Err(wrong(BundleError::After { expected, got: table.state() }));
        }
        let mut lists = held.lists.clone();
        lists.extend(new.into_iter().map(|(row, list)| (row.sha256, list)));
        let named: BTreeSet<Digest> = table.rows().iter().map(|row| row.sha256).collect();
        lists.retain(|sha256, _| named.contains(sha256));
        let version = Version { series, tick: to };
        Ok(HeldSeeds { version, table, lists, complete: true })
    }
}

fn parse_index(
    bytes: &[u8],
    manifest: &Manifest,
    expected: Digest,
) -> Result<SeedIndex, ParseError> {
    let index = SeedIndex::parse(bytes)?;
    expect_equal("series", index.series.into(), manifest.series.into())?;
    expect_equal("tick", index.tick.into(), manifest.tick.into())?;
    let got = index.table.state();
    if got == expected {
        Ok(index)
    } else {
        Err(ParseError::Digest { field: "state of seeds", expected, got })
    }
}

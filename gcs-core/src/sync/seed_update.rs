//! Bringing the lists of seeds that a client holds to those that are published.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::engine::{Engine, file_error};
use super::error::SyncError;
use super::plan::{REQUEST_BYTES, cheapest_chain};
use super::seeds::{HeldSeeds, SeedVersion};
use crate::bytes::expect_equal;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{
    BundleEntry, BundleError, FileHash, Manifest, Path, SeedBundle, SeedFiles, SeedIndex, SeedRow,
    SeedTable,
};
use crate::version::Version;

/// A table, and those of its lists that are new.
type Step = (SeedTable, Vec<(SeedRow, Vec<u8>)>);

impl SeedVersion {
    /// The version of a manifest, and the state of seeds that it names.
    pub(super) fn of(manifest: &Manifest) -> SeedVersion {
        let version = Version { series: manifest.series, tick: manifest.tick };
        SeedVersion { version, state: manifest.seeds.map_or(Digest::ZERO, |named| named.state) }
    }
}

impl Engine {
    /// Brings the lists of seeds to those that a verified manifest names, except for lists that cannot be had. Returns
    /// what is wrong with the first of those.
    pub(super) async fn sync_seeds(
        &mut self,
        manifest: &Manifest,
    ) -> Result<Option<SyncError>, SyncError> {
        let Some(mut held) = self.seeds.take() else { return Ok(None) };
        let done = self.bring_seeds(&mut held, manifest).await;
        self.seeds = Some(held);
        done
    }

    async fn bring_seeds(
        &mut self,
        held: &mut HeldSeeds,
        manifest: &Manifest,
    ) -> Result<Option<SyncError>, SyncError> {
        let seen = SeedVersion::of(manifest);
        let version = seen.version;
        let is_there = match manifest.seeds {
            Some(named) => held.table.state() == named.state,
            None => held.table.rows().is_empty(),
        };
        let is_there = is_there && held.is_complete();
        if is_there && held.is_at(Some(version)) && held.seen == seen {
            return Ok(None);
        }
        held.seen = seen;
        if is_there {
            held.version = version;
        }
        self.store.save_seeds(held).await?;
        if is_there {
            return Ok(None);
        }
        let Some(named) = manifest.seeds else {
            self.reach(held, version, (SeedTable::default(), Vec::new())).await?;
            return Ok(None);
        };
        let mut failed = BTreeSet::new();
        match self.newest_seeds(held, manifest, named, &mut failed).await? {
            Some(step) => self.reach(held, version, step).await.map(|()| None),
            None => self.indexed_seeds(held, manifest, named, &failed).await,
        }
    }

    /// Writes the lists of a step, and makes its table the one that is held.
    async fn reach(
        &mut self,
        held: &mut HeldSeeds,
        version: Version,
        (table, lists): Step,
    ) -> Result<(), SyncError> {
        self.store.announce_seeds(held, version, &table).await?;
        for (row, list) in lists {
            self.store.keep_list(held, &row, list).await?;
        }
        self.store.reach_seeds(held).await
    }

    /// By the bundle that the manifest names, if the client is just one tick behind and that bundle is right.
    async fn newest_seeds(
        &mut self,
        held: &HeldSeeds,
        manifest: &Manifest,
        named: SeedFiles,
        failed: &mut BTreeSet<(u32, u32)>,
    ) -> Result<Option<Step>, SyncError> {
        let Some(FileHash { bytes, sha256 }) = named.bundle else { return Ok(None) };
        let is_next = held.version.series == manifest.series
            && held.version.tick.checked_add(1) == Some(manifest.tick);
        if !held.is_base() || !is_next {
            return Ok(None);
        }
        let chain = Vec::from([BundleEntry { span: 1, to: manifest.tick, bytes, sha256 }]);
        match self.follow_chain(held, manifest.series, chain, named.state).await {
            Ok(step) => Ok(Some(step)),
            Err(error) => {
                failed.insert((manifest.tick, 1));
                self.detour(error).map(|()| None)
            }
        }
    }

    /// By the index: by bundles or by whole lists, whichever is fewer bytes.
    async fn indexed_seeds(
        &mut self,
        held: &mut HeldSeeds,
        manifest: &Manifest,
        named: SeedFiles,
        failed: &BTreeSet<(u32, u32)>,
    ) -> Result<Option<SyncError>, SyncError> {
        let path = Path::Seeds(named.index.sha256);
        let bytes = self.fetch_hashed(path, named.index).await?;
        let index = parse_index(&bytes, manifest, named.state);
        let index = index.map_err(|error| file_error(path, error))?;
        let version = Version { series: index.series, tick: index.tick };
        if let Some(chain) = chain_to(&index, held, failed) {
            match self.follow_chain(held, index.series, chain, named.state).await {
                Ok(step) => return self.reach(held, version, step).await.map(|()| None),
                Err(error) => self.detour(error)?,
            }
        }
        self.store.announce_seeds(held, version, &index.table).await?;
        let mut missing = None;
        for row in held.wanted(&index.table).copied().collect::<Vec<_>>() {
            if held.list(&row).is_some() {
                continue;
            }
            match self.fetch_list(held, &row).await {
                Ok(list) => self.store.keep_list(held, &row, list).await?,
                Err(error) => {
                    self.detour(error.clone())?;
                    missing.get_or_insert(error);
                }
            }
        }
        self.store.reach_seeds(held).await?;
        Ok(missing)
    }

    async fn fetch_list(&mut self, held: &HeldSeeds, row: &SeedRow) -> Result<Vec<u8>, SyncError> {
        let path = Path::Seeds(row.sha256);
        let hash = FileHash { bytes: row.bytes, sha256: row.sha256 };
        let list = self.fetch_hashed(path, hash).await?;
        held.kind.validate(&list).map_err(|error| file_error(path, error))?;
        Ok(list)
    }

    /// Fetches bundles and applies one after the other. The result must have the `expected` state.
    async fn follow_chain(
        &mut self,
        held: &HeldSeeds,
        series: u32,
        chain: Vec<BundleEntry>,
        expected: Digest,
    ) -> Result<Step, SyncError> {
        let (mut table, mut new): Step = (held.table.clone(), Vec::new());
        let last = chain.len().saturating_sub(1);
        for (at, entry) in chain.into_iter().enumerate() {
            let (path, bundle) = self.fetch_bundle(entry).await?;
            let bundle = SeedBundle::parse(&bundle).map_err(|error| file_error(path, error))?;
            expect_bundle(&bundle, series, &entry).map_err(|error| file_error(path, error))?;
            let list_of = |row: &SeedRow| {
                let of_step = new.iter().find(|(known, _)| known.sha256 == row.sha256);
                of_step.map(|(_, list)| &list[..]).or_else(|| held.list(row))
            };
            let wrong = |error| SyncError::Bundle { path: path.to_string(), error };
            let applied = bundle.apply(&table, &[held.kind], list_of);
            let (next, lists) = applied.map_err(wrong)?;
            let got = next.state();
            if at == last && got != expected {
                return Err(wrong(BundleError::After { expected, got }));
            }
            table = next;
            new.extend(lists);
            let named: BTreeSet<Digest> = table.rows().iter().map(|row| row.sha256).collect();
            new.retain(|(row, _)| named.contains(&row.sha256));
        }
        new.retain(|(row, _)| held.list(row).is_none());
        Ok((table, new))
    }

    async fn fetch_bundle(&mut self, entry: BundleEntry) -> Result<(Path, Vec<u8>), SyncError> {
        let BundleEntry { bytes, sha256, .. } = entry;
        let path = Path::Seeds(sha256);
        Ok((path, self.fetch_hashed(path, FileHash { bytes, sha256 }).await?))
    }
}

/// The bundles that lead from the lists that are held, if there are some, and they are no more bytes than the lists that
/// are missing.
fn chain_to(
    index: &SeedIndex,
    held: &HeldSeeds,
    failed: &BTreeSet<(u32, u32)>,
) -> Option<Vec<BundleEntry>> {
    let missing = held.wanted(&index.table).filter(|row| held.list(row).is_none());
    let whole =
        missing.map(|row| row.bytes.saturating_add(REQUEST_BYTES)).fold(0, u64::saturating_add);
    let Version { series, tick } = held.version;
    if !held.is_base() || series != index.series {
        return None;
    }
    let (bytes, chain) = cheapest_chain(&index.bundles, failed, tick, index.tick)?;
    (bytes <= whole && !chain.is_empty()).then_some(chain)
}

fn expect_bundle(
    bundle: &SeedBundle<'_>,
    series: u32,
    entry: &BundleEntry,
) -> Result<(), ParseError> {
    expect_equal("series", bundle.series().into(), series.into())?;
    expect_equal("bundle tick", bundle.to().into(), entry.to.into())?;
    expect_equal("bundle span", bundle.span().into(), entry.span.into())
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

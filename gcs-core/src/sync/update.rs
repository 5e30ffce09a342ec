//! Bringing a client from its table to the published one.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::Incident;
use super::engine::{Engine, file_error};
use super::error::SyncError;
use super::plan::{REQUEST_BYTES, cheapest_chain};
use super::seeds::SeedVersion;
use super::state::TableVersion;
use super::store::parse_set;
use super::wake::SOONEST;
use crate::bytes::expect_equal;
use crate::date::DAY_SECONDS;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::Bundle;
use crate::files::{
    BundleEntry, FileHash, MAX_MANIFEST_BYTES, Manifest, Path, PublicationIndex, Row, Table,
};
use crate::set::Set;
use crate::version::Version;

/// How many wrong or missing bundles are tried before whole sets are taken.
const MAX_DETOURS: usize = 4;

/// Brings the client up to date, except for dates whose sets cannot be had, and seeds. Returns what is
/// wrong with the first of those.
pub(super) async fn run(engine: &mut Engine) -> Result<Option<SyncError>, SyncError> {
    let manifest = engine.fetch_manifest().await?;
    let sets = sync_sets(engine, &manifest).await;
    if let Err(SyncError::Network { .. } | SyncError::Storage { .. }) = sets {
        return sets;
    }
    let seeds = engine.sync_seeds(&manifest).await.unwrap_or_else(Some);
    sets.map(|missing| missing.or(seeds))
}

async fn sync_sets(
    engine: &mut Engine,
    manifest: &Manifest,
) -> Result<Option<SyncError>, SyncError> {
    let version = version_of(manifest);
    if engine.is_at(manifest.state) {
        return engine.stay(version).await.map(|()| None);
    }
    let mut failed = BTreeSet::new();
    if engine.take_newest_bundle(manifest, &mut failed).await? {
        return Ok(None);
    }
    let index = engine.fetch_index(manifest).await?;
    while !engine.is_at(manifest.state) {
        match engine.plan(&index, &failed) {
            Way::Bundle(bundle) => {
                if let Err(error) = engine.take_bundle(&index, bundle).await {
                    engine.detour(error)?;
                    failed.insert((bundle.to, bundle.span));
                }
            }
            Way::Target => {
                if let Some(error) = engine.take_sets().await? {
                    if engine.aims_at(manifest.state) {
                        return Ok(Some(error));
                    }
                    // The other dates go on to the newest sets. The target is given up only
                    // once one of those has come: a slow phone might start over for ever.
                    let first = engine.first_set(&index.table).await?;
                    engine.store.announce(version, &index.table).await?;
                    if let Some(set) = first {
                        engine.store.keep_set(set).await?;
                    }
                }
            }
            Way::Whole => {
                engine.store.announce(version, &index.table).await?;
                if let Some(error) = engine.take_sets().await? {
                    return Ok(Some(error));
                }
            }
        }
    }
    engine.stay(version).await.map(|()| None)
}

/// The next part of the cheapest way to the newest publication.
enum Way {
    /// A bundle from the table that is held.
    Bundle(BundleEntry),
    /// The rest of the target's sets, begun under an earlier manifest.
    Target,
    /// The sets of the published table that are not there.
    Whole,
}

fn version_of(manifest: &Manifest) -> Version {
    Version { series: manifest.series, tick: manifest.tick }
}

impl Engine {
    /// Whether the client has the whole of this table.
    fn is_at(&self, state: Digest) -> bool {
        self.store.complete && self.store.state.held.is_some_and(|held| held.table == state)
    }

    /// Whether this table is the one that the client is about to reach.
    fn aims_at(&self, state: Digest) -> bool {
        self.store.state.target.is_some_and(|target| target.table == state)
    }

    /// Notes that the table that is held is also that of this version, and abandons the target.
    async fn stay(&mut self, version: Version) -> Result<(), SyncError> {
        if let Some(held) = &mut self.store.state.held {
            held.version = version;
        }
        self.store.abandon_target().await
    }

    /// The manifest, verified and not older than any seen; schedules the next poll.
    async fn fetch_manifest(&mut self) -> Result<Manifest, SyncError> {
        let bytes = self.fetch(Path::Manifest, MAX_MANIFEST_BYTES as u64).await?;
        let state = &mut self.store.state;
        let (manifest, key_list) = Manifest::verify(&bytes, &state.root, self.now, state.key_list)?;
        let got = TableVersion { version: version_of(&manifest), table: manifest.state };
        let of_seeds = self.seeds.as_ref().map(|held| held.expect_same(SeedVersion::of(&manifest)));
        if let Some(seen) = state.seen {
            if got.version < seen.version {
                return Err(SyncError::RolledBack { seen: seen.version, got: got.version });
            }
            if got.version == seen.version && got.table != seen.table {
                let (seen, got) = (seen.table, got.table);
                return Err(SyncError::Equivocation { version: version_of(&manifest), seen, got });
            }
        }
        of_seeds.unwrap_or(Ok(()))?;
        state.seen = Some(got);
        state.key_list = key_list;
        state.expires = manifest.expires;
        state.window.since = state.window.since.min(manifest.issued);
        let jitter = self.random.below(self.settings.poll_jitter.saturating_add(1));
        state.next_poll = next_poll(&manifest, self.now).saturating_add(jitter);
        self.store.save_state().await?;
        Ok(manifest)
    }

    /// Takes the bundle that the manifest names, if the client is just one tick behind.
    async fn take_newest_bundle(
        &mut self,
        manifest: &Manifest,
        failed: &mut BTreeSet<(u32, u32)>,
    ) -> Result<bool, SyncError> {
        let Some(FileHash { bytes, sha256 }) = manifest.bundle else { return Ok(false) };
        let version = version_of(manifest);
        let before = version.tick.checked_sub(1).map(|tick| Version { tick, ..version });
        let held = self.store.state.held.map(|held| held.version);
        if !self.store.complete || held.is_none() || held != before {
            return Ok(false);
        }
        let entry = BundleEntry { span: 1, to: version.tick, bytes, sha256 };
        match self.take_bundle_to(version.series, entry, Some(manifest.state)).await {
            Ok(()) => Ok(true),
            Err(error) => {
                failed.insert((entry.to, entry.span));
                self.detour(error).map(|()| false)
            }
        }
    }

    async fn fetch_index(&mut self, manifest: &Manifest) -> Result<PublicationIndex, SyncError> {
        let path = Path::Index(manifest.index.sha256);
        let bytes = self.fetch_hashed(path, manifest.index).await?;
        parse_index(&bytes, manifest).map_err(|error| file_error(path, error))
    }

    /// The next part of the way that costs the fewest bytes.
    fn plan(&self, index: &PublicationIndex, failed: &BTreeSet<(u32, u32)>) -> Way {
        let missing = |table: &Table| {
            let rows = table.rows().iter();
            rows.filter(|row| !self.store.sets.contains_key(&row.identity))
                .map(|row| row.bytes.saturating_add(REQUEST_BYTES))
                .fold(0, u64::saturating_add)
        };
        let chain = |from: TableVersion| {
            let reachable = from.version.series == index.series && failed.len() < MAX_DETOURS;
            let cheapest = || cheapest_chain(&index.bundles, failed, from.version.tick, index.tick);
            reachable.then(cheapest).flatten()
        };
        let whole = missing(&index.table);
        let mut way = (whole, Way::Whole);
        if let (Some(target), Some(table)) = (self.store.state.target, &self.store.target)
            && let Some((bytes, _)) = chain(target)
        {
            // A target that was begun is finished while less is missing of it than of the new
            // table, even if starting over costs less in all: a slow phone might start over
            // for ever.
            let rest = missing(table);
            if rest <= whole {
                way = (rest.saturating_add(bytes), Way::Target);
            }
        }
        let held = self.store.state.held.filter(|_| self.store.complete);
        if let Some((bytes, chain)) = held.and_then(chain)
            && bytes <= way.0
            && let Some(first) = chain.first()
        {
            return Way::Bundle(*first);
        }
        way.1
    }

    async fn take_bundle(
        &mut self,
        index: &PublicationIndex,
        entry: BundleEntry,
    ) -> Result<(), SyncError> {
        let last = (entry.to == index.tick).then(|| index.table.state());
        self.take_bundle_to(index.series, entry, last).await
    }

    /// Fetches a bundle, applies it to the table that is held, and keeps the result. If a
    /// state is `expected`, the result must have it.
    async fn take_bundle_to(
        &mut self,
        series: u32,
        entry: BundleEntry,
        expected: Option<Digest>,
    ) -> Result<(), SyncError> {
        let BundleEntry { span, to, bytes, sha256 } = entry;
        let path = Path::Bundle { span, series, to };
        let bytes = self.fetch_hashed(path, FileHash { bytes, sha256 }).await?;
        let bundle = Bundle::parse(&bytes).map_err(|error| file_error(path, error))?;
        expect_bundle(&bundle, series, &entry, expected)
            .map_err(|error| file_error(path, error))?;
        let (table, sets) = bundle
            .apply(&self.store.table, |identity| self.store.sets.get(&identity))
            .map_err(|error| SyncError::Bundle { path: path.to_string(), error })?;
        self.store.announce(Version { series, tick: to }, &table).await?;
        for set in sets {
            self.store.keep_set(set).await?;
        }
        self.store.reach_target(&mut self.random).await
    }

    /// Fetches the sets of the target that are not there yet, and makes it the table that is
    /// held if all are there then. Otherwise returns what is wrong with the first that is not.
    async fn take_sets(&mut self) -> Result<Option<SyncError>, SyncError> {
        let rows = self.store.target.as_ref().map_or(Vec::new(), |table| table.rows().to_vec());
        let mut missing = None;
        for row in rows {
            if self.store.sets.contains_key(&row.identity) {
                continue;
            }
            if let Some(error) = self.failed_sets.get(&row.identity) {
                missing.get_or_insert(error.clone());
            } else if let Err(error) = self.take_set(&row).await {
                self.failed_sets.insert(row.identity, error.clone());
                self.detour(error.clone())?;
                missing.get_or_insert(error);
            }
        }
        if missing.is_none() {
            self.store.reach_target(&mut self.random).await?;
        }
        Ok(missing)
    }

    async fn take_set(&mut self, row: &Row) -> Result<(), SyncError> {
        let set = self.fetch_set(row).await?;
        self.store.keep_set(set).await
    }

    /// The first set of a table that is not there and can be had, if any.
    async fn first_set(&mut self, table: &Table) -> Result<Option<Set>, SyncError> {
        for row in table.rows() {
            let is_there = self.store.sets.contains_key(&row.identity);
            if is_there || self.failed_sets.contains_key(&row.identity) {
                continue;
            }
            match self.fetch_set(row).await {
                Ok(set) => return Ok(Some(set)),
                Err(error) => {
                    self.failed_sets.insert(row.identity, error.clone());
                    self.detour(error)?;
                }
            }
        }
        Ok(None)
    }

    async fn fetch_set(&mut self, row: &Row) -> Result<Set, SyncError> {
        let path = Path::Set { date: row.date, identity: row.identity };
        let bytes = self.fetch(path, row.bytes).await?;
        parse_set(bytes, row).map_err(|error| file_error(path, error))
    }

    /// Notes an error, so that another way is tried. Fails if the storage failed, or if the
    /// network failed for the second time: the first failure may have been that of one file.
    pub(super) fn detour(&mut self, error: SyncError) -> Result<(), SyncError> {
        let is_network = matches!(error, SyncError::Network { .. });
        let is_final = matches!(error, SyncError::Storage { .. }) || (is_network && self.offline);
        if is_final {
            return Err(error);
        }
        self.offline |= is_network;
        self.note(Incident::Detour(error));
        Ok(())
    }
}

/// When to poll next, apart from jitter: when the next publication is expected. If that is
/// late, the time that it is late by passes once more, up to the interval of publications.
fn next_poll(manifest: &Manifest, now: u64) -> u64 {
    let interval = manifest.next.saturating_sub(manifest.issued).clamp(SOONEST, DAY_SECONDS);
    let wait = match manifest.next.checked_sub(now) {
        Some(wait) => wait.clamp(SOONEST, DAY_SECONDS),
        None => (now - manifest.next).clamp(SOONEST, interval),
    };
    now.saturating_add(wait)
}

fn parse_index(bytes: &[u8], manifest: &Manifest) -> Result<PublicationIndex, ParseError> {
    let index = PublicationIndex::parse(bytes)?;
    expect_equal("series", u64::from(index.series), u64::from(manifest.series))?;
    expect_equal("tick", u64::from(index.tick), u64::from(manifest.tick))?;
    expect_state(index.table.state(), manifest.state)?;
    Ok(index)
}

fn expect_bundle(
    bundle: &Bundle<'_>,
    series: u32,
    entry: &BundleEntry,
    expected: Option<Digest>,
) -> Result<(), ParseError> {
    expect_equal("series", u64::from(bundle.series()), u64::from(series))?;
    expect_equal("bundle tick", u64::from(bundle.to()), u64::from(entry.to))?;
    expect_equal("bundle span", u64::from(bundle.span()), u64::from(entry.span))?;
    expected.map_or(Ok(()), |expected| expect_state(bundle.after(), expected))
}

fn expect_state(got: Digest, expected: Digest) -> Result<(), ParseError> {
    if got == expected { Ok(()) } else { Err(ParseError::Digest { field: "state", expected, got }) }
}

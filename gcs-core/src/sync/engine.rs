//! The state of one wake, shared by syncing, matching and confirming.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::Range;

use super::error::SyncError;
use super::seeds::HeldSeeds;
use super::store::ClientStore;
use super::{ClientSettings, Incident};
use crate::bytes::{expect_digest, expect_len};
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{FileHash, Path};
use crate::keys::Stream;

/// The client's folder, its settings, the time and some randomness.
pub(super) struct Engine {
    pub store: ClientStore,
    pub settings: ClientSettings,
    pub now: u64,
    pub random: Stream,
    /// Whether the network failed once in this wake.
    pub offline: bool,
    /// The sets that could not be had in this wake. They are not asked for again.
    pub failed_sets: BTreeMap<Digest, SyncError>,
    /// The lists of seeds, if the settings name a kind.
    pub seeds: Option<HeldSeeds>,
}

impl Engine {
    pub(super) fn note(&mut self, incident: Incident) {
        self.store.incidents.push(incident);
    }

    pub(super) async fn fetch(&mut self, path: Path, limit: u64) -> Result<Vec<u8>, SyncError> {
        self.fetch_part(path, None, limit).await
    }

    /// Fetches a part of a file, or the whole.
    pub(super) async fn fetch_part(
        &mut self,
        path: Path,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Vec<u8>, SyncError> {
        let path = path.to_string();
        match self.store.driver.fetch(path.clone(), byte_range, limit).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(SyncError::Missing { path }),
            Err(message) => Err(SyncError::Network { path, message }),
        }
    }

    pub(super) async fn fetch_hashed(
        &mut self,
        path: Path,
        hash: FileHash,
    ) -> Result<Vec<u8>, SyncError> {
        let bytes = self.fetch(path, hash.bytes).await?;
        expect_len(&bytes, hash.bytes)
            .and_then(|()| expect_digest("file", &bytes, hash.sha256))
            .map_err(|error| file_error(path, error))?;
        Ok(bytes)
    }
}

pub(super) fn file_error(path: Path, error: ParseError) -> SyncError {
    SyncError::File { path: path.to_string(), error }
}

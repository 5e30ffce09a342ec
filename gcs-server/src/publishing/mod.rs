//! Publishing: from ticks to files.
//!
//! [`PublicationBuilder`] computes publications and does no I/O; [`Outbox`] gathers what has to be
//! written; [`Publishing`] writes it, in the order that [`gcs_core::publish`] asks for:
//! immutable files, read back; the manifest under its own name, which must be new; the
//! publisher, to go on from; `/v1/manifest` last; then deletions. Whatever fails is tried
//! again with the same bytes, and until then phones see the publication before.

mod builder;
mod files;
mod worker;

use bytes::Bytes;
use gcs_core::files::Path;
use thiserror::Error;

pub use self::builder::{Outbox, PublicationBuilder, PublicationError, TickPosition};
pub use self::files::Files;
pub use self::worker::{Published, Worker};
use gcs_core::Version;

/// Name of the file that a restart goes on from.
const SAVED: &str = "publisher";

/// Why something was not published. It is tried again.
#[derive(Debug, Error)]
pub enum PublishingError {
    /// A file could not be written or read.
    #[error(transparent)]
    Files(#[from] object_store::Error),
    /// Another manifest is out there under this number. Phones that saw it would refuse
    /// ours, so nothing is published until someone looks.
    #[error(
        "another manifest is there already as {path}: two servers with one key file and two \
         logs? Stop one of them; go on with `gcs-server recover`"
    )]
    Equivocation {
        /// Where.
        path: Path,
    },
}

/// Where files are written to.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// What phones fetch.
    pub public: Files,
    /// What only this server reads.
    pub private: Files,
}

impl Publishing {
    /// The builder as it was saved, if it was, and if every file that phones may ask for
    /// next is there; otherwise everything has to be computed from the log.
    ///
    /// # Errors
    /// When files cannot be read, which is not the same as their not being there.
    pub async fn saved(
        &self,
    ) -> Result<Option<(gcs_core::publish::Publisher, TickPosition)>, PublishingError> {
        let bytes = match self.private.get(SAVED).await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some((position_of_tick, publisher)) = TickPosition::read(&bytes) else {
            tracing::warn!("the saved publisher cannot be read: computing everything from the log");
            return Ok(None);
        };
        let missing = self.missing(&publisher, position_of_tick.version).await?;
        if let Some(path) = missing.first() {
            let count = missing.len();
            tracing::warn!(%path, count, "published files are missing: computing everything from the log");
            return Ok(None);
        }
        Ok(Some((publisher, position_of_tick)))
    }

    /// The files that phones may ask for next and that are not there.
    ///
    /// # Errors
    /// When files cannot be read, which is not the same as their not being there.
    pub async fn missing(
        &self,
        publisher: &gcs_core::publish::Publisher,
        version: Version,
    ) -> Result<Vec<Path>, PublishingError> {
        let mut missing = Vec::new();
        for path in publisher.live_files().copied().chain([kept(version)]) {
            if self.public.length(&path.to_string()).await?.is_none() {
                missing.push(path);
            }
        }
        Ok(missing)
    }

    /// The manifest of a version, as it was published.
    pub(crate) async fn kept_manifest(&self, version: Version) -> Result<Bytes, PublishingError> {
        Ok(self.public.get(&kept(version).to_string()).await?)
    }

    /// Writes `/v1/manifest` again if it is not this one.
    pub(crate) async fn ensure_manifest(&self, manifest: &[u8]) -> Result<(), PublishingError> {
        let path = Path::Manifest.to_string();
        match self.public.get(&path).await {
            Ok(present) if present == manifest => Ok(()),
            _ => Ok(self.public.put(&path, manifest).await?),
        }
    }

    /// Whether nothing says that anything was ever published from here.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn is_new(&self) -> Result<bool, PublishingError> {
        let nothing_saved = self.private.length(SAVED).await?.is_none();
        Ok(nothing_saved && self.newest().await?.is_none())
    }

    /// The highest version that any manifest was published under.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn newest(&self) -> Result<Option<Version>, PublishingError> {
        let paths = self.public.list("v1/manifests").await?.into_iter();
        let versions = paths.filter_map(|path| match path.parse().ok()? {
            Path::KeptManifest { series, tick } => Some(Version { series, tick }),
            _ => None,
        });
        Ok(versions.max())
    }

    /// The highest series that any manifest was published in, and forgets what a restart
    /// would go on from: the next one computes everything from the log.
    ///
    /// # Errors
    /// When files cannot be read or deleted.
    pub async fn forget(&self) -> Result<u32, PublishingError> {
        let series = self.newest().await?.map_or(0, |newest| newest.series);
        self.private.delete(SAVED).await?;
        Ok(series)
    }

    /// Compares what is out with everything in an outbox that holds all there should be.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn compare(&self, outbox: &Outbox) -> Result<Comparison, PublishingError> {
        let mut comparison = Comparison::default();
        let mut expected = std::collections::BTreeSet::new();
        let manifest = outbox.last().map(|(_, _, manifest)| (Path::Manifest, manifest.to_vec()));
        let others = outbox.files().map(|(path, bytes)| (*path, bytes.clone()));
        for (path, bytes) in others.chain(manifest) {
            let name = path.to_string();
            match self.public.get(&name).await {
                Ok(present) if present == bytes => comparison.equal += 1,
                Ok(_) => comparison.different.push(path),
                Err(object_store::Error::NotFound { .. }) => comparison.missing.push(path),
                Err(error) => return Err(error.into()),
            }
            expected.insert(name);
        }
        let present = self.public.list("v1").await?;
        // Manifests of the past are a record: one that cannot be computed any more stays.
        let is_extra =
            |name: &String| !expected.contains(name) && !name.starts_with("/v1/manifests/");
        comparison.extra = present.into_iter().filter(is_extra).collect();
        Ok(comparison)
    }

    /// Deletes files that nothing names: a crash may leave some that were due for deletion.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub async fn sweep(&self, extra: &[String]) -> Result<(), PublishingError> {
        for path in extra {
            self.public.delete(path).await?;
        }
        Ok(())
    }

    /// Writes everything in the outbox.
    ///
    /// # Errors
    /// Whatever fails; the outbox can be written again.
    pub async fn write(&self, outbox: &Outbox) -> Result<(), PublishingError> {
        let Some((position_of_tick, publisher, manifest)) = outbox.last() else { return Ok(()) };
        let (kept, others): (Vec<_>, Vec<_>) =
            outbox.files().partition(|(path, _)| matches!(path, Path::KeptManifest { .. }));
        // Before anything is overwritten that another manifest may name.
        for (path, bytes) in &kept {
            match self.public.get(&path.to_string()).await {
                Ok(present) if present != ***bytes => {
                    return Err(PublishingError::Equivocation { path: **path });
                }
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for (path, bytes) in others {
            let path = path.to_string();
            if self.public.length(&path).await? != Some(bytes.len() as u64)
                || self.public.get(&path).await? != bytes
            {
                self.public.put(&path, bytes).await?;
            }
        }
        for (path, bytes) in kept {
            if !self.public.put_new(&path.to_string(), bytes).await? {
                return Err(PublishingError::Equivocation { path: *path });
            }
        }
        self.private.put(SAVED, &position_of_tick.with(publisher)).await?;
        self.public.put(&Path::Manifest.to_string(), manifest).await?;
        for path in outbox.deletions() {
            self.public.delete(&path.to_string()).await?;
        }
        Ok(())
    }
}

/// What is out, beside what should be.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Files that are as they should be.
    pub equal: usize,
    /// Files that are not there.
    pub missing: Vec<Path>,
    /// Files with other bytes.
    pub different: Vec<Path>,
    /// Files that nothing names: left by a crash, harmless.
    pub extra: Vec<String>,
}

fn kept(version: Version) -> Path {
    Path::KeptManifest { series: version.series, tick: version.tick }
}

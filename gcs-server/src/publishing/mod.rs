//! Publishing: computing the files of each tick, and writing them.
//!
//! [`PublicationBuilder`] computes publications and does no I/O; [`Outbox`] collects the files to
//! write; [`Publishing`] executes the [`WriteStep`](gcs_core::publish::WriteStep)s in their order. A step that fails is tried
//! again with the same bytes; until it succeeds, phones see the publication before.
//!
//! Files are in a local folder, or in a bucket that several servers with one log share. They all publish the same
//! bytes. One that was held up may still write files that are there already; but it leaves a newer manifest
//! alone, and deletes nothing once there is one.

mod builder;
mod export_index;
mod files;
#[cfg(test)]
mod held;
mod mender;
mod mirror;
mod shelf;
mod verify;
mod worker;
mod write;

use std::sync::Arc;

use data_encoding::HEXLOWER;
use gcs_core::files::{Manifest, Path};
use gcs_core::{PublicKey, Version};
use thiserror::Error;

pub(crate) use self::builder::Cores;
pub use self::builder::{Outbox, PublicationBuilder, PublicationError};
pub use self::files::{Bucket, Files, Ignored, LocalFolder, NotABucket};
pub use self::mender::Remake;
pub use self::mirror::{Mirror, MirrorError, Origin, Pulled};
pub use self::shelf::{Damaged, Memory, Sealed, Shelf, Shelved};
pub use self::worker::{Published, Worker};
use self::write::{put_manifest, version_in, version_of};

/// Name of the file that a restart goes on from.
const SAVED: &str = "publisher";

/// Why something was not published.
#[derive(Debug, Error)]
pub enum PublishingError {
    /// A file could not be written or read.
    #[error(transparent)]
    Files(#[from] object_store::Error),
    /// Another manifest has been published with this series and tick. Phones that have it do not
    /// accept this one, so nothing is published until an operator repairs it.
    #[error(
        "{path} exists already with another content. Perhaps two servers publish with the same \
         key file and different logs: stop one of them, then run `gcs-server recover`"
    )]
    Equivocation {
        /// Path of the manifest.
        path: Path,
    },
    /// The place has the manifest of another deployment, or of a newer release.
    #[error(
        "the manifest in {0} is of another deployment, or of a newer release: it must not be replaced. \
         Each deployment needs a place of its own: another bucket, or another prefix"
    )]
    Foreign(String),
    /// The storage writes over what it should not, and says nothing.
    #[error(
        "{place} ignores the condition {condition} of a write, so that a server which was paused could put an older \
         manifest in the place of a newer one. Use storage that honours conditional writes; or, if this is the only \
         server that writes there, set AWS_CONDITIONAL_PUT=disabled"
    )]
    Unconditional {
        /// The place of the files.
        place: String,
        /// What is ignored.
        condition: Ignored,
    },
}

/// The media type of a file.
pub fn mime(path: &Path) -> &'static str {
    match path {
        Path::Manifest | Path::KeptManifest { .. } => "application/json",
        Path::Export { .. } => "application/zip",
        Path::ExportList(_) | Path::ExportIndex => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The places that files are written to.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// The files that phones fetch.
    public: Files,
    /// The files that only this server reads.
    private: LocalFolder,
    root: PublicKey,
    /// The public files as they are served.
    pub shelf: Arc<Shelf>,
}

impl Publishing {
    /// To these places, for the deployment with this root key. At most so many bytes of public files
    /// are in memory.
    pub fn new(public: Files, private: LocalFolder, root: PublicKey, memory: u64) -> Publishing {
        let shelf = Arc::new(Shelf::new(public.clone(), root, memory));
        Publishing { public, private, root, shelf }
    }

    /// Makes sure that storage honours the conditions of a write, if it can be reached: by an object whose name ends with
    /// these random bytes, and which is deleted again.
    ///
    /// # Errors
    /// [`PublishingError::Unconditional`].
    pub async fn expect_conditions(&self, random: [u8; 16]) -> Result<(), PublishingError> {
        let name = format!("/conditions-{}", HEXLOWER.encode(&random));
        match self.public.ignored_condition(&name).await {
            Ok(None) => Ok(()),
            Ok(Some(condition)) => {
                Err(PublishingError::Unconditional { place: self.public.to_string(), condition })
            }
            Err(error) => {
                let place = self.public.to_string();
                tracing::warn!(%error, place, "not known whether the storage honours conditional writes");
                Ok(())
            }
        }
    }

    /// What may be left to do of the publication that was saved last. `None` if nothing was saved,
    /// or if a file that its manifest names is damaged or missing: then everything has to be computed
    /// from the log. All files that are right are on the shelf from now on.
    ///
    /// If a bucket cannot be read now, what was saved is all that there is: see [`Publishing::load`].
    ///
    /// # Errors
    /// When files cannot be listed. A damaged or missing file is no error.
    pub async fn saved(&self) -> Result<Option<Outbox>, PublishingError> {
        let bytes = self.private.read(SAVED).await?;
        let saved = bytes.as_deref().map(Outbox::restore);
        if let Some(None) = saved {
            tracing::warn!("the saved publisher cannot be read: computing everything from the log");
        }
        let saved = saved.flatten();
        let wrong = match self.load(saved.as_ref()).await {
            Err(error) if self.public.is_remote() && saved.is_some() => {
                tracing::error!(%error, "no published file can be read yet; trying again");
                return Ok(saved);
            }
            wrong => wrong?,
        };
        if let Some(path) = wrong.first() {
            let count = wrong.len();
            tracing::warn!(%path, count, "published files are damaged or missing: computing everything from the log");
            return Ok(None);
        }
        Ok(saved)
    }

    /// Puts the published files on the shelf. Returns the paths of those that are damaged or missing, although
    /// an outbox goes on from the publication that names them.
    ///
    /// # Errors
    /// When files cannot be listed.
    pub async fn load(&self, saved: Option<&Outbox>) -> Result<Vec<Path>, PublishingError> {
        Ok(self.shelf.load(saved.and_then(|saved| saved.plan().publisher())).await?)
    }

    /// The last publication of an outbox, whose manifest is served from now on; `None` if it is not out
    /// yet, or another one is in its place.
    ///
    /// # Errors
    /// When files cannot be read. A missing file is no error.
    pub async fn published(&self, outbox: &Outbox) -> Result<Option<Published>, PublishingError> {
        let Some(published) = Published::of(outbox) else { return Ok(None) };
        if !self.shelf.is_loaded() {
            return Ok(None);
        }
        let version = published.position.version;
        let Version { series, tick } = version;
        let kept = self.public.find(&Path::KeptManifest { series, tick }.to_string()).await?;
        // One that is damaged was out before.
        let is_out = kept.is_some_and(|kept| !Manifest::is_another(&kept, &published.manifest));
        // Another server may have gone on.
        if is_out && self.shelf.version() < Some(version) {
            self.shelf.set_manifest(&published.manifest);
        }
        Ok(is_out.then_some(published))
    }

    /// Waits until nothing is being written to a folder. A worker that was aborted leaves behind what the disk is just
    /// doing for it.
    pub async fn until_idle(&self) {
        self.public.until_idle().await;
        self.private.until_idle().await;
    }

    /// Whether there is no sign that anything was ever published from here.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn is_new(&self) -> Result<bool, PublishingError> {
        let nothing_saved = self.private.read(SAVED).await?.is_none();
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

    /// Deletes the saved publisher, so that the next start computes everything from the log.
    /// Returns the highest series that a manifest was published in, 0 if there is none.
    ///
    /// # Errors
    /// When files cannot be read or deleted.
    pub async fn forget(&self) -> Result<u32, PublishingError> {
        let series = self.newest().await?.map_or(0, |newest| newest.series);
        self.private.delete(SAVED).await?;
        Ok(series)
    }

    /// Compares the published files with an outbox that has all files that should be published.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn compare(&self, outbox: &Outbox) -> Result<Comparison, PublishingError> {
        let mut comparison = Comparison::default();
        let mut expected = std::collections::BTreeSet::new();
        for (path, bytes) in outbox.plan().files() {
            let name = path.to_string();
            match self.public.find(&name).await? {
                Some(present) if present == bytes => comparison.equal += 1,
                Some(_) => comparison.different.push(*path),
                None => comparison.missing.push(*path),
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

    /// Deletes files that no manifest needs: a crash may have left files that were due for deletion. Those in a
    /// bucket stay: another server may be about to publish them. Returns whether they were deleted.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub async fn sweep(&self, extra: &[String]) -> Result<bool, PublishingError> {
        if self.public.is_remote() {
            return Ok(false);
        }
        self.public.delete(extra).await?;
        Ok(true)
    }
}

/// The published files compared with those that should be published.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Number of files that have the right bytes.
    pub equal: usize,
    /// Files that are missing.
    pub missing: Vec<Path>,
    /// Files that have other bytes.
    pub different: Vec<Path>,
    /// Files that no manifest needs: left by a crash, and harmless.
    pub extra: Vec<String>,
}

//! Publishing: computing the files of each tick, and writing them.
//!
//! [`PublicationBuilder`] computes publications and does no I/O; [`Outbox`] collects the files to
//! write; [`Publishing`] executes the [`WriteStep`]s in their order. A step that fails is tried
//! again with the same bytes; until it succeeds, phones see the publication before.

mod builder;
mod files;
mod mender;
mod mirror;
mod shelf;
mod verify;
mod worker;

use std::sync::Arc;

use gcs_core::files::{Manifest, Path};
use gcs_core::publish::{Publisher, WriteStep};
use gcs_core::{PublicKey, Version};
use thiserror::Error;

pub use self::builder::{Outbox, PublicationBuilder, PublicationError};
pub use self::files::Files;
pub use self::mender::Remake;
pub use self::mirror::{Mirror, MirrorError, Origin, Pulled};
pub use self::shelf::{Damaged, Memory, Sealed, Shelf, Shelved};
pub use self::worker::{Published, Worker};

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
}

/// The places that files are written to.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// The files that phones fetch.
    public: Files,
    /// The files that only this server reads.
    private: Files,
    /// The public files as they are served.
    pub shelf: Arc<Shelf>,
}

impl Publishing {
    /// To these places, for the deployment with this root key. At most so many bytes of public files
    /// are in memory.
    pub fn new(public: Files, private: Files, root: PublicKey, memory: u64) -> Publishing {
        let shelf = Arc::new(Shelf::new(public.clone(), root, memory));
        Publishing { public, private, shelf }
    }

    /// What may be left to do of the publication that was saved last. `None` if nothing was saved,
    /// or if a file that its manifest names is damaged or missing: then everything has to be computed
    /// from the log. All files that are right are on the shelf from now on.
    ///
    /// # Errors
    /// When files cannot be listed. A damaged or missing file is no error.
    pub async fn saved(&self) -> Result<Option<Outbox>, PublishingError> {
        let bytes = self.private.find(SAVED).await?;
        let saved = bytes.as_deref().map(Outbox::restore);
        if let Some(None) = saved {
            tracing::warn!("the saved publisher cannot be read: computing everything from the log");
        }
        let saved = saved.flatten();
        let publisher = saved.as_ref().and_then(|saved| saved.plan().publisher());
        let wrong = self.shelf.load(publisher).await?;
        if let Some(path) = wrong.first() {
            let count = wrong.len();
            tracing::warn!(%path, count, "published files are damaged or missing: computing everything from the log");
            return Ok(None);
        }
        Ok(saved)
    }

    /// The last publication of an outbox, whose manifest is served from now on; `None` if it is not out
    /// yet, or another one is in its place.
    ///
    /// # Errors
    /// When files cannot be read. A missing file is no error.
    pub async fn published(&self, outbox: &Outbox) -> Result<Option<Published>, PublishingError> {
        let Some(published) = Published::of(outbox) else { return Ok(None) };
        let Version { series, tick } = published.position.version;
        let kept = self.public.find(&Path::KeptManifest { series, tick }.to_string()).await?;
        // One that is damaged was out before.
        let is_out = kept.is_some_and(|kept| !Manifest::is_another(&kept, &published.manifest));
        if is_out {
            self.shelf.set_manifest(&published.manifest);
        }
        Ok(is_out.then_some(published))
    }

    /// Whether there is no sign that anything was ever published from here.
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

    /// Deletes files that no manifest needs: a crash may have left files that were due for deletion.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub async fn sweep(&self, extra: &[String]) -> Result<(), PublishingError> {
        for path in extra {
            self.public.delete(path).await?;
        }
        Ok(())
    }

    /// Writes everything in the outbox. From then on it is served.
    ///
    /// # Errors
    /// The first step that fails; the outbox can be written again.
    pub async fn write(&self, outbox: &Outbox) -> Result<(), PublishingError> {
        for step in outbox.plan().steps() {
            match step {
                WriteStep::ExpectNoOther { path, bytes } => {
                    let present = self.public.find(&path.to_string()).await?;
                    if present.is_some_and(|present| Manifest::is_another(&present, bytes)) {
                        return Err(PublishingError::Equivocation { path });
                    }
                }
                WriteStep::Put { path, bytes } => self.public.put(&path.to_string(), bytes).await?,
                WriteStep::Create { path, bytes } => {
                    self.create(path, bytes).await?;
                }
                WriteStep::Save(_) => {
                    if let Some(saved) = outbox.saved() {
                        self.private.put_blocks(SAVED, move |file| saved.write_to(file)).await?;
                    }
                }
                WriteStep::Delete(path) => self.public.delete(&path.to_string()).await?,
            }
        }
        let plan = outbox.plan();
        let live = plan.publisher().into_iter().flat_map(Publisher::live_files).copied().collect();
        self.shelf.publish(outbox.shared_files(), plan.deletions(), &live);
        Ok(())
    }

    /// Writes a manifest under its own name, which must be new unless what is there is damaged.
    async fn create(&self, path: Path, bytes: &[u8]) -> Result<(), PublishingError> {
        let name = path.to_string();
        if self.public.put_new(&name, bytes).await? {
            return Ok(());
        }
        let present = self.public.find(&name).await?;
        if present.is_some_and(|present| Manifest::is_another(&present, bytes)) {
            return Err(PublishingError::Equivocation { path });
        }
        tracing::error!(%path, "a published manifest is damaged on disk: writing it again");
        self.public.put(&name, bytes).await?;
        self.shelf.mended.inc();
        Ok(())
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

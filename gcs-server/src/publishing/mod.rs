//! Publishing: computing the files of each tick, and writing them.
//!
//! [`PublicationBuilder`] computes publications and does no I/O; [`Outbox`] collects the files to
//! write; [`Publishing`] executes the [`WriteStep`]s in their order. A step that fails is tried
//! again with the same bytes; until it succeeds, phones see the publication before.
//!
//! Files are in a local folder, or in a bucket that several servers with one log share. They all publish the same
//! bytes. One that was held up may still write files that are there already; but it leaves a newer manifest
//! alone, and deletes nothing once there is one.

mod builder;
mod files;
mod mender;
mod mirror;
mod shelf;
mod verify;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use gcs_core::files::{Manifest, Path};
use gcs_core::publish::{Publisher, WriteStep};
use gcs_core::{PublicKey, Version};
use thiserror::Error;

pub use self::builder::{Outbox, PublicationBuilder, PublicationError};
use self::files::Put;
pub use self::files::{Bucket, Files, LocalFolder, NotABucket};
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
    /// The place has the manifest of another deployment, or of a newer release.
    #[error(
        "the manifest in {0} is of another deployment, or of a newer release: it must not be replaced. \
         Each deployment needs a place of its own: another bucket, or another prefix"
    )]
    Foreign(String),
}

/// The media type of a file.
pub fn mime(path: &Path) -> &'static str {
    match path {
        Path::Manifest | Path::KeptManifest { .. } => "application/json",
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

    /// Writes everything in the outbox. From then on it is served.
    ///
    /// # Errors
    /// The first step that fails; the outbox can be written again.
    pub async fn write(&self, outbox: &Outbox) -> Result<(), PublishingError> {
        let plan = outbox.plan();
        self.expect_own(plan.manifest()).await?;
        let mut files = Vec::new();
        for step in plan.steps() {
            if let WriteStep::Put { path, bytes } = step
                && path != Path::Manifest
            {
                files.push((path, bytes));
                continue;
            }
            self.put_all(std::mem::take(&mut files)).await?;
            match step {
                WriteStep::ExpectNoOther { path, bytes } => {
                    let present = self.public.find(&path.to_string()).await?;
                    if present.is_some_and(|present| Manifest::is_another(&present, bytes)) {
                        return Err(PublishingError::Equivocation { path });
                    }
                }
                WriteStep::Put { bytes, .. } => {
                    put_manifest(&self.public, &self.root, bytes).await?;
                }
                WriteStep::Create { path, bytes } => self.create(path, bytes).await?,
                WriteStep::Save(_) => {
                    if let Some(saved) = outbox.saved() {
                        self.private.write(SAVED, move |file| saved.write_to(file)).await?;
                    }
                }
                // All of them, at the end.
                WriteStep::Delete(_) => {}
            }
        }
        self.delete(outbox).await?;
        let live = plan.publisher().into_iter().flat_map(Publisher::live_files).copied().collect();
        self.shelf.publish(outbox.shared_files(), plan.deletions(), &live);
        Ok(())
    }

    /// As [`Publishing::write`], after the files that are there have been put on the shelf: a start could perhaps
    /// not read them.
    ///
    /// # Errors
    /// As [`Publishing::write`]. What is damaged or missing is no error: it is mended later.
    pub async fn write_from_start(&self, outbox: &Outbox) -> Result<(), PublishingError> {
        if !self.shelf.is_loaded() {
            self.load(Some(outbox)).await?;
        }
        self.write(outbox).await
    }

    /// Makes sure that the manifest that will be replaced is of this deployment, or damaged.
    async fn expect_own(&self, ours: Option<&[u8]>) -> Result<(), PublishingError> {
        let present = self.public.find(&Path::Manifest.to_string()).await?;
        let (Some(present), Some(ours)) = (present, ours) else { return Ok(()) };
        let is_own = Manifest::verify_file(&present, &self.root).is_ok();
        if !is_own && Manifest::is_another(&present, ours) {
            return Err(PublishingError::Foreign(self.public.to_string()));
        }
        Ok(())
    }

    /// Writes files whose order does not matter.
    async fn put_all(&self, files: Vec<(Path, &[u8])>) -> Result<(), PublishingError> {
        let put = |(path, bytes)| self.put(path, bytes).boxed();
        let puts: Vec<BoxFuture<'_, _>> = files.into_iter().map(put).collect();
        stream::iter(puts).buffer_unordered(self.public.at_once()).try_collect().await
    }

    async fn put(&self, path: Path, bytes: &[u8]) -> Result<(), PublishingError> {
        Ok(self.public.put(&path, bytes).await?)
    }

    /// Writes a manifest under its own name, which must be new unless what is there is damaged.
    async fn create(&self, path: Path, bytes: &[u8]) -> Result<(), PublishingError> {
        let was_damaged = AtomicBool::new(false);
        let is_another = |present: &[u8]| {
            let is_another = Manifest::is_another(present, bytes);
            was_damaged.fetch_or(!is_another, Ordering::Relaxed);
            is_another
        };
        if self.public.put_unless(&path, bytes, &is_another).await? == Put::Kept {
            return Err(PublishingError::Equivocation { path });
        }
        if was_damaged.into_inner() {
            tracing::error!(%path, "a published manifest was damaged: it is written again");
            self.shelf.mended.inc();
        }
        Ok(())
    }

    /// Deletes what is due. Once there is a newer publication it may need a file again that was due before it,
    /// and then whoever wrote it deletes what is still due.
    async fn delete(&self, outbox: &Outbox) -> Result<(), PublishingError> {
        let due: Vec<String> = outbox.plan().deletions().map(ToString::to_string).collect();
        let version = outbox.position().map(|position| position.version);
        if due.is_empty() || version < version_in(&self.public, &self.root).await? {
            return Ok(());
        }
        Ok(self.public.delete(&due).await?)
    }
}

/// Writes the manifest of the newest publication, unless a newer one is there.
async fn put_manifest(
    files: &Files,
    root: &PublicKey,
    bytes: &[u8],
) -> Result<(), object_store::Error> {
    let version = version_of(bytes, root);
    let is_newer = |present: &[u8]| version_of(present, root) > version;
    match files.put_unless(&Path::Manifest, bytes, &is_newer).await? {
        Put::Done => {}
        Put::Kept => {
            tracing::warn!("another server has published more already: its manifest stays")
        }
    }
    Ok(())
}

/// The version of the manifest that clients are given, if it is undamaged.
async fn version_in(
    files: &Files,
    root: &PublicKey,
) -> Result<Option<Version>, object_store::Error> {
    let present = files.find(&Path::Manifest.to_string()).await?;
    Ok(present.and_then(|present| version_of(&present, root)))
}

/// The version of a manifest; `None` for any other bytes.
fn version_of(bytes: &[u8], root: &PublicKey) -> Option<Version> {
    let manifest = Manifest::verify_file(bytes, root).ok()?;
    Some(Version { series: manifest.series, tick: manifest.tick })
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

//! Writing a publication, step by step.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use gcs_core::files::{Manifest, Path};
use gcs_core::publish::{Publisher, WritePlan, WriteStep};
use gcs_core::{Digest, PublicKey, Version};
use object_store::Error;

use super::export_index::put_export_index;
use super::files::Put;
use super::{Files, Outbox, Publishing, PublishingError, SAVED};

impl Publishing {
    /// Writes everything in the outbox. From then on it is served. Once there is a newer publication, whoever
    /// wrote that has written everything that anybody needs, and only the publisher is saved.
    ///
    /// # Errors
    /// The first step that fails; the outbox can be written again.
    pub async fn write(&self, outbox: &Outbox) -> Result<(), PublishingError> {
        let plan = outbox.plan();
        let present = self.present_version(plan.manifest()).await?;
        let is_overtaken = present > outbox.position().map(|position| position.version);
        let mut files = Vec::new();
        for step in plan.steps() {
            if is_overtaken && !matches!(step, WriteStep::ExpectNoOther { .. } | WriteStep::Save(_))
            {
                continue;
            }
            if let WriteStep::Put { path, bytes } = step
                && path.is_immutable()
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
                // It is written from the manifest.
                WriteStep::Put { path: Path::ExportIndex, .. } => {}
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
        self.put_all(files).await?;
        let index = if is_overtaken { None } else { self.put_export_index(plan).await? };
        self.delete(outbox).await?;
        let live = plan.publisher().into_iter().flat_map(Publisher::live_files).copied().collect();
        self.shelf.publish(outbox.shared_files(), plan.deletions(), &live);
        if let Some(index) = index {
            self.shelf.restore(Path::ExportIndex, &index);
        }
        self.public.works();
        Ok(())
    }

    /// Writes the list of exports under the name that does not change, if there is to be one. Gives it if it is that of
    /// a plan's publication.
    async fn put_export_index(&self, plan: &WritePlan) -> Result<Option<Bytes>, PublishingError> {
        let mut files = plan.publisher().into_iter().flat_map(Publisher::all_files);
        if !files.any(|path| *path == Path::ExportIndex) {
            return Ok(None);
        }
        // It may have been written many publications ago, and be damaged since.
        if let Some(list) = plan.publisher().and_then(Publisher::exports) {
            let bytes = list.to_bytes();
            self.put(Path::ExportList(Digest::of(&bytes)), &bytes).await?;
        }
        let version = plan.manifest().and_then(|manifest| version_of(manifest, &self.root));
        // What is wrong with it otherwise is mended later.
        let put = put_export_index(&self.public, &self.root).await?;
        Ok(put.filter(|(of, _)| version == Some(*of)).map(|(_, list)| list))
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

    /// The version of the manifest that is there, which must be of this deployment unless it is damaged.
    async fn present_version(
        &self,
        ours: Option<&[u8]>,
    ) -> Result<Option<Version>, PublishingError> {
        let present = self.public.find(&Path::Manifest.to_string()).await?;
        let (Some(present), Some(ours)) = (present, ours) else { return Ok(None) };
        let version = version_of(&present, &self.root);
        if version.is_none() && Manifest::is_another(&present, ours) {
            return Err(PublishingError::Foreign(self.public.to_string()));
        }
        Ok(version)
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
pub(super) async fn put_manifest(
    files: &Files,
    root: &PublicKey,
    bytes: &[u8],
) -> Result<(), Error> {
    let version = version_of(bytes, root);
    let is_newer = |present: &[u8]| version_of(present, root) > version;
    match files.put_unless(&Path::Manifest, bytes, &is_newer).await? {
        Put::Done => {}
        Put::Kept => {
            tracing::warn!("another server has published more already: its manifest stays");
        }
    }
    Ok(())
}

/// The version of the manifest that clients are given, if it is undamaged.
pub(super) async fn version_in(files: &Files, root: &PublicKey) -> Result<Option<Version>, Error> {
    let present = files.find(&Path::Manifest.to_string()).await?;
    Ok(present.and_then(|present| version_of(&present, root)))
}

/// The version of a manifest; `None` for any other bytes.
pub(super) fn version_of(bytes: &[u8], root: &PublicKey) -> Option<Version> {
    let manifest = Manifest::verify_file(bytes, root).ok()?;
    Some(Version { series: manifest.series, tick: manifest.tick })
}

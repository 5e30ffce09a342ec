//! `/v1/exports/index.txt`: the list of exports once more, under a name that does not change.
//!
//! It has no number by which an older one could be told from a newer one, as manifests have. So it is made from the
//! manifest that is in the place, once that is there, and again if another one is there afterwards: then another
//! server has published more meanwhile, and this one may have put an older list in the place of a newer one.

use bytes::Bytes;
use gcs_core::files::{FileHash, Manifest, Path};
use gcs_core::{PublicKey, Version};
use object_store::Error;

use super::Files;
use super::write::version_in;

/// Whether these are the bytes of the list of exports that a manifest names. Where it names none, the list is empty.
pub(super) fn is_named(manifest: &Manifest, bytes: &[u8]) -> bool {
    match manifest.exports {
        Some(list) => FileHash::of(bytes) == list,
        None => bytes.is_empty(),
    }
}

/// Writes the list that the manifest in the place names, and gives it with the manifest's version; `None` if either of
/// the two is missing or damaged.
pub(super) async fn put_export_index(
    files: &Files,
    root: &PublicKey,
) -> Result<Option<(Version, Bytes)>, Error> {
    loop {
        let manifest = files.find(&Path::Manifest.to_string()).await?;
        let manifest = manifest.and_then(|bytes| Manifest::verify_file(&bytes, root).ok());
        let Some(manifest) = manifest else { return Ok(None) };
        let version = Version { series: manifest.series, tick: manifest.tick };
        let list = match manifest.exports {
            Some(list) => files.find(&Path::ExportList(list.sha256).to_string()).await?,
            None => Some(Bytes::new()),
        };
        let list = list.filter(|list| is_named(&manifest, list));
        if let Some(list) = &list {
            files.put(&Path::ExportIndex, list).await?;
        }
        if version_in(files, root).await? == Some(version) {
            return Ok(list.map(|list| (version, list)));
        }
    }
}

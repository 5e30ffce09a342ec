//! Looking for damage of published files, and mending it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gcs_core::Digest;
use gcs_core::files::Path;
use tokio::task::JoinHandle;

use super::export_index::put_export_index;
use super::shelf::{Place, Shelf, path_of};
use super::{Outbox, put_manifest, version_in};

/// Pause between two looks at published files. A thousand files are looked at in some three minutes.
const PAUSE: Duration = Duration::from_millis(200);

/// Most bytes that are read and hashed in a second, beside the requests.
const PACE: u64 = 32 << 20;

/// The pause for files in a bucket, where each look costs money. The storage itself looks for damage.
const REMOTE_PAUSE: Duration = Duration::from_secs(10);

/// How many looks there are between two lists of the files in a bucket.
const LIST_EVERY: u32 = 6;

/// The folders whose files all have to be there.
const FOLDERS: [&str; 6] =
    ["v1/index", "v1/sets", "v1/bundles", "v1/checks", "v1/seeds", "v1/exports"];

/// Computes all publications from the log once more.
#[derive(Clone)]
pub struct Remake(Arc<dyn Fn() -> Result<Outbox, String> + Send + Sync>);

impl Remake {
    /// With what computes them.
    pub fn new(compute: impl Fn() -> Result<Outbox, String> + Send + Sync + 'static) -> Remake {
        Remake(Arc::new(compute))
    }
}

impl fmt::Debug for Remake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remake").finish_non_exhaustive()
    }
}

/// Compares the published files with their hashes, one after the other and over again. One that is
/// wrong is written again from the memory or, if it is not there, from the log.
#[derive(Debug)]
pub(super) struct Mender {
    shelf: Arc<Shelf>,
    remake: Option<Remake>,
    remaking: Option<JoinHandle<Result<Outbox, String>>>,
    /// What is left of this round.
    queue: VecDeque<Arc<str>>,
    /// Number of looks at a bucket.
    looks: u32,
    /// Bytes that the last step has read.
    read: u64,
    /// Files that the log does not give any more.
    hopeless: HashSet<Arc<str>>,
}

impl Mender {
    pub(super) fn new(shelf: Arc<Shelf>, remake: Option<Remake>) -> Mender {
        let (queue, hopeless) = (VecDeque::new(), HashSet::new());
        Mender { shelf, remake, remaking: None, queue, looks: 0, read: 0, hopeless }
    }

    /// How long to wait between two steps.
    pub(super) fn pause(&self) -> Duration {
        if self.shelf.files.is_remote() { REMOTE_PAUSE } else { pause_after(self.read) }
    }

    /// Looks at the doubtful files at once.
    pub(super) async fn hurry(&mut self) {
        let doubtful = self.shelf.doubtful();
        if !doubtful.is_empty() && self.is_own().await {
            self.look_at_all(doubtful).await;
        }
    }

    /// Goes on with the round.
    pub(super) async fn step(&mut self) {
        self.read = 0;
        if self.remaking.as_ref().is_some_and(JoinHandle::is_finished) {
            self.take_remade().await;
        }
        if self.shelf.files.is_remote() && !self.look_at_bucket().await {
            return;
        }
        match self.queue.pop_front() {
            Some(name) => self.look_at(name).await,
            None => self.queue.extend(self.shelf.names()),
        }
    }

    /// Looks at what is most likely to be wrong in a bucket. Returns whether more can be looked at.
    async fn look_at_bucket(&mut self) -> bool {
        if !self.is_own().await {
            return false;
        }
        self.looks += 1;
        let mut wrong = self.shelf.doubtful();
        if self.looks.is_multiple_of(LIST_EVERY) {
            wrong.extend(self.missing().await);
        }
        self.look_at_all(wrong).await;
        self.shelf.trouble().is_none()
    }

    /// Whether the newest publication in the place is the one that is served here. If it is an older one, as
    /// from a server that was held up, it is replaced. If it is a newer one, its files are none of this server's
    /// business.
    async fn is_own(&mut self) -> bool {
        if !self.shelf.files.is_remote() {
            return true;
        }
        let Some(manifest) = self.shelf.manifest() else { return false };
        let (files, root) = (&self.shelf.files, &self.shelf.root);
        let present = version_in(files, root).await;
        let Ok(present) = present else { return false };
        let own = self.shelf.version();
        if present < own {
            tracing::warn!(
                "the published manifest is damaged, missing or older than it was: writing it again"
            );
            if put_manifest(files, root, &manifest).await.is_ok() {
                self.shelf.mended.inc();
            }
        }
        present <= own
    }

    /// The files that are not in the bucket any more, as when a server that was held up has deleted what was due
    /// long ago.
    async fn missing(&mut self) -> Vec<Arc<str>> {
        let mut present = HashSet::new();
        for folder in FOLDERS {
            let Ok(listed) = self.shelf.files.list(folder).await else { return Vec::new() };
            present.extend(listed);
        }
        let is_listed =
            |name: &Arc<str>| FOLDERS.iter().any(|folder| name[1..].starts_with(folder));
        let mut missing = self.shelf.names();
        missing.retain(|name| is_listed(name) && !present.contains(&**name));
        missing
    }

    /// Looks at some files, as long as the storage can be read.
    async fn look_at_all(&mut self, names: Vec<Arc<str>>) {
        for name in names {
            self.look_at(name).await;
            if self.shelf.trouble().is_some() {
                return;
            }
        }
    }

    /// Looks at one file, and mends it if that is needed.
    async fn look_at(&mut self, name: Arc<str>) {
        let Some(place) = self.shelf.place(&name) else { return };
        let present = self.shelf.files.find(&name).await;
        if let Err(error) = &present {
            tracing::error!(%name, %error, "a published file cannot be read");
            if self.shelf.files.is_remote() {
                // Whether it is wrong is not known.
                return;
            }
        }
        let present = present.ok().flatten();
        self.read += present.as_ref().map_or(0, Bytes::len) as u64;
        if let Some(bytes) = &present
            && self.accept(&place, bytes)
        {
            return;
        }
        let state = if present.is_some() { "damaged" } else { "missing" };
        self.mend(name, place, state).await;
    }

    /// Whether a file is right on disk. Then it is served.
    fn accept(&self, place: &Place, bytes: &Bytes) -> bool {
        match place {
            Place::Checked(file) if file.is(bytes) => {
                self.shelf.is_right(file, bytes);
                true
            }
            // What is in memory has changed there.
            Place::Checked(file) if file.good_copy().is_none() => {
                self.accept_again(*file.path(), Some(file.sha256()), bytes)
            }
            Place::Checked(_) => false,
            Place::Unchecked(path) => self.accept_again(*path, None, bytes),
            Place::Wrong(path, hash) => self.accept_again(*path, *hash, bytes),
        }
    }

    fn accept_again(&self, path: Path, hash: Option<Digest>, bytes: &Bytes) -> bool {
        let is_right = match hash {
            Some(hash) => Digest::of(bytes) == hash,
            None => self.shelf.is_as_written(&path, bytes),
        };
        if is_right {
            self.shelf.restore(path, bytes);
        }
        is_right
    }

    async fn mend(&mut self, name: Arc<str>, place: Place, state: &str) {
        self.shelf.is_wrong(&name, &place);
        if path_of(&place) == Path::ExportIndex {
            tracing::error!(%name, "a published file is {state} on disk");
            return self.mend_export_index().await;
        }
        let copy = match &place {
            Place::Checked(file) => file.good_copy().map(|bytes| (*file.path(), bytes)),
            _ => None,
        };
        if let Some((path, bytes)) = copy {
            tracing::error!(%name, "a published file is {state} on disk");
            self.write(path, bytes).await;
        } else if !self.hopeless.contains(&name) && self.remaking.is_none() {
            tracing::error!(%name, "a published file is {state} on disk: computing it from the log");
            self.remaking = self
                .remake
                .clone()
                .map(|Remake(compute)| tokio::task::spawn_blocking(move || compute()));
        }
    }

    /// The list that it has to be is mended by itself, if that is damaged too.
    async fn mend_export_index(&mut self) {
        let put = put_export_index(&self.shelf.files, &self.shelf.root).await;
        match put {
            Ok(Some((version, list))) if self.shelf.version() == Some(version) => {
                self.shelf.mended.inc();
                self.shelf.restore(Path::ExportIndex, &list);
                tracing::warn!(name = %Path::ExportIndex, "a published file is mended");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the list of exports cannot be mended"),
        }
    }

    async fn write(&mut self, path: Path, bytes: Bytes) {
        let name = path.to_string();
        let files = &self.shelf.files;
        let put = match path {
            Path::Manifest => put_manifest(files, &self.shelf.root, &bytes).await,
            _ => files.put(&path, &bytes).await,
        };
        match put {
            Ok(()) => {
                self.shelf.mended.inc();
                self.shelf.restore(path, &bytes);
                tracing::warn!(name, "a published file is mended");
            }
            Err(error) => tracing::error!(name, %error, "a published file cannot be mended"),
        }
    }

    /// Writes the wrong files anew from what the log gave.
    async fn take_remade(&mut self) {
        let Some(remaking) = self.remaking.take() else { return };
        let outbox = match remaking.await {
            Ok(Ok(outbox)) => outbox,
            Ok(Err(error)) => {
                tracing::error!(%error, "published files cannot be computed from the log");
                return self.hopeless.extend(self.shelf.doubtful());
            }
            Err(error) => return tracing::error!(%error, "computing from the log has failed"),
        };
        for name in self.shelf.doubtful() {
            let Some(Place::Wrong(path, hash)) = self.shelf.place(&name) else { continue };
            if path == Path::ExportIndex {
                self.mend_export_index().await;
                continue;
            }
            let remade = outbox.plan().files().find(|(of, _)| **of == path);
            let remade = remade.map(|(_, bytes)| Bytes::copy_from_slice(bytes));
            match remade.filter(|bytes| hash.is_none_or(|hash| Digest::of(bytes) == hash)) {
                Some(bytes) => self.write(path, bytes).await,
                None => self.give_up(name, path).await,
            }
        }
    }

    /// The log does not give a file any more.
    async fn give_up(&mut self, name: Arc<str>, path: Path) {
        if matches!(path, Path::KeptManifest { .. }) {
            tracing::error!(
                %name,
                "this manifest of the past cannot be computed any more: put it back from a copy"
            );
            self.hopeless.insert(name);
            return;
        }
        // No manifest that counts names it.
        if !self.is_own().await {
            return;
        }
        tracing::warn!(%name, "a damaged file that is not published any more is deleted");
        match self.shelf.files.delete(&[name.to_string()]).await {
            Ok(()) => self.shelf.forget(&name),
            Err(error) => tracing::error!(%name, %error, "a damaged file cannot be deleted"),
        }
    }
}

/// How long to wait after so many bytes in a folder.
fn pause_after(read: u64) -> Duration {
    PAUSE.max(Duration::from_millis(read.saturating_mul(1000) / PACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_read_no_faster_than_the_pace() {
        assert_eq!(pause_after(0), PAUSE);
        assert_eq!(pause_after(PACE / 5), PAUSE);
        assert_eq!(pause_after(20 << 20), Duration::from_millis(625));
        assert!(pause_after(u64::MAX) > Duration::from_secs(3600));
    }
}

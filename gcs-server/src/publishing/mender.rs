//! Looking for damage of published files, and mending it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gcs_core::Digest;
use gcs_core::files::Path;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::export_index::put_export_index;
use super::shelf::{Place, Shelf, path_of};
use super::{Outbox, put_manifest, version_in};
use crate::apart::apart;

/// Pause between two looks at published files. A thousand files are looked at in some three minutes.
const PAUSE: Duration = Duration::from_millis(200);

/// Most bytes that are read and hashed in a second, beside the requests.
const PACE: u64 = 32 << 20;

/// The pause for files in a bucket, where each look costs money. The storage itself looks for damage.
const REMOTE_PAUSE: Duration = Duration::from_secs(10);

/// How many looks there are between two lists of the files in a bucket.
const LIST_EVERY: u32 = 6;

/// How many pauses between two looks there are, at least, after a failure to compute from the log. It doubles with
/// each failure.
const RESTS: u32 = 25;

/// How many times as long as the failure took the rest is, at least: reading a large log must not keep the disk busy.
const REST: u32 = 20;

/// Longest rest after a failure.
const LONGEST_REST: Duration = Duration::from_secs(3600);

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

/// Publications that are being computed from the log, by a thread that a stop does not wait for.
#[derive(Debug)]
struct Remaking {
    began: Instant,
    outbox: oneshot::Receiver<Result<Outbox, String>>,
}

/// Compares the published files with their hashes, one after the other and over again. One that is
/// wrong is written again from the memory or, if it is not there, from the log.
#[derive(Debug)]
pub(super) struct Mender {
    shelf: Arc<Shelf>,
    remake: Option<Remake>,
    remaking: Option<Remaking>,
    /// Failures to compute from the log, one after the other.
    failures: u32,
    /// When the log may be read again after a failure.
    rests_until: Option<Instant>,
    /// Pause between two looks, if it is not the usual one.
    pub(super) pause: Option<Duration>,
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
        let (remaking, failures, rests_until, pause) = (None, 0, None, None);
        Mender {
            shelf,
            remake,
            remaking,
            failures,
            rests_until,
            pause,
            queue,
            looks: 0,
            read: 0,
            hopeless,
        }
    }

    /// How long to wait between two steps.
    pub(super) fn pause(&self) -> Duration {
        let usual = || {
            if self.shelf.files.is_remote() { REMOTE_PAUSE } else { pause_after(self.read) }
        };
        self.pause.unwrap_or_else(usual)
    }

    /// Looks at the doubtful files at once, until something else `is_wanted`.
    pub(super) async fn hurry(&mut self, is_wanted: &AtomicBool) {
        let doubtful = self.shelf.doubtful();
        if !doubtful.is_empty() && self.is_own().await {
            self.look_at_all(doubtful, is_wanted).await;
        }
    }

    /// Goes on with the round, until something else `is_wanted`.
    pub(super) async fn step(&mut self, is_wanted: &AtomicBool) {
        self.read = 0;
        self.take_remade().await;
        if self.shelf.files.is_remote() && !self.look_at_bucket(is_wanted).await {
            return;
        }
        match self.queue.pop_front() {
            Some(name) => self.look_at(name).await,
            None => self.queue.extend(self.shelf.names()),
        }
    }

    /// Looks at what is most likely to be wrong in a bucket. Returns whether more can be looked at.
    async fn look_at_bucket(&mut self, is_wanted: &AtomicBool) -> bool {
        if !self.is_own().await {
            return false;
        }
        self.looks += 1;
        let mut wrong = self.shelf.doubtful();
        if self.looks.is_multiple_of(LIST_EVERY) {
            wrong.extend(self.missing().await);
        }
        self.look_at_all(wrong, is_wanted).await;
        self.shelf.trouble().is_none() && !is_wanted.load(Ordering::Relaxed)
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

    /// Looks at some files, as long as the storage can be read and nothing else `is_wanted`.
    async fn look_at_all(&mut self, names: Vec<Arc<str>>, is_wanted: &AtomicBool) {
        for name in names {
            self.look_at(name).await;
            if self.shelf.trouble().is_some() || is_wanted.load(Ordering::Relaxed) {
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
        } else if !self.hopeless.contains(&name) && self.may_remake() {
            tracing::error!(%name, "a published file is {state} on disk: computing it from the log");
            self.begin_remaking();
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

    /// Whether the log may be read now.
    fn may_remake(&self) -> bool {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        self.remake.is_some() && self.remaking.is_none() && !rests
    }

    fn begin_remaking(&mut self) {
        let Some(Remake(compute)) = self.remake.clone() else { return };
        let began = Instant::now();
        match apart("remaking", move || compute()) {
            Ok(outbox) => self.remaking = Some(Remaking { began, outbox }),
            Err(error) => self.rest(Duration::ZERO, &error.to_string()),
        }
    }

    /// Lets the log rest after a failure that took so long. It may be over soon: the log is away, or another server has
    /// just erased from it.
    fn rest(&mut self, took: Duration, error: &str) {
        let doubled = 1 << self.failures.min(16);
        let rest = (self.pause() * RESTS * doubled).max(took * REST).min(LONGEST_REST);
        self.failures += 1;
        self.rests_until = Some(Instant::now() + rest);
        let seconds = rest.as_secs();
        tracing::error!(
            error,
            "published files cannot be computed from the log; trying again in {seconds} seconds"
        );
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

    /// Writes the wrong files anew from what the log gave, once it has.
    async fn take_remade(&mut self) {
        let Some(Remaking { began, outbox }) = &mut self.remaking else { return };
        let remade = match outbox.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Closed) => Err("the thread that computes them has died".to_owned()),
            Ok(remade) => remade,
        };
        let took = began.elapsed();
        self.remaking = None;
        let outbox = match remade {
            Ok(outbox) => outbox,
            Err(error) => return self.rest(took, &error),
        };
        self.failures = 0;
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

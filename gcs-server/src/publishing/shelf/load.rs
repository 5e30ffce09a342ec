//! What a start puts on the shelf.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use gcs_core::Version;
use gcs_core::files::Path;
use gcs_core::publish::Publisher;

use super::super::verify::{Names, Verdict};
use super::super::version_in;
use super::{Place, Shelf, path_of};

impl Shelf {
    /// Reads and verifies the files that clients need now, and returns the paths of those that are wrong.
    /// The others are looked at later. A publisher knows which files must be there.
    ///
    /// # Errors
    /// When the files cannot be listed.
    pub(in crate::publishing) async fn load(
        &self,
        publisher: Option<&Publisher>,
    ) -> Result<Vec<Path>, object_store::Error> {
        let newest = match version_in(&self.files, &self.root).await {
            Err(error) if self.files.is_remote() => return Err(error),
            newest => newest.ok().flatten(),
        };
        // Once another server has gone on, the files of a publisher may have been deleted.
        let publisher = publisher.filter(|publisher| publisher.version() >= newest);
        let live: BTreeSet<Path> =
            publisher.into_iter().flat_map(Publisher::live_files).copied().collect();
        let known: BTreeSet<Path> =
            publisher.into_iter().flat_map(Publisher::all_files).copied().collect();
        let listed = self.files.list("v1").await?;
        let mut paths: BTreeSet<Path> =
            listed.iter().filter_map(|name| name.parse().ok()).collect();
        paths.extend(&known);
        paths.extend(gaps(&paths, publisher.and_then(Publisher::version)));
        let (indexes, rest): (Vec<Path>, Vec<Path>) =
            paths.into_iter().partition(|path| matches!(path, Path::Index(_)));
        // Indexes first: they say what other files have.
        let (nothing, mut names) = (Names::default(), Names::default());
        let (mut wrong, mut kept) = (Vec::new(), BTreeSet::from([Path::Manifest]));
        kept.extend(&indexes);
        let mut taken = self.take_all(&nothing, &known, indexes);
        while let Some((path, index)) = taken.try_next().await? {
            match index {
                Some(index) => names.learn(&index),
                None => wrong.push(path),
            }
        }
        drop(taken);
        // The list of exports is looked at when there is a manifest by which it can be told whether it is right.
        let is_needed = |path: &Path| {
            *path == Path::Manifest || (live.contains(path) && *path != Path::ExportIndex)
        };
        let (needed, rest): (Vec<Path>, Vec<Path>) = rest.into_iter().partition(is_needed);
        kept.extend(&needed);
        let mut taken = self.take_all(&names, &known, needed);
        while let Some((path, bytes)) = taken.try_next().await? {
            if bytes.is_none() {
                wrong.push(path);
            }
        }
        drop(taken);
        for path in rest {
            if names.has(&path) || known.contains(&path) {
                kept.insert(path);
                let name = path.to_string().into();
                self.change(|places| places.insert(name, Place::Unchecked(path)));
            }
        }
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        // A load before this one may have put others here.
        self.retain(&kept);
        let is_manifest_wrong = wrong.contains(&Path::Manifest);
        wrong.retain(|path| live.contains(path));
        let manifest = Path::Manifest.to_string();
        if is_manifest_wrong || self.place(&manifest).is_none() {
            self.forget(&manifest);
            self.take_newest().await;
        }
        self.is_loaded.store(true, Ordering::Relaxed);
        Ok(wrong)
    }

    /// Lets go of all files but these.
    fn retain(&self, kept: &BTreeSet<Path>) {
        let is_gone = |name: &Arc<str>| {
            self.place(name).is_some_and(|place| !kept.contains(&path_of(&place)))
        };
        self.names().iter().filter(|name| is_gone(name)).for_each(|name| self.forget(name));
    }

    /// Takes files from their place and gives the bytes of those that are right.
    fn take_all<'l>(
        &'l self,
        names: &'l Names,
        known: &'l BTreeSet<Path>,
        paths: Vec<Path>,
    ) -> BoxStream<'l, Result<(Path, Option<Bytes>), object_store::Error>> {
        let take = |path| self.take(names, known, path).boxed();
        let files: Vec<BoxFuture<'l, _>> = paths.into_iter().map(take).collect();
        stream::iter(files).buffered(self.files.at_once()).boxed()
    }

    async fn take(
        &self,
        names: &Names,
        known: &BTreeSet<Path>,
        path: Path,
    ) -> Result<(Path, Option<Bytes>), object_store::Error> {
        let found = match self.files.find(&path.to_string()).await {
            Err(error) if self.files.is_remote() => return Err(error),
            Err(error) => {
                tracing::error!(%path, %error, "a published file cannot be read");
                None
            }
            Ok(found) => found,
        };
        if found.is_none() && self.files.is_remote() && !known.contains(&path) {
            // Another server has deleted it since it was listed.
            return Ok((path, None));
        }
        let right = found.filter(|bytes| names.verify(&path, bytes, &self.root) == Verdict::Right);
        match &right {
            Some(bytes) => self.restore(path, bytes),
            None if path == Path::Manifest => {}
            None => {
                tracing::error!(%path, "a published file is damaged or missing");
                self.put_wrong(path);
            }
        }
        Ok((path, right))
    }

    fn put_wrong(&self, path: Path) {
        let name: Arc<str> = path.to_string().into();
        self.lock_unmended().insert(Arc::clone(&name), path);
        self.change(|places| places.insert(name, Place::Wrong(path, None)));
    }

    /// Serves the newest of the kept manifests that is right, since `/v1/manifest` is not.
    async fn take_newest(&self) {
        let mut kept: Vec<Path> = self.read_places().by_name.values().map(path_of).collect();
        kept.retain(|path| matches!(path, Path::KeptManifest { .. }));
        kept.sort_unstable();
        for path in kept.iter().rev() {
            let Ok(Some(bytes)) = self.files.find(&path.to_string()).await else { continue };
            if self.is_as_written(path, &bytes) {
                self.set_manifest(&bytes);
                return;
            }
        }
    }
}

/// The manifests of the past that are not among some paths, although others of their series are from
/// before and after them; and the last one, which is written again before anything else is published.
fn gaps(paths: &BTreeSet<Path>, last: Option<Version>) -> Vec<Path> {
    let versions = paths.iter().filter_map(|path| match *path {
        Path::KeptManifest { series, tick } => Some(Version { series, tick }),
        _ => None,
    });
    let mut versions: Vec<Version> = versions.filter(|version| Some(*version) <= last).collect();
    versions.sort_unstable();
    let pairs = versions.windows(2).filter(|pair| pair[0].series == pair[1].series);
    let between = pairs.flat_map(|pair| {
        (pair[0].tick + 1..pair[1].tick)
            .map(|tick| Path::KeptManifest { series: pair[0].series, tick })
    });
    let last = last.map(|Version { series, tick }| Path::KeptManifest { series, tick });
    between.chain(last).collect()
}

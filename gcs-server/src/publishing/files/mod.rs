//! The published files in their place: a local folder, or a bucket of S3-compatible storage.
//!
//! Several servers may share a bucket, so what one of them reads there may be another's, and newer than its
//! own. No write goes by what was there a moment ago: it changes exactly what it has read, or begins anew.

mod bucket;
mod conditions;
mod folder;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gcs_core::files::Path;
use object_store::{
    Attributes, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    PutResult, UpdateVersion,
};

use self::bucket::Connection;
pub use self::bucket::{Bucket, NotABucket};
pub use self::conditions::Ignored;
pub use self::folder::LocalFolder;

/// How often a file is written, when something else is there afterwards.
const TRIES: u32 = 3;

/// Longest time that a client waits for a file that has to be read first.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The published files in their place.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(LocalFolder),
    Bucket(Arc<Connection>),
}

/// What has become of a file that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there with these bytes.
    Done,
    /// What was there is kept.
    Kept,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Folder(folder) => folder.path().display().fmt(f),
            Place::Bucket(connection) => connection.bucket().fmt(f),
        }
    }
}

impl Files {
    /// Files below a local folder, which is made if it does not exist. A file and its name are on
    /// disk when the call that writes it returns.
    ///
    /// # Errors
    /// When the folder cannot be made or read. That it cannot be written to is found by what writes.
    pub fn local(path: &std::path::Path) -> Result<Files, Error> {
        let folder = LocalFolder::at(path)?;
        Ok(Files { store: Arc::new(folder.store()?), place: Place::Folder(folder) })
    }

    /// Files in a bucket. `variables` are the process's, of which those count that begin with `AWS_`: where the
    /// storage is, and the keys to it. Nothing is asked of the storage yet.
    ///
    /// # Errors
    /// When the variables contradict themselves.
    pub fn in_bucket(
        bucket: &Bucket,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Files, Error> {
        let store = bucket.store(variables)?;
        Ok(Files { store, place: Place::Bucket(Arc::new(Connection::new(bucket))) })
    }

    /// Whether the files are in a bucket: over a network, and perhaps other servers' too.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.place, Place::Bucket(_))
    }

    /// Why the bucket cannot be used, if the last try failed.
    pub fn trouble(&self) -> Option<String> {
        match &self.place {
            Place::Bucket(connection) => connection.trouble(),
            Place::Folder(_) => None,
        }
    }

    /// Waits until nothing is being written to a folder by what was given up. A write to a bucket goes by what is there.
    pub(super) async fn until_idle(&self) {
        if let Place::Folder(folder) = &self.place {
            folder.until_idle().await;
        }
    }

    /// Everything that was to be read and written has been.
    pub(super) fn works(&self) {
        if let Place::Bucket(connection) = &self.place {
            connection.works();
        }
    }

    /// How many files are read or written at a time.
    pub(super) fn at_once(&self) -> usize {
        if self.is_remote() { 8 } else { 1 }
    }

    /// A whole file; `None` if there is no such file.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.find_version(path).await?.map(|(bytes, _)| bytes))
    }

    /// As [`Files::find`], with what tells this version of it from others.
    async fn find_version(&self, path: &str) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        let found = async {
            let found = self.store.get(&object(path)?).await?;
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            Ok((found.bytes().await?, version))
        };
        match self.read(found.await) {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole file for a client, who does not wait for long.
    pub(super) async fn find_soon(&self, path: &str) -> Result<Option<Bytes>, Error> {
        soon(self.find(path)).await
    }

    /// A part of a file for a client, who does not wait for long.
    pub(super) async fn part_soon(&self, path: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let part = async { self.store.get_range(&object(path)?, range).await };
        soon(async { self.read(part.await) }).await
    }

    /// The paths of all files below a folder.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let metas = self.store.list(Some(&object(folder)?));
        let paths = metas.map_ok(|meta| format!("/{}", meta.location)).try_collect().await;
        self.read(paths)
    }

    /// Writes a file whole or not at all, and reads it back, unless it exists with these bytes.
    pub(super) async fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.put_unless(path, bytes, &|_| false).await.map(drop)
    }

    /// Writes a file whole or not at all, and reads it back, unless it exists with these bytes, or with others
    /// that are to be kept.
    pub(super) async fn put_unless(
        &self,
        path: &Path,
        bytes: &[u8],
        is_kept: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Put, Error> {
        let name = path.to_string();
        let mut written = 0;
        loop {
            let mode = match self.find_version(&name).await? {
                Some((present, _)) if present == bytes => {
                    if written == 0 {
                        self.settle(&name).await?;
                    }
                    return Ok(Put::Done);
                }
                Some((present, _)) if is_kept(&present) => return Ok(Put::Kept),
                Some((_, version)) => self.replaces(version),
                None => PutMode::Create,
            };
            if written == TRIES {
                return Err(read_back(&name));
            }
            written += 1;
            match self.write(path, &name, bytes, mode).await {
                // What another server wrote meanwhile may be as good.
                Ok(()) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Replaces a file, but no other version of it.
    fn replaces(&self, version: UpdateVersion) -> PutMode {
        // A folder has one writer, and no such condition.
        if self.is_remote() && version.e_tag.is_some() {
            PutMode::Update(version)
        } else {
            PutMode::Overwrite
        }
    }

    async fn write(
        &self,
        path: &Path,
        name: &str,
        bytes: &[u8],
        mode: PutMode,
    ) -> Result<(), Error> {
        let bytes = Bytes::copy_from_slice(bytes);
        match &self.place {
            Place::Folder(folder) => {
                folder.prepare().await?;
                let (own, name) = (self.clone(), name.to_owned());
                let put = async move {
                    own.put_opts(&name, bytes, mode, Attributes::new()).await.map(drop)
                };
                folder.finish(put).await
            }
            Place::Bucket(connection) => {
                let attributes = bucket::attributes(path);
                let written = self.put_opts(name, bytes.clone(), mode, attributes.clone()).await;
                let written = match written {
                    // The operator says that the storage knows no conditions.
                    Err(Error::NotImplemented { .. }) => {
                        self.put_opts(name, bytes, PutMode::Overwrite, attributes).await
                    }
                    written => written,
                };
                connection.wrote(written).map(drop)
            }
        }
    }

    async fn put_opts(
        &self,
        name: &str,
        bytes: Bytes,
        mode: PutMode,
        attributes: Attributes,
    ) -> Result<PutResult, Error> {
        let payload = PutPayload::from(bytes);
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        self.store.put_opts(&object(name)?, payload, options).await
    }

    /// Waits until a file that is there already is on disk.
    async fn settle(&self, path: &str) -> Result<(), Error> {
        match &self.place {
            Place::Folder(folder) => folder.settle(path).await,
            Place::Bucket(_) => Ok(()),
        }
    }

    /// Deletes files, as far as they exist.
    pub(super) async fn delete(&self, paths: &[String]) -> Result<(), Error> {
        match &self.place {
            Place::Folder(folder) => {
                for path in paths {
                    folder.delete(path).await?;
                }
                Ok(())
            }
            Place::Bucket(connection) => {
                let paths: Vec<_> = paths.iter().map(|path| object(path)).collect();
                let deleted = self.store.delete_stream(stream::iter(paths).boxed());
                let gone = deleted.map(|deleted| match deleted {
                    Err(error) if !matches!(error, Error::NotFound { .. }) => Err(error),
                    _ => Ok(()),
                });
                connection.wrote(gone.try_collect().await)
            }
        }
    }

    fn read<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        match &self.place {
            Place::Folder(_) => read,
            Place::Bucket(connection) => connection.read(read),
        }
    }
}

/// Waits for what a client wants, but not for long.
async fn soon<T>(wanted: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let waited = tokio::time::timeout(PATIENCE, wanted).await;
    waited.unwrap_or_else(|late| Err(Error::Generic { store: "files", source: late.into() }))
}

fn object(path: &str) -> Result<object_store::path::Path, Error> {
    Ok(object_store::path::Path::parse(path.trim_start_matches('/'))?)
}

pub(super) fn read_back(path: &str) -> Error {
    let what = format!("{path} has other bytes after writing than were written");
    Error::Generic { store: "read back", source: what.into() }
}

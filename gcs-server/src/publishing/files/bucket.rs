//! Files in a bucket of S3-compatible storage.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gcs_core::files::{Cache, Path};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{Attribute, Attributes, BackoffConfig, Error, ObjectStore, RetryConfig};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::publishing::mime;

/// A bucket, and what the names of all files in it begin with. Written `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bucket {
    name: String,
    prefix: object_store::path::Path,
}

/// A text is no [`Bucket`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a bucket: write s3://BUCKET or s3://BUCKET/PREFIX")]
pub struct NotABucket(String);

impl FromStr for Bucket {
    type Err = NotABucket;

    fn from_str(text: &str) -> Result<Bucket, NotABucket> {
        let parsed = || {
            let place = text.strip_prefix("s3://")?;
            let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
            let is_legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_');
            let is_name = !name.is_empty() && name.bytes().all(is_legal);
            let prefix = object_store::path::Path::parse(prefix).ok()?;
            is_name.then(|| Bucket { name: name.to_owned(), prefix })
        };
        parsed().ok_or_else(|| NotABucket(text.to_owned()))
    }
}

impl TryFrom<String> for Bucket {
    type Error = NotABucket;

    fn try_from(text: String) -> Result<Bucket, NotABucket> {
        text.parse()
    }
}

impl From<Bucket> for String {
    fn from(bucket: Bucket) -> String {
        bucket.to_string()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        if self.prefix.as_ref().is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Bucket {
    /// The store below the prefix, as these variables of the environment say.
    pub(super) fn store(
        &self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Arc<dyn ObjectStore>, Error> {
        // The HTTP client takes the process's own, and there is none otherwise.
        let _is_there_already = rustls::crypto::ring::default_provider().install_default();
        let ours = variables.into_iter().filter(|(name, _)| name.starts_with("AWS_"));
        let mut builder = AmazonS3Builder::new();
        for (name, value) in ours {
            // Others are for other programs.
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        if builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_none() {
            tracing::info!(
                "AWS_ACCESS_KEY_ID is not set: the machine is asked for the keys to the bucket"
            );
        }
        // Phones verify every file, and whoever writes `http://` means it.
        let builder = builder.with_allow_http(true).with_retry(retries());
        let store = builder.with_bucket_name(&self.name).build()?;
        Ok(Arc::new(PrefixStore::new(store, self.prefix.clone())))
    }
}

/// A request that fails is sent again at once, for a connection that was closed. Whoever wants more tries again
/// by themselves.
fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 2, retry_timeout: Duration::from_secs(10) }
}

/// What a cache in front of the bucket is told of a file: the same as by this server.
pub(super) fn attributes(path: &Path) -> Attributes {
    let attributes =
        [(Attribute::CacheControl, Cache::of(path).header()), (Attribute::ContentType, mime(path))];
    attributes.into_iter().collect()
}

/// How it stands with the storage.
#[derive(Debug)]
pub(super) struct Connection {
    bucket: Bucket,
    /// Why the last read failed, and the last write.
    troubles: Mutex<[Option<String>; 2]>,
}

impl Connection {
    pub(super) fn new(bucket: &Bucket) -> Connection {
        Connection { bucket: bucket.clone(), troubles: Mutex::default() }
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().flatten().next().cloned()
    }

    /// Notes that there is no trouble any more.
    pub(super) fn works(&self) {
        let _nothing_to_read: Result<(), Error> = self.read(Ok(()));
        let _nothing_to_write: Result<(), Error> = self.wrote(Ok(()));
    }

    /// Notes whether a read succeeded.
    pub(super) fn read<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        self.note(0, "read", read)
    }

    /// Notes whether a write succeeded.
    pub(super) fn wrote<T>(&self, written: Result<T, Error>) -> Result<T, Error> {
        self.note(1, "written", written)
    }

    fn note<T>(&self, act: usize, done: &str, outcome: Result<T, Error>) -> Result<T, Error> {
        let works = matches!(
            outcome,
            Ok(_)
                | Err(Error::NotFound { .. }
                    | Error::AlreadyExists { .. }
                    | Error::Precondition { .. })
        );
        let now = outcome.as_ref().err().filter(|_| !works);
        let now = now.map(|error| format!("{} cannot be {done}: {error}", self.bucket));
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match (&troubles[act], &now) {
            (None, Some(trouble)) => tracing::error!("{trouble}"),
            (Some(_), None) => {
                tracing::info!(bucket = %self.bucket, "the bucket can be {done} again");
            }
            _ => {}
        }
        troubles[act] = now;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_written_as_it_is_read() {
        for text in ["s3://files", "s3://my.files-2/a/b", "s3://f/x"] {
            assert_eq!(text.parse::<Bucket>().unwrap().to_string(), text);
        }
        assert_eq!("s3://files/a/".parse::<Bucket>().unwrap().to_string(), "s3://files/a");
        for text in [
            "",
            "files",
            "s3://",
            "s3:///a",
            "https://files",
            "s3://a b",
            "s3://f/a//b",
            "s3://f/..",
        ] {
            let refused = text.parse::<Bucket>().unwrap_err().to_string();
            assert!(refused.contains("write s3://BUCKET"), "{refused}");
        }
    }
}

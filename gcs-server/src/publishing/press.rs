//! Computing publications, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::publish::{Keys, Path, Publisher, Tick};
use gcs_core::{Digest, ManifestError, PublishError, SignedKeyList};
use thiserror::Error;

use crate::keyfile::KeyFile;
use crate::node::Edition;
use crate::state::Version;

/// Where in the log a publication comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The publication.
    pub version: Version,
    /// Its Unix time.
    pub time: u64,
    /// Position of its tick in the log.
    pub position: u64,
    /// Hash of the tick's header.
    pub head: [u8; 32],
}

const STAMP_LEN: usize = 56;

impl Stamp {
    /// The stamp of an edition.
    pub fn of(edition: &Edition) -> Stamp {
        let Edition { version, now, position, head, .. } = *edition;
        Stamp { version, time: now, position, head }
    }

    /// Stamp and publisher as bytes.
    pub(super) fn with(&self, publisher: &Publisher) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.version.epoch.to_le_bytes());
        bytes.extend(self.version.tick.to_le_bytes());
        bytes.extend(self.time.to_le_bytes());
        bytes.extend(self.position.to_le_bytes());
        bytes.extend(self.head);
        bytes.extend(publisher.to_bytes());
        bytes.extend(Digest::of(&bytes).0);
        bytes
    }

    /// Reads both; `None` if they cannot be read.
    pub(super) fn read(bytes: &[u8]) -> Option<(Stamp, Publisher)> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if Digest::of(bytes).0 != *sum {
            return None;
        }
        let (stamp, publisher) = bytes.split_at_checked(STAMP_LEN)?;
        let number = |at: usize| Some(u64::from_le_bytes(stamp[at..at + 8].try_into().ok()?));
        let version = number(0)?;
        let version = Version { epoch: version as u32, tick: (version >> 32) as u32 };
        let head = stamp[24..].try_into().ok()?;
        let stamp = Stamp { version, time: number(8)?, position: number(16)?, head };
        Some((stamp, Publisher::from_bytes(publisher).ok()?))
    }
}

/// Why a publication cannot be computed.
#[derive(Debug, Error)]
pub enum PressError {
    /// The library refused.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The list of online keys is not one.
    #[error("the list of online keys: {0}")]
    KeyList(#[from] ManifestError),
}

/// What has to be written to be up to date.
#[derive(Debug, Default)]
pub struct Outbox {
    files: BTreeMap<Path, Vec<u8>>,
    deletions: BTreeSet<Path>,
    last: Option<(Stamp, Publisher, Vec<u8>)>,
}

impl Outbox {
    /// Files but the manifest. Those that were deleted again meanwhile are not among them.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &Vec<u8>)> {
        self.files.iter()
    }

    /// Paths to delete.
    pub fn deletions(&self) -> impl Iterator<Item = &Path> {
        self.deletions.iter()
    }

    /// The last publication: where it comes from, the publisher after it, its manifest.
    pub fn last(&self) -> Option<(&Stamp, &Publisher, &[u8])> {
        self.last
            .as_ref()
            .map(|(stamp, publisher, manifest)| (stamp, publisher, manifest.as_slice()))
    }

    /// Leaves out the manifests before the last one. After a purge a press that began from
    /// nothing has computed them without what was erased; the last one, and all that it
    /// names, depend on none of it.
    pub fn forget_history(&mut self) {
        let last = self.last.as_ref().map(|(stamp, ..)| stamp.version);
        self.files.retain(|path, _| match *path {
            Path::KeptManifest { epoch, tick } => last == Some(Version { epoch, tick }),
            _ => true,
        });
    }

    fn add(&mut self, path: Path, bytes: Vec<u8>) {
        self.deletions.remove(&path);
        self.files.insert(path, bytes);
    }

    fn delete(&mut self, path: Path) {
        self.files.remove(&path);
        self.deletions.insert(path);
    }
}

/// Computes publications.
#[derive(Debug)]
pub struct Press {
    keys: PressKeys,
    publisher: Option<Publisher>,
}

#[derive(Debug)]
struct PressKeys {
    root: gcs_core::PublicKey,
    online: gcs_core::SigningKey,
    derivation: gcs_core::DerivationKey,
}

impl Press {
    /// A press that goes on from a publisher, or begins.
    pub fn new(keys: &KeyFile, publisher: Option<Publisher>) -> Press {
        let (root, online, derivation) = (keys.root(), keys.online(), keys.derivation());
        Press { keys: PressKeys { root, online, derivation }, publisher }
    }

    /// Computes an edition and puts it into the outbox.
    ///
    /// # Errors
    /// When it cannot be computed; nothing has changed then.
    pub fn print(&mut self, edition: &Edition, outbox: &mut Outbox) -> Result<(), PressError> {
        let keys = Keys {
            root: self.keys.root,
            key_list: SignedKeyList::from_json(&edition.key_list)?,
            online: self.keys.online.clone(),
            derivation: self.keys.derivation.clone(),
        };
        let policy = edition.policy.publish();
        let mut publisher = match &self.publisher {
            Some(publisher) => publisher.with_policy(policy),
            None => Publisher::new(policy, 1),
        };
        while publisher.epoch() < edition.version.epoch {
            publisher = publisher.next_epoch();
        }
        let tick = Tick { number: edition.version.tick, now: edition.now, days: &edition.days };
        let publication = publisher.publish(&tick, &keys)?;
        if !publication.left_out.is_empty() {
            let count = publication.left_out.len();
            tracing::warn!(count, "elements without a check: phones get no answer for them");
        }
        for file in publication.files {
            if file.path == Path::Manifest {
                let publisher = publication.publisher.clone();
                outbox.last = Some((Stamp::of(edition), publisher, file.bytes));
            } else {
                outbox.add(file.path, file.bytes);
            }
        }
        publication.delete.into_iter().for_each(|path| outbox.delete(path));
        self.publisher = Some(publication.publisher);
        Ok(())
    }
}

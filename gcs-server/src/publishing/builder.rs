//! Computing publications, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::Digest;
use gcs_core::files::Path;
use gcs_core::files::{ManifestError, SignedKeyList};
use gcs_core::publish::PublishError;
use gcs_core::publish::{Keys, Publisher};
use thiserror::Error;

use crate::domain::keys::KeyFile;
use crate::domain::state::Version;
use crate::node::PublicationInput;

/// Where in the log a publication comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickPosition {
    /// The publication.
    pub version: Version,
    /// Its Unix time.
    pub time: u64,
    /// Position of its tick in the log.
    pub position: u64,
    /// Hash of the tick's header.
    pub head: [u8; 32],
}

const TICK_POSITION_LEN: usize = 56;

impl TickPosition {
    /// The position_of_tick of an input.
    pub fn of(input: &PublicationInput) -> TickPosition {
        let PublicationInput { version, now, position, head, .. } = *input;
        TickPosition { version, time: now, position, head }
    }

    /// TickPosition and publisher as bytes.
    pub(super) fn with(&self, publisher: &Publisher) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.version.series.to_le_bytes());
        bytes.extend(self.version.tick.to_le_bytes());
        bytes.extend(self.time.to_le_bytes());
        bytes.extend(self.position.to_le_bytes());
        bytes.extend(self.head);
        bytes.extend(publisher.to_bytes());
        bytes.extend(Digest::of(&bytes).0);
        bytes
    }

    /// Reads both; `None` if they cannot be read.
    pub(super) fn read(bytes: &[u8]) -> Option<(TickPosition, Publisher)> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if Digest::of(bytes).0 != *sum {
            return None;
        }
        let (position_of_tick, publisher) = bytes.split_at_checked(TICK_POSITION_LEN)?;
        let number =
            |at: usize| Some(u64::from_le_bytes(position_of_tick[at..at + 8].try_into().ok()?));
        let version = number(0)?;
        let version = Version { series: version as u32, tick: (version >> 32) as u32 };
        let head = position_of_tick[24..].try_into().ok()?;
        let position_of_tick =
            TickPosition { version, time: number(8)?, position: number(16)?, head };
        Some((position_of_tick, Publisher::from_bytes(publisher).ok()?))
    }
}

/// Why a publication cannot be computed.
#[derive(Debug, Error)]
pub enum PublicationError {
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
    last: Option<(TickPosition, Publisher, Vec<u8>)>,
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
    pub fn last(&self) -> Option<(&TickPosition, &Publisher, &[u8])> {
        self.last.as_ref().map(|(position_of_tick, publisher, manifest)| {
            (position_of_tick, publisher, manifest.as_slice())
        })
    }

    /// Leaves out the manifests before the last one. After a purge a builder that began from
    /// nothing has computed them without what was erased; the last one, and all that it
    /// names, depend on none of it.
    pub fn forget_history(&mut self) {
        let last = self.last.as_ref().map(|(position_of_tick, ..)| position_of_tick.version);
        self.files.retain(|path, _| match *path {
            Path::KeptManifest { series, tick } => last == Some(Version { series, tick }),
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
pub struct PublicationBuilder {
    keys: BuilderKeys,
    publisher: Option<Publisher>,
}

#[derive(Debug)]
struct BuilderKeys {
    root: gcs_core::PublicKey,
    online: gcs_core::SigningKey,
    derivation: gcs_core::DerivationKey,
}

impl PublicationBuilder {
    /// A builder that goes on from a publisher, or begins.
    pub fn new(keys: &KeyFile, publisher: Option<Publisher>) -> PublicationBuilder {
        let (root, online, derivation) = (keys.root(), keys.online(), keys.derivation());
        PublicationBuilder { keys: BuilderKeys { root, online, derivation }, publisher }
    }

    /// Computes an input and puts it into the outbox.
    ///
    /// # Errors
    /// When it cannot be computed; nothing has changed then.
    pub fn print(
        &mut self,
        input: &PublicationInput,
        outbox: &mut Outbox,
    ) -> Result<(), PublicationError> {
        let keys = Keys {
            root: self.keys.root,
            key_list: SignedKeyList::from_json(&input.key_list)?,
            online: self.keys.online.clone(),
            derivation: self.keys.derivation.clone(),
        };
        let policy = input.policy.publish();
        let mut publisher = match &self.publisher {
            Some(publisher) => publisher.with_settings(policy),
            None => Publisher::new(policy, 1),
        };
        while publisher.series() < input.version.series {
            publisher = publisher.next_series();
        }
        let publication = publisher.publish(input.version.tick, input.now, &input.days, &keys)?;
        if !publication.left_out.is_empty() {
            let count = publication.left_out.len();
            tracing::warn!(count, "elements without a check: phones get no answer for them");
        }
        for file in publication.files {
            if file.path == Path::Manifest {
                let publisher = publication.publisher.clone();
                outbox.last = Some((TickPosition::of(input), publisher, file.bytes));
            } else {
                outbox.add(file.path, file.bytes);
            }
        }
        publication.delete.into_iter().for_each(|path| outbox.delete(path));
        self.publisher = Some(publication.publisher);
        Ok(())
    }
}

//! Computing publications, one after the other.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use gcs_core::files::{ManifestError, Path, SignedKeyList};
use gcs_core::live::LiveSeedDay;
use gcs_core::publish::{Keys, Publication, PublishError, Publisher, WritePlan};
use gcs_core::seeds::SeedBuildError;
use gcs_core::{DerivationKey, Digest, PublicKey, SigningKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::domain::keys::DeploymentKeys;
use crate::node::{PublicationInput, TickPosition};

/// Why a publication cannot be computed.
#[derive(Debug, Error)]
pub enum PublicationError {
    /// gcs-core cannot compute the publication.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The list of online keys cannot be read.
    #[error("the list of online keys: {0}")]
    KeyList(#[from] ManifestError),
    /// A list of seeds cannot be built.
    #[error("a list of seeds: {0}")]
    Seeds(#[from] SeedBuildError),
}

/// The files that have to be written, and the position of the last tick among them.
#[derive(Debug, Default)]
pub struct Outbox {
    plan: WritePlan,
    position: Option<TickPosition>,
}

impl Outbox {
    /// What a crash may have left to do of the publication that was made at a position.
    pub fn resume(publisher: Publisher, position: TickPosition) -> Outbox {
        Outbox { plan: WritePlan::resume(publisher), position: Some(position) }
    }

    /// What [`Outbox::resume`] gave, once more.
    pub(crate) fn again(&self) -> Outbox {
        match self.saved() {
            Some(Saved { position, publisher }) => Outbox::resume(publisher, position),
            None => Outbox::default(),
        }
    }

    /// What a restart goes on from; `None` if nothing was published.
    pub(super) fn saved(&self) -> Option<Saved> {
        Some(Saved { position: self.position?, publisher: self.plan.publisher()?.clone() })
    }

    /// Goes on from what [`Saved::write_to`] wrote; `None` if it cannot be read.
    pub(super) fn restore(bytes: &[u8]) -> Option<Outbox> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if Digest::of(bytes).0 != *sum {
            return None;
        }
        let (position, publisher) = postcard::take_from_bytes(bytes).ok()?;
        Some(Outbox::resume(Publisher::from_bytes(publisher).ok()?, position))
    }

    /// What to write, and in which order.
    pub fn plan(&self) -> &WritePlan {
        &self.plan
    }

    /// All files to write, in memory that the shelf can share.
    pub(super) fn shared_files(&self) -> impl Iterator<Item = (&Path, Bytes)> {
        let files = self.plan.shared_files();
        files.map(|(path, bytes)| (path, Bytes::from_owner(Shared(Arc::clone(bytes)))))
    }

    /// The position of the last publication; `None` if there is nothing to write.
    pub fn position(&self) -> Option<TickPosition> {
        self.position
    }

    /// Leaves out the manifests before the last one. When everything is computed anew after a
    /// purge, earlier manifests lack what was erased and differ from the published ones. The last
    /// manifest and the files that it names do not depend on what was erased.
    pub fn forget_history(&mut self) {
        self.plan.forget_history();
    }
}

/// Bytes that the outbox and the shelf share.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The last publication's position and publisher.
#[derive(Debug)]
pub(super) struct Saved {
    position: TickPosition,
    publisher: Publisher,
}

impl Saved {
    /// Writes both, and SHA-256 of both.
    pub(super) fn write_to(&self, file: &mut dyn Write) -> io::Result<()> {
        let mut hasher = Sha256::new();
        let mut write = |block: &[u8]| {
            hasher.update(block);
            file.write_all(block)
        };
        write(&postcard::to_allocvec(&self.position).map_err(io::Error::other)?)?;
        self.publisher.write_to(write)?;
        file.write_all(&hasher.finalize())
    }
}

/// How many cores of the machine a computation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// One: requests are answered beside it.
    One,
    /// All of them.
    All,
}

/// Computes publications.
#[derive(Debug)]
pub struct PublicationBuilder {
    root: PublicKey,
    online: SigningKey,
    derivation: DerivationKey,
    publisher: Option<Publisher>,
}

impl PublicationBuilder {
    /// A builder that goes on from a publisher, or begins with the first publication if there is
    /// none.
    pub fn new(keys: &DeploymentKeys, publisher: Option<Publisher>) -> PublicationBuilder {
        let (root, online, derivation) = (keys.root(), keys.online(), keys.derivation());
        PublicationBuilder { root, online, derivation, publisher }
    }

    /// Computes the publication of an input and puts it into the outbox.
    ///
    /// # Errors
    /// When the publication cannot be computed; then builder and outbox are unchanged.
    pub fn build(
        &mut self,
        input: &PublicationInput,
        outbox: &mut Outbox,
    ) -> Result<(), PublicationError> {
        self.build_on(Cores::One, input, outbox)
    }

    /// As [`PublicationBuilder::build`], on as many cores of the machine as it may use.
    ///
    /// # Errors
    /// As [`PublicationBuilder::build`].
    pub(crate) fn build_on(
        &mut self,
        cores: Cores,
        input: &PublicationInput,
        outbox: &mut Outbox,
    ) -> Result<(), PublicationError> {
        let publication = self.compute(cores, input)?;
        let count = publication.left_out.len();
        if count > 0 {
            tracing::warn!(
                count,
                "elements without a check record: phones cannot confirm a contact with them"
            );
        }
        self.publisher = Some(publication.publisher.clone());
        outbox.plan.add(publication);
        outbox.position = Some(input.tick);
        Ok(())
    }

    /// Leaves out the publication of an input, of which nobody needs anything any more.
    ///
    /// # Errors
    /// When it could not be computed; then the builder is unchanged.
    pub fn skip(&mut self, input: &PublicationInput) -> Result<(), PublicationError> {
        let TickPosition { version, time, .. } = input.tick;
        let publisher = self.publisher_for(input);
        let skipped = publisher.skip(version.tick, time, &input.days, &self.derivation)?;
        self.publisher = Some(skipped);
        Ok(())
    }

    fn compute(
        &self,
        cores: Cores,
        input: &PublicationInput,
    ) -> Result<Publication, PublicationError> {
        let keys = Keys {
            root: self.root,
            key_list: SignedKeyList::from_json(&input.key_list)?,
            online: self.online.clone(),
            derivation: self.derivation.clone(),
        };
        let TickPosition { version, time, .. } = input.tick;
        let mut publisher = self.publisher_for(input);
        if let Some(seeds) = &input.seeds {
            publisher = publisher.with_seeds(match cores {
                Cores::One => LiveSeedDay::build_all(seeds),
                Cores::All => LiveSeedDay::build_all_parallel(seeds),
            }?);
        }
        Ok(match cores {
            Cores::One => publisher.publish(version.tick, time, &input.days, &keys),
            Cores::All => publisher.publish_parallel(version.tick, time, &input.days, &keys),
        }?)
    }

    fn publisher_for(&self, input: &PublicationInput) -> Publisher {
        let settings = input.policy.publish();
        let publisher = match &self.publisher {
            Some(publisher) => publisher.with_settings(settings),
            None => Publisher::new(settings, 1),
        };
        publisher.begin_series(input.tick.version.series)
    }
}

//! Computing publications, one after the other.

use gcs_core::files::{ManifestError, SignedKeyList};
use gcs_core::publish::{Keys, Publication, PublishError, Publisher, WritePlan};
use gcs_core::{DerivationKey, Digest, PublicKey, SigningKey};
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

    /// The last publication's position and publisher as bytes; `None` if nothing was published.
    pub(super) fn save(&self) -> Option<Vec<u8>> {
        let mut bytes = postcard::to_allocvec(&self.position?).ok()?;
        bytes.extend(self.plan.publisher()?.to_bytes());
        bytes.extend(Digest::of(&bytes).0);
        Some(bytes)
    }

    /// Goes on from what [`Outbox::save`] gave; `None` if it cannot be read.
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
        let publication = self.compute(input)?;
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

    fn compute(&self, input: &PublicationInput) -> Result<Publication, PublicationError> {
        let keys = Keys {
            root: self.root,
            key_list: SignedKeyList::from_json(&input.key_list)?,
            online: self.online.clone(),
            derivation: self.derivation.clone(),
        };
        let TickPosition { version, time, .. } = input.tick;
        let publisher = self.publisher_for(input);
        Ok(publisher.publish(version.tick, time, &input.days, &keys)?)
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

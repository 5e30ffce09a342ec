//! Computing publications, one after the other.

use gcs_core::Version;
use gcs_core::files::{ManifestError, SignedKeyList};
use gcs_core::publish::{Keys, Publication, PublishError, Publisher, WritePlan};
use gcs_core::{DerivationKey, Digest, PublicKey, SigningKey};
use thiserror::Error;

use crate::domain::keys::DeploymentKeys;
use crate::node::PublicationInput;

/// The place in the log of the tick that a publication was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickPosition {
    /// Series and tick of the publication.
    pub version: Version,
    /// Unix time of the tick, in seconds.
    pub time: u64,
    /// Position of the tick in the log.
    pub position: u64,
    /// SHA-256 of the tick's header in the log.
    pub head: [u8; 32],
}

const TICK_POSITION_LEN: usize = 56;

impl TickPosition {
    /// The position of the tick that an input was made from.
    pub fn of(input: &PublicationInput) -> TickPosition {
        let PublicationInput { version, now, position, head, .. } = *input;
        TickPosition { version, time: now, position, head }
    }

    /// The position and the publisher after its tick, as bytes.
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

    /// Reads what [`TickPosition::with`] wrote; `None` if it cannot be read.
    pub(super) fn read(bytes: &[u8]) -> Option<(TickPosition, Publisher)> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if Digest::of(bytes).0 != *sum {
            return None;
        }
        let (position, publisher) = bytes.split_at_checked(TICK_POSITION_LEN)?;
        let number = |at: usize| Some(u64::from_le_bytes(position[at..at + 8].try_into().ok()?));
        let version = number(0)?;
        let version = Version { series: version as u32, tick: (version >> 32) as u32 };
        let head = position[24..].try_into().ok()?;
        let position = TickPosition { version, time: number(8)?, position: number(16)?, head };
        Some((position, Publisher::from_bytes(publisher).ok()?))
    }
}

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
        outbox.position = Some(TickPosition::of(input));
        Ok(())
    }

    fn compute(&self, input: &PublicationInput) -> Result<Publication, PublicationError> {
        let keys = Keys {
            root: self.root,
            key_list: SignedKeyList::from_json(&input.key_list)?,
            online: self.online.clone(),
            derivation: self.derivation.clone(),
        };
        let settings = input.policy.publish();
        let publisher = match &self.publisher {
            Some(publisher) => publisher.with_settings(settings),
            None => Publisher::new(settings, 1),
        };
        let publisher = publisher.begin_series(input.version.series);
        Ok(publisher.publish(input.version.tick, input.now, &input.days, &keys)?)
    }
}

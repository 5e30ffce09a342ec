//! Computing publications, one after the other.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use gcs_core::Digest;
use gcs_core::files::{ManifestError, Path, SignedKeyList};
use gcs_core::identifiers::gaen::export::ExportError;
use gcs_core::live::LiveSeedDay;
use gcs_core::publish::{ExportSettings, Keys, Publication, PublishError, Publisher, WritePlan};
use gcs_core::seeds::{SeedBuildError, SeedDay};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::domain::keys::DeploymentKeys;
use crate::node::{Exported, PublicationInput, TickPosition};

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
    /// Export files cannot be signed.
    #[error("the key of export files: {0}")]
    ExportKey(#[from] ExportError),
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

impl Cores {
    fn build(self, lists: &[LiveSeedDay]) -> Result<Vec<SeedDay>, SeedBuildError> {
        match self {
            Cores::One => LiveSeedDay::build_all(lists),
            Cores::All => LiveSeedDay::build_all_parallel(lists),
        }
    }
}

/// Computes publications.
#[derive(Debug)]
pub struct PublicationBuilder {
    keys: DeploymentKeys,
    publisher: Option<Publisher>,
}

impl PublicationBuilder {
    /// A builder that goes on from a publisher, or begins with the first publication if there is
    /// none.
    pub fn new(keys: &DeploymentKeys, publisher: Option<Publisher>) -> PublicationBuilder {
        PublicationBuilder { keys: keys.clone(), publisher }
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
    pub(crate) fn skip_on(
        &mut self,
        cores: Cores,
        input: &PublicationInput,
    ) -> Result<(), PublicationError> {
        let TickPosition { version, time, .. } = input.tick;
        // Later publications name the export files of this one.
        let publisher = self.with_exports(cores, self.publisher_for(input), input)?;
        let skipped = publisher.skip(version.tick, time, &input.days, &self.keys.derivation())?;
        self.publisher = Some(skipped);
        Ok(())
    }

    fn compute(
        &self,
        cores: Cores,
        input: &PublicationInput,
    ) -> Result<Publication, PublicationError> {
        let keys = Keys {
            root: self.keys.root(),
            key_list: SignedKeyList::from_json(&input.key_list)?,
            online: self.keys.online(),
            derivation: self.keys.derivation(),
        };
        let TickPosition { version, time, .. } = input.tick;
        let mut publisher = self.with_exports(cores, self.publisher_for(input), input)?;
        if let Some(seeds) = &input.seeds {
            publisher = publisher.with_seeds(cores.build(seeds)?);
        }
        Ok(match cores {
            Cores::One => publisher.publish(version.tick, time, &input.days, &keys),
            Cores::All => publisher.publish_parallel(version.tick, time, &input.days, &keys),
        }?)
    }

    /// The same publisher, whose next publication has export files if the policy says so.
    fn with_exports(
        &self,
        cores: Cores,
        publisher: Publisher,
        input: &PublicationInput,
    ) -> Result<Publisher, PublicationError> {
        let Some(Exported { policy, keys }) = &input.exported else { return Ok(publisher) };
        // A list takes time to build, and at other times nobody looks at it.
        let is_time = publisher.is_export_time(input.tick.time, policy.interval);
        let lists = if is_time { cores.build(keys)? } else { Vec::new() };
        let settings = ExportSettings {
            region: policy.region.clone(),
            interval: policy.interval,
            keys: vec![self.keys.export(&policy.key_id, &policy.key_version)?],
        };
        Ok(publisher.with_exports(settings, lists))
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

//! The task that publishes inputs as they come.

use std::time::Duration;

use bytes::Bytes;
use gcs_core::Version;
use gcs_core::publish::Publisher;
use tokio::sync::{mpsc, watch};

use super::mender::{Mender, Remake};
use super::{Outbox, PublicationBuilder, Publishing};
use crate::node::{PublicationInput, TickPosition};

/// First pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pause between two looks at published files. A thousand files are looked at in some three minutes.
const CHECK_PAUSE: Duration = Duration::from_millis(200);

/// The newest publication that phones can fetch.
#[derive(Clone, Debug)]
pub struct Published {
    /// The publication, and its position in the log.
    pub position: TickPosition,
    /// The manifest of the publication.
    pub manifest: Bytes,
}

impl Published {
    /// The last publication of an outbox; `None` if it has none.
    pub(super) fn of(outbox: &Outbox) -> Option<Published> {
        let manifest = Bytes::copy_from_slice(outbox.plan().manifest()?);
        Some(Published { position: outbox.position()?, manifest })
    }
}

/// Publishes one input after the other, and meanwhile mends what was published.
#[derive(Debug)]
pub struct Worker {
    publishing: Publishing,
    /// `None` while it computes on another thread, and if the start could not make one.
    builder: Option<PublicationBuilder>,
    published: watch::Sender<Option<Published>>,
    mender: Mender,
}

impl Worker {
    /// A worker that announces each publication on `published`. Without a builder it only writes
    /// the files that the start has computed. Without a way to compute everything from the log, files
    /// are mended only from the memory.
    pub fn new(
        publishing: Publishing,
        builder: Option<PublicationBuilder>,
        published: watch::Sender<Option<Published>>,
        remake: Option<Remake>,
    ) -> Worker {
        let mender = Mender::new(publishing.shelf.clone(), remake);
        Worker { publishing, builder, published, mender }
    }

    /// Writes the files that the start has computed, then publishes until the senders of inputs
    /// are dropped. If the start `waits`, its files are written with the first publication that
    /// comes.
    pub async fn run(
        mut self,
        start: Outbox,
        waits: bool,
        mut inputs: mpsc::Receiver<PublicationInput>,
    ) {
        let mut before = start;
        if !waits {
            self.write(&before).await;
            before = Outbox::default();
        }
        while let Some(input) = self.mend_until(&mut inputs).await {
            let Some(outbox) = self.build(input, std::mem::take(&mut before)).await else { return };
            self.write(&outbox).await;
        }
    }

    /// Looks at published files until an input comes. Only here: nothing may write a file that is just
    /// being published or deleted.
    async fn mend_until(
        &mut self,
        inputs: &mut mpsc::Receiver<PublicationInput>,
    ) -> Option<PublicationInput> {
        self.mender.hurry().await;
        loop {
            tokio::select! {
                biased;
                input = inputs.recv() => return input,
                () = self.publishing.shelf.hurry.notified() => self.mender.hurry().await,
                () = tokio::time::sleep(CHECK_PAUSE) => self.mender.step().await,
            }
        }
    }

    /// Adds a publication to an outbox, away from the threads that serve requests.
    async fn build(&mut self, input: PublicationInput, mut outbox: Outbox) -> Option<Outbox> {
        let mut builder = self.builder.take()?;
        let building = tokio::task::spawn_blocking(move || {
            let built = builder.build(&input, &mut outbox);
            (builder, outbox, built)
        });
        let (builder, outbox, built) = building.await.ok()?;
        self.builder = Some(builder);
        if let Err(error) = built {
            // The same inputs give the same error again: an operator has to repair it.
            tracing::error!(%error, "the publication cannot be computed; publishing has stopped");
            return None;
        }
        Some(outbox)
    }

    async fn write(&self, outbox: &Outbox) {
        let Some(published) = Published::of(outbox) else { return };
        let Version { series, tick } = published.position.version;
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.publishing.write(outbox).await {
            tracing::error!(%error, tick, "not published; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let table = outbox.plan().publisher().and_then(Publisher::table);
        let dates = table.map_or(0, |table| table.rows().len());
        tracing::info!(series, tick, dates, "published");
        self.published.send_replace(Some(published));
    }
}

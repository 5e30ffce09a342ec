//! The task that publishes inputs as they come.

use std::sync::atomic::{AtomicBool, Ordering};
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
    /// `None` while it computes on another thread, and if a publication could not be computed.
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

    /// The same, with another pause between two looks at published files.
    pub fn with_pause(mut self, pause: Duration) -> Worker {
        self.mender.pause = Some(pause);
        self
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
            self.write(std::mem::take(&mut before), Vec::new(), &mut inputs).await;
        }
        while let Some((input, more)) = self.mend_until(&mut inputs).await {
            let Ok(outbox) = self.build(vec![input], std::mem::take(&mut before)).await else {
                return;
            };
            self.write(outbox, more, &mut inputs).await;
        }
    }

    /// Looks at published files until an input comes; gives those that came after it, too. Only here: nothing may
    /// write a file that is just being published or deleted.
    async fn mend_until(
        &mut self,
        inputs: &mut mpsc::Receiver<PublicationInput>,
    ) -> Option<(PublicationInput, Vec<PublicationInput>)> {
        let (mut taken, is_wanted) = (Vec::new(), AtomicBool::new(false));
        let mut take = |input| {
            taken.push(input);
            is_wanted.store(true, Ordering::Relaxed);
        };
        taking(inputs, &mut take, self.mender.hurry(&is_wanted)).await;
        while !is_wanted.load(Ordering::Relaxed) {
            let is_hurried = tokio::select! {
                biased;
                input = inputs.recv() => return input.map(|input| (input, Vec::new())),
                () = self.publishing.shelf.hurry.notified() => true,
                () = tokio::time::sleep(self.mender.pause()) => false,
            };
            let look = async {
                if is_hurried {
                    self.mender.hurry(&is_wanted).await;
                } else {
                    self.mender.step(&is_wanted).await;
                }
            };
            taking(inputs, &mut take, look).await;
        }
        let mut taken = taken.into_iter();
        Some((taken.next()?, taken.collect()))
    }

    /// Adds publications to an outbox, away from the threads that serve requests. If one cannot be computed,
    /// no later one can, and the outbox has those before it.
    async fn build(
        &mut self,
        inputs: Vec<PublicationInput>,
        mut outbox: Outbox,
    ) -> Result<Outbox, Outbox> {
        let Some(mut builder) = self.builder.take() else { return Err(outbox) };
        let building = tokio::task::spawn_blocking(move || {
            let built = inputs.iter().try_for_each(|input| builder.build(input, &mut outbox));
            (builder, outbox, built)
        });
        let (builder, outbox, built) = building.await.map_err(|_| Outbox::default())?;
        if let Err(error) = built {
            // The same inputs give the same error again: an operator has to repair it.
            tracing::error!(%error, "the publication cannot be computed; publishing has stopped");
            return Err(outbox);
        }
        self.builder = Some(builder);
        Ok(outbox)
    }

    /// Writes the files of an outbox, however many tries that takes, and then `more` publications. What another server
    /// adds to the log meanwhile is written with them.
    async fn write(
        &mut self,
        mut outbox: Outbox,
        mut more: Vec<PublicationInput>,
        inputs: &mut mpsc::Receiver<PublicationInput>,
    ) {
        let mut pause = FIRST_PAUSE;
        while let Some(published) = Published::of(&outbox) {
            let tick = published.position.version.tick;
            let (publishing, own) = (self.publishing.clone(), outbox);
            let written = async {
                let written = publishing.write_from_start(&own).await;
                (own, written)
            };
            let written = taking(inputs, |input| more.push(input), written).await;
            outbox = match written {
                (own, Ok(())) => {
                    self.announce(&own, published);
                    pause = FIRST_PAUSE;
                    Outbox::default()
                }
                (own, Err(error)) => {
                    tracing::error!(%error, tick, "not published; trying again");
                    taking(inputs, |input| more.push(input), tokio::time::sleep(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    own
                }
            };
            if !more.is_empty() {
                let built = self.build(std::mem::take(&mut more), outbox).await;
                outbox = built.unwrap_or_else(|those_before| those_before);
            }
        }
    }

    fn announce(&self, outbox: &Outbox, published: Published) {
        let Version { series, tick } = published.position.version;
        let table = outbox.plan().publisher().and_then(Publisher::table);
        let dates = table.map_or(0, |table| table.rows().len());
        tracing::info!(series, tick, dates, "published");
        self.published.send_replace(Some(published));
    }
}

/// Waits for something, and takes the inputs that come meanwhile: the node must not wait for them to be taken.
async fn taking<T>(
    inputs: &mut mpsc::Receiver<PublicationInput>,
    mut take: impl FnMut(PublicationInput),
    wait: impl Future<Output = T>,
) -> T {
    let mut wait = std::pin::pin!(wait);
    loop {
        tokio::select! {
            biased;
            done = &mut wait => return done,
            Some(input) = inputs.recv() => take(input),
        }
    }
}

#[cfg(test)]
mod tests;

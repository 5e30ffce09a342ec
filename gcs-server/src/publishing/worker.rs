//! The task that publishes editions as they come.

use std::time::Duration;

use bytes::Bytes;
use gcs_core::publish::Path;
use tokio::sync::{mpsc, watch};

use super::{Outbox, Press, Publishing, Stamp};
use crate::node::Edition;

/// First pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The last publication that is out.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where it comes from.
    pub stamp: Stamp,
    /// Its manifest.
    pub manifest: Bytes,
    /// Files that it names and that are not there any more: somebody deleted them. A
    /// restart writes them again.
    pub missing: usize,
}

/// Publishes one edition after the other.
#[derive(Debug)]
pub struct Worker {
    publishing: Publishing,
    /// Away while it computes.
    press: Option<Press>,
    published: watch::Sender<Option<Published>>,
}

impl Worker {
    /// A worker that tells on `published` what is out. Without a press it only writes what
    /// the start left.
    pub fn new(
        publishing: Publishing,
        press: Option<Press>,
        published: watch::Sender<Option<Published>>,
    ) -> Worker {
        Worker { publishing, press, published }
    }

    /// Writes what the start left to write, then works until nobody sends editions.
    pub async fn run(mut self, start: Outbox, mut editions: mpsc::Receiver<Edition>) {
        self.write(&start).await;
        while let Some(edition) = editions.recv().await {
            let Some(outbox) = self.print(edition).await else { return };
            self.write(&outbox).await;
        }
    }

    /// Computes an edition away from the threads that serve requests.
    async fn print(&mut self, edition: Edition) -> Option<Outbox> {
        let mut press = self.press.take()?;
        let printed = tokio::task::spawn_blocking(move || {
            let mut outbox = Outbox::default();
            let printed = press.print(&edition, &mut outbox);
            (press, outbox, printed)
        });
        let (press, outbox, printed) = printed.await.ok()?;
        self.press = Some(press);
        if let Err(error) = printed {
            // The same inputs give the same error: an operator has to look.
            tracing::error!(%error, "the publication cannot be computed; publishing has stopped");
            return None;
        }
        Some(outbox)
    }

    async fn write(&self, outbox: &Outbox) {
        let Some((stamp, publisher, manifest)) = outbox.last() else { return };
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.publishing.write(outbox).await {
            tracing::error!(%error, tick = stamp.version.tick, "not published; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let dates = outbox.files().filter(|(path, _)| matches!(path, Path::Set { .. })).count();
        tracing::info!(epoch = stamp.version.epoch, tick = stamp.version.tick, dates, "published");
        let missing = self.publishing.missing(publisher, stamp.version).await;
        let missing = missing.map_or(0, |missing| missing.len());
        if missing > 0 {
            tracing::error!(
                missing,
                "published files have been deleted: restart to write them again"
            );
        }
        let manifest = Bytes::copy_from_slice(manifest);
        self.published.send_replace(Some(Published { stamp: *stamp, manifest, missing }));
    }
}

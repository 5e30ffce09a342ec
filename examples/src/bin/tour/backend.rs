//! The publishing side of the tour: live elements by date, a publisher, a folder.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use gcs_core::files::KeyList;
use gcs_core::files::Table;
use gcs_core::publish::{Day, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, DerivationKey, PublicKey, SigningKey};
use gcs_examples::Folder;

use crate::people::{Element, Patient};

/// What is kept of one publication for the closing table.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) manifest: u64,
    /// Bundles of span 1 and 96.
    pub(crate) bundle: u64,
    pub(crate) long_bundle: u64,
    /// Time to compute the publication.
    pub(crate) took: Duration,
}

pub(crate) struct Backend {
    pub(crate) folder: Folder,
    pub(crate) days: BTreeMap<Date, Vec<Element>>,
    pub(crate) publisher: Publisher,
    pub(crate) keys: Keys,
    pub(crate) tick: u32,
    pub(crate) now: u64,
    pub(crate) published: Vec<Sizes>,
}

/// The keys of a deployment. Real ones come from a source of randomness, and the root key
/// stays offline.
pub(crate) fn keys(now: u64) -> Result<Keys, Box<dyn Error>> {
    let root = SigningKey::from_seed([1; 32]);
    let online = SigningKey::from_seed([2; 32]);
    let expires = now + 90 * DAY_SECONDS;
    let list = KeyList { version: 1, expires, keys: vec![online.public()] };
    let derivation = DerivationKey::new([3; 32]);
    Ok(Keys { root: root.public(), key_list: list.sign(&root)?, online, derivation })
}

impl Backend {
    pub(crate) fn new(
        folder: Folder,
        policy: PublisherSettings,
        tick: u32,
        now: u64,
    ) -> Result<Backend, Box<dyn Error>> {
        let (publisher, keys) = (Publisher::new(policy, 1), keys(now)?);
        let (days, published) = (BTreeMap::new(), Vec::new());
        Ok(Backend { folder, days, publisher, keys, tick, now, published })
    }

    pub(crate) fn root(&self) -> PublicKey {
        self.keys.root
    }

    /// Accepts a patient's report.
    pub(crate) fn report(&mut self, patient: Patient) {
        for (time, element) in patient.reports() {
            self.days.entry(Date::of_time(time)).or_default().push(element);
        }
    }

    /// Takes a patient's report back.
    pub(crate) fn retract(&mut self, patient: Patient) {
        for (time, element) in patient.reports() {
            if let Some(day) = self.days.get_mut(&Date::of_time(time)) {
                day.retain(|live| *live != element);
            }
        }
    }

    pub(crate) fn elements(&self) -> usize {
        self.days.values().map(Vec::len).sum()
    }

    pub(crate) fn table(&self) -> Result<&Table, Box<dyn Error>> {
        self.publisher.table().ok_or_else(|| "nothing is published".into())
    }

    /// Publishes the next tick into the folder.
    pub(crate) fn publish(&mut self) -> Result<Publication, Box<dyn Error>> {
        let days: Vec<Day<Element>> = self
            .days
            .iter()
            .map(|(date, elements)| Day { date: *date, elements: elements.clone() })
            .collect();
        let begin = Instant::now();
        let publication = self.publisher.publish(self.tick, self.now, &days, &self.keys)?;
        let took = begin.elapsed();
        self.folder.publish(&publication, || Ok(()))?;
        let length = |path: String| {
            let file = publication.files.iter().find(|file| file.path.to_string() == path);
            file.map_or(0, |file| file.bytes.len() as u64)
        };
        self.published.push(Sizes {
            manifest: length("/v1/manifest".into()),
            bundle: length(format!("/v1/bundles/1/1-{}", self.tick)),
            long_bundle: length(format!("/v1/bundles/96/1-{}", self.tick)),
            took,
        });
        self.publisher = publication.publisher.clone();
        self.tick += 1;
        Ok(publication)
    }
}

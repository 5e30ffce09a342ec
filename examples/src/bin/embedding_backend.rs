//! A backend that embeds gcs-core: insert, remove, publish, exact match, restart.
//!
//! Run with `cargo run --bin embedding_backend`.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::exact::{Query, Request, Response};
use gcs_core::publish::{Day, FolderPlace, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, Folder};
use gcs_examples::Checked;

/// Live elements by date, a publisher, and where its files are.
struct Backend {
    live: BTreeMap<Date, BTreeSet<Vec<u8>>>,
    publisher: Publisher,
    keys: Keys,
    /// A folder for any static file server, and one of its own.
    place: FolderPlace,
}

impl Backend {
    fn insert(&mut self, date: Date, element: &[u8]) {
        self.live.entry(date).or_default().insert(element.to_vec());
    }

    fn remove(&mut self, date: Date, element: &[u8]) -> bool {
        self.live.get_mut(&date).is_some_and(|day| day.remove(element))
    }

    /// Publishes what is live.
    fn publish(&mut self, now: u64) -> Checked<Publication> {
        let days: Vec<Day<&Vec<u8>>> = self
            .live
            .iter()
            .map(|(date, day)| Day { date: *date, elements: day.iter().collect() })
            .collect();
        let publication = self.publisher.publish_next(now, &days, &self.keys)?;
        publication.write(&mut self.place)?;
        self.publisher = publication.publisher.clone();
        Ok(publication)
    }

    /// For back offices, not for phones.
    fn exact_match(&self, json: &[u8]) -> Checked<Response> {
        let request = Request::from_json(json)?;
        Ok(request
            .answer(|date, element| self.live.get(&date).is_some_and(|day| day.contains(element))))
    }
}

fn main() -> Checked<()> {
    let folder = tempfile::tempdir()?;
    let open = |name| Folder::open(folder.path().join(name));
    let date: Date = "2026-01-05".parse()?;
    let now = date.end() + 2 * 3600; // A date waits two hours before it is published.

    // In production: 32 random bytes, kept secret.
    let keys = Keys::from_secret([1; 32], now + 90 * DAY_SECONDS);
    let publisher = Publisher::new(PublisherSettings::default(), 1);
    let place = FolderPlace::new(open("public")?, open("own")?);
    let mut backend = Backend { live: BTreeMap::new(), publisher, keys, place };

    backend.insert(date, b"identifier one..");
    backend.insert(date, b"identifier two..");
    println!("tick 1: {} files", backend.publish(now)?.files.len());

    // After a restart, go on where the last tick left off.
    backend.publisher = backend.place.saved()?.ok_or("nothing was saved")?;
    assert!(backend.remove(date, b"identifier two.."));
    let publication = backend.publish(now + 900)?;
    let bundle = publication.manifest.bundle.ok_or("no bundle")?;
    println!("tick 2: one removal, carried by a bundle of {} bytes", bundle.bytes);

    let query = |element: &[u8]| Query { date, element: element.to_vec() };
    let queries = vec![query(b"identifier one.."), query(b"identifier two..")];
    let answer = backend.exact_match(&serde_json::to_vec(&Request { queries })?)?;
    println!("exact match: {answer:?}");
    assert_eq!(answer.present, [true, false]);
    Ok(())
}

//! A backend that embeds gcs-core: insert, remove, publish, exact match, restart.
//!
//! Run with `cargo run -p gcs-examples --bin embedding_backend`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use gcs_core::exact::{Query, Request, Response};
use gcs_core::files::KeyList;
use gcs_core::publish::{Day, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, DerivationKey, SigningKey};
use gcs_examples::Folder;

/// Live elements by date, a publisher, and where both ends keep their files.
struct Backend {
    live: BTreeMap<Date, BTreeSet<Vec<u8>>>,
    publisher: Publisher,
    keys: Keys,
    /// For any static file server.
    public: Folder,
    own: Folder,
}

impl Backend {
    fn insert(&mut self, date: Date, element: &[u8]) {
        self.live.entry(date).or_default().insert(element.to_vec());
    }

    fn remove(&mut self, date: Date, element: &[u8]) -> bool {
        self.live.get_mut(&date).is_some_and(|day| day.remove(element))
    }

    /// Publishes what is live. The publisher is saved before the manifest is written: so
    /// a tick number whose manifest may be out is never used for anything else. (One that
    /// was not written is skipped or used again, which clients do not mind.)
    fn publish(&mut self, now: u64) -> Result<Publication, Box<dyn Error>> {
        let days: Vec<Day<&Vec<u8>>> = self
            .live
            .iter()
            .map(|(date, day)| Day { date: *date, elements: day.iter().collect() })
            .collect();
        let publication = self.publisher.publish_next(now, &days, &self.keys)?;
        self.public.publish(&publication, || {
            self.publisher = publication.publisher.clone();
            self.own.write("publisher", &self.publisher.to_bytes())
        })?;
        Ok(publication)
    }

    /// For back offices, not for phones.
    fn exact_match(&self, json: &[u8]) -> Result<Response, Box<dyn Error>> {
        let request = Request::from_json(json)?;
        Ok(request
            .answer(|date, element| self.live.get(&date).is_some_and(|day| day.contains(element))))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let date: Date = "2026-01-05".parse()?;
    let now = date.end() + 2 * 3600; // A date waits two hours before it is published.

    // In production: 32 random bytes each; the root key stays offline.
    let (root, online) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
    let expires = now + 90 * DAY_SECONDS;
    let list = KeyList { version: 1, expires, keys: vec![online.public()] };
    let derivation = DerivationKey::new([3; 32]);
    let keys = Keys { root: root.public(), key_list: list.sign(&root)?, online, derivation };
    let publisher = Publisher::new(PublisherSettings::default(), 1);
    let public = Folder::durable(folder.path().join("public"));
    let own = Folder::durable(folder.path().join("own"));
    let mut backend = Backend { live: BTreeMap::new(), publisher, keys, public, own };

    backend.insert(date, b"identifier one..");
    backend.insert(date, b"identifier two..");
    println!("tick 1: {} files", backend.publish(now)?.files.len());

    // After a restart, go on where the last tick left off.
    let saved = backend.own.read("publisher")?;
    backend.publisher = Publisher::from_bytes(&saved)?;
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

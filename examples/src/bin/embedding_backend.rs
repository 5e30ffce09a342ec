//! A backend that embeds gcs-core: reports, retractions, publications, exact match, restart.
//!
//! Run with `cargo run --bin embedding_backend`.

use gcs_core::exact::{Query, Request, Response};
use gcs_core::live::{FillerKey, Live, LiveSettings};
use gcs_core::publish::{FolderPlace, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, Element, Folder, Version};
use gcs_examples::Checked;

/// A backend: its reports and their elements, a publisher, and the folders of its files.
struct Backend {
    /// Kept in memory: a real backend stores its reports, and adds them again at a restart.
    live: Live,
    settings: LiveSettings,
    keys: Keys,
    /// A folder for any static file server, and a private one.
    place: FolderPlace,
}

impl Backend {
    /// Publishes the live elements: expired dates are dropped, and additions of enough reports are
    /// published.
    fn publish(&mut self, now: u64) -> Checked<Publication> {
        // Finishes what a crash or a full disk cut short, then goes on from there.
        let publisher = self.place.resume()?;
        let publisher =
            publisher.unwrap_or_else(|| Publisher::new(PublisherSettings::default(), 1));
        let tick = publisher.last_tick().map_or(1, |last| last + 1);
        let version = Version { series: publisher.series(), tick };
        self.live.tick(version, now, &self.settings);
        let publication = publisher.publish_next(now, &self.live.days(), &self.keys)?;
        publication.write(&mut self.place)?;
        Ok(publication)
    }

    /// For back offices, not for phones.
    fn exact_match(&self, json: &[u8]) -> Checked<Response> {
        let request = Request::from_json(json)?;
        Ok(request.answer(|date, element| self.live.is_published(date, element)))
    }
}

fn main() -> Checked<()> {
    let folder = tempfile::tempdir()?;
    let open = |name| Folder::open(folder.path().join(name));
    let date: Date = "2026-01-05".parse()?;
    let now = date.end() + 2 * 3600; // A date waits two hours before it is published.

    // In production: 32 random bytes each, kept secret.
    let (secret, filler) = ([1; 32], FillerKey::new([2; 32]));
    let mut backend = Backend {
        live: Live::new(filler),
        settings: LiveSettings { min_reports: 2, ..LiveSettings::default() },
        keys: Keys::from_secret(secret, now + 90 * DAY_SECONDS),
        place: FolderPlace::new(open("public")?, open("own")?),
    };

    // Two reports: enough for both to be published.
    let (one, two) = (Element::from(*b"identifier one.."), Element::from(*b"identifier two.."));
    backend.live.add(1, now, [(date, one)])?;
    backend.live.add(2, now, [(date, two)])?;
    println!("tick 1: {} files", backend.publish(now)?.files.len());

    // The second report was a mistake.
    backend.live.retract(2);
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

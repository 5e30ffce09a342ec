//! Published files in a bucket that several servers share, and storage that fails: nothing wrong goes out, and
//! nothing goes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::common::s3::{TestBucket, variables};
use crate::common::s3_proxy::{Fate, Proxy};
use crate::common::wait::until_async;
use crate::common::{HOUR, Ledger, raw};
use crate::kinds::exports::{exports_policy, key};
use gcs_core::Version;
use gcs_core::files::{Cache, Manifest, Path};
use gcs_server::domain::events::Act;
use gcs_server::domain::judge::{self, Selection};
use gcs_server::domain::policy::Policy;
use gcs_server::node::PublicationInput;
use gcs_server::publishing::{
    Files, LocalFolder, Outbox, PublicationBuilder, Published, Publishing, PublishingError, Worker,
    mime,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A log whose ticks are published one after the other.
struct History {
    ledger: Ledger,
    builder: PublicationBuilder,
    serial: u32,
}

impl History {
    fn new() -> History {
        History::seeded(1)
    }

    fn seeded(seed: u64) -> History {
        // No date outgrows its plan.
        let policy = Policy { expected_per_date: 10_000, ..exports_policy() };
        let mut ledger = Ledger::seeded(seed, &policy);
        ledger.open(100, 365);
        let builder = PublicationBuilder::new(&ledger.keys, None);
        History { ledger, builder, serial: 0 }
    }

    fn input(&self) -> PublicationInput {
        PublicationInput::of_last(&self.ledger.state).unwrap()
    }

    /// A tick an hour later, and what is written for it.
    fn tick(&mut self) -> Outbox {
        self.ledger.now += HOUR;
        self.ledger.tick();
        let mut outbox = Outbox::default();
        self.builder.build(&self.input(), &mut outbox).unwrap();
        outbox
    }

    /// The same, after a report of some elements.
    fn live(&mut self, elements: &[u64]) -> Outbox {
        let mut items: Vec<_> = elements.iter().map(|element| raw(2, *element)).collect();
        items.push(key(2, self.serial as u8));
        self.ledger.report(self.serial, &items);
        self.serial += 1;
        self.tick()
    }

    /// So many ticks, each after a report of its own.
    fn days(&mut self, ticks: u64) -> Vec<Outbox> {
        (0..ticks).map(|number| self.live(&[number * 10, number * 10 + 1])).collect()
    }

    /// Takes back the report of a code.
    fn retract(&mut self, serial: u32) {
        let code = Some(self.ledger.code(serial).to_string());
        let select = Selection { code, ..Selection::default() };
        let position = self.ledger.state.position;
        let act = Act::Retract;
        self.ledger
            .act(|state, keys, _| judge::correct(state, keys, act, &select, position))
            .unwrap();
    }

    /// A server of this log that publishes to some files.
    fn server(&self, files: Files) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let publishing = self.publishing(files, &folder);
        Server { publishing, _folder: folder }
    }

    fn publishing(&self, files: Files, folder: &TempDir) -> Publishing {
        let private = LocalFolder::at(folder.path()).unwrap();
        Publishing::new(files, private, self.ledger.keys.root(), 1 << 20)
    }
}

/// What a server publishes with, and its folder.
struct Server {
    publishing: Publishing,
    _folder: TempDir,
}

impl Server {
    /// Goes on by itself, and looks at published files without a pause.
    fn work(
        &self,
        history: &History,
        start: Outbox,
        inputs: mpsc::Receiver<PublicationInput>,
    ) -> (JoinHandle<()>, watch::Receiver<Option<Published>>) {
        let publisher = start.plan().publisher().cloned();
        let builder = PublicationBuilder::new(&history.ledger.keys, publisher);
        let (sender, published) = watch::channel(None);
        let worker = Worker::new(self.publishing.clone(), Some(builder), sender, None);
        let worker = worker.with_pause(Duration::from_millis(10));
        (tokio::spawn(worker.run(start, false, inputs)), published)
    }

    async fn write(&self, outbox: &Outbox) {
        self.publishing.write_from_start(outbox).await.unwrap();
    }
}

/// Every file below a folder, by its path.
fn files_in(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    crate::common::home::files(folder)
}

/// The same files in a folder of its own, written by a server that never fails.
async fn expected(history: &History, outboxes: &[Outbox]) -> BTreeMap<String, Vec<u8>> {
    let public = tempfile::tempdir().unwrap();
    let server = history.server(Files::local(public.path()).unwrap());
    for outbox in outboxes {
        server.write(outbox).await;
    }
    files_in(public.path())
}

fn version(manifest: &[u8]) -> Version {
    let manifest = Manifest::verify_file(manifest, &History::new().ledger.keys.root()).unwrap();
    Version { series: manifest.series, tick: manifest.tick }
}

/// The tick whose manifest is in a bucket.
fn tick_in(bucket: &TestBucket) -> u32 {
    version(&bucket.get("v1/manifest").body).tick
}

#[actix_web::test]
async fn a_bucket_has_the_same_files_as_a_folder_under_the_same_paths() {
    for prefix in ["", "health/files"] {
        let Some(bucket) = TestBucket::new(prefix) else { return };
        let mut history = History::new();
        let outboxes = history.days(5);
        let server = history.server(bucket.files(bucket.server));
        for outbox in &outboxes {
            server.write(outbox).await;
        }
        let contents = bucket.contents();
        for folder in ["v1/seeds/", "v1/exports/"] {
            assert!(
                contents.keys().filter(|name| name.starts_with(folder)).count() > 3,
                "{folder}"
            );
        }
        assert_eq!(contents, expected(&history, &outboxes).await);
        // What the server itself answers with.
        for name in contents.keys() {
            let (path, object): (Path, _) = (format!("/{name}").parse().unwrap(), bucket.get(name));
            assert_eq!(object.header("cache-control"), Cache::of(&path).header(), "{name}");
            assert_eq!(object.header("content-type"), mime(&path), "{name}");
        }
    }
}

#[actix_web::test]
async fn writing_again_changes_nothing() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let outboxes = history.days(2);
    let (files, proxy) = bucket.behind_proxy();
    let server = history.server(files);
    for outbox in &outboxes {
        server.write(outbox).await;
    }
    proxy.script(
        |request, _| {
            if request.starts_with("PUT") { Fate::Error(500) } else { Fate::Pass }
        },
    );
    server.write(&outboxes[1]).await;
}

/// A server is held up in the middle of its work, for as long as it takes another to publish more.
#[actix_web::test]
async fn a_server_that_was_held_up_puts_no_older_manifest_in_the_place_of_a_newer_one() {
    // Its look at the manifest, and the write that follows from that.
    for held_at in ["GET", "PUT"] {
        let Some(bucket) = TestBucket::new("") else { return };
        let mut history = History::new();
        let outboxes = Arc::new(history.days(6));
        let quick = history.server(bucket.files(bucket.server));
        let (files, proxy) = bucket.behind_proxy();
        let slow = history.server(files);
        slow.write(&outboxes[0]).await;
        let nth = if held_at == "GET" { 2 } else { 1 };
        let mut held = proxy.hold(nth, format!("{held_at} /{}/v1/manifest ", bucket.name));
        let (publishing, second) = (slow.publishing.clone(), Arc::clone(&outboxes));
        let writing = tokio::spawn(async move { publishing.write(&second[1]).await });
        held.has_come().await;
        for outbox in &outboxes[1..] {
            quick.write(outbox).await;
        }
        let before = bucket.contents();
        drop(held);
        writing.await.unwrap().unwrap();
        assert_eq!(tick_in(&bucket), 6, "{held_at}");
        assert_eq!(bucket.contents(), before, "{held_at}");
        // It goes on like the other.
        for outbox in &outboxes[2..] {
            slow.write(outbox).await;
        }
        assert_eq!(bucket.contents(), expected(&history, &outboxes).await, "{held_at}");
    }
}

/// The same for the list of exports, which has no number.
#[actix_web::test]
async fn a_server_that_was_held_up_puts_no_older_list_of_exports_in_the_place_of_a_newer_one() {
    let index = "v1/exports/index.txt";
    for (held_at, nth) in [("GET", 1), ("PUT", 1), ("GET", 2)] {
        let Some(bucket) = TestBucket::new("") else { return };
        let mut history = History::new();
        let outboxes: Vec<Outbox> = (0..5)
            .map(|number| {
                history.ledger.now += 3 * HOUR;
                history.live(&[number])
            })
            .collect();
        let outboxes = Arc::new(outboxes);
        let quick = history.server(bucket.files(bucket.server));
        let (files, proxy) = bucket.behind_proxy();
        let slow = history.server(files);
        slow.write(&outboxes[0]).await;
        let first = bucket.get(index).body;
        let mut held = proxy.hold(nth, format!("{held_at} /{}/{index} ", bucket.name));
        let (publishing, second) = (slow.publishing.clone(), Arc::clone(&outboxes));
        let writing = tokio::spawn(async move { publishing.write(&second[1]).await });
        held.has_come().await;
        for outbox in &outboxes[1..] {
            quick.write(outbox).await;
        }
        let before = bucket.contents();
        assert_eq!(before[index].len(), 5 * first.len(), "every publication has exports");
        drop(held);
        writing.await.unwrap().unwrap();
        assert_eq!(bucket.contents(), before, "{held_at} {nth}");
        // It serves what it has published itself, until it has gone on like the other.
        let served =
            |server: &Server| server.publishing.shelf.in_memory(&format!("/{index}")).unwrap();
        assert_eq!(served(&slow).length(), 2 * first.len() as u64);
        for outbox in &outboxes[2..] {
            slow.write(outbox).await;
        }
        assert_eq!(served(&slow).etag(), served(&quick).etag());
        assert_eq!(bucket.contents(), expected(&history, &outboxes).await, "{held_at} {nth}");
    }
}

/// The check records of a date change and change back, after they were due for deletion.
fn there_and_back(history: &mut History) -> Arc<Vec<Outbox>> {
    let mut outboxes = vec![history.live(&[1, 2]), history.live(&[3]), history.tick()];
    history.retract(1);
    outboxes.push(history.tick());
    let has =
        |outbox: &Outbox, due: &str| outbox.plan().files().any(|(path, _)| path.to_string() == due);
    let is_due = |due: &&Path| has(&outboxes[3], &due.to_string());
    let due = outboxes[2].plan().deletions().find(is_due);
    assert!(due.is_some(), "the last tick needs nothing again that was due before");
    Arc::new(outboxes)
}

#[actix_web::test]
async fn a_server_that_was_held_up_deletes_nothing_that_a_newer_publication_needs() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let outboxes = there_and_back(&mut history);
    let quick = history.server(bucket.files(bucket.server));
    let (files, proxy) = bucket.behind_proxy();
    let slow = history.server(files);
    for outbox in &outboxes[..2] {
        slow.write(outbox).await;
    }
    let mut held = proxy.hold(1, format!("PUT /{}/v1/manifest ", bucket.name));
    let (publishing, third) = (slow.publishing.clone(), Arc::clone(&outboxes));
    let writing = tokio::spawn(async move { publishing.write(&third[2]).await });
    held.has_come().await;
    for outbox in &outboxes[2..] {
        quick.write(outbox).await;
    }
    drop(held);
    writing.await.unwrap().unwrap();
    assert_eq!(bucket.contents(), expected(&history, &outboxes).await);
}

/// The server is held up between its last look and the request that deletes. Nothing can keep it from that;
/// the other puts back what it needs.
#[actix_web::test]
async fn what_a_server_deletes_too_late_is_put_back() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let outboxes = there_and_back(&mut history);
    let quick = history.server(bucket.files(bucket.server));
    let (files, proxy) = bucket.behind_proxy();
    let slow = history.server(files);
    for outbox in &outboxes[..2] {
        slow.write(outbox).await;
    }
    let mut held = proxy.hold(1, format!("POST /{}?delete ", bucket.name));
    let (publishing, third) = (slow.publishing.clone(), Arc::clone(&outboxes));
    let writing = tokio::spawn(async move { publishing.write(&third[2]).await });
    held.has_come().await;
    for outbox in &outboxes[2..] {
        quick.write(outbox).await;
    }
    let whole = bucket.contents();
    drop(held);
    writing.await.unwrap().unwrap();
    assert_ne!(bucket.contents(), whole, "nothing was deleted too late");
    let (_inputs, inputs) = mpsc::channel(1);
    let (work, _) = quick.work(&history, Outbox::default(), inputs);
    until(|| bucket.contents() == whole).await;
    work.abort();
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    until_async("something of a bucket", async || is_so()).await;
}

#[actix_web::test]
async fn whatever_is_changed_in_a_bucket_is_put_right() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let outboxes = history.days(3);
    let server = history.server(bucket.files(bucket.server));
    for outbox in &outboxes {
        server.write(outbox).await;
    }
    let whole = bucket.contents();
    let (_inputs, inputs) = mpsc::channel(1);
    let (work, _) = server.work(&history, Outbox::default(), inputs);
    for (name, bytes) in &whole {
        // Kept manifests are not in memory, and this server has no log to compute them from.
        if name.starts_with("v1/manifests/") {
            continue;
        }
        let mut wrong = bytes.clone();
        wrong[0] ^= 1;
        bucket.put(name, &wrong);
        until(|| bucket.get(name).body == *bytes).await;
        bucket.delete(name);
        until(|| bucket.get(name).body == *bytes).await;
    }
    // An older manifest, as from storage that knows no conditions.
    bucket.put("v1/manifest", &whole["v1/manifests/1-2"]);
    until(|| bucket.get("v1/manifest").body == whole["v1/manifest"]).await;
    assert_eq!(bucket.contents(), whole);
    work.abort();
}

#[actix_web::test]
async fn a_newer_manifest_is_left_alone_by_whoever_looks() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let outboxes = history.days(4);
    let [slow, quick] = [0, 1].map(|_| history.server(bucket.files(bucket.server)));
    slow.write(&outboxes[0]).await;
    let (files, proxy) = bucket.behind_proxy();
    let looking = history.server(files);
    looking.write(&outboxes[0]).await;
    for outbox in &outboxes {
        quick.write(outbox).await;
    }
    let newest = bucket.contents();
    // Its own files are gone or superseded, and it does not mind.
    let (_inputs, inputs) = mpsc::channel(1);
    let (work, _) = looking.work(&history, Outbox::default(), inputs);
    until(|| proxy.seen() > 200).await;
    assert_eq!(bucket.contents(), newest);
    work.abort();
}

/// Others have published, and deleted what was due, while this one was off.
#[actix_web::test]
async fn a_server_that_was_off_goes_on_from_where_it_was() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let outboxes = history.days(6);
    let (files, folder) = (bucket.files(bucket.server), tempfile::tempdir().unwrap());
    let before = history.publishing(files.clone(), &folder);
    before.write(&outboxes[0]).await.unwrap();
    let other = history.server(files.clone());
    for outbox in &outboxes {
        other.write(outbox).await;
    }
    let again = history.publishing(files, &folder);
    let saved = again.saved().await.unwrap().expect("nothing has to be computed again");
    assert_eq!(saved.position().unwrap().version.tick, 1);
    assert!(again.published(&saved).await.unwrap().is_some());
    // It has what the others have published.
    let served = again.shelf.find("/v1/manifest").await.unwrap().unwrap();
    let memory = served.memory().unwrap().read(0..served.length()).unwrap();
    assert_eq!(version(&memory).tick, 6);
    assert_eq!(again.shelf.unmended(), []);
    for name in bucket.contents().keys() {
        assert!(again.shelf.find(&format!("/{name}")).await.unwrap().is_some(), "{name}");
    }
    // What was left to do of its publication goes back nowhere.
    again.write(&saved).await.unwrap();
    assert_eq!(bucket.contents(), expected(&history, &outboxes).await);
}

#[actix_web::test]
async fn the_files_of_another_deployment_are_not_overwritten() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    history.server(bucket.files(bucket.server)).write(&history.tick()).await;
    let before = bucket.contents();
    let mut other = History::seeded(2);
    let outboxes = other.days(3);
    let server = other.server(bucket.files(bucket.server));
    for outbox in &outboxes {
        let refused = server.publishing.write(outbox).await.unwrap_err();
        assert!(matches!(refused, PublishingError::Foreign(_)), "{refused}");
        assert!(refused.to_string().contains(&format!("s3://{}", bucket.name)), "{refused}");
        assert_eq!(bucket.contents(), before);
    }
}

/// Storage that knows no conditions, as its operator says.
#[actix_web::test]
async fn without_conditions_the_same_is_published() {
    let Some(bucket) = TestBucket::new("") else { return };
    let (mut history, proxy) = (History::new(), Proxy::to(bucket.server));
    let outboxes = history.days(3);
    let disabled = [("AWS_CONDITIONAL_PUT".to_owned(), "disabled".to_owned())];
    let variables = variables(proxy.address).into_iter().chain(disabled);
    let server = history.server(Files::in_bucket(&bucket.url(), variables).unwrap());
    for outbox in &outboxes {
        server.write(outbox).await;
    }
    assert_eq!(bucket.contents(), expected(&history, &outboxes).await);
}

/// From each request on, the storage fails in some way. Then phones that read the bucket see one publication or
/// the other, whole; the server announces the second only when it is out; and once the storage works again, all
/// is as it should be.
#[actix_web::test]
async fn wherever_storage_fails_the_publication_before_stays_whole() {
    let Some(_) = TestBucket::new("") else { return };
    let fates = [Fate::Error(500), Fate::Error(403), Fate::Cut, Fate::Half, Fate::Feign, Fate::Lie];
    let mut history = History::new();
    let outboxes = history.days(2);
    let wanted = expected(&history, &outboxes).await;
    let mut failures = 0;
    for fate in fates {
        for from in (1..).step_by(4) {
            let bucket = TestBucket::new("").unwrap();
            let (files, proxy) = bucket.behind_proxy();
            let server = history.server(files);
            server.write(&outboxes[0]).await;
            let before = bucket.contents();
            let of = fate.clone();
            proxy.script(move |_, number| if number < from { Fate::Pass } else { of.clone() });
            let written = server.publishing.write(&outboxes[1]).await;
            let all = proxy.seen();
            let now = bucket.contents();
            let whole = if tick_in(&bucket) == 1 { &before } else { &wanted };
            assert!(
                whole.iter().all(|(name, bytes)| now.get(name) == Some(bytes)),
                "{fate:?} {from}"
            );
            proxy.always(Fate::Pass);
            if written.is_ok() {
                assert!(all < from, "{fate:?} {from}: a failure was not noticed");
                break;
            }
            failures += 1;
            assert_eq!(
                server.publishing.shelf.in_memory("/v1/manifest").unwrap().length(),
                before["v1/manifest"].len() as u64
            );
            server.write(&outboxes[1]).await;
            assert_eq!(bucket.contents(), wanted, "{fate:?} {from}");
            assert_eq!(server.publishing.shelf.trouble(), None);
        }
    }
    assert!(failures > 25, "{failures}");
}

/// The log goes on by another server's work while this one's storage is away.
#[actix_web::test]
async fn publications_that_come_while_storage_is_away_are_taken_and_written_later() {
    let Some(bucket) = TestBucket::new("") else { return };
    let mut history = History::new();
    let first = history.tick();
    let (files, proxy) = bucket.behind_proxy();
    let server = history.server(files);
    proxy.always(Fate::Error(503));
    let (sender, inputs) = mpsc::channel(1);
    let (work, mut published) = server.work(&history, first, inputs);
    for number in 0..7 {
        history.live(&[number]);
        // It does not wait for the storage.
        sender.send(history.input()).await.unwrap();
    }
    until(|| server.publishing.shelf.trouble().is_some()).await;
    assert!(published.borrow().is_none());
    let trouble = server.publishing.shelf.trouble().unwrap();
    assert!(trouble.contains(&bucket.name) && trouble.contains("503"), "{trouble}");
    proxy.always(Fate::Pass);
    let is_out = |published: &Option<Published>| {
        published.as_ref().is_some_and(|published| published.position.version.tick == 8)
    };
    published.wait_for(is_out).await.unwrap();
    assert_eq!(tick_in(&bucket), 8);
    assert_eq!(server.publishing.shelf.trouble(), None);
    work.abort();
}

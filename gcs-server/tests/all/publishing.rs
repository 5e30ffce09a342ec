//! Publishing to a folder: the same files everywhere, or nothing new.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::home::{Home, Running, difference, files};
use crate::common::world::{Client, hasty, serve};
use crate::common::{HOUR, Ledger, policy, raw};
use crate::kinds::exports::{INTERVAL, exports_policy, key};
use gcs_core::Version;
use gcs_core::sync::ClientSettings;
use gcs_server::app::{CaughtUp, catch_up};
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::publishing::{Files, LocalFolder, Outbox, Publishing, PublishingError};

/// Some reports, and a tick at the end of an hour or so.
async fn live(home: &Home, running: &Running, number: u32) {
    let date = 2 + u64::from(number) / 24;
    for serial in 0..3 {
        let element = u64::from(number + serial);
        running
            .report(number * 3 + serial, &[raw(date, element), raw(date - 1, element)])
            .await
            .unwrap();
    }
    home.pass(HOUR + u64::from(number));
    running.tick().await;
}

#[actix_web::test]
async fn two_servers_with_one_log_and_one_key_file_publish_the_same_bytes() {
    let home = Home::new();
    let mut running = home.begin().await;
    running.set_policy(Policy { min_reports: 5, max_hold: 2 * HOUR, ..policy() }).await;
    let mut copies = Vec::new();
    for number in 0..30 {
        live(&home, &running, number).await;
        if number % 7 == 3 {
            running.stop().await;
            copies.push(home.copy());
            running = home.start().await;
        }
    }
    running.stop().await;
    let public = home.public();
    // One that has only the log and the keys; ones that went away at some time.
    let fresh = Home::new();
    fs::copy(home.path("keys.json"), fresh.path("keys.json")).unwrap();
    fs::copy(home.path("log.sqlite"), fresh.path("log.sqlite")).unwrap();
    fresh.rebuild();
    copies.push(fresh);
    for copy in copies {
        fs::copy(home.path("log.sqlite"), copy.path("log.sqlite")).unwrap();
        copy.set(home.now());
        let running = copy.start().await;
        running.settle().await;
        assert_eq!(difference(&copy.public(), &public), Vec::<String>::new());
        assert_eq!(files(&copy.path("private")), files(&home.path("private")));
        running.stop().await;
    }
}

#[actix_web::test]
async fn a_phone_follows_a_server_over_days() {
    let home = Home::new();
    let running = home.begin().await;
    let root = running.service().keys.root();
    let client = || Client { settings: hasty(ClientSettings::new(root)), ..Client::new() };
    let (mut quick, mut daily) = (client(), client());
    for number in 0..50 {
        live(&home, &running, number).await;
        let (now, files) = (home.now(), home.served());
        let mut outcome = quick.wake_with(now, |path, part| serve(&files, path, part));
        if number % 24 == 0 {
            outcome = daily.wake_with(now, |path, part| serve(&files, path, part));
            assert!(outcome.up_to_date, "{outcome:?}");
        }
        assert!(outcome.error.is_none() && outcome.incidents.is_empty(), "{outcome:?}");
    }
    running.stop().await;
}

/// What a start on this log writes, after what was saved.
fn ledger_outbox(ledger: &Ledger, saved: Outbox) -> Outbox {
    catch_up(&mut ledger.store.clone(), &ledger.keys, saved).unwrap().outbox
}

/// A log of two ticks, the publishing of a folder, and what both ticks give.
struct Desk {
    ledger: Ledger,
    home: Home,
    publishing: Publishing,
    outboxes: [Outbox; 2],
}

impl Desk {
    fn new() -> Desk {
        Desk::with(2)
    }

    /// With an element of its own in the second tick.
    fn with(own: u64) -> Desk {
        let home = Home::new();
        let mut ledger = Ledger::with_codes(&exports_policy(), 10);
        ledger.report(0, &[raw(1, 1), raw(2, 1), key(2, 1)]);
        ledger.tick();
        let first = ledger_outbox(&ledger, Outbox::default());
        let publisher = first.plan().publisher().unwrap().clone();
        let saved = Outbox::resume(publisher, first.position().unwrap());
        ledger.report(1, &[raw(2, own), key(2, 2)]);
        ledger.now += INTERVAL;
        ledger.tick();
        let second = ledger_outbox(&ledger, saved);
        let publishing = publishing(&home, &ledger);
        Desk { ledger, home, publishing, outboxes: [first, second] }
    }

    /// What a server publishes with that starts in the same folder.
    fn again(&self) -> Publishing {
        publishing(&self.home, &self.ledger)
    }
}

fn publishing(home: &Home, ledger: &Ledger) -> Publishing {
    let public = Files::local(&home.path("public")).unwrap();
    let private = LocalFolder::at(&home.path("private")).unwrap();
    Publishing::new(public, private, ledger.keys.root(), 1 << 20)
}

#[test]
fn what_a_kill_left_of_files_is_gone_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("v1/sets")).unwrap();
    for name in ["v1/manifest#1", "v1/sets/a#20", "v1/sets/b", "v1/sets/c#", "v1/d#1e"] {
        fs::write(at(name), name).unwrap();
    }
    Files::local(folder.path()).unwrap();
    let is_there = |name| at(name).exists();
    assert!(!is_there("v1/manifest#1") && !is_there("v1/sets/a#20"));
    assert!(["v1/sets/b", "v1/sets/c#", "v1/d#1e"].into_iter().all(is_there));
}

/// The manifest of the second tick that another server with the same keys has published.
fn its_manifest() -> Vec<u8> {
    Desk::with(3).outboxes[1].plan().manifest().unwrap().to_vec()
}

/// Makes every write below a folder fail, which no permission does for root: it is a file
/// until `mend`.
fn break_folder(folder: &Path) {
    fs::rename(folder, folder.with_extension("away")).unwrap();
    fs::write(folder, "in the way").unwrap();
}

fn mend(folder: &Path) {
    fs::remove_file(folder).unwrap();
    fs::rename(folder.with_extension("away"), folder).unwrap();
}

#[actix_web::test]
async fn wherever_writing_fails_phones_see_the_publication_before() {
    let whole = Desk::new();
    for outbox in &whole.outboxes {
        whole.publishing.write(outbox).await.unwrap();
    }
    let names = ["index", "sets", "bundles", "checks", "seeds", "exports", "manifests"];
    let names = names.map(|name| format!("public/v1/{name}"));
    for broken in names.iter().map(String::as_str).chain(["private"]) {
        let desk = Desk::new();
        desk.publishing.write(&desk.outboxes[0]).await.unwrap();
        let before = desk.home.contents();
        fs::create_dir_all(desk.home.path(broken)).unwrap();
        break_folder(&desk.home.path(broken));
        let failed = desk.publishing.write(&desk.outboxes[1]).await;
        assert!(matches!(failed, Err(PublishingError::Files(_))), "{broken}: {failed:?}");
        mend(&desk.home.path(broken));
        let now = desk.home.contents();
        // Every file of before is there as it was, the manifest among them.
        assert!(before.iter().all(|(name, bytes)| now.get(name) == Some(bytes)), "{broken}");
        let wait = desk.publishing.saved().await.unwrap();
        let tick = wait.unwrap().position().unwrap().version.tick;
        assert_eq!(tick, 1, "{broken}");
        desk.publishing.write(&desk.outboxes[1]).await.unwrap();
        desk.publishing.write(&desk.outboxes[1]).await.unwrap();
        assert_ne!(desk.home.manifest(), before["public/v1/manifest"]);
        let saved = desk.publishing.saved().await.unwrap().unwrap();
        assert_eq!(saved.position().unwrap().version, Version { series: 1, tick: 2 });
        assert_eq!(desk.home.contents().len(), whole.home.contents().len());
    }
}

#[actix_web::test]
async fn a_tick_that_cannot_be_written_is_retried_with_the_same_bytes() {
    let home = Home::new();
    let running = home.begin().await;
    live(&home, &running, 0).await;
    running.report(10, &[raw(2, 100)]).await.unwrap();
    let manifest = home.manifest();
    break_folder(&home.path("public/v1/index"));
    home.pass(HOUR);
    let service = running.service().clone();
    let pending = service.tick();
    // The only time that a test waits for: whether something is *not* out cannot be awaited.
    let mut pending = Box::pin(pending);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut pending).await.is_err());
    assert_eq!(home.manifest(), manifest);
    assert_eq!(running.service().version(), Some(Version { series: 1, tick: 1 }));
    let refused = running.service().tick().await.unwrap_err();
    assert!(matches!(refused, Problem::TickPending { tick: 2 }));
    // Reports are accepted all the while, and are none of its business.
    running.report(11, &[raw(2, 101)]).await.unwrap();
    mend(&home.path("public/v1/index"));
    assert_eq!(pending.await.unwrap(), Version { series: 1, tick: 2 });
    drop(service);
    assert_ne!(home.manifest(), manifest);
    running.stop().await;
    let public = home.public();
    fs::remove_dir_all(home.path("public")).unwrap();
    let running = home.start().await;
    running.settle().await;
    assert_eq!(difference(&home.public(), &public), Vec::<String>::new());
    running.stop().await;
}

/// Nodes write the files of a tick at the same time, and must not all be taken for broken then.
#[actix_web::test]
async fn a_server_is_ready_while_it_writes_the_files_of_a_tick_unless_that_takes_long() {
    let home = Home::new();
    let running = home.begin().await;
    live(&home, &running, 0).await;
    running.service().readiness().unwrap();
    break_folder(&home.path("public/v1/manifests"));
    home.pass(900);
    running.report(10, &[raw(2, 100)]).await.unwrap();
    let keys = running.service().keys.clone();
    let node = running.service().node.clone();
    node.act(move |state, now| gcs_server::domain::judge::tick(state, &keys, now)).await.unwrap();
    drop(node);
    running.service().readiness().unwrap();
    home.pass(29);
    running.service().readiness().unwrap();
    home.pass(1);
    let said = running.service().readiness().unwrap_err().to_string();
    assert!(said.contains("tick 2 is made and not published"), "{said}");
    mend(&home.path("public/v1/manifests"));
    running.settle().await;
    running.service().readiness().unwrap();
    running.stop().await;
}

#[actix_web::test]
async fn a_stop_while_a_tick_cannot_be_written_leaves_it_to_the_next_start() {
    let home = Home::new();
    let running = home.begin().await;
    live(&home, &running, 0).await;
    let manifest = home.manifest();
    break_folder(&home.path("public/v1/manifests"));
    home.pass(HOUR);
    running.report(10, &[raw(2, 100)]).await.unwrap();
    let keys = running.service().keys.clone();
    let node = running.service().node.clone();
    node.act(move |state, now| gcs_server::domain::judge::tick(state, &keys, now)).await.unwrap();
    drop(node);
    let copy = home.copy();
    mend(&home.path("public/v1/manifests"));
    running.settle().await;
    running.stop().await;
    assert_eq!(fs::read(copy.path("public/v1/manifest")).unwrap(), manifest);
    fs::remove_file(copy.path("public/v1/manifests")).unwrap();
    fs::rename(copy.path("public/v1/manifests.away"), copy.path("public/v1/manifests")).unwrap();
    let again = copy.start().await;
    again.settle().await;
    assert_eq!(difference(&copy.public(), &home.public()), Vec::<String>::new());
    again.stop().await;
}

/// The list of exports under its other name comes last: it is right after the next start, and nobody gets another one
/// before.
#[actix_web::test]
async fn a_list_of_exports_that_a_crash_kept_from_being_replaced_is_replaced_then() {
    let desk = Desk::new();
    let index = desk.home.path("public/v1/exports/index.txt");
    desk.publishing.write(&desk.outboxes[0]).await.unwrap();
    let before = fs::read(&index).unwrap();
    desk.publishing.write(&desk.outboxes[1]).await.unwrap();
    let whole = desk.home.contents();
    assert_ne!(fs::read(&index).unwrap(), before);
    for left in [Some(&before), None] {
        match left {
            Some(before) => fs::write(&index, before).unwrap(),
            None => fs::remove_file(&index).unwrap(),
        }
        let publishing = desk.again();
        // Nothing is computed again for that.
        let saved = publishing.saved().await.unwrap().unwrap();
        assert_eq!(saved.position(), desk.outboxes[1].position());
        let found = publishing.shelf.find("/v1/exports/index.txt").await;
        assert!(!matches!(found, Ok(Some(_))), "{found:?}");
        publishing.write(&saved).await.unwrap();
        assert_eq!(difference(&desk.home.contents(), &whole), Vec::<String>::new());
        let found = publishing.shelf.find("/v1/exports/index.txt").await.unwrap().unwrap();
        assert_eq!(found.length(), 2 * before.len() as u64);
    }
}

/// Everything of the second tick is written but its manifests, as a crash right after the publisher
/// was saved leaves it: the next start computes nothing again.
#[actix_web::test]
async fn a_publication_that_a_crash_cut_short_is_finished_and_not_computed_again() {
    let desk = Desk::new();
    for outbox in &desk.outboxes {
        desk.publishing.write(outbox).await.unwrap();
    }
    let whole = desk.home.contents();
    fs::remove_file(desk.home.path("public/v1/manifests/1-2")).unwrap();
    fs::write(desk.home.path("public/v1/manifest"), &whole["public/v1/manifests/1-1"]).unwrap();

    let saved = desk.publishing.saved().await.unwrap().unwrap();
    // Nobody may see it before its manifest is out.
    assert!(desk.publishing.published(&saved).await.unwrap().is_none());
    let Ledger { store, keys, .. } = &desk.ledger;
    let CaughtUp { outbox, ticks, .. } = catch_up(&mut store.clone(), keys, saved).unwrap();
    assert_eq!(ticks, 0);
    desk.publishing.write(&outbox).await.unwrap();
    assert_eq!(difference(&desk.home.contents(), &whole), Vec::<String>::new());
    let published = desk.publishing.published(&outbox).await.unwrap().unwrap();
    assert_eq!(published.manifest, whole["public/v1/manifest"]);

    // Another server published meanwhile: ours is not shown, and nothing is overwritten.
    fs::write(desk.home.path("public/v1/manifests/1-2"), its_manifest()).unwrap();
    let before = desk.home.contents();
    assert!(desk.publishing.published(&outbox).await.unwrap().is_none());
    let stopped = desk.publishing.write(&outbox).await.unwrap_err();
    assert!(matches!(stopped, PublishingError::Equivocation { .. }), "{stopped}");
    assert_eq!(difference(&desk.home.contents(), &before), Vec::<String>::new());
}

#[actix_web::test]
async fn another_manifest_of_the_same_number_stops_publishing_before_anything_is_overwritten() {
    let desk = Desk::new();
    desk.publishing.write(&desk.outboxes[0]).await.unwrap();
    // Another server was faster: its tick 2 is out, with its bundle.
    fs::write(desk.home.path("public/v1/manifests/1-2"), its_manifest()).unwrap();
    fs::create_dir_all(desk.home.path("public/v1/bundles/1")).unwrap();
    fs::write(desk.home.path("public/v1/bundles/1/1-2"), "its bundle").unwrap();
    let before = desk.home.contents();
    for _ in 0..2 {
        let stopped = desk.publishing.write(&desk.outboxes[1]).await.unwrap_err();
        assert!(matches!(stopped, PublishingError::Equivocation { .. }), "{stopped}");
        let said = stopped.to_string();
        assert!(said.contains("/v1/manifests/1-2") && said.contains("recover"), "{said}");
        assert_eq!(difference(&desk.home.contents(), &before), Vec::<String>::new());
    }
    // The very same bytes are no other manifest.
    fs::remove_file(desk.home.path("public/v1/manifests/1-2")).unwrap();
    desk.publishing.write(&desk.outboxes[1]).await.unwrap();
    desk.publishing.write(&desk.outboxes[1]).await.unwrap();
    assert_eq!(desk.ledger.state.last_tick.unwrap().version.tick, 2);
}

/// What no key has signed is no other server's manifest.
#[actix_web::test]
async fn a_damaged_manifest_is_written_again_and_is_not_taken_for_another() {
    let desk = Desk::new();
    for outbox in &desk.outboxes {
        desk.publishing.write(outbox).await.unwrap();
    }
    let whole = desk.home.contents();
    let kept = desk.home.path("public/v1/manifests/1-2");
    let right = fs::read_to_string(&kept).unwrap();
    for damaged in ["", "x", &right[..right.len() / 2], &right.replace(':', ": ")] {
        fs::write(&kept, damaged).unwrap();
        let saved = desk.publishing.saved().await.unwrap().unwrap();
        assert!(desk.publishing.published(&saved).await.unwrap().is_some());
        desk.publishing.write(&saved).await.unwrap();
        assert_eq!(difference(&desk.home.contents(), &whole), Vec::<String>::new());
    }
}

#[actix_web::test]
async fn a_comparison_names_every_file_that_is_wrong() {
    let desk = Desk::new();
    desk.publishing.write(&desk.outboxes[0]).await.unwrap();
    let all = ledger_outbox(&desk.ledger, Outbox::default());
    desk.publishing.write(&all).await.unwrap();
    let good = desk.publishing.compare(&all).await.unwrap();
    let count = desk.home.public().len();
    assert_eq!(
        (good.equal, good.missing.len(), good.different.len()),
        (count - good.extra.len(), 0, 0)
    );
    for name in desk.home.public().keys() {
        let path = desk.home.path("public").join(name);
        let bytes = fs::read(&path).unwrap();
        let mut wrong = bytes.clone();
        wrong[0] ^= 1;
        fs::write(&path, wrong).unwrap();
        let found = desk.publishing.compare(&all).await.unwrap();
        let is_extra = good.extra.contains(&format!("/{name}"));
        assert_eq!(found.different.len(), usize::from(!is_extra), "{name}");
        fs::remove_file(&path).unwrap();
        let found = desk.publishing.compare(&all).await.unwrap();
        assert_eq!(found.missing.len(), usize::from(!is_extra), "{name}");
        fs::write(&path, bytes).unwrap();
    }
    fs::write(desk.home.path("public/v1/left-over"), "x").unwrap();
    let found = desk.publishing.compare(&all).await.unwrap();
    assert_eq!(found.extra.len(), good.extra.len() + 1);
}

//! Export files of a server: what phones make of them, and where else they are the same.

use std::fs;
use std::sync::Arc;

use gcs_core::DAY_SECONDS;
use gcs_core::files::{ExportList, Path};
use gcs_core::identifiers::gaen::export::{Export, ReportType};
use gcs_core::report::{Diagnosis, GaenKey, Item, Kinds};
use gcs_server::app::{catch_up, key_file};
use gcs_server::domain::events::Act;
use gcs_server::domain::judge::{self, Selection};
use gcs_server::domain::policy::{ExportPolicy, Policy};
use gcs_server::domain::state::State;
use gcs_server::publishing::Outbox;
use proptest::prelude::*;

use super::exports::{
    ExportPhone, INTERVAL, dates, exports, exports_policy, key, list, live_keys, public_key,
};
use super::seeds::seeds_policy;
use super::{gaen, interval};
use crate::common::api::ask;
use crate::common::home::{Home, Running, difference};
use crate::common::shelf::{Shelf, named};
use crate::common::world::Files;
use crate::common::{HOUR, Ledger, START, date, policy, submission};

/// A ledger that publishes every tick, and a phone that takes its export files.
struct Village {
    ledger: Ledger,
    shelf: Shelf,
    phone: ExportPhone,
    serial: u32,
    /// The slot of the last export.
    slot: Option<u64>,
}

impl Village {
    fn new(policy: &Policy) -> Village {
        let ledger = Ledger::with_codes(policy, 1000);
        let shelf = Shelf::new(&ledger.keys);
        Village { ledger, shelf, phone: ExportPhone::default(), serial: 0, slot: None }
    }

    fn today(&self) -> u64 {
        (self.ledger.now - START) / DAY_SECONDS
    }

    /// A report of keys, by how many days ago they were used, and their bytes.
    fn report(&mut self, keys: &[(u64, u8)]) -> u32 {
        self.report_of(Diagnosis::Confirmed, keys)
    }

    fn report_of(&mut self, diagnosis: Diagnosis, keys: &[(u64, u8)]) -> u32 {
        let today = self.today();
        let item = |(ago, byte): &(u64, u8)| {
            let key = gaen(interval(date(today.saturating_sub(*ago)), 0), 144, *byte);
            Item::Gaen(GaenKey { diagnosis, ..key })
        };
        let items: Vec<Item> = keys.iter().map(item).collect();
        let code = self.ledger.code(self.serial);
        self.serial += u32::from(self.ledger.submit(&submission(code, &items)).is_ok());
        self.serial - 1
    }

    fn correct(&mut self, act: Act, serial: u32) {
        let code = Some(self.ledger.code(serial).to_string());
        let select = Selection { code, ..Selection::default() };
        let position = self.ledger.state.position;
        self.ledger
            .act(|state, keys, _| judge::correct(state, keys, act, &select, position))
            .unwrap();
    }

    /// A publication after so many seconds. Gives how many files the phone took.
    fn tick(&mut self, seconds: u64) -> usize {
        self.ledger.now += seconds;
        self.ledger.tick();
        self.shelf.publish(&self.ledger);
        let (files, root) = (&self.shelf.files, self.ledger.keys.root());
        let taken = self.phone.take(files, &root, &public_key(&self.ledger.keys, &exports()));
        self.phone.forget(files, &root);
        let slot = self.slot.replace(self.ledger.now / INTERVAL);
        if slot == self.slot {
            assert_eq!(taken, 0, "no time of exports");
        } else {
            assert_eq!(self.phone.keys(), live_keys(&self.ledger.state, files));
        }
        // Nothing is named that is not there, nor of a date that is not published.
        let (list, dates) = (list(files, &root).unwrap(), dates(files, &root));
        assert!(list.paths().all(|path| files.contains_key(&path.to_string())));
        assert!(list.files.iter().all(|(date, _)| dates.contains(date)));
        taken
    }

    /// What a server gives that has nothing but the log and the keys.
    fn rebuilt(&self) -> Shelf {
        let (mut store, keys) = (self.ledger.store.clone(), &self.ledger.keys);
        let caught_up = catch_up(&mut store, keys, Outbox::default()).unwrap();
        let mut shelf = Shelf::new(keys);
        shelf.put(&caught_up.outbox);
        shelf
    }
}

#[derive(Clone, Debug)]
enum Step {
    Report(Diagnosis, Vec<(u64, u8)>),
    Correct(Act, u32),
    Tick(u64),
    Series,
}

fn any_step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    let diagnosis = prop_oneof![Just(Diagnosis::Likely), Just(Diagnosis::Confirmed)];
    prop_oneof![
        6 => (diagnosis, prop::collection::vec((0..5u64, 0..12u8), 1..6))
            .prop_map(|(diagnosis, keys)| Step::Report(diagnosis, keys)),
        4 => (act, any::<u32>()).prop_map(|(act, serial)| Step::Correct(act, serial)),
        8 => (0..DAY_SECONDS).prop_map(Step::Tick),
        1 => Just(Step::Series),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn phones_have_exactly_the_keys_that_are_published(
        steps in prop::collection::vec(any_step(), 1..50),
        min_reports in 1..3u32,
    ) {
        let policy = Policy { retention_days: 4, min_reports, ..exports_policy() };
        let mut village = Village::new(&policy);
        for step in steps {
            match step {
                Step::Report(diagnosis, keys) => drop(village.report_of(diagnosis, &keys)),
                Step::Correct(act, serial) if village.serial > 0 => {
                    village.correct(act, serial % village.serial);
                }
                Step::Correct(..) => {}
                Step::Tick(seconds) => drop(village.tick(seconds)),
                Step::Series => {
                    village.ledger.act(|state, _, now| judge::start_series(state, now, true)).unwrap();
                }
            }
        }
        village.tick(900);
        let rebuilt = village.rebuilt();
        prop_assert_eq!(difference(&village.shelf.files, &rebuilt.files), Vec::<String>::new());
        prop_assert!(village.shelf.saved == rebuilt.saved, "another publisher");
    }
}

#[test]
fn what_was_a_mistake_is_revoked_at_the_next_time_and_nothing_when_it_expires() {
    let mut village = Village::new(&Policy { retention_days: 3, ..exports_policy() });
    let wrong = village.report(&[(1, 1), (2, 2)]);
    village.report(&[(1, 3)]);
    assert_eq!(village.tick(900), 2);
    village.correct(Act::Retract, wrong);
    // The sets change at once, and export files at their time.
    assert_eq!(village.tick(900), 0);
    assert_eq!(village.phone.revoked, 0);
    assert_eq!(village.tick(INTERVAL), 2);
    assert_eq!(village.phone.revoked, 2);
    village.correct(Act::Reinstate, wrong);
    assert_eq!(village.tick(INTERVAL), 2);
    assert_eq!(village.phone.keys().len(), 2);
    for _ in 0..6 {
        assert_eq!(village.tick(DAY_SECONDS), 0);
    }
    assert_eq!((village.phone.revoked, village.phone.keys().len()), (2, 0));
    let root = village.ledger.keys.root();
    assert_eq!(list(&village.shelf.files, &root), Some(ExportList::default()));
}

#[test]
fn what_was_likely_and_is_confirmed_is_revised() {
    let mut village = Village::new(&exports_policy());
    village.report_of(Diagnosis::Likely, &[(1, 1)]);
    village.tick(900);
    village.report(&[(1, 1)]);
    assert_eq!(village.tick(INTERVAL), 1);
    let types = village.phone.keys().into_values().flatten().map(|key| key.report_type);
    assert_eq!(types.collect::<Vec<_>>(), [Some(ReportType::ConfirmedTest)]);
    assert_eq!(village.phone.revoked, 0);
}

/// Export files are named for as long as their dates are published, which is longer than a rebuild of a purged log
/// computes publications for.
#[test]
fn files_that_are_named_are_rebuilt_without_purged_bodies() {
    let mut village = Village::new(&Policy { retention_days: 9, ..exports_policy() });
    let (mut purges, mut oldest) = (0, 0);
    for number in 0..1800u64 {
        if number % 30 == 0 {
            let byte = (number / 30) as u8;
            let serial = village.report(&[(1, byte), (3, byte), (5, byte)]);
            if number % 90 == 0 {
                village.correct(Act::Retract, serial);
            }
            if number % 180 == 90 {
                village.correct(Act::Reinstate, serial - 3);
            }
        }
        village.tick(900);
        if village.ledger.purge(true).is_empty() {
            continue;
        }
        purges += 1;
        let rebuilt = village.rebuilt();
        assert!(rebuilt.saved == village.shelf.saved, "tick {}: another publisher", number + 1);
        let wrong = difference(&village.shelf.files, &rebuilt.files);
        let is_history =
            |name: &String| name.starts_with("/v1/manifests/") && !rebuilt.files.contains_key(name);
        let wrong: Vec<_> = wrong.into_iter().filter(|name| !is_history(name)).collect();
        assert!(wrong.is_empty(), "tick {}: {wrong:?}", number + 1);
        let root = village.ledger.keys.root();
        let list = list(&rebuilt.files, &root).unwrap();
        let first = list.files.first().map(|(date, sha256)| {
            let path = Path::Export { date: *date, sha256: *sha256 };
            let key = public_key(&village.ledger.keys, &exports());
            Export::from_zip(&rebuilt.files[&path.to_string()], &key).unwrap().end
        });
        oldest = oldest.max(village.ledger.now - first.unwrap());
    }
    assert!(purges > 3, "{purges}");
    assert!(oldest > 7 * DAY_SECONDS, "{oldest}");
}

/// Exports are of reports that came while they were on.
#[test]
fn exports_come_and_go_with_the_policy() {
    let none = Policy { seeds: Kinds::default(), exports: None, ..policy() };
    let mut village = Village::new(&none);
    let set = |village: &mut Village, policy: &Policy| {
        village.ledger.act(|state, _, now| judge::set_policy(state, now, policy, false)).unwrap();
    };
    let publish = |village: &mut Village| {
        village.ledger.now += INTERVAL;
        village.ledger.tick();
        village.shelf.publish(&village.ledger);
        list(&village.shelf.files, &village.ledger.keys.root())
    };
    village.report(&[(1, 1)]);
    assert_eq!(publish(&mut village), None);
    assert!(!village.shelf.files.keys().any(|name| name.starts_with("/v1/exports/")));
    // Without lists of seeds.
    set(&mut village, &Policy { exports: Some(exports()), ..none.clone() });
    village.report(&[(1, 2)]);
    assert_eq!(village.tick(INTERVAL), 1);
    let keys: Vec<u8> =
        village.phone.keys().into_values().flatten().map(|key| key.key.to_bytes()[0]).collect();
    assert_eq!(keys, [2]);
    let (manifest, _) = named(&village.shelf.files, &village.ledger.keys.root());
    assert!(manifest.seeds.is_none() && manifest.exports.is_some());

    set(&mut village, &none);
    assert_eq!(publish(&mut village), None);
    assert_eq!(village.shelf.files["/v1/exports/index.txt"], b"");
    assert_eq!(difference(&village.shelf.files, &village.rebuilt().files), Vec::<String>::new());
    for _ in 0..8 {
        publish(&mut village);
    }
    // A day later nothing is left.
    assert!(!village.shelf.files.keys().any(|name| name.starts_with("/v1/exports/")));
    assert_eq!(difference(&village.shelf.files, &village.rebuilt().files), Vec::<String>::new());

    // On again, all of it is new to phones.
    set(&mut village, &Policy { exports: Some(exports()), ..none });
    village.phone = ExportPhone::default();
    assert_eq!(village.tick(900), 1);
    assert_eq!(village.phone.keys().into_values().map(|keys| keys.len()).sum::<usize>(), 1);
}

#[test]
fn another_version_of_the_key_signs_new_files_and_leaves_the_others() {
    let mut village = Village::new(&exports_policy());
    village.report(&[(1, 1)]);
    village.tick(900);
    let second = ExportPolicy { key_version: "v2".into(), ..exports() };
    let policy = Policy { exports: Some(second.clone()), ..exports_policy() };
    village.ledger.act(|state, _, now| judge::set_policy(state, now, &policy, false)).unwrap();
    village.report(&[(1, 2)]);
    village.ledger.now += INTERVAL;
    village.ledger.tick();
    village.shelf.publish(&village.ledger);
    let (files, keys) = (&village.shelf.files, &village.ledger.keys);
    let paths: Vec<Path> = list(files, &keys.root()).unwrap().paths().collect();
    let is_signed = |path: &Path, policy: &ExportPolicy| {
        Export::from_zip(&files[&path.to_string()], &public_key(keys, policy)).is_ok()
    };
    let [old, new] = &paths[..] else { panic!("{paths:?}") };
    assert!(is_signed(old, &exports()) && !is_signed(old, &second));
    assert!(is_signed(new, &second) && !is_signed(new, &exports()));
}

/// Some publications with exports, of which one is taken back.
async fn lived(home: &Home, running: &Running) {
    running.set_policy(exports_policy()).await;
    for number in 0..4u8 {
        let items = [key(u64::from(number) % 3, number), key(2, 100 + number)];
        running.report(u32::from(number), &items).await.unwrap();
        home.pass(2 * HOUR);
        running.tick().await;
    }
    let select = Selection { code: Some(running.code(1).to_string()), ..Selection::default() };
    let (service, act) = (running.service(), Act::Retract);
    let (keys, position) = (Arc::clone(&service.keys), service.node.state().position);
    let retract = move |state: &State, _| judge::correct(state, &keys, act, &select, position);
    service.node.act(retract).await.unwrap();
    home.pass(4 * HOUR);
    running.tick().await;
    running.settle().await;
}

#[actix_web::test]
async fn a_rebuild_and_a_restart_give_the_same_files() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    running.stop().await;
    let root = key_file::read(&home.path("keys.json")).unwrap().root();
    let right = home.public();
    assert!(list(&home.served(), &root).unwrap().files.len() >= 6);
    home.rebuild();
    assert_eq!(difference(&home.public(), &right), Vec::<String>::new());
    // A restart goes on from what was saved, and a copy without it from the log.
    let other = home.copy();
    fs::remove_file(other.path("private/publisher")).unwrap();
    fs::remove_dir_all(other.path("public")).unwrap();
    other.rebuild();
    assert_eq!(list(&other.served(), &root), list(&home.served(), &root));
    for home in [&home, &other] {
        let running = home.start().await;
        running.report(7, &[key(2, 70)]).await.unwrap();
        home.pass(4 * HOUR);
        running.tick().await;
        running.settle().await;
        running.stop().await;
    }
    let (one, two) = (home.served(), other.served());
    assert_eq!(one["/v1/manifest"], two["/v1/manifest"]);
    assert_eq!(list(&one, &root), list(&two, &root));
    assert_eq!(
        list(&one, &root).unwrap().files.len(),
        1 + list(&right_of(&right), &root).unwrap().files.len()
    );
}

fn right_of(public: &Files) -> Files {
    public.iter().map(|(name, bytes)| (format!("/{name}"), bytes.clone())).collect()
}

/// The list was written at the last export, many publications ago.
#[actix_web::test]
async fn a_list_that_is_lost_does_not_stop_the_next_publication() {
    for is_lost in [true, false] {
        let home = Home::new();
        let running = home.begin().await;
        running.set_policy(exports_policy()).await;
        running.report(0, &[key(2, 1)]).await.unwrap();
        running.tick().await;
        running.settle().await;
        let list = home.public().into_iter().find(|(name, bytes)| {
            name.starts_with("v1/exports/")
                && !name.ends_with("index.txt")
                && bytes.ends_with(b"\n")
        });
        let (name, bytes) = list.unwrap();
        let path = home.folder.path().join("public").join(&name);
        match is_lost {
            true => fs::remove_file(&path).unwrap(),
            false => fs::write(&path, &bytes[1..]).unwrap(),
        }
        home.pass(900);
        running.tick().await;
        let settled = tokio::time::timeout(std::time::Duration::from_secs(60), running.settle());
        settled.await.expect("the next publication is written");
        assert_eq!(home.public()[&name], bytes);
        running.stop().await;
    }
}

#[actix_web::test]
async fn files_are_served_as_what_they_are() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    let (api, files) = (running.api(""), home.served());
    let root = running.service().keys.root();
    let (manifest, _) = named(&files, &root);
    let list = list(&files, &root).unwrap();
    let mut paths: Vec<Path> = list.paths().collect();
    paths.extend([Path::ExportList(manifest.exports.unwrap().sha256), Path::ExportIndex]);
    let asked = tokio::task::spawn_blocking(move || {
        for path in paths {
            let answer = api.get(&path.to_string());
            assert_eq!((answer.status, &answer.body), (200, &files[&path.to_string()]), "{path}");
            let (mime, cache) = match path {
                Path::Export { .. } => ("application/zip", "public, max-age=31536000, immutable"),
                Path::ExportIndex => ("text/plain; charset=utf-8", "public, max-age=60"),
                _ => ("text/plain; charset=utf-8", "public, max-age=31536000, immutable"),
            };
            assert_eq!(answer.header("content-type"), mime, "{path}");
            assert_eq!(answer.header("cache-control"), cache, "{path}");
            let etag = answer.header("etag").to_owned();
            let known = ask(api.public, "GET", &path.to_string(), &[("If-None-Match", etag)], "");
            assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
            let part =
                ask(api.public, "GET", &path.to_string(), &[("Range", "bytes=1-3".to_owned())], "");
            assert_eq!((part.status, &part.body[..]), (206, &files[&path.to_string()][1..4]));
        }
        for none in [
            "/v1/exports",
            "/v1/exports/",
            "/v1/exports/index.html",
            "/v1/exports/2026-01-05/index.txt",
        ] {
            assert_eq!(api.get(none).status, 404, "{none}");
        }
    });
    asked.await.unwrap();
    running.stop().await;
}

#[actix_web::test]
async fn a_list_that_ended_is_served_empty_and_is_gone_a_day_later() {
    let home = Home::new();
    let mut running = home.begin().await;
    lived(&home, &running).await;
    running.set_policy(seeds_policy()).await;
    let mut seen = Vec::new();
    for number in 0..4 {
        home.pass(11 * HOUR);
        running.tick().await;
        running.settle().await;
        let api = running.api("");
        let asked = move || {
            let answer = api.get("/v1/exports/index.txt");
            (answer.status, answer.status == 200 && answer.body.is_empty())
        };
        seen.push(tokio::task::spawn_blocking(asked).await.unwrap());
        // A start in between does not bring it back.
        if number % 2 == 1 {
            running.stop().await;
            running = home.start().await;
            running.settle().await;
        }
    }
    running.stop().await;
    assert_eq!(seen, [(200, true), (200, true), (200, true), (404, false)]);
    assert!(!home.public().keys().any(|name| name.starts_with("v1/exports/")));
}

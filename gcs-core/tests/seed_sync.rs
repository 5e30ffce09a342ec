//! A client that keeps lists of seeds beside its sets, with servers that are honest or not.
#![cfg(feature = "protocol")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::collections::BTreeMap;

use gcs_core::files::{Manifest, Path, SeedRow};
use gcs_core::identifiers::dp3t::{HybridSeed, HybridWindow, WindowSeed};
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey};
use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::seeds::{SeedDay, SeedKind, SeedList};
use gcs_core::sync::{Answer, ClientSettings, Incident, Outcome, Step, SyncError, seed_list_name};
use gcs_core::{DAY_SECONDS, Date};
use proptest::prelude::*;
use world::{Client, Files, Intercepted, hasty, serve};

fn date(at: u32) -> Date {
    Date::from_days(20_000 + at).unwrap()
}

fn windows(at: u32, bytes: &[u8]) -> SeedDay {
    let windows = HybridWindow::FourHours;
    let window = windows.of_time(date(at).start()).unwrap();
    let seed = |byte: &u8| WindowSeed { windows, window, seed: HybridSeed::new([*byte; 16]) };
    SeedDay::new(date(at), SeedList::build(bytes.iter().map(seed)).unwrap())
}

fn keys(at: u32, bytes: &[u8]) -> SeedDay {
    let start = (date(at).start() / 600) as u32;
    let key = |byte: &u8| ExportKey::from(ExposureKey::new([*byte; 16], start, 144).unwrap());
    SeedDay::new(date(at), SeedList::build(bytes.iter().map(key)).unwrap())
}

/// A publisher of lists, and what it serves.
struct Town {
    publisher: Publisher,
    signing: Keys,
    files: Files,
    now: u64,
    /// Of each date the seeds of windows; there are some keys as well.
    seeds: BTreeMap<u32, Vec<u8>>,
    lists: Vec<SeedDay>,
}

impl Town {
    fn new() -> Town {
        let now = date(3).entry();
        let signing = Keys::from_secret([5; 32], now + 365 * DAY_SECONDS);
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        let (files, seeds, lists) = Default::default();
        Town { publisher, signing, files, now, seeds, lists }
    }

    fn publish(&mut self, with_seeds: bool) {
        self.now += 900;
        let days = [0, 1, 2, 3].map(|at| Day { date: date(at), elements: vec![[at as u8; 16]] });
        self.lists = self.seeds.iter().map(|(at, bytes)| windows(*at, bytes)).collect();
        let all = self.lists.iter().cloned().chain([keys(1, &[1, 2, 3])]).collect();
        let publisher = match with_seeds {
            true => self.publisher.with_seeds(all),
            false => self.publisher.clone(),
        };
        let made = publisher.publish_next(self.now, &days, &self.signing).unwrap();
        let new = made.files.iter().map(|file| (file.path.to_string(), file.bytes.clone()));
        self.files.extend(new);
        made.delete.iter().for_each(|path| drop(self.files.remove(&path.to_string())));
        self.publisher = made.publisher;
        if !with_seeds {
            self.lists.clear();
        }
    }

    fn phone(&self) -> Client {
        let settings = hasty(ClientSettings {
            seeds: Some(SeedKind::of::<WindowSeed>()),
            poll_jitter: 0,
            ..ClientSettings::new(self.signing.root)
        });
        Client { settings, ..Client::new() }
    }

    fn wake(&self, phone: &mut Client) -> Outcome {
        phone.wake_with(self.now, |path, part| serve(&self.files, path, part))
    }

    /// Whether the phone has the lists that are published, and nothing besides.
    fn expect_held(&self, phone: &Client, outcome: &Outcome) {
        assert!(outcome.up_to_date && outcome.error.is_none(), "{outcome:?}");
        let held = rows(outcome).iter().map(|row| &phone.folder[&seed_list_name(row)]);
        assert!(held.map(|list| &list[..]).eq(self.lists.iter().map(SeedDay::as_bytes)));
        let names = phone.folder.keys().filter(|name| name.starts_with("seeds-"));
        assert_eq!(names.count(), self.lists.len());
        assert_eq!(outcome.dates, [0, 1, 2, 3].map(date));
    }
}

fn rows(outcome: &Outcome) -> &[SeedRow] {
    outcome.seeds.as_ref().unwrap()
}

fn files_of_seeds(phone: &Client) -> usize {
    phone.fetched.iter().filter(|path| path.starts_with("/v1/seeds/")).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However often it wakes, and wherever it is switched off, it ends with what is published.
    #[test]
    fn a_phone_has_what_is_published(
        ticks in prop::collection::vec(
            (0u32..4, prop::collection::vec(any::<u8>(), 0..30), any::<bool>(), 0usize..40, 0u8..10), 1..30),
    ) {
        let mut town = Town::new();
        let mut phone = town.phone();
        for (at, bytes, wakes, cut, other) in ticks {
            if bytes.is_empty() {
                town.seeds.remove(&at);
            } else {
                town.seeds.insert(at, bytes);
            }
            town.publish(other > 0);
            if !wakes {
                continue;
            }
            let mut left = cut;
            let off = |_: &Step| {
                left = left.saturating_sub(1);
                if left == 0 { Intercepted::Off } else { Intercepted::No }
            };
            phone.wake_intercepted(town.now, off, &town.files);
            phone.folder.retain(|name, _| other != 1 || name.as_str() != "seeds");
            let lost = other == 1;
            let mut outcome = town.wake(&mut phone);
            if !outcome.up_to_date {
                // It was switched off before it had what it asked for; its poll came later.
                town.now += DAY_SECONDS / 2;
                outcome = town.wake(&mut phone);
            }
            if !lost {
                town.expect_held(&phone, &outcome);
            } else {
                phone = town.phone();
            }
        }
    }
}

#[test]
fn a_tick_behind_costs_one_bundle_and_no_change_costs_nothing() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.extend([(0, vec![1, 2]), (2, (0..200).collect())]);
    town.publish(true);
    let outcome = town.wake(&mut phone);
    town.expect_held(&phone, &outcome);
    // The index and two lists; not those of another kind.
    assert_eq!(files_of_seeds(&phone), 3);
    town.publish(true);
    let outcome = town.wake(&mut phone);
    town.expect_held(&phone, &outcome);
    assert_eq!(files_of_seeds(&phone), 0);
    town.seeds.insert(2, (1..=200).collect());
    town.publish(true);
    let outcome = town.wake(&mut phone);
    town.expect_held(&phone, &outcome);
    assert_eq!(files_of_seeds(&phone), 1);
    // Some ticks behind: bundles, by the index, since lists are longer.
    for at in 0..3 {
        town.seeds.insert(2, (1 + at..=200).collect());
        town.publish(true);
    }
    let outcome = town.wake(&mut phone);
    town.expect_held(&phone, &outcome);
    assert!(files_of_seeds(&phone) <= 4);
    town.publish(false);
    let outcome = town.wake(&mut phone);
    town.expect_held(&phone, &outcome);
}

/// A wrong file is never taken; a wrong bundle costs a detour.
#[test]
fn what_is_wrong_is_not_taken() {
    let mut town = Town::new();
    town.seeds.extend([(0, vec![1, 2]), (2, (0..200).collect())]);
    town.publish(true);
    let mut before = town.phone();
    town.wake(&mut before);
    town.seeds.insert(2, (1..=200).collect());
    town.publish(true);
    let (manifest, _) =
        Manifest::verify(&town.files["/v1/manifest"], &town.signing.root, town.now, 0).unwrap();
    let seeds = manifest.seeds.unwrap();
    let bundle = Path::Seeds(seeds.bundle.unwrap().sha256).to_string();
    for change in [0, 1, 2] {
        let mut files = town.files.clone();
        let wrong = |bytes: &mut Vec<u8>| match change {
            0 => bytes[40] ^= 1,
            1 => bytes.push(0),
            _ => bytes.clear(),
        };
        wrong(files.get_mut(&bundle).unwrap());
        let mut phone = before.clone();
        let outcome = phone.wake_with(town.now, |path, part| serve(&files, path, part));
        town.expect_held(&phone, &outcome);
        assert_eq!(phone.fetched.iter().filter(|path| **path == bundle).count(), 1);
        let is_detour =
            |incident: &Incident| matches!(incident, Incident::Detour(SyncError::File { .. }));
        assert!(outcome.incidents.iter().any(is_detour));
        // Nothing leads to the new lists: the old ones stay, and the sets are the new ones.
        let is_other = |path: &str| path.starts_with("/v1/seeds/") && path != bundle;
        let seeds = files.iter_mut().filter(|(path, _)| is_other(path));
        seeds.for_each(|(_, bytes)| wrong(bytes));
        let mut phone = before.clone();
        let outcome = phone.wake_with(town.now, |path, part| serve(&files, path, part));
        assert!(!outcome.up_to_date, "{outcome:?}");
        assert!(matches!(outcome.error, Some(SyncError::File { .. })), "{outcome:?}");
        assert_eq!(rows(&outcome).len(), 2);
        assert!(rows(&outcome).iter().all(|row| phone.folder.contains_key(&seed_list_name(row))));
        assert_eq!(rows(&town.wake(&mut phone)).len(), 2);
    }
}

/// A damaged list of its own is fetched again.
#[test]
fn what_is_lost_is_fetched_again() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.extend([(0, vec![1, 2]), (2, vec![3])]);
    town.publish(true);
    let first = town.wake(&mut phone);
    let name = seed_list_name(&rows(&first)[0]);
    for damage in [0, 1] {
        match damage {
            0 => phone.folder.get_mut(&name).unwrap()[20] ^= 1,
            _ => drop(phone.folder.remove(&name)),
        }
        town.publish(true);
        let outcome = town.wake(&mut phone);
        town.expect_held(&phone, &outcome);
        let is_own = |incident: &Incident| matches!(incident, Incident::OwnFile { name: of, .. } if *of == name);
        assert!(outcome.incidents.iter().any(is_own));
    }
    // Without a server, what it has is still told.
    let outcome =
        phone.wake_with(town.now + DAY_SECONDS, |_, _| Answer::Failed("no network".into()));
    assert_eq!(outcome.seeds, first.seeds);
}

/// The name of a list in the client's folder, and at its path.
fn name_of(list: &SeedDay) -> String {
    format!("seeds-{}", list.sha256())
}

fn lists_in(phone: &Client) -> Vec<&String> {
    phone.folder.keys().filter(|name| name.starts_with("seeds")).collect()
}

fn no_network(town: &Town, phone: &mut Client) -> Outcome {
    phone.wake_with(town.now, |_, _| Answer::Failed("no network".into()))
}

#[test]
fn lists_of_another_root_go() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.extend([(0, vec![1, 2]), (2, vec![3])]);
    town.publish(true);
    town.wake(&mut phone);
    let mut other = Town::new();
    other.signing = Keys::from_secret([6; 32], other.now + 365 * DAY_SECONDS);
    phone.settings.root = other.signing.root;
    let outcome = no_network(&other, &mut phone);
    assert!(outcome.incidents.contains(&Incident::OtherRoot { was: town.signing.root }));
    assert_eq!(rows(&outcome), []);
    assert!(!outcome.up_to_date && lists_in(&phone).is_empty());
    other.seeds.insert(1, vec![7]);
    other.publish(true);
    other.now += 3000;
    let outcome = other.wake(&mut phone);
    other.expect_held(&phone, &outcome);
}

#[test]
fn lists_of_a_kind_that_is_not_wanted_go() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.extend([(0, vec![1, 2]), (2, vec![3])]);
    town.publish(true);
    town.wake(&mut phone);
    phone.settings.seeds = Some(SeedKind::of::<ExportKey>());
    let outcome = town.wake(&mut phone);
    assert!(outcome.incidents.is_empty() && !outcome.up_to_date, "{outcome:?}");
    town.publish(true);
    let outcome = town.wake(&mut phone);
    assert!(outcome.incidents.is_empty() && outcome.up_to_date, "{outcome:?}");
    assert_eq!(
        rows(&outcome).iter().map(|row| (row.date, row.kind)).collect::<Vec<_>>(),
        [(date(1), 3)]
    );
    assert_eq!(lists_in(&phone).len(), 2);
    phone.settings.seeds = None;
    let outcome = town.wake(&mut phone);
    assert!(outcome.incidents.is_empty() && outcome.up_to_date && outcome.seeds.is_none());
    assert!(lists_in(&phone).is_empty());
}

/// What was taken back is gone, and what can be had is there, although one list cannot be had.
#[test]
fn a_list_that_cannot_be_had_holds_up_nothing_else() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.extend([(0, vec![1, 2]), (1, vec![3]), (2, (0..99).collect())]);
    town.publish(true);
    town.wake(&mut phone);
    let old = town.lists.clone();
    town.seeds.remove(&1);
    town.seeds.extend([(0, vec![9]), (2, (1..=99).collect()), (3, vec![4])]);
    town.publish(true);
    let (manifest, _) =
        Manifest::verify(&town.files["/v1/manifest"], &town.signing.root, town.now, 0).unwrap();
    let mut files = town.files.clone();
    let bundle = manifest.seeds.unwrap().bundle.unwrap().sha256;
    files.remove(&Path::Seeds(bundle).to_string());
    files.remove(&Path::Seeds(town.lists[1].sha256()).to_string());
    for _ in 0..2 {
        let outcome = phone.wake_with(town.now, |path, part| serve(&files, path, part));
        assert!(!outcome.up_to_date, "{outcome:?}");
        let held: Vec<_> = rows(&outcome).iter().map(|row| row.sha256).collect();
        assert_eq!(held, [town.lists[0].sha256(), old[2].sha256(), town.lists[2].sha256()]);
        town.now += 2000;
    }
    // Only what is missing is fetched.
    let mut outcome = town.wake(&mut phone);
    if !outcome.up_to_date {
        town.now += DAY_SECONDS / 2;
        outcome = town.wake(&mut phone);
    }
    town.expect_held(&phone, &outcome);
    assert!(files_of_seeds(&phone) <= 2);
}

/// Lists come although the index of sets does not.
#[test]
fn wrong_sets_hold_up_no_list() {
    let mut town = Town::new();
    town.seeds.insert(0, vec![1, 2]);
    town.publish(true);
    let mut phone = town.phone();
    let mut files = town.files.clone();
    files.retain(|path, _| !path.starts_with("/v1/index/"));
    let outcome = phone.wake_with(town.now, |path, part| serve(&files, path, part));
    assert!(matches!(outcome.error, Some(SyncError::Missing { .. })), "{outcome:?}");
    assert_eq!(rows(&outcome).len(), 1);
}

/// Wherever a change is cut short, by a switch or by a full disk, every date keeps a list.
#[test]
fn a_change_that_is_cut_short_loses_no_list() {
    let mut town = Town::new();
    let mut before = town.phone();
    town.seeds.extend([(0, vec![1, 2]), (2, vec![3])]);
    town.publish(true);
    town.wake(&mut before);
    town.seeds.extend([(0, vec![1, 5]), (2, vec![6])]);
    town.publish(true);
    let mut steps = 0;
    before.clone().wake_intercepted(
        town.now,
        |_| {
            steps += 1;
            Intercepted::No
        },
        &town.files,
    );
    assert!(steps > 15);
    for (at, is_full) in (1..=steps).flat_map(|at| [(at, false), (at, true)]) {
        let mut phone = before.clone();
        let mut count = 0;
        let cut = |step: &Step| {
            count += 1;
            let is_write = matches!(step, Step::Put { .. } | Step::Delete { .. });
            match count >= at {
                true if is_full && is_write => Intercepted::Answer(Answer::Failed("full".into())),
                true if !is_full => Intercepted::Off,
                _ => Intercepted::No,
            }
        };
        let cut_short = phone.wake_intercepted(town.now, cut, &town.files);
        if let Some(list) = cut_short
            .iter()
            .flat_map(|outcome| outcome.seeds.iter().flatten())
            .find(|row| !phone.folder.contains_key(&seed_list_name(row)))
        {
            panic!("step {at}: {list:?} is not there");
        }
        let outcome = no_network(&town, &mut phone);
        assert_eq!(
            rows(&outcome).iter().map(|row| row.date).collect::<Vec<_>>(),
            [date(0), date(2)],
            "step {at}"
        );
        let own = |incident: &Incident| matches!(incident, Incident::OwnFile { .. });
        assert!(!outcome.incidents.iter().any(own), "step {at}: {outcome:?}");
        town.now += DAY_SECONDS / 2;
        let outcome = town.wake(&mut phone);
        town.expect_held(&phone, &outcome);
        town.now -= DAY_SECONDS / 2;
    }
}

#[test]
fn lists_that_cannot_be_read_are_not_none() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.insert(0, vec![1, 2]);
    town.publish(true);
    town.wake(&mut phone);
    let name = name_of(&town.lists[0]);
    for failing in ["seeds", &name] {
        let fail = |step: &Step| match step {
            Step::Get { name } if name == failing => {
                Intercepted::Answer(Answer::Failed("cannot be read".into()))
            }
            _ => Intercepted::No,
        };
        let outcome = phone.wake_intercepted(town.now, fail, &town.files).unwrap();
        assert!(!outcome.up_to_date && outcome.seeds.is_none(), "{outcome:?}");
        assert!(matches!(outcome.error, Some(SyncError::Storage { .. })));
    }
}

#[test]
fn a_second_manifest_of_one_version_with_other_lists_is_refused() {
    let mut town = Town::new();
    let mut phone = town.phone();
    town.seeds.insert(0, vec![1, 2]);
    let before = town.publisher.clone();
    town.publish(true);
    let first = town.wake(&mut phone);
    for with_seeds in [true, false] {
        (town.publisher, town.now) = (before.clone(), town.now - 900);
        town.seeds.insert(0, vec![1]);
        town.publish(with_seeds);
        let mut twice = phone.clone();
        town.now += 3000;
        let outcome = town.wake(&mut twice);
        assert!(matches!(outcome.error, Some(SyncError::Equivocation { .. })), "{outcome:?}");
        assert_eq!(outcome.seeds, first.seeds);
        town.now -= 3000;
    }
}

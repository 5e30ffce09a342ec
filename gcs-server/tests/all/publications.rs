//! From a log to what phones fetch, without a disk: any history is published, and twice alike.

use std::collections::BTreeMap;

use crate::common::home::difference;
use crate::common::shelf::{Shelf, named};
use crate::common::world::{Client, Files, hasty, serve};
use crate::common::{HOUR, Ledger, START, date, element, policy, raw};
use crate::kinds::exports::{exports_policy, key};
use crate::kinds::hybrid;
use gcs_core::DAY_SECONDS;
use gcs_core::sync::ClientSettings;
use gcs_server::app::catch_up;
use gcs_server::domain::events::Act;
use gcs_server::domain::judge;
use gcs_server::domain::judge::Selection;
use gcs_server::domain::policy::Policy;
use gcs_server::publishing::Outbox;
use proptest::prelude::*;

/// A phone of the deployment.
fn phone(ledger: &Ledger) -> Client {
    Client { settings: hasty(ClientSettings::new(ledger.keys.root())), ..Client::new() }
}

/// When every phone that is up has asked for the present manifest.
fn poll_time(ledger: &Ledger) -> u64 {
    ledger.now + ledger.state.policy.interval + 301
}

/// Wakes a phone; it must have everything then, without any detour. Returns the time at which
/// it asks again.
fn wake(phone: &mut Client, ledger: &Ledger, files: &Files) -> u64 {
    let outcome = phone.wake_with(poll_time(ledger), |path, part| serve(files, path, part));
    assert!(outcome.up_to_date && outcome.error.is_none(), "{outcome:?}");
    assert!(outcome.incidents.is_empty(), "{outcome:?}");
    let version = ledger.state.last_tick.unwrap().version;
    let held = outcome.held.unwrap();
    assert_eq!((held.series, held.tick), (version.series, version.tick));
    outcome.next_wake
}

/// What a server gives phones that starts with nothing but the log and the keys.
fn rebuilt(ledger: &Ledger) -> Files {
    let nothing = Outbox::default();
    let caught_up = catch_up(&mut ledger.store.clone(), &ledger.keys, nothing).unwrap();
    let mut shelf = Shelf::new(&ledger.keys);
    shelf.put(&caught_up.outbox);
    shelf.files
}

#[derive(Clone, Debug)]
pub enum Step {
    Report(Vec<(i64, u64)>),
    Correct(Act, u64),
    Tick(u64),
    Leap(i64),
    Series(i64),
    Policy(Policy),
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let items = prop::collection::vec((-5..=0i64, 0..60u64), 1..20);
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    let numbers =
        (1..20u32, 1..100u32, 60..=21_600u64, 1..4u32, 0..80_000u64, 1..=28u32, any::<bool>());
    prop_oneof![
        8 => items.prop_map(Step::Report),
        2 => (act, any::<u64>()).prop_map(|(act, from)| Step::Correct(act, from)),
        12 => (0..DAY_SECONDS).prop_map(Step::Tick),
        1 => (0..300 * DAY_SECONDS as i64).prop_map(Step::Leap),
        1 => (-20 * DAY_SECONDS as i64..DAY_SECONDS as i64).prop_map(Step::Series),
        2 => numbers.prop_map(|(rate_bits, expected_per_date, interval, min_reports, max_hold, retention_days, exports)| {
            let rest = if exports { exports_policy() } else { policy() };
            Policy { rate_bits, expected_per_date, interval, min_reports, max_hold, retention_days, ..rest }
        }).prop_filter("in bounds", |policy| policy.validate().is_ok()).prop_map(Step::Policy),
    ]
}

/// A ledger that publishes every tick.
pub struct Town {
    pub ledger: Ledger,
    pub shelf: Shelf,
    serial: u32,
}

impl Town {
    pub fn new() -> Town {
        let mut ledger = Ledger::with_codes(&exports_policy(), 1);
        // Codes that outlive every leap.
        let expires = START + 100_000 * DAY_SECONDS;
        let range = gcs_server::domain::events::RangeOpened {
            provider: 1,
            generation: 1,
            first: 1,
            count: 500,
            expires,
        };
        ledger.append(&[range.into()]);
        let shelf = Shelf::new(&ledger.keys);
        Town { ledger, shelf, serial: 1 }
    }

    fn tick(&mut self) {
        self.ledger.tick();
        self.shelf.publish(&self.ledger);
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Report(items) => {
                let today = (self.ledger.now - START) / DAY_SECONDS;
                let items = items
                    .iter()
                    .map(|(ago, number)| raw(today.saturating_add_signed(*ago), *number));
                let mut items: Vec<_> = items.collect();
                let window =
                    hybrid(START + today.saturating_sub(1) * DAY_SECONDS, self.serial as u8);
                items.extend([window.1, key(today.saturating_sub(1), self.serial as u8)]);
                let sent = crate::common::submission(self.ledger.code(self.serial), &items);
                self.serial += u32::from(self.ledger.submit(&sent).is_ok());
            }
            Step::Correct(act, from) => {
                let from = START + from % (self.ledger.now - START);
                let select = Selection { received_from: Some(from), ..Selection::default() };
                let position = self.ledger.state.position;
                let corrected = self
                    .ledger
                    .act(|state, keys, _| judge::correct(state, keys, *act, &select, position));
                assert!(corrected.is_ok() || corrected.unwrap_err().code() == "selection_none");
            }
            Step::Tick(seconds) => {
                self.ledger.now += seconds;
                self.tick();
            }
            Step::Leap(seconds) => {
                self.ledger.now = self.ledger.now.saturating_add_signed(*seconds);
                self.ledger.act(|state, _, now| judge::resume_clock(state, now, true)).unwrap();
                self.tick();
            }
            Step::Series(seconds) => {
                // A clock that was wrong, put right.
                self.ledger.now =
                    self.ledger.now.saturating_add_signed(*seconds).max(START + 3 * DAY_SECONDS);
                self.ledger.act(|state, _, now| judge::start_series(state, now, true)).unwrap();
                self.tick();
            }
            Step::Policy(policy) => {
                self.ledger
                    .act(|state, _, now| judge::set_policy(state, now, policy, true))
                    .unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A history that cannot be published would stop the server for good.
    #[test]
    fn any_history_is_published_read_by_phones_and_rebuilt(
        steps in prop::collection::vec(any_step(), 1..40),
        sleepy in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut town = Town::new();
        let (mut sleeper, mut next_wake) = (phone(&town.ledger), 0);
        for (step, sleeps) in steps.iter().zip(sleepy) {
            let before = town.ledger.now;
            town.step(step);
            if town.ledger.now < before {
                (sleeper, next_wake) = (phone(&town.ledger), 0);
            }
            if town.ledger.state.last_tick.is_none() || town.ledger.state.series != town.ledger.state.last_tick.unwrap().version.series {
                continue;
            }
            wake(&mut phone(&town.ledger), &town.ledger, &town.shelf.files);
            if !sleeps && poll_time(&town.ledger) >= next_wake {
                next_wake = wake(&mut sleeper, &town.ledger, &town.shelf.files);
            }
        }
        town.tick();
        let rebuilt = rebuilt(&town.ledger);
        prop_assert_eq!(difference(&town.shelf.files, &rebuilt), Vec::<String>::new());
    }

    #[test]
    fn a_builder_goes_on_from_any_point_as_if_it_had_never_stopped(
        steps in prop::collection::vec(any_step(), 1..25),
        stops in prop::collection::vec(any::<bool>(), 25),
    ) {
        let mut town = Town::new();
        let mut stopping = Shelf::new(&town.ledger.keys);
        let mut saved = Outbox::default();
        for (step, stops) in steps.iter().zip(stops).chain([(&Step::Tick(1), true)]) {
            town.step(step);
            if stops {
                let keys = &town.ledger.keys;
                let outbox = catch_up(&mut town.ledger.store.clone(), keys, saved).unwrap().outbox;
                stopping.put(&outbox);
                saved = Outbox::default();
                if let (Some(publisher), Some(position)) = (outbox.plan().publisher(), outbox.position()) {
                    let bytes = publisher.to_bytes();
                    let publisher = gcs_core::publish::Publisher::from_bytes(&bytes).unwrap();
                    saved = Outbox::resume(publisher, position);
                }
            }
        }
        prop_assert_eq!(difference(&town.shelf.files, &stopping.files), Vec::<String>::new());
    }
}

/// Files as DESIGN says: checks until the manifest after next, others a day longer than
/// the last manifest that named them.
#[test]
fn files_stay_as_long_as_a_slow_phone_needs_them_and_no_longer() {
    let mut town = Town::new();
    let (mut slow, mut quick) = (phone(&town.ledger), phone(&town.ledger));
    let mut slow_server: Option<Files> = None;
    // When each name was last named, and by which tick.
    let mut last_named: BTreeMap<String, (u64, u32)> = BTreeMap::new();
    for number in 0..90u64 {
        let items: Vec<(i64, u64)> =
            (0..5).map(|at| (-1 - at % 3, number * 5 + at as u64)).collect();
        town.step(&Step::Report(items));
        town.step(&Step::Tick(HOUR + number % 7 * 600));
        let now = town.ledger.now;
        // What the manifest before this one named was named until now.
        for (_, (until, _)) in
            last_named.iter_mut().filter(|(_, (_, tick))| u64::from(*tick) == number)
        {
            *until = now;
        }
        let files = &town.shelf.files;
        let (manifest, names) = named(files, &town.ledger.keys.root());
        assert_eq!(u64::from(manifest.tick), number + 1);
        for name in names {
            assert!(files.contains_key(&name), "{name}");
            last_named.insert(name, (now, manifest.tick));
        }
        for (name, (until, tick)) in &last_named {
            let is_due = if name.contains("/checks/") {
                tick + 1 < manifest.tick
            } else {
                *tick < manifest.tick && until + DAY_SECONDS <= now
            };
            assert_eq!(
                files.contains_key(name),
                !is_due,
                "{name} last named by {tick}, now {}",
                manifest.tick
            );
        }
        let is_known =
            |name: &&String| last_named.contains_key(*name) || name.starts_with("/v1/manifest");
        assert!(files.keys().all(|name| is_known(&name)), "a file that nothing named");
        let outcome = quick.wake_with(now, |path, part| serve(files, path, part));
        assert!(outcome.error.is_none() && outcome.incidents.is_empty(), "{outcome:?}");
        // A phone that has read the manifest of a while ago reads all the rest today.
        if let Some(then) = slow_server.take_if(|_| number % 12 == 11) {
            let manifest = then["/v1/manifest"].clone();
            let outcome = slow.wake_with(now, |path, part| match path {
                "/v1/manifest" => gcs_core::sync::Answer::Bytes(manifest.clone()),
                path => serve(files, path, part),
            });
            assert!(outcome.error.is_none() && outcome.up_to_date, "{outcome:?}");
        }
        if number % 12 == 0 {
            slow_server = Some(files.clone());
        }
    }
    let kept = town.shelf.files.keys().filter(|name| name.starts_with("/v1/manifests/")).count();
    assert_eq!(kept, 90);
}

/// Bodies of old reports are gone for good; whatever phones can still ask for does not
/// depend on them.
#[test]
fn what_phones_can_fetch_is_rebuilt_without_purged_bodies() {
    let mut town = Town::new();
    let short = Policy { retention_days: 2, ..exports_policy() };
    town.step(&Step::Policy(short));
    let (mut purges, mut most) = (0, 0);
    for number in 0..1000u64 {
        if number % 16 == 0 {
            town.step(&Step::Report(vec![(-1, number), (-2, number + 1), (0, number + 2)]));
        }
        town.step(&Step::Tick(900));
        if town.ledger.purge(true).is_empty() {
            continue;
        }
        purges += 1;
        let keys = &town.ledger.keys;
        let caught_up = catch_up(&mut town.ledger.store.clone(), keys, Outbox::default()).unwrap();
        // Of a long log, no more is computed than files can tell of.
        most = most.max(caught_up.ticks);
        let mut shelf = Shelf::new(keys);
        shelf.put(&caught_up.outbox);
        assert!(shelf.saved == town.shelf.saved, "tick {}: another publisher", number + 1);
        let rebuilt = shelf.files;
        let wrong = difference(&town.shelf.files, &rebuilt);
        let is_history =
            |name: &String| name.starts_with("/v1/manifests/") && !rebuilt.contains_key(name);
        let wrong: Vec<_> = wrong.into_iter().filter(|name| !is_history(name)).collect();
        assert!(wrong.is_empty(), "tick {}: {} wrong: {wrong:?}", number + 1, wrong.len());
        let mut phone = phone(&town.ledger);
        wake(&mut phone, &town.ledger, &rebuilt);
    }
    assert!(purges > 3, "{purges}");
    assert!((400..600).contains(&most), "{most}");
}

#[test]
fn a_phone_finds_confirms_and_forgets_whom_it_met() {
    let mut town = Town::new();
    let mut client = phone(&town.ledger);
    client.hear(date(2).start() + 12 * HOUR, 7);
    town.step(&Step::Report(vec![(-1, 7), (-1, 8)]));
    town.step(&Step::Tick(900));
    let mut contacts = Vec::new();
    for _ in 0..40 {
        town.step(&Step::Tick(HOUR));
        let files = &town.shelf.files;
        let outcome = client.wake_with(town.ledger.now, |path, part| serve(files, path, part));
        contacts = outcome.contacts.unwrap();
        if !contacts.is_empty() {
            break;
        }
    }
    assert_eq!(contacts[0].element, element(7).to_vec());
    town.step(&Step::Correct(Act::Retract, 0));
    town.step(&Step::Tick(HOUR));
    let files = &town.shelf.files;
    let outcome = client.wake_with(town.ledger.now, |path, part| serve(files, path, part));
    assert_eq!(outcome.contacts, Some(vec![]));
}

/// However many dates were reported while the clock was wrong, no more are published than
/// a table holds.
#[test]
fn a_clock_that_went_far_back_does_not_stop_publishing() {
    let mut town = Town::new();
    town.step(&Step::Policy(Policy { retention_days: 28, ..policy() }));
    let report = |town: &mut Town| {
        town.step(&Step::Report((-27..=0).map(|ago| (ago, 1)).collect()));
        town.step(&Step::Tick(3 * HOUR));
    };
    town.step(&Step::Leap(60 * DAY_SECONDS as i64));
    report(&mut town);
    town.step(&Step::Series(-25 * DAY_SECONDS as i64));
    report(&mut town);
    wake(&mut phone(&town.ledger), &town.ledger, &town.shelf.files);
    // And the dates that were in the future come back in their time.
    for _ in 0..26 {
        town.step(&Step::Tick(DAY_SECONDS));
    }
    let dates = town.ledger.state.live.days().len();
    assert!((20..=28).contains(&dates), "{dates}");
    wake(&mut phone(&town.ledger), &town.ledger, &town.shelf.files);
}

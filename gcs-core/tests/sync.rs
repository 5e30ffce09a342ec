//! Clients end in the published state, by any way, interrupted anywhere, and never in a
//! state that was not published.

mod world;

use std::collections::BTreeSet;

use gcs_core::files::SPANS;
use gcs_core::publish::PublisherSettings;
use gcs_core::sync::{Answer, Incident, Outcome, Step, SyncError};
use gcs_core::{DAY_SECONDS, Set};
use proptest::prelude::*;
use world::{Client, Intercepted, World, crowded};

fn settings() -> PublisherSettings {
    PublisherSettings { expected_per_date: 30, ..PublisherSettings::default() }
}

#[test]
fn a_fresh_client_takes_whole_sets_and_one_tick_later_one_bundle() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    let outcome = client.wake(&world, world.now);
    assert!(outcome.up_to_date, "{outcome:?}");
    assert_eq!(client.fetched.len(), 2 + 3, "manifest, index, three sets");
    client.assert_clean(world.table());

    world.add(1, 5000);
    world.remove(2, 2000);
    world.publish();
    let outcome = client.wake(&world, outcome.next_wake.max(world.now));
    assert_eq!(client.fetched, ["/v1/manifest", "/v1/bundles/1/1-2"]);
    assert!(outcome.up_to_date && outcome.incidents.is_empty(), "{outcome:?}");
    client.assert_clean(world.table());

    // Nothing is due before the next tick; then nothing has changed.
    client.wake(&world, world.now);
    assert!(client.fetched.is_empty());
    world.publish();
    let outcome = client.wake(&world, world.now + 400);
    assert_eq!(client.fetched, ["/v1/manifest"]);
    assert_eq!(outcome.held.map(|held| held.tick), Some(3));
}

#[test]
fn far_behind_the_cheapest_bundles_are_taken() {
    let mut world = World::new(settings());
    world.tick = 95;
    for number in 0..300 {
        world.add(0, 50_000 + number);
    }
    world.publish();
    let mut client = Client::new();
    client.settings.confirm_every = 48 * 3600; // No slot on the day that is counted.
    client.wake(&world, world.now);
    for number in 0..96 {
        world.add(number % 3, 10_000 + number);
        world.publish();
    }
    client.wake(&world, world.now);
    assert_eq!(client.fetched.len(), 3, "{:?}", client.fetched);
    assert_eq!(client.fetched[2], "/v1/bundles/96/1-192");
    client.assert_clean(world.table());
}

#[test]
fn a_wrong_or_missing_bundle_costs_a_detour() {
    let mut world = World::new(settings());
    world.publish();
    let mut synced = Client::new();
    synced.wake(&world, world.now);
    world.add(0, 7000);
    world.publish();
    let bundle = "/v1/bundles/1/1-2";
    for broken in [None, Some(vec![]), Some(vec![0; 100]), Some(b"GCSBDL\x01\x00".repeat(50))] {
        let mut files = world.files.clone();
        match broken {
            None => files.remove(bundle),
            Some(bytes) => files.insert(bundle.into(), bytes),
        };
        let mut client = synced.clone();
        let outcome =
            client.wake_with(world.now + 400, |path, part| world::serve(&files, path, part));
        assert!(outcome.up_to_date, "{outcome:?}");
        assert!(matches!(outcome.incidents[..], [Incident::Detour(_), ..]), "{outcome:?}");
        client.assert_clean(world.table());
    }
}

#[test]
fn a_new_series_means_whole_sets_and_never_back() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    let old = world.clone();
    world.publisher = world.publisher.next_series();
    world.add(2, 9000);
    world.tick = 40;
    world.publish();
    let outcome = client.wake(&world, world.now + 400);
    assert!(outcome.up_to_date);
    assert_eq!(client.fetched.len(), 3, "manifest, index, the one set that differs");
    client.assert_clean(world.table());
    let later = world.now + 2000;
    let outcome = client.wake(&old, later);
    assert!(matches!(outcome.error, Some(SyncError::RolledBack { .. })), "{outcome:?}");
    client.assert_clean(world.table());
}

/// Ticks of another series have the same numbers; its bundles lead nowhere from here.
#[test]
fn no_bundle_of_another_series_is_tried() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    world.publisher = world.publisher.next_series();
    world.tick = 0;
    for number in 0..3 {
        world.add(2, 9000 + number);
        world.publish();
    }
    let outcome = client.wake(&world, world.now + 400);
    assert!(outcome.up_to_date && outcome.incidents.is_empty(), "{outcome:?}");
    assert!(!client.fetched.iter().any(|path| path.contains("bundles")), "{:?}", client.fetched);
    client.assert_clean(world.table());
}

/// Four missing bundles are enough; then whole sets are taken.
#[test]
fn few_detours_are_made() {
    let mut world = World::new(settings());
    world.tick = 23;
    for number in 0..15_000 {
        world.add(0, 50_000 + number);
    }
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    for number in 0..24 {
        world.add(0, 10_000 + number);
        world.publish();
    }
    // Only bundles of one tick are there, which all together are smaller than the set.
    let outcome = client.wake_with(world.now, |path, part| {
        let is_longer = path.starts_with("/v1/bundles/") && !path.starts_with("/v1/bundles/1/");
        if is_longer { Answer::Missing } else { world.serve(path, part) }
    });
    assert!(outcome.up_to_date && outcome.incidents.len() == 4, "{outcome:?}");
    client.assert_clean(world.table());
}

/// A phone that is online for one file at a time finishes what it began, while the
/// publication moves on, and only then follows.
#[test]
fn a_slow_phone_gets_there() {
    let mut world = World::new(settings());
    for number in 0..6000 {
        world.add(number % 3, 20_000 + number);
    }
    world.publish();
    let mut client = Client::new();
    let mut wakes = 0;
    loop {
        wakes += 1;
        let mut budget = 3; // manifest, index, one more
        let outcome = client.wake_with(world.now + 400, |path, part| {
            budget -= 1;
            if budget < 0 { Answer::Failed("offline".into()) } else { world.serve(path, part) }
        });
        if outcome.up_to_date {
            break;
        }
        assert!(wakes < 40, "{outcome:?}");
        for date in 0..3 {
            world.add(date, 30_000 + wakes * 10 + date);
        }
        world.publish();
    }
    assert!(wakes > 2);
    client.assert_clean(world.table());
}

#[test]
fn damaged_files_of_its_own_are_made_anew() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.hear(world::START + 40_000, 3);
    client.wake(&world, world.now);
    let names: Vec<String> = client.folder.keys().cloned().collect();
    assert!(names.len() >= 6);
    world.add(0, 77);
    world.publish();
    for name in names {
        for damage in 0..3 {
            let mut damaged = client.clone();
            let bytes = damaged.folder.get_mut(&name).unwrap();
            match damage {
                0 => bytes.truncate(bytes.len() / 2),
                1 => bytes[20] ^= 4,
                _ => drop(damaged.folder.remove(&name)),
            }
            let outcome = damaged.wake(&world, world.now + 400);
            assert!(outcome.up_to_date, "{name} {damage}: {outcome:?}");
            let silent = damage == 2 && (name == "state" || name == "queue");
            assert_eq!(outcome.incidents.is_empty(), silent, "{name} {damage}: {outcome:?}");
            for row in world.table().rows() {
                assert!(damaged.folder.contains_key(&format!("set-{}", row.identity)));
            }
            assert_eq!(outcome.undecided, 1);
        }
    }
}

/// A phone is cut off while it follows a change, and then the change is taken back: what it had
/// begun is given up, wherever that was, and that is no incident.
#[test]
fn a_change_that_is_taken_back_leaves_nothing() {
    let mut world = World::new(settings());
    world.publish();
    let mut synced = Client::new();
    synced.wake(&world, world.now);
    let before = world.table().clone();
    world.add(0, 7000);
    world.publish();
    let change = world.clone();
    world.remove(0, 7000);
    world.publish();
    assert_eq!(*world.table(), before);
    let mut begun = 0;
    for steps in 0..20 {
        let mut client = synced.clone();
        client.wake_cut_off(&change, change.now + 400, steps);
        begun += usize::from(client.folder.len() > synced.folder.len());
        let outcome = client.wake(&world, world.now + 400);
        assert!(outcome.up_to_date && outcome.incidents.is_empty(), "{steps}: {outcome:?}");
        client.assert_clean(world.table());
    }
    assert!(begun > 1, "a table and a set were there");
}

#[test]
fn a_storage_that_fails_loses_nothing() {
    let mut world = World::new(settings());
    world.publish();
    let mut steps = 0;
    loop {
        let mut client = Client::new();
        client.wake(&world, world.now);
        let mut later = world.clone();
        later.add(0, 123);
        later.publish();
        // From step `steps` on the disk is full.
        let (mut count, mut failed) = (0, false);
        let full = |step: &Step| {
            count += 1;
            if !matches!(step, Step::Put { .. }) || count <= steps {
                return Intercepted::No;
            }
            failed = true;
            Intercepted::Answer(Answer::Failed("disk full".into()))
        };
        let outcome = client.wake_intercepted(later.now + 400, full, &later.files).unwrap();
        assert_eq!(failed, matches!(outcome.error, Some(SyncError::Storage { .. })), "{outcome:?}");
        assert!(client.wake(&later, later.now + 5000).up_to_date);
        client.assert_clean(later.table());
        if !failed {
            break;
        }
        steps += 1;
    }
    assert!(steps > 5);
}

/// What happens to the elements between two ticks.
#[derive(Clone, Debug)]
enum Change {
    Add(u64, u64),
    Remove(u64, u64),
    DropDate(u64),
    Pass(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (0u64..5, 0u64..60).prop_map(|(date, number)| Change::Add(date, number)),
        3 => (0u64..5, 0u64..60).prop_map(|(date, number)| Change::Remove(date, number)),
        1 => (0u64..3).prop_map(Change::DropDate),
        1 => (1u64..5).prop_map(Change::Pass),
    ]
}

fn apply(world: &mut World, changes: &[Change]) {
    for change in changes {
        match *change {
            Change::Add(date, number) => world.add(date, number),
            Change::Remove(date, number) => world.remove(date, number),
            Change::DropDate(date) => drop(world.days.remove(&world::date(date))),
            Change::Pass(hours) => world.now += hours * 3600,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn from_any_tick_by_any_way_interrupted_anywhere(
        first in 0u32..100,
        ticks in prop::collection::vec(prop::collection::vec(change(), 0..6), 1..20),
        begin in prop::collection::vec((0usize..20, 0usize..60), 1..6),
    ) {
        let mut world = World::new(crowded());
        world.tick = first;
        let mut clients: Vec<(usize, usize, Client)> =
            begin.iter().map(|(tick, steps)| (*tick, *steps, Client::new())).collect();
        for (tick, changes) in ticks.iter().enumerate() {
            apply(&mut world, changes);
            world.publish();
            for (begin, steps, client) in &mut clients {
                // At its tick a client syncs, at later ones it is cut off, at some it sleeps.
                if tick == *begin {
                    client.wake(&world, world.now);
                    client.assert_clean(world.table());
                } else if tick > *begin && tick % 3 == 0 {
                    client.wake_cut_off(&world, world.now + 400, *steps);
                }
            }
        }
        for (_, _, client) in &mut clients {
            let outcome = client.wake(&world, world.now + 2000);
            prop_assert!(outcome.up_to_date, "{:?}", outcome);
            client.assert_clean(world.table());
            let mut fresh = Client::new();
            fresh.wake(&world, world.now);
            for (name, bytes) in &fresh.folder {
                if name.starts_with("set-") || name.starts_with("table-") {
                    prop_assert_eq!(client.folder.get(name), Some(bytes));
                }
            }
        }
    }

    /// Whatever a mirror does, what a client holds was published; and once the mirror is
    /// honest again, the client is up to date.
    #[test]
    fn a_hostile_mirror_never_wins(
        ticks in prop::collection::vec(prop::collection::vec(change(), 0..6), 2..10),
        mischief in prop::collection::vec((0u8..8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..), 1..200),
    ) {
        let mut world = World::new(crowded());
        let mut client = Client::new();
        let mut past = vec![];
        let mut held = None;
        let mut mischief = mischief.iter().cycle();
        for changes in &ticks {
            apply(&mut world, changes);
            world.publish();
            past.push(world.files.clone());
            let outcome = client.wake_with(world.now + 400, |path, part| {
                let (kind, at, other, flip) = mischief.next().unwrap();
                let honest = world.serve(path, part.clone());
                let Answer::Bytes(mut bytes) = honest else { return honest };
                match kind {
                    0 if !bytes.is_empty() => {
                        let at = at.index(bytes.len());
                        bytes[at] ^= flip;
                    }
                    1 => bytes.truncate(at.index(bytes.len() + 1)),
                    2 => bytes.extend_from_slice(&[*flip; 9]),
                    3 => return Answer::Missing,
                    4 => return world::serve(&past[at.index(past.len())], path, part),
                    5 => bytes = world.files.values().nth(other.index(world.files.len())).unwrap().clone(),
                    _ => {}
                }
                Answer::Bytes(bytes)
            });
            assert_published(&client, &world, &outcome);
            prop_assert!(outcome.held >= held, "{:?} after {:?}", outcome.held, held);
            held = outcome.held;
        }
        let outcome = client.wake(&world, world.now + 2 * 3600);
        prop_assert!(outcome.up_to_date, "{:?}", outcome);
        client.assert_clean(world.table());
    }
}

/// What the client says it holds was published as just that version, and all of it is
/// there; every other table in its folder was published too.
fn assert_published(client: &Client, world: &World, outcome: &Outcome) {
    let parse = |bytes: &Vec<u8>| Set::parse(bytes.clone()).expect("a set that was kept is whole");
    let states: BTreeSet<String> =
        world.history.values().map(|table| format!("table-{}", table.state())).collect();
    for (name, bytes) in &client.folder {
        assert!(!name.starts_with("table-") || states.contains(name));
        if let Some(identity) = name.strip_prefix("set-") {
            assert_eq!(parse(bytes).identity().to_string(), identity);
        }
    }
    if let Some(held) = outcome.held {
        let table = &world.history[&held];
        assert_eq!(client.folder[&format!("table-{}", table.state())], table.to_bytes());
        for row in table.rows() {
            let set = &client.folder[&format!("set-{}", row.identity)];
            assert_eq!(parse(set).len(), row.len);
        }
    }
    // A mirror may pass off a manifest that has not expired, but none before one seen.
    assert!(!outcome.up_to_date || outcome.held.is_some());
}

#[test]
fn bundles_exist_only_at_multiples_of_their_span_and_files_live_a_day() {
    let mut world = World::new(settings());
    let mut gone: Vec<(String, u32)> = Vec::new();
    for number in 1..=400u32 {
        world.add(u64::from(number) % 3, 100_000 + u64::from(number));
        let before: BTreeSet<String> = world.files.keys().cloned().collect();
        let publication = world.publish();
        let made: Vec<u32> = SPANS
            .into_iter()
            .filter(|span| world.files.contains_key(&format!("/v1/bundles/{span}/1-{number}")))
            .collect();
        let due: Vec<u32> =
            SPANS.into_iter().filter(|span| number > *span && number % span == 0).collect();
        assert_eq!(made, due, "tick {number}");
        for path in publication.delete {
            assert!(before.contains(&path.to_string()));
            gone.push((path.to_string(), number));
        }
    }
    let bundle = |to: u32| gone.iter().find(|(path, _)| *path == format!("/v1/bundles/1/1-{to}"));
    // Listed for 192 ticks, then a day of 96 ticks.
    assert_eq!(bundle(2).unwrap().1, 2 + 192 + 96);
    let checks = gone.iter().filter(|(path, _)| path.starts_with("/v1/checks/")).count();
    assert_eq!(checks, 398, "one date changes a tick; its checks live for two manifests");
    assert_eq!(DAY_SECONDS / 900, 96);
}

/// A file that the server cannot give just now does not keep a client from another way.
#[test]
fn one_failing_file_costs_a_detour() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    world.add(0, 7000);
    world.publish();
    let outcome = client.wake_with(world.now + 400, |path, part| {
        if path.starts_with("/v1/bundles/") {
            Answer::Failed("HTTP 500".into())
        } else {
            world.serve(path, part)
        }
    });
    assert!(outcome.up_to_date && outcome.error.is_none(), "{outcome:?}");
    assert_eq!(client.fetched.iter().filter(|path| path.contains("bundles")).count(), 1);
    client.assert_clean(world.table());
}

/// An app that pins another key starts over, and leaves nothing behind.
#[test]
fn another_root_starts_over() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    let root = gcs_core::SigningKey::from_seed([8; 32]);
    let mut other = World::new(settings());
    other.keys = world::keys_of(&root, &world::online_key(), 1, world::START + 400 * DAY_SECONDS);
    other.add(0, 1234);
    other.publish();
    client.settings.root = root.public();
    let outcome = client.wake(&other, other.now);
    assert!(matches!(outcome.incidents[..], [Incident::OtherRoot { .. }]), "{outcome:?}");
    assert!(outcome.up_to_date);
    client.assert_clean(other.table());
}

/// Nothing is written when nothing has changed.
#[test]
fn an_idle_wake_writes_nothing() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.hear(world::START + 40_000, 3);
    let outcome = client.wake(&world, world.now);
    let look = |step: &Step| {
        assert!(!matches!(step, Step::Put { .. }), "{step:?}");
        Intercepted::No
    };
    let outcome = client.wake_intercepted(outcome.next_wake - 1, look, &world.files).unwrap();
    assert!(outcome.up_to_date);
}

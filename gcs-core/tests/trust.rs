//! Manifests that are not to be trusted, and publications that must not happen.

mod world;

use gcs_core::Version;
use gcs_core::files::{Manifest, ManifestError};
use gcs_core::publish::PublishError;
use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::sync::SyncError;
use gcs_core::{DAY_SECONDS, SigningKey};
use world::{Client, START, World, date, element, keys_of, online_key, root_key};

/// Publishes the world's next tick under other keys.
fn publish_with(world: &mut World, keys: Keys) {
    let honest = std::mem::replace(&mut world.keys, keys);
    world.publish();
    world.keys = honest;
}

/// What a client that was up to date says to the world's present manifest.
fn error_of(client: &mut Client, world: &World, now: u64) -> SyncError {
    let before = client.folder.clone();
    let outcome = client.wake(world, now);
    let same = |name: &str| client.folder.get(name) == before.get(name);
    assert!(before.keys().filter(|name| *name != "state").all(|name| same(name)));
    assert_eq!(client.folder.len().max(before.len()), before.len().max(1));
    outcome.error.expect("it is not accepted")
}

#[test]
fn only_keys_that_the_root_lists_may_sign() {
    let mut world = World::new(PublisherSettings::default());
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    let late = world.now + 4000;
    let expires = START + 400 * DAY_SECONDS;

    let stranger = SigningKey::from_seed([9; 32]);
    let mut other_root = world.clone();
    publish_with(&mut other_root, keys_of(&stranger, &online_key(), 1, expires));
    let error = error_of(&mut client, &other_root, late);
    let root = root_key().public();
    assert_eq!(error, SyncError::Manifest(ManifestError::RootSignature { root }));

    // Signed by a key that is not on the list: the publisher itself refuses.
    let mut unlisted = keys_of(&root_key(), &online_key(), 1, expires);
    unlisted.online = stranger;
    world.keys = unlisted;
    assert!(matches!(
        world.try_publish(),
        Err(PublishError::Manifest(ManifestError::OnlineSignature { keys: 1 }))
    ));
    world.keys = world::keys();
    assert!(world.try_publish().is_ok());
}

#[test]
fn lists_and_manifests_expire_and_never_go_back() {
    let mut world = World::new(PublisherSettings::default());
    let soon = world.now + 3600;
    let mut older = world.clone();
    publish_with(&mut world, keys_of(&root_key(), &online_key(), 5, soon));
    let mut client = Client::new();
    assert!(client.wake(&world, world.now).up_to_date);

    // The list has expired.
    let error = error_of(&mut client, &world, soon + 5000);
    let now = soon + 5000;
    assert_eq!(error, SyncError::Manifest(ManifestError::KeysExpired { expires: soon, now }));

    // An older list comes back, from a publisher that knows no better.
    let expires = START + 400 * DAY_SECONDS;
    publish_with(&mut older, keys_of(&root_key(), &online_key(), 4, expires));
    let error = error_of(&mut client, &older, now + 2000);
    let expected = ManifestError::KeysRolledBack { seen: 5, got: 4 };
    assert_eq!(error, SyncError::Manifest(expected));

    // A new one is accepted, until its manifest expires.
    let issued = world.now;
    publish_with(&mut world, keys_of(&root_key(), &online_key(), 6, expires));
    assert!(client.wake(&world, now + 4000).up_to_date);
    let now = issued + DAY_SECONDS;
    let error = error_of(&mut client, &world, now);
    assert_eq!(error, SyncError::Manifest(ManifestError::Expired { expires: now, now }));
    assert_eq!(client.wake(&world, now - 1).error, None);
}

#[test]
fn replays_and_equivocation_are_refused() {
    let mut world = World::new(PublisherSettings::default());
    world.publish();
    let old = world.clone();
    let mut fork = world.clone();
    world.add(0, 100);
    world.publish();
    fork.add(0, 200);
    fork.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    let error = error_of(&mut client, &old, world.now + 2000);
    let (seen, got) = (Version { series: 1, tick: 2 }, Version { series: 1, tick: 1 });
    assert_eq!(error, SyncError::RolledBack { seen, got });
    let error = error_of(&mut client, &fork, world.now + 4000);
    assert!(matches!(error, SyncError::Equivocation { .. }), "{error:?}");
}

#[test]
fn publishing_is_deterministic_in_everything_but_the_order_of_elements() {
    let mut world = World::new(PublisherSettings::default());
    world.publish();
    world.add(1, 4000);
    let one = world.try_publish().unwrap();
    let mut days = world.days();
    days.reverse();
    for day in &mut days {
        day.elements.reverse();
        let again = day.elements[0].clone();
        day.elements.push(again);
    }
    let two = world.publisher.publish(2, world.now, &days, &world.keys).unwrap();
    assert_eq!(one.files, two.files);
    assert_eq!(one.delete, two.delete);
}

#[test]
fn a_publication_that_must_not_happen_is_refused() {
    let mut world = World::new(PublisherSettings::default());
    world.publish();
    let publish = |number, now, days: &[Day<Vec<u8>>]| {
        world.publisher.publish(number, now, days, &world.keys).err()
    };
    let now = world.now;
    let day = |n, elements| Day { date: date(n), elements };
    assert_eq!(publish(3, now, &[]), Some(PublishError::Tick { expected: 2, got: 3 }));
    assert_eq!(publish(1, now, &[]), Some(PublishError::Tick { expected: 2, got: 1 }));
    let last = now - 900;
    assert_eq!(publish(2, 5, &[]), Some(PublishError::Clock { last, got: 5 }));
    let twice = [day(0, vec![]), day(1, vec![]), day(0, vec![])];
    assert_eq!(publish(2, now, &twice), Some(PublishError::DateTwice { date: date(0) }));
    let short = [day(1, vec![element(1), vec![0; 15]])];
    let error = PublishError::ElementLength { date: date(1), index: 1, got: 15 };
    assert_eq!(publish(2, now, &short), Some(error));
    let many: Vec<_> = (0..33).map(|n| day(n, vec![])).collect();
    let error = PublishError::TooManyDates { max: 32, got: 33 };
    assert_eq!(publish(2, now + 90 * DAY_SECONDS, &many), Some(error));
    let settings = PublisherSettings { rate_bits: 53, ..PublisherSettings::default() };
    let strict = Publisher::new(settings, 1);
    let refused = strict.publish(1, now, &[day(0, vec![element(1)])], &world.keys);
    assert!(matches!(refused, Err(PublishError::Params { .. })));
}

#[test]
fn a_date_waits_until_two_hours_after_its_end() {
    let mut world = World::new(PublisherSettings::default());
    world.days.clear();
    world.add(0, 1);
    let entry = date(0).end() + 2 * 3600;
    world.now = entry - 1;
    let publication = world.publish();
    assert_eq!(publication.waiting, [date(0)]);
    assert!(world.table().rows().is_empty());
    world.now = entry;
    let publication = world.publish();
    assert!(publication.waiting.is_empty());
    assert_eq!(world.table().rows().len(), 1);
}

/// A date that outgrows its plan gets a new salt and range; its rate stays below 2^-r.
#[test]
fn a_date_is_rebased_when_it_outgrows_its_plan() {
    let mut world =
        World::new(PublisherSettings { expected_per_date: 20, ..PublisherSettings::default() });
    world.publish();
    let mut client = Client::new();
    client.wake(&world, world.now);
    let before = *world.table().row(date(0)).unwrap();
    for number in 0..30 {
        world.add(0, 70_000 + number);
        world.publish();
        for row in world.table().rows() {
            assert!(row.hash_range.false_positive_rate(row.len) < 1.0 / f64::from(1 << 20));
        }
    }
    let after = *world.table().row(date(0)).unwrap();
    assert_ne!((before.salt, before.hash_range), (after.salt, after.hash_range));
    assert!(client.wake(&world, world.now).up_to_date);
    client.assert_clean(world.table());
}

/// Everything a mirror may hand over in place of a manifest.
#[test]
fn no_other_bytes_are_a_manifest() {
    let mut world = World::new(PublisherSettings::default());
    world.publish();
    let honest = world.files["/v1/manifest"].clone();
    let text = String::from_utf8(honest.clone()).unwrap();
    let mut wrong: Vec<Vec<u8>> = vec![
        vec![],
        b"{}".to_vec(),
        b"null".to_vec(),
        vec![b'['; 2000],
        [&honest[..], b"x"].concat(),
        [&honest[..], &[b' '; 2048][..]].concat(),
        text.replace("manifest+json", "manifesto+json").into_bytes(),
        text.replace("\"sig\"", "\"gis\"").into_bytes(),
        text.replace("\"signatures\":[", "\"signatures\":[],\"more\":[").into_bytes(),
    ];
    wrong.extend((0..honest.len()).map(|length| honest[..length].to_vec()));
    for bytes in wrong {
        let mut client = Client::new();
        let mut files = world.files.clone();
        files.insert("/v1/manifest".into(), bytes);
        let outcome = client.wake_with(world.now, |path, range| world::serve(&files, path, range));
        assert!(matches!(outcome.error, Some(SyncError::Manifest(_))), "{outcome:?}");
        assert_eq!(outcome.held, None);
    }
}

/// The publisher itself looks at every byte of the manifests that it keeps, for good.
#[test]
fn no_flipped_bit_of_a_kept_manifest_is_overlooked() {
    let mut world = World::new(PublisherSettings::default());
    world.publish();
    let root = world.keys.root;
    let honest = world.files["/v1/manifest"].clone();
    assert_eq!(Manifest::verify_file(&honest, &root).unwrap().tick, 1);
    for at in 0..honest.len() {
        for bit in 0..8 {
            let mut flipped = honest.clone();
            flipped[at] ^= 1 << bit;
            assert!(Manifest::verify_file(&flipped, &root).is_err(), "byte {at}, bit {bit}");
        }
        assert!(Manifest::verify_file(&honest[..at], &root).is_err(), "cut at {at}");
    }
    // Clients accept these.
    let text = String::from_utf8(honest).unwrap();
    let accepted = [text.replace(',', ", "), text.replace("\"keyid\":\"", "\"keyid\":\"x")];
    for other in accepted {
        assert!(Manifest::verify(other.as_bytes(), &root, world.now, 0).is_ok());
        assert!(Manifest::verify_file(other.as_bytes(), &root).is_err());
    }
    let foreign = SigningKey::from_seed([77; 32]).public();
    assert!(Manifest::verify_file(text.as_bytes(), &foreign).is_err());
}

/// A publisher that was saved and restored at every tick makes the same files.
#[test]
fn a_restart_changes_nothing() {
    let mut world =
        World::new(PublisherSettings { expected_per_date: 20, ..PublisherSettings::default() });
    world.tick = 90;
    let mut restarted = world.clone();
    for number in 0..120 {
        for world in [&mut world, &mut restarted] {
            world.add(number % 3, 80_000 + number);
        }
        if number == 100 {
            world.publisher = world.publisher.next_series();
            restarted.publisher = restarted.publisher.next_series();
        }
        let bytes = restarted.publisher.to_bytes();
        restarted.publisher = Publisher::from_bytes(&bytes).unwrap();
        let (one, two) = (world.publish(), restarted.publish());
        assert_eq!((one.files, one.delete), (two.files, two.delete));
        if number % 40 == 0 {
            let mut damaged = bytes;
            let at = (number as usize * 97) % damaged.len();
            damaged[at] ^= 1;
            assert!(Publisher::from_bytes(&damaged).is_err());
            assert!(Publisher::from_bytes(&damaged[..at]).is_err());
        }
    }
}

/// What a publisher must not sign because clients have seen more.
#[test]
fn a_key_list_never_goes_back_but_a_wrong_clock_may() {
    let mut world = World::new(PublisherSettings::default());
    let expires = START + 9000 * DAY_SECONDS;
    let honest = world.now;
    world.now += 3650 * DAY_SECONDS;
    world.keys = keys_of(&root_key(), &online_key(), 5, expires);
    world.publish();
    world.keys = keys_of(&root_key(), &online_key(), 4, expires);
    let expected = ManifestError::KeysRolledBack { seen: 5, got: 4 };
    assert_eq!(world.try_publish().err(), Some(PublishError::Manifest(expected)));
    world.keys = keys_of(&root_key(), &online_key(), 5, expires);

    // Its clock was ten years ahead: a new series may begin today.
    world.now = honest;
    assert!(matches!(world.try_publish(), Err(PublishError::Clock { .. })));
    world.publisher = world.publisher.next_series();
    world.remove(0, 3);
    world.publish();
    let mut client = Client::new();
    assert!(client.wake(&world, world.now).up_to_date);
    world.now += DAY_SECONDS;
    assert!(!world.publish().delete.is_empty(), "retired files go after a day all the same");
}

//! Matching and confirmation: who is told what, and when.

mod world;

use gcs_core::files::Verdict;
use gcs_core::publish::PublisherSettings;
use gcs_core::sync::{Answer, Asked, Contact, Incident, Outcome, Step};
use gcs_core::{DAY_SECONDS, Set};
use world::{Client, Intercepted, START, World, date, element};

fn settings() -> PublisherSettings {
    PublisherSettings { expected_per_date: 1000, ..PublisherSettings::default() }
}

/// The contacts of a wake that could read its folder.
fn contacts(outcome: &Outcome) -> &[Contact] {
    outcome.contacts.as_deref().expect("the folder could be read")
}

/// Wakes at every moment the client asks for, while the world stands still.
fn confirm_all(client: &mut Client, world: &World) -> (Outcome, Vec<Asked>) {
    client.settings.confirm_every = 600;
    let (mut now, mut asked) = (world.now, Vec::new());
    loop {
        let outcome = client.wake(world, now);
        assert!(outcome.up_to_date || outcome.error.is_none(), "{outcome:?}");
        asked.extend(outcome.asked);
        if outcome.undecided == 0 && outcome.asked.is_some() {
            return (outcome, asked);
        }
        assert!(outcome.next_wake > now && now < world.now + DAY_SECONDS);
        now = outcome.next_wake;
    }
}

#[test]
fn contacts_are_confirmed_by_episode_and_withdrawn_when_corrected() {
    let mut world = World::new(settings());
    world.publish();
    let noon = START + 12 * 3600;
    let mut client = Client::new();
    // Two hits within half an hour are one episode, a third much later another.
    client.hear(noon, 3);
    client.hear(noon + 1800, 4);
    client.hear(noon + 1800 + 1801, 5);
    client.hear(noon, 999_999);
    let (outcome, asked) = confirm_all(&mut client, &world);
    assert_eq!(asked, [Asked::Candidate(Verdict::Confirmed)], "one record holds all three");
    let spans: Vec<_> = contacts(&outcome).iter().map(|c| (c.first, c.last)).collect();
    assert_eq!(spans, [(noon, noon + 1800), (noon + 3601, noon + 3601)]);

    // From then on, only dummies; the contacts stay until the element is gone.
    let outcome = client.wake(&world, outcome.next_wake);
    assert_eq!(contacts(&outcome).len(), 2);
    world.remove(0, 5);
    world.publish();
    let outcome = client.wake(&world, world.now + 4000);
    assert_eq!(contacts(&outcome).len(), 1);
    assert_eq!(outcome.asked, Some(Asked::Dummy { authentic: true }));
    world.days.remove(&date(0));
    world.publish();
    let outcome = client.wake(&world, world.now + 8000);
    assert!(contacts(&outcome).is_empty() && outcome.undecided == 0);
}

#[test]
fn midnight_belongs_to_both_dates() {
    let mut world = World::new(settings());
    world.publish();
    let midnight = START + DAY_SECONDS;
    // Element 3 was broadcast on date 0, element 1003 on date 1.
    for (time, number, hit) in [
        (midnight + 7199, 3, true),
        (midnight + 7200, 3, false),
        (midnight - 7200, 1003, true),
        (midnight - 7201, 1003, false),
    ] {
        let mut client = Client::new();
        client.hear(time, number);
        let outcome = client.wake(&world, world.now);
        assert_eq!(outcome.undecided, usize::from(hit), "{time} {number}");
    }
}

/// A false positive is asked for once, however often it was heard and however often its
/// date changes: a question that comes back would tell it from a dummy.
#[test]
fn a_false_positive_is_asked_for_once() {
    let mut world =
        World::new(PublisherSettings { rate_bits: 1, expected_per_date: 20, interval: 900 });
    world.publish();
    let row = *world.table().row(date(1)).unwrap();
    let set = Set::parse(&world.files[&format!("/v1/sets/{}/{}", row.date, row.identity)]).unwrap();
    let stranger = (50_000..).find(|number| set.contains(element(*number))).unwrap();
    let mut client = Client::new();
    let noon = START + DAY_SECONDS + 40_000;
    for sighting in 0..300 {
        client.hear(noon + sighting * 5, stranger);
    }
    // Met in the same episode, after more false sightings than the queue holds.
    client.hear(noon + 2000, 1003);
    let (outcome, asked) = confirm_all(&mut client, &world);
    // The date has one record, which answers for the contact too.
    assert_eq!(asked, [Asked::Candidate(Verdict::FalsePositive)]);
    assert_eq!(contacts(&outcome)[0].element, element(1003));
    let mut now = outcome.next_wake;
    for number in 0..20 {
        world.add(1, 90_000 + number);
        world.now = world.now.max(now);
        world.publish();
        let outcome = client.wake(&world, world.now);
        assert!(!matches!(outcome.asked, Some(Asked::Candidate(_))), "{outcome:?}");
        now = outcome.next_wake;
    }
}

/// A mirror that answers no question, or stalls until the app is stopped, sees the same
/// question again, whether it is a candidate's or a dummy; and one a slot.
#[test]
fn an_unanswered_question_tells_nothing() {
    let mut world = World::new(settings());
    for number in 0..9000 {
        world.add(1, 10_000 + number);
    }
    world.publish();
    for hits in [0, 1] {
        for stall in [false, true] {
            let mut client = Client::new();
            client.settings.confirm_every = 3000;
            if hits > 0 {
                client.hear(START + DAY_SECONDS + 40_000, 10_000);
            }
            let mut asked = Vec::new();
            for wake in 0..200 {
                let withhold = |step: &Step| match step {
                    Step::Fetch { path, byte_range: Some(part), .. } => {
                        asked.push((path.clone(), part.clone()));
                        if stall { Intercepted::Off } else { Intercepted::Answer(Answer::Missing) }
                    }
                    _ => Intercepted::No,
                };
                client.wake_intercepted(world.now + wake * 400, withhold, &world.files);
            }
            // 80,000 s of slots that come every 3000 s on average, of 1500 s at least.
            assert!((15..=40).contains(&asked.len()), "{}", asked.len());
            assert!(asked.windows(2).all(|pair| pair[0] == pair[1]), "{asked:?}");
        }
    }
}

#[test]
fn one_of_two_colliding_elements_can_be_removed() {
    let mut world =
        World::new(PublisherSettings { rate_bits: 1, expected_per_date: 20, interval: 900 });
    world.publish();
    let row = *world.table().row(date(1)).unwrap();
    let hasher = gcs_core::ElementHasher::new(row.salt, row.hash_range);
    let fingerprint = hasher.fingerprint(&element(1003));
    let twin = (60_000..).find(|n| hasher.fingerprint(&element(*n)) == fingerprint).unwrap();
    world.add(1, twin);
    world.publish();
    let noon = START + DAY_SECONDS + 43_200;
    let verdict = |world: &World, number| {
        let mut client = Client::new();
        client.hear(noon, number);
        confirm_all(&mut client, world).1
    };
    assert_eq!(verdict(&world, 1003), [Asked::Candidate(Verdict::Confirmed)]);
    assert_eq!(verdict(&world, twin), [Asked::Candidate(Verdict::Confirmed)]);
    world.remove(1, 1003);
    world.publish();
    assert_eq!(world.table().row(date(1)).unwrap().identity, row.identity);
    assert_eq!(verdict(&world, 1003), [Asked::Candidate(Verdict::FalsePositive)]);
    assert_eq!(verdict(&world, twin), [Asked::Candidate(Verdict::Confirmed)]);
}

#[test]
fn a_record_that_cannot_be_trusted_is_unknown() {
    let mut world = World::new(settings());
    world.publish();
    let before = world.files.clone();
    world.add(0, 500);
    world.publish();
    let row = *world.table().row(date(0)).unwrap();
    let path = format!("/v1/checks/{}/{}", row.date, row.check_root);
    let honest = world.files[&path].clone();
    let stale: Vec<u8> = {
        let name = before.keys().find(|name| name.starts_with(&path[..21])).unwrap();
        before[name].clone()
    };
    let other: Vec<u8> = {
        let row = world.table().row(date(1)).unwrap();
        world.files[&format!("/v1/checks/{}/{}", row.date, row.check_root)].clone()
    };
    let mut flipped = honest.clone();
    flipped[56] ^= 1;
    let answers = [
        Answer::Bytes(flipped),
        Answer::Bytes(stale),
        Answer::Bytes(other),
        Answer::Bytes(honest[..honest.len() - 1].to_vec()),
        Answer::Bytes([&honest[..], &[0]].concat()),
        Answer::Bytes(Vec::new()),
        Answer::Missing,
        Answer::Failed("timed out".into()),
    ];
    for answer in answers {
        let mut client = Client::new();
        client.settings.confirm_every = 1; // The first slot is now.
        client.hear(START + 40_000, 500);
        let deceive = |path: &str, range| {
            if path.starts_with("/v1/checks/") { answer.clone() } else { world.serve(path, range) }
        };
        let outcome = client.wake_with(world.now, deceive);
        assert_eq!(outcome.asked, Some(Asked::Candidate(Verdict::Unknown)));
        assert!(matches!(outcome.incidents[..], [Incident::Detour(_)]), "{outcome:?}");
        assert_eq!((outcome.undecided, contacts(&outcome).len()), (1, 0));
        // It stays queued, also without being heard again, and is asked for again.
        client.heard.clear();
        let outcome = client.wake(&world, world.now + 10);
        assert_eq!(outcome.asked, Some(Asked::Candidate(Verdict::Confirmed)));
    }
}

/// Every slot is one request of the same length, whatever is queued.
#[test]
fn slots_look_alike() {
    let mut world = World::new(settings());
    world.publish();
    let mut lengths = Vec::new();
    for hits in [0, 1, 5] {
        let mut client = Client::new();
        client.settings.confirm_every = 1;
        for hit in 0..hits {
            client.hear(START + 3600 * (4 + hit), hit);
        }
        client.wake(&world, world.now);
        let checks = client.fetched.iter().filter(|path| path.starts_with("/v1/checks/")).count();
        assert_eq!(checks, 1);
        lengths.push(client.bytes);
    }
    assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{lengths:?}");
}

/// A dummy asks for any rank of any date, in proportion to the dates' sizes.
#[test]
fn dummies_are_spread_over_all_fingerprints() {
    let mut world = World::new(settings());
    for number in 0..300 {
        world.add(0, 10_000 + number);
    }
    world.publish();
    let mut counts = [0u32; 3];
    for wake in 0..200u8 {
        let mut client = Client::new();
        client.wakes = wake;
        client.settings.confirm_every = 1;
        client.wake(&world, world.now);
        let path = client.fetched.iter().find(|path| path.starts_with("/v1/checks/")).unwrap();
        let at = (0..3).find(|n| path.contains(&date(*n).to_string())).unwrap();
        counts[at as usize] += 1;
    }
    // 320, 20 and 20 of 360 elements.
    assert!(counts[0] > 150 && counts[1] > 2 && counts[2] > 2, "{counts:?}");
}

/// An unlimited number of hits: the queue keeps 256 and lets every episode have its turn.
#[test]
fn more_hits_than_the_queue_holds_are_not_lost() {
    let mut world = World::new(settings());
    for number in 0..2000 {
        world.add(1, 20_000 + number);
    }
    world.publish();
    let mut client = Client::new();
    // Three long episodes of 600 hits each, six hours apart.
    for episode in 0..3 {
        for hit in 0..600 {
            client.hear(START + DAY_SECONDS + 7200 + episode * 21_600 + hit * 10, 20_000 + hit);
        }
    }
    let (outcome, asked) = confirm_all(&mut client, &world);
    assert_eq!(asked.len(), 1, "one record holds them all");
    assert_eq!(contacts(&outcome).len(), 3);
    assert!(client.folder["queue"].len() < 256 * 110);
}

#[test]
fn what_cannot_be_an_element_is_named_and_left_out() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    for length in [0, 15, 16, 64, 65, 1000] {
        let element = vec![1; length];
        client.heard.push(gcs_core::sync::Heard { time: START + 40_000, element });
    }
    let outcome = client.wake(&world, world.now);
    let left_out = [(0, 0), (1, 15), (4, 65), (5, 1000)];
    let expected = left_out.map(|(index, got)| Incident::HeardLength { index, got });
    assert_eq!(outcome.incidents, expected);
}

/// Without a network, the loss of a set must not look like a correction.
#[test]
fn a_contact_outlives_the_loss_of_a_file() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.hear(START + 40_000, 3);
    let (outcome, _) = confirm_all(&mut client, &world);
    assert_eq!(contacts(&outcome).len(), 1);
    let names: Vec<String> =
        client.folder.keys().filter(|name| *name != "queue").cloned().collect();
    for name in names {
        let mut damaged = client.clone();
        damaged.folder.remove(&name);
        let offline = |_: &str, _| Answer::Failed("offline".into());
        let now = outcome.next_wake + 50_000;
        assert_eq!(damaged.wake_with(now, offline).contacts, outcome.contacts, "{name}");
        assert_eq!(damaged.wake(&world, now + 4000).contacts, outcome.contacts, "{name}");
    }
}

/// A clock that was years ahead for one wake must not silence the client for years.
#[test]
fn a_clock_that_comes_back_does_not_stall_the_client() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.hear(START + 40_000, 3);
    for wrong in [world.now + 70 * 365 * DAY_SECONDS, u64::MAX, 0] {
        client.wake(&world, wrong);
        let outcome = client.wake(&world, world.now);
        assert!(outcome.up_to_date && outcome.error.is_none(), "{wrong}: {outcome:?}");
        assert!(outcome.next_wake <= world.now + DAY_SECONDS);
    }
    let (outcome, _) = confirm_all(&mut client, &world);
    assert_eq!(contacts(&outcome).len(), 1);
}

/// What cannot be read is not taken back.
#[test]
fn a_folder_that_cannot_be_read_says_nothing_of_contacts() {
    let mut world = World::new(settings());
    world.publish();
    let mut client = Client::new();
    client.hear(START + 40_000, 3);
    let (outcome, _) = confirm_all(&mut client, &world);
    let names: Vec<String> = client.folder.keys().cloned().collect();
    for locked in names {
        let mut client = client.clone();
        let lock = |step: &Step| match step {
            Step::Get { name } if *name == locked => {
                Intercepted::Answer(Answer::Failed("locked".into()))
            }
            _ => Intercepted::No,
        };
        let now = outcome.next_wake;
        let outcome = client.wake_intercepted(now, lock, &world.files).unwrap();
        assert_eq!(outcome.contacts, None, "{locked}");
        assert!(matches!(outcome.error, Some(gcs_core::sync::SyncError::Storage { .. })));
        // Without a state there is no schedule: it tries again in 10 to 20 minutes.
        assert!(locked == "queue" || (600..1200).contains(&(outcome.next_wake - now)), "{locked}");
    }
}

/// Eight hours beside a patient are eight hours, also with more hits than are stored.
#[test]
fn a_contact_lasts_from_its_first_hit_to_its_last() {
    let mut world = World::new(settings());
    for number in 0..480 {
        world.add(1, 30_000 + number);
    }
    world.publish();
    let mut client = Client::new();
    let begin = START + DAY_SECONDS + 8 * 3600;
    for minute in 0..480 {
        client.hear(begin + minute * 60, 30_000 + minute);
    }
    let (outcome, asked) = confirm_all(&mut client, &world);
    assert_eq!(asked, [Asked::Candidate(Verdict::Confirmed)]);
    let span = (contacts(&outcome)[0].first, contacts(&outcome)[0].last);
    assert_eq!(span, (begin, begin + 479 * 60));
}

/// Hits of one episode in different records are one question; of two episodes, two.
#[test]
fn an_episode_is_one_question() {
    let mut world = World::new(settings());
    for number in 0..9000 {
        world.add(1, 40_000 + number);
    }
    world.publish();
    let row = *world.table().row(date(1)).unwrap();
    assert!(row.records() > 4);
    let set = Set::parse(&world.files[&format!("/v1/sets/{}/{}", row.date, row.identity)]).unwrap();
    let record_of = |number| {
        set.rank_of(set.hasher().fingerprint(&element(number))).unwrap() / row.record_shape.ranks
    };
    let first = 40_000;
    let second = (40_001..).find(|number| record_of(*number) != record_of(first)).unwrap();
    let begin = START + DAY_SECONDS + 40_000;
    for (gap, questions) in [(1800, 1), (1801, 2)] {
        let mut client = Client::new();
        client.hear(begin, first);
        client.hear(begin + gap, second);
        let (outcome, asked) = confirm_all(&mut client, &world);
        assert_eq!(asked, vec![Asked::Candidate(Verdict::Confirmed); questions]);
        assert_eq!(contacts(&outcome).len(), questions);
    }
}

//! What questions tell: when they are asked, what for, and how they look on the network.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeSet;
use std::ops::Range;

use gcs_core::files::{Path, Verdict};
use gcs_core::publish::PublisherSettings;
use gcs_core::sync::{Answer, Asked, ClientSettings, Outcome};
use gcs_core::{DAY_SECONDS, Set};
use world::{Client, START, World, date, element, root_key};

/// A question as a server sees it: a path and a part.
type Seen = (String, Range<u64>);

fn settings() -> PublisherSettings {
    PublisherSettings { expected_per_date: 40_000, interval: 3600, ..PublisherSettings::default() }
}

/// Sets that are as full as planned, so that false positives have the rate that is planned.
fn small(rate_bits: u32) -> PublisherSettings {
    PublisherSettings { rate_bits, expected_per_date: 20, ..settings() }
}

/// The settings of an app, but that it always asks.
fn careful() -> ClientSettings {
    ClientSettings { false_alarm_one_in: 0, ..ClientSettings::new(root_key().public()) }
}

/// A world of so many elements on each of three dates, published once.
fn world_of(count: u64) -> World {
    let mut world = World::empty(settings());
    for number in 0..3 {
        (0..count).for_each(|at| world.add(number, number * 100_000 + at));
    }
    world.publish();
    world
}

/// Publishes ticks of so many new elements on the second date until a time.
fn publish_until(world: &mut World, until: u64, count: u64) {
    while world.now < until {
        let first = 10_000_000 + u64::from(world.tick) * 1000;
        (first..first + count).for_each(|number| world.add(1, number));
        world.publish();
    }
}

/// Wakes a client with an honest server, and returns the question that it asked.
fn wake(client: &mut Client, world: &World, now: u64) -> (Outcome, Option<Seen>) {
    let mut seen = None;
    let outcome = client.wake_with(now, |path, part| {
        if let Some(part) = &part {
            assert!(seen.is_none(), "one question a wake");
            seen = Some((path.to_owned(), part.clone()));
        }
        world.serve(path, part)
    });
    (outcome, seen)
}

/// Lets a client follow a world of so many new elements a tick for some seconds. Returns the
/// times of its questions.
fn questions(client: &mut Client, world: &mut World, count: u64, seconds: u64) -> Vec<u64> {
    let (end, mut now, mut times) = (world.now + seconds, world.now, Vec::new());
    while now < end {
        publish_until(world, now, count);
        let (outcome, seen) = wake(client, world, now);
        assert_eq!(outcome.error, None);
        times.extend(seen.map(|_| now));
        now = outcome.next_wake;
    }
    times
}

/// The fingerprints between the first and the last of the question's record.
fn asked_fingerprints(world: &World, seen: &Seen) -> (u64, u64) {
    let (date, ranks) = asked_ranks(world, seen);
    let row = world.table().row(date).unwrap();
    let set = Set::parse(&world.files[&format!("/v1/sets/{}/{}", row.date, row.identity)]).unwrap();
    let last = ranks.end.min(row.len) - 1;
    let rank = |rank: u32| set.iter().nth(rank as usize).unwrap();
    (rank(ranks.start), rank(last))
}

/// The date and the ranks of the question's record.
fn asked_ranks(world: &World, (path, part): &Seen) -> (gcs_core::Date, Range<u32>) {
    let Ok(Path::Checks { date, .. }) = path.parse() else { panic!("a record's path: {path}") };
    let row = world.table().row(date).unwrap();
    let number = (part.start / row.record_shape.record_len()) as u32;
    (date, number * row.record_shape.ranks..(number + 1) * row.record_shape.ranks)
}

/// Dummies are drawn among what is new, as hits are. All that is new here is on the second
/// date, so no dummy is of another one.
#[test]
fn dummies_are_among_what_is_new() {
    for phone in 0..5 {
        let mut world = world_of(500);
        let mut client = Client { settings: careful(), wakes: phone * 10, ..Client::new() };
        client.settings.crowd = 100;
        // The first question is about everything.
        let (mut now, mut first) = (world.now, None);
        while first.is_none() {
            let outcome;
            (outcome, first) = wake(&mut client, &world, now);
            now = outcome.next_wake;
        }
        world.now = now;
        let mut dates = BTreeSet::new();
        let end = now + 3 * DAY_SECONDS;
        while now < end {
            publish_until(&mut world, now, 80);
            let (outcome, seen) = wake(&mut client, &world, now);
            if let Some(seen) = seen {
                assert!(matches!(outcome.asked, Some(Asked::Dummy { authentic: true })));
                dates.insert(asked_ranks(&world, &seen).0);
            }
            now = outcome.next_wake;
        }
        assert_eq!(dates, BTreeSet::from([date(1)]));
    }
}

/// A question waits for a crowd, but not for longer than a day of the publisher's.
#[test]
fn questions_wait_for_a_crowd() {
    // 24 ticks a day: 4800 new elements or 480.
    for (count, crowd, per_day) in [(200, 100, 2..=8), (200, 4000, 1..=2), (20, 4000, 0..=1)] {
        let mut world = world_of(100);
        let mut client = Client { settings: careful(), ..Client::new() };
        client.settings.crowd = crowd;
        let days = 4;
        let times = questions(&mut client, &mut world, count, days * DAY_SECONDS);
        let range = per_day.start() * days as usize..=per_day.end() * days as usize + 1;
        assert!(range.contains(&times.len()), "{count} {crowd}: {times:?}");
        assert!(times.len() >= 3, "a day is the longest: {times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 3 * 3600), "{times:?}");
    }
}

/// Whoever withholds publications cannot choose what a question hides among: a phone that
/// is given one tick after the other, as late as manifests allow, asks only once a crowd is new.
#[test]
fn a_mirror_that_hands_out_single_ticks_gets_no_question() {
    let mut world = world_of(100);
    let mut client = Client { settings: careful(), ..Client::new() };
    client.settings.crowd = 1000;
    let mut now = world.now;
    let mut first = None;
    while first.is_none() {
        let outcome;
        (outcome, first) = wake(&mut client, &world, now);
        now = outcome.next_wake;
        publish_until(&mut world, now, 20);
    }
    // From here on each tick is held back for 23 hours.
    let mut ticks = vec![(world.now - 3600, world.clone())];
    let end = now + 22 * 3600;
    while world.now < end {
        let next = world.now + 1;
        publish_until(&mut world, next, 20);
        ticks.push((world.now - 3600, world.clone()));
    }
    let start = now;
    while now < end {
        // 10 ticks of 20 are fewer than the crowd, whenever they are handed out.
        let at = ((now - start) / 7200).min(10) as usize;
        let (outcome, seen) = wake(&mut client, &ticks[at].1, now);
        assert_eq!(seen, None, "{outcome:?}");
        now = outcome.next_wake.max(now + 600);
    }
}

/// A question that was not answered is asked again whatever is published meanwhile, and no
/// other, until an authentic record answers it.
#[test]
fn an_unanswered_question_stays_while_the_world_moves_on() {
    for is_met in [false, true] {
        let mut world = world_of(10_000);
        let mut client = Client { settings: careful(), ..Client::new() };
        client.settings.crowd = 100;
        if is_met {
            // Heard in three episodes, of three dates.
            (0..3).for_each(|at| client.hear(START + at * DAY_SECONDS + 40_000, at * 100_000 + 7));
        }
        let mut asked = Vec::new();
        let (mut now, end) = (world.now, world.now + 2 * DAY_SECONDS);
        while now < end {
            publish_until(&mut world, now, 200);
            let mut seen = None;
            let outcome = client.wake_with(now, |path, part| match part {
                Some(part) => {
                    seen = Some((path.to_owned(), part));
                    Answer::Failed("not now".into())
                }
                None => world.serve(path, None),
            });
            asked.extend(
                seen.map(|seen| (asked_ranks(&world, &seen).0, asked_fingerprints(&world, &seen))),
            );
            let is_candidate = matches!(outcome.asked, Some(Asked::Candidate(Verdict::Unknown)));
            // Later the hit may lie in the next record, since the question keeps to the middle.
            let is_first = asked.len() == 1 && outcome.asked.is_some();
            assert!(is_met || !is_candidate);
            assert!(!is_met || !is_first || is_candidate);
            now = outcome.next_wake;
        }
        assert!(asked.len() >= 4, "{asked:?}");
        let dates: BTreeSet<_> = asked.iter().map(|(date, _)| *date).collect();
        assert_eq!(dates.len(), 1, "{asked:?}");
        // Ranks move as the set grows; the place between the fingerprints stays.
        let first = asked.iter().map(|(_, (first, _))| first).max().unwrap();
        let last = asked.iter().map(|(_, (_, last))| last).min().unwrap();
        assert!(first <= last, "{asked:?}");
    }
}

/// A question whose fingerprint was withdrawn is still answered by the record of its place,
/// and one whose date is gone makes room for another.
#[test]
fn a_question_outlives_its_fingerprint_but_not_its_date() {
    let mut world = world_of(10_000);
    let mut client = Client::new();
    client.settings.confirm_every = 1;
    client.hear(START + 40_000, 7);
    let refuse = |client: &mut Client, world: &World, now: u64| {
        let mut seen = None;
        client.wake_with(now, |path, part| match part {
            Some(part) => {
                seen = Some((path.to_owned(), part));
                Answer::Missing
            }
            None => world.serve(path, None),
        });
        seen.map(|seen| asked_ranks(world, &seen))
    };
    let (asked_for, _) = refuse(&mut client, &world, world.now).expect("the first slot is now");
    assert_eq!(asked_for, date(0));
    world.remove(0, 7);
    world.publish();
    let (asked_for, _) = refuse(&mut client, &world, world.now + 1000).expect("it stays");
    assert_eq!(asked_for, date(0));
    world.days.remove(&date(0));
    world.publish();
    let (asked_for, _) = refuse(&mut client, &world, world.now + 2000).expect("another");
    assert_ne!(asked_for, date(0));
}

/// Once a contact is confirmed, hits that were found with it are contacts without a question.
/// Those of a later report are asked for.
#[test]
fn one_question_is_enough_for_a_report() {
    let mut world = world_of(10_000);
    let mut client = Client { settings: careful(), ..Client::new() };
    client.settings.crowd = 100;
    let (mut now, mut first) = (world.now, None);
    while first.is_none() {
        let outcome;
        (outcome, first) = wake(&mut client, &world, now);
        now = outcome.next_wake;
        publish_until(&mut world, now, 200);
    }
    // One patient reports identifiers of all dates, another of one date two days later.
    let patients = [(0, 800_000), (1, 800_001), (2, 800_002), (2, 800_003)];
    for (at, (date_number, number)) in patients.into_iter().enumerate() {
        let time = START + date_number * DAY_SECONDS + 40_000 + at as u64 * 4000;
        client.hear(time, number);
    }
    patients[..3].iter().for_each(|(date_number, number)| world.add(*date_number, *number));
    let (later, end) = (now + 2 * DAY_SECONDS, now + 4 * DAY_SECONDS);
    let (mut candidates, mut contacts) = (0, 0);
    while now < end {
        if now >= later {
            world.add(patients[3].0, patients[3].1);
        }
        publish_until(&mut world, now, 200);
        let (outcome, _) = wake(&mut client, &world, now);
        candidates += usize::from(matches!(outcome.asked, Some(Asked::Candidate(_))));
        contacts = outcome.contacts.unwrap().len();
        assert_eq!(contacts, [0, 3, 4][candidates], "after {candidates} questions");
        now = outcome.next_wake;
    }
    assert_eq!((candidates, contacts), (2, 4));
}

/// A mirror that refuses records while the set grows learns nothing about where in the first
/// record the place was: what it sees depends on that record alone.
#[test]
fn a_refused_question_keeps_to_the_middle_of_its_record() {
    let mut seen_of = BTreeSet::new();
    let mut world = world_of(4000);
    let row = *world.table().row(date(1)).unwrap();
    let set = Set::parse(&world.files[&format!("/v1/sets/{}/{}", row.date, row.identity)]).unwrap();
    let rank_of = |number: u64| set.rank_of(row.hasher().fingerprint(&element(number))).unwrap();
    // The first and the last element of the first record.
    let numbers = || 100_000..104_000u64;
    let ends = [0, 2047].map(|rank| numbers().find(|number| rank_of(*number) == rank).unwrap());
    let mut clients = ends.map(|number| {
        let mut client = Client::new();
        client.settings.confirm_every = 1;
        client.hear(START + DAY_SECONDS + 40_000, number);
        client
    });
    for _ in 0..20 {
        for client in &mut clients {
            let mut seen = None;
            client.wake_with(world.now, |path, part| match part {
                Some(part) => {
                    seen = Some((path.to_owned(), part.start));
                    Answer::Missing
                }
                None => world.serve(path, None),
            });
            seen_of.insert(seen.unwrap());
        }
        let next = world.now + 1;
        publish_until(&mut world, next, 300);
    }
    assert_eq!(seen_of.len(), 20, "both phones ask for the same records: {seen_of:?}");
}

/// At a rate at which a false alarm is rarer than is tolerated, a hit is a contact at once,
/// and nothing is ever asked; at other rates it is a candidate.
#[test]
fn where_false_alarms_are_rare_nothing_is_asked() {
    let days = 3 * DAY_SECONDS;
    for (rate_bits, usual_heard, is_asked) in
        [(32, 140_000, false), (20, 140_000, true), (20, 10, false)]
    {
        let mut world = World::new(small(rate_bits));
        world.publish();
        let mut client =
            Client { settings: ClientSettings::new(root_key().public()), ..Client::new() };
        client.settings.usual_heard = usual_heard;
        client.hear(START + 40_000, 3);
        let outcome = client.wake(&world, world.now);
        let contacts = outcome.contacts.as_ref().unwrap().len();
        assert_eq!((contacts, outcome.undecided), if is_asked { (0, 1) } else { (1, 0) });
        let asked = questions(&mut client, &mut world, 20, days).len();
        assert_eq!(asked > 0, is_asked, "{rate_bits}: {asked}");
        // The report is withdrawn, and the contact with it.
        world.remove(0, 3);
        world.publish();
        let outcome = client.wake(&world, world.now + 400);
        assert!(outcome.up_to_date, "{outcome:?}");
        assert!(outcome.contacts.unwrap().is_empty());
    }
}

/// A phone that heard so much that false alarms are no longer rare asks. What was a contact
/// before stays one.
#[test]
fn a_phone_that_heard_very_much_asks() {
    let mut world = World::new(small(20));
    world.publish();
    let mut client = Client { settings: ClientSettings::new(root_key().public()), ..Client::new() };
    client.settings.usual_heard = 10;
    client.hear(START + 40_000, 3);
    assert_eq!(client.wake(&world, world.now).contacts.unwrap().len(), 1);
    // At 2^-20 one phone in 10,000 has a false alarm after 100 tests.
    for number in 0..200 {
        client.hear(START + 50_000, 1_000_000 + number);
    }
    client.hear(START + DAY_SECONDS + 40_000, 1003);
    let outcome = client.wake(&world, world.now + 400);
    assert_eq!((outcome.contacts.unwrap().len(), outcome.undecided), (1, 1));
}

/// All requests for records are equally long, and all answers.
#[test]
fn requests_and_records_have_one_length() {
    let mut world = World::new(settings());
    (0..9000).for_each(|number| world.add(1, 10_000 + number));
    (0..150_000).for_each(|number| world.add(2, 100_000 + number));
    world.publish();
    let shape = world.table().record_shape().unwrap();
    assert_eq!(shape.ranks, 4096);
    let mut requests = BTreeSet::new();
    for row in world.table().rows() {
        let path = format!("/v1/checks/{}/{}", row.date, row.check_root);
        let length = world.files[&path].len() as u64;
        assert_eq!(length, u64::from(row.records()) * shape.record_len());
        for number in 0..u64::from(row.records()) {
            let start = number * shape.record_len();
            let range = gcs_core::sync::range_header(&(start..start + shape.record_len()));
            requests.insert((path.len(), range.len()));
        }
    }
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(gcs_core::sync::range_header(&(0..16_824)), "bytes=000000000000-000000016823");
}

/// One date's damaged set costs no other date anything: a new phone matches the others, and
/// has them confirmed.
#[test]
fn a_damaged_set_costs_its_own_date_only() {
    let world = world_of(2000);
    let broken = world.table().rows()[1];
    let broken = format!("/v1/sets/{}/{}", broken.date, broken.identity);
    for answer in [Answer::Missing, Answer::Bytes(vec![7; 100]), Answer::Failed("503".into())] {
        let mut client = Client::new();
        client.settings.confirm_every = 100;
        (0..3).for_each(|at| client.hear(START + at * DAY_SECONDS + 40_000, at * 100_000 + 7));
        let mut now = world.now;
        let mut last = None;
        for _ in 0..40 {
            let outcome = client.wake_with(now, |path, part| {
                if path == broken { answer.clone() } else { world.serve(path, part) }
            });
            assert!(!outcome.up_to_date && outcome.held.is_none());
            now = outcome.next_wake;
            last = Some(outcome);
        }
        let contacts = last.unwrap().contacts.unwrap();
        let dates: Vec<_> = contacts.iter().map(|contact| contact.date).collect();
        assert_eq!(dates, [date(0), date(2)]);
        // It has kept the others, and lacks just that one.
        let outcome = client.wake(&world, now + 1000);
        assert!(outcome.up_to_date);
        let sets = client.fetched.iter().filter(|path| path.starts_with("/v1/sets/"));
        assert_eq!(sets.collect::<Vec<_>>(), [&broken]);
        assert_eq!(outcome.incidents, []);
    }
}

/// A phone that has yesterday's set of a date goes on matching against it while the new one
/// cannot be had.
#[test]
fn an_older_set_serves_while_the_newer_is_damaged() {
    let mut world = world_of(2000);
    let mut client = Client::new();
    client.hear(START + DAY_SECONDS + 40_000, 100_007);
    assert_eq!(client.wake(&world, world.now).undecided, 1);
    (0..100).for_each(|number| world.add(1, 500_000 + number));
    (0..100).for_each(|number| world.add(2, 600_000 + number));
    world.publish();
    client.hear(START + 2 * DAY_SECONDS + 40_000, 600_007);
    let row = *world.table().row(date(1)).unwrap();
    let broken = format!("/v1/sets/{}/{}", row.date, row.identity);
    let outcome = client.wake_with(world.now, |path, part| {
        let is_broken = path == broken || path.starts_with("/v1/bundles/");
        if is_broken { Answer::Missing } else { world.serve(path, part) }
    });
    assert_eq!(outcome.undecided, 2, "{outcome:?}");
    assert!(outcome.error.is_some());
}

/// When the publisher is late, phones ask less and less often, down to once an interval.
#[test]
fn polls_back_off_while_the_publisher_is_late() {
    let world = world_of(10);
    let mut client = Client { settings: careful(), ..Client::new() };
    client.settings.poll_jitter = 0;
    client.settings.confirm_every = 90 * DAY_SECONDS;
    let mut now = world.now - 3600;
    let mut waits = Vec::new();
    for _ in 0..11 {
        let outcome = client.wake(&world, now);
        waits.push(outcome.next_wake - now);
        now = outcome.next_wake;
    }
    assert_eq!(waits, [3600, 60, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}

/// The place of a real question is that of the hit.
#[test]
fn a_hit_is_asked_for_at_its_place() {
    let world = world_of(10_000);
    let mut client = Client::new();
    client.settings.confirm_every = 1;
    client.hear(START + 40_000, 7);
    let (outcome, seen) = wake(&mut client, &world, world.now);
    assert_eq!(outcome.asked, Some(Asked::Candidate(Verdict::Confirmed)));
    let (asked_for, ranks) = asked_ranks(&world, &seen.unwrap());
    let row = *world.table().row(date(0)).unwrap();
    let set = Set::parse(&world.files[&format!("/v1/sets/{}/{}", row.date, row.identity)]).unwrap();
    let rank = set.rank_of(row.hasher().fingerprint(&element(7))).unwrap();
    assert!(asked_for == date(0) && ranks.contains(&rank));
}

/// While the set of one date cannot be had, and publications go on, the other dates follow them,
/// and no set is fetched twice.
#[test]
fn the_other_dates_go_on_while_one_cannot_be_had() {
    for answer in [Answer::Missing, Answer::Bytes(vec![7; 100]), Answer::Failed("503".into())] {
        let mut world = world_of(200);
        let mut client = Client::new();
        let mut fetched = BTreeSet::new();
        for round in 0..6u64 {
            let withheld = *world.table().row(date(0)).unwrap();
            let withheld = format!("/v1/sets/{}/{}", withheld.date, withheld.identity);
            let outcome = client.wake_with(world.now, |path, part| {
                if path.starts_with("/v1/sets/") && path != withheld {
                    assert!(fetched.insert(path.to_owned()), "{path} was there");
                }
                if path == withheld { answer.clone() } else { world.serve(path, part) }
            });
            assert!(!outcome.up_to_date);
            let asked = client.fetched.iter().filter(|path| **path == withheld).count();
            assert_eq!(asked, 1, "once in a wake");
            let contacts = outcome.contacts.unwrap().len() + outcome.undecided;
            assert_eq!(contacts as u64, round, "{round}: what came in the last tick is found");
            client.hear(START + DAY_SECONDS + 20_000 + round * 4000, 700_000 + round);
            world.add(1, 700_000 + round);
            world.publish();
        }
    }
}

/// Whoever withholds sets, or a lost file, does not make contacts of hits that nobody confirmed.
#[test]
fn hits_without_a_set_are_not_accepted() {
    let mut world = World::new(small(20));
    world.publish();
    let mut client = Client { settings: ClientSettings::new(root_key().public()), ..Client::new() };
    client.hear(START + 40_000, 3);
    let outcome = client.wake(&world, world.now);
    assert_eq!((outcome.contacts.unwrap().len(), outcome.undecided), (0, 1));
    let names: Vec<String> = client.folder.keys().cloned().collect();
    for lost in names.iter().filter(|name| *name != "queue") {
        let mut client = client.clone();
        client.folder.remove(lost);
        for silent in [true, false] {
            let outcome = client.wake_with(world.now + 10, |path, part| {
                let is_set = path.starts_with("/v1/sets/");
                if silent || is_set { Answer::Missing } else { world.serve(path, part) }
            });
            assert_eq!(outcome.contacts.unwrap().len(), 0, "without {lost}");
            assert_eq!(outcome.undecided, 1, "without {lost}");
        }
    }
}

/// A contact does not go while its date's newer set is withheld.
#[test]
fn a_contact_stays_while_the_newer_set_is_withheld() {
    let mut world = world_of(200);
    let mut client = Client::new();
    client.settings.confirm_every = 1;
    client.hear(START + DAY_SECONDS + 40_000, 100_007);
    let old = world.table().row(date(0)).unwrap().identity;
    let withhold = |world: &World, client: &mut Client, dates: &[u64]| {
        let paths: Vec<String> = dates
            .iter()
            .map(|number| {
                let row = world.table().row(date(*number)).unwrap();
                format!("/v1/sets/{}/{}", row.date, row.identity)
            })
            .collect();
        client.wake_with(world.now, |path, part| {
            let is_withheld = paths.iter().any(|withheld| withheld == path);
            if is_withheld { Answer::Missing } else { world.serve(path, part) }
        })
    };
    // A new client that never holds the whole of a table.
    let outcome = withhold(&world, &mut client, &[0]);
    assert_eq!(outcome.contacts.unwrap().len(), 1);
    world.add(1, 800_000);
    world.publish();
    assert_eq!(world.table().row(date(0)).unwrap().identity, old);
    let outcome = withhold(&world, &mut client, &[0, 1]);
    assert_eq!(outcome.contacts.unwrap().len(), 1, "the newer set of date 1 does not come");
    let outcome = client.wake(&world, world.now + 100);
    assert!(outcome.up_to_date && outcome.contacts.unwrap().len() == 1);
}

/// A client that is stopped in its first question does not take hits of 14 days for one report.
#[test]
fn hits_keep_their_window_when_the_app_is_stopped() {
    let world = world_of(5000);
    let mut client = Client::new();
    client.settings.confirm_every = 1;
    // Two episodes, of two dates; at 2^-20 less than one false positive is expected.
    (0..2).for_each(|at| client.hear(START + at * DAY_SECONDS + 40_000, at * 100_000 + 7));
    let stop = |step: &gcs_core::sync::Step| match step {
        gcs_core::sync::Step::Fetch { byte_range: Some(_), .. } => world::Intercepted::Off,
        _ => world::Intercepted::No,
    };
    assert_eq!(client.wake_intercepted(world.now, stop, &world.files), None);
    let (outcome, _) = wake(&mut client, &world, world.now + 100);
    assert_eq!(outcome.asked, Some(Asked::Candidate(Verdict::Confirmed)));
    assert_eq!((outcome.contacts.unwrap().len(), outcome.undecided), (1, 1));
}

//! Questions: what is asked, when, and what the answer does.

use std::slice;

use gcs_core::DAY_SECONDS;
use serde_json::{Value, json};

use super::script::{
    Session, Wake, bundle, contact, eager, first_sync, manifest_and, one_of, with,
};
use super::tree::{Trees, WITHDRAWN};
use crate::generator::out::Vectors;
use crate::world::{START, date, element};

const NOON: u64 = START + 43_200;

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    confirmed(vectors, trees);
    false_positive(vectors, trees);
    unanswered(vectors, trees);
    incomplete(vectors, trees);
    stays(vectors, trees);
    dummies(vectors, trees);
    crowds(vectors, trees);
    one_question(vectors, trees);
    whole_files(vectors, trees);
    withdrawn(vectors, trees);
    stopped(vectors, trees);
    episode(vectors, trees);
}

/// Of a run of hits the first that is undecided is asked for, and one that is confirmed decides all.
fn episode(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let now = asked.issued("1-1");
    let (first, second) = (element_in(trees, 1), element_in(trees, 0));
    let note =
        "two hits of one contact in two records: the earlier is asked for, and that is enough";
    let found = [contact(NOON, NOON + 1800, date(0), &first)];
    Session::new("asked-episode", note, with(eager(), &[("crowd", 1), ("crowd_wait", 86_400)]))
        .wake(
            Wake::at(now, asked, "1-1")
                .hears(&[(NOON + 1800, second), (NOON, first.clone())])
                .fetches(sync_and(trees, &[asked.record("1-1", 0, 1)]))
                .asks("Confirmed")
                .contacts(&found),
        )
        .wake(Wake::at(now + 60, asked, "1-1").fetches(manifest_and(&[])).contacts(&found))
        .end(vectors);
}

/// A question outlives its fingerprint, but not its date.
fn withdrawn(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let met = element(WITHDRAWN);
    let first = asked.record("1-1", 0, asked.record_of("1-1", 0, &met));
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of);
    let way = |of: &str, place: Value| {
        let way: Vec<Value> = asked.way("1-1", of).into_iter().map(Value::from).collect();
        manifest_and(&[&[asked.index(of).into()], &way[..], &[one_of(&[place])]].concat())
    };
    let place = asked.record("1-5", 0, asked.place_of("1-5", 0, &met, "1-1"));
    for (name, note, then, place) in [
        (
            "asked-withdrawn",
            "the element is withdrawn before there was an answer: its place is still asked for",
            "1-5",
            place,
        ),
        (
            "asked-dropped",
            "the date is dropped before there was an answer: something else is asked",
            "1-6",
            asked.record("1-6", 1, 0),
        ),
    ] {
        Session::new(name, note, eager())
            .wake(
                wake("1-1")
                    .hears(&[(NOON, met.clone())])
                    .fault(json!({ "path": asked.checks("1-1", 0), "fault": "missing" }))
                    .fetches(sync_and(trees, slice::from_ref(&first)))
                    .asks("Unknown")
                    .undecided(1),
            )
            .wake(wake(then).fetches(way(then, place)).asks_dummy())
            .end(vectors);
    }
}

/// A question that was asked when the app was stopped is asked again.
fn stopped(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let now = asked.issued("1-1");
    let met = element_in(trees, 1);
    let place = asked.record("1-1", 0, 1);
    let fetched = sync_and(trees, slice::from_ref(&place));
    let note = "the app is stopped while it waits for a record";
    Session::new("asked-stopped", note, eager())
        .wake(
            Wake::at(now, asked, "1-1").hears(&[(NOON, met.clone())]).stops_at(5).fetches(fetched),
        )
        .wake(
            Wake::at(now + 60, asked, "1-1")
                .fetches(manifest_and(&[one_of(&[place])]))
                .asks("Confirmed")
                .contacts(&[contact(NOON, NOON, date(0), &met)]),
        )
        .end(vectors);
}

/// A first sync, and one of these records.
fn sync_and(trees: &Trees, records: &[Value]) -> Vec<Value> {
    [first_sync(&trees.asked, "1-1"), vec![one_of(records)]].concat()
}

/// An element of date 0 that lies in this record in publication 1-1.
fn element_in(trees: &Trees, record: u32) -> Vec<u8> {
    let mut elements = (0..2500).map(element);
    elements.find(|element| trees.asked.record_of("1-1", 0, element) == record).unwrap()
}

fn confirmed(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let now = asked.issued("1-1");
    let later = NOON + DAY_SECONDS;
    let heard = [(later, element(1_000_003)), (later + 5000, element(1_000_004))];
    let contacts = [(later, 1_000_003), (later + 5000, 1_000_004)]
        .map(|(time, number)| contact(time, time, date(1), &element(number)));
    let note = "two contacts in one record: it is asked for once, and judges both";
    Session::new("asked-confirmed", note, eager())
        .wake(
            Wake::at(now, asked, "1-1")
                .hears(&heard)
                .fetches(sync_and(trees, &[asked.record("1-1", 1, 0)]))
                .contacts(&contacts)
                .asks("Confirmed")
                .next(now + 60, now + 60),
        )
        .end(vectors);
}

fn false_positive(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let now = asked.issued("1-1");
    let set = asked.set("1-1", 0);
    let stranger = (50_000..).map(element).find(|element| set.contains(element)).unwrap();
    let record = asked.record_of("1-1", 0, &stranger);
    let note = "a false positive is asked for once";
    Session::new("asked-false-positive", note, eager())
        .wake(
            Wake::at(now, asked, "1-1")
                .hears(&[(NOON, stranger)])
                .fetches(sync_and(trees, &[asked.record("1-1", 0, record)]))
                .asks("FalsePositive"),
        )
        .wake(
            Wake::at(now + 60, asked, "1-1")
                .fetches(manifest_and(&[one_of(&asked.records("1-1"))]))
                .asks_dummy(),
        )
        .end(vectors);
}

/// Whatever is wrong with the answer, the question stays.
fn unanswered(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let now = asked.issued("1-1");
    let met = element_in(trees, 1);
    let (path, place) = (asked.checks("1-1", 0), asked.record("1-1", 0, 1));
    let stale = format!("trees/asked{}", asked.checks("1-3", 0));
    let others = format!("trees/asked{}", asked.checks("1-1", 1));
    for (name, fault) in [
        ("missing", json!({ "path": path, "fault": "missing" })),
        ("failed", json!({ "path": path, "fault": "failed" })),
        ("forged", json!({ "path": path, "fault": "damaged", "at": 60 })),
        ("cut", json!({ "path": path, "fault": "cut", "bytes": 16_000 })),
        ("longer", json!({ "path": path, "fault": "longer", "bytes": 1 })),
        ("of-another-tick", json!({ "path": path, "fault": "other", "file": stale })),
        ("of-another-date", json!({ "path": path, "fault": "other", "file": others })),
    ] {
        let wake =
            |at: u64| Wake::at(at, asked, "1-1").asks("Unknown").undecided(1).fault(fault.clone());
        let again = manifest_and(&[one_of(slice::from_ref(&place))]);
        let note = "an answer that is none; the same is asked until there is one";
        Session::new(&format!("asked-{name}"), note, eager())
            .wake(
                wake(now)
                    .hears(&[(NOON, met.clone())])
                    .fetches(sync_and(trees, slice::from_ref(&place))),
            )
            .wake(wake(now + 60).fetches(again.clone()))
            .wake(
                Wake::at(now + 120, asked, "1-1")
                    .fetches(again)
                    .asks("Confirmed")
                    .contacts(&[contact(NOON, NOON, date(0), &met)]),
            )
            .end(vectors);
    }
}

fn incomplete(vectors: &mut Vectors, trees: &Trees) {
    let full = &trees.full;
    let now = full.issued("1-1");
    let record = full.record_of("1-1", 0, &trees.left_out);
    let note = "an element that its record has no slot for is unknown, and not asked for again";
    let first = [first_sync(full, "1-1"), vec![one_of(&[full.record("1-1", 0, record)])]].concat();
    Session::new("asked-incomplete", note, eager())
        .wake(
            Wake::at(now, full, "1-1")
                .hears(&[(NOON, trees.left_out.clone())])
                .fetches(first)
                .asks("Unknown"),
        )
        .wake(
            Wake::at(now + 60, full, "1-1")
                .fetches(manifest_and(&[one_of(&full.records("1-1"))]))
                .asks_dummy(),
        )
        .end(vectors);
}

/// The question stays while ticks pass, at the place of its fingerprint.
fn stays(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let met = element_in(trees, 1);
    let later = NOON + DAY_SECONDS;
    let other = element(1_000_003);
    let withheld = |of: &str| json!({ "path": asked.checks(of, 0), "fault": "missing" });
    let place = |of: &str| one_of(&[asked.record(of, 0, asked.record_of(of, 0, &met))]);
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of);
    let note =
        "one question until it is answered: the next hit waits, and the place moves with the set";
    let found = [contact(NOON, NOON, date(0), &met), contact(later, later, date(1), &other)];
    Session::new("asked-stays", note, eager())
        .wake(
            wake("1-1")
                .hears(&[(NOON, met.clone())])
                .fault(withheld("1-1"))
                .fetches([first_sync(asked, "1-1"), vec![place("1-1")]].concat())
                .asks("Unknown")
                .undecided(1),
        )
        .wake(
            wake("1-2")
                .hears(&[(later, other)])
                .fault(withheld("1-2"))
                .fetches(manifest_and(&[bundle(1, 2), place("1-2")]))
                .asks("Unknown")
                .undecided(2),
        )
        .wake(
            wake("1-3")
                .fetches(manifest_and(&[bundle(1, 3), place("1-3")]))
                .asks("Confirmed")
                .contacts(&found[..1])
                .undecided(1),
        )
        .wake(
            Wake::at(asked.issued("1-3") + 60, asked, "1-3")
                .fetches(manifest_and(&[one_of(&[asked.record("1-3", 1, 0)])]))
                .asks("Confirmed")
                .contacts(&found),
        )
        .end(vectors);
}

/// The records in which the elements with these numbers of date 0 lie.
fn records_of(trees: &Trees, of: &str, numbers: std::ops::Range<u64>) -> Value {
    let asked = &trees.asked;
    let elements = numbers.map(|number| element(3_000 + number));
    let mut records: Vec<u32> = elements.map(|element| asked.record_of(of, 0, &element)).collect();
    records.sort_unstable();
    records.dedup();
    let places: Vec<Value> =
        records.into_iter().map(|record| asked.record(of, 0, record)).collect();
    one_of(&places)
}

/// A dummy is among what is new.
fn dummies(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of).asks_dummy();
    let note = "without a hit, something is asked that is new: at first anything";
    Session::new("dummies", note, eager())
        .wake(wake("1-1").fetches(sync_and(trees, &asked.records("1-1"))))
        .wake(
            wake("1-2")
                .fetches(manifest_and(&[bundle(1, 2), one_of(&[asked.record("1-2", 1, 0)])])),
        )
        .wake(wake("1-3").fetches(manifest_and(&[bundle(1, 3), records_of(trees, "1-3", 0..5)])))
        .wake(
            Wake::at(asked.issued("1-3") + 60, asked, "1-3")
                .fetches(manifest_and(&[one_of(&asked.records("1-3"))]))
                .asks_dummy(),
        )
        .end(vectors);
}

/// A question waits until enough is new, or a day of the publisher's has passed.
fn crowds(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of);
    let met = element_in(trees, 0);
    let day = asked.issued("1-4") - asked.issued("1-2");
    let record = |of: &str| one_of(&[asked.record(of, 0, asked.record_of(of, 0, &met))]);
    let first_and_second = |session: Session| {
        session.wake(wake("1-1").fetches(sync_and(trees, &asked.records("1-1"))).asks_dummy()).wake(
            wake("1-2")
                .fetches(manifest_and(&[bundle(1, 2), one_of(&[asked.record("1-2", 1, 0)])]))
                .asks_dummy(),
        )
    };
    let third = wake("1-3").hears(&[(NOON, met.clone())]).undecided(1);
    for (name, note, crowd, wait, is_asked) in [
        ("crowd-there", "30 are new, and 30 are enough; 5 are not", 30, day + 1, false),
        ("crowd-waited", "5 are not enough, until the wait is over", 30, day, true),
    ] {
        let numbers = [("crowd", crowd), ("crowd_wait", wait)];
        let session = Session::new(name, note, with(eager(), &numbers));
        let fourth = Wake::at(asked.issued("1-4"), asked, "1-4");
        let way = manifest_and(&[bundle(1, 4)]);
        let fourth = if is_asked {
            fourth
                .fetches([way, vec![record("1-4")]].concat())
                .asks("Confirmed")
                .contacts(&[contact(NOON, NOON, date(0), &met)])
        } else {
            fourth.fetches(way).undecided(1)
        };
        first_and_second(session)
            .wake(third.clone().fetches(manifest_and(&[bundle(1, 3)])))
            .wake(fourth)
            .end(vectors);
    }
    let numbers = [("crowd", 31), ("crowd_wait", day)];
    let note = "30 are new, and 31 would be enough";
    Session::new("crowd-short", note, with(eager(), &numbers))
        .wake(wake("1-1").fetches(sync_and(trees, &asked.records("1-1"))).asks_dummy())
        .wake(wake("1-2").fetches(manifest_and(&[bundle(1, 2)])))
        .end(vectors);
}

/// Once a hit is confirmed, those that were found with it are contacts too; later ones are asked
/// for.
fn one_question(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of);
    let (large, small) = (element(3_001), element(1_000_030));
    let later = NOON + DAY_SECONDS;
    let places =
        [asked.record("1-3", 0, asked.record_of("1-3", 0, &large)), asked.record("1-3", 1, 0)];
    let way: Vec<Value> = asked.way("1-1", "1-3").into_iter().map(Value::from).collect();
    let way = [&[asked.index("1-3").into()], &way[..], &[one_of(&places)]].concat();
    let note = "two hits of two dates come together: one is asked for, and both are contacts";
    Session::new("one-question", note, eager())
        .wake(wake("1-1").fetches(sync_and(trees, &asked.records("1-1"))).asks_dummy())
        .wake(
            wake("1-3")
                .hears(&[(NOON, large.clone()), (later, small.clone())])
                .fetches(manifest_and(&way))
                .asks("Confirmed")
                .contacts(&[
                    contact(NOON, NOON, date(0), &large),
                    contact(later, later, date(1), &small),
                ]),
        )
        .end(vectors);

    let (first, second) = (element_in(trees, 0), element_in(trees, 1));
    let evening = NOON + 20_000;
    let found = [contact(NOON, NOON, date(0), &first), contact(evening, evening, date(0), &second)];
    let record = asked.record_of("1-2", 0, &second);
    let note = "a hit that comes after a contact was confirmed is asked for";
    Session::new("asked-again", note, eager())
        .wake(
            wake("1-1")
                .hears(&[(NOON, first.clone())])
                .fetches(sync_and(trees, &[asked.record("1-1", 0, 0)]))
                .asks("Confirmed")
                .contacts(&found[..1]),
        )
        .wake(
            wake("1-2")
                .hears(&[(evening, second.clone())])
                .fetches(manifest_and(&[bundle(1, 2), one_of(&[asked.record("1-2", 0, record)])]))
                .asks("Confirmed")
                .contacts(&found),
        )
        .end(vectors);
}

/// A server may send the whole file in answer to a Range.
fn whole_files(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let now = asked.issued("1-1");
    let met = element_in(trees, 1);
    let fault = json!({ "path": asked.checks("1-1", 0), "fault": "whole" });
    let note = "the server answers a Range with the whole file";
    Session::new("asked-whole", note, eager())
        .wake(
            Wake::at(now, asked, "1-1")
                .hears(&[(NOON, met.clone())])
                .fault(fault)
                .fetches(sync_and(trees, &[asked.record("1-1", 0, 1)]))
                .asks("Confirmed")
                .contacts(&[contact(NOON, NOON, date(0), &met)]),
        )
        .end(vectors);
}

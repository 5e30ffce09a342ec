//! What questions keep to: the middle of a record, the window, what is stored.

use std::slice;

use gcs_core::DAY_SECONDS;
use serde_json::{Value, json};

use super::script::{
    Session, Wake, bundle, contact, eager, first_sync, manifest_and, one_of, quiet, with,
};
use super::tree::Trees;
use crate::generator::out::Vectors;
use crate::world::{START, date, element};

const NOON: u64 = START + 43_200;

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    middle(vectors, trees);
    nothing_new(vectors, trees);
    other_windows(vectors, trees);
    stored_trust(vectors, trees);
    rate_allows(vectors, trees);
}

/// The requests from one publication of the tree of questions to another, by the index.
fn by_index(trees: &Trees, from: &str, to: &str, records: &[Value]) -> Vec<Value> {
    let asked = &trees.asked;
    let way: Vec<Value> = asked.way(from, to).into_iter().map(Value::from).collect();
    manifest_and(&[&[asked.index(to).into()], &way[..], &[one_of(records)]].concat())
}

/// A question keeps to the middle of its record, while the place of its hit moves into the next.
fn middle(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let set = asked.set("1-1", 0);
    let rank_of = |of: &[u8]| set.rank_of(set.hasher().fingerprint(of));
    let last = (0..2500).map(element).find(|of| rank_of(of) == Some(2047)).unwrap();
    assert_eq!(asked.record_of("1-3", 0, &last), 1, "it has moved");
    let first = asked.record("1-1", 0, 0);
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of).undecided(1);
    let note = "a refused question stays with its record though the hit moves into the next; \
                its answer does not judge the hit, which is asked for then";
    let found = [contact(NOON, NOON, date(0), &last)];
    let fetched = [first_sync(asked, "1-1"), vec![one_of(slice::from_ref(&first))]].concat();
    Session::new("middle", note, eager())
        .wake(
            wake("1-1")
                .hears(&[(NOON, last.clone())])
                .fault(json!({ "path": asked.checks("1-1", 0), "fault": "missing" }))
                .fetches(fetched)
                .asks("Unknown"),
        )
        .wake(
            wake("1-3")
                .fetches(by_index(trees, "1-1", "1-3", &[asked.record("1-3", 0, 0)]))
                .asks_beside(),
        )
        .wake(
            Wake::at(asked.issued("1-3") + 60, asked, "1-3")
                .fetches(manifest_and(&[one_of(&[asked.record("1-3", 0, 1)])]))
                .asks("Confirmed")
                .contacts(&found),
        )
        .end(vectors);
}

/// If nothing at all is new, a question waits three times as long as for a crowd.
fn nothing_new(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of);
    let first = [first_sync(asked, "1-4"), vec![one_of(&asked.records("1-4"))]].concat();
    let way = manifest_and(&[bundle(1, 5)]);
    let span = asked.issued("1-5") - asked.issued("1-4");
    assert_eq!(span % 3, 0);
    for (name, wait) in [("nothing-new-waits", span / 3 + 1), ("nothing-new-asks", span / 3)] {
        let numbers = [("crowd", 1), ("crowd_wait", wait)];
        let note = "tick 5 only removes: a question comes when 3 times crowd_wait have passed";
        let second = wake("1-5");
        let second = if name == "nothing-new-asks" {
            let records = [way.clone(), vec![one_of(&asked.records("1-5"))]].concat();
            second.fetches(records).asks_dummy()
        } else {
            second.fetches(way.clone())
        };
        Session::new(name, note, with(eager(), &numbers))
            .wake(wake("1-4").fetches(first.clone()).asks_dummy())
            .wake(second)
            .end(vectors);
    }
}

/// A confirmed hit makes contacts of the hits of its own window, and of no other.
fn other_windows(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let (large, small) = (element(3_001), element(1_000_030));
    let later = NOON + DAY_SECONDS;
    let small_found = contact(later, later, date(1), &small);
    let wake = |of: &str| Wake::at(asked.issued(of), asked, of);
    let refused = asked.record("1-2", 1, 0);
    let fault = json!({ "path": asked.checks("1-2", 1), "fault": "missing" });
    let synced = [first_sync(asked, "1-1"), vec![one_of(&asked.records("1-1"))]].concat();
    let record = asked.record_of("1-4", 0, &large);
    let note = "a hit of a later window is asked for, though an earlier one is confirmed meanwhile";
    Session::new("other-window", note, eager())
        .wake(wake("1-1").fetches(synced).asks_dummy())
        .wake(
            wake("1-2")
                .hears(&[(later, small.clone())])
                .fault(fault)
                .fetches(manifest_and(&[bundle(1, 2), one_of(&[refused])]))
                .asks("Unknown")
                .undecided(1),
        )
        .wake(
            wake("1-3")
                .hears(&[(NOON, large.clone())])
                .fetches(manifest_and(&[bundle(1, 3), one_of(&[asked.record("1-3", 1, 0)])]))
                .asks("Confirmed")
                .contacts(slice::from_ref(&small_found))
                .undecided(1),
        )
        .wake(
            wake("1-4")
                .fetches(manifest_and(&[bundle(1, 4), one_of(&[asked.record("1-4", 0, record)])]))
                .asks("Confirmed")
                .contacts(&[contact(NOON, NOON, date(0), &large), small_found]),
        )
        .end(vectors);
}

/// What a manifest says is stored before anything else is asked for.
fn stored_trust(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("1-2");
    let note = "the app is stopped after the manifest: the next poll and the version are known";
    Session::new("stopped-after-the-manifest", note, quiet())
        .wake(
            Wake::at(now, main, "1-2")
                .stops_at(2)
                .fetches(manifest_and(&[main.index("1-2").into()])),
        )
        .wake(Wake::at(now, main, "1-2").holds_nothing())
        .wake(
            Wake::at(now + 900, main, "1-1")
                .fetches(manifest_and(&[]))
                .holds_nothing()
                .fails("RolledBack"),
        )
        .end(vectors);
}

/// A question that stands is dropped when the rate allows to accept its hit.
fn rate_allows(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let met = element(1_000_003);
    let later = NOON + DAY_SECONDS;
    let now = asked.issued("1-1");
    // Some 2^-8 on the large date alone; the small one hardly counts.
    let numbers = [("false_alarm_one_in", 1), ("usual_heard", 1_000)];
    let note = "so many are usually heard that false alarms are not rare: the hit is asked for";
    let fetched = [first_sync(asked, "1-1"), vec![one_of(&[asked.record("1-1", 1, 0)])]].concat();
    Session::new("rate-asks", note, with(eager(), &numbers))
        .wake(
            Wake::at(now, asked, "1-1")
                .hears(&[(later, met.clone())])
                .fetches(fetched)
                .asks("Confirmed")
                .contacts(&[contact(later, later, date(1), &met)]),
        )
        .end(vectors);
    let numbers = [("false_alarm_one_in", 1), ("usual_heard", 600)];
    let note = "usual_heard is shared among the dates: fewer than one false alarm, no question";
    Session::new("rate-allows", note, with(eager(), &numbers))
        .wake(
            Wake::at(now, asked, "1-1")
                .hears(&[(later, met.clone())])
                .fetches(first_sync(asked, "1-1"))
                .contacts(&[contact(later, later, date(1), &met)]),
        )
        .end(vectors);
}

//! Slots: when there is a question at all.

use serde_json::json;

use super::script::{Session, Wake, contact, eager, first_sync, manifest_and, one_of, with};
use super::tree::Trees;
use crate::generator::out::Vectors;
use crate::world::{START, date, element};

const NOON: u64 = START + 43_200;

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    used_up(vectors, trees);
    postponed(vectors, trees);
    after_a_stop(vectors, trees);
}

/// A slot is used up by its request, answered or not; the next comes after half of the mean time
/// at the earliest, and after one and a half at the latest.
fn used_up(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let (now, every) = (asked.issued("1-1"), 20_000);
    let met = element(1_000_003);
    let place = one_of(&[asked.record("1-1", 1, 0)]);
    let asks = || manifest_and(std::slice::from_ref(&place));
    let wake = |at: u64| Wake::at(at, asked, "1-1");
    let silent = |at: u64| json!({ "path": asked.checks("1-1", at), "fault": "failed" });
    let note = "the next slot comes after 10,000 to 29,999 seconds, although there was no answer. The \
                first comes within 20,000; that it is in the first wake has a chance of 1 in 20,000";
    Session::new("slot-used-up", note, with(eager(), &[("confirm_every", every)]))
        .wake(
            wake(now)
                .hears(&[(NOON + 86_400, met.clone())])
                .fetches(first_sync(asked, "1-1"))
                .undecided(1),
        )
        .wake(wake(now + every).fault(silent(1)).fetches(asks()).asks("Unknown").undecided(1))
        .wake(wake(now + every + 60).undecided(1))
        .wake(wake(now + every + 9_999).fetches(manifest_and(&[])).undecided(1))
        .wake(wake(now + every + 30_000).fetches(asks()).asks("Confirmed").contacts(&[contact(
            NOON + 86_400,
            NOON + 86_400,
            date(1),
            &met,
        )]))
        .end(vectors);
}

/// Without a manifest nothing is asked, and the slot waits for the next poll.
fn postponed(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let (now, every) = (asked.issued("1-1"), 20_000);
    let met = element(1_000_003);
    let due = now + every;
    let wake = |at: u64| Wake::at(at, asked, "1-1");
    let note = "the manifest is not had: nothing is asked until the next poll, 600 to 1199 seconds later. The \
                first slot comes within 20,000 seconds; that it is in the first wake has a chance of 1 in \
                20,000";
    Session::new("slot-postponed", note, with(eager(), &[("confirm_every", every)]))
        .wake(
            wake(now)
                .hears(&[(NOON + 86_400, met.clone())])
                .fetches(first_sync(asked, "1-1"))
                .undecided(1),
        )
        .wake(
            wake(due)
                .fault(json!({ "path": "/v1/manifest", "fault": "failed" }))
                .fetches(manifest_and(&[]))
                .fails("Network")
                .undecided(1)
                .next(due + 600, due + 1199),
        )
        .wake(wake(due + 599).undecided(1))
        .wake(
            wake(due + 1200)
                .fetches(manifest_and(&[one_of(&[asked.record("1-1", 1, 0)])]))
                .asks("Confirmed")
                .contacts(&[contact(NOON + 86_400, NOON + 86_400, date(1), &met)]),
        )
        .end(vectors);
}

/// An app that is stopped while it waits for a record has used its slot up too.
fn after_a_stop(vectors: &mut Vectors, trees: &Trees) {
    let asked = &trees.asked;
    let (now, every) = (asked.issued("1-1"), 20_000);
    let met = element(1_000_003);
    let place = one_of(&[asked.record("1-1", 1, 0)]);
    let wake = |at: u64| Wake::at(at, asked, "1-1");
    let asks = || manifest_and(std::slice::from_ref(&place));
    let note = "a slot is used up by its request, also if the app is stopped then. The first comes within \
                20,000 seconds; that it is in the first wake has a chance of 1 in 20,000";
    Session::new("slot-stopped", note, with(eager(), &[("confirm_every", every)]))
        .wake(
            wake(now)
                .hears(&[(NOON + 86_400, met.clone())])
                .fetches(first_sync(asked, "1-1"))
                .undecided(1),
        )
        .wake(wake(now + every).stops_at(2).fetches(asks()))
        .wake(wake(now + every + 60).undecided(1))
        .wake(wake(now + every + 9_999).fetches(manifest_and(&[])).undecided(1))
        .wake(wake(now + every + 30_000).fetches(asks()).asks("Confirmed").contacts(&[contact(
            NOON + 86_400,
            NOON + 86_400,
            date(1),
            &met,
        )]))
        .end(vectors);
}

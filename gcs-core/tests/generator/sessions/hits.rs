//! What is a hit, and which hits are one contact.

use gcs_core::DAY_SECONDS;
use serde_json::Value;

use super::script::{Session, Wake, contact, eager, first_sync, manifest_and, quiet, with};
use super::tree::Trees;
use crate::generator::out::Vectors;
use crate::world::{START, date, element};

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    midnight(vectors, trees);
    episodes(vectors, trees);
    lengths(vectors, trees);
    at_once(vectors, trees);
    asks_if_much_was_heard(vectors, trees);
    early(vectors, trees);
}

/// The same rate, and so many elements that false alarms are not rare: a hit is undecided.
fn asks_if_much_was_heard(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let noon = START + 43_200;
    let heard: Vec<_> = (0..300).map(|number| (noon, element(400_000 + number))).collect();
    for (name, note, usual, strangers) in [
        ("usual-heard", "one element was heard, and 140,000 are usual", 140_000, &[][..]),
        ("heard-much", "301 elements were heard, and 10 are usual", 10, &heard[..]),
    ] {
        let numbers = [("false_alarm_one_in", 10_000), ("usual_heard", usual)];
        let wake = Wake::at(main.issued("1-1"), main, "1-1")
            .hears(&[&[(noon, element(3))], strangers].concat())
            .fetches(first_sync(main, "1-1"))
            .undecided(1);
        Session::new(name, note, with(quiet(), &numbers)).wake(wake).end(vectors);
    }
}

/// A wake before anything is due only matches.
fn early(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let (now, noon) = (main.issued("1-1"), START + 43_200);
    let contacts = [contact(noon, noon, date(0), &element(3))];
    let note = "heard after the sync, and found without a request";
    Session::new("early", note, quiet())
        .wake(Wake::at(now, main, "1-1").fetches(first_sync(main, "1-1")))
        .wake(Wake::at(now + 899, main, "1-1").hears(&[(noon, element(3))]).contacts(&contacts))
        .end(vectors);
}

/// Everything heard, and the contacts that it makes at once.
fn matched(
    vectors: &mut Vectors,
    trees: &Trees,
    (name, note): (&str, &str),
    heard: &[(u64, Vec<u8>)],
    contacts: &[Value],
) {
    let main = &trees.main;
    let fetched = first_sync(main, "1-1");
    let wake = Wake::at(main.issued("1-1"), main, "1-1").hears(heard).fetches(fetched);
    Session::new(name, note, quiet()).wake(wake.contacts(contacts)).end(vectors);
}

/// Elements 0 to 19 are of date 0, elements 1000 to 1019 of date 1.
fn midnight(vectors: &mut Vectors, trees: &Trees) {
    let midnight = START + DAY_SECONDS;
    let mut heard = Vec::new();
    let mut contacts = Vec::new();
    for (time, number, day, is_hit) in [
        (midnight - 7201, 1004, 1, false),
        (midnight - 7200, 1003, 1, true),
        (midnight - 1, 3, 0, true),
        (midnight + 1801, 1005, 1, true),
        (midnight + 7199, 4, 0, true),
        (midnight + 7200, 5, 0, false),
        (midnight + DAY_SECONDS + 20_000, 6, 0, false),
    ] {
        heard.push((time, element(number)));
        contacts.extend(is_hit.then(|| contact(time, time, date(day), &element(number))));
    }
    let note = "what is heard within 2 hours of midnight may be of either date, to the second";
    matched(vectors, trees, ("midnight", note), &heard, &contacts);
}

fn episodes(vectors: &mut Vectors, trees: &Trees) {
    let noon = START + 43_200;
    let heard = [0, 1800, 3600, 5401, 20_000].map(|after| noon + after);
    let heard: Vec<_> = heard.into_iter().zip((3..8).map(element)).collect();
    let date = date(0);
    let contacts = [
        contact(noon, noon + 3600, date, &element(3)),
        contact(noon + 5401, noon + 5401, date, &element(6)),
        contact(noon + 20_000, noon + 20_000, date, &element(7)),
    ];
    let note = "hits within 1800 seconds of the one before are one contact; 1801 seconds are two";
    matched(vectors, trees, ("episodes", note), &heard, &contacts);
}

fn lengths(vectors: &mut Vectors, trees: &Trees) {
    let noon = START + 43_200;
    let heard: Vec<_> = [0, 15, 65, 200].map(|length| (noon, vec![7; length])).to_vec();
    let heard = [heard, vec![(noon, element(3))]].concat();
    let contacts = [contact(noon, noon, date(0), &element(3))];
    let note = "what has less than 16 or more than 64 bytes is left out, the rest counts";
    matched(vectors, trees, ("lengths", note), &heard, &contacts);
}

/// At a rate at which false alarms are rare nothing is asked, not even a dummy.
fn at_once(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let (now, noon) = (main.issued("1-1"), START + 43_200);
    let contacts = [contact(noon, noon, date(0), &element(3))];
    let numbers = [("false_alarm_one_in", 10_000), ("usual_heard", 10)];
    let note = "10 elements and a rate of 2^-20: fewer than one false alarm in 10,000 phones";
    Session::new("at-once", note, with(eager(), &numbers))
        .wake(
            Wake::at(now, main, "1-1")
                .hears(&[(noon, element(3))])
                .fetches(first_sync(main, "1-1"))
                .contacts(&contacts),
        )
        .wake(Wake::at(now + 60, main, "1-1").fetches(manifest_and(&[])).contacts(&contacts))
        .end(vectors);
}

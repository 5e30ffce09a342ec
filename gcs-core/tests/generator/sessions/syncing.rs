//! Ways to the newest publication.

use serde_json::{Value, json};

use super::script::{
    Session, Wake, any_order, bundle, contact, first_sync, manifest_and, quiet, with,
};
use super::tree::{FAR, Trees};
use crate::generator::out::Vectors;
use crate::world::{START, date, element};
use gcs_core::DAY_SECONDS;

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    first(vectors, trees);
    follows(vectors, trees);
    new_series(vectors, trees);
    interrupted(vectors, trees);
    plans(vectors, trees);
    far(vectors, trees);
}

fn first(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let (now, next) = (main.issued("1-1") + 10, main.issued("1-2"));
    let settings = with(quiet(), &[("poll_jitter", 300)]);
    Session::new("first-sync", "whole sets; then nothing until the next publication", settings)
        .wake(Wake::at(now, main, "1-1").fetches(first_sync(main, "1-1")).next(next, next + 300))
        .wake(Wake::at(next - 1, main, "1-1").next(next, next + 300))
        .end(vectors);
}

/// One bundle a tick, and contacts come and go with it.
fn follows(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let at = |day: u64, hour: u64| START + day * DAY_SECONDS + hour * 3600;
    let [zero, withdrawn, added, rebased] =
        [(at(0, 12), 5, 0), (at(1, 10), 1003, 1), (at(1, 14), 5000, 1), (at(2, 12), 2001, 2)].map(
            |(time, number, day)| (contact(time, time, date(day), &element(number)), time, number),
        );
    let heard =
        [&zero, &withdrawn, &added, &rebased].map(|(_, time, number)| (*time, element(*number)));
    let contacts = |of: &[&(Value, u64, u64)]| -> Vec<Value> {
        of.iter().map(|contact| contact.0.clone()).collect()
    };
    let wake = |publication: &str| Wake::at(main.issued(publication) + 1, main, publication);
    let tick = |number: u32| manifest_and(&[bundle(1, number)]);
    let note = "one bundle a tick: an element comes, nothing changes, a report is withdrawn, a date is \
                dropped, a date is based anew";
    Session::new("follows", note, quiet())
        .wake(
            wake("1-1")
                .hears(&heard)
                .fetches(first_sync(main, "1-1"))
                .contacts(&contacts(&[&zero, &withdrawn, &rebased])),
        )
        .wake(
            wake("1-2")
                .fetches(tick(2))
                .contacts(&contacts(&[&zero, &withdrawn, &added, &rebased])),
        )
        .wake(
            wake("1-3")
                .fetches(manifest_and(&[]))
                .contacts(&contacts(&[&zero, &withdrawn, &added, &rebased])),
        )
        .wake(wake("1-4").fetches(tick(4)).contacts(&contacts(&[&zero, &added, &rebased])))
        .wake(wake("1-5").fetches(tick(5)).contacts(&contacts(&[&added, &rebased])))
        .wake(wake("1-6").fetches(tick(6)).contacts(&contacts(&[&added, &rebased])))
        .end(vectors);
}

fn new_series(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("2-7") + 1;
    let old = main.sets("1-6");
    let new: Vec<String> = main.sets("2-7").into_iter().filter(|set| !old.contains(set)).collect();
    assert_eq!(new.len(), 1);
    let note = "a new series: the whole sets that differ; the old series never comes back";
    Session::new("new-series", note, quiet())
        .wake(Wake::at(now - 900, main, "1-6").fetches(first_sync(main, "1-6")))
        .wake(
            Wake::at(now, main, "2-7")
                .fetches(manifest_and(&[main.index("2-7").into(), any_order(&new)])),
        )
        .wake(
            Wake::at(now + 900, main, "1-6")
                .fetches(manifest_and(&[]))
                .holds(main, "2-7")
                .fails("RolledBack")
                .next(now + 1500, now + 2099),
        )
        .end(vectors);
}

fn interrupted(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("1-1");
    let (index, sets) = (Value::from(main.index("1-1")), main.sets("1-1"));
    let some = |count: usize| json!({ "some_of": sets, "count": count });
    let note = "stopped at each request; what was answered is not fetched again";
    Session::new("interrupted", note, quiet())
        .wake(Wake::at(now, main, "1-1").stops_at(1).fetches(manifest_and(&[])))
        .wake(
            Wake::at(now, main, "1-1")
                .stops_at(2)
                .fetches(manifest_and(std::slice::from_ref(&index))),
        )
        // The poll was used up by the manifest; the next is due a publication later.
        .wake(
            Wake::at(now + 900, main, "1-1")
                .stops_at(4)
                .fetches(manifest_and(&[index.clone(), some(2)])),
        )
        .wake(
            Wake::at(now + 1800, main, "1-1")
                .fetches(manifest_and(&[index, json!({ "rest_of": sets })])),
        )
        .end(vectors);
    let note = "stopped at a bundle, which is fetched again when the next poll is due";
    let now = main.issued("1-2");
    Session::new("interrupted-bundle", note, quiet())
        .wake(Wake::at(now - 900, main, "1-1").fetches(first_sync(main, "1-1")))
        .wake(Wake::at(now, main, "1-2").stops_at(2).fetches(manifest_and(&[bundle(1, 2)])))
        .wake(Wake::at(now + 900, main, "1-2").fetches(manifest_and(&[bundle(1, 2)])))
        .end(vectors);
}

/// Of a long bundle, four short ones and a whole set the cheapest is tried first, then the next:
/// none of the bundles is there.
fn plans(vectors: &mut Vectors, trees: &Trees) {
    let (short, long) = (bundle(24, 120), bundle(96, 192));
    for tree in &trees.plans {
        let bundles = match tree.name {
            "plan-long" => vec![long.clone(), short.clone()],
            "plan-short" => vec![short.clone(), long.clone()],
            _ => vec![],
        };
        let sets = tree.sets("1-192").into_iter().map(Value::from).collect();
        let fetched = [vec![tree.index("1-192").into()], bundles, sets].concat();
        let note = "bundles that are not there, tried in the order of their bytes and requests";
        let fetched = manifest_and(&fetched);
        Session::new(tree.name, note, quiet())
            .wake(Wake::at(tree.issued("1-96"), tree, "1-96").fetches(first_sync(tree, "1-96")))
            .wake(Wake::at(tree.issued("1-192"), tree, "1-192").fetches(fetched))
            .end(vectors);
    }
}

fn far(vectors: &mut Vectors, trees: &Trees) {
    let far = &trees.far;
    let now = far.issued("1-192");
    for tick in &FAR[..FAR.len() - 1] {
        let from = format!("1-{tick}");
        let way: Vec<Value> = far.way(&from, "1-192").into_iter().map(Value::from).collect();
        let fetched = manifest_and(&[&[far.index("1-192").into()], &way[..]].concat());
        let note = "the cheapest way from a tick long ago";
        Session::new(&format!("far-{tick}"), note, quiet())
            .wake(Wake::at(far.issued(&from), far, &from).fetches(first_sync(far, &from)))
            .wake(Wake::at(now, far, "1-192").fetches(fetched))
            .end(vectors);
    }
}

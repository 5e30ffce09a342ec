//! Files that are missing, late or wrong.

use gcs_core::DAY_SECONDS;
use serde_json::{Value, json};

use super::script::{Session, Wake, any_order, bundle, contact, first_sync, manifest_and, quiet};
use super::tree::Trees;
use crate::generator::out::Vectors;
use crate::world::{START, date, element};

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    manifests(vectors, trees);
    bundles(vectors, trees);
    sets(vectors, trees);
    offline(vectors, trees);
    older(vectors, trees);
    forged(vectors, trees);
    indexes(vectors, trees);
}

/// An index of which a byte is wrong that this client does not need.
fn indexes(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let (now, index) = (main.issued("1-2"), main.index("1-2"));
    let last = main.index_bytes("1-2") - 1;
    let note = "the last byte of the index, in the SHA-256 of a bundle, is wrong";
    Session::new("index-damaged", note, quiet())
        .wake(
            Wake::at(now, main, "1-2")
                .fault(json!({ "path": index, "fault": "damaged", "at": last }))
                .fetches(manifest_and(&[index.clone().into()]))
                .holds_nothing()
                .fails("File")
                .next(now + 900, now + 1199),
        )
        .wake(Wake::at(now + 1200, main, "1-2").fetches(first_sync(main, "1-2")))
        .end(vectors);
}

/// While a date's new set cannot be had, the one before serves.
fn older(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let (now, morning) = (main.issued("1-2"), START + DAY_SECONDS + 36_000);
    let old = main.sets("1-1");
    let new: Vec<String> = main.sets("1-2").into_iter().filter(|set| !old.contains(set)).collect();
    let [first, second] = [(morning, 1003), (morning + 7200, 1007)];
    let contacts =
        [first, second].map(|(time, number)| contact(time, time, date(1), &element(number)));
    let missing = |path: &str| json!({ "path": path, "fault": "missing" });
    let way = [bundle(1, 2), main.index("1-2").into(), any_order(&new)];
    let note =
        "neither the bundle nor the new set of a date: what is heard is matched to the set before";
    Session::new("set-before", note, quiet())
        .wake(
            Wake::at(now - 900, main, "1-1")
                .hears(&[(first.0, element(first.1))])
                .fetches(first_sync(main, "1-1"))
                .contacts(&contacts[..1]),
        )
        .wake(
            Wake::at(now, main, "1-2")
                .hears(&[(second.0, element(second.1))])
                .fault(missing("/v1/bundles/1/1-2"))
                .fault(missing(&main.sets("1-2")[1]))
                .fetches(manifest_and(&way))
                .holds(main, "1-1")
                .behind()
                .fails("Missing")
                .contacts(&contacts),
        )
        .wake(
            Wake::at(now + 900, main, "1-2")
                .fetches(manifest_and(&[bundle(1, 2)]))
                .contacts(&contacts),
        )
        .end(vectors);
}

/// What is signed is not right for that: it must be what the manifest says in every respect.
fn forged(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("1-2");
    let old = main.sets("1-1");
    let new: Vec<String> = main.sets("1-2").into_iter().filter(|set| !old.contains(set)).collect();
    for tree in &trees.forged {
        let index = Value::from(tree.index("1-2"));
        let wake = Wake::at(now, tree, "1-2");
        let wake = if tree.name.starts_with("index") {
            let wake = wake.fetches(manifest_and(&[index])).holds(main, "1-1").behind();
            wake.fails("File").next(now + 900, now + 1199)
        } else {
            wake.fetches(manifest_and(&[bundle(1, 2), index, any_order(&new)]))
        };
        let note = "the manifest is signed, and what it names is of another publication";
        Session::new(tree.name, note, quiet())
            .wake(Wake::at(now - 900, main, "1-1").fetches(first_sync(main, "1-1")))
            .wake(wake)
            .end(vectors);
    }
}

/// One answer that does not come may be the fault of a file; the second is that of the network.
fn offline(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let (now, sets) = (main.issued("1-1"), main.sets("1-1"));
    let failed = |path: &String| json!({ "path": path, "fault": "failed" });
    let two = json!({ "some_of": sets, "count": 2 });
    let first = Wake::at(now, main, "1-1")
        .fetches(manifest_and(&[main.index("1-1").into(), two]))
        .holds_nothing()
        .fails("Network")
        .next(now + 900, now + 1199);
    let first = sets.iter().map(failed).fold(first, Wake::fault);
    Session::new("offline", "no set comes: after two the client gives up for a while", quiet())
        .wake(first)
        .wake(Wake::at(now + 1200, main, "1-1").fetches(first_sync(main, "1-1")))
        .end(vectors);
}

/// What may be wrong with a file, and the class of error.
fn faults(path: &str) -> [(&'static str, Value, &'static str); 5] {
    [
        ("missing", json!({ "path": path, "fault": "missing" }), "Missing"),
        ("failed", json!({ "path": path, "fault": "failed" }), "Network"),
        ("cut", json!({ "path": path, "fault": "cut", "bytes": 100 }), "File"),
        ("longer", json!({ "path": path, "fault": "longer", "bytes": 1 }), "File"),
        ("damaged", json!({ "path": path, "fault": "damaged", "at": 90 }), "File"),
    ]
}

fn manifests(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("1-2");
    for (name, fault, class) in faults("/v1/manifest") {
        let class = match name {
            "cut" | "longer" => "Manifest.Json",
            "damaged" => continue,
            _ => class,
        };
        let note = "the manifest is not had; another poll comes after 600 to 1199 seconds";
        Session::new(&format!("manifest-{name}"), note, quiet())
            .wake(Wake::at(now - 900, main, "1-1").fetches(first_sync(main, "1-1")))
            .wake(
                Wake::at(now, main, "1-2")
                    .fault(fault)
                    .fetches(manifest_and(&[]))
                    .holds(main, "1-1")
                    .fails(class)
                    .next(now + 600, now + 1199),
            )
            .wake(Wake::at(now + 1200, main, "1-2").fetches(manifest_and(&[bundle(1, 2)])))
            .end(vectors);
    }
}

fn bundles(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("1-2");
    let old = main.sets("1-1");
    let new: Vec<String> = main.sets("1-2").into_iter().filter(|set| !old.contains(set)).collect();
    assert_eq!(new.len(), 2);
    for (name, fault, _) in faults("/v1/bundles/1/1-2") {
        let way = [bundle(1, 2), main.index("1-2").into(), any_order(&new)];
        let note = "a bundle that is not had costs a detour: the whole sets that differ";
        Session::new(&format!("bundle-{name}"), note, quiet())
            .wake(Wake::at(now - 900, main, "1-1").fetches(first_sync(main, "1-1")))
            .wake(Wake::at(now, main, "1-2").fault(fault).fetches(manifest_and(&way)))
            .end(vectors);
    }
}

fn sets(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let now = main.issued("1-1");
    let noon = |day: u64| START + day * DAY_SECONDS + 43_200;
    let heard = [0, 1, 2].map(|day| (noon(day), element(day * 1000 + 7)));
    let contacts =
        [0, 1, 2].map(|day| contact(noon(day), noon(day), date(day), &element(day * 1000 + 7)));
    let broken = main.sets("1-1").remove(1);
    for (name, fault, class) in faults(&broken) {
        let note = "a set that is not had costs its own date; only it is fetched later";
        let others = [contacts[0].clone(), contacts[2].clone()];
        let rest = [Value::from(main.index("1-1")), broken.clone().into()];
        Session::new(&format!("set-{name}"), note, quiet())
            .wake(
                Wake::at(now, main, "1-1")
                    .hears(&heard)
                    .fault(fault)
                    .fetches(first_sync(main, "1-1"))
                    .holds_nothing()
                    .fails(class)
                    .contacts(&others),
            )
            .wake(Wake::at(now + 900, main, "1-1").fetches(manifest_and(&rest)).contacts(&contacts))
            .end(vectors);
    }
}

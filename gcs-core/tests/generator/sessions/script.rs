//! Sessions and wakes as JSON.

use gcs_core::Date;
use serde_json::{Map, Value, json};

use super::tree::Tree;
use crate::generator::out::Vectors;
use crate::golden::hex;
use crate::world::root_key;

/// Settings of a client for which hits are contacts at once, and which asks nothing.
pub(super) fn quiet() -> Value {
    json!({
        "root": root_key().public().to_string(),
        "poll_jitter": 0,
        "confirm_every": 1_000_000_000,
        "crowd": 0,
        "crowd_wait": 0,
        "false_alarm_one_in": 1,
        "usual_heard": 0,
    })
}

/// Settings of a client that asks in every wake.
pub(super) fn eager() -> Value {
    with(quiet(), &[("confirm_every", 1), ("false_alarm_one_in", 0)])
}

/// Settings with other numbers.
pub(super) fn with(mut settings: Value, numbers: &[(&str, u64)]) -> Value {
    for (name, number) in numbers {
        settings[*name] = (*number).into();
    }
    settings
}

/// A session: a client, and its wakes.
pub(super) struct Session {
    name: String,
    note: String,
    settings: Value,
    wakes: Vec<Value>,
}

impl Session {
    pub(super) fn new(name: &str, note: &str, settings: Value) -> Session {
        Session { name: name.into(), note: note.into(), settings, wakes: Vec::new() }
    }

    pub(super) fn wake(mut self, wake: Wake) -> Session {
        self.wakes.push(wake.0.into());
        self
    }

    pub(super) fn end(self, vectors: &mut Vectors) {
        let session = json!({
            "name": self.name,
            "note": self.note,
            "settings": self.settings,
            "wakes": self.wakes,
        });
        let text = serde_json::to_string_pretty(&session).unwrap() + "\n";
        vectors.file_at(&format!("session/{}.json", self.name), text.as_bytes());
    }
}

/// One wake: what is given, and what must come out.
#[derive(Clone)]
pub(super) struct Wake(Map<String, Value>);

fn member(mut wake: Wake, name: &str, value: impl Into<Value>) -> Wake {
    wake.0.insert(name.into(), value.into());
    wake
}

impl Wake {
    /// A wake while a publication is the newest. Without faults the client holds it then.
    pub(super) fn at(now: u64, tree: &Tree, manifest: &str) -> Wake {
        let wake = json!({
            "now": now, "tree": tree.name, "manifest": manifest, "heard": [], "faults": [],
            "fetched": [], "up_to_date": true, "error": null, "contacts": [], "undecided": 0,
            "asked": null,
        });
        let Value::Object(members) = wake else { panic!("an object") };
        Wake(members).holds(tree, manifest)
    }

    /// What was heard since the wake before.
    pub(super) fn hears(self, heard: &[(u64, Vec<u8>)]) -> Wake {
        let heard: Vec<Value> = heard
            .iter()
            .map(|(time, element)| json!({ "time": time, "element": hex(element) }))
            .collect();
        member(self, "heard", heard)
    }

    /// A fault of the server.
    pub(super) fn fault(mut self, fault: Value) -> Wake {
        self.0["faults"].as_array_mut().unwrap().push(fault);
        self
    }

    /// The app is stopped while it waits for the answer to its request of this number.
    pub(super) fn stops_at(mut self, request: usize) -> Wake {
        for name in ["held", "up_to_date", "error", "contacts", "undecided", "asked"] {
            self.0.remove(name);
        }
        member(self, "stops_at", request)
    }

    pub(super) fn fetches(self, fetched: Vec<Value>) -> Wake {
        member(self, "fetched", fetched)
    }

    pub(super) fn holds(self, tree: &Tree, publication: &str) -> Wake {
        let held = json!({ "publication": publication, "state": tree.state(publication) });
        member(self, "held", held)
    }

    pub(super) fn holds_nothing(self) -> Wake {
        member(self, "held", Value::Null).behind()
    }

    pub(super) fn behind(self) -> Wake {
        member(self, "up_to_date", false)
    }

    pub(super) fn fails(self, class: &str) -> Wake {
        member(self, "error", class)
    }

    pub(super) fn contacts(self, contacts: &[Value]) -> Wake {
        member(self, "contacts", contacts)
    }

    pub(super) fn undecided(self, hits: usize) -> Wake {
        member(self, "undecided", hits)
    }

    /// A candidate was asked for, with this verdict.
    pub(super) fn asks(self, verdict: &str) -> Wake {
        member(self, "asked", json!({ "candidate": verdict }))
    }

    /// A candidate was asked for, but it does not lie in the record any more: what is said of the
    /// question is left open.
    pub(super) fn asks_beside(mut self) -> Wake {
        self.0.remove("asked");
        self
    }

    /// A dummy was asked for.
    pub(super) fn asks_dummy(self) -> Wake {
        member(self, "asked", json!({ "dummy": "authentic" }))
    }

    pub(super) fn next(self, least: u64, most: u64) -> Wake {
        member(self, "next_wake", json!({ "least": least, "most": most }))
    }
}

/// The manifest, then these.
pub(super) fn manifest_and(more: &[Value]) -> Vec<Value> {
    [&[json!("/v1/manifest")], more].concat()
}

/// Requests in any order.
pub(super) fn any_order(paths: &[String]) -> Value {
    json!({ "any_order": paths })
}

/// One of these requests.
pub(super) fn one_of(requests: &[Value]) -> Value {
    json!({ "one_of": requests })
}

/// The requests of a client that has nothing yet.
pub(super) fn first_sync(tree: &Tree, publication: &str) -> Vec<Value> {
    manifest_and(&[tree.index(publication).into(), any_order(&tree.sets(publication))])
}

pub(super) fn bundle(span: u32, to: u32) -> Value {
    format!("/v1/bundles/{span}/1-{to}").into()
}

/// A contact.
pub(super) fn contact(first: u64, last: u64, date: Date, element: &[u8]) -> Value {
    json!({ "first": first, "last": last, "date": date.to_string(), "element": hex(element) })
}

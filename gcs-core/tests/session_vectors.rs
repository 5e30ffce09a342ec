//! The session vectors: what a client does with trees of files, wake by wake, must be what they
//! say, whatever its randomness is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod golden;
mod world;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::ops::Range;

use gcs_core::sync::{Answer, Asked, ClientSettings, Heard, Outcome, Step, SyncError};
use serde_json::{Value, json};
use world::{Client, Intercepted};

/// Numbers of the first wake, of which the random numbers are made.
const SEEDS: [u8; 6] = [0, 40, 80, 120, 160, 200];

fn sessions() -> Vec<Value> {
    let entries = fs::read_dir(golden::folder().join("session")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".json"));
    let read = |name| serde_json::from_slice(&golden::file(&format!("session/{name}"))).unwrap();
    names.map(read).collect()
}

#[test]
fn sessions_go_as_the_vectors_say() {
    let sessions = sessions();
    assert!(sessions.len() > 40, "{}", sessions.len());
    for session in &sessions {
        for seed in SEEDS {
            run(session, seed);
        }
    }
}

fn settings(session: &Value) -> ClientSettings {
    let settings = &session["settings"];
    let number = |name: &str| settings[name].as_u64().unwrap();
    ClientSettings {
        root: settings["root"].as_str().unwrap().parse().unwrap(),
        poll_jitter: number("poll_jitter"),
        confirm_every: number("confirm_every"),
        crowd: number("crowd"),
        crowd_wait: number("crowd_wait"),
        false_alarm_one_in: number("false_alarm_one_in"),
        usual_heard: number("usual_heard"),
        seeds: None,
    }
}

fn run(session: &Value, seed: u8) {
    let name = session["name"].as_str().unwrap();
    let mut client = Client { settings: settings(session), wakes: seed, ..Client::new() };
    let mut answered = BTreeSet::new();
    for (number, wake) in session["wakes"].as_array().unwrap().iter().enumerate() {
        let place = format!("{name}, wake {number}, seed {seed}");
        client.heard.extend(wake["heard"].as_array().unwrap().iter().map(heard));
        let mut server = Server { wake, requests: Vec::new() };
        let now = wake["now"].as_u64().unwrap();
        let outcome =
            client.wake_intercepted(now, |step| server.answer(step), &world::Files::new());
        let requests = server.requests;
        assert_fetched(&place, wake, &requests, &answered);
        let stopped = usize::from(outcome.is_none());
        let paths = requests.iter().take(requests.len() - stopped).map(|request| request.0.clone());
        answered.extend(paths);
        assert_eq!(outcome.is_none(), wake.get("stops_at").is_some(), "{place}");
        if let Some(outcome) = outcome {
            assert_outcome(&place, wake, &outcome, &client);
        }
    }
}

fn heard(heard: &Value) -> Heard {
    let element = golden::bytes_of_hex(heard["element"].as_str().unwrap());
    Heard { time: heard["time"].as_u64().unwrap(), element }
}

/// A request: a path, and the part that is asked for.
type Request = (String, Option<Range<u64>>);

/// A server that has a tree and faults.
struct Server<'w> {
    wake: &'w Value,
    requests: Vec<Request>,
}

impl Server<'_> {
    fn answer(&mut self, step: &Step) -> Intercepted {
        let Step::Fetch { path, byte_range, limit } = step else { return Intercepted::No };
        self.requests.push((path.clone(), byte_range.clone()));
        if self.wake.get("stops_at") == Some(&json!(self.requests.len())) {
            return Intercepted::Off;
        }
        let mut answer = self.serve(path, byte_range.clone());
        if let Answer::Bytes(bytes) = &mut answer {
            bytes.truncate(*limit as usize + 1);
        }
        Intercepted::Answer(answer)
    }

    /// The file at a path, if the tree has it.
    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let tree = self.wake["tree"].as_str().unwrap();
        let kept = format!("/v1/manifests/{}", self.wake["manifest"].as_str().unwrap());
        let path = if path == "/v1/manifest" { &kept } else { path };
        fs::read(golden::folder().join(format!("session/trees/{tree}{path}"))).ok()
    }

    fn serve(&self, path: &str, part: Option<Range<u64>>) -> Answer {
        let Some(mut bytes) = self.file(path) else { return Answer::Missing };
        let faults = self.wake["faults"].as_array().unwrap();
        let fault = faults.iter().find(|fault| fault["path"] == path);
        let number = |name: &str| fault.unwrap()[name].as_u64().unwrap() as usize;
        let kind = fault.map_or("", |fault| fault["fault"].as_str().unwrap());
        if kind == "other" {
            bytes = golden::file(&format!("session/{}", fault.unwrap()["file"].as_str().unwrap()));
        }
        if let Some(part) = part {
            let Some(part) = bytes.get(part.start as usize..part.end as usize) else {
                return Answer::Missing;
            };
            bytes = part.to_vec();
        }
        match kind {
            "missing" => return Answer::Missing,
            "failed" => return Answer::Failed("503".into()),
            "cut" => bytes.truncate(number("bytes")),
            "longer" => bytes.resize(bytes.len() + number("bytes"), 0),
            "damaged" => bytes[number("at")] ^= 1,
            // This driver cuts the part out of a whole file itself.
            "" | "other" | "whole" => {}
            kind => panic!("no such fault: {kind}"),
        }
        Answer::Bytes(bytes)
    }
}

/// The request that one of these values describes.
fn request(value: &Value) -> Request {
    if let Some(path) = value.as_str() {
        return (path.into(), None);
    }
    let byte = |at: usize| value["bytes"][at].as_u64().unwrap();
    (value["path"].as_str().unwrap().into(), Some(byte(0)..byte(1) + 1))
}

/// The requests are those expected, in their order. Requests that were `answered` in an earlier
/// wake are not among the rest of some.
fn assert_fetched(place: &str, wake: &Value, requests: &[Request], answered: &BTreeSet<String>) {
    let mut left = requests;
    for expected in wake["fetched"].as_array().unwrap() {
        let all = |name: &str| -> Option<HashSet<Request>> {
            let list = expected.get(name)?.as_array().unwrap();
            Some(list.iter().map(request).collect())
        };
        let (among, count) = if let Some(any) = all("any_order") {
            let count = any.len();
            (any, count)
        } else if let Some(one) = all("one_of") {
            (one, 1)
        } else if let Some(some) = all("some_of") {
            (some, expected["count"].as_u64().unwrap() as usize)
        } else if let Some(mut rest) = all("rest_of") {
            rest.retain(|request| !answered.contains(&request.0));
            let count = rest.len();
            (rest, count)
        } else {
            (HashSet::from([request(expected)]), 1)
        };
        assert!(left.len() >= count, "{place}: {requests:?}, not {expected}");
        let (now, later) = left.split_at(count);
        let distinct: HashSet<Request> = now.iter().cloned().collect();
        let is_right = distinct.len() == count && distinct.is_subset(&among);
        assert!(is_right, "{place}: {requests:?}, not {expected}");
        left = later;
    }
    assert!(left.is_empty(), "{place}: also {left:?}");
}

fn assert_outcome(place: &str, wake: &Value, outcome: &Outcome, client: &Client) {
    let held = outcome.held.map(|held| format!("{}-{}", held.series, held.tick));
    let expected = wake["held"].get("publication").and_then(Value::as_str);
    assert_eq!(held.as_deref(), expected, "{place}: {outcome:?}");
    if let Some(state) = wake["held"].get("state").and_then(Value::as_str) {
        assert!(client.folder.contains_key(&format!("table-{state}")), "{place}: {state}");
    }
    assert_eq!(json!(outcome.up_to_date), wake["up_to_date"], "{place}: {outcome:?}");
    let error = outcome.error.as_ref().map(class);
    assert_eq!(error.as_deref(), wake["error"].as_str(), "{place}: {outcome:?}");
    assert_eq!(contacts(outcome), wake["contacts"], "{place}: {outcome:?}");
    assert_eq!(json!(outcome.undecided), wake["undecided"], "{place}: {outcome:?}");
    if let Some(expected) = wake.get("asked") {
        assert_eq!(asked(outcome), *expected, "{place}: {outcome:?}");
    }
    if let Some(next) = wake.get("next_wake") {
        let (least, most) = (next["least"].as_u64().unwrap(), next["most"].as_u64().unwrap());
        assert!((least..=most).contains(&outcome.next_wake), "{place}: {outcome:?}");
    }
}

/// The name of an error, and that of a manifest's.
fn class(error: &SyncError) -> String {
    let name = |debug: String| {
        let word = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        word.to_string()
    };
    match error {
        SyncError::Manifest(error) => format!("Manifest.{}", name(format!("{error:?}"))),
        error => name(format!("{error:?}")),
    }
}

fn contacts(outcome: &Outcome) -> Value {
    let contacts = outcome.contacts.as_ref().unwrap().iter();
    contacts
        .map(|contact| {
            json!({
                "first": contact.first,
                "last": contact.last,
                "date": contact.date.to_string(),
                "element": golden::hex(&contact.element),
            })
        })
        .collect()
}

fn asked(outcome: &Outcome) -> Value {
    match outcome.asked {
        None => Value::Null,
        Some(Asked::Candidate(verdict)) => json!({ "candidate": format!("{verdict:?}") }),
        Some(Asked::Dummy { authentic: true }) => json!({ "dummy": "authentic" }),
        Some(Asked::Dummy { authentic: false }) => json!({ "dummy": "unanswered" }),
    }
}

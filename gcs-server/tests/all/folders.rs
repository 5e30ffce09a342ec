//! The data folders of earlier releases open, and go on.
//!
//! `vectors/folders` has one for each release, made by that release: `data` is the folder as a stop left it, and
//! `about.json` says when, and what the server answered. They never change, but for the digest where a release
//! has another one for the same state. The one of a new release is made before its tag: `cargo test -p gcs-server --test all -- --ignored make_the_folder`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::common::home::{Home, difference, files};
use crate::common::process::{alone, text};
use crate::common::server::{Server, ago, ask, seed};

fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/vectors/folders")
}

fn write(files: &BTreeMap<String, Vec<u8>>, folder: &Path) {
    for (name, bytes) in files {
        let place = folder.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
}

fn said(folder: &Path, command: &str) -> String {
    let output = alone(folder, &[command]);
    let said = text(&[output.stdout, output.stderr].concat());
    assert!(output.status.success(), "{command}: {said}");
    said
}

#[test]
fn data_folders_of_earlier_releases_open_and_go_on() {
    let mut opened = 0;
    for entry in fs::read_dir(folders()).unwrap() {
        let folder = entry.unwrap().path();
        let about = fs::read(folder.join("about.json")).unwrap();
        let about: Value = serde_json::from_slice(&about).unwrap();
        let home = Home::at(about["now"].as_u64().unwrap());
        write(&files(&folder.join("data")), home.folder.path());
        opens(&home, &about);
        goes_on(home, &about);
        opened += 1;
    }
    assert!(opened > 0);
}

/// Nothing has changed, and all that is computed from the log is what it was.
fn opens(home: &Home, about: &Value) {
    let before = home.contents();
    said(home.folder.path(), "verify-log");
    let rebuilt = said(home.folder.path(), "rebuild");
    let digest = about["digest"].as_str().unwrap();
    assert!(rebuilt.contains(&format!("digest {digest}")), "{rebuilt}");
    assert!(rebuilt.contains(&format!("position {}", about["position"])), "{rebuilt}");
    assert!(rebuilt.contains("0 missing, 0 different, 0 extra"), "{rebuilt}");
    assert_eq!(difference(&before, &home.contents()), Vec::<String>::new());
}

fn goes_on(home: Home, about: &Value) {
    let home = Arc::new(home);
    let published = home.public();
    let operator = about["operator"].as_str().unwrap();
    let server = Server::start(Arc::clone(&home), operator);
    let digest = server.operate("GET", "/v1/admin/digest", Value::Null).ok();
    assert_eq!((&digest["digest"], &digest["position"]), (&about["digest"], &about["position"]));
    let status = server.status();
    assert_eq!((&status["dates"], &status["reports"]), (&about["dates"], &about["reports"]));
    assert_eq!(difference(&home.public(), &published), Vec::<String>::new());
    for sent in about["sent"].as_array().unwrap() {
        let again = ask(server.public, "POST", "/v1/reports", &[], &sent["body"].to_string());
        assert_eq!((again.status, again.json()), (201, sent["answer"].clone()));
        let code = sent["body"]["code"].as_str().unwrap();
        let other = server.report(code, vec![seed(ago(1), 99)]);
        assert_eq!(other.refused(), (409, "code_used".to_owned()));
    }
    let unused = about["unused"].as_str().unwrap();
    server.report(unused, vec![seed(ago(1), 100)]).ok();
    let elements = server.elements(ago(1));
    server.pass(900);
    server.tick();
    assert_eq!(server.elements(ago(1)), elements + 1);
    drop(server);
    said(home.folder.path(), "verify-log");
    said(home.folder.path(), "rebuild");
}

/// A folder with as many kinds of events as fit into two days.
#[test]
#[ignore = "makes the folder of this release"]
fn make_the_folder_of_this_release() {
    let place = folders().join(env!("CARGO_PKG_VERSION"));
    assert!(!place.exists(), "{} is there, and never changes", place.display());
    let server = Server::new();
    server.set("max_elements_per_date", json!(300));
    let (city, village) = (server.provider("City hospital"), server.provider("Village clinic"));
    let (codes, others) = (server.codes(&city.1, 12), server.codes(&village.1, 4));
    let mut sent = Vec::new();
    let mut report = |server: &Server, code: &str, items: Vec<Value>| {
        let answer = server.report(code, items.clone()).ok();
        sent.push(json!({ "body": { "code": code, "items": items }, "answer": answer }));
    };
    report(&server, &codes[0], vec![seed(ago(1), 1), seed(ago(2), 2), json!("no item")]);
    report(&server, &codes[1], vec![seed(ago(1), 1), seed(ago(3), 3)]);
    report(&server, &others[0], vec![seed(ago(2), 4)]);
    server.pass(900);
    server.tick();
    let correct = |act: &str, select: Value| {
        let mut body = json!({ "act": act, "select": select });
        let preview = server.operate("POST", "/v1/admin/corrections/preview", body.clone()).ok();
        body["position"] = preview["position"].clone();
        server.operate("POST", "/v1/admin/corrections", body).ok();
    };
    correct("retract", json!({ "provider": city.0 }));
    correct("reinstate", json!({ "code": codes[1] }));
    let act = |path: &str, body: Value| {
        server.operate("POST", path, body).ok();
    };
    act("/v1/admin/codes/revoke", json!({ "code": codes[2] }));
    for change in ["suspend", "resume"] {
        act(&format!("/v1/admin/providers/{}/{change}", village.0), Value::Null);
    }
    act(&format!("/v1/admin/providers/{}/rotate", village.0), Value::Null);
    let range = json!({ "count": 3, "valid_days": 5 });
    let range = server.provide(&city.1, "POST", "/v1/provider/ranges", range).ok();
    let close = format!("/v1/provider/ranges/{}/close", range["first"]);
    server.provide(&city.1, "POST", &close, Value::Null).ok();
    server.pass(900);
    server.tick();
    act("/v1/admin/series", Value::Null);
    server.pass(2 * 86_400);
    act("/v1/admin/clock/resume", Value::Null);
    server.tick();
    report(&server, &codes[3], vec![seed(ago(1), 5), seed(ago(2), 2)]);
    server.pass(900);
    server.tick();
    let (status, home) = (server.status(), Arc::clone(&server.home));
    let digest = server.operate("GET", "/v1/admin/digest", Value::Null).ok();
    let operator = server.operator.clone();
    drop(server);
    let about = json!({
        "now": home.now(),
        "operator": operator,
        "position": digest["position"],
        "digest": digest["digest"],
        "reports": status["reports"],
        "dates": status["dates"],
        "unused": codes[4],
        "sent": sent,
    });
    write(&home.contents(), &place.join("data"));
    fs::write(place.join("about.json"), format!("{about:#}\n")).unwrap();
}

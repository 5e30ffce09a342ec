//! TempIDs and PINs, in both families of routes.

use std::collections::BTreeSet;

use gcs_core::identifiers::bluetrace::TempId;
use serde_json::{Value, json};

use super::Authority;
use crate::common::server::{ask, bearer};

/// Research check 5.
#[test]
fn a_batch_has_100_tempids_of_which_the_first_is_current() {
    let authority = Authority::new();
    let [phone, other] = authority.phones();
    authority.pass(899);
    let now = authority.home.now();
    let ids = authority.of(&phone, "GET", "/bluetrace/v1/temp-ids", "").ok();
    assert_eq!(ids["status"], "SUCCESS");
    assert_eq!(ids["refreshTime"].as_u64(), Some(now + 43_200));
    let entries = ids["tempIDs"].as_array().unwrap();
    assert_eq!(entries.len(), 100);
    let time = |entry: &Value, name: &str| entry[name].as_u64().unwrap();
    assert!(time(&entries[0], "startTime") <= now && now < time(&entries[0], "expiryTime"));
    for (one, next) in entries.iter().zip(&entries[1..]) {
        assert_eq!(time(one, "expiryTime"), time(next, "startTime"));
        assert_eq!(time(one, "expiryTime") - time(one, "startTime"), 900);
    }
    let texts = |ids: &Value| -> BTreeSet<String> {
        let entries = ids["tempIDs"].as_array().unwrap().iter();
        entries.map(|entry| entry["tempID"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&ids).len(), 100);
    assert!(texts(&ids).iter().all(|text| text.parse::<TempId>().is_ok()));
    // The same in one window, and others of another user.
    assert_eq!(authority.of(&phone, "GET", "/bluetrace/v1/temp-ids", "").ok(), ids);
    let others = authority.of(&other, "GET", "/bluetrace/v1/temp-ids", "").ok();
    assert!(texts(&others).is_disjoint(&texts(&ids)));
    // The callable gives the same in its envelope; only an integer is a refresh time for Android.
    let called = authority.call(&phone, "getTempIDs", Value::Null);
    assert!(
        String::from_utf8_lossy(&called.body)
            .contains(&format!("\"refreshTime\":{}", now + 43_200))
    );
    assert_eq!(called.ok()["result"], ids);
    let early = authority.call(&phone, "getBroadcastMessage", Value::Null).ok();
    assert_eq!(early["result"]["bm"], entries[0]["tempID"]);
    assert_eq!(early["result"]["refreshTime"], ids["refreshTime"]);
    // As an SDK asks whose origin was replaced, and after another start.
    let elsewhere = "a-project/asia-east2/getTempIDs";
    assert_eq!(authority.call(&phone, elsewhere, Value::Null).ok()["result"], ids);
    let authority = authority.restart();
    assert_eq!(authority.of(&phone, "GET", "/bluetrace/v1/temp-ids", "").ok(), ids);
}

/// Research check 5.
#[test]
fn without_a_token_nothing_is_answered() {
    let authority = Authority::new();
    let [phone] = authority.phones();
    let paths = [("GET", "temp-ids"), ("GET", "pin"), ("POST", "withdrawal"), ("POST", "uploads")];
    for (method, path) in paths {
        let path = format!("/bluetrace/v1/{path}");
        let headers = [vec![], vec![bearer("gcs_user_made-up")], vec![bearer(&authority.operator)]];
        for headers in headers {
            let refused = ask(authority.public, method, &path, &headers, "").refused();
            assert_eq!(refused, (401, "unauthorized".into()), "{path}");
        }
    }
    for name in ["getTempIDs", "getHandshakePin", "getUploadToken", "p/r/getTempIDs"] {
        let path = format!("/bluetrace/callable/{name}");
        let answer = ask(authority.public, "POST", &path, &[], r#"{"data":null}"#);
        assert_eq!(
            (answer.status, &answer.json()["error"]["status"]),
            (401, &json!("UNAUTHENTICATED"))
        );
        assert!(answer.json()["error"]["message"].is_string());
    }
    let unknown = authority.call(&phone, "p/r/getAnything", Value::Null);
    assert_eq!((unknown.status, &unknown.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    let path = "/bluetrace/callable/getTempIDs";
    let broken = authority.of(&phone, "POST", path, "{");
    assert_eq!(
        (broken.status, &broken.json()["error"]["status"]),
        (400, &json!("INVALID_ARGUMENT"))
    );
    // A user's token is no operator's.
    let refused = ask(authority.private, "GET", "/v1/admin/status", &[bearer(&phone.token)], "");
    assert_eq!(refused.refused(), (401, "unauthorized".into()));
}

/// Research check 6.
#[test]
fn a_pin_is_stable_and_no_part_of_the_user_id() {
    let authority = Authority::new();
    let phones: [_; 5] = authority.phones();
    let pin = |authority: &Authority, phone| {
        let answer = authority.of(phone, "GET", "/bluetrace/v1/pin", "").ok();
        let called = authority.call(phone, "getHandshakePin", Value::Null).ok();
        assert_eq!(called["result"], answer);
        assert_eq!(answer["status"], "SUCCESS");
        answer["pin"].as_str().unwrap().to_owned()
    };
    let pins = phones.each_ref().map(|phone| pin(&authority, phone));
    assert_eq!(pins.iter().collect::<BTreeSet<_>>().len(), 5);
    for (phone, pin) in phones.iter().zip(&pins) {
        assert_eq!(pin.len(), 6);
        assert!(!phone.id.to_uppercase().contains(pin));
    }
    authority.pass(86_400);
    let authority = authority.restart();
    assert_eq!(phones.each_ref().map(|phone| pin(&authority, phone)), pins);
}

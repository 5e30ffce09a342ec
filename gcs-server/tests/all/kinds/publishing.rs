//! Keys that apps publish as they do to Apple's and Google's key server (`POST /v1/publish`).

use data_encoding::BASE64;
use gcs_core::Date;
use serde_json::{Value, json};

use super::interval;
use crate::common::server::{Answer, Server, ago, ask, today};

/// A server that takes keys so, and codes for it.
fn server() -> (Server, Vec<String>) {
    let server = Server::new();
    server.set("kinds", json!(["gaen"]));
    server.set("gaen_authority", json!("nl.example"));
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 6);
    (server, codes)
}

fn key(date: Date, byte: u8) -> Value {
    let key = BASE64.encode(&[byte; 16]);
    json!({ "key": key, "rollingStartNumber": interval(date, 0), "rollingPeriod": 144 })
}

fn body(code: &str, keys: &[Value]) -> Value {
    json!({
        "temporaryExposureKeys": keys,
        "healthAuthorityID": "nl.example",
        "verificationPayload": code,
        "hmacKey": "c2VjcmV0",
        "padding": BASE64.encode(&[7; 1500]),
    })
}

fn send(server: &Server, body: &Value) -> Answer {
    ask(server.public, "POST", "/v1/publish", &[], &body.to_string())
}

/// Status and code, of an answer that is whole.
#[track_caller]
fn told(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let padding = BASE64.decode(json["padding"].as_str().unwrap().as_bytes()).unwrap();
    assert!((1024..2048).contains(&padding.len()), "{}", padding.len());
    assert_eq!(answer.header("x-api-version"), "v1");
    assert_eq!(answer.header("cache-control"), "no-store");
    let code = json["code"].as_str().unwrap_or_default();
    assert_eq!(code.is_empty(), json["error"].is_null(), "{json}");
    (answer.status, code.to_owned())
}

#[track_caller]
fn accepted(answer: &Answer) -> Value {
    assert_eq!(told(answer), (200, String::new()), "{:?}", answer.json());
    let mut json = answer.json();
    json.as_object_mut().unwrap().remove("padding");
    json
}

#[test]
fn keys_are_published_with_a_code() {
    let (server, codes) = server();
    let sent = body(&codes[0], &[key(ago(2), 1), key(ago(1), 2), key(today(), 3)]);
    let first = send(&server, &sent);
    let answer = accepted(&first);
    assert_eq!(answer["insertedExposures"], 3);
    assert!(!answer["revisionToken"].as_str().unwrap().is_empty());
    server.tick();
    assert_eq!((server.elements(ago(2)), server.elements(ago(1))), (144, 144));
    // A key that is still in use waits until its date is over.
    assert_eq!(server.elements(today()), 0);
    // A retry gets the same answer, but for the padding.
    let mut again = sent.clone();
    again["padding"] = json!("");
    let retry = send(&server, &again);
    assert_eq!(accepted(&retry), answer);
    assert_ne!(retry.json()["padding"], first.json()["padding"]);
    let other = body(&codes[0], &[key(ago(2), 9)]);
    let certificate = "health_authority_verification_certificate_invalid".to_owned();
    assert_eq!(told(&send(&server, &other)), (401, certificate));
    server.pass(43_200 + 7200);
    server.tick();
    assert_eq!(server.elements(today()), 144);
}

#[test]
fn a_bad_key_drops_no_other() {
    let (server, codes) = server();
    let mut old = key(ago(20), 2);
    let mut long = key(ago(3), 3);
    long["rollingPeriod"] = json!(145);
    let answer = send(&server, &body(&codes[0], &[key(ago(1), 1), old.clone(), long.clone()]));
    assert_eq!(told(&answer), (200, "partial_failure".to_owned()));
    assert_eq!(answer.json()["insertedExposures"], 1);
    assert_eq!(
        answer.json()["error"],
        "key 1 cannot be imported: date_too_old; key 2 cannot be imported: rolling_period_invalid"
    );
    let all_bad = send(&server, &body(&codes[1], &[old.clone(), long]));
    assert_eq!(told(&all_bad), (400, "bad_request".to_owned()));
    // That did not spend the code. Keys far from the onset of symptoms are left out, and the app is warned.
    old["rollingStartNumber"] = json!(interval(ago(14), 0));
    let mut body = body(&codes[1], &[key(ago(1), 1), old]);
    body["symptomOnsetInterval"] = json!(interval(today(), 24));
    let answer = send(&server, &body);
    assert_eq!(told(&answer), (400, "missing_revision_token".to_owned()));
    body["temporaryExposureKeys"][0] = key(ago(1), 4);
    let answer = send(&server, &body);
    assert_eq!(told(&answer), (200, "partial_failure".to_owned()));
    assert_eq!(answer.json()["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_published_is_named_as_their_server_names_it() {
    let (server, codes) = server();
    let good = || body(&codes[0], &[key(ago(1), 1)]);
    let changed = |member: &str, value: Value| {
        let mut changed = good();
        changed[member] = value;
        told(&send(&server, &changed))
    };
    let bad = (400, "bad_request".to_owned());
    let certificate = (401, "health_authority_verification_certificate_invalid".to_owned());
    let unknown = (401, "unknown_health_authority_id".to_owned());
    assert_eq!(changed("healthAuthorityID", json!("uk.example")), unknown);
    assert_eq!(changed("healthAuthorityID", json!("")), unknown);
    assert_eq!(changed("verificationPayload", json!("eyJhbGciOiJFUzI1NiJ9.e30.AA")), certificate);
    assert_eq!(changed("verificationPayload", json!("0000-0000-0000-0000")), certificate);
    assert_eq!(changed("temporaryExposureKeys", json!([])), bad);
    let many: Vec<Value> = (0..31).map(|byte| key(ago(1), byte)).collect();
    assert_eq!(changed("temporaryExposureKeys", json!(many)), bad);
    assert_eq!(changed("temporaryExposureKeys", json!(many[..4])), bad);
    let mut late = key(ago(2), 9);
    late["rollingStartNumber"] = json!(interval(ago(2), 1));
    assert_eq!(changed("temporaryExposureKeys", json!([late, key(ago(1), 1)])), bad);
    assert_eq!(changed("regions", json!([])), bad);
    assert_eq!(changed("reportType", json!("user-report")), bad);
    let long = changed("padding", json!("A".repeat(64_000)));
    assert_eq!(long, (413, "bad_request".to_owned()));
    let broken = ask(server.public, "POST", "/v1/publish", &[], "{");
    assert_eq!(told(&broken), bad);
    let chaff = [("X-Chaff", "1".to_owned())];
    let chaff = ask(server.public, "POST", "/v1/publish", &chaff, &good().to_string());
    assert_eq!(accepted(&chaff), json!({}));
    server.tick();
    assert_eq!(server.elements(ago(1)), 0);
    // Other kinds than keys may be all that the authority takes, and nobody may publish so.
    server.set("kinds", json!(["tcn"]));
    assert_eq!(told(&send(&server, &good())), bad);
    server.set("kinds", json!(["gaen"]));
    server.set("gaen_authority", json!(""));
    assert_eq!(told(&send(&server, &good())), unknown);
    assert_eq!(changed("healthAuthorityID", json!("")), unknown);
}

#[test]
fn only_what_was_likely_is_revised_and_by_its_phone() {
    let (server, codes) = server();
    let keys = [key(ago(2), 1), key(ago(1), 2)];
    let publish = |code: usize, report_type: &str, token: &Value| {
        let mut body = body(&codes[code], &keys);
        body["reportType"] = json!(report_type);
        if !token.is_null() {
            body["revisionToken"] = token.clone();
        }
        send(&server, &body)
    };
    let counts = || {
        server.pass(900);
        server.tick();
        (server.elements(ago(2)), server.elements(ago(1)))
    };
    let first = accepted(&publish(0, "likely", &Value::Null));
    let token = &first["revisionToken"];
    assert_eq!(counts(), (144, 144));
    // Another phone, or one without its token, publishes them no second time.
    let refused = |answer: &Answer, code: &str| assert_eq!(told(answer), (400, code.to_owned()));
    refused(&publish(1, "confirmed", &Value::Null), "missing_revision_token");
    refused(&publish(1, "confirmed", &json!("AAAA")), "invalid_revision_token");
    let stranger = send(&server, &body(&codes[5], &[key(ago(1), 7)]));
    let stranger = accepted(&stranger)["revisionToken"].clone();
    refused(&publish(1, "confirmed", &stranger), "invalid_revision_token");

    let second = accepted(&publish(1, "confirmed", token));
    assert_eq!(accepted(&publish(1, "confirmed", token)), second);
    let revised = &second["revisionToken"];
    refused(&publish(2, "negative", revised), "key_already_revised");
    refused(&publish(2, "likely", revised), "key_already_revised");
    assert_eq!(counts(), (144, 288));
}

#[test]
fn what_was_likely_is_taken_back() {
    let (server, codes) = server();
    let publish = |code: usize, report_type: &str, byte: u8, token: &Value| {
        let mut body = body(&codes[code], &[key(ago(2), byte)]);
        body["reportType"] = json!(report_type);
        if !token.is_null() {
            body["revisionToken"] = token.clone();
        }
        send(&server, &body)
    };
    let first = accepted(&publish(0, "likely", 1, &Value::Null));
    let token = &first["revisionToken"];
    server.tick();
    assert_eq!(server.elements(ago(2)), 144);
    let taken = accepted(&publish(1, "negative", 1, token));
    assert!(taken["insertedExposures"].is_null());
    server.pass(900);
    server.tick();
    assert_eq!(server.elements(ago(2)), 0);
    // The retry of it, also after a restart and the purge of what is over.
    assert_eq!(accepted(&publish(1, "negative", 1, token)), taken);
    let server = server.restart();
    let again = |server: &Server| {
        let mut body = body(&codes[1], &[key(ago(2), 1)]);
        body["reportType"] = json!("negative");
        body["revisionToken"] = token.clone();
        accepted(&send(server, &body))
    };
    server.pass(86_400);
    server.tick();
    assert_eq!(again(&server), taken);
    // What was confirmed is not: the operator takes that back.
    let mut confirmed = body(&codes[2], &[key(ago(1), 5)]);
    let token = accepted(&send(&server, &confirmed))["revisionToken"].clone();
    confirmed["reportType"] = json!("negative");
    confirmed["revisionToken"] = token;
    confirmed["verificationPayload"] = json!(codes[3]);
    let refused = told(&send(&server, &confirmed));
    assert_eq!(refused, (400, "invalid_report_type_transition".to_owned()));
}

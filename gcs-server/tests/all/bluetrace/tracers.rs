//! What tracers see.

use serde_json::{Value, json};

use super::Authority;
use crate::common::server::{ask, bearer, today};

#[test]
fn tracers_see_whom_a_case_has_met_and_each_look_is_in_the_log() {
    let authority = Authority::new();
    let [case, one, two, gone] = authority.phones();
    let (provider, codes) = authority.upload_codes(1);
    let now = authority.home.now();
    let [one_id, two_id, gone_id] = [&one, &two, &gone].map(|phone| authority.heard(phone));
    let heard = |time: u64, msg: &str, rssi: i8| json!({ "timestamp": time, "msg": msg, "org": "SG_OTC", "rssi": rssi });
    // Ten minutes with one, in two meetings; a moment with the other; and one who withdraws.
    let records = json!([
        heard(now, &one_id, -60),
        heard(now + 240, &one_id, -70),
        heard(now + 541, &one_id, -80),
        heard(now + 600, &one_id, -64),
        heard(now + 901, &one_id, -50),
        heard(now + 5, &two_id, -90),
        heard(now + 6, &gone_id, -90),
    ]);
    let token = authority.upload_token(&case, &codes[0]).ok();
    authority.upload(&case, token["token"].as_str().unwrap(), &records).ok();
    assert_eq!(authority.of(&gone, "POST", "/bluetrace/v1/withdrawal", "").status, 204);

    let list = "/bluetrace/v1/tracer/cases";
    for token in [&authority.operator, &provider] {
        let refused = authority.provide(token, "GET", list, Value::Null).refused();
        assert_eq!(refused, (403, "forbidden".into()));
    }
    assert_eq!(ask(authority.public, "GET", list, &[], "").refused(), (404, "not_found".into()));
    let refused = ask(authority.private, "GET", list, &[bearer(&case.token)], "").refused();
    assert_eq!(refused, (401, "unauthorized".into()));
    let tracer = authority.tracer();
    let answer = authority.provide(&tracer, "GET", list, Value::Null);
    assert!(!String::from_utf8_lossy(&answer.body).contains("+65"));
    let cases = answer.ok();
    let entry = &cases["cases"][0];
    assert_eq!(
        (&entry["since"], &entry["uploaded"], &entry["undone"]),
        (&json!(now), &json!(now), &json!(false))
    );
    assert_eq!(
        (&entry["verdicts"]["valid"], &entry["verdicts"]["expired_id"]),
        (&json!(6), &json!(1))
    );
    let looks = || authority.events().into_iter().filter(|(kind, _)| *kind == 36).count();
    assert_eq!(looks(), 0);
    let path = format!("/bluetrace/v1/tracer/cases/{}/encounters", entry["case"]);
    let seen = authority.provide(&tracer, "POST", &path, Value::Null).ok();
    assert_eq!(looks(), 1);
    let date = today().to_string();
    assert_eq!(
        seen["encounters"],
        json!([
            { "number": "+6591230001", "authority": null, "pseudo_id": null, "date": date, "first": format!("{date}T12:00:00Z"),
              "last": format!("{date}T12:15:01Z"), "seconds": 299, "sightings": 5, "expired": 1,
              "strongest_rssi": -50, "mean_rssi": -64 },
            { "number": "+6591230002", "authority": null, "pseudo_id": null, "date": date, "first": format!("{date}T12:00:05Z"),
              "last": format!("{date}T12:00:05Z"), "seconds": 0, "sightings": 1, "expired": 0,
              "strongest_rssi": -90, "mean_rssi": -90 },
        ])
    );
    let csv = authority.provide(&tracer, "POST", &format!("{path}?format=csv"), Value::Null);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let csv = String::from_utf8(csv.body).unwrap();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!((lines.len(), lines[3]), (4, ""));
    assert!(lines[1].starts_with("+6591230001,") && lines[1].ends_with(",299,5,1,-50,-64"));
    assert_eq!(looks(), 2);
    for path in ["999999", &entry["case"].as_u64().unwrap().saturating_sub(1).to_string()] {
        let path = format!("/bluetrace/v1/tracer/cases/{path}/encounters");
        let refused = authority.provide(&tracer, "POST", &path, Value::Null).refused();
        assert_eq!(refused, (404, "case_unknown".into()));
    }
    // A new token voids the one before.
    let next = authority.tracer();
    let refused = authority.provide(&tracer, "GET", list, Value::Null).refused();
    assert_eq!(refused, (401, "unauthorized".into()));
    authority.provide(&next, "GET", list, Value::Null).ok();
}

/// An upload that takes several events, of which none is missing.
#[test]
fn a_large_upload_is_in_several_events_and_seen_whole() {
    let authority = Authority::new();
    let [case, one, two] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    let now = authority.home.now();
    let ids = [&one, &two].map(|phone| authority.heard(phone));
    let record = |at: usize| json!({ "timestamp": now * 1000 + at as u64, "msg": ids[at % 2] });
    let records: Value = (0..40_000).map(record).collect();
    let token = authority.upload_token(&case, &codes[0]).ok();
    let answer = authority.upload(&case, token["token"].as_str().unwrap(), &records).ok();
    assert_eq!(answer["valid"], 40_000);
    let pieces = || authority.events().into_iter().filter(|(kind, _)| *kind == 33);
    assert_eq!(pieces().count(), 3);
    let tracer = authority.tracer();
    let cases = authority.provide(&tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    let path = format!("/bluetrace/v1/tracer/cases/{}/encounters", cases["cases"][0]["case"]);
    let seen = authority.provide(&tracer, "POST", &path, Value::Null).ok();
    let counts: Vec<u64> = seen["encounters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["sightings"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [20_000, 20_000]);
    let body = json!({ "code": codes[0] });
    assert!(authority.operate("POST", "/v1/admin/codes/revoke", body).status < 300);
    authority.tick();
    super::until(|| pieces().all(|(_, body)| body.is_none()));
}

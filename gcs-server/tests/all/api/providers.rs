//! Providers and their codes.

use serde_json::{Value, json};

use crate::common::server::{Server, ago, seed};

#[test]
fn ranges_follow_each_other_and_are_counted() {
    let server = Server::new();
    let (number, token) = server.provider("City");
    let open = |count: Value| {
        let body = json!({ "count": count });
        server.provide(&token, "POST", "/v1/provider/ranges", body)
    };
    let range = open(json!(10_000)).ok();
    assert_eq!((&range["first"], &range["generation"]), (&json!(0), &json!(1)));
    let second = open(json!(1)).ok();
    assert_eq!(second["first"], 10_000);
    for count in [0, 10_001] {
        assert_eq!(open(json!(count)).refused(), (422, "range_count".to_owned()));
    }
    let days = json!({ "count": 1, "valid_days": 401 });
    let answer = server.provide(&token, "POST", "/v1/provider/ranges", days);
    assert_eq!(answer.refused(), (422, "range_days".to_owned()));
    server.set("max_open_codes", json!(10_001));
    assert_eq!(open(json!(1)).refused(), (409, "quota_exceeded".to_owned()));

    let codes = server.provide(&token, "GET", "/v1/provider/ranges/0/codes", Value::Null);
    assert_eq!(codes.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(codes.header("cache-control"), "no-store");
    let text = String::from_utf8(codes.body).unwrap();
    assert_eq!(text.lines().count(), 10_001);
    let csv = server.provide(&token, "GET", "/v1/provider/ranges/0/codes?format=csv", Value::Null);
    let csv = String::from_utf8(csv.body).unwrap();
    assert!(csv.starts_with("code,expires\r\n") || csv.starts_with("code,expires\n"));
    let first = text.lines().nth(1).unwrap();
    assert!(csv.contains(first) && csv.contains("2026-02-19T12:00:00Z"), "{}", &csv[..80]);

    // A spent code is not printed again.
    server.report(first, vec![seed(ago(1), 1)]).ok();
    let again = server.provide(&token, "GET", "/v1/provider/ranges/0/codes", Value::Null);
    assert!(!String::from_utf8(again.body).unwrap().contains(first));
    let list = server.provide(&token, "GET", "/v1/provider/ranges", Value::Null).ok();
    let counts = (&list["ranges"][0]["used"], &list["ranges"][0]["open"]);
    assert_eq!(counts, (&json!(1), &json!(9999)));
    let all = server.operate("GET", "/v1/admin/providers", Value::Null).ok();
    let entry = json!({
        "provider": number, "name": "City", "status": "active", "generation": 1, "serials_left": 1_038_575,
        "open_codes": 10_000, "used_codes": 1,
    });
    assert_eq!(all["providers"], json!([entry]));
}

#[test]
fn a_suspended_provider_does_nothing_and_a_revoked_one_never_again() {
    let server = Server::new();
    let (number, token) = server.provider("City");
    server.codes(&token, 1);
    let act = |act: &str| {
        server.operate("POST", &format!("/v1/admin/providers/{number}/{act}"), Value::Null)
    };
    let inactive = (403, "provider_inactive".to_owned());
    act("suspend").ok();
    let body = json!({ "count": 1 });
    let open = || server.provide(&token, "POST", "/v1/provider/ranges", body.clone());
    assert_eq!(open().refused(), inactive);
    let print = || server.provide(&token, "GET", "/v1/provider/ranges/0/codes", Value::Null);
    assert_eq!(print().refused(), inactive);
    let list = || server.provide(&token, "GET", "/v1/provider/ranges", Value::Null);
    assert_eq!(list().refused(), inactive);
    let close = || server.provide(&token, "POST", "/v1/provider/ranges/0/close", Value::Null);
    assert_eq!(close().refused(), inactive);
    act("resume").ok();
    open().ok();
    assert!(print().status == 200 && list().status == 200);
    assert_eq!(list().ok()["ranges"][0]["closed"], json!(false));
    close();
    assert_eq!(list().ok()["ranges"][0]["closed"], json!(true));
    act("revoke").ok();
    act("revoke").ok();
    for other in ["resume", "suspend", "token", "rotate"] {
        assert_eq!(act(other).refused(), inactive, "{other}");
    }
    assert_eq!(act("explode").refused(), (404, "not_found".to_owned()));
    let unknown = server.operate("POST", "/v1/admin/providers/77/suspend", Value::Null);
    assert_eq!(unknown.refused(), (404, "provider_unknown".to_owned()));
    let none = server.operate("POST", "/v1/admin/providers/x/suspend", Value::Null);
    assert_eq!(none.refused(), (400, "parameter_invalid".to_owned()));
}

#[test]
fn names_are_names() {
    let server = Server::new();
    for name in ["", "  ", "a\nb", &"x".repeat(201)] {
        let answer = server.operate("POST", "/v1/admin/providers", json!({ "name": name }));
        assert_eq!(answer.refused(), (422, "provider_name".to_owned()), "{name:?}");
    }
    server.provider(" Universitätsklinikum ");
    let list = server.operate("GET", "/v1/admin/providers", Value::Null).ok();
    assert_eq!(list["providers"][0]["name"], "Universitätsklinikum");
}

#[test]
fn a_rotated_key_voids_what_was_printed() {
    let server = Server::new();
    let (number, token) = server.provider("City");
    let old = server.codes(&token, 2);
    server.operate("POST", &format!("/v1/admin/providers/{number}/rotate"), Value::Null).ok();
    let refused = server.report(&old[0], vec![seed(ago(1), 1)]).refused();
    assert_eq!(refused, (410, "code_revoked".to_owned()));
    let new = server.codes(&token, 2);
    assert_ne!(old, new);
    server.report(&new[0], vec![seed(ago(1), 1)]).ok();
    let codes = server.provide(&token, "GET", "/v1/provider/ranges/5/codes", Value::Null);
    assert_eq!(codes.refused(), (404, "range_unknown".to_owned()));
}

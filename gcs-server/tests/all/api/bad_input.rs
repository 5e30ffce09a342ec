//! Bad input: a clear refusal, nothing stored by halves, nothing secret repeated.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::common::server::{Server, ago, ask, bearer, seed};

fn post(server: &Server, body: &str) -> (u16, String) {
    ask(server.public, "POST", "/v1/reports", &[], body).refused()
}

#[test]
fn json_of_every_wrong_kind_is_refused_and_not_repeated() {
    let server = Server::new();
    let before = server.status();
    let secret = "SECR-ETSE-CRET-0000";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, code) in [
        ("", "json_invalid"),
        ("{", "json_invalid"),
        ("nul", "json_invalid"),
        ("{\"code\":\"\u{0}\"}", "json_invalid"),
        ("[]", "json_shape"),
        ("7", "json_shape"),
        ("{}", "json_shape"),
        (&format!("{{\"code\":\"{secret}\"}}"), "json_shape"),
        (&format!("{{\"code\":\"{secret}\",\"items\":{{}}}}"), "json_shape"),
        (&format!("{{\"code\":[\"{secret}\"],\"items\":[]}}"), "json_shape"),
        (&format!("{{\"code\":\"{secret}\",\"items\":[],\"{secret}\":1}}"), "json_shape"),
        (&format!("{{\"code\":\"{secret}\",\"code\":\"{secret}\",\"items\":[]}}"), "json_shape"),
        (&format!("{{\"code\":1e999,\"items\":[],\"x\":\"{secret}\"}}"), "json_invalid"),
        (&deep, "json_shape"),
    ] {
        let answer = ask(server.public, "POST", "/v1/reports", &[], body);
        let shown = &body[..body.len().min(60)];
        let (status, got) = answer.refused();
        assert_eq!(status, 400, "{shown}");
        let is_either = got == code || got == "json_invalid" || got == "json_shape";
        assert!(is_either, "{shown}: {got}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("SECR"), "{shown}");
    }
    assert_eq!(post(&server, "{\"code\":\"x\",\"items\":[]}"), (403, "code_invalid".to_owned()));
    assert_eq!(server.status(), before);
    // Among the items, depth is one bad item like any other.
    let (_, token) = server.provider("City");
    let code = server.codes(&token, 1).remove(0);
    let items = format!("{{\"code\":\"{code}\",\"items\":[{deep},{}]}}", seed(ago(1), 1));
    let report = ask(server.public, "POST", "/v1/reports", &[], &items).ok();
    assert_eq!(report["problems"], json!([{ "index": 0, "code": "shape" }]));
}

/// Whatever the route: the path of the member, and nothing that was sent.
#[test]
fn the_member_that_is_wrong_is_named() {
    let server = Server::new();
    let (_, provider) = server.provider("City");
    let mut policy = server.operate("GET", "/v1/admin/policy", Value::Null).ok();
    policy["interval"] = json!("SECRET");
    let select = json!({ "act": "retract", "select": { "provider": "SECRET" } });
    let act = json!({ "act": "SECRET", "select": {}, "position": 1 });
    let element = json!({ "queries": [
        { "date": "2026-01-19", "element": "AAAAAAAAAAAAAAAAAAAAAA==" },
        { "date": "2026-01-19", "element": "SECRET" },
    ]});
    for (public, token, method, path, body, named) in [
        (true, "", "POST", "/v1/reports", json!({ "code": "SECRET" }), "`items` is missing"),
        (
            true,
            "",
            "POST",
            "/v1/reports",
            json!({ "code": 7, "items": [] }),
            "`code` is of another",
        ),
        (
            true,
            "",
            "POST",
            "/v1/reports",
            json!({ "code": "x", "items": "SECRET" }),
            "`items` is of",
        ),
        (
            true,
            "",
            "POST",
            "/v1/reports",
            json!({ "code": "x", "SECRET": 1 }),
            "the body has a member",
        ),
        (false, &*server.backend, "POST", "/v1/exact", element, "`queries[1].element` is of"),
        (
            false,
            &server.backend,
            "POST",
            "/v1/exact",
            json!({ "queries": [{}] }),
            "`queries[0].date` is missing",
        ),
        (
            false,
            &provider,
            "POST",
            "/v1/provider/ranges",
            json!({ "count": "SECRET" }),
            "`count` is of",
        ),
        (false, &provider, "POST", "/v1/provider/ranges", json!(null), "`count` is missing"),
        (
            false,
            &server.operator,
            "POST",
            "/v1/admin/providers",
            json!({ "name": ["SECRET"] }),
            "`name` is of",
        ),
        (
            false,
            &server.operator,
            "POST",
            "/v1/admin/codes/revoke",
            json!({ "codes": "SECRET" }),
            "the body has a member",
        ),
        (false, &server.operator, "PUT", "/v1/admin/policy", policy, "`interval` is of"),
        (
            false,
            &server.operator,
            "POST",
            "/v1/admin/corrections/preview",
            select,
            "`select.provider` is of",
        ),
        (false, &server.operator, "POST", "/v1/admin/corrections", act, "`act` is of"),
    ] {
        let address = if public { server.public } else { server.private };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = ask(address, method, path, &[bearer(token)], &body);
        assert_eq!(answer.refused(), (400, "json_shape".to_owned()), "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(named) && detail.contains(": line 1, column "), "{detail}");
        assert!(!detail.contains("SECRET"), "{detail}");
    }
}

#[test]
fn bodies_that_are_too_large_are_cut_short() {
    let server = Server::new();
    let large = " ".repeat((640 << 10) + 1);
    assert_eq!(post(&server, &large), (413, "too_large".to_owned()));
    let large = json!({ "name": "x".repeat(17_000) });
    let answer = server.operate("POST", "/v1/admin/providers", large);
    assert_eq!(answer.refused(), (413, "too_large".to_owned()));
    let large = " ".repeat(gcs_core::exact::MAX_REQUEST_BYTES + 1);
    let answer = ask(server.private, "POST", "/v1/exact", &[bearer(&server.backend)], &large);
    assert_eq!(answer.refused(), (413, "too_large".to_owned()));
}

/// A body of just the largest size is read, and one of a byte more is not, whether its length is declared or
/// it comes in chunks.
#[test]
fn bodies_are_read_up_to_their_limits() {
    let server = Server::new();
    let (_, provider) = server.provider("City");
    let code = server.codes(&provider, 1).remove(0);
    let report = json!({ "code": code, "items": [seed(ago(2), 1)] });
    let name = json!({ "name": "Clinic" });
    let exact = json!({ "queries": [] });
    let (public, private) = (server.public, server.private);
    let exact_limit = gcs_core::exact::MAX_REQUEST_BYTES;
    let cases = [
        (public, "/v1/reports", "", report, 640 << 10, 201),
        (private, "/v1/admin/providers", server.operator.as_str(), name, 16 << 10, 201),
        (private, "/v1/exact", server.backend.as_str(), exact, exact_limit, 200),
    ];
    for (address, path, token, body, limit, status) in cases {
        for (length, status) in
            [(limit, status), (limit + 1, 413), (10 * limit, 413), (limit, status)]
        {
            let body = body.to_string();
            let body = body.clone() + &" ".repeat(length - body.len());
            for is_chunked in [false, true] {
                let framed = if is_chunked {
                    let chunks = body.as_bytes().chunks(10_000);
                    let chunk = |chunk: &[u8]| {
                        format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap())
                    };
                    let chunks: String = chunks.map(chunk).collect();
                    format!("transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
                } else {
                    format!("content-length: {length}\r\n\r\n{body}")
                };
                let request = format!(
                    "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                     authorization: Bearer {token}\r\n{framed}"
                );
                let answer = speak_to(address, request.as_bytes());
                let got = answer.split(' ').nth(1).unwrap_or_default();
                // Of a body ten times as large the server reads a part only, and then resets the connection.
                let is_lost = got.is_empty() && length > limit + 1;
                let what = format!("{path}, {length} bytes, chunked: {is_chunked}: {answer}");
                assert!(got == status.to_string() || is_lost, "{what}");
            }
        }
    }
}

/// Speaks HTTP by hand and reads whatever comes back.
fn speak(server: &Server, text: &[u8]) -> String {
    speak_to(server.public, text)
}

fn speak_to(address: SocketAddr, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    // The server may hang up before all of it is sent.
    let _sent = stream.write_all(text);
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn slow_and_broken_requests_end() {
    let server = Server::new();
    let slow =
        speak(&server, b"POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("\"timeout\""), "{slow}");
    let mut stream = TcpStream::connect(server.public).unwrap();
    stream
        .write_all(b"POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    drop(stream);
    for bad in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET /v1/manifest\r\n\r\n",
        b"POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/reports HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = speak(&server, bad);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100_000));
    let answer = speak(&server, many.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    server.status();
}

#[test]
fn exact_match_takes_what_the_library_takes() {
    let server = Server::new();
    let ask = |body: Value| server.exact(&body);
    assert_eq!(ask(json!({ "queries": [] })).ok(), json!({ "present": [] }));
    let query = json!({ "date": "2026-01-19", "element": "AAAAAAAAAAAAAAAAAAAAAA==" });
    let most = json!({ "queries": vec![query.clone(); 1000] });
    assert_eq!(ask(most).ok()["present"].as_array().unwrap().len(), 1000);
    for (bad, code) in [
        (json!({ "queries": vec![query; 1001] }), (422, "exact_invalid")),
        (
            json!({ "queries": [{ "date": "2026-01-19", "element": "AAAA" }] }),
            (422, "exact_invalid"),
        ),
        (json!({ "queries": [{ "date": "x", "element": "SECRET" }] }), (400, "json_shape")),
        (json!([]), (400, "json_shape")),
    ] {
        let answer = ask(bad);
        assert_eq!(answer.refused(), (code.0, code.1.to_owned()));
        assert!(!String::from_utf8_lossy(&answer.body).contains("SECRET"));
    }
}

/// Settings of export files, of which some are others.
fn exports(others: Value) -> Value {
    let mut exports =
        json!({ "region": "NL", "interval": 14_400, "key_id": "204", "key_version": "v1" });
    exports.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    exports
}

#[test]
fn policies_out_of_bounds_are_refused_by_name() {
    let server = Server::new();
    let before = server.operate("GET", "/v1/admin/policy", Value::Null).ok();
    for (setting, value, code) in [
        ("retention_days", json!(29), (422, "policy_invalid".to_owned())),
        ("interval", json!(59), (422, "policy_invalid".to_owned())),
        ("interval", json!(86_400), (422, "policy_invalid".to_owned())),
        ("expected_per_date", json!(100_000_001), (422, "policy_invalid".to_owned())),
        ("rate_bits", json!(33), (422, "policy_invalid".to_owned())),
        ("exports", json!(0), (400, "json_shape".to_owned())),
        ("exports", json!({ "region": "NL" }), (400, "json_shape".to_owned())),
        ("exports", exports(json!({ "interval": 3599 })), (422, "policy_invalid".to_owned())),
        ("exports", exports(json!({ "region": "" })), (422, "policy_invalid".to_owned())),
        ("exports", exports(json!({ "key_version": "v-1" })), (422, "policy_invalid".to_owned())),
        ("min_reports", json!(0), (422, "policy_invalid".to_owned())),
        ("min_reports", json!(-1), (400, "json_shape".to_owned())),
        ("minimum", json!(1), (400, "json_shape".to_owned())),
    ] {
        let mut policy = before.clone();
        policy[setting] = value;
        let answer = server.operate("PUT", "/v1/admin/policy", policy);
        assert_eq!(answer.refused(), code, "{setting}");
    }
    // A setting that is left out is not one that is to be changed.
    for setting in before.as_object().unwrap().keys() {
        let mut policy = before.clone();
        policy.as_object_mut().unwrap().remove(setting);
        let answer = server.operate("PUT", "/v1/admin/policy", policy);
        assert_eq!(answer.refused(), (400, "json_shape".to_owned()), "{setting}");
    }
    assert_eq!(server.operate("GET", "/v1/admin/policy", Value::Null).ok(), before);
}

/// What cannot be undone needs a second word.
#[test]
fn dates_are_not_dropped_by_a_slip() {
    let server = Server::new();
    let (_, token) = server.provider("City");
    let code = server.codes(&token, 1).remove(0);
    server.report(&code, vec![seed(ago(5), 1), seed(ago(1), 1)]).ok();
    server.tick();
    let mut policy = server.operate("GET", "/v1/admin/policy", Value::Null).ok();
    policy["retention_days"] = json!(3);
    let dropped = (409, "dates_dropped".to_owned());
    assert_eq!(server.operate("PUT", "/v1/admin/policy", policy.clone()).refused(), dropped);
    policy["retention_days"] = json!(6);
    server.operate("PUT", "/v1/admin/policy", policy.clone()).ok();
    server.tick();
    assert_eq!((server.elements(ago(5)), server.elements(ago(1))), (1, 1));
    server.pass(3 * 86_400);
    let resume = |query: &str| {
        let path = format!("/v1/admin/clock/resume{query}");
        server.operate("POST", &path, Value::Null)
    };
    assert_eq!(resume("").refused(), dropped);
    assert_eq!(resume("?drop_dates=false").refused(), dropped);
    let wrong = resume("?drop_dates=SECRET");
    assert_eq!(wrong.refused(), (400, "parameter_invalid".to_owned()));
    assert!(!String::from_utf8_lossy(&wrong.body).contains("SECRET"));
    resume("?drop_dates=true").ok();
    server.tick();
    assert_eq!((server.elements(ago(5)), server.elements(ago(1))), (0, 1));
    // Nothing to resume: nothing is logged.
    let before = server.status();
    resume("").ok();
    assert_eq!(server.status(), before);
}

#[test]
fn a_clock_that_leaps_stops_what_depends_on_it() {
    let server = Server::new();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 2);
    server.tick();
    server.pass(86_400 + 1);
    let tick = || server.operate("POST", "/v1/admin/tick", Value::Null);
    assert_eq!(tick().refused(), (409, "clock_leap".to_owned()));
    let ready = || ask(server.private, "GET", "/readyz", &[], "");
    let reasons = || {
        assert_eq!(ready().refused(), (503, "not_ready".to_owned()));
        ready().json()["detail"].as_str().unwrap().to_owned()
    };
    let said = reasons();
    assert!(said.contains("86401 seconds after the last tick"), "{said}");
    assert!(said.contains("tick 1, the last one published, is 86401 seconds old"), "{said}");
    let refused = server.report(&codes[0], vec![seed(ago(1), 1)]);
    assert_eq!(refused.refused(), (503, "clock_doubt".to_owned()));
    assert_eq!(refused.header("retry-after"), "10");
    server.operate("POST", "/v1/admin/clock/resume", Value::Null).ok();
    server.report(&codes[0], vec![seed(ago(1), 1)]).ok();
    tick().ok();
    server.home.set(server.home.now() - 10);
    assert_eq!(tick().refused(), (409, "clock_behind".to_owned()));
    let said = reasons();
    assert!(said.contains("10 seconds before the last tick"), "{said}");
    let resume = server.operate("POST", "/v1/admin/clock/resume", Value::Null);
    assert_eq!(resume.refused(), (409, "clock_behind".to_owned()));
    server.pass(10);
    assert_eq!(ready().status, 200);
    tick().ok();
}

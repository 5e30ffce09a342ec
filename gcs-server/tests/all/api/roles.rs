//! Who may do what, and where.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bluetrace::Authority;
use crate::common::server::{Server, ask, bearer};

/// Every path of the private listener that needs a token: method, path, role.
const PROTECTED: [(&str, &str, &str); 30] = [
    ("POST", "/v1/exact", "backend"),
    ("POST", "/v1/provider/ranges", "provider"),
    ("GET", "/v1/provider/ranges", "provider"),
    ("GET", "/v1/provider/ranges/0/codes", "provider"),
    ("POST", "/v1/provider/ranges/0/close", "provider"),
    ("POST", "/v1/admin/providers", "operator"),
    ("GET", "/v1/admin/providers", "operator"),
    ("POST", "/v1/admin/providers/1/token", "operator"),
    ("POST", "/v1/admin/codes/revoke", "operator"),
    ("POST", "/v1/admin/tick", "operator"),
    ("POST", "/v1/admin/clock/resume", "operator"),
    ("POST", "/v1/admin/series", "operator"),
    ("PUT", "/v1/admin/policy", "operator"),
    ("POST", "/v1/admin/token", "operator"),
    ("POST", "/v1/admin/backend-token", "operator"),
    ("GET", "/v1/admin/status", "operator"),
    ("GET", "/v1/admin/digest", "operator"),
    ("GET", "/v1/admin/log", "operator"),
    ("POST", "/v1/admin/corrections/preview", "operator"),
    ("POST", "/v1/admin/corrections", "operator"),
    ("POST", "/bluetrace/v1/admin/tracer-token", "operator"),
    ("POST", "/bluetrace/v1/provider/short-codes", "provider"),
    ("GET", "/bluetrace/v1/tracer/cases", "tracer"),
    ("POST", "/bluetrace/v1/tracer/cases/1/encounters", "tracer"),
    ("GET", "/bluetrace/v1/admin/authorities", "operator"),
    ("PUT", "/bluetrace/v1/admin/authorities/NZ_MOH", "operator"),
    ("DELETE", "/bluetrace/v1/admin/authorities/NZ_MOH", "operator"),
    ("POST", "/bluetrace/v1/tracer/cases/1/follow-ups", "tracer"),
    ("GET", "/bluetrace/v1/tracer/follow-ups", "tracer"),
    ("POST", "/bluetrace/v1/tracer/follow-ups/1/contacts", "tracer"),
];

#[test]
fn wrong_missing_and_other_roles_tokens_are_refused() {
    let server = Authority::new();
    let tracer = server.tracer();
    let (_, provider) = server.provider("City");
    let before = server.status();
    for (method, path, role) in PROTECTED {
        let ask =
            |headers: &[(&str, String)]| ask(server.private, method, path, headers, "{}").refused();
        let unauthorized = (401, "unauthorized".to_owned());
        assert_eq!(ask(&[]), unauthorized, "{path}");
        assert_eq!(ask(&[bearer("")]), unauthorized, "{path}");
        assert_eq!(ask(&[bearer("gcs_operator_x")]), unauthorized, "{path}");
        let basic = ("authorization", format!("Basic {}", server.operator));
        assert_eq!(ask(&[basic]), unauthorized, "{path}");
        for (other, token) in [
            ("operator", &server.operator),
            ("provider", &provider),
            ("backend", &server.backend),
            ("tracer", &tracer),
        ] {
            if other != role {
                assert_eq!(ask(&[bearer(token)]), (403, "forbidden".to_owned()), "{path}");
            }
        }
    }
    assert_eq!(server.status(), before);
}

/// So that no protected path is forgotten above.
#[test]
fn the_list_above_is_whole() {
    let document = serde_json::to_value(gcs_server::http::openapi()).unwrap();
    let mut protected = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(security) = operation.get("security") else { continue };
            let role = security[0].as_object().unwrap().keys().next().unwrap().clone();
            // Their paths are on the public listener.
            if role == "user" {
                continue;
            }
            protected += 1;
            let fits = |entry: &&(&str, &str, &str)| {
                let pattern: Vec<&str> = path.split('/').collect();
                let parts: Vec<&str> = entry.1.split('/').collect();
                let same = |(a, b): (&&str, &&str)| a == b || a.starts_with('{');
                entry.0.eq_ignore_ascii_case(method)
                    && entry.2 == role
                    && pattern.len() == parts.len()
                    && pattern.iter().zip(&parts).all(same)
            };
            // GET and PUT of the policy stand for each other.
            let known = PROTECTED.iter().any(|entry| fits(&entry)) || path == "/v1/admin/policy";
            assert!(known, "{method} {path}");
        }
    }
    assert_eq!(protected, PROTECTED.len() + 1);
}

#[test]
fn the_public_listener_has_only_what_apps_need() {
    let server = Authority::new();
    for (method, path, _) in PROTECTED {
        let answer = ask(server.public, method, path, &[bearer(&server.operator)], "{}");
        assert_eq!(answer.refused(), (404, "not_found".to_owned()), "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).status, 404, "{path}");
        let answer = ask(server.private, "GET", path, &[], "");
        assert_eq!(answer.status, if path == "/readyz" { 503 } else { 200 }, "{path}");
    }
    server.tick();
    assert_eq!(ask(server.private, "GET", "/readyz", &[], "").status, 200);
}

/// What RFC 6750 says to whoever may not.
#[test]
fn the_challenge_says_what_is_wrong_with_the_token() {
    let server = Server::new();
    let challenge = |headers: &[(&str, String)]| {
        let answer = ask(server.private, "GET", "/v1/provider/ranges", headers, "");
        answer.header("www-authenticate")
    };
    assert_eq!(challenge(&[]), "Bearer");
    assert_eq!(challenge(&[bearer("gcs_provider_x")]), "Bearer error=\"invalid_token\"");
    let other = challenge(&[bearer(&server.operator)]);
    assert_eq!(other, "Bearer error=\"insufficient_scope\"");
}

/// The case of the scheme does not matter (RFC 9110, 11.1).
#[test]
fn the_scheme_is_read_in_any_case() {
    let server = Server::new();
    let status = |credentials: String| {
        let headers = [("authorization", credentials)];
        ask(server.private, "GET", "/v1/admin/status", &headers, "").status
    };
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        assert_eq!(status(format!("{scheme} {}", server.operator)), 200, "{scheme}");
    }
    for scheme in ["Bearers", "Basic", "", "Bearer:"] {
        assert_eq!(status(format!("{scheme} {}", server.operator)), 401, "{scheme}");
    }
    assert_eq!(status(server.operator.clone()), 401);
}

#[test]
fn a_replaced_token_is_void() {
    let mut server = Server::new();
    let (number, old) = server.provider("City");
    let path = format!("/v1/admin/providers/{number}/token");
    let new = server.operate("POST", &path, Value::Null).ok();
    let new = new["token"].as_str().unwrap();
    let list = |token: &str| server.provide(token, "GET", "/v1/provider/ranges", Value::Null);
    assert_eq!(list(&old).refused().0, 401);
    assert_eq!(list(new).ok(), json!({ "ranges": [] }));

    let token = server.operate("POST", "/v1/admin/token", Value::Null).ok();
    assert_eq!(server.operate("GET", "/v1/admin/status", Value::Null).status, 401);
    server.api.operator = token["token"].as_str().unwrap().to_owned();
    server.status();
    // It holds after a restart, and was never written down.
    let server = server.restart();
    server.status();
    for name in ["log.sqlite", "log.sqlite-wal", "keys.json"] {
        let Ok(bytes) = std::fs::read(server.home.path(name)) else { continue };
        let secret = &server.operator.as_bytes()[20..];
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
    }
}

/// A request as it is sent: its head and a part of its body now, the rest later.
struct Halved {
    stream: TcpStream,
    rest: String,
}

impl Halved {
    fn begin(server: &Server, token: &str, (method, path): (&str, &str), body: &Value) -> Halved {
        let body = body.to_string();
        let (now, rest) = body.split_at(1);
        let mut stream = TcpStream::connect(server.private).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{now}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        Halved { stream, rest: rest.to_owned() }
    }

    /// The status of the answer.
    fn end(mut self) -> u16 {
        self.stream.write_all(self.rest.as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// The token is looked at when a request begins to arrive. What it asks for is judged when all of it is there.
#[test]
fn a_token_that_is_replaced_while_a_request_arrives_is_void() {
    let server = Server::new();
    let (provider, token) = server.provider("City hospital");
    let select = json!({ "provider": provider });
    let add = json!({ "name": "Intruder" });
    let policy = server.operate("GET", "/v1/admin/policy", Value::Null).ok();
    let open = json!({ "count": 1, "valid_days": 20 });
    let range = ("POST", "/v1/provider/ranges");
    let asked = [
        (("POST", "/v1/admin/providers"), add.clone()),
        (("PUT", "/v1/admin/policy"), policy),
        (
            ("POST", "/v1/admin/corrections"),
            json!({ "act": "retract", "select": select, "position": 1 }),
        ),
        (("POST", "/v1/admin/corrections/preview"), json!({ "act": "retract", "select": select })),
        (("POST", "/v1/admin/codes/revoke"), json!({ "code": "01A0-0Z92-6H3S-GEV5" })),
    ];
    // While the token is right, a request may take its time.
    assert_eq!(Halved::begin(&server, &server.operator, asked[0].0, &add).end(), 201);
    assert_eq!(Halved::begin(&server, &token, range, &open).end(), 201);

    let begin = |(route, body): &(_, Value)| Halved::begin(&server, &server.operator, *route, body);
    let begun: Vec<Halved> = asked.iter().map(begin).collect();
    let of_provider = Halved::begin(&server, &token, range, &open);
    let exact = ("POST", "/v1/exact");
    let backend = server.backend_token();
    let none = json!({ "queries": [] });
    assert_eq!(Halved::begin(&server, &backend, exact, &none).end(), 200);
    let of_backend = Halved::begin(&server, &backend, exact, &none);
    // They have arrived, as far as they go.
    std::thread::sleep(Duration::from_millis(300));
    let path = format!("/v1/admin/providers/{provider}/token");
    server.operate("POST", &path, Value::Null).ok();
    server.backend_token();
    server.operate("POST", "/v1/admin/token", Value::Null).ok();
    for (halved, (route, _)) in begun.into_iter().zip(asked) {
        assert_eq!(halved.end(), 401, "{route:?}");
    }
    assert_eq!(of_provider.end(), 401);
    assert_eq!(of_backend.end(), 401);
}

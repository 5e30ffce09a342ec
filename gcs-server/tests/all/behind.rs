//! A node that has not read yet what another node wrote a moment ago.

#![cfg(unix)]

use serde_json::{Value, json};

use crate::common::api::{Api, ask, bearer, seed};
use crate::common::authority::{Authority, day};
use crate::common::postgres::{Postgres, postgres};
use crate::common::process::until_ticked;

/// Looks of a node at the log are a second apart: of so many rounds most fall between two.
const ROUNDS: u8 = 12;

/// The answer to a request without a body, with a token.
fn asked(node: &Api, token: &str, method: &str, path: &str) -> u16 {
    ask(node.private, method, path, &[bearer(token)], "").status
}

/// A new token of provider 1.
fn new_token(node: &Api) -> String {
    let set = node.operate("POST", "/v1/admin/providers/1/token", Value::Null).ok();
    set["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_that_was_replaced_is_void_at_every_node_at_once() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, mut provider) = a.provider("City hospital");
    a.codes(&provider, 3);
    let b = authority.join("b", &a);
    b.until_ready();
    for _ in 0..ROUNDS {
        let replaced = std::mem::replace(&mut provider, new_token(&a));
        for path in ["/v1/provider/ranges/0/codes", "/v1/provider/ranges"] {
            assert_eq!(asked(&b, &replaced, "GET", path), 401);
            assert_eq!(asked(&b, &provider, "GET", path), 200);
        }
        let range = json!({ "count": 1, "valid_days": 20 });
        let acted = b.provide(&replaced, "POST", "/v1/provider/ranges", range);
        assert_eq!(acted.refused(), (401, "unauthorized".to_owned()));
    }
    let (mut a, mut b) = (a, b);
    for _ in 0..ROUNDS {
        let made = a.operate("POST", "/v1/admin/token", Value::Null).ok();
        let (replaced, token) = (a.operator.clone(), made["token"].as_str().unwrap().to_owned());
        a = a.with_tokens(&token, "");
        let backend = a.backend_token();
        b = b.with_tokens(&token, &backend);
        let key = "/v1/admin/providers/1/key";
        assert_eq!(asked(&b, &replaced, "POST", key), 401);
        assert_eq!(asked(&b, &replaced, "GET", "/v1/admin/status"), 401);
        assert_eq!(asked(&b, &token, "POST", key), 200);
        assert_eq!(b.exact(&json!({ "queries": [] })).status, 200);
    }
}

#[test]
fn without_its_log_a_node_shows_no_secret() {
    let Some(server) = Postgres::start_one() else { return };
    let authority = Authority::new(&server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    a.codes(&provider, 3);
    server.kill();
    for (token, method, path) in [
        (&provider, "GET", "/v1/provider/ranges/0/codes"),
        (&provider, "GET", "/v1/provider/ranges"),
        (&a.operator, "POST", "/v1/admin/providers/1/key"),
        (&a.operator, "GET", "/v1/admin/log"),
        (&a.operator, "POST", "/v1/admin/token"),
    ] {
        let answer = ask(a.private, method, path, &[bearer(token)], "");
        assert_eq!(answer.refused(), (503, "storage_unavailable".to_owned()), "{path}");
        assert_eq!(answer.header("retry-after"), "10");
    }
    // What is no secret, and what is public.
    for path in ["status", "digest", "policy", "providers"] {
        assert_eq!(asked(&a, &a.operator, "GET", &format!("/v1/admin/{path}")), 200, "{path}");
        assert_eq!(asked(&a, &provider, "GET", &format!("/v1/admin/{path}")), 403, "{path}");
    }
    assert_eq!(a.get("/v1/manifest").status, 200);
    // Nobody can know whether another node has this report.
    let unknown = a.get(&format!("/v1/reports/{}", "0".repeat(32)));
    assert_eq!(unknown.refused(), (503, "storage_unavailable".to_owned()));
    let _server = server.again();
    a.until_ready();
    assert_eq!(asked(&a, &provider, "GET", "/v1/provider/ranges/0/codes"), 200);
}

#[test]
fn a_report_that_another_node_accepted_is_known_at_once() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, ROUNDS.into());
    let b = authority.join("b", &a);
    b.until_ready();
    for (number, code) in (1..).zip(&codes) {
        let answer = a.report(code, vec![seed(day(), number)]).ok();
        let status = b.get(&format!("/v1/reports/{}", answer["tracking_id"].as_str().unwrap()));
        assert!(["held", "published"].contains(&status.ok()["status"].as_str().unwrap()));
    }
    let unknown = b.get(&format!("/v1/reports/{}", "0".repeat(32)));
    assert_eq!(unknown.refused(), (404, "report_unknown".to_owned()));
}

//! A server over HTTP, whichever way it was started: what phones, providers and the operator ask.

#![allow(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]

use std::net::SocketAddr;

use data_encoding::BASE64;
use gcs_core::Date;
use gcs_core::identifiers::dp3t;
use serde_json::{Value, json};
use ureq::http::{HeaderMap, Method, Request};

use super::wait::{self, until, until_some};

/// Where a server listens, and the tokens of its deployment.
#[derive(Clone, Debug)]
pub struct Api {
    pub public: SocketAddr,
    pub private: SocketAddr,
    pub operator: String,
    /// Empty until one is made.
    pub backend: String,
}

impl Api {
    pub fn public_url(&self) -> String {
        format!("http://{}", self.public)
    }

    pub fn private_url(&self) -> String {
        format!("http://{}", self.private)
    }

    /// A request to the private listener with the operator's token.
    pub fn operate(&self, method: &str, path: &str, body: Value) -> Answer {
        ask(self.private, method, path, &[bearer(&self.operator)], &text(&body))
    }

    /// A request to the private listener with a provider's token.
    pub fn provide(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        ask(self.private, method, path, &[bearer(token)], &text(&body))
    }

    /// A request to the public listener.
    pub fn get(&self, path: &str) -> Answer {
        ask(self.public, "GET", path, &[], "")
    }

    pub fn report(&self, code: &str, items: Vec<Value>) -> Answer {
        let body = json!({ "code": code, "items": items });
        ask(self.public, "POST", "/v1/reports", &[], &body.to_string())
    }

    /// A tick by hand, once the one is published that may just have come by itself.
    #[track_caller]
    pub fn tick(&self) -> Value {
        until_some("a tick is not pending", || {
            let answer = self.operate("POST", "/v1/admin/tick", Value::Null);
            (answer.json()["code"] != "tick_pending").then(|| answer.ok())
        })
    }

    pub fn status(&self) -> Value {
        self.operate("GET", "/v1/admin/status", Value::Null).ok()
    }

    /// Changes one setting.
    pub fn policy(&self) -> Value {
        self.operate("GET", "/v1/admin/policy", Value::Null).ok()
    }

    pub fn set(&self, setting: &str, value: Value) {
        let mut policy = self.operate("GET", "/v1/admin/policy", Value::Null).ok();
        policy[setting] = value;
        self.operate("PUT", "/v1/admin/policy", policy).ok();
    }

    /// A new backend's token.
    pub fn backend_token(&self) -> String {
        let made = self.operate("POST", "/v1/admin/backend-token", Value::Null).ok();
        made["token"].as_str().unwrap().to_owned()
    }

    /// A new provider's number and token.
    pub fn provider(&self, name: &str) -> (u64, String) {
        let added = self.operate("POST", "/v1/admin/providers", json!({ "name": name })).ok();
        (added["provider"].as_u64().unwrap(), added["token"].as_str().unwrap().to_owned())
    }

    /// Codes of a new range.
    pub fn codes(&self, token: &str, count: u32) -> Vec<String> {
        let body = json!({ "count": count, "valid_days": 20 });
        let range = self.provide(token, "POST", "/v1/provider/ranges", body).ok();
        let path = format!("/v1/provider/ranges/{}/codes?format=json", range["first"]);
        let sheet = self.provide(token, "GET", &path, Value::Null).ok();
        let codes = sheet["codes"].as_array().unwrap().iter();
        codes.map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    /// How many elements are published for a date.
    pub fn elements(&self, date: Date) -> u64 {
        let status = self.status();
        let dates = status["dates"].as_array().unwrap();
        let entry = dates.iter().find(|entry| entry["date"] == date.to_string());
        entry.map_or(0, |entry| entry["elements"].as_u64().unwrap())
    }

    pub fn exact(&self, body: &Value) -> Answer {
        ask(self.private, "POST", "/v1/exact", &[bearer(&self.backend)], &body.to_string())
    }

    /// Whether the elements of seeds are published, by exact match.
    pub fn present(&self, seeds: &[(Date, u8)]) -> Vec<bool> {
        let query = |(date, seed): &(Date, u8)| {
            let seed = [*seed; 32];
            let element = dp3t::unlinkable_element(&seed, epoch_of(*date, &seed));
            json!({ "date": date, "element": BASE64.encode(&element) })
        };
        let queries: Vec<Value> = seeds.iter().map(query).collect();
        let answer = self.exact(&json!({ "queries": queries })).ok();
        let present = answer["present"].as_array().unwrap().iter();
        present.map(|present| present.as_bool().unwrap()).collect()
    }

    /// Waits for the first tick, which comes by itself where the clock is the system's.
    #[track_caller]
    pub fn until_ready(&self) {
        until("/readyz is 200", || ask(self.private, "GET", "/readyz", &[], "").status == 200);
    }
}

/// A phone has one seed in an epoch: the first byte of the seed says in which of the date's.
pub fn epoch_of(date: Date, seed: &[u8; 32]) -> u32 {
    dp3t::epoch_of(date.start()).unwrap() + u32::from(seed[0]) % dp3t::EPOCHS_A_DAY
}

/// A seed of a date: 32 times the same byte.
pub fn seed(date: Date, byte: u8) -> Value {
    seed_of(date, &[byte; 32])
}

pub fn seed_of(date: Date, seed: &[u8; 32]) -> Value {
    json!({
        "kind": "dp3t-unlinkable",
        "epoch": epoch_of(date, seed),
        "seed": BASE64.encode(seed),
    })
}

pub fn raw(date: Date, length: usize) -> Value {
    json!({ "kind": "raw", "date": date, "element": BASE64.encode(&vec![9; length]) })
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

pub fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert!((200..300).contains(&self.status), "{}: {text}", self.status);
        self.json()
    }

    /// Status and code of a problem, which must be whole.
    #[track_caller]
    pub fn refused(&self) -> (u16, String) {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status >= 400, "{}: {text}", self.status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert!(problem["retry"].is_boolean());
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }
}

/// Any request, on a connection of its own.
pub fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Answer {
    try_ask(&agent(), address, method, path, headers, body).unwrap()
}

/// Any request, on the connections of an agent; there is no answer if the server is gone.
pub fn try_ask(
    agent: &ureq::Agent,
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Result<Answer, ureq::Error> {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut answer = agent.run(request.body(body.as_bytes().to_vec()).unwrap())?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
    Ok(Answer { status, headers, body })
}

/// Connections to a server, which answers in the end.
pub fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let config = config.timeout_global(Some(wait::PATIENCE));
    config.allow_non_standard_methods(true).build().into()
}

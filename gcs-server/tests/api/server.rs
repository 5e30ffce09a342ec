//! A server of one's own, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use data_encoding::BASE64;
use gcs_core::Date;
use gcs_core::identifiers::dp3t;
use gcs_server::app::App;
use gcs_server::app::config::{Config, LogFormat};
use gcs_server::clock::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::http::{HeaderMap, Method, Request};

/// The server's time at first: noon of a day.
pub(crate) fn noon() -> u64 {
    today().start() + 43_200
}

pub(crate) fn today() -> Date {
    "2026-01-20".parse().unwrap()
}

/// The date `days` before today.
pub(crate) fn ago(days: u32) -> Date {
    Date::from_days(today().days() - days).unwrap()
}

/// A running server.
pub(crate) struct Server {
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
    pub(crate) operator: String,
    pub(crate) backend: String,
    pub(crate) clock: Arc<AtomicU64>,
    folder: Arc<TempDir>,
    handles: [ServerHandle; 2],
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A new deployment.
    pub(crate) fn new() -> Server {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut server = Server::start(folder, Arc::new(AtomicU64::new(noon())), String::new());
        let token = server.operate("POST", "/v1/admin/backend-token", Value::Null).ok();
        server.backend = token["token"].as_str().unwrap().to_owned();
        server
    }

    fn start(folder: Arc<TempDir>, clock: Arc<AtomicU64>, operator: String) -> Server {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let config = Config {
            data_dir: folder.path().join("data"),
            key_file: folder.path().join("data/keys.json"),
            public_listen: any,
            private_listen: any,
            log_format: LogFormat::Text,
            body_seconds: 1,
            clock_file: None,
        };
        let (started, start) = mpsc::channel();
        let time = Clock::Manual(Arc::clone(&clock));
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app =
                    App::build(&config, time, gcs_server::random::Random::System).await.unwrap();
                let token = app.new_deployment().map(|new| new.token.to_string());
                let told = (app.public(), app.private(), app.handles(), token);
                started.send(told).unwrap();
                app.run().await.unwrap();
            });
        });
        let (public, private, handles, token) = start.recv().unwrap();
        let operator = token.unwrap_or(operator);
        let (backend, thread) = (String::new(), Some(thread));
        Server { public, private, operator, backend, clock, folder, handles, thread }
    }

    /// Stops and starts again on the same folder.
    pub(crate) fn restart(mut self) -> Server {
        self.stop();
        let (folder, clock) = (Arc::clone(&self.folder), Arc::clone(&self.clock));
        let mut started = Server::start(folder, clock, self.operator.clone());
        started.backend.clone_from(&self.backend);
        started
    }

    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let handles = self.handles.clone();
        let stop = async move {
            for handle in handles {
                handle.stop(false).await;
            }
        };
        actix_web::rt::System::new().block_on(stop);
        thread.join().unwrap();
    }

    /// The data folder.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A request to the private listener with the operator's token.
    pub(crate) fn operate(&self, method: &str, path: &str, body: Value) -> Answer {
        ask(self.private, method, path, &[bearer(&self.operator)], &text(&body))
    }

    /// A request to the private listener with a provider's token.
    pub(crate) fn provide(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        ask(self.private, method, path, &[bearer(token)], &text(&body))
    }

    /// A request to the public listener.
    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.public, "GET", path, &[], "")
    }

    pub(crate) fn report(&self, code: &str, items: Vec<Value>) -> Answer {
        let body = json!({ "code": code, "items": items });
        ask(self.public, "POST", "/v1/reports", &[], &body.to_string())
    }

    pub(crate) fn tick(&self) -> Value {
        self.operate("POST", "/v1/admin/tick", Value::Null).ok()
    }

    pub(crate) fn status(&self) -> Value {
        self.operate("GET", "/v1/admin/status", Value::Null).ok()
    }

    /// Changes one setting.
    pub(crate) fn set(&self, setting: &str, value: Value) {
        let mut policy = self.operate("GET", "/v1/admin/policy", Value::Null).ok();
        policy[setting] = value;
        self.operate("PUT", "/v1/admin/policy", policy).ok();
    }

    /// A new provider's token.
    pub(crate) fn provider(&self, name: &str) -> (u64, String) {
        let added = self.operate("POST", "/v1/admin/providers", json!({ "name": name })).ok();
        (added["provider"].as_u64().unwrap(), added["token"].as_str().unwrap().to_owned())
    }

    /// Codes of a new range.
    pub(crate) fn codes(&self, token: &str, count: u32) -> Vec<String> {
        let body = json!({ "count": count, "valid_days": 20 });
        let range = self.provide(token, "POST", "/v1/provider/ranges", body).ok();
        let path = format!("/v1/provider/ranges/{}/codes?format=json", range["first"]);
        let sheet = self.provide(token, "GET", &path, Value::Null).ok();
        let codes = sheet["codes"].as_array().unwrap().iter();
        codes.map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    /// How many elements are published for a date.
    pub(crate) fn elements(&self, date: Date) -> u64 {
        let status = self.status();
        let dates = status["dates"].as_array().unwrap();
        let entry = dates.iter().find(|entry| entry["date"] == date.to_string());
        entry.map_or(0, |entry| entry["elements"].as_u64().unwrap())
    }

    pub(crate) fn exact(&self, body: &Value) -> Answer {
        ask(self.private, "POST", "/v1/exact", &[bearer(&self.backend)], &body.to_string())
    }

    /// Whether the elements of seeds are published, by exact match.
    pub(crate) fn present(&self, seeds: &[(Date, u8)]) -> Vec<bool> {
        let query = |(date, seed): &(Date, u8)| {
            let element = dp3t::unlinkable_element(&[*seed; 32], first_epoch(*date));
            json!({ "date": date, "element": BASE64.encode(&element) })
        };
        let queries: Vec<Value> = seeds.iter().map(query).collect();
        let answer = self.exact(&json!({ "queries": queries })).ok();
        let present = answer["present"].as_array().unwrap().iter();
        present.map(|present| present.as_bool().unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

pub(crate) fn first_epoch(date: Date) -> u32 {
    dp3t::epoch_of(date.start()).unwrap()
}

/// A seed of a date's first series: 32 times the same byte.
pub(crate) fn seed(date: Date, byte: u8) -> Value {
    json!({
        "kind": "dp3t-unlinkable",
        "epoch": first_epoch(date),
        "seed": BASE64.encode(&[byte; 32]),
    })
}

pub(crate) fn raw(date: Date, length: usize) -> Value {
    json!({ "kind": "raw", "date": date, "element": BASE64.encode(&vec![9; length]) })
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

pub(crate) fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert!((200..300).contains(&self.status), "{}: {text}", self.status);
        self.json()
    }

    /// Status and code of a refusal, which must be a whole problem.
    #[track_caller]
    pub(crate) fn refused(&self) -> (u16, String) {
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

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }
}

/// Any request.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Answer {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.allow_non_standard_methods(true).build().into();
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut answer = agent.run(request.body(body.as_bytes().to_vec()).unwrap()).unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
    Answer { status, headers, body }
}

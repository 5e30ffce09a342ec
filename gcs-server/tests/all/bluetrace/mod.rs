//! BlueTrace over HTTP, on the real server.

mod commands;
mod federation;
mod nodes;
mod off;
mod processes;
mod publishing;
mod purging;
mod retention;
mod temp_ids;
mod tracers;
mod uploads;
mod users;

use std::sync::Arc;

use data_encoding::BASE64;
use gcs_server::app::config::Config;
use gcs_server::domain::chain::EventHeader;
use serde_json::{Value, json};

use crate::common::api::Answer;
use crate::common::home::Home;
use crate::common::server::{Server, ask, bearer, noon};

/// A server with BlueTrace, whose passwords come to a file.
pub struct Authority(pub Server);

impl std::ops::Deref for Authority {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// An authority whose server does not run.
pub struct Stopped {
    pub home: Arc<Home>,
    pub operator: String,
    pub config: Config,
}

impl Stopped {
    pub fn start(self) -> Authority {
        Authority(Server::start_with(self.home, &self.operator, self.config))
    }
}

/// A user's phone.
#[derive(Clone, Debug)]
pub struct Phone {
    pub id: String,
    pub token: String,
}

pub fn settings(home: &Home) -> Config {
    Config {
        bluetrace: Some("SG_OTC".into()),
        bluetrace_sender: format!("file:{}", passwords(home).display()).parse().ok(),
        ..home.config()
    }
}

fn passwords(home: &Home) -> std::path::PathBuf {
    // Beside the data folder, whose files tests compare.
    home.folder.path().with_extension("passwords")
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(passwords(&self.home));
    }
}

impl Authority {
    pub fn new() -> Authority {
        Authority::named("SG_OTC", 1)
    }

    /// One with another HAI, and other keys for each seed.
    pub fn named(hai: &str, seed: u64) -> Authority {
        let home = Arc::new(Home::seeded(seed, noon()));
        let config = Config { bluetrace: Some(hai.into()), ..settings(&home) };
        let mut server = Server::start_with(home, "", config);
        server.api.backend = server.backend_token();
        Authority(server)
    }

    /// The same data folder with another server.
    pub fn restart(self) -> Authority {
        self.stop().start()
    }

    /// Stops, to be started again with the same addresses.
    pub fn stop(self) -> Stopped {
        let (public_listen, private_listen) = (self.public, self.private);
        let config = Config { public_listen, private_listen, ..self.config().clone() };
        let stopped =
            Stopped { home: Arc::clone(&self.home), operator: self.operator.clone(), config };
        drop(self);
        stopped
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        ask(self.public, "POST", path, &[], &body.to_string())
    }

    pub fn of(&self, phone: &Phone, method: &str, path: &str, body: &str) -> Answer {
        ask(self.public, method, path, &[bearer(&phone.token)], body)
    }

    /// A call as OpenTrace's apps make it.
    pub fn call(&self, phone: &Phone, name: &str, data: Value) -> Answer {
        let path = format!("/bluetrace/callable/{name}");
        self.of(phone, "POST", &path, &json!({ "data": data }).to_string())
    }

    pub fn challenge(&self, number: &str) -> Answer {
        self.post("/bluetrace/v1/passwords", &json!({ "number": number }))
    }

    /// The last password that was sent to a number.
    pub fn password(&self, number: &str) -> String {
        let sent = std::fs::read_to_string(passwords(&self.home)).unwrap();
        let sent = sent.lines().rev().find_map(|line| line.strip_prefix(number)?.strip_prefix(' '));
        sent.unwrap().to_owned()
    }

    pub fn confirm(&self, number: &str, challenge: &str, password: &str) -> Answer {
        let body = json!({ "number": number, "challenge": challenge, "password": password });
        self.post("/bluetrace/v1/users", &body)
    }

    pub fn register(&self, number: &str) -> Phone {
        let challenge = self.challenge(number).ok()["challenge"].as_str().unwrap().to_owned();
        let made = self.confirm(number, &challenge, &self.password(number)).ok();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Phone { id: text("user_id"), token: text("token") }
    }

    /// Phones with numbers of their own.
    pub fn phones<const N: usize>(&self) -> [Phone; N] {
        std::array::from_fn(|at| self.register(&format!("+659123{at:04}")))
    }

    /// The TempID that a phone broadcasts now.
    pub fn heard(&self, phone: &Phone) -> String {
        let ids = self.of(phone, "GET", "/bluetrace/v1/temp-ids", "").ok();
        ids["tempIDs"][0]["tempID"].as_str().unwrap().to_owned()
    }

    /// The codes of a new provider.
    pub fn upload_codes(&self, count: u32) -> (String, Vec<String>) {
        let (_, token) = self.provider("a clinic");
        let codes = self.codes(&token, count);
        (token, codes)
    }

    pub fn upload_token(&self, phone: &Phone, code: &str) -> Answer {
        let body = json!({ "code": code }).to_string();
        self.of(phone, "POST", "/bluetrace/v1/upload-tokens", &body)
    }

    pub fn tracer(&self) -> String {
        let made = self.operate("POST", "/bluetrace/v1/admin/tracer-token", Value::Null).ok();
        made["token"].as_str().unwrap().to_owned()
    }

    pub fn upload(&self, phone: &Phone, token: &str, records: &Value) -> Answer {
        let body = json!({ "token": token, "records": records, "events": [] }).to_string();
        self.of(phone, "POST", "/bluetrace/v1/uploads", &body)
    }

    /// Ticks a day apart.
    pub fn days(&self, days: u32) {
        for _ in 0..days {
            self.pass(86_400);
            self.tick();
        }
    }

    /// Every event of the log: its kind, and its body if it has one.
    pub fn events(&self) -> Vec<(u16, Option<Vec<u8>>)> {
        let mut events = Vec::new();
        loop {
            let path = format!("/v1/admin/log?from={}", events.len() + 1);
            let page = self.operate("GET", &path, Value::Null).ok();
            let batches = page["batches"].as_array().unwrap();
            if batches.is_empty() {
                return events;
            }
            for event in batches.iter().flat_map(|batch| batch["events"].as_array().unwrap()) {
                let bytes = |text: &str| BASE64.decode(text.as_bytes()).unwrap();
                let header = EventHeader::from_bytes(&bytes(event["header"].as_str().unwrap()));
                events.push((header.unwrap().kind, event["body"].as_str().map(bytes)));
            }
        }
    }

    /// Whether any file of the data folder has these bytes.
    pub fn is_on_disk(&self, bytes: &[u8]) -> bool {
        let has = |file: &Vec<u8>| file.windows(bytes.len()).any(|window| window == bytes);
        self.home.contents().values().any(has)
    }
}

/// Waits for what is done beside requests.
#[track_caller]
pub fn until(is_done: impl FnMut() -> bool) {
    crate::common::wait::until("what is done beside requests", is_done);
}

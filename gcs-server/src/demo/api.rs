//! JSON over HTTP.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, Error};

use super::Checked;

/// Longest body that is read whole.
const MOST: u64 = 64 << 20;

/// One of the server's two addresses, and a token if it takes one.
///
/// Each thread needs its own, so that each has its own connection, which is kept alive.
#[derive(Clone)]
pub(super) struct Api {
    agent: Agent,
    address: String,
    token: Option<String>,
}

/// A status and a body.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) json: Value,
}

/// An agent to which statuses are answers, not errors.
pub(super) fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // The server is on this machine, whatever the environment says about proxies.
        .proxy(None)
        // The server closes idle connections after five seconds.
        .max_idle_age(Duration::from_secs(3))
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.into()
}

impl Api {
    pub(super) fn new(address: &str, token: Option<&str>) -> Api {
        Api { agent: agent(), address: address.to_owned(), token: token.map(str::to_owned) }
    }

    /// The same with a connection of its own.
    pub(super) fn apart(&self) -> Api {
        Api { agent: agent(), ..self.clone() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.as_deref().unwrap_or_default())
    }

    pub(super) fn get(&self, path: &str) -> Checked<Reply> {
        let request = self.agent.get(self.url(path));
        reply(request.header("Authorization", self.bearer()).call()?)
    }

    pub(super) fn text(&self, path: &str) -> Checked<String> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.bearer());
        let mut response = request.header("Accept", "text/plain").call()?;
        let text = response.body_mut().with_config().limit(MOST).read_to_string()?;
        match response.status().as_u16() {
            200 => Ok(text),
            status => Err(format!("GET {path}: {status} {text}").into()),
        }
    }

    pub(super) fn post(&self, path: &str, json: &impl Serialize) -> Checked<Reply> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.bearer());
        reply(request.send_json(json)?)
    }

    pub(super) fn put(&self, path: &str, json: &impl Serialize) -> Checked<Reply> {
        let request = self.agent.put(self.url(path)).header("Authorization", self.bearer());
        reply(request.send_json(json)?)
    }

    /// Sends a body that is JSON already. An error means that nobody answered: whether the
    /// server has acted is not known then.
    pub(super) fn post_bytes(&self, path: &str, body: &[u8]) -> Result<Reply, Error> {
        let request = self.agent.post(self.url(path)).content_type("application/json");
        read(request.send(body)?)
    }
}

fn reply(response: Response<Body>) -> Checked<Reply> {
    Ok(read(response)?)
}

fn read(mut response: Response<Body>) -> Result<Reply, Error> {
    let status = response.status().as_u16();
    let bytes = response.body_mut().with_config().limit(MOST).read_to_vec()?;
    // What is no JSON is shown as text when the status is not as it should be.
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    let json = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
    Ok(Reply { status, json })
}

impl Reply {
    /// The body, if the status is this one.
    pub(super) fn expect(self, status: u16) -> Checked<Value> {
        if self.status == status {
            return Ok(self.json);
        }
        Err(format!("expected HTTP status {status}, got {}: {}", self.status, self.json).into())
    }

    /// Fails unless the request was refused with this code.
    pub(super) fn refused(self, code: &str) -> Checked<()> {
        if self.status >= 400 && self.json["code"] == code {
            return Ok(());
        }
        Err(format!("expected a refusal {code}, got {}: {}", self.status, self.json).into())
    }
}

/// A number of an answer.
pub(super) fn number(json: &Value, field: &str) -> Checked<u64> {
    json[field].as_u64().ok_or_else(|| format!("no number {field} in {json}").into())
}

/// A text of an answer.
pub(super) fn text(json: &Value, field: &str) -> Checked<String> {
    let text = json[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("no text {field} in {json}").into())
}

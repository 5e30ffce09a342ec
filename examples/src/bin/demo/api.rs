//! JSON over HTTP.

use gcs_examples::{Checked, http};
use serde::Serialize;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, Error};

/// Longest body that is read, in bytes.
const MOST: u64 = 64 << 20;

/// One of the server's two addresses, and a token if it takes one.
///
/// Each thread needs an `Api` of its own, so that each has its own connection, which is kept alive.
#[derive(Clone)]
pub(crate) struct Api {
    agent: Agent,
    address: String,
    token: Option<String>,
}

/// A status and a body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) json: Value,
}

impl Api {
    pub(crate) fn new(address: &str, token: Option<&str>) -> Api {
        Api {
            agent: http::agent(None),
            address: address.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    /// The same address and token, with a connection of its own.
    pub(crate) fn apart(&self) -> Api {
        Api { agent: http::agent(None), ..self.clone() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.as_deref().unwrap_or_default())
    }

    pub(crate) fn get(&self, path: &str) -> Checked<Reply> {
        let request = self.agent.get(self.url(path));
        reply(request.header("Authorization", self.bearer()).call()?)
    }

    pub(crate) fn text(&self, path: &str) -> Checked<String> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.bearer());
        let mut response = request.header("Accept", "text/plain").call()?;
        let text = response.body_mut().with_config().limit(MOST).read_to_string()?;
        match response.status().as_u16() {
            200 => Ok(text),
            status => Err(format!("GET {path}: {status} {text}").into()),
        }
    }

    /// Asks for a part, and gives the status and the number of bytes that came.
    pub(crate) fn part(&self, path: &str, range: &str) -> Checked<(u16, usize)> {
        let mut response = self.agent.get(self.url(path)).header("Range", range).call()?;
        let bytes = response.body_mut().with_config().limit(MOST).read_to_vec()?;
        Ok((response.status().as_u16(), bytes.len()))
    }

    pub(crate) fn post(&self, path: &str, json: &impl Serialize) -> Checked<Reply> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.bearer());
        reply(request.send_json(json)?)
    }

    pub(crate) fn put(&self, path: &str, json: &impl Serialize) -> Checked<Reply> {
        let request = self.agent.put(self.url(path)).header("Authorization", self.bearer());
        reply(request.send_json(json)?)
    }

    /// Sends a body that is JSON already. An error means that there was no answer: it is not
    /// known then whether the server has acted.
    pub(crate) fn post_bytes(&self, path: &str, body: &[u8]) -> Result<Reply, Error> {
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
    // A body that is not JSON is kept as text, to be shown when the status is not the expected one.
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    let json = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
    Ok(Reply { status, json })
}

impl Reply {
    /// The body, if the status is this one.
    pub(crate) fn expect(self, status: u16) -> Checked<Value> {
        if self.status == status {
            return Ok(self.json);
        }
        Err(format!("expected HTTP status {status}, got {}: {}", self.status, self.json).into())
    }

    /// Fails unless the answer is the problem with this code.
    pub(crate) fn expect_problem(self, code: &str) -> Checked<()> {
        if self.status >= 400 && self.json["code"] == code {
            return Ok(());
        }
        Err(format!("expected the problem {code}, got {}: {}", self.status, self.json).into())
    }
}

/// A field of an answer that is a number.
pub(crate) fn number(json: &Value, field: &str) -> Checked<u64> {
    json[field].as_u64().ok_or_else(|| format!("no number {field} in {json}").into())
}

/// A field of an answer that is a text.
pub(crate) fn text(json: &Value, field: &str) -> Checked<String> {
    let text = json[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("no text {field} in {json}").into())
}

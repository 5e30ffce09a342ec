//! The driver of a phone: HTTP for the server's files, a map for its own.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use gcs_core::sync::{Answer, ClientSettings, Outcome, Session, Step, Wake};

use super::api;

/// What was fetched, by kind of file, in bytes of bodies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) requests: u64,
    pub(super) manifests: u64,
    /// Bundles and the indexes that list them.
    pub(super) bundles: u64,
    pub(super) sets: u64,
    pub(super) confirmations: u64,
}

impl Traffic {
    pub(super) fn total(&self) -> u64 {
        self.manifests + self.bundles + self.sets + self.confirmations
    }

    fn count(&mut self, path: &str, bytes: u64) {
        self.requests += 1;
        *(match path.split('/').nth(2) {
            Some("sets") => &mut self.sets,
            Some("checks") => &mut self.confirmations,
            Some("bundles" | "index") => &mut self.bundles,
            _ => &mut self.manifests,
        }) += bytes;
    }
}

/// Everything that a phone keeps from one wake to the next, and where it fetches from.
pub(super) struct Client {
    agent: ureq::Agent,
    server: String,
    settings: ClientSettings,
    pub(super) own: BTreeMap<String, Vec<u8>>,
    pub(super) traffic: Traffic,
}

impl Client {
    pub(super) fn new(server: &str, settings: ClientSettings) -> Client {
        let (agent, server) = (api::agent(), server.to_owned());
        Client { agent, server, settings, own: BTreeMap::new(), traffic: Traffic::default() }
    }

    /// One wake, from beginning to end.
    pub(super) fn wake(&mut self, wake: Wake) -> Outcome {
        let mut session = Session::new(&self.settings, wake);
        let mut answer = Answer::Start;
        loop {
            answer = match session.resume(answer) {
                Step::Fetch { path, byte_range, limit } => {
                    let range = byte_range.map(|part| (part.start, part.end - part.start));
                    self.fetch(&path, range, limit)
                }
                Step::Get { name } => {
                    self.own.get(&name).cloned().map_or(Answer::Missing, Answer::Bytes)
                }
                Step::Put { name, bytes } => {
                    self.own.insert(name, bytes);
                    Answer::Done
                }
                Step::Delete { name } => {
                    self.own.remove(&name);
                    Answer::Done
                }
                Step::Done(outcome) => return *outcome,
            };
        }
    }

    fn fetch(&mut self, path: &str, range: Option<(u64, u64)>, limit: u64) -> Answer {
        match self.get(path, range, limit) {
            Ok(Some(bytes)) => {
                self.traffic.count(path, bytes.len() as u64);
                Answer::Bytes(bytes)
            }
            Ok(None) => Answer::Missing,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    fn get(
        &self,
        path: &str,
        range: Option<(u64, u64)>,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut request = self.agent.get(format!("{}{path}", self.server));
        if let Some((from, length)) = range {
            request = request.header("Range", format!("bytes={from}-{}", from + length - 1));
        }
        let response = request.call().map_err(io::Error::other)?;
        // Our own server knows ranges: whatever else it says is a fault to be shown.
        match (response.status().as_u16(), range) {
            (200, None) | (206, Some(_)) => {}
            (404 | 410, _) => return Ok(None),
            (status, _) => return Err(io::Error::other(format!("{path}: HTTP status {status}"))),
        }
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        body.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Tables and sets: what any two clients of one publication have alike.
    pub(super) fn state(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        let is_state = |name: &str| name.starts_with("set-") || name.starts_with("table-");
        self.own.iter().filter(move |(name, _)| is_state(name))
    }

    /// Bytes of all sets.
    pub(super) fn sets(&self) -> u64 {
        let sets = self.own.iter().filter(|(name, _)| name.starts_with("set-"));
        sets.map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

//! A driver over HTTP: what an app's networking layer has to do, whole.
//!
//! Five kinds of [`Step`] come from the library; one is answered by HTTP, three by a folder,
//! and the last is the outcome. Ported to another language, this file is the app's share of
//! the protocol: everything that needs thought is behind [`Session`].

use std::io::{self, Read};
use std::time::Duration;

use gcs_core::sync::{Answer, ClientSettings, Outcome, Session, Step, Wake};

use crate::{Folder, Traffic, answer_of, done};

/// A server, or any mirror of it: what it serves is verified, so it need not be trusted.
#[derive(Clone, Debug)]
pub struct HttpServer {
    agent: ureq::Agent,
    address: String,
}

impl HttpServer {
    /// A server by its address, such as `http://127.0.0.1:8080`.
    ///
    /// Plain HTTP only, so that the examples build without a TLS library. For `https`, turn
    /// on ureq's feature `rustls`; nothing here changes.
    pub fn new(address: &str) -> HttpServer {
        // Statuses are answers here, not errors. The limit in time is for one request.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        HttpServer { agent: config.into(), address: address.trim_end_matches('/').to_owned() }
    }

    /// Answers [`Step::Fetch`].
    ///
    /// No cookie, no account, nothing that tells one phone from another.
    pub fn fetch(&self, path: &str, range: Option<(u64, u64)>, limit: u64) -> Answer {
        answer_of(self.try_fetch(path, range, limit))
    }

    fn try_fetch(&self, path: &str, range: Option<(u64, u64)>, limit: u64) -> io::Result<Vec<u8>> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some((from, length)) = range {
            // Both ends of an HTTP range are inclusive.
            let last = (from + length).saturating_sub(1);
            request = request.header("Range", format!("bytes={from}-{last}"));
        }
        let response = request.call().map_err(io::Error::other)?;
        let (skip, most) = match (response.status().as_u16(), range) {
            (200, None) => (0, limit.saturating_add(1)),
            (206, Some(_)) => (0, limit.saturating_add(1)),
            // A server that knows no ranges sends everything: cut the part out.
            (200, Some((from, length))) => (from, length),
            (404 | 410, _) => return Err(io::ErrorKind::NotFound.into()),
            (status, _) => return Err(io::Error::other(format!("{path}: HTTP status {status}"))),
        };
        // Never more than one byte above the limit, whatever the server sends.
        let mut body = response.into_body().into_reader();
        io::copy(&mut body.by_ref().take(skip), &mut io::sink())?;
        let mut bytes = Vec::new();
        body.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A client whose storage is a folder, and whose server is reached over HTTP.
#[derive(Debug)]
pub struct HttpClient {
    /// The client's own folder.
    pub own: Folder,
    /// Where it fetches from.
    pub server: HttpServer,
    /// What the app has decided.
    pub settings: ClientSettings,
    /// What was fetched so far.
    pub traffic: Traffic,
}

impl HttpClient {
    /// A client that keeps its files in `own` and fetches from `server`.
    pub fn new(own: Folder, server: HttpServer, settings: ClientSettings) -> HttpClient {
        HttpClient { own, server, settings, traffic: Traffic::default() }
    }

    /// One wake, from beginning to end. It may be cut off anywhere: the next goes on from
    /// what was written.
    pub fn wake(&mut self, wake: Wake) -> Outcome {
        let mut session = Session::new(&self.settings, wake);
        let mut answer = Answer::Start;
        loop {
            answer = match session.resume(answer) {
                Step::Fetch { path, byte_range, limit } => {
                    let range = byte_range.map(|part| (part.start, part.end - part.start));
                    let answer = self.server.fetch(&path, range, limit);
                    if let Answer::Bytes(bytes) = &answer {
                        self.traffic.count(&path, bytes.len() as u64);
                    }
                    answer
                }
                Step::Get { name } => answer_of(self.own.read(&name)),
                Step::Put { name, bytes } => done(self.own.write(&name, &bytes)),
                Step::Delete { name } => done(self.own.delete(&name)),
                Step::Done(outcome) => return *outcome,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request with these bytes.
    fn server_of(response: &'static str) -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let _request = connection.read(&mut [0; 4096]).unwrap();
            connection.write_all(response.as_bytes()).unwrap();
        });
        HttpServer::new(&address)
    }

    #[test]
    fn every_answer_of_a_server_is_understood() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
        let part = "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\n456";
        let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
        let broken = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
        let bytes = |text: &str| Answer::Bytes(text.into());
        assert_eq!(server_of(whole).fetch("/v1/manifest", None, 10), bytes("0123456789"));
        // One byte more than is legal, for the library to refuse; no endless file.
        assert_eq!(server_of(whole).fetch("/v1/manifest", None, 5), bytes("012345"));
        assert_eq!(server_of(part).fetch("/v1/checks", Some((4, 3)), 3), bytes("456"));
        assert_eq!(server_of(whole).fetch("/v1/checks", Some((4, 3)), 3), bytes("456"));
        assert_eq!(server_of(gone).fetch("/v1/checks", Some((4, 3)), 3), Answer::Missing);
        for failure in [broken, "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", ""] {
            let answer = server_of(failure).fetch("/v1/manifest", None, 10);
            assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
        }
    }
}

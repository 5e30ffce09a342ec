//! Fetching over HTTP: all that the networking layer of an app has to do.
//!
//! An app in another language needs a port of this file. Everything else of the protocol is
//! in [`Session`](gcs_core::sync::Session).

use std::io::{self, Read as _};
use std::ops::Range;
use std::time::Duration;

use ureq::{Agent, Proxy};

use gcs_core::sync::{Fetch, range_header};

/// Fetches from a server, or from any mirror of it. Neither has to be trusted, since files are
/// verified.
#[derive(Clone, Debug)]
pub struct HttpFetch {
    agent: Agent,
    address: String,
}

/// An HTTP agent that takes every status as an answer, not as an error. It uses the given proxy
/// or none, whatever the environment's variables say.
pub fn agent(proxy: Option<Proxy>) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(proxy)
        // The server closes idle connections after five seconds.
        .max_idle_age(Duration::from_secs(3))
        // For one whole request.
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.into()
}

impl HttpFetch {
    /// Fetches from a server by its address, such as `http://127.0.0.1:8080`, without a
    /// proxy. `https` works as well.
    pub fn new(address: &str) -> HttpFetch {
        HttpFetch::through(None, address)
    }

    /// Fetches through a proxy, if there is one.
    pub fn through(proxy: Option<Proxy>, address: &str) -> HttpFetch {
        HttpFetch { agent: agent(proxy), address: address.trim_end_matches('/').to_owned() }
    }
}

impl Fetch for HttpFetch {
    type Error = io::Error;

    /// Sends no cookie, no account, and nothing else that distinguishes one phone from another.
    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some(part) = &byte_range {
            request = request.header("Range", range_header(part));
        }
        let response = request.call().map_err(io::Error::other)?;
        let (skip, most) = match (response.status().as_u16(), byte_range) {
            (200, None) | (206, Some(_)) => (0, limit.saturating_add(1)),
            // A server that knows no ranges sends everything: cut the part out.
            (200, Some(part)) => (part.start, part.end.saturating_sub(part.start)),
            (404 | 410, _) => return Ok(None),
            (status, _) => return Err(io::Error::other(format!("{path}: HTTP status {status}"))),
        };
        // Never more than one byte above the limit, whatever the server sends.
        let mut body = response.into_body().into_reader();
        io::copy(&mut body.by_ref().take(skip), &mut io::sink())?;
        let mut bytes = Vec::new();
        body.take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request with these bytes.
    fn server_of(response: &'static str) -> HttpFetch {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let _request = connection.read(&mut [0; 4096]).unwrap();
            connection.write_all(response.as_bytes()).unwrap();
        });
        HttpFetch::new(&address)
    }

    #[test]
    fn every_answer_of_a_server_is_understood() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
        let part = "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\n456";
        let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
        let absent = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let broken = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
        let get = |response, bytes, limit| server_of(response).fetch("/v1/file", bytes, limit);
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(get(whole, None, 10).unwrap(), bytes("0123456789"));
        // One byte more than is legal, for the library to refuse; no endless file.
        assert_eq!(get(whole, None, 5).unwrap(), bytes("012345"));
        assert_eq!(get(part, Some(4..7), 3).unwrap(), bytes("456"));
        assert_eq!(get(whole, Some(4..7), 3).unwrap(), bytes("456"));
        assert_eq!(get(gone, Some(4..7), 3).unwrap(), None);
        assert_eq!(get(absent, None, 3).unwrap(), None);
        for failure in [broken, "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", ""] {
            let fetched = get(failure, None, 10);
            assert!(fetched.is_err(), "{fetched:?}");
        }
    }
}

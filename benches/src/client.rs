//! Clients of a server, each over one kept-alive connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream as AsyncStream;

use crate::server::Checked;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the head of an answer says.
#[derive(Default)]
struct Head {
    status: Option<u16>,
    length: usize,
}

impl Head {
    /// Takes the next line. False after the last one.
    fn take(&mut self, line: &str) -> Checked<bool> {
        if self.status.is_none() {
            self.status = Some(line.split(' ').nth(1).ok_or("no answer")?.parse()?);
            return Ok(true);
        }
        let Some((name, value)) = line.split_once(':') else { return Ok(false) };
        if name.eq_ignore_ascii_case("content-length") {
            self.length = value.trim().parse()?;
        }
        Ok(true)
    }
}

/// A connection that has a thread to itself.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects to a server.
    ///
    /// # Errors
    /// An error as text, if the network or the server fails.
    pub fn connect(address: SocketAddr) -> Checked<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client(BufReader::new(stream)))
    }

    /// Sends the bytes of a request, and gives the status and body of the answer.
    ///
    /// # Errors
    /// An error as text, if the network or the server fails.
    pub fn send(&mut self, request: &[u8]) -> Checked<(u16, Vec<u8>)> {
        self.0.get_mut().write_all(request)?;
        let (mut head, mut line) = (Head::default(), String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            if !head.take(&line)? {
                break;
            }
        }
        let mut body = vec![0; head.length];
        self.0.read_exact(&mut body)?;
        Ok((head.status.ok_or("no answer")?, body))
    }
}

/// A connection of many that share a thread.
#[derive(Debug)]
pub struct SharingClient(tokio::io::BufReader<AsyncStream>);

impl SharingClient {
    /// Connects to a server.
    ///
    /// # Errors
    /// An error as text, if the network or the server fails.
    pub async fn connect(address: SocketAddr) -> Checked<SharingClient> {
        let stream = AsyncStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(SharingClient(tokio::io::BufReader::new(stream)))
    }

    /// Sends the bytes of a request, and gives the status and body of the answer.
    ///
    /// # Errors
    /// An error as text, if the network or the server fails.
    pub async fn send(&mut self, request: &[u8]) -> Checked<(u16, Vec<u8>)> {
        self.0.write_all(request).await?;
        let (mut head, mut line) = (Head::default(), String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            if !head.take(&line)? {
                break;
            }
        }
        let mut body = vec![0; head.length];
        self.0.read_exact(&mut body).await?;
        Ok((head.status.ok_or("no answer")?, body))
    }
}

/// A request with a body.
pub fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    let token =
        if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{token}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request without a body.
pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// The JSON of an answer that is a success.
///
/// # Errors
/// Any other answer, as text.
pub fn expect((status, body): (u16, Vec<u8>)) -> Checked<Value> {
    if !(200..300).contains(&status) {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body)?)
}

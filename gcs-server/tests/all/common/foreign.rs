//! A server that is none of ours.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::process::text;

/// Answers every connection with these bytes, and keeps the requests.
pub fn server_of(answer: &'static [u8]) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _gone = sender.send(text(&request(&mut connection)));
            let _closed = connection.write_all(answer);
        }
    });
    (port, requests)
}

/// Reads a whole request, if it is HTTP: closing with some of it unread would reset the connection.
fn request(connection: &mut TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(connection);
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let begin = request.len();
        let is_over = reader.read_until(b'\n', &mut request).unwrap_or(0) == 0;
        let is_http = request.first().is_some_and(u8::is_ascii_alphabetic);
        let line = text(&request[begin..]).to_lowercase();
        if is_over || !is_http || line == "\r\n" {
            break;
        }
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    let _closed = reader.take(length).read_to_end(&mut request);
    request
}

/// An answer of HTTP with this JSON.
pub fn json(status: u16, body: &str) -> &'static [u8] {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .leak()
    .as_bytes()
}

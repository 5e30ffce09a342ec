//! Large files, of which the server copies nothing: every client gets every byte of its answer and none of another's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use gcs_core::Digest;
use tempfile::TempDir;

use crate::common::process::{Process, place_set};
use crate::common::wait::until;

/// Sizes around those at which the server does something else.
const SIZES: [usize; 9] = [
    700,
    (64 << 10) - 1,
    64 << 10,
    (64 << 10) + 1,
    128 << 10,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    5_000_001,
];

pub struct File {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// A server with a file of each size.
pub fn start() -> (TempDir, Process, Vec<File>) {
    let folder = tempfile::tempdir().unwrap();
    drop(Process::start(folder.path(), &[]));
    let files = SIZES.map(|size| {
        let noise = (0..size.div_ceil(32)).flat_map(|at| Digest::of(&at.to_le_bytes()).0);
        let (path, bytes) = place_set(folder.path(), noise.take(size - 32).collect());
        assert_eq!(bytes.len(), size);
        File { path, bytes }
    });
    let server = Process::start(folder.path(), &[]);
    (folder, server, files.into())
}

/// A client of one connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Process) -> Client {
        let stream = TcpStream::connect(server.public).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The head of an answer, in lower case.
    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "ended after {head:?}");
        }
        head.to_lowercase()
    }

    /// An answer that has this status and body, on a connection that goes on.
    fn expect(&mut self, status: u16, bytes: &[u8]) -> String {
        let head = self.head();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", bytes.len())), "{head}");
        for wrong in ["transfer-encoding", "connection: close"] {
            assert!(!head.contains(wrong), "{head}");
        }
        self.expect_body(bytes);
        head
    }

    fn expect_body(&mut self, bytes: &[u8]) {
        let mut body = vec![0; bytes.len()];
        self.0.read_exact(&mut body).unwrap();
        assert!(body == bytes, "other bytes");
    }

    fn expect_end(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
    }
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")
}

#[test]
fn every_size_and_every_range_has_its_bytes() {
    let (_folder, server, files) = start();
    let mut client = Client::new(&server);
    for File { path, bytes } in &files {
        let length = bytes.len();
        client.send(&get(path, ""));
        let head = client.expect(200, bytes);
        let tag = head.lines().find(|line| line.starts_with("etag: ")).unwrap();
        let tag = tag.trim_start_matches("etag: ");

        client.send(&get(path, "").replacen("GET", "HEAD", 1));
        let only_head = client.head();
        assert_eq!(only_head.lines().count(), head.lines().count(), "{only_head}");
        assert!(only_head.contains(&format!("content-length: {length}\r\n")), "{only_head}");

        client.send(&get(path, &format!("if-none-match: {tag}\r\n")));
        assert!(client.head().starts_with("http/1.1 304"));

        let slice = 64 << 10;
        let ends = [1, 2, slice - 1, slice, slice + 1, 3 * slice, length - 1, length];
        for end in ends.into_iter().filter(|end| *end <= length) {
            for (start, end) in [(0, end), (length - end, length), (end / 2, end)] {
                let last = end - 1;
                client.send(&get(path, &format!("range: bytes={start}-{last}\r\n")));
                let head = client.expect(206, &bytes[start..end]);
                let range = format!("content-range: bytes {start:012}-{last:012}/{length:012}\r\n");
                assert!(head.contains(&range), "{head}");
            }
        }
        client.send(&get(path, &format!("range: bytes={length}-\r\n")));
        assert!(client.head().starts_with("http/1.1 416"));
        // Its body is a problem in JSON.
        client = Client::new(&server);
    }
}

#[test]
fn old_clients_are_served_too() {
    let (_folder, server, files) = start();
    for File { path, bytes } in &files {
        let mut client = Client::new(&server);
        client.send(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        let length = format!("content-length: {}\r\n", bytes.len());
        assert!(client.head().contains(&length));
        client.expect_body(bytes);
        client.expect_end();
        let mut client = Client::new(&server);
        for _ in 0..3 {
            client.send(&format!("GET {path} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"));
            let head = client.head();
            assert!(head.contains(&length) && head.contains("connection: keep-alive"), "{head}");
            client.expect_body(bytes);
        }
        let mut client = Client::new(&server);
        client.send(&get(path, "connection: close\r\n"));
        assert!(client.head().contains("connection: close"));
        client.expect_body(bytes);
        client.expect_end();
    }
}

#[test]
fn answers_to_requests_sent_at_once_come_one_after_the_other() {
    let (_folder, server, files) = start();
    let mut requests = String::new();
    for (i, file) in files.iter().enumerate() {
        let other = &files[files.len() - 1 - i];
        requests += &get(&file.path, "");
        requests += &get(&other.path, "").replacen("GET", "HEAD", 1);
        requests += &get(&other.path, "range: bytes=1-\r\n");
        requests += &get(&file.path, "if-none-match: *\r\n");
        requests += &get(&other.path, "");
    }
    for piece in [1, 100, requests.len()] {
        let mut client = Client::new(&server);
        thread::scope(|scope| {
            let mut stream = client.0.get_ref().try_clone().unwrap();
            let requests = requests.as_bytes();
            scope.spawn(move || {
                requests.chunks(piece).for_each(|piece| stream.write_all(piece).unwrap());
            });
            for (i, file) in files.iter().enumerate() {
                let other = &files[files.len() - 1 - i];
                client.expect(200, &file.bytes);
                assert!(client.head().starts_with("http/1.1 200"));
                client.expect(206, &other.bytes[1..]);
                assert!(client.head().starts_with("http/1.1 304"));
                client.expect(200, &other.bytes);
            }
        });
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        client.expect_end();
    }
}

/// With small buffers the server has to stop and go on many times.
#[test]
fn slow_readers_get_every_byte() {
    let (_folder, server, files) = start();
    let large = &files[7];
    thread::scope(|scope| {
        for piece in [997, 10_000, 100_000] {
            let mut client = Client::new(&server);
            let socket = socket2::SockRef::from(client.0.get_ref());
            socket.set_recv_buffer_size(4096).unwrap();
            scope.spawn(move || {
                client.send(&get(&large.path, ""));
                // The end of what is sent is no reason to end the answer.
                client.0.get_ref().shutdown(Shutdown::Write).unwrap();
                client.head();
                let mut body = Vec::new();
                let mut part = vec![0; piece];
                loop {
                    let read = client.0.read(&mut part).unwrap();
                    if read == 0 {
                        break;
                    }
                    body.extend_from_slice(&part[..read]);
                    thread::yield_now();
                }
                assert!(body == large.bytes, "by {piece}");
            });
        }
    });
}

/// Who has begun to read when the server is stopped gets the rest.
#[test]
#[cfg(unix)]
fn a_stop_waits_for_a_large_answer() {
    let (_folder, server, files) = start();
    let large = files.last().unwrap();
    let mut client = Client::new(&server);
    client.send(&get(&large.path, ""));
    client.head();
    server.signal("-TERM");
    // New connections are refused from then on.
    until("new connections are refused", || TcpStream::connect(server.public).is_err());
    client.expect_body(&large.bytes);
    client.expect_end();
    server.stop();
}

#[cfg(target_os = "linux")]
pub mod linux {
    use super::*;

    /// What the open files of a process are.
    fn open_files(process: u32) -> Vec<String> {
        let entries = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        let links = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// Number of sealed files of a process.
    pub fn sealed(process: u32) -> usize {
        open_files(process).iter().filter(|name| name.starts_with("/memfd:published")).count()
    }

    fn sockets(process: u32) -> usize {
        open_files(process).iter().filter(|name| name.starts_with("socket:")).count()
    }

    /// Makes sure that a server gives every byte.
    pub fn get_all(server: &Process, files: &[File]) {
        for File { path, bytes } in files {
            let answer = server.get(path);
            assert!(answer.status == 200 && answer.body == *bytes, "{path}: {}", answer.status);
        }
    }

    #[test]
    fn large_files_are_sealed_once_for_all_clients() {
        let (folder, server, files) = start();
        let large = SIZES.iter().filter(|size| **size > 64 << 10).count();
        let process = server.child.id();
        // Nobody has asked yet.
        assert_eq!(sealed(process), 0);
        for _ in 0..2 {
            get_all(&server, &files);
            assert_eq!(sealed(process), large);
        }
        // Without memory for files they stay on the disk, and without a place for sealed ones in ordinary memory.
        drop(server);
        let none = Process::start(folder.path(), &["--file-memory", "0"]);
        get_all(&none, &files);
        assert_eq!(sealed(none.child.id()), 0);
        drop(none);
        let start = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"];
        let few = Process::start_as(&start, folder.path(), &[]);
        get_all(&few, &files);
        assert_eq!(sealed(few.child.id()), 4);
    }

    #[test]
    fn clients_that_leave_in_the_middle_leave_nothing_behind() {
        let (_folder, server, files) = start();
        let process = server.child.id();
        let idle = sockets(process);
        let large = files.last().unwrap();
        get_all(&server, &files);
        let before = sealed(process);
        for round in 0..100 {
            let mut client = Client::new(&server);
            client.send(&get(&large.path, "").repeat(1 + round % 3));
            let mut part = vec![0; 1 + round * 1000];
            client.0.read_exact(&mut part).unwrap();
            if round % 2 == 0 {
                // The connection is reset, whatever is on the way.
                let socket = socket2::SockRef::from(client.0.get_ref());
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
        // The workers open a few of their own with the first requests.
        until("connections of clients that left are gone", || sockets(process) <= idle + 10);
        assert_eq!(sealed(process), before);
    }
}

//! Clients that mean no good, or are broken: what they hold of the server ends, and others are served.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gcs_core::Date;
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::common::api::{Answer, ask, seed};
use crate::common::process::{Process, resident};
use crate::common::untested::not_tested;
use crate::common::wait::until;

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(flags: &[&str]) -> (TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), flags);
    (folder, server)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Days from 1970 to today.
fn today() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (now / 86_400) as u32
}

/// Sends the beginning, then the rest a byte at a time, then nothing. Returns what was answered when the
/// server has ended the connection.
fn talk(address: SocketAddr, beginning: &[u8], drip: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(beginning).unwrap();
    let mut dripping = stream.try_clone().unwrap();
    let drip = drip.to_vec();
    let dripped = thread::spawn(move || {
        for byte in drip {
            if dripping.write_all(&[byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not ended: {error}, after {}", String::from_utf8_lossy(&answer)),
    }
    dripped.join().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn every_phase_of_a_connection_ends() {
    let (_folder, server) = start(&["--body-seconds", "1"]);
    let chunk = "1\r\nx\r\n".repeat(200);
    let (open, get) =
        ("transfer-encoding: chunked\r\n\r\n", "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n");
    let post = "POST /v1/reports HTTP/1.1\r\nhost: x\r\n";
    let head = "x: y\r\n".repeat(200);
    let empty_lines = "\r\n".repeat(200);
    let cases: Vec<(String, &str, &str)> = vec![
        // A body that nobody reads, and that does not come, or does not end.
        (format!("{get}{open}"), "", "200"),
        (format!("{get}{open}"), &chunk, "200"),
        (format!("{get}content-length: 10\r\n\r\n"), "", "200"),
        (format!("{get}content-length: 1000000\r\n\r\n"), &chunk, "200"),
        (format!("POST /nothing HTTP/1.1\r\nhost: x\r\n{open}"), &chunk, "404"),
        (format!("CONNECT x HTTP/1.1\r\nhost: x\r\n\r\n{chunk}"), &chunk, "404"),
        (format!("{get}connection: upgrade\r\nupgrade: x\r\n\r\n"), &chunk, "200"),
        // A body that a handler reads.
        (format!("{post}{open}"), "", "408"),
        (format!("{post}{open}"), &chunk, "408"),
        (format!("{post}content-length: 10\r\n\r\n"), "", "408"),
        (
            format!("{post}{open}{}", "10000\r\n".to_owned() + &"x".repeat(0x10000) + "\r\n"),
            "",
            "408",
        ),
        // A head that does not end: the first, and one after another request.
        (get.to_owned(), "", ""),
        (get.to_owned(), &head, ""),
        (format!("{get}\r\n{get}"), "", "200"),
        (format!("{get}\r\n"), &head, "200"),
        (format!("{get}\r\n"), &empty_lines, "200"),
        // A head that is too long.
        (format!("{get}{}", "x: y\r\n".repeat(10_000)), "", "431"),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000)), "", "400"),
    ];
    thread::scope(|scope| {
        for (beginning, drip, status) in &cases {
            let public = server.public;
            scope.spawn(move || {
                let answer = talk(public, beginning.as_bytes(), drip.as_bytes());
                let line = answer.lines().next().unwrap_or_default();
                let what: String = beginning.chars().take(120).collect();
                // With bytes on the way to a closed socket the answer may be lost.
                let is_lost = line.is_empty() && beginning.len() > 10_000;
                let got = line.strip_prefix("HTTP/1.1 ").map_or("", |line| &line[..3]);
                assert!(got == *status || is_lost, "{what:?}: {line:?}");
            });
        }
    });
    assert_eq!(server.get("/v1/openapi.json").status, 200);
}

/// With a body on the way that nobody reads, the connection ends, and the answer says so: the next request would be lost.
#[test]
fn an_answer_says_when_the_connection_ends_with_it() {
    let (_folder, server) = start(&[]);
    for request in [
        "POST /nothing HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
        "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n\r\n",
        "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ] {
        let answer = talk(server.public, request.as_bytes(), b"");
        let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(head.contains("connection: close"), "{request}: {head}");
    }
}

/// Some clients ask for HTTP/2 with every request: those of Java, and curl if it is told to (RFC 9110, 7.8).
#[test]
fn a_wish_for_another_protocol_is_passed_over() {
    let (_folder, server) = start(&[]);
    let (_, provider) = server.provider("City");
    let codes = server.codes(&provider, 1);
    let wish =
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    let item = seed(Date::from_days(today() - 2).unwrap(), 1);
    let body = format!(r#"{{"code":"{}","items":[{item}]}}"#, codes[0]);
    // Larger than any buffer.
    let body = body.clone() + &" ".repeat((600 << 10) - body.len());
    let length = body.len();
    let report = format!(
        "POST /v1/reports HTTP/1.1\r\nhost: x\r\n{wish}content-length: {length}\r\n\r\n{body}"
    );
    let get = format!("GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n{wish}\r\n");
    for (request, status) in [(get, "200"), (report, "201")] {
        let answer = talk(server.public, request.as_bytes(), b"");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(head.contains("connection: close") && !head.contains("upgrade"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
    }
}

/// Who sends garbage must not fill the disk with lines about it.
#[test]
fn malformed_requests_have_no_log_lines() {
    let (_folder, server) = start(&["--log-level", "debug"]);
    for _ in 0..100 {
        let answer = talk(server.public, b"GET / HTTP/1.1\r\n\0: x\r\n\r\n", b"");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let logged = server.stop();
    assert!(logged.lines().count() < 20, "{logged}");
}

/// Sends the same again and again until the server takes no more.
fn stuff(stream: &mut TcpStream, request: &str) {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let many = request.repeat(64 * 1024 / request.len());
    // Sockets hold some MB.
    for _ in 0..256 {
        if stream.write_all(many.as_bytes()).is_err() {
            return;
        }
    }
    panic!("the server has taken 16 MB of requests, and no answer was read");
}

#[test]
fn requests_whose_answers_nobody_reads_take_little_memory() {
    let (_folder, server) = start(&[]);
    let requests = [
        "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n",
        "HEAD /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/manifest HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/manifest HTTP/1.1\r\nhost: x\r\nrange: bytes=0-0\r\n\r\n",
        // Behind a body whose end only actix knows.
        "POST /v1/reports HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
         GET / HTTP/1.1\nhost:\n\nGET / HTTP/1.1\nhost:\n\nGET / HTTP/1.1\nhost:\n\n",
    ];
    assert_eq!(server.get("/v1/openapi.json").status, 200);
    let before = resident(server.child.id());
    let streams: Vec<TcpStream> = thread::scope(|scope| {
        let stuffing = (0..60).map(|i| {
            let (public, request) = (server.public, requests[i % requests.len()]);
            scope.spawn(move || {
                let mut stream = connect(public);
                stuff(&mut stream, request);
                stream
            })
        });
        let stuffing: Vec<_> = stuffing.collect();
        stuffing.into_iter().map(|stuffing| stuffing.join().unwrap()).collect()
    });
    let grown = resident(server.child.id()).saturating_sub(before);
    assert_eq!(server.get("/v1/openapi.json").status, 200);
    drop(streams);
    assert!(grown < 32 << 20, "{} MiB more for 60 connections", grown >> 20);
}

#[test]
fn reports_that_are_half_sent_take_bounded_memory_and_others_are_taken() {
    let (_folder, server) = start(&[]);
    let (_, provider) = server.provider("City");
    let codes = server.codes(&provider, 40);
    let seed = || seed(Date::from_days(today() - 2).unwrap(), 1);
    let before = resident(server.child.id());
    let head =
        format!("POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 640 << 10);
    let half = " ".repeat((640 << 10) - 1);
    let mut open = Vec::new();
    let mut most = 0;
    for (i, code) in codes.iter().enumerate() {
        for _ in 0..20 {
            let mut stream = connect(server.public);
            // It may be ended meanwhile.
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            let _ended =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(half.as_bytes()));
            open.push(stream);
        }
        let answer = until_taken(|| server.report(code, vec![seed()]));
        assert_eq!(answer.status, 201, "report {i}");
        most = most.max(resident(server.child.id()));
    }
    let grown = most.saturating_sub(before);
    // Without a limit it would be 500 to 800 MiB.
    assert!(grown < 256 << 20, "800 half reports of 640 KiB: {} MiB more", grown >> 20);
}

/// Who sends almost all of a body at once and then a byte now and then has been fast on average, for a
/// while. Who sends slowly all the time is served all the same.
#[test]
fn a_slow_report_is_taken_beside_bodies_that_began_fast_and_drip() {
    let (_folder, server) = start(&[]);
    let (_, provider) = server.provider("City");
    let codes = server.codes(&provider, 1);
    let burst = |many: usize| -> Vec<TcpStream> {
        let length = 640 << 10;
        let head =
            format!("POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        let most = " ".repeat(length - 1000);
        let send = |mut stream: TcpStream| {
            // It may be ended meanwhile.
            let _ended =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(most.as_bytes()));
            stream
        };
        (0..many).map(|_| send(connect(server.public))).collect()
    };
    let mut drips = burst(120);
    let drip = |drips: &mut Vec<TcpStream>| {
        drips.iter_mut().for_each(|stream| drop(stream.write_all(b" ")));
    };
    for _ in 0..10 {
        thread::sleep(Duration::from_secs(1));
        drip(&mut drips);
    }
    let item = seed(Date::from_days(today() - 2).unwrap(), 1);
    let body = format!(r#"{{"code":"{}","items":[{item}]}}"#, codes[0]);
    let body = body.clone() + &" ".repeat((100 << 10) - body.len());
    let mut honest = connect(server.public);
    let length = body.len();
    let head = format!(
        "POST /v1/reports HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    honest.write_all(head.as_bytes()).unwrap();
    for piece in body.as_bytes().chunks(4 << 10) {
        honest.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(200));
        drip(&mut drips);
        drips.extend(burst(1));
    }
    let mut answer = String::new();
    honest.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// As many as a proxy with many clients keeps open.
#[test]
fn thousands_of_idle_connections_stay_and_take_little_memory() {
    const MANY: usize = 5000;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    if limit.current.is_some_and(|most| most < 3 * MANY as u64) {
        let what =
            "thousands of connections, since this process may have few open files (ulimit -Hn)";
        return not_tested("TEST_MANY_FILES", what);
    }
    let (_folder, server) = start(&[]);
    assert_eq!(server.get("/v1/openapi.json").status, 200);
    let before = resident(server.child.id());
    let request = b"GET /v1/manifest HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\n\r\n";
    let mut idle: Vec<TcpStream> = (0..MANY).map(|_| connect(server.public)).collect();
    // Every other one has had an answer.
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(request).unwrap();
    }
    let mut answer = [0; 12];
    for stream in idle.iter_mut().step_by(2) {
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "));
    }
    let grown = resident(server.child.id()).saturating_sub(before);
    assert!(grown < MANY as u64 * (24 << 10), "{} bytes each", grown / MANY as u64);
    assert_eq!(server.get("/v1/openapi.json").status, 200);
    // None had to go.
    for stream in idle.iter_mut().skip(1).step_by(2) {
        stream.write_all(request).unwrap();
    }
    for stream in idle.iter_mut().skip(1).step_by(2) {
        stream.read_exact(&mut answer).unwrap();
    }
}

/// A connection that has just come is not the first to go.
#[test]
fn who_has_just_come_is_served_beside_heads_that_do_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_small(folder.path(), 256);
    let begin = || {
        let mut stream = connect(server.public);
        let _ended = stream.write_all(b"GET /v1/openapi.json HTTP/1.1\r\n");
        stream
    };
    let mut heads: Vec<TcpStream> = (0..300).map(|_| begin()).collect();
    let mut is_served = || {
        let begun = Instant::now();
        let mut honest = connect(server.public);
        // Before it asks, more come.
        thread::sleep(Duration::from_millis(100));
        heads.extend((0..8).map(|_| begin()));
        let request = b"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let _let_go = honest.write_all(request);
        let asked = begun.elapsed();
        let mut answer = Vec::new();
        let _let_go = honest.read_to_end(&mut answer);
        let is_served = answer.starts_with(b"HTTP/1.1 200");
        // Who has not asked within a second has not just come. On a machine that is so slow, it is tried again.
        assert!(is_served || asked > Duration::from_millis(500), "let go");
        is_served
    };
    for _ in 0..20 {
        until("who has just come is served", &mut is_served);
    }
}

/// A chunked body ends where it ends, and the next request has its answer.
#[test]
fn requests_behind_chunked_bodies_are_answered_one_by_one() {
    let (_folder, server) = start(&[]);
    let (_, provider) = server.provider("City");
    let codes = server.codes(&provider, 3);
    let item = seed(Date::from_days(today() - 2).unwrap(), 1);
    let requests = codes.iter().map(|code| {
        let body = format!(r#"{{"code":"{code}","items":[{item}]}}"#);
        let chunks: String = body
            .as_bytes()
            .chunks(50)
            .map(|chunk| format!("{:x};a=b\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()))
            .collect();
        format!(
            "POST /v1/reports HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
             {chunks}0\r\ntrailer: x\r\n\r\n\r\n"
        )
    });
    let last = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned();
    let requests: Vec<String> = requests.chain([last]).collect();
    for size in [1, 7, 100_000] {
        let mut stream = connect(server.public);
        let all = requests.concat();
        for piece in all.as_bytes().chunks(size) {
            stream.write_all(piece).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let statuses: Vec<&str> = answer
            .match_indices("HTTP/1.1 ")
            .map(|(at, found)| &answer[at + found.len()..][..3])
            .collect();
        assert_eq!(statuses, ["201", "201", "201", "404"], "{answer}");
    }
}

/// Asks again, as apps do, while the server is overloaded.
fn until_taken(ask: impl Fn() -> Answer) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer.status != 503 || began.elapsed() > PATIENCE {
            return answer;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Starts a server that may open few files.
fn start_small(folder: &Path, files: u32) -> Process {
    Process::start_as(&["sh", "-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"], folder, &[])
}

#[test]
fn idle_connections_shut_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_small(folder.path(), 256);
    let idle: Vec<TcpStream> = (0..600).map(|_| connect(server.public)).collect();
    // Some have begun a request, some are between two.
    for (i, mut stream) in idle.iter().enumerate() {
        let text = ["", "GET", "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"][i % 3];
        let _gone = stream.write_all(text.as_bytes());
    }
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(server.get("/v1/openapi.json").status, 200);
        let health = ask(server.private, "GET", "/healthz", &[], "");
        assert_eq!(health.status, 200);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    drop(idle);
    // The operator's listener cannot be filled from the public one, nor the other way round.
    let idle: Vec<TcpStream> = (0..300).map(|_| connect(server.private)).collect();
    assert_eq!(server.get("/v1/openapi.json").status, 200);
    drop(idle);
}

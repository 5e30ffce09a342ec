//! Requests a second and processor time, beside nginx in turns of a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::json;

use crate::client::{Client, get};
use crate::processes::{Files, Nginx, Process, SIZES, Server};
use crate::{Checked, Options};

/// What one side is asked.
struct Side<'p> {
    process: &'p Process,
    address: SocketAddr,
    path: String,
    /// Lua for wrk that sets the request up.
    script: String,
}

/// What one side did in all rounds.
#[derive(Default)]
pub(crate) struct Done {
    /// Requests a second of each round.
    pub(crate) rates: Vec<f64>,
    /// Processor time of a request in microseconds, over all rounds.
    pub(crate) cpu: f64,
    /// Latencies in microseconds of each round: the median, and that of 99 in 100.
    pub(crate) median: Vec<f64>,
    pub(crate) slow: Vec<f64>,
    requests: f64,
    seconds: f64,
}

/// A row: what is asked, over how many connections, and what both sides did.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) ours: Done,
    /// The other side, and its name.
    pub(crate) other: Option<(&'static str, Done)>,
    /// What is wanted of the rate: this share of the other's.
    pub(crate) wanted: Option<f64>,
}

pub(crate) fn measure(
    options: &Options,
    server: &Server,
    nginx: Option<&Nginx>,
    files: &Files,
) -> Checked<Vec<Row>> {
    let ours = |path: &str, script: String| Side {
        process: &server.process,
        address: server.public,
        path: path.to_owned(),
        script,
    };
    let theirs = |path: &str, script: String| {
        let side = |nginx: &'_ Nginx| (nginx.address, path.to_owned(), script.clone());
        nginx.map(|nginx| {
            let (address, path, script) = side(nginx);
            ("nginx", Side { process: &nginx.process, address, path, script })
        })
    };
    let plain = |path: &str| (ours(path, String::new()), theirs(path, String::new()));
    let mut rows = Vec::new();
    let mut row = |name: String,
                   connections,
                   wanted,
                   (one, other): (Side<'_>, Option<(&'static str, Side<'_>)>)|
     -> Checked<()> {
        if name.contains(&options.only) {
            eprintln!("{name}, {connections} connections");
            rows.push(compare(options.rounds, name, connections, wanted, &one, other.as_ref())?);
        }
        Ok(())
    };
    for ((size, _), (path, wanted)) in
        SIZES.iter().zip(files.paths.iter().zip([1.0, 0.95, 1.1, 0.9]))
    {
        row(format!("{size} body"), 64, Some(wanted), plain(path))?;
    }
    for ((size, _), path) in SIZES.iter().zip(&files.paths) {
        row(format!("{size} body"), 1, Some(0.95), plain(path))?;
    }
    let small = &files.paths[0];
    let known =
        |address| -> Checked<String> { Ok(header("If-None-Match", &etag(address, small)?)) };
    let other = match nginx {
        Some(nginx) => theirs(small, known(nginx.address)?),
        None => None,
    };
    row("304 answer".into(), 64, Some(0.9), (ours(small, known(server.public)?), other))?;
    let record = header("Range", "bytes=200000-219999");
    let sides = || (ours(&files.paths[2], record.clone()), theirs(&files.paths[1], String::new()));
    row("check record of 20 KB by Range, nginx: file of 20 KB".into(), 64, Some(0.95), sides())?;
    row("check record of 20 KB by Range, nginx: file of 20 KB".into(), 1, Some(0.95), sides())?;
    let exact = Side {
        process: &server.process,
        address: server.private,
        path: "/v1/exact".into(),
        script: exact(server),
    };
    let manifest = ours("/v1/manifest", String::new());
    row(
        "exact match of 10 elements, beside the manifest".into(),
        64,
        Some(0.5),
        (exact, Some(("manifest", manifest))),
    )?;
    Ok(rows)
}

fn header(name: &str, value: &str) -> String {
    format!("wrk.headers[{name:?}] = {value:?}\n")
}

fn etag(address: SocketAddr, path: &str) -> Checked<String> {
    let mut client = std::net::TcpStream::connect(address)?;
    use std::io::{Read as _, Write as _};
    write!(client, "HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut head = String::new();
    client.read_to_string(&mut head)?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut tags = lines.filter(|(name, _)| name.eq_ignore_ascii_case("etag"));
    Ok(tags.next().ok_or("no ETag")?.1.to_owned())
}

/// Ten elements, which are not published.
fn exact(server: &Server) -> String {
    let query = |number: u8| {
        let element = format!("{}{}=", number, "k+jP+0+Ci6+eNrZYq4mIua/Tm+yflbJJMHaBVxSK3Mk");
        json!({ "date": "2026-01-05", "element": element[1..] })
    };
    let queries: Vec<_> = (0..10).map(query).collect();
    let body = json!({ "queries": queries }).to_string();
    let token = header("Authorization", &format!("Bearer {}", server.backend));
    format!("wrk.method = \"POST\"\nwrk.body = [[{body}]]\n{token}")
}

fn compare(
    rounds: usize,
    name: String,
    connections: usize,
    wanted: Option<f64>,
    one: &Side<'_>,
    other: Option<&(&'static str, Side<'_>)>,
) -> Checked<Row> {
    let (mut ours, mut theirs) = (Done::default(), Done::default());
    for round in 0..=rounds {
        // The first round warms up.
        let (mut cold, mut cold_too) = (Done::default(), Done::default());
        let is_cold = round == 0;
        run(one, connections, if is_cold { &mut cold } else { &mut ours })?;
        if let Some((_, other)) = other {
            run(other, connections, if is_cold { &mut cold_too } else { &mut theirs })?;
        }
    }
    let other = other.map(|(side, _)| (*side, theirs.finish()));
    Ok(Row { name, connections, ours: ours.finish(), other, wanted })
}

impl Done {
    fn finish(mut self) -> Done {
        self.cpu = self.seconds / self.requests.max(1.0) * 1e6;
        self
    }
}

/// One second of requests.
fn run(side: &Side<'_>, connections: usize, done: &mut Done) -> Checked<()> {
    let script = tempfile::NamedTempFile::new()?;
    let report = "function done(s, l, r)\n  \
        io.write(string.format('\\n%d %d %f %f %d\\n', s.requests, s.duration, l:percentile(50), \
        l:percentile(99), s.errors.status + s.errors.connect + s.errors.read + s.errors.timeout))\nend\n";
    std::fs::write(script.path(), format!("{}{report}", side.script))?;
    let before = side.process.seconds()?;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), "-d1s", "-s"])
        .arg(script.path())
        .arg(format!("http://{}{}", side.address, side.path))
        .output()
        .map_err(|error| format!("wrk: {error}; install it"))?;
    done.seconds += side.process.seconds()? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or("");
    let numbers: Vec<f64> = last.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [requests, duration, median, slow, errors] = numbers[..] else {
        return Err(format!("wrk said: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    // A status of 400 or more is an error to wrk.
    if errors > 0.0 {
        return Err(format!("{errors} errors at {}: {text}", side.path).into());
    }
    done.requests += requests;
    done.rates.push(requests / duration * 1e6);
    done.median.push(median);
    done.slow.push(slow);
    Ok(())
}

/// The middle one of some numbers.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The latencies of a client that asks while something else goes on, in microseconds: the median, and that
/// of 99 in 100.
pub(crate) fn latencies(address: SocketAddr, path: &str, count: usize) -> Checked<(f64, f64)> {
    let (mut client, request) = (Client::connect(address)?, get(path, ""));
    let mut times = BTreeMap::new();
    for number in 0..count {
        let began = std::time::Instant::now();
        let (status, _) = client.send(&request)?;
        times.insert((began.elapsed(), number), status);
    }
    let at = |share: usize| {
        times.keys().nth(count * share / 100).map_or(f64::NAN, |(time, _)| time.as_secs_f64() * 1e6)
    };
    Ok((at(50), at(99)))
}

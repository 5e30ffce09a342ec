//! Requests a second and processor time, beside nginx in turns of a second.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use serde_json::json;

use crate::Options;
use crate::processes::{Files, Nginx, SIZES};
use gcs_benches::client::{Client, get};
use gcs_benches::server::Checked;
use gcs_benches::server::{Process, Server};

/// What one side is asked.
struct Side<'p> {
    process: &'p Process,
    url: String,
    /// Lua for wrk that sets the request up.
    script: String,
}

/// What one side did in all rounds.
#[derive(Default)]
pub(crate) struct Done {
    /// Requests a second of each round.
    pub(crate) rates: Vec<f64>,
    /// Latencies in microseconds of each round: the median, and that of 99 in 100.
    pub(crate) median: Vec<f64>,
    pub(crate) slow: Vec<f64>,
    requests: f64,
    seconds: f64,
}

impl Done {
    /// Processor time of a request in microseconds, over all rounds.
    pub(crate) fn cpu(&self) -> f64 {
        self.seconds / self.requests.max(1.0) * 1e6
    }
}

/// A row: what is asked, over how many connections, and what both sides did.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) ours: Done,
    /// The other side, and its name.
    pub(crate) other: Option<(&'static str, Done)>,
    /// What is wanted of the rate: this share of the other's.
    pub(crate) wanted: f64,
}

impl<'p> Side<'p> {
    fn ours(server: &'p Server, path: &str) -> Side<'p> {
        Side::of(&server.process, format!("http://{}{path}", server.public))
    }

    fn nginx(nginx: &'p Nginx, path: &str) -> Side<'p> {
        Side::of(&nginx.process, format!("http://{}{path}", nginx.address))
    }

    fn of(process: &'p Process, url: String) -> Side<'p> {
        Side { process, url, script: String::new() }
    }

    fn with(self, script: String) -> Side<'p> {
        Side { script, ..self }
    }
}

/// The rows, while they are measured.
struct Rows<'o> {
    options: &'o Options,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn add(
        &mut self,
        name: &str,
        connections: usize,
        wanted: f64,
        ours: &Side<'_>,
        other: Option<(&'static str, Side<'_>)>,
    ) -> Checked<()> {
        if !name.contains(&self.options.only) {
            return Ok(());
        }
        eprintln!("{name}, {connections} connections");
        let (mut here, mut there) = (Done::default(), Done::default());
        for round in 0..=self.options.rounds {
            if round == 1 {
                // The first round warms up.
                (here, there) = (Done::default(), Done::default());
            }
            run(ours, connections, &mut here)?;
            if let Some((_, other)) = &other {
                run(other, connections, &mut there)?;
            }
        }
        let other = other.map(|(side, _)| (side, there));
        self.rows.push(Row { name: name.to_owned(), connections, ours: here, other, wanted });
        Ok(())
    }
}

/// Measures all rows, with a server that speaks without TLS and one that speaks with it.
pub(crate) fn measure(
    options: &Options,
    [server, secret]: [&Server; 2],
    nginx: Option<&Nginx>,
    files: &Files,
) -> Checked<Vec<Row>> {
    let mut rows = Rows { options, rows: Vec::new() };
    let theirs = |path: &str| nginx.map(|nginx| ("nginx", Side::nginx(nginx, path)));
    let sizes = SIZES.iter().zip(&files.paths);
    for (((size, _), path), wanted) in sizes.clone().zip([1.0, 0.95, 1.1, 0.9]) {
        rows.add(&format!("{size} body"), 64, wanted, &Side::ours(server, path), theirs(path))?;
    }
    for ((size, _), path) in sizes {
        rows.add(&format!("{size} body"), 1, 0.95, &Side::ours(server, path), theirs(path))?;
    }
    let [small, medium, large, largest] = &files.paths[..] else { return Err("four files".into()) };
    for (name, path) in [("TLS, 20 KB body", medium), ("TLS, 1 MB body", large)] {
        let ours = Side::of(&secret.process, format!("https://{}{path}", secret.public));
        let theirs = nginx.map(|nginx| {
            ("nginx", Side::of(&nginx.process, format!("https://{}{path}", nginx.secret)))
        });
        rows.add(name, 64, 1.0, &ours, theirs)?;
    }
    for (name, path) in [
        ("1 MB body, nginx without sendfile", large),
        ("20 MB body, nginx without sendfile", largest),
    ] {
        let theirs = nginx.map(|nginx| {
            ("nginx", Side::of(&nginx.process, format!("http://{}{path}", nginx.copying)))
        });
        rows.add(name, 16, 1.0, &Side::ours(server, path), theirs)?;
    }
    let known =
        |address| -> Checked<String> { Ok(header("If-None-Match", &etag(address, small)?)) };
    let ours = Side::ours(server, small).with(known(server.public)?);
    let other = match nginx {
        Some(nginx) => Some(("nginx", Side::nginx(nginx, small).with(known(nginx.address)?))),
        None => None,
    };
    rows.add("304 answer", 64, 0.9, &ours, other)?;
    let record = Side::ours(server, large).with(header("Range", "bytes=200000-219999"));
    let name = "check record of 20 KB by Range, beside a file of 20 KB";
    rows.add(name, 64, 0.95, &record, theirs(medium))?;
    rows.add(name, 1, 0.95, &record, theirs(medium))?;
    let exact = Side::of(&server.process, format!("http://{}/v1/exact", server.private));
    let exact = exact.with(elements(server)?);
    let manifest = Some(("manifest", Side::ours(server, "/v1/manifest")));
    rows.add("exact match of 10 elements, beside the manifest", 64, 0.5, &exact, manifest)?;
    Ok(rows.rows)
}

fn header(name: &str, value: &str) -> String {
    format!("wrk.headers[{name:?}] = {value:?}\n")
}

fn etag(address: SocketAddr, path: &str) -> Checked<String> {
    let mut client = TcpStream::connect(address)?;
    write!(client, "HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut head = String::new();
    client.read_to_string(&mut head)?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut tags = lines.filter(|(name, _)| name.eq_ignore_ascii_case("etag"));
    Ok(tags.next().ok_or("no ETag")?.1.to_owned())
}

/// Ten elements, which are not published.
fn elements(server: &Server) -> Checked<String> {
    let query = |number: u8| {
        let element = format!("{number}+jP+0+Ci6+eNrZYq4mIua/Tm+yflbJJMHaBVxSK3Mk=");
        json!({ "date": "2026-01-05", "element": element })
    };
    let queries: Vec<_> = (0..10).map(query).collect();
    let body = json!({ "queries": queries }).to_string();
    let token = header("Authorization", &format!("Bearer {}", server.backend_token()?));
    Ok(format!("wrk.method = \"POST\"\nwrk.body = [[{body}]]\n{token}"))
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
        .arg(&side.url)
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
        return Err(format!("{errors} errors at {}: {text}", side.url).into());
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

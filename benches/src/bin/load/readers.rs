//! Clients that take their time, and what others notice of them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use crate::Options;
use crate::processes::Files;
use crate::speed::latencies;
use gcs_benches::server::Checked;
use gcs_benches::server::Server;

/// Readers of 20 MB that stop.
pub(crate) const STALLED: usize = 500;

/// Clients that send a head a byte at a time.
pub(crate) const SLOW: usize = 1000;

/// Requests of the client whose latency is measured.
const REQUESTS: usize = 5000;

pub(crate) struct Readers {
    /// Bytes of memory more with the stalled readers.
    pub(crate) stalled: u64,
    /// Latencies, the median and that of 99 in 100, in microseconds: alone, and beside slow heads.
    pub(crate) alone: (f64, f64),
    pub(crate) beside: (f64, f64),
}

pub(crate) fn measure(
    options: &Options,
    server: &Server,
    files: &Files,
) -> Checked<Option<Readers>> {
    if !"readers".contains(&options.only) {
        return Ok(None);
    }
    let large = &files.paths[3];
    let stall = || -> Checked<TcpStream> {
        let mut stream = TcpStream::connect(server.public)?;
        write!(stream, "GET {large} HTTP/1.1\r\nhost: x\r\n\r\n")?;
        stream.read_exact(&mut [0; 12])?;
        Ok(stream)
    };
    drop(stall()?);
    let before = server.process.resident()?;
    let readers = (0..STALLED).map(|_| stall()).collect::<Checked<Vec<_>>>()?;
    sleep(Duration::from_secs(1));
    let stalled = server.process.resident()?.saturating_sub(before);
    drop(readers);
    sleep(Duration::from_secs(1));

    let small = &files.paths[0];
    let alone = latencies(server.public, small, REQUESTS)?;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(TcpStream::connect(server.public)?);
    }
    let drip = std::thread::spawn(move || {
        // As a head of a minute, of which the server takes 5 seconds.
        let head = b"GET /v1/manifest HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n";
        for byte in head.iter().cycle().take(25) {
            for stream in &mut slow {
                let _ended = stream.write_all(&[*byte]);
            }
            sleep(Duration::from_millis(100));
        }
    });
    sleep(Duration::from_millis(200));
    let beside = latencies(server.public, small, REQUESTS)?;
    let _dripped = drip.join();
    Ok(Some(Readers { stalled, alone, beside }))
}

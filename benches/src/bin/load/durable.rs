//! Reports, which are on disk before they are answered, beside what the disk can do.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::rt;
use gcs_core::Date;
use gcs_core::report::{Code, Item, ReportBody};
use serde_json::json;

use crate::Options;
use crate::machine::{Processor, processor_seconds};
use gcs_benches::client::{Client, SharingClient, expect, get, post};
use gcs_benches::server::Checked;
use gcs_benches::server::Server;
use gcs_benches::timing::Times;

/// Reports of one client.
const ALONE: usize = 300;

/// Clients at once, and reports of each.
pub(crate) const CLIENTS: usize = 100;
const EACH: usize = 40;

pub(crate) struct Durable {
    /// Overwriting 4 KiB of a file and waiting for the disk, before and after the reports.
    pub(crate) raw: Times,
    pub(crate) alone: Times,
    pub(crate) crowd: Times,
    /// Reports a second of all clients together.
    pub(crate) rate: f64,
    /// Processor time in seconds for each of these reports: of the server, and of the clients.
    pub(crate) cpu: [f64; 2],
}

pub(crate) fn measure(
    options: &Options,
    server: &Server,
    folder: &Path,
) -> Checked<Option<Durable>> {
    if !"reports over HTTP".contains(&options.only) {
        return Ok(None);
    }
    eprintln!("reports over HTTP");
    let bodies = bodies(server, ALONE + CLIENTS * EACH)?;
    let (first, rest) = bodies.split_at(ALONE);
    let mut raw = overwrite(&folder.join("raw"), ALONE, 4096)?;
    let alone = Times::new(send(server, first)?);
    raw.extend(overwrite(&folder.join("raw"), ALONE, 4096)?);
    let requests: Vec<Vec<u8>> = rest.iter().map(|body| post("/v1/reports", "", body)).collect();
    let before = [server.process.seconds()?, processor_seconds(Processor::Process)];
    let began = Instant::now();
    let crowd = crowd(&[server.public], requests)?;
    let rate = rest.len() as f64 / began.elapsed().as_secs_f64();
    let after = [server.process.seconds()?, processor_seconds(Processor::Process)];
    let cpu = [0, 1].map(|side| (after[side] - before[side]) / rest.len() as f64);
    raw.extend(overwrite(&folder.join("raw"), ALONE, 4096)?);
    Ok(Some(Durable { raw: Times::new(raw), alone, crowd: Times::new(crowd), rate, cpu }))
}

/// Many clients at once, in one thread: a thread for each would take the servers' processors. Each has as many requests,
/// all for one of the addresses.
pub(crate) fn crowd(addresses: &[SocketAddr], mut requests: Vec<Vec<u8>>) -> Checked<Vec<f64>> {
    let each = requests.len() / CLIENTS;
    rt::System::new().block_on(async {
        let clients: Vec<_> = (0..CLIENTS)
            .zip(addresses.iter().cycle())
            .map(|(_, &address)| {
                let own = requests.split_off(requests.len() - each);
                rt::spawn(async move {
                    let times = send_sharing(address, &own).await;
                    times.map_err(|error| error.to_string())
                })
            })
            .collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await??);
        }
        Ok(times)
    })
}

async fn send_sharing(address: SocketAddr, requests: &[Vec<u8>]) -> Checked<Vec<f64>> {
    let mut client = SharingClient::connect(address).await?;
    let mut times = Vec::new();
    for request in requests {
        let began = Instant::now();
        let answer = client.send(request).await?;
        times.push(began.elapsed().as_secs_f64());
        expect(answer)?;
    }
    Ok(times)
}

fn send(server: &Server, bodies: &[String]) -> Checked<Vec<f64>> {
    let mut client = Client::connect(server.public)?;
    let mut times = Vec::new();
    for body in bodies {
        let request = post("/v1/reports", "", body);
        let began = Instant::now();
        let answer = client.send(&request)?;
        times.push(began.elapsed().as_secs_f64());
        expect(answer)?;
    }
    Ok(times)
}

/// Overwrites some bytes of a file that is there and waits for the disk with `fdatasync`, again and again.
pub(crate) fn overwrite(place: &Path, count: usize, bytes: usize) -> Checked<Vec<f64>> {
    let file = File::options().create(true).truncate(false).write(true).open(place)?;
    file.write_all_at(&[1; 64 << 10], 0)?;
    file.sync_all()?;
    let mut times = Vec::new();
    for number in 0..count {
        let began = Instant::now();
        file.write_all_at(&vec![number as u8; bytes], (number as u64 % 8) << 12)?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// Reports of 10 items, each with a code of its own.
pub(crate) fn bodies(server: &Server, count: usize) -> Checked<Vec<String>> {
    let provider = server.operate("/v1/admin/providers", &json!({ "name": "load" }).to_string())?;
    let token = provider["token"].as_str().ok_or("no token")?.to_owned();
    let mut client = Client::connect(server.private)?;
    let range = json!({ "count": count, "valid_days": 7 }).to_string();
    let range = expect(client.send(&post("/v1/provider/ranges", &token, &range))?)?;
    let path = format!("/v1/provider/ranges/{}/codes?format=json", range["first"]);
    let sheet = expect(client.send(&get(&path, &token))?)?;
    let codes = sheet["codes"].as_array().ok_or("no codes")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let date = Date::of_time((now - Duration::from_secs(3 * 86_400)).as_secs());
    let epoch = u32::try_from(date.start() / 900)?;
    let mut bodies = Vec::new();
    for (number, code) in codes.iter().enumerate() {
        let item = |at: u32| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
            seed[8..12].copy_from_slice(&at.to_le_bytes());
            Item::Dp3tUnlinkable { epoch: epoch + at, seed }
        };
        let code: Code = code.as_str().ok_or("no code")?.parse()?;
        let body = ReportBody { code, items: (0..10).map(item).collect() };
        bodies.push(String::from_utf8(body.to_json())?);
    }
    Ok(bodies)
}

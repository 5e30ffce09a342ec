//! Uploads of what a phone recorded in a day.

use std::time::Instant;

use gcs_benches::client::{Client, expect, post};
use gcs_benches::server::{Checked, Server};
use gcs_benches::timing::Times;
use gcs_core::identifiers::bluetrace::{KeyRing, windows_of};
use gcs_core::report::Code;
use gcs_core::{DAY_SECONDS, Date};
use gcs_server::bluetrace::Keys;
use gcs_server::domain::judge::Registered;
use serde_json::json;

use crate::phones::HAI;
use crate::table;

/// How many others a phone hears in each quarter of an hour.
const HEARD: usize = 10;

/// How often it hears each of them in that time: once a minute and a half.
const TIMES: u32 = 10;

/// Uploads that are made.
const COUNT: usize = 20;

/// The times and the processor time of uploads.
pub(crate) struct Uploads {
    /// Records of each.
    records: usize,
    /// Bytes of each.
    bytes: usize,
    times: Times,
    /// Processor time of each in seconds.
    seconds: f64,
}

impl Uploads {
    /// A section of the page.
    pub(crate) fn section(&self) -> String {
        let rows = table::figures(&[
            ("p50", table::millis(self.times.at(50))),
            ("longest", table::millis(self.times.longest())),
            ("processor time of one", table::millis(self.seconds)),
        ]);
        format!(
            "One upload of a day: {} records of {HEARD} others in each quarter of an hour, {:.1} MB; {COUNT} of them \
             one after the other.\n\n{rows}",
            self.records,
            self.bytes as f64 / 1e6,
        )
    }
}

/// Uploads one after the other, of different users.
pub(crate) fn measure(
    server: &Server,
    keys: &Keys,
    known: &[Registered],
    codes: &[Code],
) -> Checked<Uploads> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let date = Date::of_time(now - DAY_SECONDS);
    let ring = keys.ring(date).map_err(|problem| problem.to_string())?.clone();
    let mut client = Client::connect(server.public)?;
    let mut requests = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    for (number, (phone, code)) in known.iter().zip(codes).take(COUNT).enumerate() {
        let token = phone.token.to_string();
        let body = json!({ "code": code.to_string() }).to_string();
        let made = expect(client.send(&post("/bluetrace/v1/upload-tokens", &token, &body))?)?;
        let others = known.iter().cycle().skip(number + 1);
        let heard = recorded(&ring, date, others)?;
        let body = json!({ "token": made["token"], "records": heard, "events": [] }).to_string();
        (records, bytes) = (heard.len(), body.len());
        requests.push(post("/bluetrace/v1/uploads", &token, &body));
    }
    let before = server.process.seconds()?;
    let mut times = Vec::new();
    for request in &requests {
        let began = Instant::now();
        let verdicts = expect(client.send(request)?)?;
        times.push(began.elapsed().as_secs_f64());
        if verdicts["valid"] != records {
            return Err(format!("not {records} valid records: {verdicts}").into());
        }
    }
    let seconds = (server.process.seconds()? - before) / times.len() as f64;
    Ok(Uploads { records, bytes, times: Times::new(times), seconds })
}

/// The records of a phone for a date on which it hears some others in each quarter of an hour.
fn recorded<'k>(
    ring: &KeyRing,
    date: Date,
    mut others: impl Iterator<Item = &'k Registered>,
) -> Checked<Vec<serde_json::Value>> {
    let mut records = Vec::new();
    for window in windows_of(date) {
        for other in others.by_ref().take(HEARD) {
            let msg = ring.mint(&other.user, window)?.to_string();
            for time in 0..TIMES {
                let timestamp = window * 900 + time * (900 / TIMES);
                records.push(json!({
                    "timestamp": timestamp, "msg": msg, "org": HAI, "modelP": "Pixel 4",
                    "modelC": "SM-G973F", "rssi": -70, "txPower": null,
                }));
            }
        }
    }
    Ok(records)
}

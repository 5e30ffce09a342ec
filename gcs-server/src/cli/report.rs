//! The commands to try a server by hand as an app or a back office does: `element`, `report`,
//! `report-status` and `exact`.

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{ArgGroup, Args};
use data_encoding::BASE64;
use gcs_core::identifiers::dp3t;
use gcs_core::report::{Code, Item, MAX_REPORT_BYTES};
use gcs_core::{Date, exact};
use serde_json::{Value, json};

use super::ask_error::AskError;
use super::connection::{Ask, Client, Private, Public, SMALL};
use super::output::{Output, OutputArgs, Readers, note};
use super::{CommandResult, Error};
use crate::clock::Clock;
use crate::random::Random;
use crate::time;

/// A seed, and the element that other phones hear of it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  gcs-server element --time 2026-01-31T12:00:00Z")]
pub(super) struct ElementArgs {
    /// Time of the broadcast, as 2026-01-31T12:00:00Z or in Unix seconds [default: two days ago]
    #[arg(long, value_parser = time::parse)]
    time: Option<u64>,
    /// The seed, 32 bytes in base64 [default: a random one]
    #[arg(long, value_parser = parse_seed)]
    seed: Option<[u8; 32]>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A patient's report of one seed, or of items of any kind.
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("what").args(["seed", "random", "items"]).required(true),
    after_help = "Examples:\n  \
        gcs-server report --code 01A0-0Z92-6H3S-GEV5 --random\n  \
        gcs-server report --code 01A0-0Z92-6H3S-GEV5 --items items.json",
)]
pub(super) struct ReportArgs {
    /// The one-time code
    #[arg(long)]
    code: Code,
    /// The seed that was broadcast, as `element` shows it
    #[arg(long, value_parser = parse_seed, requires = "time")]
    seed: Option<[u8; 32]>,
    /// Time of the broadcast, as 2026-01-31T12:00:00Z or in Unix seconds
    #[arg(long, value_parser = time::parse, requires = "seed")]
    time: Option<u64>,
    /// Report a random seed of two days ago
    #[arg(long, conflicts_with = "time")]
    random: bool,
    /// Report the items of this file: a JSON list of them, as the API has it
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    #[command(flatten)]
    server: Public,
}

/// A report to ask about.
#[derive(Args, Debug)]
pub(super) struct ReportStatusArgs {
    /// The tracking id that `report` showed
    tracking_id: String,
    #[command(flatten)]
    server: Public,
}

/// An element to ask for.
#[derive(Args, Debug)]
pub(super) struct Exact {
    /// The UTC date on which it was broadcast, as 2026-01-31
    #[arg(long)]
    date: Date,
    /// The element, 16 to 64 bytes in base64
    #[arg(long, value_parser = parse_base64)]
    element: Bytes,
    #[command(flatten)]
    server: Private,
}

type Bytes = std::sync::Arc<[u8]>;

/// A seed of DP-3T's unlinkable design, and the quarter of an hour in which it is broadcast.
struct Broadcast {
    time: u64,
    epoch: u32,
    seed: [u8; 32],
}

impl Broadcast {
    fn new(time: Option<u64>, seed: Option<[u8; 32]>) -> Result<Broadcast, Error> {
        let two_days_ago = || Clock::System.now().saturating_sub(2 * gcs_core::DAY_SECONDS);
        let time = time.unwrap_or_else(two_days_ago);
        let epoch = dp3t::epoch_of(time).ok_or("the time is too late")?;
        Ok(Broadcast { time, epoch, seed: seed.map_or_else(|| Random::System.bytes(), Ok)? })
    }

    fn to_json(&self) -> Value {
        let Broadcast { time, epoch, seed } = self;
        json!({
            "time": time,
            "date": Date::of_time(*time),
            "epoch": epoch,
            "seed": BASE64.encode(seed),
            "element": BASE64.encode(&dp3t::unlinkable_element(seed, *epoch)),
        })
    }
}

pub(super) fn element(ElementArgs { time, seed, output }: &ElementArgs) -> CommandResult {
    let broadcast = Broadcast::new(*time, *seed)?.to_json();
    output.write(Readers::Owner, &format!("{broadcast:#}\n"))
}

pub(super) fn report(report: &ReportArgs) -> CommandResult {
    let client = report.server.connect()?;
    let broadcast = Broadcast::new(report.time, report.seed)?;
    let Broadcast { epoch, seed, .. } = broadcast;
    let items = match &report.items {
        Some(file) => items_of(file)?,
        None => serde_json::to_value([Item::Dp3tUnlinkable { epoch, seed }])?,
    };
    let body = json!({ "code": report.code.to_string(), "items": items });
    let output = Output::stdout(SMALL)?;
    let mut answer = send(&client, &body)?;
    if answer["status"] == "received" {
        note(
            "The report is on the disk of one server, and not judged yet, since the server cannot reach its log. \
             `gcs-server report-status` tells the verdict.",
        );
    }
    if let (true, Value::Object(fields)) = (report.random, broadcast.to_json()) {
        answer.as_object_mut().ok_or("no object in the answer")?.extend(fields);
    }
    let done = match report.random {
        true => "The report has been accepted; its random seed and its tracking id are lost.",
        false => "The report has been accepted; the same report again gets the same answer.",
    };
    output.write_after(&format!("{answer:#}\n"), done)?;
    Ok(ExitCode::SUCCESS)
}

/// The items of a file, whatever they are: the server says what is wrong with them.
fn items_of(file: &Path) -> Result<Value, Error> {
    let named = |what: &dyn Display| format!("{}: {what}", file.display());
    let open = File::open(file).map_err(|error| named(&error))?;
    let mut json = Vec::new();
    let limit = MAX_REPORT_BYTES as u64 + 1;
    open.take(limit).read_to_end(&mut json).map_err(|error| named(&error))?;
    if json.len() > MAX_REPORT_BYTES {
        return Err(named(&format_args!("a report has at most {MAX_REPORT_BYTES} bytes")).into());
    }
    match serde_json::from_slice(&json) {
        Ok(items @ Value::Array(_)) => Ok(items),
        Ok(_) => Err(named(&"no list of items").into()),
        Err(error) => Err(named(&error).into()),
    }
}

/// Sends a report, again if no answer came: the same report gets the first answer.
fn send(client: &Client, body: &Value) -> Result<Value, AskError> {
    let report = Ask::post("/v1/reports").with(body);
    for pause in [1, 3] {
        match client.ask(&report) {
            Err(error) if error.may_succeed_later() => {
                note(format_args!(
                    "{error}\nThe same report is sent again in {pause} s; that is safe."
                ));
                thread::sleep(Duration::from_secs(pause));
            }
            answer => return answer,
        }
    }
    client.ask(&report)
}

pub(super) fn report_status(
    ReportStatusArgs { tracking_id, server }: &ReportStatusArgs,
) -> CommandResult {
    if tracking_id.is_empty() || !tracking_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a tracking id is 32 hexadecimal digits".into());
    }
    server.connect()?.show(&Ask::get(format!("/v1/reports/{tracking_id}")))
}

pub(super) fn exact(Exact { date, element, server }: &Exact) -> CommandResult {
    let query = exact::Query { date: *date, element: element.to_vec() };
    let body = serde_json::to_value(exact::Request { queries: vec![query] })?;
    server.connect()?.show(&Ask::post("/v1/exact").with(&body))
}

fn parse_base64(text: &str) -> Result<Bytes, String> {
    let bytes = BASE64.decode(text.trim().as_bytes());
    bytes.map(Bytes::from).map_err(|_| "not base64, padded with =".to_owned())
}

fn parse_seed(text: &str) -> Result<[u8; 32], String> {
    let bytes = parse_base64(text)?;
    bytes.as_ref().try_into().map_err(|_| format!("a seed has 32 bytes, got {}", bytes.len()))
}

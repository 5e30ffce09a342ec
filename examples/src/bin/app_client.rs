//! An app without a screen: wakes once, syncs over HTTP, matches, confirms, and says so.
//!
//! ```text
//! app_client --server URL --root HEX --state FOLDER [--heard FILE] [--now SECONDS]
//! ```
//!
//! Run it as often as the system lets an app run in the background; each run says when it
//! wants the next. Everything between two runs is in the folder. `--root` is the public key
//! that the app ships with. `--heard` names a file with what the phone heard, a line each:
//! Unix time, a space, the element in hexadecimal or base64. `--now` is for servers that run
//! on a simulated clock.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use gcs_core::PublicKey;
use gcs_core::sync::{ClientSettings, Heard, Outcome, Wake};
use gcs_examples::http::{HttpClient, HttpServer};
use gcs_examples::{Folder, Traffic};

type Checked<T> = Result<T, Box<dyn Error>>;

const USAGE: &str =
    "usage: app_client --server URL --root HEX --state FOLDER [--heard FILE] [--now SECONDS]";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        // Not up to date: what was said before still stands, and the next run tries again.
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Checked<bool> {
    let options = Options::read(std::env::args().skip(1))?;
    // Durable: the library may rely on what it has put before it goes on.
    let own = Folder::durable(options.state);
    let settings = ClientSettings::new(options.root);
    let mut client = HttpClient::new(own, HttpServer::new(&options.server), settings);
    let heard = options.heard.map(|file| read_heard(&std::fs::read_to_string(file)?));
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;
    let now = match options.now {
        Some(now) => now,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    // All that is needed of the phone's other parts: the time, randomness, what was heard.
    let heard = heard.transpose()?.unwrap_or_default();
    let outcome = client.wake(Wake { now, entropy, heard });
    print(&outcome, client.traffic);
    Ok(outcome.up_to_date)
}

struct Options {
    server: String,
    root: PublicKey,
    state: PathBuf,
    heard: Option<PathBuf>,
    now: Option<u64>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Checked<Options> {
        let (mut server, mut root, mut state) = (None, None, None);
        let (mut heard, mut now) = (None, None);
        while let Some(option) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match option.as_str() {
                "--server" => server = Some(value),
                "--root" => root = Some(read_root(&value)?),
                "--state" => state = Some(value.into()),
                "--heard" => heard = Some(value.into()),
                "--now" => now = Some(value.parse()?),
                _ => return Err(USAGE.into()),
            }
        }
        let (server, root) = (server.ok_or(USAGE)?, root.ok_or(USAGE)?);
        Ok(Options { server, root, state: state.ok_or(USAGE)?, heard, now })
    }
}

fn read_root(hex: &str) -> Checked<PublicKey> {
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes())?;
    Ok(PublicKey(bytes.try_into().map_err(|_| "--root is 64 hexadecimal digits")?))
}

/// Reads what was heard; empty lines and lines that begin with `#` are left out.
fn read_heard(text: &str) -> Checked<Vec<Heard>> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let heard = lines.map(|(number, line)| {
        parse_heard(line).ok_or_else(|| format!("line {number}: not a time and an element").into())
    });
    heard.collect()
}

fn parse_heard(line: &str) -> Option<Heard> {
    let (time, element) = line.split_once(char::is_whitespace)?;
    let element = element.trim().as_bytes();
    // Hexadecimal first: in base64 the same digits would be an element of another length.
    let hex = HEXLOWER_PERMISSIVE.decode(element);
    let element = hex.or_else(|_| BASE64.decode(element)).ok()?;
    Some(Heard { time: time.parse().ok()?, element })
}

fn print(outcome: &Outcome, traffic: Traffic) {
    match outcome.held {
        Some(held) => println!("holds: series {}, tick {}", held.series, held.tick),
        None => println!("holds: nothing yet"),
    }
    println!("up to date: {}", if outcome.up_to_date { "yes" } else { "no" });
    println!("fetched: {} bytes in {} requests", traffic.total(), traffic.requests);
    if let Some(error) = &outcome.error {
        println!("not all was done: {error}");
    }
    for incident in &outcome.incidents {
        println!("dealt with: {incident:?}");
    }
    match &outcome.contacts {
        // What an earlier run said still stands then.
        None => println!("contacts: unknown, the folder could not be read"),
        Some(contacts) => println!("contacts: {}", contacts.len()),
    }
    for contact in outcome.contacts.iter().flatten() {
        let (first, last, element) = (contact.first, contact.last, &contact.element);
        println!("  {} from {first} to {last}: {}", contact.date, HEXLOWER.encode(element));
    }
    println!("undecided: {}", outcome.undecided);
    if let Some(asked) = outcome.asked {
        println!("asked: {asked:?}");
    }
    println!("next wake: {}", outcome.next_wake);
}

//! An app without a screen: wakes once, syncs over HTTP, matches, confirms, and prints the result.
//!
//! ```text
//! app_client --server URL --root HEX --state FOLDER [--heard FILE] [--seeds KIND] [--now SECONDS]
//! ```
//!
//! Run it as often as the system lets an app run in the background; each run prints when the
//! next is due. Everything that it keeps between two runs is in the folder.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use gcs_core::sync::{ClientSettings, Fetch as _, FolderDriver, Heard, Outcome, Session, Wake};
use gcs_core::{Date, Element, Folder, PublicKey};
use gcs_examples::Checked;
use gcs_examples::http::HttpFetch;
use gcs_examples::seeds::Seeds;
use gcs_examples::traffic::{Counted, Traffic};
use ureq::Proxy;

/// Wakes a client once: it syncs, matches what was heard, confirms, and prints its contacts.
///
/// Exits with 2 when it is not up to date: the contacts of the run before are still valid, and
/// the next run tries again.
#[derive(Debug, Parser)]
#[command(name = "app_client", version, max_term_width = 100)]
struct Options {
    /// Address of the server or of a mirror of it, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    server: String,
    /// The public key that the app ships with, in hexadecimal
    #[arg(long, value_name = "HEX")]
    root: PublicKey,
    /// Folder for everything that the client keeps from one run to the next
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// File of heard identifiers, a line each: Unix time, a space, the element in hexadecimal or base64
    #[arg(long, value_name = "FILE")]
    heard: Option<PathBuf>,
    /// Keep the published lists of this kind of seeds too, and look in what follows from them for what was heard
    #[arg(long, value_name = "KIND")]
    seeds: Option<Seeds>,
    /// Unix time instead of this machine's, for servers that run on a simulated clock
    #[arg(long, value_name = "SECONDS")]
    now: Option<u64>,
    /// Proxy to fetch through, such as http://127.0.0.1:3128 [default: none]
    #[arg(long, value_name = "URL", value_parser = Proxy::new)]
    proxy: Option<Proxy>,
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(help) => {
            // If this fails, there is nowhere to print the error.
            let _printed = help.print();
            return if help.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Checked<bool> {
    let heard = options.heard.map(std::fs::read_to_string).transpose()?;
    let heard = read_heard(&heard.unwrap_or_default())?;
    let now = match options.now {
        Some(now) => now,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;

    // One wake. It needs the time, randomness, and what the phone heard.
    let mut http = Counted::new(HttpFetch::through(options.proxy, &options.server));
    let fetch = |path: &str, byte_range: Option<_>, limit| http.fetch(path, byte_range, limit);
    let mut driver = FolderDriver::new(Folder::open(&options.state)?, fetch);
    let seeds = options.seeds.map(Seeds::kind);
    let settings = ClientSettings { seeds, ..ClientSettings::new(options.root) };
    let wake = Wake { now, entropy, heard: heard.clone() };
    let outcome = Session::new(&settings, wake).run(&mut driver);
    print(&outcome, http.traffic);
    if let Some(seeds) = options.seeds {
        let found = seeds.find(&outcome, &Folder::open(options.state)?, &heard)?;
        print_found(&outcome, found);
    }
    Ok(outcome.up_to_date)
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
        println!("error: {error}");
    }
    for incident in &outcome.incidents {
        println!("handled: {incident:?}");
    }
    match &outcome.contacts {
        // The contacts of the run before are still valid then.
        None => println!("contacts: unknown, the folder could not be read"),
        Some(contacts) if outcome.up_to_date => println!("contacts: {}", contacts.len()),
        Some(contacts) => println!("contacts, as of the last sync: {}", contacts.len()),
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

/// Prints the contacts that follow from seeds, which are no false alarms.
fn print_found(outcome: &Outcome, found: Option<BTreeSet<(Date, Element)>>) {
    let Some(found) = found else {
        return println!("contacts by seeds: unknown, the folder could not be read");
    };
    let lists = outcome.seeds.as_ref().map_or(0, Vec::len);
    println!("contacts by seeds, in {lists} lists: {}", found.len());
    for (date, element) in found {
        println!("  {date}: {}", HEXLOWER.encode(&element));
    }
}

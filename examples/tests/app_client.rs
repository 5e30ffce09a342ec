//! The app client as a program, and what it fetches from a folder of published files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey, interval_of};
use gcs_core::publish::{Day, FolderPlace, Keys, Publisher, PublisherSettings};
use gcs_core::seeds::{SeedDay, SeedList};
use gcs_core::{DAY_SECONDS, Date, Folder};

/// A server of the files in a folder. Returns its address.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let lines = BufReader::new(&connection).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let path = head[0].split(' ').nth(1).unwrap().to_owned();
            let (status, body) = match fs::read(folder.join(&path[1..])) {
                Ok(body) => (200, body),
                Err(_) => (404, Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            connection.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    format!("http://{address}")
}

/// Publishes keys of a date, as a set and as a list of seeds.
fn publish(home: &Path, keys: &Keys, now: u64, date: Date, published: &[ExposureKey]) {
    let folder = |name: &str| Folder::open(home.join(name)).unwrap();
    let mut place = FolderPlace::new(folder("public"), folder("private"));
    // So that a hit in a set is a contact without a question.
    let settings = PublisherSettings { rate_bits: 32, ..PublisherSettings::default() };
    let fresh = || Publisher::new(settings, 1);
    let publisher = place.resume().unwrap().unwrap_or_else(fresh);
    let elements = published.iter().flat_map(ExposureKey::identifiers).collect();
    let list = SeedList::build(published.iter().cloned().map(ExportKey::from)).unwrap();
    let publisher = publisher.with_seeds(vec![SeedDay::new(date, list)]);
    let publication = publisher.publish_next(now, &[Day { date, elements }], keys).unwrap();
    publication.write(&mut place).unwrap();
}

#[test]
fn an_app_that_expands_seeds_finds_what_the_sets_say() {
    let home = tempfile::tempdir().unwrap();
    let date: Date = "2026-01-05".parse().unwrap();
    let now = date.entry();
    let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
    let key = |byte| ExposureKey::new([byte; 16], interval_of(date.start()).unwrap(), 144).unwrap();
    let heard = key(7).identifiers().nth(60).unwrap();
    let file = home.path().join("heard.txt");
    let time = date.start() + 60 * 600;
    fs::write(&file, format!("{time} {}\n", HEXLOWER.encode(&heard))).unwrap();
    let server = serve(home.path().join("public"));
    let wake = |now: u64, seeds: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_app_client"))
            .args(["--server", &server, "--root", &keys.root.to_string(), "--seeds", seeds])
            .arg("--state")
            .arg(home.path().join("phone"))
            .arg("--heard")
            .arg(&file)
            .args(["--now", &now.to_string()])
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""));
        String::from_utf8(output.stdout).unwrap()
    };
    let by_seeds = |said: &str| -> Vec<String> {
        let lines = said.lines().skip_while(|line| !line.starts_with("contacts by seeds"));
        lines.map(str::to_owned).collect()
    };
    let found = format!("  2026-01-05: {}", HEXLOWER.encode(&heard));

    publish(home.path(), &keys, now, date, &[key(6), key(7)]);
    let said = wake(now, "gaen");
    assert!(said.contains("\ncontacts: 1\n"), "{said}");
    assert_eq!(by_seeds(&said), ["contacts by seeds, in 1 lists: 1".to_owned(), found]);
    // Of another kind nothing is published.
    let said = wake(now + 3600, "dp3t-hybrid");
    assert_eq!(by_seeds(&said), ["contacts by seeds, in 0 lists: 0"]);
    // What is taken back is no contact any more.
    publish(home.path(), &keys, now + 3600, date, &[key(6)]);
    let said = wake(now + 7200, "gaen");
    assert!(said.contains("\ncontacts: 0\n"), "{said}");
    assert_eq!(by_seeds(&said), ["contacts by seeds, in 1 lists: 0"]);
}

//! A phone that syncs over HTTP, and keeps what it has in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use data_encoding::HEXLOWER;
use gcs_core::files::Table;
use gcs_core::sync::{ClientSettings, Driver, Session, Wake};
use gcs_core::{Date, PublicKey, Set, Version};

use crate::common::api::try_ask;
use crate::server::{agent, now};

/// The elements of each date.
pub type Days = BTreeMap<Date, BTreeSet<[u8; 32]>>;

/// How it is said that a phone has something older than before.
pub const WENT_BACK: &str = "the phone went back";

/// A phone.
pub struct Phone {
    settings: ClientSettings,
    folder: BTreeMap<String, Vec<u8>>,
    wakes: u8,
    next_wake: u64,
    held: Option<Version>,
}

impl Phone {
    /// A new phone, with the root key as the server shows it.
    pub fn new(root: &str) -> Phone {
        let root = HEXLOWER.decode(root.as_bytes()).unwrap();
        let settings = ClientSettings::new(PublicKey(root.try_into().unwrap()));
        let settings = ClientSettings { poll_jitter: 0, ..settings };
        Phone { settings, folder: BTreeMap::new(), wakes: 0, next_wake: 0, held: None }
    }

    /// Syncs, and returns what was published then.
    ///
    /// # Errors
    /// What went wrong; a publication that is older than the one before.
    pub fn sync(&mut self, server: SocketAddr) -> Result<Version, String> {
        self.wakes = self.wakes.wrapping_add(1);
        let now = now().max(self.next_wake);
        let wake = Wake { now, entropy: [self.wakes; 32], heard: Vec::new() };
        let session = Session::new(&self.settings, wake);
        let outcome = session.run(&mut Wire { server, folder: &mut self.folder, agent: agent() });
        self.next_wake = outcome.next_wake;
        if outcome.held < self.held {
            return Err(format!("{WENT_BACK} from {:?} to {:?}", self.held, outcome.held));
        }
        if outcome.error.is_some() || !outcome.up_to_date {
            return Err(format!("the phone is not up to date: {outcome:?}"));
        }
        let held = outcome.held.ok_or("the phone holds nothing")?;
        self.held = Some(held);
        Ok(held)
    }

    /// The dates on which the phone has other elements than these, and how they differ.
    pub fn differences(&self, expected: &Days) -> Vec<String> {
        let table = self.folder.iter().find(|(name, _)| name.starts_with("table-"));
        let Some((_, table)) = table else { return vec!["the phone has no table".into()] };
        let table = Table::parse(table).unwrap();
        let mut differences = Vec::new();
        for date in expected.keys().filter(|date| table.row(**date).is_none()) {
            differences.push(format!("{date} is not published"));
        }
        for row in table.rows() {
            let Some(bytes) = self.folder.get(&format!("set-{}", row.identity)) else {
                differences.push(format!("{}: the phone has no set", row.date));
                continue;
            };
            let hasher = row.hasher();
            let elements = expected.get(&row.date).into_iter().flatten();
            let expected: BTreeSet<u64> =
                elements.map(|element| hasher.fingerprint(element)).collect();
            let found: BTreeSet<u64> = Set::parse(bytes.as_slice()).unwrap().iter().collect();
            let missing = expected.difference(&found).count();
            let invented = found.difference(&expected).count();
            if missing + invented > 0 {
                let date = row.date;
                differences
                    .push(format!("{date}: {missing} elements missing, {invented} invented"));
            }
        }
        differences
    }
}

/// The phone's folder, and the server.
struct Wire<'a> {
    server: SocketAddr,
    folder: &'a mut BTreeMap<String, Vec<u8>>,
    agent: ureq::Agent,
}

impl Driver for Wire<'_> {
    type Error = String;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        _limit: u64,
    ) -> Result<Option<Vec<u8>>, String> {
        let range = byte_range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let headers: Vec<_> = range.into_iter().map(|range| ("range", range)).collect();
        let answer = try_ask(&self.agent, self.server, "GET", path, &headers, "");
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status {
            200 | 206 => Ok(Some(answer.body)),
            404 => Ok(None),
            status => Err(format!("{path}: {status}")),
        }
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.folder.get(name).cloned())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.folder.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), String> {
        self.folder.remove(name);
        Ok(())
    }
}

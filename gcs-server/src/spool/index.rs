//! What is in a spool, in memory, and how much more may come.

use std::collections::{BTreeMap, HashMap};

use crate::domain::events::{CodeId, TrackingId};
use crate::domain::spooled::SpooledReport;

/// How much a spool holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of reports.
    pub reports: u64,
    /// Bytes of all reports.
    pub bytes: u64,
    /// Number of reports by one code: who takes a code first wins, and that is not known yet.
    pub of_one_code: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { reports: 100_000, bytes: 1 << 30, of_one_code: 3 }
    }
}

impl Limits {
    /// Those of a spool that takes nothing any more.
    pub fn nothing() -> Limits {
        Limits { reports: 0, bytes: 0, of_one_code: 0 }
    }
}

/// The part of a spool that codes may take which the last known state did not let bring a report. Whoever
/// has stolen a provider's key makes such codes without end.
const PART_OF_UNOPENED: u64 = 4;

/// A report that a spool holds, without its items.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) identity: [u8; 32],
    pub(super) tracking: TrackingId,
    pub(super) code: CodeId,
    pub(super) was_open: bool,
    pub(super) arrived: u64,
    /// Bytes that it takes in its file.
    pub(super) bytes: u64,
}

impl Held {
    pub(super) fn new(report: &SpooledReport, bytes: usize) -> Held {
        let SpooledReport { tracking, arrived, code, was_open, .. } = *report;
        let identity = report.identity();
        Held { identity, tracking, code, was_open, arrived, bytes: bytes as u64 }
    }
}

/// How many reports there are, and how large they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) all: Amount,
    unopened: Amount,
    by_code: HashMap<CodeId, u32>,
}

/// A number of reports and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amount {
    pub(super) reports: u64,
    pub(super) bytes: u64,
}

impl Amount {
    fn plus(self, other: Amount) -> Amount {
        Amount { reports: self.reports + other.reports, bytes: self.bytes + other.bytes }
    }

    fn fits(self, limits: Limits, part: u64) -> bool {
        self.reports <= limits.reports / part && self.bytes <= limits.bytes / part
    }
}

impl Tally {
    pub(super) fn add(&mut self, held: &Held) {
        let one = Amount { reports: 1, bytes: held.bytes };
        self.all = self.all.plus(one);
        if !held.was_open {
            self.unopened = self.unopened.plus(one);
        }
        *self.by_code.entry(held.code).or_default() += 1;
    }

    fn remove(&mut self, held: &Held) {
        let amounts = [Some(&mut self.all), (!held.was_open).then_some(&mut self.unopened)];
        for amount in amounts.into_iter().flatten() {
            amount.reports = amount.reports.saturating_sub(1);
            amount.bytes = amount.bytes.saturating_sub(held.bytes);
        }
        if let Some(count) = self.by_code.get_mut(&held.code) {
            *count -= 1;
            if *count == 0 {
                self.by_code.remove(&held.code);
            }
        }
    }

    fn of_code(&self, code: CodeId) -> u32 {
        self.by_code.get(&code).copied().unwrap_or(0)
    }

    /// Whether another report fits, besides those here and those that are just being written.
    pub(super) fn has_room(&self, written: &Tally, held: &Held, limits: Limits) -> bool {
        let one = Amount { reports: 1, bytes: held.bytes };
        let all = self.all.plus(written.all).plus(one);
        let unopened = self.unopened.plus(written.unopened).plus(one);
        all.fits(limits, 1)
            && (held.was_open || unopened.fits(limits, PART_OF_UNOPENED))
            && self.of_code(held.code) + written.of_code(held.code) < limits.of_one_code
    }
}

/// A file of a spool.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) reports: Vec<Held>,
    /// Whether something in it is damaged.
    pub(super) is_damaged: bool,
}

/// Everything that a spool holds, by file. The name of a file begins with the time of its first report.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) files: BTreeMap<String, Listed>,
    pub(super) tally: Tally,
    by_identity: HashMap<[u8; 32], TrackingId>,
    by_tracking: HashMap<TrackingId, u32>,
    /// Number of files that are kept aside because they are damaged.
    pub(super) damaged: u64,
    /// Number of files that only another deployment or release can read.
    pub(super) foreign: u64,
}

impl Index {
    pub(super) fn add(&mut self, name: String, listed: Listed) {
        for held in &listed.reports {
            self.tally.add(held);
            self.by_identity.entry(held.identity).or_insert(held.tracking);
            *self.by_tracking.entry(held.tracking).or_default() += 1;
        }
        self.files.insert(name, listed);
    }

    pub(super) fn remove(&mut self, name: &str) {
        for held in self.files.remove(name).into_iter().flat_map(|listed| listed.reports) {
            self.tally.remove(&held);
            if self.by_identity.get(&held.identity) == Some(&held.tracking) {
                self.by_identity.remove(&held.identity);
            }
            // A copy of a file has the same reports.
            if let Some(count) = self.by_tracking.get_mut(&held.tracking) {
                *count -= 1;
                if *count == 0 {
                    self.by_tracking.remove(&held.tracking);
                }
            }
        }
    }

    /// The tracking id of the same report, if it is here.
    pub(super) fn tracking_of(&self, identity: &[u8; 32]) -> Option<TrackingId> {
        self.by_identity.get(identity).copied()
    }

    /// Whether a report with this tracking id is here.
    pub(super) fn holds(&self, tracking: &TrackingId) -> bool {
        self.by_tracking.contains_key(tracking)
    }

    /// Unix time at which the first report arrived.
    pub(super) fn since(&self) -> Option<u64> {
        let reports = self.files.values().filter_map(|listed| listed.reports.first());
        reports.map(|held| held.arrived).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(number: u8, serial: u32, was_open: bool) -> Held {
        Held {
            identity: [number; 32],
            tracking: [number; 16],
            code: CodeId { provider: 1, generation: 1, serial },
            was_open,
            arrived: u64::from(number),
            bytes: 10,
        }
    }

    fn index(reports: &[Held]) -> Index {
        let mut index = Index::default();
        for held in reports {
            let listed = Listed { reports: vec![held.clone()], is_damaged: false };
            index.add(format!("{:03}", held.arrived), listed);
        }
        index
    }

    #[test]
    fn what_is_removed_leaves_no_trace() {
        let mut index = index(&[held(2, 1, true), held(1, 1, false), held(3, 2, true)]);
        assert_eq!((index.tally.all.reports, index.tally.all.bytes), (3, 30));
        assert_eq!(index.since(), Some(1));
        assert!(index.holds(&[2; 16]) && index.tracking_of(&[2; 32]) == Some([2; 16]));
        // A copy of a file under another name.
        index.add("999".into(), Listed { reports: vec![held(2, 1, true)], is_damaged: false });
        index.remove("002");
        assert!(index.holds(&[2; 16]));
        for name in ["999", "001", "003", "none"] {
            index.remove(name);
        }
        assert!(!index.holds(&[2; 16]) && index.since().is_none());
        assert_eq!(index.tally.all.reports + index.tally.all.bytes, 0);
        assert_eq!(index.tally.unopened.reports + index.tally.unopened.bytes, 0);
        let left = index.by_identity.len() + index.by_tracking.len() + index.tally.by_code.len();
        assert_eq!(left, 0);
    }

    #[test]
    fn reports_bytes_codes_and_those_that_were_not_open_are_limited() {
        let room = |index: &Index, written: &[Held], held: &Held, limits| {
            let mut tally = Tally::default();
            written.iter().for_each(|held| tally.add(held));
            index.tally.has_room(&tally, held, limits)
        };
        let limits = Limits { reports: 8, bytes: 1000, of_one_code: 3 };
        let many: Vec<Held> = (0..7).map(|number| held(number, number.into(), true)).collect();
        let full = index(&many);
        assert!(room(&full, &[], &held(9, 9, true), limits));
        assert!(!room(&full, &[held(8, 8, true)], &held(9, 9, true), limits));
        assert!(!room(&full, &[], &held(9, 9, true), Limits { bytes: 79, ..limits }));
        assert!(room(&full, &[], &held(9, 9, true), Limits { bytes: 80, ..limits }));
        // Three payloads of one code, wherever they are.
        let two = index(&[held(1, 1, true), held(2, 1, true)]);
        assert!(room(&two, &[], &held(3, 1, true), limits));
        assert!(!room(&two, &[held(3, 1, true)], &held(4, 1, true), limits));
        // A quarter of eight reports.
        let unopened = index(&[held(1, 1, false), held(2, 2, false)]);
        assert!(!room(&unopened, &[], &held(3, 3, false), limits));
        assert!(room(&unopened, &[], &held(3, 3, true), limits));
    }
}

//! TCN: a key for six hours, and a signed report for each.

use gcs_core::identifiers::tcn::{MemoType, Report, ReportAuthorizationKey};
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::Checked;

use crate::design::{Dated, Design, dates, number, numbered};
use crate::random::secret;

/// The TCN protocol. A number is broadcast for a quarter of an hour.
#[derive(Debug)]
pub(crate) struct Tcn;

const KEYS_A_DAY: u64 = 4;
const NUMBERS_A_KEY: u16 = 24;
const KEY_SECONDS: u64 = DAY_SECONDS / KEYS_A_DAY;
const NUMBER_SECONDS: u64 = KEY_SECONDS / NUMBERS_A_KEY as u64;

/// The key that a phone begins to use at a time.
fn key(person: u64, begin: u64) -> ReportAuthorizationKey {
    ReportAuthorizationKey::new(secret("tcn", &[person, begin]))
}

/// When the keys of a date begin.
fn begins(date: Date) -> impl Iterator<Item = u64> {
    (0..KEYS_A_DAY).map(move |at| date.start() + at * KEY_SECONDS)
}

impl Design for Tcn {
    fn name(&self) -> &'static str {
        "TCN, 6 h"
    }

    fn identifiers(&self, person: u64, date: Date) -> Vec<[u8; 16]> {
        let numbers = |begin| key(person, begin).numbers().take(NUMBERS_A_KEY.into());
        begins(date).flat_map(numbers).collect()
    }

    fn sighting(&self, identifier: &[u8; 16], _clock: u64) -> Vec<Vec<u8>> {
        vec![identifier.to_vec()]
    }

    /// A report says nothing of time, and so the date is sent beside it.
    fn messages(&self, person: u64, first: Date, clock: u64) -> Checked<Vec<Vec<u8>>> {
        let mut messages = Vec::new();
        for date in dates(first, Date::of_time(clock)) {
            for begin in begins(date).take_while(|begin| *begin <= clock) {
                let used = (clock - begin) / NUMBER_SECONDS + 1;
                let last = used.min(NUMBERS_A_KEY.into()) as u16;
                let report = key(person, begin).report(1, last, MemoType::CoEpi, b"")?;
                messages.push(numbered(date.days(), &report));
            }
        }
        Ok(messages)
    }

    fn expand(&self, message: &[u8], _received: Date) -> Checked<Dated> {
        let (days, report) = number(message)?;
        let (date, report) = (Date::from_days(days)?, Report::parse(report)?);
        Ok(report.numbers().map(|number| (date, number.into())).collect())
    }
}

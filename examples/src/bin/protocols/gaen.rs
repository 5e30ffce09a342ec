//! Apple and Google's Exposure Notification, on phones that tell the app what they heard.

use gcs_core::Date;
use gcs_core::identifiers::gaen::{ExposureKey, INTERVALS_A_DAY, interval_of};
use gcs_examples::Checked;

use crate::design::{Dated, Design, dates, number, numbered};
use crate::random::secret;

/// Exposure Notification: a key a day, an identifier for ten minutes.
#[derive(Debug)]
pub(crate) struct Gaen;

/// The key of a date, used for so many intervals.
fn key(person: u64, date: Date, period: u32) -> Checked<ExposureKey> {
    let bytes = secret("gaen", &[person, date.start()]);
    Ok(ExposureKey::new(bytes, date.days() * INTERVALS_A_DAY, period)?)
}

impl Design for Gaen {
    fn name(&self) -> &'static str {
        "Apple/Google, as a set"
    }

    fn identifiers(&self, person: u64, date: Date) -> Vec<[u8; 16]> {
        key(person, date, INTERVALS_A_DAY).iter().flat_map(ExposureKey::identifiers).collect()
    }

    fn sighting(&self, identifier: &[u8; 16], _clock: u64) -> Vec<Vec<u8>> {
        vec![identifier.to_vec()]
    }

    /// The key of the last date ends with the interval in which it is sent.
    fn messages(&self, person: u64, first: Date, clock: u64) -> Checked<Vec<Vec<u8>>> {
        let now = interval_of(clock).ok_or("a clock beyond all intervals")?;
        let message = |date: Date| {
            let start = date.days() * INTERVALS_A_DAY;
            let key = key(person, date, INTERVALS_A_DAY.min(now - start + 1))?;
            let period = key.rolling_period() as u8;
            Ok(numbered(start, &[&key.to_bytes()[..], &[period]].concat()))
        };
        dates(first, Date::of_time(clock)).map(message).collect()
    }

    fn expand(&self, message: &[u8], _received: Date) -> Checked<Dated> {
        let (start, key) = number(message)?;
        let (period, key) = key.split_last().ok_or("a key without its period")?;
        let key = ExposureKey::new(key.try_into()?, start, u32::from(*period))?;
        let date = Date::from_days(start / INTERVALS_A_DAY)?;
        Ok(key.identifiers().map(|identifier| (date, identifier.into())).collect())
    }
}

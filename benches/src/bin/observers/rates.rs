//! Attack 7: none, as nothing is asked. What does that cost?

use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, HashRange};

use crate::deployment::{DATES, Deployment, Plan, START};
use crate::phone::Server;
use crate::population::{Phone, Population};

/// Identifiers that a phone hears within the published dates.
const HEARD: f64 = 140_000.0;

/// What one rate costs and gives.
pub(crate) struct Rate {
    pub(crate) bits: u32,
    /// Bits an element in the sets of the last publication.
    pub(crate) bits_an_element: f64,
    /// Bytes that a phone fetches a day to be up to date, and of records.
    pub(crate) sync_bytes: f64,
    pub(crate) record_bytes: f64,
    pub(crate) questions: f64,
    /// False alarms of a phone in a year, before any question.
    pub(crate) false_alarms: f64,
}

/// Measures a rate on publications that come every `tick` seconds, for a phone that takes each.
pub(crate) fn rate(per_date: u32, tick: u64, days: u64, bits: u32) -> Rate {
    let plan = Plan { seed: 7, per_date, reported: DATES, tick, next: tick, days, rate_bits: bits };
    let deployment = Deployment::new(plan);
    let settings = ClientSettings::new(deployment.root);
    let Phone { log, .. } =
        Population::None.phones(&deployment, settings, Server::Honest, 1).remove(0);
    let is_steady = |time: &u64| *time >= START + DAY_SECONDS;
    let fetched = log.fetched.iter().filter(|(time, _)| is_steady(time));
    let questions = log.questions.iter().filter(|question| is_steady(&question.time));
    let record_bytes: u64 =
        questions.clone().map(|question| question.range.end - question.range.start).sum();
    let a_day = |bytes: u64| bytes as f64 / (days - 1) as f64;
    let rows = deployment.ticks.last().map_or(&[][..], |tick| tick.table.rows());
    let elements: u64 = rows.iter().map(|row| u64::from(row.len)).sum();
    // Every identifier is tested for as long as its date is published, and the set grows.
    let fullest = rows.iter().map(|row| row.hash_range.false_positive_rate(row.len));
    Rate {
        bits,
        bits_an_element: rows.iter().map(|row| row.bytes).sum::<u64>() as f64 * 8.0
            / elements as f64,
        sync_bytes: a_day(fetched.map(|(_, bytes)| bytes).sum::<u64>() - record_bytes),
        record_bytes: a_day(record_bytes),
        questions: a_day(questions.count() as u64),
        false_alarms: HEARD / DATES as f64 * 365.0 * fullest.fold(0.0, f64::max),
    }
}

/// The most elements for which a date can be planned at 2^-bits.
pub(crate) fn most_planned(bits: u32) -> u32 {
    let is_possible = |expected: u32| {
        let planned = HashRange::for_expected(expected, bits);
        planned.is_ok_and(|planned| planned <= HashRange::MAX_PUBLISHED)
    };
    let (mut least, mut most) = (1, u32::MAX);
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        if is_possible(middle) { least = middle } else { most = middle - 1 }
    }
    least
}

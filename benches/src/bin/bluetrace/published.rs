//! Published mode: from cases to a publication.

use std::error::Error;
use std::time::Instant;

use gcs_core::files::Path;
use gcs_core::identifiers::bluetrace::{Hai, KeyRing, NoDayKey, UserId, element};
use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date};
use rayon::prelude::*;

/// Days before a test for which a case is published.
const DAYS: u32 = 5;

/// Windows of a day, with a TempID each.
const WINDOWS: u32 = 96;

/// False positives that are wanted: 2^-28. A phone counts a case when it has heard two of its TempIDs.
const RATE_BITS: u32 = 28;

/// Derives, codes and publishes the TempIDs of so many cases. Gives a section of the page.
pub(crate) fn measure(cases: usize) -> Result<String, Box<dyn Error>> {
    let today = Date::of_time(1_790_000_000);
    let first = today.days().saturating_sub(DAYS);
    let ring = KeyRing::new(Date::from_days(first)?, [7; 32], today);
    let hai: Hai = "SG_OTC".parse()?;
    let users: Vec<UserId> = (0..cases).map(user).collect();

    let began = Instant::now();
    let day = |date: u32| -> Result<Day<[u8; 32]>, Box<dyn Error + Send + Sync>> {
        let windows = date * WINDOWS..(date + 1) * WINDOWS;
        let of_user = |user: &UserId| -> Result<Vec<[u8; 32]>, _> {
            windows
                .clone()
                .map(|window| Ok(element(&hai, window, &ring.mint(user, window)?)))
                .collect()
        };
        let elements: Vec<Vec<[u8; 32]>> =
            users.par_iter().map(of_user).collect::<Result<_, NoDayKey>>()?;
        Ok(Day { date: Date::from_days(date)?, elements: elements.concat() })
    };
    let days = (first..today.days()).map(day).collect::<Result<Vec<_>, _>>();
    let days = days.map_err(|error| error.to_string())?;
    let derived = began.elapsed();

    let now = today.entry() + DAY_SECONDS;
    let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
    let expected = u32::try_from(cases)? * WINDOWS;
    let settings =
        PublisherSettings { rate_bits: RATE_BITS, expected_per_date: expected, interval: 900 };
    let began = Instant::now();
    let publication = Publisher::new(settings, 1).publish_parallel(1, now, &days, &keys)?;
    let published = began.elapsed();
    let is_set = |path: &Path| matches!(path, Path::Set { .. });
    let sets = publication.files.iter().filter(|file| is_set(&file.path));
    let bytes: usize = sets.map(|file| file.bytes.len()).sum();
    let count = cases * (DAYS * WINDOWS) as usize;
    Ok(format!(
        "## Published mode\n\n{cases} cases of {} TempIDs each, {DAYS} days, at a rate of 2^-{RATE_BITS}, on all cores.\n\n\
         | what | measured |\n|---|---|\n\
         | TempIDs and elements derived | {:.1} s; {:.0} ns each |\n\
         | coded, with check records, signed | {:.1} s |\n\
         | both, of the 900 s of a tick | {:.1} % |\n\
         | sets | {:.1} MB; {:.1} bits an element |\n",
        DAYS * WINDOWS,
        derived.as_secs_f64(),
        derived.as_secs_f64() * 1e9 / count as f64,
        published.as_secs_f64(),
        (derived + published).as_secs_f64() / 9.0,
        bytes as f64 / 1e6,
        bytes as f64 * 8.0 / count as f64,
    ))
}

fn user(number: usize) -> UserId {
    let mut id = [0; 21];
    id[..8].copy_from_slice(&number.to_le_bytes());
    UserId(id)
}

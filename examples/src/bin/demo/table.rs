//! The closing table: each figure beside what it is measured against.

use std::time::Duration;

use gcs_core::DAY_SECONDS;
use gcs_core::files::MAX_MANIFEST_BYTES;
use gcs_examples::phone::HEARD;
use gcs_examples::{Checked, ensure};

use crate::reporting::THREADS;
use crate::story::{DATES, Story};
use crate::voice::say;

/// Bytes of an element as DP-3T phones make it, and of what a patient reports for it: the
/// epoch and the seed.
const ELEMENT_BYTES: u64 = 32;
const SEED_BYTES: u64 = 36;

/// More bytes than a set has besides its code.
const HEADER_BYTES: f64 = 128.0;

/// How long a server may take to be back with everything in its log.
const RESTART: Duration = Duration::from_secs(300);

/// Prints the table and the claims, and checks those that are about sizes.
pub(crate) fn print(story: &Story) -> Checked<()> {
    say("\n| what | figure | measured against |\n|---|---|---|")?;
    sizes(story)?;
    phones(story)?;
    server(story)?;
    say(CLAIMS)?;
    Ok(())
}

const CLAIMS: &str = "
Bytes are those of bodies; clients, providers and server share this machine. Verified on the way:
- every acknowledged report was there after kill -9, none twice; state and manifest were the same;
- mistyped and forged codes, codes used twice and bad items each got the right error;
- every contact was found and confirmed, and nothing else: also around midnight, behind a mirror
  that lies, and at a rate at which every phone meets false positives;
- retracted elements were removed from every phone by a bundle, as previewed; an expired date was
  removed with its contacts, and a new date was added;
- a phone that synced at every tick, phones that slept for a day and a fresh one ended with the
  same bytes;
- a single report was held, then published with filler; exact match gave the right answer each time;
- a client's day is smaller than the new elements raw; the sets are within 0.2 bit an element of
  the bound.";

fn row(what: &str, figure: &str, against: &str) -> Checked<()> {
    Ok(say(format!("| {what} | {figure} | {against} |"))?)
}

/// Rows about what is published, and what a client fetches of it.
fn sizes(story: &Story) -> Checked<()> {
    let (figures, scale) = (&story.figures, &story.scale);
    let (elements, sets, bound) = story.observer.sizes()?;
    let each = |bits: f64| bits / elements as f64;
    let bits = sets as f64 * 8.0;
    row(
        &format!(
            "sets of {} elements on {DATES} dates, false-positive rate below 2^-20",
            count(elements)
        ),
        &format!("{}, {:.2} bits an element", bytes(sets), each(bits)),
        &format!(
            "{:.2} bits: the bound for stored sets; {}: raw, {ELEMENT_BYTES} bytes each",
            each(bound),
            bytes(elements * ELEMENT_BYTES)
        ),
    )?;
    let headers = DATES as f64 * HEADER_BYTES * 8.0;
    ensure(bits - headers < bound + 0.2 * elements as f64, || {
        format!("{:.3} bits an element, bound {:.3}", each(bits), each(bound))
    })?;

    let day = story.day;
    let raw = figures.added * ELEMENT_BYTES;
    row(
        &format!(
            "**one client's day** of {} ticks: {} elements added, {} retracted",
            scale.ticks,
            count(figures.added),
            count(figures.retracted.1)
        ),
        &format!("**{}**", bytes(day.total())),
        &format!(
            "{}: the new elements raw; {}: their DP-3T seeds, {SEED_BYTES} bytes each; {}: whole \
             sets at every tick, as without deltas",
            bytes(raw),
            bytes(figures.added * SEED_BYTES),
            bytes(scale.ticks * sets)
        ),
    )?;
    row(
        "of it manifests, bundles, check records",
        &[day.manifests, day.bundles, day.confirmations].map(bytes).join(", "),
        "",
    )?;
    ensure(day.sets == 0 && day.total() < raw, || {
        "a client's day costs more than the new elements raw".into()
    })?;

    let bundles = &story.observer.bundles[1..];
    let mean = bundles.iter().sum::<u64>() / bundles.len() as u64;
    row(
        "bundle of one tick, every date changed (mean)",
        &bytes(mean),
        &format!("{}: the tick's new elements raw", bytes(raw / scale.ticks)),
    )?;
    row(
        "bundles for a phone that slept for the day",
        &bytes(figures.catch_up),
        &format!("{}: whole sets", bytes(sets)),
    )?;
    row(
        "manifest, at most",
        &bytes(story.observer.manifest_bytes),
        &format!("{}: the limit", bytes(MAX_MANIFEST_BYTES as u64)),
    )
}

/// Rows about what phones found out.
fn phones(story: &Story) -> Checked<()> {
    let (figures, scale) = (&story.figures, &story.scale);
    row(
        &format!(
            "contacts that {} phones found and confirmed among {} identifiers heard",
            scale.phones,
            count(scale.phones * HEARD as u64)
        ),
        &figures.confirmed.to_string(),
        &format!("{}: all there were, and nothing else", figures.confirmed),
    )?;
    row(
        "contacts withdrawn by the retraction",
        &figures.withdrawn.to_string(),
        &format!("{}: those with a retracted patient", scale.deceived()),
    )?;
    row(
        "verdicts changed by forged or stale check records",
        "0",
        &format!("{} records", figures.forged + figures.stale),
    )?;
    row(
        &format!("false positives recognised by {} phones, rate 2^-8", scale.coarse_phones),
        &figures.false_positives.to_string(),
        &format!(
            "{:.0}: expected among the identifiers of strangers",
            figures.false_positives_expected
        ),
    )?;
    row(
        &format!(
            "contacts that {} phones know at once at rate 2^-32, questions asked",
            scale.coarse_phones
        ),
        &format!("{}, 0", figures.unasked),
        &format!("sets {:.2} times as large as at 2^-20", figures.fine_size),
    )
}

/// Rows about what the server did, and how fast. The times depend on this machine.
fn server(story: &Story) -> Checked<()> {
    let (figures, scale) = (&story.figures, &story.scale);
    row(
        "reports lost, reports stored twice after a kill -9 and retries",
        "0, 0",
        &format!(
            "{} acknowledged at the kill, {} whose answer was lost, {} sent again",
            figures.acknowledged, figures.stored_unheard, figures.retried
        ),
    )?;
    let items = scale.elements / scale.reports as u64;
    row(
        &format!("reports accepted, {} items each, durable, {THREADS} connections", count(items)),
        &format!("{:.0} reports/s", figures.rate),
        &format!("{:.1} reports/s: 100,000 patients a day", 100_000.0 / DAY_SECONDS as f64),
    )?;
    for (took, reports) in &figures.restarts {
        row(
            &format!(
                "restart after a kill with {} reports in the log, until ready",
                count(*reports as u64)
            ),
            &time(*took),
            &format!("{}: the goal", time(RESTART)),
        )?;
        ensure(*took < RESTART, || format!("a restart took {took:?}"))?;
    }
    let mut ticks = figures.ticks.clone();
    ticks.sort();
    let (median, slowest) = (ticks[ticks.len() / 2], ticks[ticks.len() - 1]);
    let interval = time(Duration::from_secs(DAY_SECONDS / scale.ticks));
    row(
        "first tick, from the request until it is published",
        &time(figures.first_tick),
        &format!("{interval} between ticks"),
    )?;
    row(
        &format!("tick of the day, median, slowest of {}", ticks.len()),
        &format!("{}, {}", time(median), time(slowest)),
        &format!("{interval} between ticks"),
    )
}

/// A number of bytes in a unit that fits.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.2} MB", bytes as f64 / 1e6),
    }
}

/// A time in a unit that fits.
fn time(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min", time.as_secs() / 60),
    }
}

/// A number with a comma between thousands.
fn count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", count(number / 1_000), number % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_units_that_people_read() {
        assert_eq!(
            [0, 999, 1_050, 999_949, 3_035_255].map(bytes),
            ["0 B", "999 B", "1.1 kB", "999.9 kB", "3.04 MB"]
        );
        assert_eq!([7, 1_000, 1_108_478].map(count), ["7", "1,000", "1,108,478"]);
        let millis = [240, 1_250, 900_000].map(Duration::from_millis);
        assert_eq!(millis.map(time), ["240 ms", "1.2 s", "15 min"]);
    }
}

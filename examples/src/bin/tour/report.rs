//! The closing table.

use std::time::Duration;

use gcs_core::files::Row;

use crate::{Checked, DATES, ELEMENTS, Story, ensure, say};

/// Bytes of a DP-3T unlinkable report entry: the epoch and the seed.
const SEED_BYTES: usize = 36;

/// Prints what it cost.
pub(super) fn print(story: &Story<'_>) -> Checked<()> {
    let rows = story.backend.table()?.rows();
    let elements: u64 = rows.iter().map(|row| u64::from(row.len)).sum();
    let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
    let bits = bytes as f64 * 8.0 / elements as f64;
    let bound = rows.iter().map(bound_bits).sum::<f64>() / elements as f64;
    ensure(bits < bound + 0.2, || format!("{bits:.3} bits an element, bound {bound:.3}"))?;

    let published = &story.backend.published;
    let day = &published[1..];
    let mut times: Vec<Duration> = published.iter().map(|sizes| sizes.took).collect();
    times.sort();
    let mean_bundle = day.iter().map(|sizes| sizes.bundle).sum::<u64>() / day.len() as u64;
    let long = published.last().map_or(0, |sizes| sizes.long_bundle);
    let manifest = published.iter().map(|sizes| sizes.manifest).max().unwrap_or(0);
    let traffic = story.steady.client.traffic;
    let raw = story.added * 32;

    say("\n| what | figure |\n|---|---|");
    let line = |what: &str, figure: String| say(format!("| {what} | {figure} |"));
    line("elements at the first tick, dates", format!("{ELEMENTS}, {DATES}"));
    line("the first tick's sets", format!("{} bytes", story.first_sets));
    line("elements at the last tick (a date dropped, one let in)", format!("{elements}"));
    line("bits per element at rates below 2^-20, all bytes counted", format!("{bits:.3}"));
    line("the bound for stored sets, same ranges", format!("{bound:.3}"));
    line("full: the last tick's sets", format!("{bytes} bytes"));
    line("delta over 1 tick, every date changed (mean)", format!("{mean_bundle} bytes"));
    line("delta over 96 ticks", format!("{long} bytes"));
    line("manifest, at most", format!("{manifest} bytes"));
    line("elements added and removed in the day", format!("{} and {}", story.added, story.removed));
    line("**one client's day of 96 ticks**", format!("**{} bytes**", traffic.total()));
    line("- manifests", format!("{} bytes", traffic.manifests));
    line("- bundles", format!("{} bytes", traffic.bundles));
    line("- confirmations", format!("{} bytes", traffic.confirmations));
    line("the day's new elements raw, 32 bytes each", format!("{raw} bytes"));
    line(
        "their DP-3T unlinkable seeds, 36 bytes each",
        format!("{} bytes", story.added * SEED_BYTES),
    );
    line("phones, identifiers heard", format!("{}, {}", story.phones_confirmed, story.heard));
    line("false positives met and rejected, 4 other phones at rate 2^-8", {
        format!("{}", story.false_positives)
    });
    line("time per tick on this machine (median, slowest)", {
        let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        format!("{} ms, {} ms", median.as_millis(), slowest.as_millis())
    });
    ensure(traffic.total() < raw as u64, || "a client's day costs more than raw elements".into())
}

/// `log2(F choose N)` by Stirling: N·(log2(F/N) + log2 e) less terms that do not matter.
fn bound_bits(row: &Row) -> f64 {
    f64::from(row.len) * (row.hash_range.modulus(row.len).log2() + std::f64::consts::LOG2_E)
}

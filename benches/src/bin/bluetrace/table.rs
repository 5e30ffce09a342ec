//! Tables of the page.

use std::fmt::Write as _;

use gcs_benches::timing::Times;

/// A table of steps and their times.
pub(crate) fn times(steps: &[(&str, Times)]) -> String {
    let mut text = String::from("| step | p50 | p99 | longest |\n|---|---|---|---|\n");
    for (name, times) in steps {
        let [p50, p99, longest] = [times.at(50), times.at(99), times.longest()].map(millis);
        let _ = writeln!(text, "| {name} | {p50} | {p99} | {longest} |");
    }
    text + "\n"
}

/// A table of names and figures.
pub(crate) fn figures(rows: &[(&str, String)]) -> String {
    let mut text = String::from("| what | measured |\n|---|---|\n");
    for (name, figure) in rows {
        let _ = writeln!(text, "| {name} | {figure} |");
    }
    text + "\n"
}

/// Seconds as milliseconds.
pub(crate) fn millis(seconds: f64) -> String {
    let millis = seconds * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// Bytes as megabytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

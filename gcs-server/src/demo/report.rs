//! The closing table.

use std::time::Duration;

use super::day::DAY_TICKS;
use super::phones::HEARD;
use super::reporting::THREADS;
use super::{Checked, ELEMENTS, PHONES, REPORTS, Story, ensure, say};

/// Prints what it cost.
pub(super) fn print(story: &Story) -> Checked<()> {
    let figures = &story.figures;
    let mut ticks = figures.ticks.clone();
    ticks.sort();
    let (median, slowest) = (ticks[ticks.len() / 2], ticks[ticks.len() - 1]);
    let traffic = story.steady.client.traffic;
    let milliseconds = |time: Duration| format!("{} ms", time.as_millis());
    let bytes = |bytes: u64| format!("{bytes} bytes");

    say("\n| what | figure |\n|---|---|");
    let line = |what: &str, figure: String| say(format!("| {what} | {figure} |"));
    line("reports, elements", format!("{REPORTS}, {ELEMENTS}"));
    line(
        &format!(
            "reports accepted a second, each durable ({THREADS} connections, restart left out)"
        ),
        format!("{:.0}", figures.rate),
    );
    line("acknowledged at the kill -9; stored, but the answer was lost", {
        format!("{}; {}", figures.acknowledged, figures.stored_unheard)
    });
    line("sent again with the same bytes; lost or doubled in the end", {
        format!("{}; 0", figures.retried)
    });
    for (restart, reports) in &figures.restarts {
        line(&format!("killed with {reports} reports in the log: new process to ready"), {
            milliseconds(*restart)
        });
    }
    line("first tick, from the request until it is out", milliseconds(figures.first_tick));
    line("its sets", bytes(figures.first_sets));
    line("elements added and retracted in the day", {
        format!("{} and {}", figures.added, figures.retracted.1)
    });
    line("elements at the day's end, their sets", {
        format!("{}, {} bytes", figures.last_elements, figures.last_sets)
    });
    line(&format!("tick of the day, every date changed ({DAY_TICKS}; median, slowest)"), {
        format!("{}, {}", milliseconds(median), milliseconds(slowest))
    });
    line(
        &format!("**one client's day of {DAY_TICKS} ticks**"),
        format!("**{}**", { bytes(traffic.total()) }),
    );
    line("- manifests", bytes(traffic.manifests));
    line("- bundles", bytes(traffic.bundles));
    line("- confirmations", bytes(traffic.confirmations));
    line("a client that slept for the day, bundles", bytes(figures.catch_up));
    line("the bundle with the retraction", bytes(figures.retraction_bytes));
    line("phones, identifiers heard", format!("{PHONES}, {}", PHONES * HEARD as u64));
    line("contacts confirmed, all true; withdrawn by the retraction", {
        format!("{}; {}", figures.confirmed, figures.withdrawn)
    });
    say("\nBytes are those of bodies; clients, provider and server share this machine.");
    let day = traffic.sets == 0 && traffic.total() < figures.added * 32;
    ensure(day, || "a client's day costs more than the new elements raw".into())
}

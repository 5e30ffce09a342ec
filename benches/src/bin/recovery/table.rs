//! The table of what was measured.

use std::fmt::Write as _;

use gcs_benches::report::machine;

use crate::process::Figures;

/// What the steps measured.
pub(crate) struct Results {
    elements: u64,
    reports: u64,
    pub(crate) log_bytes: f64,
    pub(crate) replay: Figures,
    pub(crate) rebuild: Figures,
    pub(crate) without: Figures,
    pub(crate) with: Figures,
    pub(crate) large: Figures,
    pub(crate) seeds: Figures,
    pub(crate) ticks: Figures,
}

const MIB: f64 = (1 << 20) as f64;

impl Results {
    pub(crate) fn new(elements: u64, reports: u64) -> Results {
        let none = Figures::default;
        Results {
            elements,
            reports,
            log_bytes: f64::NAN,
            replay: none(),
            rebuild: none(),
            without: none(),
            with: none(),
            large: none(),
            seeds: none(),
            ticks: none(),
        }
    }

    /// The table as Markdown.
    pub(crate) fn text(&self) -> String {
        let live = self.replay.get("elements");
        let grown = self.replay.get("after_peak") - self.replay.get("before_now");
        let mib = |bytes: f64| format!("{:.0} MiB", bytes / MIB);
        let seconds = |seconds: f64| format!("{seconds:.2} s");
        let publications = self.rebuild.get("publications");
        let delays = |name: &str| {
            let get = |of: &str| self.ticks.get(&format!("{of}_{name}_most_ms"));
            format!("{:.1} ms ({:.1} ms without a tick)", get("ticks"), get("quiet"))
        };
        let rows = [
            ("replay of the state from SQLite", seconds(self.replay.get("seconds"))),
            ("memory of the state, most during the replay", mib(grown)),
            ("the same for each live element of 16 bytes", format!("{:.0} bytes", grown / live)),
            ("memory of the process, most during the replay", mib(self.replay.get("after_peak"))),
            ("digest of the state", seconds(self.replay.get("digest_seconds"))),
            (
                "rebuild of all publications, besides",
                format!("{} for {publications:.0}", seconds(self.rebuild.get("computing_seconds"))),
            ),
            ("memory of the process, most during that", mib(self.rebuild.get("after_peak"))),
            ("start without a checkpoint", seconds(self.without.get("seconds"))),
            ("start with a checkpoint", seconds(self.with.get("seconds"))),
            ("memory of the process, most during that", mib(self.with.get("started_peak"))),
            ("stop, which writes a checkpoint", seconds(self.without.get("stop_seconds"))),
            ("memory of the process, most during that", mib(self.without.get("stopped_peak"))),
            (
                "tick until it is published, median of 5, each after 10,000 new elements",
                seconds(self.large.get("tick_median")),
            ),
            ("memory of the server, most during these", mib(self.large.get("ticks_peak"))),
            (
                "replay of as many seeds of DP-3T, with elements of 32 bytes",
                seconds(self.seeds.get("seconds")),
            ),
        ];
        let ticks = [
            ("tick until it is published, median of 5", seconds(self.ticks.get("tick_median"))),
            ("tick until it is published, longest", seconds(self.ticks.get("tick_most"))),
            ("longest wait for the state, to read", delays("read")),
            ("longest time of a report until it is on disk", delays("report")),
            ("longest time of a fetch of the manifest", delays("fetch")),
            ("memory of the process, most", mib(self.ticks.get("ticks_peak"))),
        ];
        let mut text = format!("# Recovery\n\n{}\n", machine());
        text.push_str(
            "What is measured, and how to repeat it: [METHOD.md](../METHOD.md#recovery).\n",
        );
        let title = format!(
            "{} elements in {} reports, a log of {}",
            self.elements,
            self.reports,
            mib(self.log_bytes)
        );
        section(&mut text, &title, &rows);
        let title = format!(
            "Ticks at {:.0} elements, each after 10,000 new ones in 100 reports",
            self.ticks.get("elements")
        );
        section(&mut text, &title, &ticks);
        text
    }
}

fn section(text: &mut String, title: &str, rows: &[(&str, String)]) {
    // Writing to a string does not fail.
    let _title = writeln!(text, "\n## {title}\n\n| what | measured |\n|---|---|");
    for (what, measured) in rows {
        let _row = writeln!(text, "| {what} | {measured} |");
    }
}

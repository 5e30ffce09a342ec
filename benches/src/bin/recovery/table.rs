//! The table of what was measured.

use std::fmt::Write as _;

use gcs_benches::report::machine;

use crate::database::InDatabase;
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
    pub(crate) database: Option<InDatabase>,
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
            database: None,
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
        let both = |figures: &Figures, name: &str| {
            let wall = figures.get(&format!("{name}seconds"));
            let processor = figures.get(&format!("{name}processor_seconds"));
            format!("{wall:.2} s ({processor:.2} s of processors)")
        };
        let publications = self.rebuild.get("publications");
        let delays = |name: &str| {
            let get = |of: &str| self.ticks.get(&format!("{of}_{name}_most_ms"));
            format!("{:.1} ms ({:.1} ms without a tick)", get("ticks"), get("quiet"))
        };
        let rows = [
            ("replay of the state from SQLite", both(&self.replay, "")),
            ("memory of the state, most during the replay", mib(grown)),
            ("the same for each live element of 16 bytes", format!("{:.0} bytes", grown / live)),
            ("memory of the process, most during the replay", mib(self.replay.get("after_peak"))),
            ("digest of the state", seconds(self.replay.get("digest_seconds"))),
            (
                "rebuild of all publications, besides",
                format!("{} for {publications:.0}", seconds(self.rebuild.get("computing_seconds"))),
            ),
            ("memory of the process, most during that", mib(self.rebuild.get("after_peak"))),
            ("start without a checkpoint", both(&self.without, "")),
            ("start with a checkpoint", both(&self.with, "")),
            ("memory of the process, most during that", mib(self.with.get("started_peak"))),
            ("stop, which writes a checkpoint", both(&self.without, "stop_")),
            ("memory of the process, most during that", mib(self.without.get("stopped_peak"))),
            (
                "tick until it is published, median of 5, each after 10,000 new elements",
                seconds(self.large.get("tick_median")),
            ),
            ("memory of the server, most during these", mib(self.large.get("ticks_peak"))),
            ("replay of as many seeds of DP-3T, with elements of 32 bytes", both(&self.seeds, "")),
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
        if let Some(database) = &self.database {
            let title = format!("The same log in {}, on the same machine", database.version);
            section(&mut text, &title, &in_database(database, &both));
        }
        let title = format!(
            "Ticks at {:.0} elements, each after 10,000 new ones in 100 reports",
            self.ticks.get("elements")
        );
        section(&mut text, &title, &ticks);
        text
    }
}

/// The rows of a log that was moved to a database and back.
fn in_database(
    measured: &InDatabase,
    time: &impl Fn(&Figures, &str) -> String,
) -> [(&'static str, String); 6] {
    let InDatabase { version: _, copy, moved, replay, new, with, back } = measured;
    [
        ("copy of the log to the database, while a server may work on it", time(copy, "")),
        ("move of the log after that: no server takes reports meanwhile", time(moved, "")),
        ("replay of the state", time(replay, "")),
        ("start of a new node, which has only the key file", time(new, "")),
        ("start with a checkpoint", time(with, "")),
        ("move of the whole log back to a file: no server takes reports meanwhile", time(back, "")),
    ]
}

fn section(text: &mut String, title: &str, rows: &[(&str, String)]) {
    // Writing to a string does not fail.
    let _title = writeln!(text, "\n## {title}\n\n| what | measured |\n|---|---|");
    for (what, measured) in rows {
        let _row = writeln!(text, "| {what} | {measured} |");
    }
}

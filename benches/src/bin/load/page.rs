//! The page with the figures.

use std::fmt::Write as _;

use crate::durable::{CLIENTS, Durable};
use crate::in_process::InProcess;
use crate::machine;
use crate::readers::{Readers, SLOW, STALLED};
use crate::several::Several;
use crate::speed::{Row, median};
use gcs_benches::server::Server;

/// The page while it is written.
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn new(server: &Server, has_nginx: bool) -> Page {
        let mut text = String::from("# The server under load\n\n");
        let nginx = if has_nginx { machine::output("nginx", &["-v"]) } else { "no nginx".into() };
        let wrk = machine::output("wrk", &["-v"]);
        let wrk = wrk.split(" Copyright").next().unwrap_or("").to_owned();
        let commit = machine::output("git", &["rev-parse", "--short", "HEAD"]);
        let _ = writeln!(
            text,
            "Written by `cargo run --release -p gcs-benches --bin load`, which anyone can repeat ([METHOD.md](../METHOD.md)). \
             {} of commit {commit}, {nginx}, {wrk}.\n",
            server.version
        );
        Page(text)
    }

    pub(crate) fn text(mut self) -> String {
        let _ = writeln!(
            self.0,
            "\nThe machine: {}. The load generator ran on it too.",
            machine::describe()
        );
        self.0
    }

    pub(crate) fn speed(&mut self, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        self.0 += "## Requests\n\nBoth sides in turns of a second, after one to warm up: medians of the rounds, and of their \
                   ratios. CPU is the processor time of the serving processes for each request, over all rounds.\n\n\
                   | what | connections | requests a second | other side | ratio | wanted | CPU | other side | ratio | p50 | p99 |\n\
                   |---|---|---|---|---|---|---|---|---|---|---|\n";
        for Row { name, connections, ours, other, wanted } in rows {
            let rate = median(&ours.rates);
            let (side, ratio, cpu, cpus) = match other {
                None => ("-".into(), "-".into(), "-".into(), "-".into()),
                Some((name, other)) => {
                    let ratios =
                        ours.rates.iter().zip(&other.rates).map(|(ours, other)| ours / other);
                    let ratios: Vec<f64> = ratios.collect();
                    (
                        format!("{:.0} ({name})", median(&other.rates)),
                        format!("{:.2}", median(&ratios)),
                        format!("{:.1} µs", other.cpu()),
                        format!("{:.2}", ours.cpu() / other.cpu()),
                    )
                }
            };
            let _ = writeln!(
                self.0,
                "| {name} | {connections} | {rate:.0} | {side} | {ratio} | {wanted:.2} | {:.1} µs | {cpu} | {cpus} | {:.0} µs | {:.0} µs |",
                ours.cpu(),
                median(&ours.median),
                median(&ours.slow)
            );
        }
    }

    pub(crate) fn in_process(&mut self, in_process: &Option<InProcess>) {
        let Some(InProcess { raw, append, bytes, crowd, rate, cpu }) = in_process else { return };
        let per_second = raw.per_second();
        let _ = writeln!(
            self.0,
            "## Reports in process\n\nOf 10 items each, {bytes} bytes in the log, without HTTP; `raw` is overwriting as many bytes of a file \
             and waiting for the disk with `fdatasync`, in turns with the reports.\n\n\
             | what | figure |\n|---|---|\n\
             | raw, p50 | {:.3} ms; {per_second:.0} a second |\n\
             | the store appends one report, p50 | {:.3} ms: {:.2} times raw (wanted: 1.5) |\n\
             | {CLIENTS} clients of a node | {rate:.0} reports a second: {:.1} times raw (wanted: 10); p99 {:.1} ms; {} |\n",
            milliseconds(raw.at(50)),
            milliseconds(append.at(50)),
            append.at(50) / raw.at(50),
            rate / per_second,
            milliseconds(crowd.at(99)),
            processor(cpu, "node"),
        );
    }

    pub(crate) fn durable(&mut self, durable: &Option<Durable>) {
        let Some(Durable { raw, alone, crowd, rate, cpu }) = durable else { return };
        let per_second = raw.per_second();
        let _ = writeln!(
            self.0,
            "## Reports over HTTP\n\nOf 10 items each, in the log on the disk before they are answered; `raw` is overwriting 4 KiB of a file and \
             waiting for the disk with `fdatasync`, measured before, between and after.\n\n\
             | what | figure |\n|---|---|\n\
             | raw, p50 | {:.2} ms; {per_second:.0} a second |\n\
             | one client, p50 | {:.2} ms: {:.2} times raw |\n\
             | {CLIENTS} clients | {rate:.0} reports a second: {:.1} times raw (wanted: 2); p99 {:.1} ms (wanted: 25); {} |\n",
            milliseconds(raw.at(50)),
            milliseconds(alone.at(50)),
            alone.at(50) / raw.at(50),
            rate / per_second,
            milliseconds(crowd.at(99)),
            processor(cpu, "server"),
        );
    }

    pub(crate) fn several(&mut self, several: &Option<Several>) {
        let Some(Several { version, sides }) = several else { return };
        let _ = writeln!(
            self.0,
            "## Reports over HTTP, the log in PostgreSQL\n\nOf 10 items each, from {CLIENTS} clients at once, in turns; {version} with its own defaults, on \
             the same disk and the same processors as the servers, the standby and the clients. Medians of the turns.\n\n\
             | the log in | reports a second | beside | p50 | p99 |\n|---|---|---|---|---|"
        );
        for side in sides {
            let beside = side.wanted.map_or("-".into(), |(wanted, of)| {
                let ratio = side.rate() / sides[of].rate();
                format!("{ratio:.2} of {} (wanted: {wanted})", sides[of].name)
            });
            let _ = writeln!(
                self.0,
                "| {} | {:.0} | {beside} | {:.1} ms | {:.1} ms |",
                side.name,
                side.rate(),
                milliseconds(side.times.at(50)),
                milliseconds(side.times.at(99))
            );
        }
        self.0.push('\n');
    }

    pub(crate) fn readers(&mut self, readers: &Option<Readers>) {
        let Some(Readers { stalled, alone, beside }) = readers else { return };
        let _ = writeln!(
            self.0,
            "\n## Slow clients\n\n| what | figure |\n|---|---|\n\
             | {STALLED} readers of 20 MB that stop | {:.0} MiB more memory (wanted: 64) |\n\
             | another client's latency alone | p50 {:.0} µs, p99 {:.0} µs |\n\
             | beside {SLOW} connections that send their head a byte at a time | p50 {:.0} µs, p99 {:.0} µs: {:.2} times (wanted: 2) |",
            *stalled as f64 / f64::from(1 << 20),
            alone.0,
            alone.1,
            beside.0,
            beside.1,
            beside.1 / alone.1
        );
    }
}

/// Processor time for each report, of a side and of its clients.
fn processor([own, clients]: &[f64; 2], side: &str) -> String {
    format!(
        "{:.1} µs of processor time each for the {side}, and {:.1} µs for the clients, which share its processors",
        own * 1e6,
        clients * 1e6
    )
}

fn milliseconds(seconds: f64) -> f64 {
    seconds * 1000.0
}

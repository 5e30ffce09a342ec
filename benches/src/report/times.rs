//! Times of several structures at several n: as a file, a table, sentences and a plot.

use std::fmt::Write as _;

use super::csv::{self, Csv};
use super::plots::{Plot, Series};
use super::words;
use crate::timing::Timing;

/// Times of the same work, in nanoseconds of one operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    rows: Vec<(usize, Timing)>,
}

impl Times {
    /// Adds the timings at one n.
    pub(super) fn add(&mut self, len: usize, timings: Vec<Timing>) {
        self.rows.extend(timings.into_iter().map(|timing| (len, timing)));
    }

    /// The median of a structure at one n.
    pub(super) fn median(&self, name: &str, len: usize) -> Option<f64> {
        let row = self.rows.iter().find(|(at, timing)| *at == len && timing.name == name);
        row.map(|(_, timing)| timing.median())
    }

    /// All n, in the order in which they were measured.
    pub(super) fn lens(&self) -> Vec<usize> {
        let mut lens: Vec<usize> = self.rows.iter().map(|row| row.0).collect();
        lens.dedup();
        lens
    }

    /// All names, in the order in which they were measured.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, timing) in &self.rows {
            if !names.contains(&timing.name.as_str()) {
                names.push(&timing.name);
            }
        }
        names
    }

    /// A row for each structure and n.
    pub(super) fn csv(&self) -> Csv {
        let mut csv =
            Csv::new(&["name", "n", "median_ns", "quartile1_ns", "quartile3_ns", "passes"]);
        for (len, timing) in &self.rows {
            let quantiles = [0.5, 0.25, 0.75].map(|part| csv::number(timing.quantile(part)));
            let [median, first, third] = quantiles;
            let passes = timing.nanos.len().to_string();
            csv.push([timing.name.clone(), len.to_string(), median, first, third, passes]);
        }
        csv
    }

    /// A Markdown table: a row for each structure, a column for each n.
    pub(super) fn table(&self) -> String {
        let (lens, names) = (self.lens(), self.names());
        let mut text = String::from("| ns |");
        for len in &lens {
            let _written = write!(text, " n = {} |", words::count(*len));
        }
        let _written = write!(text, "\n|---|{}\n", "---:|".repeat(lens.len()));
        for name in names {
            let _written = write!(text, "| {name} |");
            for len in &lens {
                let median = self.median(name, *len).unwrap_or(f64::NAN);
                let _written = write!(text, " {} |", words::measured(median));
            }
            text.push('\n');
        }
        text
    }

    /// A sentence for each other structure, which compares it with ours at every n.
    pub(super) fn sentences(&self, ours: &str) -> String {
        let mut text = String::new();
        for name in self.names().into_iter().filter(|name| !name.starts_with("ours")) {
            let compare = |len: usize| {
                let (one, other) = (self.median(ours, len)?, self.median(name, len)?);
                let words = words::faster((ours, one), (name, other));
                Some(format!("n = {}: {words}", words::count(len)))
            };
            let parts: Vec<String> = self.lens().into_iter().filter_map(compare).collect();
            let _written = writeln!(text, "- {}.", parts.join("; "));
        }
        text
    }

    /// A line for each structure, over n.
    pub(super) fn plot(&self, file: &'static str, title: &str, y: &'static str) -> Plot {
        let series = |name: &str| {
            let point = |len: usize| Some((len as f64, self.median(name, len)?));
            let points = self.lens().into_iter().filter_map(point).collect();
            Series { name: name.into(), points }
        };
        let series = self.names().into_iter().map(series).collect();
        Plot { file, title: title.into(), x: "elements in the set (n)", y, is_log: true, series }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        let timing = |name: &str, nanos: &[f64]| Timing { name: name.into(), nanos: nanos.into() };
        let mut times = Times::default();
        times.add(1_000, vec![timing("ours", &[1.0, 2.0, 3.0]), timing("peer", &[3.0])]);
        times.add(2_000, vec![timing("ours", &[4.0]), timing("peer", &[1.0])]);
        times
    }

    #[test]
    fn tables_have_a_row_for_each_structure() {
        let table = "| ns | n = 1k | n = 2k |\n|---|---:|---:|\n\
                     | ours | 2.00 | 4.00 |\n| peer | 3.00 | 1.00 |\n";
        assert_eq!(times().table(), table);
        let csv = times().csv().to_text();
        assert_eq!(csv.lines().nth(1), Some("ours,1000,2.00000,1.50000,2.50000,3"));
        assert_eq!(csv.lines().count(), 5);
        assert!(csv.lines().all(|line| line.split(',').count() == 6));
    }

    #[test]
    fn sentences_say_who_is_faster_at_each_n() {
        let sentence = "- n = 1k: **ours is 1.5 times as fast as peer**; \
                        n = 2k: **peer is 4.0 times as fast as ours**.\n";
        assert_eq!(times().sentences("ours"), sentence);
    }

    #[test]
    fn plots_have_a_line_for_each_structure() {
        let plot = times().plot("a.svg", "A", "ns");
        assert_eq!(plot.series.len(), 2);
        assert_eq!(plot.series[1].points, [(1_000.0, 3.0), (2_000.0, 1.0)]);
    }
}

//! The sections on amounts: sizes and false positives, memory.

use std::error::Error;
use std::fmt::Write as _;

use super::csv::{self, Csv};
use super::plots::{Plot, Series};
use super::speed::taking_part;
use super::{Scope, Section, memory, words};
use crate::peers::{FUSE8, FUSE32};
use crate::plan::Plan;
use crate::queries::{self, Pool};
use crate::settings::Settings;
use crate::structure::Structure;

/// A structure's size and rate.
struct Size {
    structure: Structure,
    bits: f64,
    rate: f64,
}

impl Size {
    /// Bits an element above log2 of the inverse rate, which no filter can go below.
    fn above(&self) -> f64 {
        self.bits + self.rate.log2()
    }
}

/// Sizes of all structures, and their false positives.
pub(super) fn size(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let header =
        ["name", "n", "bytes", "bits_per_element", "stated_rate", "asked", "false_positives"];
    let mut csv = Csv::new(&header);
    let mut section = Section::new("Size and false positives", String::new());
    let middle = scope.settings.middle();
    let mut table = String::from(
        "| | bits an element | stated rate | false positives | counted rate | above log2(1/rate) |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let mut sizes = Vec::new();
    for &len in &scope.settings.lens {
        scope.say(&format!("size, n = {len}"));
        let plan = scope.plan(len);
        let base = Pool::base(&plan, &scope.settings);
        let structures = taking_part(scope).into_iter();
        for structure in structures {
            let built = (structure.build)(&plan, base.all());
            let (bytes, rate) = (built.bytes(), (structure.rate)(&plan));
            let bits = bytes as f64 * 8.0 / len as f64;
            let row = [structure.name.into(), len.to_string(), bytes.to_string()];
            let mut row: Vec<String> =
                row.into_iter().chain([csv::number(bits), csv::number(rate)]).collect();
            if len == middle {
                let found: usize = queries::unknown(scope.absent)
                    .map(|elements| Pool::of(elements, &scope.settings))
                    .map(|pool| built.count(pool.all()))
                    .sum();
                row.extend([scope.absent.to_string(), found.to_string()]);
                let size = Size { structure, bits, rate };
                let counted = found as f64 / scope.absent as f64;
                // So few say nothing of a rate.
                let counted = if found < 5 { "–".into() } else { power(counted) };
                let _written = writeln!(
                    table,
                    "| {} | {bits:.2} | {} | {} | {counted} | {:.2} |",
                    structure.name,
                    power(rate),
                    words::thousands(found as u64),
                    size.above(),
                );
                sizes.push(size);
            }
            csv.push(row);
        }
    }
    section.csvs.push(("size.csv", csv));
    section.text = format!(
        "At n = {}, header and trailer included, and of *ours with index* the index in \
         memory, which no file carries. False positives are counted over {} elements that \
         were not put in. Rates differ, so sizes are compared by what they take above log2(1/rate): no \
         filter takes less than nothing there, and no list of fingerprints less than 1.44.\n\n{table}\n{}",
        words::count(middle),
        words::thousands(scope.absent as u64),
        size_sentences(&sizes),
    );
    if let [ours, peers @ ..] = &sizes[..] {
        for peer in peers
            .iter()
            .filter(|peer| ["BinaryFuse16", "ribbon w=128"].contains(&peer.structure.name))
        {
            let line =
                words::fewer_bits(("ours", ours.above()), (peer.structure.name, peer.above()));
            let line = format!("{line} above log2(1/rate)");
            section.glance.push(("size".into(), words::count(middle), line));
        }
    }
    rates(scope, &mut section)?;
    Ok(section)
}

/// A rate as a power of two.
fn power(rate: f64) -> String {
    format!("2^-{:.2}", -rate.log2())
}

fn size_sentences(sizes: &[Size]) -> String {
    let mut text = String::new();
    let Some((ours, peers)) = sizes.split_first() else { return text };
    for peer in peers {
        let name = peer.structure.name;
        let line = words::fewer_bits(("ours", ours.above()), (name, peer.above()));
        let more = ours.rate / peer.rate;
        let rates = match more {
            less if less > 1.05 => {
                format!("; {name} has a rate {} times as low", words::times(less))
            }
            more if more < 0.95 => {
                format!("; {name} has a rate {} times as high", words::times(1.0 / more))
            }
            _ => String::new(),
        };
        let _written = writeln!(text, "- above log2(1/rate), {line}{rates}.");
    }
    text
}

/// Bits of the rates of the plot.
const RATES: [u32; 8] = [4, 7, 11, 15, 19, 23, 27, 31];

/// Sizes over a span of rates.
fn rates(scope: &Scope, section: &mut Section) -> Result<(), Box<dyn Error>> {
    let len = scope.settings.middle();
    let mut csv = Csv::new(&["name", "n", "log2_of_inverse_rate", "bits_per_element"]);
    let mut series: Vec<Series> = Vec::new();
    let structures = taking_part(scope).into_iter().chain([FUSE8, FUSE32]);
    for structure in structures.filter(|one| one.name != "roaring Treemap") {
        scope.say(&format!("size by rate, {}", structure.name));
        let mut points: Vec<(f64, f64)> = Vec::new();
        // The slowest to build, and as large as ours at every rate: three rates show it.
        let rates = if structure.name == "bip158" { &[7, 19, 31][..] } else { &RATES };
        for &rate_bits in rates {
            let settings = Settings { rate_bits, ..scope.settings.clone() };
            let plan = Plan { len, rate_bits };
            let across = -(structure.rate)(&plan).log2();
            if points.iter().any(|point| (point.0 - across).abs() < 0.01) {
                continue; // It has only one rate, or has not that many.
            }
            let base = Pool::base(&plan, &settings);
            let bits = (structure.build)(&plan, base.all()).bytes() as f64 * 8.0 / len as f64;
            points.push((across, bits));
            let numbers = [len.to_string(), csv::number(across), csv::number(bits)];
            csv.push([structure.name.to_owned()].into_iter().chain(numbers));
        }
        // The three fuse filters are one line.
        let name = if structure.package == "xorf" { "BinaryFuse8, 16, 32" } else { structure.name };
        match series.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.extend(points),
            None => series.push(Series { name: name.into(), points }),
        }
    }
    for line in &mut series {
        line.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    // 64 bits an element, whatever the rate, would flatten all other lines.
    series.retain(|line| line.name != "sorted Vec");
    let bound = (4..=32).map(|bits| (f64::from(bits), f64::from(bits))).collect();
    series.push(Series { name: "bound of any filter".into(), points: bound });
    section.csvs.push(("size-by-rate.csv", csv));
    section.plots.push(Plot {
        file: "size.svg",
        title: format!("Size against rate, n = {}", words::count(len)),
        x: "log2(1 / false-positive rate)",
        y: "bits an element",
        is_log: false,
        series,
    });
    Ok(())
}

/// Memory while building.
pub(super) fn memory(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut csv = Csv::new(&["name", "n", "peak_bytes", "rest_bytes"]);
    let mut section = Section::new("Memory", String::new());
    let structures = taking_part(scope);
    let lens = &scope.settings.lens;
    let mut table = String::from("| bytes an element |");
    for len in lens {
        let _written = write!(table, " peak, n = {} |", words::count(*len));
    }
    let _written = write!(table, " at rest |\n|---|{}---:|\n", "---:|".repeat(lens.len()));
    let (mut series, mut largest) = (Vec::new(), Vec::new());
    for structure in structures {
        let _written = write!(table, "| {} |", structure.name);
        let (mut points, mut rest) = (Vec::new(), f64::NAN);
        for &len in lens {
            scope.say(&format!("memory, {}, n = {len}", structure.name));
            let Some(found) = memory::measure(scope, structure.name, len)? else {
                let _written = write!(table, " – |");
                continue;
            };
            let numbers = [len as u64, found.peak, found.rest].map(|number| number.to_string());
            csv.push([structure.name.to_owned()].into_iter().chain(numbers));
            let peak = found.peak as f64 / len as f64;
            rest = found.rest as f64 / len as f64;
            let _written = write!(table, " {} |", words::measured(peak));
            points.push((len as f64, peak));
        }
        let _written = writeln!(table, " {} |", words::measured(rest));
        largest.extend(points.last().map(|point| (structure, point.1)));
        series.push(Series { name: structure.name.into(), points });
    }
    let mut sentences = String::new();
    if let Some((ours, peers)) = largest.split_first() {
        for (peer, peak) in peers.iter().filter(|peer| !peer.0.is_ours()) {
            let line = words::smaller(("ours", ours.1), (peer.name, *peak));
            let _written = writeln!(sentences, "- at its peak, {line}.");
        }
    }
    let largest = lens.last().copied().unwrap_or(1);
    section.text = format!(
        "Growth of resident memory at its highest while one structure is built in a process of its own, \
         in bytes an element; the elements themselves were there before. At rest: what the structure \
         takes afterwards, at the largest n. Small n show the allocator's steps.\n\n{table}\nAt n = {}:\n\n{sentences}",
        words::count(largest),
    );
    section.csvs.push(("memory.csv", csv));
    if series.iter().any(|line| !line.points.is_empty()) {
        section.plots.push(Plot {
            file: "memory.svg",
            title: "Peak memory while building".into(),
            x: "elements in the set (n)",
            y: "bytes an element",
            is_log: true,
            series,
        });
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ours;
    use crate::peers::FUSE16;

    #[test]
    fn rates_that_differ_are_said() {
        let size = |structure, bits, rate| Size { structure, bits, rate };
        let sizes = [
            size(ours::PLAIN, 21.05, 2f64.powi(-20)),
            size(FUSE16, 18.09, 2f64.powi(-16)),
            size(FUSE32, 33.0, 2f64.powi(-32)),
        ];
        let text = "- above log2(1/rate), **ours takes 1.04 bits less than BinaryFuse16**; BinaryFuse16 \
                    has a rate 16 times as high.\n\
                    - above log2(1/rate), **BinaryFuse32 takes 0.05 bits less than ours**; BinaryFuse32 \
                    has a rate 4,096 times as low.\n";
        assert_eq!(size_sentences(&sizes), text);
    }
}

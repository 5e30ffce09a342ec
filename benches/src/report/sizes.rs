//! The section on sizes and false positives.

use std::error::Error;
use std::fmt::Write as _;

use super::csv::{self, Csv};
use super::plots::{Plot, Series};
use super::speed::taking_part;
use super::{Scope, Section, words};
use crate::ours;
use crate::peers::{FUSE8, FUSE32};
use crate::plan::Plan;
use crate::queries::{self, Pool};
use crate::settings::Settings;
use crate::structure::Structure;

/// A structure's size and rate.
struct Size {
    structure: Structure,
    len: usize,
    bytes: usize,
    /// The rate that the structure states.
    rate: f64,
    /// False positives among the absent elements, where they were counted.
    found: Option<usize>,
}

impl Size {
    fn of(scope: &Scope, structure: Structure, base: &Pool, len: usize) -> Size {
        let plan = scope.plan(len);
        let built = (structure.build)(&plan, base.all());
        let count = || {
            queries::unknown(scope.absent)
                .map(|elements| Pool::of(elements, &scope.settings))
                .map(|pool| built.count(pool.all()))
                .sum()
        };
        let found = (len == scope.settings.middle()).then(count);
        Size { structure, len, bytes: built.bytes(), rate: (structure.rate)(&plan), found }
    }

    /// Bits an element.
    fn bits(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.len as f64
    }

    /// Bits an element above log2 of the inverse rate, which no filter can go below.
    fn above(&self) -> f64 {
        self.bits() + self.rate.log2()
    }
}

/// Sizes of all structures, and their false positives.
pub(super) fn size(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut sizes = Vec::new();
    for &len in &scope.settings.lens {
        scope.say(&format!("size, n = {len}"));
        let base = Pool::base(&scope.plan(len), &scope.settings);
        let structures = taking_part(scope).into_iter();
        sizes.extend(structures.map(|structure| Size::of(scope, structure, &base, len)));
    }
    let mut section = Section::new("Size and false positives", String::new());
    section.csvs.push(("size.csv", size_csv(scope, &sizes)));
    sizes.retain(|size| size.found.is_some());
    let n = words::count(scope.settings.middle());
    section.text = format!(
        "At n = {n}, header and trailer included, and of *{}* the index in memory, which no file \
         carries. False positives are counted over {} elements that were not put in. Rates differ, \
         so sizes are compared by what they take above log2(1/rate): no filter takes less than \
         nothing there, and no list of fingerprints less than 1.44.\n\n{}\n{}",
        ours::INDEXED.name,
        words::thousands(scope.absent as u64),
        size_table(scope, &sizes),
        size_sentences(&sizes),
    );
    if let [ours, peers @ ..] = &sizes[..] {
        let named = |peer: &&Size| ["BinaryFuse16", "ribbon w=128"].contains(&peer.structure.name);
        for peer in peers.iter().filter(named) {
            let peer = (peer.structure.name, peer.above());
            let line = words::fewer_bits((ours.structure.name, ours.above()), peer);
            section.glance.push(("size above log2(1/rate)".into(), n.clone(), line));
        }
    }
    rates(scope, &mut section)?;
    Ok(section)
}

fn size_csv(scope: &Scope, sizes: &[Size]) -> Csv {
    let header =
        ["name", "n", "bytes", "bits_per_element", "stated_rate", "asked", "false_positives"];
    let mut csv = Csv::new(&header);
    for size in sizes {
        let (len, bytes) = (size.len.to_string(), size.bytes.to_string());
        let (bits, rate) = (csv::number(size.bits()), csv::number(size.rate));
        let mut row = vec![size.structure.name.to_owned(), len, bytes, bits, rate];
        row.extend(size.found.map(|_| scope.absent.to_string()));
        row.extend(size.found.map(|found| found.to_string()));
        csv.push(row);
    }
    csv
}

fn size_table(scope: &Scope, sizes: &[Size]) -> String {
    let mut table = String::from(
        "| | bits an element | stated rate | false positives | counted rate | above log2(1/rate) |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for size in sizes {
        let found = size.found.unwrap_or(0);
        let counted = power(found as f64 / scope.absent as f64);
        // So few say nothing of a rate.
        let counted = if found < 5 { "–".into() } else { counted };
        let _written = writeln!(
            table,
            "| {} | {:.2} | {} | {} | {counted} | {:.2} |",
            size.structure.name,
            size.bits(),
            power(size.rate),
            words::thousands(found as u64),
            size.above(),
        );
    }
    table
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::FUSE16;

    #[test]
    fn rates_that_differ_are_said() {
        let size = |structure, bits: f64, rate| {
            let (len, bytes) = (100_000, (bits * 12_500.0) as usize);
            Size { structure, len, bytes, rate, found: None }
        };
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

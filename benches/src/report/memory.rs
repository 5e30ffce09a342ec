//! Memory while building, measured in processes of their own.

use std::error::Error;
use std::fmt::Write as _;
use std::process::Command;

use super::csv::Csv;
use super::plots::{Plot, Series};
use super::speed::taking_part;
use super::{Scope, Section, words};
use crate::plan::Plan;
use crate::queries::Pool;
use crate::settings::Settings;
use crate::structure::Structure;
use crate::structures;

/// First argument of the process that builds one structure and says what it took.
pub const CHILD: &str = "--measure-memory-of";

/// What building a structure took, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Growth of the resident memory at its highest, while building.
    pub peak: u64,
    /// What the structure itself takes at rest.
    pub rest: u64,
}

/// Builds a structure in a process of its own. `None` where the system does not tell.
///
/// # Errors
/// The process cannot be started or fails.
pub fn measure(scope: &Scope, name: &str, len: usize) -> Result<Option<Memory>, Box<dyn Error>> {
    let hashing = if scope.settings.is_hashing { "included" } else { "excluded" };
    let arguments = [CHILD, name, &len.to_string(), &scope.settings.rate_bits.to_string(), hashing];
    let output = Command::new(&scope.program).args(arguments).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("building {name} in a process of its own: {said}").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Ok(match numbers[..] {
        [peak, rest] => Some(Memory { peak, rest }),
        _ => None,
    })
}

/// The process that [`measure`] starts: builds one structure and prints its peak and its size.
///
/// # Errors
/// The arguments do not name a structure, a length and a rate.
pub fn child(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [name, len, rate_bits, hashing] = arguments else {
        return Err(
            format!("{CHILD}: expected a name, n, the rate bits and whether to hash").into()
        );
    };
    let structures = structures();
    let structure = structures.iter().find(|structure| structure.name == name);
    let structure = structure.ok_or_else(|| format!("{CHILD}: no structure {name:?}"))?;
    let plan = Plan { len: len.parse()?, rate_bits: rate_bits.parse()? };
    let settings = Settings { is_hashing: hashing == "included", ..Settings::default() };
    let keys = Pool::base(&plan, &settings);
    let Some(before) = status("VmRSS:") else { return Ok("unknown\n".into()) };
    let built = (structure.build)(&plan, keys.all());
    let Some(peak) = status("VmHWM:") else { return Ok("unknown\n".into()) };
    Ok(format!("{} {}\n", peak.saturating_sub(before), built.bytes()))
}

/// A line of what Linux says of this process, in bytes.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// What one structure took at each n.
struct Row {
    structure: Structure,
    memory: Vec<(usize, Memory)>,
}

impl Row {
    /// Bytes an element at the peak, for each n.
    fn peaks(&self) -> Vec<(f64, f64)> {
        let peak = |&(len, memory): &(usize, Memory)| (len as f64, memory.peak as f64 / len as f64);
        self.memory.iter().map(peak).collect()
    }

    /// Bytes an element at rest, at the largest n.
    fn rest(&self) -> f64 {
        self.memory.last().map_or(f64::NAN, |(len, memory)| memory.rest as f64 / *len as f64)
    }
}

/// The section on memory while building.
pub(super) fn section(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let lens = &scope.settings.lens;
    let mut rows = Vec::new();
    for structure in taking_part(scope) {
        let mut memory = Vec::new();
        for &len in lens {
            scope.say(&format!("memory, {}, n = {len}", structure.name));
            memory.extend(measure(scope, structure.name, len)?.map(|memory| (len, memory)));
        }
        rows.push(Row { structure, memory });
    }
    let mut section = Section::new("Memory", String::new());
    if rows.iter().any(|row| row.memory.is_empty()) {
        section.text = "This system does not tell how much memory a process took.\n".into();
        return Ok(section);
    }
    section.text = format!(
        "Growth of resident memory at its highest while one structure is built in a process of its own, \
         in bytes an element; the elements themselves were there before. At rest: what the structure \
         takes afterwards, at the largest n. Small n show the allocator's steps.\n\n{}\nAt n = {}:\n\n{}",
        table(lens, &rows),
        words::count(lens.last().copied().unwrap_or(1)),
        sentences(&rows),
    );
    section.csvs.push(("memory.csv", csv(&rows)));
    let line = |row: &Row| Series { name: row.structure.name.into(), points: row.peaks() };
    section.plots.push(Plot {
        file: "memory.svg",
        title: "Peak memory while building".into(),
        x: "elements in the set (n)",
        y: "bytes an element",
        is_log: true,
        series: rows.iter().map(line).collect(),
    });
    Ok(section)
}

fn csv(rows: &[Row]) -> Csv {
    let mut csv = Csv::new(&["name", "n", "peak_bytes", "rest_bytes"]);
    for row in rows {
        for (len, Memory { peak, rest }) in &row.memory {
            let numbers = [*len as u64, *peak, *rest].map(|number| number.to_string());
            csv.push([row.structure.name.to_owned()].into_iter().chain(numbers));
        }
    }
    csv
}

fn table(lens: &[usize], rows: &[Row]) -> String {
    let mut table = String::from("| bytes an element |");
    // Writing to a string does not fail.
    for len in lens {
        let _written = write!(table, " peak, n = {} |", words::count(*len));
    }
    let _written = write!(table, " at rest |\n|---|{}---:|\n", "---:|".repeat(lens.len()));
    for row in rows {
        let _written = write!(table, "| {} |", row.structure.name);
        for (_, peak) in row.peaks() {
            let _written = write!(table, " {} |", words::measured(peak));
        }
        let _written = writeln!(table, " {} |", words::measured(row.rest()));
    }
    table
}

/// A sentence for each peer, at the largest n.
fn sentences(rows: &[Row]) -> String {
    let mut text = String::new();
    let peak = |row: &Row| row.peaks().last().map_or(f64::NAN, |point| point.1);
    let Some((ours, peers)) = rows.split_first() else { return text };
    for peer in peers.iter().filter(|peer| !peer.structure.is_ours()) {
        let names = (ours.structure.name, peer.structure.name);
        let line = words::smaller((names.0, peak(ours)), (names.1, peak(peer)));
        let _written = writeln!(text, "- at its peak, {line}.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        child(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_child_says_what_its_structure_takes() {
        let text = ask(&["sorted Vec", "3000", "19", "included"]).unwrap();
        let rest = text.split_whitespace().nth(1);
        assert!(rest == Some("24000") || text == "unknown\n", "{text}");
    }

    #[test]
    fn wrong_arguments_are_errors() {
        assert!(ask(&["no such", "3000", "19", "included"]).is_err());
        assert!(ask(&["ours", "many", "19", "included"]).is_err());
        assert!(ask(&["ours"]).is_err());
    }
}

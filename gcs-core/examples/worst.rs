//! What the most expensive legal files cost: decoding, parsing, matching and applying a delta, in
//! nanoseconds a byte, as their size doubles. Input from anyone must cost time linear in its bytes.
//!
//!     cargo run --release -p gcs-core --example worst [<largest file in MiB, 64 if not said>]
//!
//! The canonical parameter P bounds the sum of all quotients, not how they are spread. So the
//! shapes are: P, and that every k-th code has all the quotient of k codes. Some k makes just so
//! many codes too long for the fast path that it is of no use.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use gcs_core::{Delta, HashRange, Salt, Set};

const KIB: u64 = 1024;

/// A limit of memory: the values of a set take 8 bytes each while it is made.
const MOST_VALUES: u64 = 1 << 29;

/// Sets of one parameter whose quotients are in every `every`-th code; in one code if it is `None`.
#[derive(Clone, Copy)]
struct Shape {
    parameter: u32,
    every: Option<u64>,
}

/// Nanoseconds a byte of the set's file.
struct Cost {
    decode: f64,
    parse: f64,
    matches: f64,
    /// A delta that removes one value.
    apply: f64,
    /// A delta that removes every second value.
    halve: f64,
}

impl Cost {
    fn worst(&self) -> f64 {
        self.decode.max(self.parse).max(self.matches).max(self.apply).max(self.halve)
    }
}

/// The largest hash range in which `len` values have this parameter.
fn range(parameter: u32, len: u64) -> Option<HashRange> {
    let fits = |range| {
        HashRange::new(range).is_ok_and(|range| range.rice_parameter(len as u32) <= parameter)
    };
    let (mut low, mut high) = (len, len.checked_shl(parameter + 3)?);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    HashRange::new(low).ok().filter(|range| range.rice_parameter(len as u32) == parameter)
}

impl Shape {
    /// A set of about so many bytes.
    fn set(self, bytes: u64) -> Option<Set> {
        // A code has a stop bit, P bits, and a quotient that is 1.4 on average at most.
        let len = bytes * 80 / (10 * u64::from(self.parameter) + 22);
        if len > MOST_VALUES {
            return None;
        }
        let range = range(self.parameter, len)?;
        let quotients = (range.get() - len) >> self.parameter;
        let every = self.every.unwrap_or(len);
        let quotient = (quotients * every / len).max(1);
        let (mut left, mut value) = (quotients, 0);
        let values = (0..len).map(|at| {
            let quotient = if at % every == every - 1 { quotient.min(left) } else { 0 };
            left -= quotient;
            value += quotient << self.parameter;
            value += 1;
            value - 1
        });
        Set::from_fingerprints(Salt([7; 16]), range, values).ok()
    }

    fn name(self) -> String {
        let codes = self.every.map_or("one code".to_owned(), |every| format!("1 code in {every}"));
        format!("P = {}, quotients in {codes}", self.parameter)
    }
}

/// Nanoseconds that this thread has had a processor, where Linux tells; else those that passed.
/// Other work on the machine then does not count.
fn now(begin: Instant) -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat");
    let spent = spent.ok().and_then(|text| text.split(' ').next()?.parse().ok());
    spent.unwrap_or_else(|| begin.elapsed().as_nanos() as f64)
}

/// The least of three means over 20 ms or more.
fn nanoseconds_a_byte(bytes: usize, mut work: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut mean = || {
        let (mut runs, first) = (0, now(begin));
        loop {
            work();
            runs += 1;
            let time = now(begin) - first;
            if time > 2e7 {
                return time / f64::from(runs);
            }
        }
    };
    (0..3).map(|_| mean()).fold(f64::INFINITY, f64::min) / bytes as f64
}

fn cost(set: &Set) -> Result<Cost, Box<dyn Error>> {
    let bytes = set.as_bytes().len();
    let last = set.iter().last().ok_or("the set is empty")?;
    let asked: Vec<u64> = (0..10).map(|part| last / 10 * part).collect();
    // A delta as small as can be, so that its cost is that of the set; and one of many changes.
    let one_less = delta_to(set, set.iter().take(set.len() as usize - 1))?;
    let half = delta_to(set, set.iter().step_by(2))?;
    let apply = |delta: &Delta| {
        nanoseconds_a_byte(bytes + delta.as_bytes().len(), || {
            black_box(delta.apply(set).is_ok());
        })
    };
    Ok(Cost {
        decode: nanoseconds_a_byte(bytes, || {
            black_box(set.iter().fold(0, |sum: u64, value| sum.wrapping_add(value)));
        }),
        parse: nanoseconds_a_byte(bytes, || {
            black_box(Set::parse(set.as_bytes()).is_ok());
        }),
        matches: nanoseconds_a_byte(bytes, || {
            black_box(set.matches_fingerprints(&asked));
        }),
        apply: apply(&one_less),
        halve: apply(&half),
    })
}

fn delta_to(set: &Set, values: impl Iterator<Item = u64>) -> Result<Delta, Box<dyn Error>> {
    let target = Set::from_fingerprints(set.salt(), set.hash_range(), values)?;
    Ok(Delta::between(set, &target)?)
}

fn row(name: &str, bytes: usize, cost: &Cost) {
    let Cost { decode, parse, matches, apply, halve } = cost;
    println!(
        "| {name} | {bytes} | {decode:.2} | {parse:.2} | {matches:.2} | {apply:.2} | {halve:.2} |"
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let most =
        std::env::args().nth(1).map_or(Ok(64), |argument| argument.parse::<u64>())? * KIB * KIB;
    let parameters = [0, 1, 2, 4, 6, 7, 13, 20, 21, 28, 34];
    let mut shapes = Vec::new();
    for parameter in parameters {
        for every in [1, 2, 4, 8, 16, 32, 64, 256].map(Some).into_iter().chain([None]) {
            let shape = Shape { parameter, every };
            let Some(set) = shape.set(256 * KIB) else { continue };
            shapes.push((cost(&set)?, shape));
        }
    }
    shapes.sort_by(|(one, _), (other, _)| other.worst().total_cmp(&one.worst()));
    let (cheapest, _) = shapes.last().ok_or("no shape is legal")?;
    println!(
        "Of {} shapes of 256 KiB the cheapest takes {:.2} ns a byte, the dearest are:",
        shapes.len(),
        cheapest.worst()
    );
    println!("| shape | bytes | decode | parse | 10 matches | remove one | remove half |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    // The dearest ones, and whatever they are, all the quotient in one code.
    let extreme = Shape { parameter: 0, every: None };
    for shape in shapes.iter().take(3).map(|(_, shape)| *shape).chain([extreme]) {
        let mut bytes = 64 * KIB;
        while bytes <= most {
            let Some(set) = shape.set(bytes) else { break };
            row(&shape.name(), set.as_bytes().len(), &cost(&set)?);
            bytes *= 2;
        }
    }
    Ok(())
}

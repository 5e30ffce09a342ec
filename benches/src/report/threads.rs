//! The section on building with two threads.

use std::error::Error;
use std::fmt::Write as _;

use super::times::Times;
use super::{Scope, Section, words};
use crate::data::{SEEDS, elements};
use crate::ours;
use crate::timing::{Case, Clock, Passes, interleave};

const ONE: &str = "ours (one thread)";
const TWO: &str = "ours (two threads)";

/// Building with one thread and with two.
pub(super) fn threads(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    let mut times = Times::default();
    let mut section = Section::new("Two threads", String::new());
    let mut sentences = String::new();
    for &len in &scope.settings.lens {
        scope.say(&format!("threads, n = {len}"));
        let (plan, elements) = (scope.plan(len), elements(SEEDS.base, len));
        let cases = [
            Case::new(ONE, len, || ours::set(&plan, &elements).as_bytes().len() as u64),
            Case::new(TWO, len, || {
                let set = pool.install(|| ours::set_by_threads(&plan, &elements));
                set.as_bytes().len() as u64
            }),
        ];
        let passes = Passes { clock: Clock::Wall, ..scope.passes(len) };
        times.add(len, interleave(&cases, passes));
        let median = |name| times.median(name, len).unwrap_or(f64::NAN);
        let line = words::faster((ONE, median(ONE)), (TWO, median(TWO)));
        let n = words::count(len);
        let _written = writeln!(sentences, "- n = {n}: {line}.");
        section.glance.push(("build, two threads".into(), n, line));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    section.text = format!(
        "Nanoseconds an element, by the clock on the wall: what other programs do meanwhile is in it. \
         This machine has {cores} cores for this process.\n\n{}\n{sentences}",
        times.table(),
    );
    section.csvs.push(("threads.csv", times.csv()));
    Ok(section)
}

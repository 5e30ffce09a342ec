//! The sections on our own files: parse, deltas, sizes near their bounds, publishing.

use std::error::Error;
use std::fmt::Write as _;

use gcs_core::Set;
use sha2::{Digest, Sha256};

use super::csv::{self, Csv};
use super::plots::{Plot, Series};
use super::times::Times;
use super::{Scope, Section, bound, words};
use crate::data::{SEEDS, elements};
use crate::ours::{self, DELTA_FRAME, SET_FRAME};
use crate::tick::{Changes, DATES, Ticks};
use crate::timing::{Case, interleave};

/// Reading a file that is not trusted yet.
pub(super) fn parse(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut times = Times::default();
    for &len in &scope.settings.lens {
        scope.say(&format!("parse, n = {len}"));
        let set = ours::set(&scope.plan(len), &elements(SEEDS.base, len));
        let bytes = set.as_bytes();
        let cases = [
            Case::new("parse", len, || Set::parse(bytes).map_or(0, |set| u64::from(set.len()))),
            Case::new("parse and index", len, || ours::parse_and_index(bytes)),
            Case::new("SHA-256 of the bytes", len, || u64::from(Sha256::digest(bytes)[0])),
            Case::new("decode", len, || set.iter().fold(0, u64::wrapping_add)),
        ];
        times.add(len, interleave(&cases, scope.passes(len)));
    }
    let mut text = format!(
        "Nanoseconds an element. Parsing validates every byte: it decodes all and compares the \
         SHA-256. The peers' formats have no such check; this table has only ours.\n\n{}\n",
        times.table(),
    );
    let mut section = Section::new("Parse", String::new());
    for len in times.lens() {
        let median = |name| times.median(name, len).unwrap_or(f64::NAN);
        let hash = median("SHA-256 of the bytes");
        let (alone, indexed) = (median("parse") - hash, median("parse and index") - hash);
        let line = format!(
            "beside the SHA-256 of the same bytes, parsing takes {} ns an element, parsing and \
             indexing {}",
            words::measured(alone),
            words::measured(indexed),
        );
        let _written = writeln!(text, "- n = {}: {line}.", words::count(len));
        section.glance.push(("parse".into(), words::count(len), line));
    }
    section.text = text;
    section.csvs.push(("parse.csv", times.csv()));
    Ok(section)
}

/// What changed: time and size.
pub(super) fn delta(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    let mut times = Times::default();
    let mut section = Section::new("Delta", String::new());
    let mut text = String::new();
    for &len in &scope.settings.lens {
        scope.say(&format!("delta, n = {len}"));
        let (base, target) = ours::changed_by(&scope.plan(len), len / 100);
        let delta = ours::between(&base, &target);
        let between = || ours::between(&base, &target).as_bytes().len() as u64;
        let apply = || delta.apply(&base).map_or(0, |set| u64::from(set.len()));
        let cases = [
            Case::new("decode once", len, || base.iter().fold(0, u64::wrapping_add)),
            Case::new("make a delta", len, between),
            Case::new("apply it", len, apply),
        ];
        times.add(len, interleave(&cases, scope.passes(len)));
        let median = |name| times.median(name, len).unwrap_or(f64::NAN);
        let decode = median("decode once");
        let line = format!(
            "making a delta takes {} times as long as one decode, applying it {} times",
            words::times(median("make a delta") / decode),
            words::times(median("apply it") / decode),
        );
        let _written = writeln!(text, "- n = {}: {line}.", words::count(len));
        section.glance.push(("delta of 1 % + 1 %".into(), words::count(len), line));
    }
    section.text = format!(
        "Nanoseconds an element of the base; 1 % of the elements removed, as many others added. \
         Applying gives the target byte for byte, its SHA-256 included. No peer has deltas: what \
         changed is sent whole.\n\n{}\n{text}\n",
        times.table(),
    );
    section.csvs.push(("delta.csv", times.csv()));
    delta_sizes(scope, &mut section);
    Ok(section)
}

/// Parts of the elements that are removed, and as many that are added.
const CHANGE_RATES: [f64; 8] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 1.0 / 14.0, 0.1];

fn delta_sizes(scope: &Scope, section: &mut Section) {
    let len = scope.settings.middle();
    scope.say("delta sizes");
    let mut csv =
        Csv::new(&["n", "removed", "added", "bytes", "bytes_of_code", "bound_bytes", "set_bytes"]);
    let mut table = String::from(
        "| changed | delta, bytes | over its bound | of the set |\n|---:|---:|---:|---:|\n",
    );
    let (mut deltas, mut bounds, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
    for rate in CHANGE_RATES {
        let changed = (rate * len as f64).round().max(1.0) as usize;
        let (base, target) = ours::changed_by(&scope.plan(len), changed);
        let delta = ours::between(&base, &target);
        let (removed, added) = (u64::from(delta.removed_len()), u64::from(delta.added_len()));
        let least =
            bound::delta_bytes(base.hash_range().get(), u64::from(base.len()), removed, added);
        let (bytes, whole) = (delta.as_bytes().len(), target.as_bytes().len());
        let over = ((bytes - DELTA_FRAME) as f64 / least - 1.0) * 100.0;
        let percent = 100.0 * rate;
        let _written = writeln!(
            table,
            "| {percent:.2} % + {percent:.2} % | {} | {over:.2} % | 1/{:.0} |",
            words::thousands(bytes as u64),
            whole as f64 / bytes as f64,
        );
        let numbers = [len, changed, changed, bytes, bytes - DELTA_FRAME];
        let fields = numbers.map(|number| number.to_string()).into_iter();
        csv.push(fields.chain([csv::number(least), whole.to_string()]));
        deltas.push((percent, bytes as f64));
        bounds.push((percent, least));
        wholes.push((percent, whole as f64));
        if (rate - 0.01).abs() < 1e-9 {
            let line =
                format!("the code of a delta is {over:.2} % over its bound, headers excluded");
            section.glance.push(("size of a delta, 1 % + 1 %".into(), words::count(len), line));
        }
    }
    let _written = write!(
        section.text,
        "Sizes at n = {}. The bound is log2 of the number of such changes; \"over\" leaves out the \
         {DELTA_FRAME} bytes of header and trailer.\n\n{table}",
        words::count(len),
    );
    section.csvs.push(("delta-size.csv", csv));
    let line = |name: &str, points| Series { name: name.into(), points };
    section.plots.push(Plot {
        file: "delta.svg",
        title: format!("What a change takes, n = {}", words::count(len)),
        x: "% of the elements removed, and as many added",
        y: "bytes",
        is_log: true,
        series: vec![
            line("ours: a delta", deltas),
            line("ours: the whole set", wholes),
            line("bound of a delta", bounds),
        ],
    });
}

/// The size as the number of elements drifts away from what the range was planned for.
pub(super) fn drift(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    scope.say("drift");
    let mut csv = Csv::new(&["n", "range_over_n", "rice_parameter", "bits_of_code", "bound_bits"]);
    let mut table = String::from(
        "| F/N | Rice parameter | bits an element | bound | over |\n|---:|---:|---:|---:|---:|\n",
    );
    let planned = scope.settings.middle();
    let plan = scope.plan(planned);
    let mut section = Section::new("Size near the bound", String::new());
    let elements = elements(SEEDS.base, planned + planned / 2);
    let mut worst = 0f64;
    // From 1.5 times the elements of the plan down to three quarters: one octave of F/N.
    for step in 0..=8 {
        let len = (planned as f64 * 1.5 / 2f64.powf(f64::from(step) / 8.0)).round() as usize;
        let set = ours::set(&plan, &elements[..len]);
        let (range, bits) = (plan.range(), (set.as_bytes().len() - SET_FRAME) as f64 * 8.0);
        let (bits, least) =
            (bits / f64::from(set.len()), bound::set_bits(range.get(), u64::from(set.len())));
        worst = worst.max(bits - least);
        let modulus = range.modulus(set.len());
        let parameter = set.rice_parameter();
        let _written = writeln!(
            table,
            "| {} | {parameter} | {bits:.3} | {least:.3} | {:.3} |",
            words::thousands(modulus.round() as u64),
            bits - least,
        );
        let numbers = [csv::number(modulus), parameter.to_string(), csv::number(bits)];
        let len = set.len().to_string();
        csv.push([len].into_iter().chain(numbers).chain([csv::number(least)]));
    }
    let mut design = Vec::new();
    for &len in &scope.settings.lens {
        let plan = scope.plan(len);
        let set = ours::set(&plan, &crate::elements(SEEDS.base, len));
        let bits = (set.as_bytes().len() - SET_FRAME) as f64 * 8.0 / f64::from(set.len());
        let over = bits - bound::set_bits(plan.range().get(), u64::from(set.len()));
        design.push(format!("{over:.3} at n = {}", words::count(len)));
    }
    let line = format!(
        "bits an element over the bound, headers excluded: {} as planned; at the worst drift {worst:.3}",
        design.join(", "),
    );
    section.glance.push(("size".into(), words::count(planned), line.clone()));
    section.text = format!(
        "The bound of any code of a set of fingerprints is log2(F/N) + 1.4427 bits an element. F stays \
         while N changes; here N goes from 1.5 times the planned number ({}) down to three quarters of \
         it, so that F/N doubles. Header and trailer ({SET_FRAME} bytes) are left out.\n\n{table}\n- {line}.\n",
        words::count(planned),
    );
    section.csvs.push(("drift.csv", csv));
    Ok(section)
}

/// Elements that change with a tick.
const CHANGES: usize = 10_000;

/// One tick of a publisher.
pub(super) fn publish(scope: &Scope) -> Result<Section, Box<dyn Error>> {
    scope.say("publish");
    let len = scope.settings.middle();
    let changed = CHANGES.min(len / 10);
    let mut times = Times::default();
    let [all, one, quiet] = [(); 3].map(|()| Ticks::new(len));
    // The elements change within the timed run: that writes 5,000 of them.
    let tick = |ticks: &Ticks, changes| {
        ticks.change(changed, changes);
        ticks.publish()
    };
    let cases = [
        Case::new("changes in all dates", 1, || tick(&all, Changes::InAllDates)),
        Case::new("changes in one date", 1, || tick(&one, Changes::InOneDate)),
        Case::new("no changes", 1, || quiet.publish()),
    ];
    times.add(len, interleave(&cases, scope.passes(len)));
    let mut section = Section::new("Publish", String::new());
    let mut table = String::from("| one tick | ms |\n|---|---:|\n");
    for name in times.names() {
        let millis = times.median(name, len).unwrap_or(f64::NAN) / 1e6;
        let _written = writeln!(table, "| {name} | {} |", words::measured(millis));
        let line = format!("one tick takes {} ms", words::measured(millis));
        section.glance.push((format!("publish, {name}"), words::count(len), line));
    }
    section.text = format!(
        "One tick of a publisher, without writing its files: {DATES} dates, {} elements together, {} \
         changes (half removed, half added); sets, check records, deltas and bundles, signatures. The \
         first tick is not counted.\n\n{table}",
        words::count(len),
        words::thousands(changed as u64),
    );
    section.csvs.push(("publish.csv", times.csv()));
    Ok(section)
}

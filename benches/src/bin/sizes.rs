//! The picture of the README: the size of a million identifiers, and of a change of one percent,
//! beside the alternatives. Prints the sizes and writes `benches/sizes.svg`; with `--check` it
//! only compares the picture with the committed one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use gcs_benches::{SEEDS, bip158, elements, two_days};
use gcs_core::Delta;

/// Identifiers in the set.
const COUNT: usize = 1_000_000;

/// Identifiers that are added, and as many that are removed.
const CHANGED: usize = COUNT / 100;

/// Bits per identifier of a 256-bit ribbon filter above log2 of the inverse rate: measured once
/// with the clubcard crate, whose licence keeps it out of this workspace.
const RIBBON_OVERHEAD: f64 = 0.403;

/// One bar.
struct Bar {
    name: &'static str,
    note: &'static str,
    bytes: f64,
    is_ours: bool,
}

fn bar(name: &'static str, note: &'static str, bytes: f64) -> Bar {
    Bar { name, note, bytes, is_ours: name.starts_with("gcs-core") }
}

fn main() -> ExitCode {
    let (stored, changed) = measure();
    let picture = picture(&stored, &changed);
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("sizes.svg");
    print(&stored, "A million identifiers of 16 bytes");
    print(&changed, "10,000 of them removed, 10,000 others added");
    let outcome = if std::env::args().any(|argument| argument == "--check") {
        match std::fs::read_to_string(&place) {
            Ok(committed) if committed == picture => Ok(()),
            _ => Err("benches/sizes.svg is not what is measured: run this without --check".into()),
        }
    } else {
        let written = std::fs::write(&place, picture);
        println!("benches/sizes.svg is drawn anew");
        written.map_err(|error| format!("benches/sizes.svg: {error}"))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print(bars: &[Bar], title: &str) {
    println!("{title}:");
    for Bar { name, note, bytes, .. } in bars {
        println!("  {:>10}  {name}, {note}", human(*bytes));
    }
}

/// Both panels. All filters have the same rate of false positives, one in 784,931.
fn measure() -> (Vec<Bar>, Vec<Bar>) {
    let (base, target) = two_days(COUNT);
    let delta = Delta::between(&base, &target).expect("sets of one salt and hash range");
    let peer = bip158::build(&elements(SEEDS.base, COUNT)).len() as f64;
    let (ours, delta) = (base.as_bytes().len() as f64, delta.as_bytes().len() as f64);
    let rate_bits = (bip158::M as f64).log2();
    let filter = |bits: f64| COUNT as f64 * bits / 8.0;
    let (bloom, fuse) = (filter(rate_bits * std::f64::consts::LOG2_E), filter(rate_bits * 1.13));
    let ribbon = filter(rate_bits + RIBBON_OVERHEAD);
    let stored = vec![
        bar("the identifiers", "16 bytes each", 16.0 * COUNT as f64),
        bar("Bloom filter", "computed, 1.44 bits a bit of rate", bloom),
        bar("binary fuse filter", "computed, 1.13 bits a bit of rate", fuse),
        bar("BIP 158 filter", "bitcoin crate, measured", peer),
        bar("gcs-core, whole file", "measured", ours),
        bar("256-bit ribbon filter", "computed", ribbon),
    ];
    let changed = vec![
        bar("any of the filters", "whole again, from", ribbon),
        bar("the identifiers", "added and removed", 2.0 * 16.0 * CHANGED as f64),
        bar("gcs-core, delta", "measured", delta),
    ];
    (stored, changed)
}

fn human(bytes: f64) -> String {
    if bytes >= 1e6 { format!("{:.2} MB", bytes / 1e6) } else { format!("{:.1} kB", bytes / 1e3) }
}

/// Width of the longest bar, and where the bars begin.
const WIDTH: f64 = 420.0;
const LEFT: f64 = 270.0;

fn picture(stored: &[Bar], changed: &[Bar]) -> String {
    let mut body = String::new();
    let below = panel(&mut body, 26.0, "A million identifiers, stored", stored);
    let end = panel(&mut body, below + 28.0, "One percent removed, one percent added", changed);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\" \
         aria-label=\"Sizes of a million identifiers and of a change, in several forms\">\n\
         <rect width=\"780\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n",
        height = end + 8.0,
    )
}

/// Draws a panel and returns where it ends.
fn panel(body: &mut String, top: f64, title: &str, bars: &[Bar]) -> f64 {
    let longest = bars.iter().map(|bar| bar.bytes).fold(0.0, f64::max);
    let mut y = top;
    // Writing to a string does not fail.
    let _title = writeln!(body, "<text x=\"16\" y=\"{y}\" font-weight=\"bold\">{title}</text>");
    for Bar { name, note, bytes, is_ours } in bars {
        y += 30.0;
        let (width, fill) =
            ((bytes / longest * WIDTH).max(2.0), if *is_ours { "#0b6e4f" } else { "#9aa5b1" });
        let _bar = writeln!(
            body,
            "<text x=\"{name_end}\" y=\"{y}\" text-anchor=\"end\">{name}</text>\
             <text x=\"{name_end}\" y=\"{note_y}\" text-anchor=\"end\" font-size=\"10\" \
             fill=\"#52606d\">{note}</text>\
             <rect x=\"{LEFT}\" y=\"{rect_y}\" width=\"{width:.1}\" height=\"18\" fill=\"{fill}\"/>\
             <text x=\"{label:.1}\" y=\"{y}\">{size}</text>",
            name_end = LEFT - 10.0,
            note_y = y + 11.0,
            rect_y = y - 13.0,
            label = LEFT + width + 6.0,
            size = human(*bytes),
        );
    }
    y + 16.0
}

//! What a list of seeds, a set and an export file take for the same patients, measured: the tables
//! of `gcs_core::seeds`.
//!
//! `cargo run --release -p gcs-core --features gaen-export --example seed_sizes`

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Instant;

use gcs_core::identifiers::dp3t::{self, DayKey, DayKeys, HybridSeed, HybridWindow, WindowSeed};
use gcs_core::identifiers::gaen::export::{Export, ExportSigningKey};
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey, ReportType};
use gcs_core::identifiers::tcn::{MemoType, ReportAuthorizationKey};
use gcs_core::seeds::{ByteArray as _, Seed, SeedDelta, SeedList};
use gcs_core::{Date, Digest, HashRange, Salt, Set};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Days for which a patient reports, but for Exposure Notification.
const DAYS: u32 = 5;

/// Days for which a patient reports with Exposure Notification.
const KEY_DAYS: u32 = 14;

/// Dates on which the patients of a measurement report.
const REPORT_DATES: u64 = 14;

const FIRST_DATE: u32 = 20_400;

fn noise(label: &str, number: u64) -> [u8; 32] {
    Digest::of(&[label.as_bytes(), &number.to_le_bytes()].concat()).0
}

fn bytes16(label: &str, number: u64) -> [u8; 16] {
    *noise(label, number).first_chunk().unwrap_or(&[0; 16])
}

/// A patient of this number: on which of the dates it reports, and numbers below some bounds.
struct Patient {
    number: u64,
    reported: u32,
    random: [u8; 32],
}

impl Patient {
    fn new(number: u64) -> Patient {
        let random = noise("patient", number);
        Patient { number, reported: FIRST_DATE + KEY_DAYS + (number % REPORT_DATES) as u32, random }
    }

    fn below(&self, at: usize, bound: u8) -> u8 {
        (u16::from(self.random[at]) * u16::from(bound) / 256) as u8
    }

    /// The keys from its first day on. The phone then draws a new one.
    fn day_keys(&self) -> Outcome<DayKeys> {
        let date = Date::from_days(self.reported - DAYS)?;
        let first = DayKey::new(date, noise("day key", self.number));
        Ok(DayKeys::new(first, DAYS.try_into()?)?)
    }

    fn window_seeds(&self) -> impl Iterator<Item = WindowSeed> {
        let (windows, first) = (HybridWindow::FourHours, 6 * (self.reported - DAYS));
        (first..first + 6 * DAYS).map(move |window| {
            let seed = bytes16("window", self.number * 1_000_000 + u64::from(window));
            WindowSeed { windows, window, seed: HybridSeed::new(seed) }
        })
    }

    /// Keys of 14 days, the last of which was not over. One in three does not know when symptoms
    /// began; the others' risk follows from it. One in five was diagnosed without a test.
    fn export_keys(&self) -> Outcome<Vec<ExportKey>> {
        let onset = (self.below(0, 3) > 0).then(|| i32::from(self.below(1, 8)));
        let tested = self.below(2, 5) > 0;
        let key = |day: u32| {
            let period = if day == 0 { 1 + self.below(3, 144) } else { 144 };
            let key = bytes16("key", self.number * 100 + u64::from(day));
            let days = onset.map(|onset| onset - day as i32);
            let report_type = match tested {
                true => ReportType::ConfirmedTest,
                false => ReportType::ConfirmedClinicalDiagnosis,
            };
            Ok(ExportKey {
                key: ExposureKey::new(key, 144 * (self.reported - day), period.into())?,
                transmission_risk: days.map(|days| 8 - days.unsigned_abs().min(8) as u8),
                report_type: Some(report_type),
                days_since_onset: days,
                variant: None,
            })
        };
        (0..KEY_DAYS).map(key).collect()
    }
}

/// What is measured of lists of a kind.
struct Measured {
    seeds: usize,
    raw: f64,
    bound: f64,
    list: f64,
}

/// Bits a seed: raw with its note, the least for so many seeds and the notes that they have, and
/// those of the list.
fn measure<S: Seed>(list: &SeedList<S>) -> Measured {
    let mut groups: BTreeMap<S::Note, u64> = BTreeMap::new();
    for (note, _) in list.iter().filter_map(|seed| seed.to_parts().ok()) {
        *groups.entry(note).or_default() += 1;
    }
    let n = f64::from(list.len());
    // log2 of the number of sets of n seeds among 2^(8·L), group by group, by Stirling's formula:
    // n·log2(2^(8·L) / n) + n·log2(e) - log2(2·π·n) / 2.
    let bits = |n: &u64| {
        let n = *n as f64;
        let of_sets = 8.0 * S::Bytes::LEN as f64 - n.log2() + std::f64::consts::LOG2_E;
        n * of_sets - (2.0 * std::f64::consts::PI * n).log2() / 2.0
    };
    Measured {
        seeds: list.len() as usize,
        raw: 8.0 * (S::Bytes::LEN + S::Note::LEN) as f64,
        bound: groups.values().map(bits).sum::<f64>() / n,
        list: 8.0 * list.as_bytes().len() as f64 / n,
    }
}

fn print_row(name: &str, patients: usize, measured: &Measured) {
    let Measured { seeds, raw, bound, list } = measured;
    println!("| {name} | {patients} | {seeds} | {raw:.0} | {bound:.1} | {list:.1} |");
}

fn megabytes(bytes: usize) -> String {
    if bytes == 0 { String::new() } else { format!("{:.2}", bytes as f64 / 1e6) }
}

/// Bytes of the sets of elements, one for each of 14 dates with equally many, at rates below 2^-20
/// and below 2^-32, at which nothing has to be confirmed.
fn set_bytes<E: AsRef<[u8]>>(
    count: usize,
    elements: impl Iterator<Item = E>,
) -> Outcome<[usize; 2]> {
    let (mut elements, mut bytes) = (elements.peekable(), [0; 2]);
    while elements.peek().is_some() {
        let of_date: Vec<E> = elements.by_ref().take(count.div_ceil(14)).collect();
        for (bytes, rate_bits) in bytes.iter_mut().zip([20, 32]) {
            let range = HashRange::for_expected(of_date.len() as u32, rate_bits)?;
            *bytes += Set::build(Salt([7; 16]), range, &of_date)?.as_bytes().len();
        }
    }
    Ok(bytes)
}

fn export_bytes(keys: &[ExportKey]) -> Outcome<usize> {
    let (start, end) = (1_762_560_000, 1_762_574_400);
    let export = |keys| Export {
        start,
        end,
        region: "XX".to_string(),
        batch: 1,
        batches: 1,
        keys,
        revised_keys: Vec::new(),
    };
    let key = ExportSigningKey::from_bytes(&[7; 32], "310", "v1")?;
    let signers = [key];
    let files = keys.chunks(500_000).map(|keys| export(keys.to_vec()).to_zip(&signers));
    files.map(|file| Ok(file?.len())).sum()
}

/// A TCN report of six hours: it is signed, and no list holds it.
fn tcn_report(number: u64) -> Outcome<(usize, Vec<[u8; 16]>)> {
    let key = ReportAuthorizationKey::new(noise("tcn", number));
    let report = key.report(1, 24, MemoType::CoEpi, &[])?;
    Ok((report.len(), key.numbers().take(24).collect()))
}

fn main() -> Outcome<()> {
    let mut rows = Vec::new();
    println!("| list of | patients | seeds | raw | bound | list |\n|---|---|---|---|---|---|");
    for count in [1_000, 10_000, 40_000] {
        rows.extend(compared(&(0..count).map(Patient::new).collect::<Vec<_>>())?);
    }
    println!("\n| patients | protocol | seeds, raw | list | export file | sets, 2^-20 | 2^-32 |");
    println!("|---|---|---|---|---|---|---|");
    for (count, name, [raw, list, export], [low, high]) in rows {
        let [raw, list, export, low, high] = [raw, list, export, low, high].map(megabytes);
        println!("| {count} | {name} | {raw} | {list} | {export} | {low} | {high} |");
    }
    Ok(())
}

/// Patients, protocol; bytes of the seeds raw, as a list, as an export file; bytes of the sets.
type Row = (usize, &'static str, [usize; 3], [usize; 2]);

fn compared(patients: &[Patient]) -> Outcome<Vec<Row>> {
    let count = patients.len();
    let elements = count * 96 * DAYS as usize;
    let mut rows = Vec::new();

    let keys = patients.iter().map(Patient::day_keys).collect::<Outcome<Vec<DayKeys>>>()?;
    let list = SeedList::<DayKeys>::build(&keys)?;
    print_row("DP-3T low-cost", count, &measure(&list));
    let set = keys.iter().flat_map(DayKeys::elements);
    let (raw, list) = (37 * count, list.as_bytes().len());
    rows.push((count, "DP-3T low-cost", [raw, list, 0], set_bytes(elements, set)?));

    let list = SeedList::<WindowSeed>::build(patients.iter().flat_map(Patient::window_seeds))?;
    print_row("DP-3T hybrid, 4 h", count, &measure(&list));
    let set = set_bytes(elements, list.iter().flat_map(|seed| seed.elements()))?;
    let (raw, list) = (21 * list.len() as usize, list.as_bytes().len());
    rows.push((count, "DP-3T hybrid, 4 h", [raw, list, 0], set));

    let keys = patients.iter().map(Patient::export_keys).collect::<Outcome<Vec<_>>>()?.concat();
    let list = SeedList::<ExportKey>::build(&keys)?;
    print_row("Exposure Notification", count, &measure(&list));
    times(&keys, &list)?;
    other_ways(&list)?;
    let identifiers = keys.iter().map(|key| key.key.rolling_period() as usize).sum();
    let set = set_bytes(identifiers, keys.iter().flat_map(|key| key.key.identifiers()))?;
    let (raw, list) = (25 * keys.len(), list.as_bytes().len());
    let export = export_bytes(&keys)?;
    rows.push((count, "Exposure Notification", [raw, list, export], set));

    let seeds = (0..elements as u64).map(|epoch| {
        dp3t::unlinkable_element(&noise("unlinkable", epoch), 2_000_000 + epoch as u32 / 96)
    });
    rows.push((count, "DP-3T unlinkable", [36 * elements, 0, 0], set_bytes(elements, seeds)?));

    let reports = (0..elements as u64 / 24).map(tcn_report).collect::<Outcome<Vec<_>>>()?;
    let raw = reports.iter().map(|report| report.0).sum();
    let numbers = reports.into_iter().flat_map(|report| report.1);
    rows.push((count, "TCN, reports of 6 h", [raw, 0, 0], set_bytes(elements, numbers)?));
    Ok(rows)
}

/// What other ways to code the notes would take, in bits a key, on standard error.
fn other_ways(list: &SeedList<ExportKey>) -> Outcome<()> {
    let n = f64::from(list.len());
    let notes = list.iter().map(|key| Ok(key.to_parts()?.0)).collect::<Outcome<Vec<_>>>()?;
    let distinct: BTreeSet<[u8; 9]> = notes.iter().copied().collect();
    // All keys as one group, and beside each the number of its note or of each field.
    let alone = SeedList::<WindowSeed>::build(list.iter().map(|key| WindowSeed {
        windows: HybridWindow::TwoHours,
        window: 0,
        seed: HybridSeed::new(key.key.to_bytes()),
    }))?;
    let alone = 8.0 * alone.as_bytes().len() as f64;
    let column = |bytes: usize, distinct: usize| {
        let width = distinct.next_power_of_two().ilog2();
        8.0 * (bytes * distinct) as f64 + n * f64::from(width)
    };
    let fields = [0..4, 4..5, 5..6, 6..7, 7..8, 8..9].map(|field| {
        let values: BTreeSet<&[u8]> = distinct.iter().map(|note| &note[field.clone()]).collect();
        column(field.len(), values.len())
    });
    // Groups, each with a whole note and a length of four bytes.
    let groups = distinct.len();
    let file = list.as_bytes();
    let bits = u64::from_le_bytes(*file[16..].first_chunk().ok_or("a list has a header")?);
    let others = bits.div_ceil(8) as usize + 10 * list.len() as usize + 24 + 32;
    let whole = 8.0 * (others + groups * (9 + 4)) as f64;
    eprintln!(
        "{n} keys, {groups} notes, bits each: a column for each field {:.1}, one for numbers of notes {:.1}, groups with whole notes {:.1}, the list {:.1}; the directory has {} bytes",
        (alone + fields.iter().sum::<f64>()) / n,
        (alone + column(9, groups)) / n,
        whole / n,
        8.0 * file.len() as f64 / n,
        file.len() - others,
    );
    Ok(())
}

/// How long building, parsing, reading and a delta take, on standard error.
fn times(keys: &[ExportKey], list: &SeedList<ExportKey>) -> Outcome<()> {
    let nanoseconds = |begin: Instant| begin.elapsed().as_nanos() as f64 / keys.len() as f64;
    let begin = Instant::now();
    let built = SeedList::<ExportKey>::build(keys)?;
    let build = nanoseconds(begin);
    assert_eq!(built, *list);
    let begin = Instant::now();
    let parsed = SeedList::<ExportKey, _>::parse(list.as_bytes())?;
    let parse = nanoseconds(begin);
    let begin = Instant::now();
    let sum = parsed.iter().fold(0, |sum: u32, key| sum.wrapping_add(key.key.rolling_start()));
    let read = nanoseconds(begin);
    let base = SeedList::<ExportKey>::build(&keys[keys.len() / 100..])?;
    let begin = Instant::now();
    let delta = SeedDelta::between(&base, list);
    let between = nanoseconds(begin);
    let begin = Instant::now();
    assert_eq!(delta.apply(&base).as_ref(), Ok(list));
    let apply = nanoseconds(begin);
    eprintln!(
        "{} keys, ns each: build {build:.0}, parse {parse:.0}, read {read:.0}, delta {between:.0}, apply {apply:.0} ({sum})",
        keys.len()
    );
    Ok(())
}

//! What a list of seeds, a set and an export file take for the same patients, measured: the tables
//! of `gcs_core::seeds`.
//!
//! `cargo run --release -p gcs-core --features gaen-export --example seed_sizes`

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use gcs_core::identifiers::dp3t::{self, DayKey, HybridSeed, HybridWindow, WindowSeed};
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

    /// The key of its first day. The phone then draws a new one.
    fn day_key(&self) -> Outcome<DayKey> {
        let date = Date::from_days(self.reported - DAYS)?;
        Ok(DayKey::new(date, noise("day key", self.number)))
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

fn print_row(name: &str, patients: u64, measured: &Measured) {
    let Measured { seeds, raw, bound, list } = measured;
    println!("| {name} | {patients} | {seeds} | {raw:.0} | {bound:.1} | {list:.1} |");
}

fn megabytes(bytes: usize) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

/// Bytes of a set of elements at a rate below 2^-32, at which nothing has to be confirmed.
fn set_bytes<E: AsRef<[u8]>>(elements: impl Iterator<Item = E>) -> Outcome<usize> {
    let elements: Vec<E> = elements.collect();
    let range = HashRange::for_expected(elements.len() as u32, 32);
    // The limit of a publication, where more is asked for.
    let range = range.unwrap_or(HashRange::MAX).min(HashRange::MAX);
    Ok(Set::build(Salt([7; 16]), range, elements)?.as_bytes().len())
}

fn export_bytes(keys: Vec<ExportKey>) -> Outcome<usize> {
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
    let files = keys.chunks(500_000).map(|keys| export(keys.to_vec()).to_zip(&[key.clone()]));
    files.map(|file| Ok(file?.len())).sum()
}

/// TCN reports of six hours each: they are signed, and no list holds them.
fn tcn_reports(patient: u64) -> Outcome<(usize, Vec<[u8; 16]>)> {
    let (mut bytes, mut numbers) = (0, Vec::new());
    for report in 0..u64::from(4 * DAYS) {
        let key = ReportAuthorizationKey::new(noise("tcn", patient * 1_000 + report));
        bytes += key.report(1, 24, MemoType::CoEpi, &[])?.len();
        numbers.extend(key.numbers().take(24));
    }
    Ok((bytes, numbers))
}

fn main() -> Outcome<()> {
    println!("| seeds | patients | seeds | raw | bound | list |\n|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for count in [1_000, 10_000, 40_000] {
        let patients: Vec<Patient> = (0..count).map(Patient::new).collect();
        let day_keys: Vec<DayKey> =
            patients.iter().map(Patient::day_key).collect::<Outcome<_>>()?;
        let list = SeedList::build(&day_keys)?;
        print_row("DP-3T low-cost", count, &measure(&list));
        let elements = day_keys.iter().flat_map(|first| {
            let days = std::iter::successors(Some(first.clone()), DayKey::next);
            days.take(DAYS as usize).flat_map(|key| key.elements().collect::<Vec<_>>())
        });
        let set = set_bytes(elements)?;
        rows.push((count, "DP-3T low-cost", list.as_bytes().len(), None, set));

        let list = SeedList::<WindowSeed>::build(patients.iter().flat_map(Patient::window_seeds))?;
        print_row("DP-3T hybrid, 4 h", count, &measure(&list));
        let set = set_bytes(list.iter().flat_map(|seed| seed.elements().collect::<Vec<_>>()))?;
        rows.push((count, "DP-3T hybrid, 4 h", list.as_bytes().len(), None, set));

        let keys = patients.iter().map(Patient::export_keys).collect::<Outcome<Vec<_>>>()?;
        let keys = keys.concat();
        let list = SeedList::<ExportKey>::build(&keys)?;
        print_row("Exposure Notification", count, &measure(&list));
        let set = set_bytes(keys.iter().flat_map(|key| key.key.identifiers()))?;
        times(&keys, &list)?;
        let export = export_bytes(keys)?;
        rows.push((count, "Exposure Notification", list.as_bytes().len(), Some(export), set));

        let seeds = patients.iter().flat_map(|patient| {
            let first = u64::from(patient.reported - DAYS) * 96;
            (first..first + 96 * u64::from(DAYS)).map(move |epoch| {
                let seed = noise("unlinkable", patient.number * 1_000_000 + epoch);
                dp3t::unlinkable_element(&seed, epoch as u32)
            })
        });
        let raw = count as usize * 96 * DAYS as usize * 36;
        rows.push((count, "DP-3T unlinkable, raw", raw, None, set_bytes(seeds)?));

        let mut bytes = 0;
        let mut numbers = Vec::new();
        for patient in 0..count {
            let (reports, of_patient) = tcn_reports(patient)?;
            bytes += reports;
            numbers.extend(of_patient);
        }
        rows.push((count, "TCN, reports of 6 h, raw", bytes, None, set_bytes(numbers.into_iter())?));
    }
    println!("\n| patients | protocol | seeds, MB | export file, MB | set, MB |\n|---|---|---|---|---|");
    for (count, name, list, export, set) in rows {
        let export = export.map_or("".to_string(), megabytes);
        println!("| {count} | {name} | {} | {export} | {} |", megabytes(list), megabytes(set));
    }
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

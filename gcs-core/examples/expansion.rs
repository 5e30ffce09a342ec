//! How long it takes to expand the items of each kind of report, and to publish what many reports bring at once:
//!
//! ```text
//! cargo run --release -p gcs-core --example expansion            # 40,000 patients of 480 elements
//! cargo run --release -p gcs-core --example expansion -- 1000
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use gcs_core::files::KeyList;
use gcs_core::identifiers::dp3t::HybridWindow;
use gcs_core::identifiers::tcn::{MemoType, ReportAuthorizationKey};
use gcs_core::live::{FillerKey, Live, LiveSettings};
use gcs_core::publish::{Keys, Publisher, PublisherSettings};
use gcs_core::report::{GaenKey, Item, ItemRules, Kinds};
use gcs_core::{Date, DerivationKey, Digest, SigningKey, Version};

/// Days for which each patient reports.
const DAYS: u32 = 5;

const RULES: ItemRules = ItemRules {
    kinds: Kinds::ALL,
    hybrid: HybridWindow::FourHours,
    retention_days: 14,
    publication_delay: 9000,
    max_elements_per_date: 512,
};

/// Stands for 32 random bytes of a patient.
fn secret(patient: u32, number: u32) -> [u8; 32] {
    Digest::of(&[patient.to_le_bytes(), number.to_le_bytes()].concat()).0
}

fn short(patient: u32, number: u32) -> [u8; 16] {
    let secret = secret(patient, number);
    std::array::from_fn(|at| secret[at])
}

/// The report of a patient, by its kind.
type Report = fn(Date, u32) -> Vec<Item>;

fn low_cost(first: Date, patient: u32) -> Vec<Item> {
    vec![Item::Dp3tLowCost { date: first, key: secret(patient, 0) }]
}

fn hybrid(first: Date, patient: u32) -> Vec<Item> {
    let windows = HybridWindow::FourHours;
    let start = windows.of_time(first.start()).unwrap_or_default();
    let item = |at| Item::Dp3tHybrid { windows, window: start + at, seed: short(patient, at) };
    (0..6 * DAYS).map(item).collect()
}

fn unlinkable(first: Date, patient: u32) -> Vec<Item> {
    let start = (first.start() / 900) as u32;
    let item = |at| Item::Dp3tUnlinkable { epoch: start + at, seed: secret(patient, at) };
    (0..96 * DAYS).map(item).collect()
}

/// Four reports a day, each of six hours of numbers for a quarter of an hour.
fn tcn(first: Date, patient: u32) -> Vec<Item> {
    let item = |at: u32| {
        let key = ReportAuthorizationKey::new(secret(patient, at));
        let date = Date::from_days(first.days() + at / 4).ok()?;
        let report = key.report(1, 24, MemoType::CoEpi, b"").ok()?;
        Some(Item::Tcn { date, report })
    };
    (0..4 * DAYS).filter_map(item).collect()
}

fn gaen(first: Date, patient: u32) -> Vec<Item> {
    let start = (first.start() / 600) as u32;
    let item = |day| Item::Gaen(GaenKey::new(short(patient, day), start + 144 * day, 144));
    (0..DAYS).map(item).collect()
}

fn expand(name: &str, report: Report, first: Date, now: u64) {
    let reports: Vec<Vec<Item>> = (0..500).map(|patient| report(first, patient)).collect();
    let received: Vec<Vec<_>> =
        reports.iter().map(|items| items.iter().cloned().map(Ok).collect()).collect();
    let began = Instant::now();
    let accepted: usize = received.iter().map(|items| RULES.accept(items, now).items.len()).sum();
    let judged = began.elapsed() / reports.len() as u32;
    let began = Instant::now();
    let items = reports.iter().flatten();
    let elements = items.flat_map(|item| item.elements(now)).map(std::hint::black_box).count();
    let expanded = began.elapsed();
    println!(
        "{name:16} {:5} items, {:4} elements a report: judged in {:8.1} µs, expanded in {:8.1} µs, {:4.0} ns an element",
        accepted / reports.len(),
        elements / reports.len(),
        micros(judged),
        micros(expanded / reports.len() as u32),
        expanded.as_nanos() as f64 / elements as f64,
    );
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

fn keys(now: u64) -> Result<Keys, Box<dyn Error>> {
    let (root, online) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
    let list = KeyList { version: 1, expires: now + 100 * 86_400, keys: vec![online.public()] };
    let (key_list, derivation) = (list.sign(&root)?, DerivationKey::new([3; 32]));
    Ok(Keys { root: root.public(), key_list, online, derivation })
}

fn main() -> Result<(), Box<dyn Error>> {
    let patients = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 40_000,
    };
    let first: Date = "2026-01-05".parse()?;
    // When the last of the days is over, and may be published two hours later.
    let last = Date::from_days(first.days() + DAYS - 1)?;
    let now = last.end() - 10_000;
    let kinds: [(&str, Report); 5] = [
        ("dp3t-unlinkable", unlinkable),
        ("dp3t-low-cost", low_cost),
        ("dp3t-hybrid", hybrid),
        ("tcn", tcn),
        ("gaen", gaen),
    ];
    for (name, report) in kinds {
        let now = if name == "dp3t-low-cost" { now } else { last.end() };
        expand(name, report, first, now);
    }

    let mut live = Live::new(FillerKey::new([7; 32]));
    let (mut took, mut elements) = (Duration::ZERO, 0);
    for patient in 0..patients {
        let items = hybrid(first, patient);
        let began = Instant::now();
        live.add(u64::from(patient), now, items.iter().flat_map(|item| item.elements(now)))?;
        took += began.elapsed();
    }
    println!(
        "{patients} reports of kind dp3t-hybrid are expanded and added in {:.1} s",
        took.as_secs_f64()
    );
    let began = Instant::now();
    live.tick(Version { series: 1, tick: 1 }, last.entry(), &LiveSettings::default());
    let days = live.days();
    elements += days.iter().map(gcs_core::live::LiveDay::len).sum::<usize>();
    println!(
        "a tick releases {elements} elements of {} dates in {:.1} s",
        days.len(),
        began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let settings = PublisherSettings { rate_bits: 20, expected_per_date: 1000, interval: 900 };
    let publication = Publisher::new(settings, 1).publish_next(last.entry(), &days, &keys(now)?)?;
    let bytes: usize = publication.files.iter().map(|file| file.bytes.len()).sum();
    println!(
        "they are coded and signed in {:.1} s: {} files, {bytes} bytes",
        began.elapsed().as_secs_f64(),
        publication.files.len(),
    );
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}

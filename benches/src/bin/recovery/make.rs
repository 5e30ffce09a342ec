//! A log, made by the same functions that judge and store what a server receives.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gcs_benches::log::Log;
use gcs_benches::{SEEDS, SplitMix64};
use gcs_core::report::{Code, Item, ItemProblem, Kind as ItemKind, Kinds, ReceivedReport};
use gcs_core::{DAY_SECONDS, Date, Element};
use gcs_server::app::config::{Config, Options};
use gcs_server::clock::Clock;
use gcs_server::domain::judge::{self, MAX_RANGE};
use gcs_server::domain::policy::Policy;
use gcs_server::random::Random;
use gcs_server::secret::Secret;

use crate::process::Figures;

/// Dates of the elements. With the default policy all of them are live at the end.
const DATES: u64 = 13;

/// Ticks in the log, an hour apart. The reports come between them.
const TICKS: u64 = 24;

/// Reports in one batch, as when many come at once.
const BATCH: usize = 128;

/// Name of a file in a data folder whose log is in a database: the URL of it.
pub(crate) const DATABASE: &str = "database";

/// The configuration of a data folder whose listeners may have any port.
pub(crate) fn config(folder: &Path) -> Result<Config, Box<dyn Error>> {
    let anywhere = "127.0.0.1:0".parse().ok();
    let options = Options {
        data_dir: Some(folder.to_owned()),
        store: std::fs::read_to_string(folder.join(DATABASE)).ok().map(Secret),
        public_listen: anywhere,
        private_listen: anywhere,
        ..Options::default()
    };
    Ok(Config::load(&options)?)
}

/// A clock that stands where the log ends.
pub(crate) fn clock(folder: &Path) -> Result<Arc<AtomicU64>, Box<dyn Error>> {
    let text = std::fs::read_to_string(folder.join("clock"))?;
    Ok(Arc::new(AtomicU64::new(text.trim().parse()?)))
}

/// Random bytes that are the same in every run.
pub(crate) fn random() -> Random {
    Random::seeded(SEEDS.base)
}

/// What the items of reports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Elements of 16 bytes as they were broadcast.
    Raw,
    /// Seeds of DP-3T, from which elements of 32 bytes are computed.
    Seeds,
}

/// A report as an app sends it, of so many elements, spread over the dates before `now`.
pub(crate) fn report(
    kind: Kind,
    code: Code,
    elements: u64,
    now: u64,
    seeds: &mut SplitMix64,
) -> ReceivedReport {
    let first = Date::of_time(now - DATES * DAY_SECONDS);
    if kind == Kind::Raw {
        let date = |number: u64| Date::from_days(first.days() + (number % DATES) as u32);
        let item = |(number, element): (u64, [u8; 16])| {
            let date = date(number).map_err(|_| ItemProblem::DateInvalid)?;
            Ok(Item::Raw { date, element: Element::from(element) })
        };
        return ReceivedReport::new(code, (0..elements).zip(seeds).map(item).collect());
    }
    let first = first.start() / EPOCH;
    let item = |number: u64| {
        let [Some(a), Some(b)] = [seeds.next(), seeds.next()] else { unreachable!("endless") };
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&a);
        seed[16..].copy_from_slice(&b);
        let (date, place) = (number % DATES, number / DATES % PER_DAY);
        Ok(Item::Dp3tUnlinkable { epoch: (first + date * PER_DAY + place) as u32, seed })
    };
    ReceivedReport::new(code, (0..elements).map(item).collect())
}

const EPOCH: u64 = 900;
const PER_DAY: u64 = DAY_SECONDS / EPOCH;

/// Makes a deployment, and a log of so many elements in so many reports.
pub(crate) fn make(
    folder: &Path,
    kind: Kind,
    elements: u64,
    reports: u64,
) -> Result<Figures, Box<dyn Error>> {
    let began = Instant::now();
    let date: Date = "2026-01-20".parse()?;
    let time = Arc::new(AtomicU64::new(date.start() + 12 * 3600));
    let mut log = Log::begin(&config(folder)?, Clock::Manual(Arc::clone(&time)), random())?;
    let mut seeds = SplitMix64::new(SEEDS.base);
    log.act(|state, _, context| {
        let kinds = match kind {
            Kind::Raw => Kinds::of(&[ItemKind::Raw]),
            _ => state.policy.kinds,
        };
        let policy = Policy { kinds, ..state.policy.clone() };
        judge::set_policy(state, context, &policy, false)
    })?;
    log.act(|state, _, context| judge::add_provider(state, context, "a clinic"))?;
    let (mut first, mut made) = (0, 0);
    for number in 0..reports {
        let range = u64::from(MAX_RANGE);
        if number % range == 0 {
            let opened =
                log.act(|state, _, context| judge::open_range(state, context, 1, MAX_RANGE, 365))?;
            first = opened.first;
        }
        let of_this = (number + 1) * elements / reports - made;
        made += of_this;
        add_report(&mut log, kind, first + (number % range) as u32, of_this, &mut seeds)?;
        if (number + 1) * TICKS / reports > number * TICKS / reports {
            time.fetch_add(3600, Ordering::SeqCst);
            log.act(judge::tick)?;
        }
    }
    log.flush()?;
    std::fs::write(folder.join("clock"), log.now().to_string())?;
    let mut figures = Figures::default();
    figures.set("seconds", began.elapsed().as_secs_f64());
    figures.set("log_bytes", std::fs::metadata(folder.join("log.sqlite"))?.len() as f64);
    figures.set("events", log.state.position as f64);
    Ok(figures)
}

/// Adds a report. Reports do not depend on each other, so that many of them go into one batch.
fn add_report(
    log: &mut Log,
    kind: Kind,
    serial: u32,
    elements: u64,
    seeds: &mut SplitMix64,
) -> Result<(), Box<dyn Error>> {
    let code = Code::issue(&log.keys.provider(1, 1), 1, serial).ok_or("no such code")?;
    let received = report(kind, code, elements, log.now(), seeds);
    let answer =
        log.add(BATCH, |state, keys, context| judge::report(state, keys, context, &received))?;
    if u64::from(answer.accepted) != elements {
        return Err(format!("{} of {elements} elements were accepted", answer.accepted).into());
    }
    Ok(())
}

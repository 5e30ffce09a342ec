//! All measurements, their tables, and the bounds that they must keep.

use std::fmt;

use gcs_core::DAY_SECONDS;
use gcs_core::PublicKey;
use gcs_core::sync::ClientSettings;

use crate::classify::Score;
use crate::deployment::{DATES, Deployment, Plan};
use crate::guess::{self, Real};
use crate::lengths::WIRES;
use crate::page::Named;
use crate::phone::Server;
use crate::population::{POPULATIONS, Phone, Population};
use crate::stats::{mean, quantile, table};
use crate::{linked, rates, refuse, schedule};

/// The tables of the page.
#[cfg(test)]
pub(crate) const TABLES: [&str; 10] = [
    "questions",
    "phones",
    "dates",
    "lengths",
    "refusals",
    "crowds",
    "linked",
    "rates",
    "delays",
    "polls",
];

/// The goal for an attacker's balanced accuracy.
const GOAL: f64 = 0.55;

/// Fewer phones than these are too few to bind a score of phones: the best of three classifiers
/// finds something in them by chance.
const ENOUGH_PHONES: usize = 50;

/// The dates of a report that has only those on which a patient may have infected somebody.
const INFECTIOUS: u64 = 6;

/// How much is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Elements a date, and phones of each population.
    sizes: &'static [(u32, usize)],
    /// Phones of each population that a mirror refuses, and for how many hours.
    refused: usize,
    refusals: &'static [u64],
    /// Elements a date, days and phones for the CDN that drips.
    drips: &'static [(u32, u64, usize)],
    /// Elements a date, seconds from one publication to the next.
    rates: &'static [(u32, u64)],
    rate_bits: &'static [u32],
    /// Phones that poll, and days.
    polls: (usize, u64),
}

impl Scale {
    pub(crate) const FULL: Scale = Scale {
        sizes: &[(1000, 200), (10_000, 320), (100_000, 12)],
        refused: 24,
        refusals: &[24, 48],
        drips: &[(1000, 8, 40), (10_000, 8, 30), (100_000, 5, 8)],
        rates: &[(10_000, 900), (100_000, 3600)],
        rate_bits: &[20, 24, 28, 32],
        polls: (16, 6),
    };

    pub(crate) const QUICK: Scale = Scale {
        sizes: &[(10_000, 20)],
        refused: 8,
        refusals: &[48],
        drips: &[(10_000, 5, 6)],
        rates: &[(1000, 3600)],
        rate_bits: &[20, 32],
        polls: (4, 4),
    };
}

/// A figure that must not be above another.
pub(crate) struct Bound {
    what: String,
    value: f64,
    /// Standard error of the figure. The figure may be above its limit by three of them.
    error: f64,
    most: f64,
}

impl Bound {
    pub(crate) fn is_broken(&self) -> bool {
        self.value > self.most + 3.0 * self.error || self.value.is_nan()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bound { what, value, error, most } = self;
        write!(f, "{what}: {value:.3} ± {error:.3} is more than {most:.3}")
    }
}

/// The tables and bounds that a run has measured.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) tables: Vec<Named>,
    pub(crate) bounds: Vec<Bound>,
}

/// Phones of every population in one deployment.
struct Town {
    deployment: Deployment,
    settings: ClientSettings,
    phones: Vec<(Population, Vec<Phone>)>,
}

/// The defaults, but for how much a phone hears: at a rate of 2^-12 so few strangers give the false
/// alarms of the default at 2^-20.
fn settings(root: PublicKey) -> ClientSettings {
    let defaults = ClientSettings::new(root);
    ClientSettings { usual_heard: defaults.usual_heard >> 8, ..defaults }
}

fn plan(per_date: u32) -> Plan {
    let (tick, next) = (4 * 3600, DAY_SECONDS);
    Plan { seed: 1, per_date, reported: DATES, tick, next, days: 16, rate_bits: 12 }
}

impl Town {
    fn new(plan: Plan, populations: &[Population], count: usize) -> Town {
        let deployment = Deployment::new(plan);
        let settings = settings(deployment.root);
        let phones = |population: &Population| {
            eprintln!("{} elements a date: {}", plan.per_date, population.name());
            (*population, population.phones(&deployment, settings, Server::Honest, count))
        };
        let phones = populations.iter().map(phones).collect();
        Town { deployment, settings, phones }
    }

    fn elements(&self) -> String {
        thousands(u64::from(self.deployment.plan.per_date))
    }

    fn of(&self, wanted: Population) -> &[Phone] {
        let found = self.phones.iter().find(|(population, _)| *population == wanted);
        found.map_or(&[], |(_, phones)| phones)
    }
}

impl Figures {
    pub(crate) fn measure(scale: Scale) -> Figures {
        let mut figures = Figures::default();
        figures.linked();
        figures.rates(scale);
        figures.polls(scale);
        figures.crowds(scale);
        let town =
            |(per_date, count): &(u32, usize)| Town::new(plan(*per_date), &POPULATIONS, *count);
        let towns: Vec<Town> = scale.sizes.iter().map(town).collect();
        figures.questions(&towns);
        figures.phones(&towns);
        figures.dates(&towns, scale);
        figures.delays(&towns);
        if let Some(town) = towns.iter().find(|town| town.deployment.plan.per_date == 10_000) {
            figures.lengths(town);
            figures.refusals(town, scale);
        }
        figures
    }

    fn add(&mut self, name: &'static str, head: &[&str], rows: &[Vec<String>]) {
        let table = table(head, rows);
        println!("{name}\n\n{table}");
        self.tables.push((name, table));
    }

    fn bound(&mut self, what: String, value: f64, error: f64, most: f64) {
        self.bounds.push(Bound { what, value, error, most });
    }

    fn questions(&mut self, towns: &[Town]) {
        let mut rows = Vec::new();
        for town in towns {
            let met = town.phones.iter().filter(|(_, phones)| phones[0].reported.is_some());
            for (population, phones) in met {
                let told = |which| guess::questions(&town.deployment, phones, which);
                let (all, first, later) = (told(Real::All), told(Real::First), told(Real::Later));
                if let Some(Score { accuracy, error, .. }) = &first
                    && *population != Population::RecentHour
                {
                    let what =
                        format!("first question, {}, {}", population.name(), town.elements());
                    self.bound(what, *accuracy, *error, GOAL);
                }
                let hasty = guess::hasty(&town.deployment, phones, &town.settings);
                self.bound("questions without a crowd".to_owned(), hasty as f64, 0.0, 0.0);
                let way = all.as_ref().or(first.as_ref()).map_or("", |score| score.way.as_str());
                let way = first.as_ref().map_or(way, |score| score.way.as_str()).to_owned();
                let cells = [town.elements(), population.name().to_owned()];
                let scores = [&all, &first, &later].map(|score| percent(score.as_ref()));
                rows.push(cells.into_iter().chain(scores).chain([way]).collect());
            }
        }
        let head = ["elements a date", "phones", "all", "first", "later", "best way for the first"];
        self.add("questions", &head, &rows);
    }

    fn phones(&mut self, towns: &[Town]) {
        let mut rows = Vec::new();
        for town in towns {
            let none = town.of(Population::None);
            for (population, phones) in &town.phones[1..] {
                let score = guess::phones(&town.deployment, none, phones);
                let way = score.as_ref().map_or(String::new(), |score| score.way.clone());
                if let Some(Score { accuracy, error, .. }) = &score
                    && *population != Population::RecentHour
                    && phones.len() >= ENOUGH_PHONES
                {
                    let what = format!("phones with {}, {}", population.name(), town.elements());
                    self.bound(what, *accuracy, *error, GOAL);
                }
                rows.push(vec![
                    town.elements(),
                    population.name().to_owned(),
                    percent(score.as_ref()),
                    way,
                ]);
            }
        }
        self.add("phones", &["elements a date", "phones", "told from none", "best way"], &rows);
    }

    /// Contacts of two to five days before the report, and what reports have.
    fn dates(&mut self, towns: &[Town], scale: Scale) {
        let mut rows = Vec::new();
        let plan = Plan { reported: INFECTIOUS, ..plan(10_000) };
        let count = scale.sizes.iter().find(|size| size.0 == 10_000).map_or(0, |size| size.1);
        let populations = [Population::None, Population::RecentHour];
        let few = Town::new(plan, &populations, count);
        for town in
            towns.iter().filter(|town| town.deployment.plan.per_date == 10_000).chain([&few])
        {
            let phones = town.of(Population::RecentHour);
            let question = guess::questions(&town.deployment, phones, Real::First);
            let phone = guess::phones(&town.deployment, town.of(Population::None), phones);
            let dates = format!("the last {} dates", town.deployment.plan.reported);
            rows.push(vec![dates, percent(question.as_ref()), percent(phone.as_ref())]);
        }
        self.add("dates", &["reports of", "first question", "phones"], &rows);
    }

    fn delays(&mut self, towns: &[Town]) {
        let mut rows = Vec::new();
        for town in towns {
            let phones = town.of(Population::Hour);
            let delays = schedule::delays(phones);
            rows.push(vec![
                town.elements(),
                format!("{:.1}", schedule::questions(&town.deployment, phones)),
                format!("{:.0} h", quantile(&delays, 0.5)),
                format!("{:.0} h", quantile(&delays, 0.95)),
                format!("{:.1} %", 100.0 * schedule::missed(phones)),
            ]);
        }
        let head =
            ["elements a date", "questions a day", "half within", "95 % within", "never confirmed"];
        self.add("delays", &head, &rows);
    }

    fn lengths(&mut self, town: &Town) {
        let mut rows = Vec::new();
        let all: Vec<&[Phone]> = town.phones.iter().map(|(_, phones)| &phones[..]).collect();
        for wire in WIRES {
            let left: Vec<f64> =
                all.iter().map(|phones| wire.share_left(&town.deployment, phones)).collect();
            let left = mean(&left);
            let score = wire.score(&town.deployment, town.of(Population::Household));
            if wire.name == "12 digits" {
                self.bound("records told by padded requests".to_owned(), 1.0 - left, 0.0, 0.0);
            }
            let name = wire.name.to_owned();
            rows.push(vec![name, format!("{:.0} %", 100.0 * left), percent(score.as_ref())]);
        }
        let head = ["what is seen", "records that remain", "real, household"];
        self.add("lengths", &head, &rows);
    }

    fn refusals(&mut self, town: &Town, scale: Scale) {
        let mut rows = Vec::new();
        for population in POPULATIONS.into_iter().filter(|it| *it != Population::Control) {
            for hours in scale.refusals {
                let (deployment, settings) = (&town.deployment, town.settings);
                let refusal =
                    refuse::refuse(deployment, settings, population, *hours, scale.refused);
                let what = format!("second questions, {}", population.name());
                self.bound(what, refusal.without_cause as f64, 0.0, 0.0);
                rows.push(vec![
                    population.name().to_owned(),
                    format!("{hours} h"),
                    refusal.phones.to_string(),
                    refusal.without_cause.to_string(),
                    refusal.other_date.to_string(),
                    format!("{:.0} %", 100.0 * refusal.mean_left),
                    format!("{:.0} %", 100.0 * refusal.least_left),
                ]);
            }
        }
        let head = [
            "phones",
            "refused for",
            "asked",
            "asked a second",
            "after its date expired",
            "record left, mean",
            "record left, 5th percentile",
        ];
        self.add("refusals", &head, &rows);
    }

    fn crowds(&mut self, scale: Scale) {
        let mut rows = Vec::new();
        for (per_date, days, count) in scale.drips {
            eprintln!("{per_date} elements a date: a CDN that drips");
            let deployment = Deployment::new(Plan { tick: 3600, days: *days, ..plan(*per_date) });
            for crowd in [10_000, 0] {
                let settings = ClientSettings { crowd, ..settings(deployment.root) };
                let mut row = vec![thousands(u64::from(*per_date)), thousands(crowd)];
                for server in [Server::Honest, Server::Dripping] {
                    let phones = Population::Hour.phones(&deployment, settings, server, *count);
                    let hasty = guess::hasty(&deployment, &phones, &settings);
                    self.bound("questions without a crowd".to_owned(), hasty as f64, 0.0, 0.0);
                    let left = guess::patients_left(&deployment, &phones);
                    let (half, low) = (quantile(&left, 0.5), quantile(&left, 0.05));
                    row.push(format!("{half:.0} ({low:.0})"));
                }
                rows.push(row);
            }
        }
        self.add("crowds", &["elements a date", "crowd", "honest", "dripping"], &rows);
    }

    fn linked(&mut self) {
        let mut rows = Vec::new();
        for per_date in [10_000, 100_000, 1_000_000] {
            for most_records in [64, 256] {
                let ranks = linked::ranks(per_date, most_records);
                let records = per_date.div_ceil(ranks);
                let mut row = vec![thousands(per_date), format!("N/{most_records}")];
                row.push(thousands(ranks));
                for hours in [if per_date > 10_000 { 6 } else { 24 }, 14 * 24] {
                    let patients = linked::reports(per_date, hours);
                    let [one, four, eight] = linked::fitting(patients, records, 1);
                    let patients = thousands(patients);
                    row.push(format!("{patients}: {one:.0}, {four:.0}, {eight:.1}"));
                }
                rows.push(row);
            }
        }
        let head = [
            "elements a date",
            "records of",
            "ranks",
            "new patients: fit 1, 4, 8",
            "of two weeks: fit 1, 4, 8",
        ];
        self.add("linked", &head, &rows);
    }

    fn rates(&mut self, scale: Scale) {
        let mut rows = Vec::new();
        for (per_date, tick) in scale.rates {
            for bits in scale.rate_bits {
                eprintln!("{per_date} elements a date: rate 2^-{bits}");
                let rate = rates::rate(*per_date, *tick, 2, *bits);
                let most = if *bits == 32 { 0.0 } else { f64::INFINITY };
                self.bound(format!("questions a day at 2^-{bits}"), rate.questions, 0.0, most);
                rows.push(vec![
                    format!("2^-{}", rate.bits),
                    thousands(u64::from(*per_date)),
                    format!("{:.1}", rate.bits_an_element),
                    format!("{:.0} kB", rate.sync_bytes / 1e3),
                    format!("{:.0} kB", rate.record_bytes / 1e3),
                    format!("{:.1}", rate.questions),
                    format!("{:.5}", rate.false_alarms),
                    thousands(u64::from(rates::most_planned(*bits))),
                ]);
            }
        }
        let head = [
            "rate",
            "elements a date",
            "bits an element",
            "sync a day",
            "records a day",
            "questions a day",
            "false alarms a phone and year",
            "most elements a date",
        ];
        self.add("rates", &head, &rows);
    }

    fn polls(&mut self, scale: Scale) {
        let (count, days) = scale.polls;
        let rows = schedule::polling(10_000, days, count).into_iter().map(|polling| {
            vec![
                polling.name.to_owned(),
                format!("{:.2}", polling.questions),
                format!("{:.1} h", polling.lag),
                format!("{:.1}", polling.patients),
                format!("{:.0} h", polling.delay),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let head = [
            "publications",
            "questions a day",
            "from one to the next",
            "patients left",
            "half confirmed within",
        ];
        self.add("polls", &head, &rows);
    }
}

fn percent(score: Option<&Score>) -> String {
    let Some(Score { accuracy, error, .. }) = score else { return "–".to_owned() };
    format!("{:.0} ± {:.0} %", 100.0 * accuracy, 100.0 * error)
}

/// A number with commas.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

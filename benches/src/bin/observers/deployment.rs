//! Patients, and what is published of them: every file of every publication.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use gcs_core::files::{Row, Table};
use gcs_core::identifiers::dp3t;
use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date, Digest, PublicKey};

use crate::random::Random;

/// 2026-03-02T03:00:00Z, when the first publication is issued.
pub(crate) const START: u64 = 1_772_420_400;

/// Dates that a table holds.
pub(crate) const DATES: u64 = 14;

/// Identifiers of a patient and date.
pub(crate) const EPOCHS: u64 = dp3t::EPOCHS_A_DAY as u64;

pub(crate) type Element = [u8; 32];

/// The size, times and false-positive rate of a simulated deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Elements of a date when all patients who were there have reported.
    pub(crate) per_date: u32,
    /// Dates that a patient reports: the newest.
    pub(crate) reported: u64,
    /// Seconds from one publication to the next.
    pub(crate) tick: u64,
    /// When the manifest says that the next publication comes, in seconds.
    pub(crate) next: u64,
    /// Days of publications.
    pub(crate) days: u64,
    /// The false-positive rate is below 2^-`rate_bits`.
    pub(crate) rate_bits: u32,
}

/// Somebody who reports.
pub(crate) struct Patient {
    /// The publication that brings the report.
    pub(crate) tick: usize,
    /// The elements of each date.
    pub(crate) dates: Vec<(Date, Vec<Element>)>,
}

impl Patient {
    pub(crate) fn elements(&self, date: Date) -> &[Element] {
        let found = self.dates.iter().find(|entry| entry.0 == date);
        found.map_or(&[], |entry| &entry.1)
    }
}

/// One publication.
pub(crate) struct Tick {
    pub(crate) issued: u64,
    pub(crate) table: Table,
    /// Of each date the fingerprints at which its records begin.
    starts: BTreeMap<Date, Vec<u64>>,
    /// The patients whose reports it brings.
    pub(crate) patients: Range<usize>,
    /// How many elements they have.
    pub(crate) added: u64,
}

/// A deployment with everything that it ever published.
pub(crate) struct Deployment {
    pub(crate) plan: Plan,
    pub(crate) root: PublicKey,
    pub(crate) patients: Vec<Patient>,
    pub(crate) ticks: Vec<Tick>,
    /// All files by path; no file is ever deleted, so any publication can be served at any time.
    pub(crate) files: HashMap<String, Vec<u8>>,
}

impl Plan {
    /// Reports a day.
    pub(crate) fn reports(&self) -> f64 {
        f64::from(self.per_date) / (self.reported * EPOCHS) as f64
    }

    /// Number of publications.
    fn ticks(&self) -> usize {
        (self.days * DAY_SECONDS / self.tick) as usize
    }

    pub(crate) fn end(&self) -> u64 {
        START + self.days * DAY_SECONDS
    }

    /// When the reports come that contacts are told by: long after phones were installed, and
    /// long before the end.
    pub(crate) fn contact_time(&self) -> Range<u64> {
        let day = |day: u64| START + day * DAY_SECONDS;
        day(2)..day(self.days - self.days / 3)
    }

    /// Reports of all days, by time; those before the start come with the first publication.
    fn patients(&self) -> Vec<Patient> {
        let mut random = Random::of(&[self.seed, 1]);
        let mut time = START as f64 - (DATES * DAY_SECONDS) as f64;
        let mut patients = Vec::new();
        loop {
            time += random.wait(self.reports()) * DAY_SECONDS as f64;
            let tick = (time as u64).saturating_sub(START).div_ceil(self.tick) as usize;
            if tick >= self.ticks() {
                return patients;
            }
            let number = patients.len() as u64;
            let from = Date::of_time(START - DATES * DAY_SECONDS);
            let newest = Date::of_time((time as u64).saturating_sub(self.reported * DAY_SECONDS));
            let dates = live_dates(time as u64).filter(|date| *date >= from.max(newest));
            let dates = dates.map(|date| (date, self.elements(number, date))).collect();
            patients.push(Patient { tick, dates });
        }
    }

    /// The elements of a patient's DP-3T seeds of a date.
    fn elements(&self, patient: u64, date: Date) -> Vec<Element> {
        let first = (date.start() / dp3t::EPOCH_SECONDS) as u32;
        let element = |epoch: u32| {
            let name = [self.seed.to_le_bytes(), patient.to_le_bytes()].concat();
            let seed = Digest::of(&[&name[..], &epoch.to_le_bytes()].concat());
            dp3t::unlinkable_element(&seed.0, epoch)
        };
        (first..first + dp3t::EPOCHS_A_DAY).map(element).collect()
    }
}

/// The dates that a table of this time holds.
fn live_dates(time: u64) -> impl Iterator<Item = Date> {
    let today = Date::of_time(time).days();
    let dates = (1..=DATES as u32).rev().filter_map(move |age| Date::from_days(today - age).ok());
    dates.filter(move |date| date.entry() <= time)
}

impl Deployment {
    pub(crate) fn new(plan: Plan) -> Deployment {
        let keys = Keys::from_secret([7; 32], START + 400 * DAY_SECONDS);
        let root = keys.root;
        let (patients, files) = (plan.patients(), HashMap::new());
        let mut deployment = Deployment { plan, root, patients, ticks: Vec::new(), files };
        let settings = PublisherSettings {
            rate_bits: plan.rate_bits,
            expected_per_date: plan.per_date,
            interval: plan.next,
        };
        let mut publisher = Publisher::new(settings, 1);
        let mut days: BTreeMap<Date, Day<Element>> = BTreeMap::new();
        for number in 0..plan.ticks() {
            let now = START + number as u64 * plan.tick;
            publisher = deployment.publish(&publisher, now, &mut days, &keys);
        }
        deployment
    }

    fn publish(
        &mut self,
        publisher: &Publisher,
        now: u64,
        days: &mut BTreeMap<Date, Day<Element>>,
        keys: &Keys,
    ) -> Publisher {
        for date in live_dates(now) {
            days.entry(date).or_insert(Day { date, elements: Vec::new() });
        }
        days.retain(|date, _| live_dates(now).any(|live| live == *date));
        let number = self.ticks.len();
        let first = self.ticks.last().map_or(0, |tick| tick.patients.end);
        let new = self.patients[first..].iter().take_while(|patient| patient.tick <= number);
        let (mut last, mut added) = (first, 0);
        for patient in new {
            last += 1;
            for (date, elements) in &patient.dates {
                if let Some(day) = days.get_mut(date) {
                    day.elements.extend(elements);
                    added += elements.len() as u64;
                }
            }
        }
        let present: Vec<Day<Element>> = days.values().cloned().collect();
        let publication =
            publisher.publish_next(now, &present, keys).expect("inputs of a publication");
        let publisher = publication.publisher;
        let table = publisher.table().cloned().unwrap_or_default();
        let starts = table.rows().iter().map(|row| (row.date, starts(&publisher, row))).collect();
        self.ticks.push(Tick { issued: now, table, starts, patients: first..last, added });
        let files = publication.files.into_iter();
        self.files.extend(files.map(|file| (file.path.to_string(), file.bytes)));
        publisher
    }

    /// The newest publication at a time.
    pub(crate) fn newest(&self, now: u64) -> usize {
        self.ticks.partition_point(|tick| tick.issued <= now).saturating_sub(1)
    }

    pub(crate) fn row(&self, tick: usize, date: Date) -> Option<&Row> {
        self.ticks[tick].table.row(date)
    }

    /// The fingerprints that a record covers.
    pub(crate) fn interval(&self, tick: usize, date: Date, record: u32) -> Range<u64> {
        let starts = self.ticks[tick].starts.get(&date).map_or(&[][..], Vec::as_slice);
        let at = |record: u32| starts.get(record as usize).copied().unwrap_or(u64::MAX);
        (if record == 0 { 0 } else { at(record) })..at(record.saturating_add(1))
    }

    /// How many elements of a date's set lie in an interval of fingerprints.
    pub(crate) fn published_within(&self, tick: usize, date: Date, interval: &Range<u64>) -> usize {
        let Some(row) = self.row(tick, date) else { return 0 };
        let hasher = row.hasher();
        let published = &self.patients[..self.ticks[tick].patients.end];
        let elements = published.iter().flat_map(|patient| patient.elements(date));
        elements.filter(|element| interval.contains(&hasher.fingerprint(&element[..]))).count()
    }

    /// How many elements of each patient whose report came after one publication, up to another,
    /// lie in a record of the later one; patients with none are left out.
    pub(crate) fn new_in_record(
        &self,
        after: usize,
        tick: usize,
        date: Date,
        record: u32,
    ) -> Vec<u32> {
        let Some(row) = self.row(tick, date) else { return Vec::new() };
        let (hasher, interval) = (row.hasher(), self.interval(tick, date, record));
        let new = self.new_patients(after, tick);
        let within = |patient: &Patient| {
            let elements = patient.elements(date).iter();
            elements.filter(|element| interval.contains(&hasher.fingerprint(&element[..]))).count()
        };
        self.patients[new].iter().map(|patient| within(patient) as u32).filter(|n| *n > 0).collect()
    }

    /// The patients whose reports came after one publication, up to another.
    fn new_patients(&self, after: usize, tick: usize) -> Range<usize> {
        let (first, last) = (self.ticks[after].patients.end, self.ticks[tick].patients.end);
        first..last.max(first)
    }

    /// How many reports that phones have contacts by came after one publication, up to another.
    pub(crate) fn contact_reports(&self, after: usize, tick: usize) -> usize {
        let time = self.plan.contact_time();
        let new = self.patients[self.new_patients(after, tick)].iter();
        new.filter(|patient| time.contains(&self.ticks[patient.tick].issued)).count()
    }

    /// Elements that were added after one publication, up to another.
    pub(crate) fn added(&self, after: usize, tick: usize) -> u64 {
        let ticks = self.ticks.get(after + 1..=tick).unwrap_or_default();
        ticks.iter().map(|tick| tick.added).sum()
    }
}

fn starts(publisher: &Publisher, row: &Row) -> Vec<u64> {
    let ranks = row.record_shape.ranks as usize;
    publisher.set(row.date).map_or(Vec::new(), |set| set.iter().step_by(ranks).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcs_core::Set;

    fn small() -> Deployment {
        let (tick, next) = (6 * 3600, DAY_SECONDS);
        let plan =
            Plan { seed: 3, per_date: 6000, reported: DATES, tick, next, days: 3, rate_bits: 12 };
        Deployment::new(plan)
    }

    #[test]
    fn records_cover_the_ranks_that_the_format_gives_them() {
        let deployment = small();
        let last = deployment.ticks.len() - 1;
        let row = deployment.ticks[last].table.rows()[0];
        assert!(row.records() > 1);
        let set = &deployment.files[&format!("/v1/sets/{}/{}", row.date, row.identity)];
        for (rank, fingerprint) in Set::parse(&set[..]).unwrap().iter().enumerate() {
            let record = row.record_of(rank as u32);
            assert!(deployment.interval(last, row.date, record).contains(&fingerprint));
        }
        let everything = 0..u64::MAX;
        let published = deployment.published_within(last, row.date, &everything);
        assert!(published.abs_diff(row.len as usize) < 5, "but for fingerprints that collide");
    }

    #[test]
    fn what_is_new_adds_up() {
        let deployment = small();
        let last = deployment.ticks.len() - 1;
        let mut sum = 0;
        for row in deployment.ticks[last].table.rows() {
            for record in 0..row.records() {
                let new = deployment.new_in_record(0, last, row.date, record);
                assert!(new.len() <= deployment.new_patients(0, last).len());
                sum += u64::from(new.iter().sum::<u32>());
            }
        }
        // Some of what was added since then lies on dates that have expired.
        let added = deployment.added(0, last);
        assert!(sum > 0 && sum < added && sum > added / 2, "{sum} of {added}");
        assert_eq!(deployment.newest(START + 6 * 3600 - 1), 0);
        assert_eq!(deployment.newest(START + 6 * 3600), 1);
    }
}

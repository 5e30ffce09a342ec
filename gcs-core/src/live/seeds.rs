//! Live seeds: those of the reports whose elements are published.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::elements::{Elements, StoredElements, Support};
use super::filler::FillerKey;
use super::numbered::Numbered;
use super::seed_day::LiveSeedDay;
use super::{Act, LiveDate, LiveReport, LiveSettings, after};
use crate::date::Date;
use crate::report::{ItemSeed, Kind};

/// The seeds of all reports, in lists by their last dates and kinds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LiveSeeds {
    /// The first date that has never expired: what keys give for earlier dates is not published any more, also under a
    /// longer retention, when such a date comes back.
    since: Option<Date>,
    lists: BTreeMap<Place, LiveList>,
    /// The seeds of reports by their numbers.
    reports: Numbered<Vec<ReportSeed>>,
}

/// Live seeds as they were serialised.
#[derive(Deserialize)]
pub(super) struct StoredSeeds {
    since: Option<Date>,
    lists: BTreeMap<Place, StoredList>,
    reports: Numbered<Vec<ReportSeed>>,
}

/// A list: the last date of its seeds, and the number of their kind in [`Kind::ALL`].
type Place = (Date, u8);

/// A seed of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ReportSeed {
    place: Place,
    first: Date,
    /// Its index in the list.
    index: u32,
}

/// The seeds of one kind and date.
#[derive(Clone, Debug, Serialize)]
struct LiveList {
    /// Number of its first report: see [`LiveDate`](super::LiveDate).
    begun: u64,
    /// Notes and bytes.
    seeds: Elements,
    /// Numbers of the reports whose seeds wait.
    waiting: Vec<u64>,
    /// The published seeds, if they have not changed since the last tick.
    #[serde(skip)]
    day: Option<LiveSeedDay>,
}

#[derive(Deserialize)]
struct StoredList {
    begun: u64,
    seeds: StoredElements,
    waiting: Vec<u64>,
}

impl LiveList {
    fn new(begun: u64, key: &FillerKey) -> LiveList {
        let seeds = Elements::new(key.table_hasher());
        LiveList { begun, seeds, waiting: Vec::new(), day: None }
    }

    fn change(&mut self, index: u32, change: impl FnOnce(Support) -> Support) {
        if self.seeds.change(index, change) {
            self.day = None;
        }
    }

    /// The published seeds; `None` if there are none.
    fn day(&self, (date, kind): Place, since: Option<Date>) -> Option<LiveSeedDay> {
        let build = || {
            let kind =
                Kind::ALL.get(usize::from(kind)).filter(|_| self.seeds.published_len() > 0)?;
            LiveSeedDay::new(date, *kind, self.seeds.share(), since.unwrap_or(date))
        };
        self.day.clone().or_else(build)
    }

    /// Publishes the seeds of all reports that are ready, if enough of them have new ones or if one has waited for
    /// long enough.
    fn release(&mut self, place: Place, own: &Numbered<Vec<ReportSeed>>, tick: &SeedTick<'_>) {
        self.waiting.retain(|report| tick.reports.get(*report).is_some());
        let ready = self.ready(place, own, tick);
        let mut added = BTreeSet::new();
        let has_new = |report: &&Ready| {
            let is_new = |index: &&u32| {
                self.seeds.support(**index).is_some_and(|support| !support.is_released())
            };
            let new = report.seeds.iter().filter(is_new);
            new.filter(|index| added.insert(**index)).count() > 0
        };
        let with_new = ready.iter().filter(has_new);
        let received: Vec<u64> =
            with_new.map(|report| report.received.max(place.0.entry())).collect();
        let LiveSettings { min_reports, max_hold, .. } = *tick.settings;
        let is_late = received.iter().any(|time| time.saturating_add(max_hold) <= tick.now);
        if !received.is_empty() && received.len() < min_reports as usize && !is_late {
            return;
        }
        for index in ready.iter().flat_map(|report| &report.seeds) {
            self.change(*index, Support::released);
        }
        let is_ready =
            |number: &u64| ready.binary_search_by_key(number, |report| report.number).is_ok();
        self.waiting.retain(|number| !is_ready(number));
    }

    /// The reports that wait, are not retracted, and whose seeds in this list expand to nothing that waits.
    fn ready(
        &self,
        place: Place,
        own: &Numbered<Vec<ReportSeed>>,
        tick: &SeedTick<'_>,
    ) -> Vec<Ready> {
        let ready = |number: &u64| {
            let report = tick.reports.get(*number).filter(|report| !report.retracted)?;
            let seeds = own.get(*number).map_or(&[][..], Vec::as_slice);
            let seeds = || seeds.iter().filter(|seed| seed.place == place);
            let is_out = seeds().all(|seed| tick.is_span_out(*number, seed.first, place.0));
            let ready = || Ready {
                number: *number,
                received: report.received,
                seeds: seeds().map(|seed| seed.index).collect(),
            };
            is_out.then(ready)
        };
        self.waiting.iter().filter_map(ready).collect()
    }
}

/// A report whose seeds can be published.
struct Ready {
    number: u64,
    received: u64,
    /// Its seeds, as their indices in the list.
    seeds: Vec<u32>,
}

/// The publication for which lists release seeds.
pub(super) struct SeedTick<'t> {
    pub now: u64,
    pub settings: &'t LiveSettings,
    pub dates: &'t BTreeMap<Date, LiveDate>,
    pub reports: &'t Numbered<LiveReport>,
}

impl SeedTick<'_> {
    /// Whether what a report brought for each of these dates is published, or has expired.
    fn is_span_out(&self, report: u64, first: Date, last: Date) -> bool {
        let next = |date: &Date| date.next().filter(|next| *next <= last);
        core::iter::successors(Some(first), next).all(|date| self.is_out(report, date))
    }

    fn is_out(&self, report: u64, date: Date) -> bool {
        let brought = self.reports.get(report).map_or(&[][..], |report| &report.dates);
        let brought = brought.iter().find(|brought| brought.date == date);
        let has_expired = !self.dates.get(&date).is_some_and(|live| live.knows(report));
        has_expired || brought.is_some_and(|brought| brought.since.is_some())
    }

    /// The first date that has not expired.
    fn first_live(&self) -> Option<Date> {
        let days = Date::of_time(self.now).days().saturating_sub(self.settings.retention_days);
        Date::from_days(days).ok()
    }
}

impl LiveSeeds {
    pub(super) fn restore<E: serde::de::Error>(
        stored: StoredSeeds,
        key: &FillerKey,
    ) -> Result<LiveSeeds, E> {
        let list = |(place, list): (Place, StoredList)| {
            let StoredList { begun, seeds, waiting } = list;
            let seeds = Elements::restore(seeds, key.table_hasher())?;
            Ok((place, LiveList { begun, seeds, waiting, day: None }))
        };
        let lists = stored.lists.into_iter().map(list).collect::<Result<_, E>>()?;
        Ok(LiveSeeds { since: stored.since, lists, reports: stored.reports })
    }

    /// The same seeds, to be serialised and nothing else.
    pub(super) fn image(&self) -> LiveSeeds {
        let image = |list: &LiveList| LiveList {
            begun: list.begun,
            seeds: list.seeds.image(),
            waiting: list.waiting.clone(),
            day: None,
        };
        let lists = self.lists.iter().map(|(place, list)| (*place, image(list))).collect();
        LiveSeeds { since: self.since, lists, reports: self.reports.clone() }
    }

    /// Adds the seeds of a report, which wait.
    pub(super) fn add(
        &mut self,
        report: u64,
        seeds: impl IntoIterator<Item = ItemSeed>,
        key: &FillerKey,
    ) {
        let (mut known, mut own) = (BTreeSet::new(), Vec::new());
        for ItemSeed { kind, first, last, parts } in seeds {
            let place = (last, kind as u8);
            let list = self.lists.entry(place).or_insert_with(|| LiveList::new(report, key));
            let Some(index) =
                list.seeds.insert(&parts).filter(|index| known.insert((place, *index)))
            else {
                continue;
            };
            list.change(index, |support| support.with_reports(support.reports() + 1));
            if list.waiting.last() != Some(&report) {
                list.waiting.push(report);
            }
            own.push(ReportSeed { place, first, index });
        }
        if !own.is_empty() {
            self.reports.insert(report, own);
        }
    }

    pub(super) fn correct(&mut self, act: Act, report: u64) {
        for seed in self.reports.get(report).into_iter().flatten() {
            let list = self.lists.get_mut(&seed.place).filter(|list| list.begun <= report);
            if let Some(list) = list {
                list.change(seed.index, |support| {
                    support.with_reports(after(act, support.reports(), 1))
                });
            }
        }
    }

    /// Drops the lists of dates that have expired, and releases seeds. What keys of DP-3T's low-cost design give for
    /// dates that have expired leaves as well.
    pub(super) fn tick(&mut self, tick: &SeedTick<'_>) {
        self.lists.retain(|(date, _), _| tick.dates.contains_key(date));
        let since = self.since.max(tick.first_live());
        let is_other = since != self.since;
        self.since = since;
        for (place, list) in &mut self.lists {
            list.release(*place, &self.reports, tick);
            if is_other && place.1 == Kind::Dp3tLowCost as u8 {
                list.day = None;
            }
            list.day = list.day(*place, since);
        }
    }

    /// The published seeds.
    pub(super) fn days(&self) -> impl Iterator<Item = LiveSeedDay> {
        self.lists.iter().filter_map(|(place, list)| list.day(*place, self.since))
    }

    pub(super) fn forget(&mut self, report: u64) {
        self.reports.remove(report);
    }
}

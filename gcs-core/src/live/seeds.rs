//! Live seeds: those of the reports whose elements are published.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::elements::{Elements, StoredElements, Support, published};
use super::filler::FillerKey;
use super::numbered::Numbered;
use super::{Act, after};
use crate::date::Date;
use crate::report::{ItemSeed, Kind};
use crate::seeds::SeedDay;

/// The seeds of all reports, in lists by their last dates and kinds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LiveSeeds {
    lists: BTreeMap<Place, LiveList>,
    /// The seeds of reports by their numbers.
    reports: Numbered<Vec<ReportSeed>>,
}

/// Live seeds as they were serialised.
#[derive(Deserialize)]
pub(super) struct StoredSeeds {
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
    /// Numbers of the reports of which a seed has not been released.
    waiting: Vec<u64>,
    /// The published list, if it has not changed since it was built.
    #[serde(skip)]
    built: Option<SeedDay>,
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
        LiveList { begun, seeds, waiting: Vec::new(), built: None }
    }

    fn change(&mut self, index: u32, change: impl FnOnce(Support) -> Support) {
        if self.seeds.change(index, change) {
            self.built = None;
        }
    }

    /// The published list; `None` if it is empty.
    fn day(&self, (date, kind): Place) -> Option<SeedDay> {
        let build = || {
            let kind = Kind::ALL.get(usize::from(kind))?.seeds()?;
            let seeds = self.seeds.share();
            SeedDay::build(date, kind, published(&seeds)).ok()
        };
        self.built.clone().or_else(|| if self.seeds.published_len() > 0 { build() } else { None })
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
            Ok((place, LiveList { begun, seeds, waiting, built: None }))
        };
        let lists = stored.lists.into_iter().map(list).collect::<Result<_, E>>()?;
        Ok(LiveSeeds { lists, reports: stored.reports })
    }

    /// The same seeds, to be serialised and nothing else.
    pub(super) fn image(&self) -> LiveSeeds {
        let image = |list: &LiveList| LiveList {
            begun: list.begun,
            seeds: list.seeds.image(),
            waiting: list.waiting.clone(),
            built: None,
        };
        let lists = self.lists.iter().map(|(place, list)| (*place, image(list))).collect();
        LiveSeeds { lists, reports: self.reports.clone() }
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

    /// Drops the lists of dates that are not live, releases the seeds of reports whose additions
    /// `is_out` says are released from a first date to a last, and builds the lists that have changed.
    pub(super) fn tick(
        &mut self,
        is_live: impl Fn(Date) -> bool,
        is_out: impl Fn(u64, Date, Date) -> bool,
    ) {
        self.lists.retain(|(date, _), _| is_live(*date));
        for (place, list) in &mut self.lists {
            for report in core::mem::take(&mut list.waiting) {
                let seeds = self.reports.get(report).map_or(&[][..], Vec::as_slice);
                let own = seeds.iter().filter(|seed| seed.place == *place);
                let (out, waiting): (Vec<&ReportSeed>, Vec<_>) =
                    own.partition(|seed| is_out(report, seed.first, place.0));
                out.iter().for_each(|seed| list.change(seed.index, Support::released));
                if !waiting.is_empty() {
                    list.waiting.push(report);
                }
            }
            list.built = list.day(*place);
        }
    }

    /// The published lists.
    pub(super) fn days(&self) -> impl Iterator<Item = SeedDay> {
        self.lists.iter().filter_map(|(place, list)| list.day(*place))
    }

    pub(super) fn forget(&mut self, report: u64) {
        self.reports.remove(report);
    }
}

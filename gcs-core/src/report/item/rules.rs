//! Which items of a report a backend accepts.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Item, ItemProblem, Kinds, MAX_PER_UNIT, MAX_TCN_REPORTS, gaen};
use crate::date::Date;
use crate::identifiers::dp3t::HybridWindow;

/// Which items a backend accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRules {
    /// The kinds of items that are accepted.
    pub kinds: Kinds,
    /// The windows of `dp3t-hybrid` that are accepted.
    pub hybrid: HybridWindow,
    /// Days for which a date is kept after its end.
    pub retention_days: u32,
    /// Seconds that may pass until an accepted item is published: the longest hold, and the longest
    /// time from one publication to the next. They count from its arrival, or from [`Date::entry`]
    /// of its date if that is later. An item whose date may have expired by then is refused.
    pub publication_delay: u64,
    /// Most elements of one date in one report. So one report brings at most so many for each date that
    /// it can have elements of: `retention_days` and two more, for the clocks of phones may be ahead.
    pub max_elements_per_date: u32,
}

/// The items of a report, separated into those that are accepted and the problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedItems {
    /// The items that are accepted, in order and without duplicates.
    pub items: Vec<Item>,
    /// The problems of the other items, by their index among the items sent.
    pub problems: Vec<(u32, ItemProblem)>,
}

impl ItemRules {
    /// Separates the items of a report that arrives at the Unix time `now` into those that are
    /// accepted and the problems. O(n log n) time for n items. No item is expanded, and signatures are
    /// verified of at most [`MAX_TCN_REPORTS`] items a date.
    pub fn accept(&self, items: &[Result<Item, ItemProblem>], now: u64) -> AcceptedItems {
        let mut accepted = BTreeSet::new();
        let mut tally = Tally::default();
        let mut problems = Vec::new();
        for (index, item) in (0..).zip(items) {
            let judged = item.as_ref().map_err(|problem| *problem).and_then(|item| {
                item.validate_unverified(self, now)?;
                if !accepted.contains(item) {
                    tally.count(item, self, now)?;
                    item.verify()?;
                    accepted.insert(item.clone());
                }
                Ok(())
            });
            problems.extend(judged.err().map(|problem| (index, problem)));
        }
        AcceptedItems { items: accepted.into_iter().collect(), problems }
    }
}

/// How many elements of each date, and how much of each unit, the items have that were counted.
#[derive(Default)]
struct Tally {
    dates: BTreeMap<Date, u32>,
    units: BTreeMap<Unit, u32>,
}

/// What a phone has one secret for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    /// An epoch of DP-3T's unlinkable design.
    Epoch(u32),
    /// A window of the hybrid design.
    Window(u32),
    /// A date of the low-cost design.
    Day(Date),
    /// The interval at which a key of Exposure Notification starts.
    Start(u32),
    /// A date of TCN reports, of which a phone makes some.
    Reports(Date),
}

impl Unit {
    /// How much of it a report may have, and what is wrong otherwise.
    fn limit(self) -> (u32, ItemProblem) {
        match self {
            Unit::Epoch(_) => (MAX_PER_UNIT, ItemProblem::TooManyForEpoch),
            Unit::Window(_) => (MAX_PER_UNIT, ItemProblem::TooManyForWindow),
            Unit::Day(_) | Unit::Start(_) => (MAX_PER_UNIT, ItemProblem::TooManyKeys),
            Unit::Reports(_) => (MAX_TCN_REPORTS, ItemProblem::TooManyForDate),
        }
    }
}

impl Tally {
    /// Counts an item if there is room for all of it.
    fn count(&mut self, item: &Item, rules: &ItemRules, now: u64) -> Result<(), ItemProblem> {
        let units: Vec<Unit> = units(item, now).collect();
        for (date, count) in item.counts(now) {
            let sum = self.dates.get(&date).copied().unwrap_or(0).saturating_add(count);
            if sum > rules.max_elements_per_date {
                return Err(ItemProblem::TooManyForDate);
            }
        }
        for unit in &units {
            let (most, problem) = unit.limit();
            if self.units.get(unit).is_some_and(|count| *count >= most) {
                return Err(problem);
            }
        }
        for (date, count) in item.counts(now) {
            *self.dates.entry(date).or_default() += count;
        }
        for unit in units {
            *self.units.entry(unit).or_default() += 1;
        }
        Ok(())
    }
}

fn units(item: &Item, now: u64) -> impl Iterator<Item = Unit> {
    let days = match item {
        Item::Dp3tLowCost { .. } => Some(item.counts(now).map(|(date, _)| Unit::Day(date))),
        _ => None,
    };
    let one = match item {
        Item::Dp3tUnlinkable { epoch, .. } => Some(Unit::Epoch(*epoch)),
        Item::Dp3tHybrid { window, .. } => Some(Unit::Window(*window)),
        Item::Tcn { date, .. } => Some(Unit::Reports(*date)),
        Item::Gaen(gaen::GaenKey { rolling_start, .. }) => Some(Unit::Start(*rolling_start)),
        Item::Raw { .. } | Item::Dp3tLowCost { .. } => None,
    };
    one.into_iter().chain(days.into_iter().flatten())
}

//! A publisher with two weeks of elements, of which some change with every tick.

use std::cell::RefCell;

use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Date};

use crate::data::{Element, SEEDS, SplitMix64};

/// Dates that are published.
pub const DATES: usize = 14;

/// Where the changes of a tick are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Spread over all dates: half of them elements that are removed, half elements that are added.
    InAllDates,
    /// The same number, all in the newest date.
    InOneDate,
}

/// The publisher, its elements and where it is in time.
pub struct Ticks {
    state: RefCell<State>,
    keys: Keys,
}

struct State {
    publisher: Publisher,
    now: u64,
    days: Vec<Day<Element>>,
    added: SplitMix64,
    /// How many elements of a date have been replaced so far.
    replaced: usize,
}

impl Ticks {
    /// A publisher that has published `len` elements, the same number on each date.
    pub fn new(len: usize) -> Ticks {
        let newest = Date::of_time(1_790_000_000);
        let dates = std::iter::successors(Some(newest), |date| date.previous());
        let mut elements = SplitMix64::new(SEEDS.base);
        let per_date = len.div_ceil(DATES);
        let days: Vec<Day<Element>> = dates
            .take(DATES)
            .map(|date| Day { date, elements: elements.by_ref().take(per_date).collect() })
            .collect();
        let now = newest.entry();
        let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        let added = SplitMix64::new(SEEDS.added);
        let ticks =
            Ticks { state: RefCell::new(State { publisher, now, days, added, replaced: 0 }), keys };
        ticks.publish();
        ticks
    }

    /// Changes elements, half of the number removed and half added.
    pub fn change(&self, count: usize, changes: Changes) {
        let mut state = self.state.borrow_mut();
        let State { days, added, replaced, .. } = &mut *state;
        let dates = if changes == Changes::InOneDate { 1 } else { DATES };
        let count = (count / 2).div_ceil(dates);
        for day in &mut days[..dates] {
            let len = day.elements.len();
            // Another element in the place of each: one removed, one added.
            for (place, new) in (*replaced..*replaced + count).zip(added.by_ref()) {
                day.elements[place % len] = new;
            }
        }
        *replaced += count;
    }

    /// Publishes the next tick. Returns the bytes of its files.
    pub fn publish(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        let State { publisher, now, days, .. } = &mut *state;
        let publication = publisher
            .publish_next(*now, days, &self.keys)
            .expect("fourteen dates of elements of 16 bytes can be published");
        *now += 900;
        *publisher = publication.publisher;
        publication.files.iter().map(|file| file.bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_publishes_its_changes_alone() {
        let ticks = Ticks::new(14_000);
        let unchanged = ticks.publish();
        ticks.change(140, Changes::InOneDate);
        let one = ticks.publish();
        ticks.change(140, Changes::InAllDates);
        let all = ticks.publish();
        // Check records of a changed date are written whole: 8 bytes an element.
        assert!(unchanged < 20_000, "{unchanged}");
        assert!((8_000..60_000).contains(&(one - unchanged)), "{one}");
        assert!((8 * 14_000..600_000).contains(&(all - unchanged)), "{all}");
    }
}

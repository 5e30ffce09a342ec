//! The published seeds of a date and kind, shared and not copied.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Once;

use super::elements::{Chunk, published};
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t::DayKeys;
use crate::report::Kind;
use crate::seeds::{SeedBuildError, SeedDay, SeedKind, parts_of, seed_of};

/// The published seeds of one kind whose last day of use is a date, as [`Live::seeds`](super::Live::seeds)
/// gives them. Clones share them, and the list that is built of them.
#[derive(Clone)]
pub struct LiveSeedDay {
    date: Date,
    kind: SeedKind,
    seeds: Arc<Published>,
}

struct Published {
    chunks: Vec<Arc<Chunk>>,
    /// Seeds give nothing for dates before this one, where their kind allows that.
    since: Date,
    list: Once<SeedDay>,
}

impl LiveSeedDay {
    /// `None` if seeds of this kind are not listed.
    pub(super) fn new(
        date: Date,
        kind: Kind,
        chunks: Vec<Arc<Chunk>>,
        since: Date,
    ) -> Option<LiveSeedDay> {
        let seeds = Arc::new(Published { chunks, since, list: Once::new() });
        Some(LiveSeedDay { date, kind: kind.seeds()?, seeds })
    }

    /// The last UTC date on which the seeds were used.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The kind of the seeds.
    pub fn kind(&self) -> SeedKind {
        self.kind
    }

    /// The list. It is built by the first call, in O(n log n) time for n seeds; later calls, and those of
    /// clones, give the same memory again.
    ///
    /// # Errors
    /// As [`SeedDay::build`].
    pub fn build(&self) -> Result<SeedDay, SeedBuildError> {
        let Published { chunks, since, list } = &*self.seeds;
        let build = || {
            if self.kind != SeedKind::of::<DayKeys>() {
                return SeedDay::build(self.date, self.kind, published(chunks));
            }
            let position = |(position, parts)| (position as u64, parts);
            let keys = published(chunks).enumerate().map(position);
            let keys = keys.map(|(position, parts)| {
                advanced(parts, *since).map_err(|error| SeedBuildError::Note { position, error })
            });
            let keys = keys.collect::<Result<Vec<Element>, _>>()?;
            SeedDay::build(self.date, self.kind, keys.iter().map(|parts| &parts[..]))
        };
        list.try_call_once(build).cloned()
    }

    /// The lists of these seeds, each built as [`LiveSeedDay::build`] does.
    ///
    /// # Errors
    /// As [`SeedDay::build`], for the first that cannot be built.
    pub fn build_all(days: &[LiveSeedDay]) -> Result<Vec<SeedDay>, SeedBuildError> {
        days.iter().map(LiveSeedDay::build).collect()
    }

    /// [`LiveSeedDay::build_all`] with the threads of rayon's current pool; the result is the same.
    ///
    /// # Errors
    /// As [`LiveSeedDay::build_all`].
    #[cfg(feature = "parallel")]
    pub fn build_all_parallel(days: &[LiveSeedDay]) -> Result<Vec<SeedDay>, SeedBuildError> {
        use rayon::prelude::*;

        days.par_iter().map(LiveSeedDay::build).collect()
    }
}

/// Keys that give nothing for dates before `since`, unless there are none later.
fn advanced(parts: &[u8], since: Date) -> Result<Element, crate::error::NoteError> {
    let keys: DayKeys = seed_of(parts)?;
    let skipped = since.days().saturating_sub(keys.first().date().days());
    let days = u32::from(keys.days()).saturating_sub(skipped);
    let first = keys.keys().find(|key| key.date() >= since).zip(u8::try_from(days).ok());
    let keys = match first.filter(|_| skipped > 0) {
        Some((first, days)) => DayKeys::new(first, days)?,
        None => keys,
    };
    Ok(Element::from(parts_of(&keys)?))
}

impl fmt::Debug for LiveSeedDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, kind) = (self.date, self.kind);
        f.debug_struct("LiveSeedDay")
            .field("date", &date)
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{FillerKey, Live, LiveSettings};
    use crate::report::{Item, Kinds};
    use crate::version::Version;
    use alloc::vec;

    fn add(live: &mut Live, report: u64, now: u64, item: &Item) {
        live.add(report, now, item.elements(now)).unwrap();
        live.add_seeds(report, item.seed(now));
    }

    #[test]
    fn a_tick_builds_no_list_and_no_list_is_built_twice() {
        let date = |at: u32| Date::from_days(20_000 + at).unwrap();
        let (now, mut live) = (date(3).entry(), Live::new(FillerKey::new([7; 32])));
        let key = |at, byte| Item::Dp3tLowCost { date: date(at), key: [byte; 32] };
        let settings = LiveSettings { min_reports: 1, ..LiveSettings::default() };
        let mut tick = 0;
        let mut tick = |live: &mut Live, now| {
            tick += 1;
            live.tick(Version { series: 1, tick }, now, &settings);
            live.seeds(Kinds::ALL)
        };
        add(&mut live, 1, date(2).end(), &key(1, 1));
        add(&mut live, 2, date(3).end() - 10_000, &key(2, 2));
        let first = tick(&mut live, now);
        assert_eq!(first.iter().map(LiveSeedDay::date).collect::<Vec<_>>(), [date(3)]);
        assert!(!first[0].seeds.list.is_completed());
        let list = first[0].build().unwrap();
        // Another tick, and a checkpoint, in between.
        let again = tick(&mut live, now + 900);
        assert_eq!(again[0].build().unwrap().as_bytes().as_ptr(), list.as_bytes().as_ptr());
        live.retract(2);
        let changed = tick(&mut live, now + 1800);
        assert!(!changed[0].seeds.list.is_completed());
        assert_ne!(changed[0].build().unwrap(), list);
        live.reinstate(2);
        assert_eq!(LiveSeedDay::build_all(&tick(&mut live, now + 2700)), Ok(vec![list]));
    }

    #[test]
    fn keys_give_nothing_for_dates_before() {
        let date = |at: u32| Date::from_days(20_000 + at).unwrap();
        let keys =
            DayKeys::new(crate::identifiers::dp3t::DayKey::new(date(1), [9; 32]), 4).unwrap();
        let parts = parts_of(&keys).unwrap();
        let of = |since| seed_of::<DayKeys>(&advanced(&parts, date(since)).unwrap()).unwrap();
        for since in 0..6 {
            let (left, got) = (keys.keys().filter(|key| key.date() >= date(since)), of(since));
            match since {
                // There are none later: its list has expired.
                5 => assert_eq!(got, keys),
                _ => assert!(got.keys().eq(left)),
            }
        }
    }
}

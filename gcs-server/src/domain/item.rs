//! Reported items: what a patient sends, and the elements that phones test for it.

use gcs_core::ELEMENT_LEN;
use gcs_core::identifiers::dp3t;
use gcs_core::{DAY_SECONDS, Date};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// An element. Up to 32 bytes need no allocation.
pub type Element = SmallVec<[u8; 32]>;

/// Days as numbers, for the log.
pub(crate) mod day_number {
    use super::Date;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        date.days().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Date, D::Error> {
        Date::from_days(u32::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Something that was reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Item {
    /// A seed of DP-3T's unlinkable design: proves who broadcast.
    Dp3tUnlinkable {
        /// Its epoch: Unix time divided by 900.
        epoch: u32,
        /// The seed.
        seed: [u8; 32],
    },
    /// An element as it was broadcast, which whoever heard it could report as well.
    Raw {
        /// The UTC date on which it was broadcast.
        #[serde(with = "day_number")]
        date: Date,
        /// The element, 16 to 64 bytes.
        element: Element,
    },
}

/// Why an item was not accepted; the others of its report were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemProblem {
    /// No item of a kind that is accepted here, or with fields of another type.
    Shape,
    /// The seed is not 32 bytes.
    SeedLength,
    /// The element is not 16 to 64 bytes.
    ElementLength,
    /// Raw elements are not accepted by this deployment's policy.
    RawNotAllowed,
    /// The date has expired, or will before it could be published.
    DateTooOld,
    /// The date is in the future.
    DateInFuture,
    /// The report has more items for the date than the policy allows.
    TooManyForDate,
}

/// How far ahead of the server's a phone's clock may be, in seconds.
pub const CLOCK_SKEW: u64 = 2 * 3600;

impl Item {
    /// The UTC date on which it was broadcast.
    pub fn date(&self) -> Date {
        match self {
            Item::Dp3tUnlinkable { epoch, .. } => {
                Date::of_time(u64::from(*epoch) * dp3t::EPOCH_SECONDS)
            }
            Item::Raw { date, .. } => *date,
        }
    }

    /// What phones test.
    pub fn element(&self) -> Element {
        match self {
            Item::Dp3tUnlinkable { epoch, seed } => {
                Element::from_buf(dp3t::unlinkable_element(seed, *epoch))
            }
            Item::Raw { element, .. } => element.clone(),
        }
    }

    /// Checks lengths and dates.
    pub(crate) fn check(
        &self,
        now: u64,
        retention_days: u32,
        raw: bool,
    ) -> Result<(), ItemProblem> {
        if let Item::Raw { element, .. } = self {
            if !raw {
                return Err(ItemProblem::RawNotAllowed);
            }
            if !ELEMENT_LEN.contains(&element.len()) {
                return Err(ItemProblem::ElementLength);
            }
        }
        let date = self.date();
        if date.start() > now.saturating_add(CLOCK_SKEW) {
            Err(ItemProblem::DateInFuture)
        } else if is_expired(date, now, retention_days) {
            Err(ItemProblem::DateTooOld)
        } else {
            Ok(())
        }
    }
}

/// Whether a date has been over for longer than it is kept.
pub(crate) fn is_expired(date: Date, now: u64, retention_days: u32) -> bool {
    date.end() + u64::from(retention_days) * DAY_SECONDS <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(date: Date, length: usize) -> Item {
        Item::Raw { date, element: Element::from_elem(1, length) }
    }

    #[test]
    fn the_window_of_dates_is_exact() {
        let date: Date = "2026-01-05".parse().unwrap();
        let item = raw(date, 16);
        let last = date.end() + 14 * DAY_SECONDS;
        assert_eq!(item.check(last - 1, 14, true), Ok(()));
        assert_eq!(item.check(last, 14, true), Err(ItemProblem::DateTooOld));
        assert_eq!(item.check(date.start() - CLOCK_SKEW, 14, true), Ok(()));
        let early = date.start() - CLOCK_SKEW - 1;
        assert_eq!(item.check(early, 14, true), Err(ItemProblem::DateInFuture));
        assert_eq!(item.check(date.start(), 14, false), Err(ItemProblem::RawNotAllowed));
        for length in [0, 15, 65] {
            let problem = raw(date, length).check(date.start(), 14, true);
            assert_eq!(problem, Err(ItemProblem::ElementLength), "{length}");
        }
    }

    #[test]
    fn a_seed_has_the_date_of_its_epoch() {
        let item = |epoch| Item::Dp3tUnlinkable { epoch, seed: [0; 32] };
        assert_eq!(item(95).date().days(), 0);
        assert_eq!(item(96).date().days(), 1);
        // The largest epoch there is must be refused, not overflow.
        assert_eq!(item(u32::MAX).check(0, 14, true), Err(ItemProblem::DateInFuture));
    }
}

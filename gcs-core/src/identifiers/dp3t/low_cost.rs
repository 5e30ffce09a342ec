//! The low-cost design: one key a day.

use super::{CLOCK_TOLERANCE, EPOCHS_A_DAY, expand, numbered};
use crate::date::Date;
use crate::digest::Digest;
use crate::identifiers::secret::Secret;

/// The key of one UTC date in the low-cost design, SK_t. The key of the next date is its SHA-256,
/// so whoever has a key has all later ones: a patient reports the key of the first day, and the
/// phone draws a fresh one. Its memory is wiped when dropped; `Debug` shows only the date.
///
/// ```
/// use gcs_core::Date;
/// use gcs_core::identifiers::dp3t::{self, DayKey};
///
/// let date: Date = "2020-04-10".parse()?;
/// let key = DayKey::new(date, [7; 32]);
/// let heard = key.ephemeral_ids().nth(40).unwrap();
/// let element = dp3t::low_cost_element(&heard, date);
/// assert!(key.elements().any(|other| other == element));
/// assert_eq!(key.next().unwrap().date().to_string(), "2020-04-11");
/// # Ok::<(), gcs_core::DateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayKey {
    date: Date,
    secret: Secret<32>,
}

impl DayKey {
    /// The key of a date.
    pub fn new(date: Date, secret: [u8; 32]) -> DayKey {
        DayKey { date, secret: Secret(secret) }
    }

    /// The date.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The 32 bytes of the key.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.secret.0
    }

    /// The key of the date after, if there is one: SK_t+1 = SHA-256(SK_t).
    pub fn next(&self) -> Option<DayKey> {
        Some(DayKey::new(self.date.next()?, Digest::of(&self.secret.0).0))
    }

    /// The 96 EphIDs of the date, in the order in which they are derived, which is not that of
    /// the broadcast: AES-256-CTR under HMAC-SHA256(SK_t, "broadcast key").
    pub fn ephemeral_ids(&self) -> impl Iterator<Item = [u8; 16]> + use<> {
        expand(&self.secret.0, b"broadcast key", EPOCHS_A_DAY as usize)
    }

    /// The 96 elements of the date.
    pub fn elements(&self) -> impl Iterator<Item = [u8; 20]> + use<> {
        let date = self.date;
        self.ephemeral_ids().map(move |id| low_cost_element(&id, date))
    }
}

/// The element of an EphID heard on a date, in the low-cost design: days since 1970 as a
/// big-endian u32, then the EphID. A phone keeps the EphID and the date, which is the same.
pub fn low_cost_element(ephemeral_id: &[u8; 16], date: Date) -> [u8; 20] {
    numbered(date.days(), ephemeral_id)
}

/// The elements that an EphID heard at a Unix time may stand for in the low-cost design: one, or
/// two if a date begins or ends within [`CLOCK_TOLERANCE`] of it.
pub fn low_cost_sighting_elements(
    ephemeral_id: &[u8; 16],
    time: u64,
) -> impl Iterator<Item = [u8; 20]> + use<> {
    let id = *ephemeral_id;
    let first = Date::of_time(time.saturating_sub(CLOCK_TOLERANCE));
    let last = Date::of_time(time.saturating_add(CLOCK_TOLERANCE));
    (first.days()..=last.days()).map(move |days| numbered(days, &id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    fn ids(key: &DayKey) -> Vec<[u8; 16]> {
        key.ephemeral_ids().collect()
    }

    fn date(days: u32) -> Date {
        Date::from_days(days).unwrap()
    }

    /// From DP-3T's reference implementation.
    #[test]
    fn low_cost_ephids_are_those_of_the_reference_implementation() {
        let key = DayKey::new(date(18_362), [0; 32]);
        let of = |key: &DayKey, at: usize| HEXLOWER.encode(&ids(key)[at]);
        assert_eq!(ids(&key).len(), 96);
        assert_eq!(of(&key, 0), "eb0958c011492732c59e3ed2a5eef01d");
        assert_eq!(of(&key, 1), "0a61d3d58d430c4d3d9ef809598f55b2");
        assert_eq!(of(&key, 2), "0520fb9af787c6c534e86ec5f9639900");
        assert_eq!(of(&key, 95), "c2ff48f3a5ee557ee6a05b837eeae882");
        // The vector of FORMAT.md, section 13.
        let element = key.elements().next().unwrap();
        assert_eq!(HEXLOWER.encode(&element), "000047baeb0958c011492732c59e3ed2a5eef01d");
        let next = key.next().unwrap();
        assert_eq!(
            HEXLOWER.encode(&next.to_bytes()),
            "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
        );
        assert_eq!(of(&next, 0), "04cab76af57ca373de1d52689fae06c1");
        assert_eq!(of(&next, 95), "ef29522dfc8a12a302777bc669793fba");
    }

    #[test]
    fn the_ephids_of_14_days_have_the_right_digest() {
        let first = DayKey::new(date(18_362), core::array::from_fn(|at| at as u8));
        let days = core::iter::successors(Some(first), DayKey::next).take(14);
        let sorted = days.flat_map(|key| {
            let mut ids = ids(&key);
            ids.sort_unstable();
            ids
        });
        assert_eq!(
            Digest::of(&sorted.collect::<Vec<_>>().concat()).to_string(),
            "8643d78c4149d1a99a65d21d362667eb3974aaa021d18ad57100fc79d74ba6b5"
        );
    }

    #[test]
    fn a_sighting_near_midnight_has_two_elements() {
        let (id, day) = ([3; 16], date(18_362));
        let days = |time: u64| {
            let day_of = |element: [u8; 20]| {
                assert_eq!(element[4..], id);
                u32::from_be_bytes(element[..4].try_into().unwrap())
            };
            low_cost_sighting_elements(&id, time).map(day_of).collect::<Vec<_>>()
        };
        assert_eq!(days(day.start() + 119), [18_361, 18_362]);
        assert_eq!(days(day.start() + 120), [18_362]);
        assert_eq!(days(day.end() - 121), [18_362]);
        assert_eq!(days(day.end() - 120), [18_362, 18_363]);
        assert_eq!(days(0), [0]);
        assert_eq!(days(u64::MAX), [Date::MAX.days()]);
        assert_eq!(DayKey::new(Date::MAX, [1; 32]).next(), None);
        assert_eq!(
            format!("{:?}", DayKey::new(day, [7; 32])),
            "DayKey { date: 2020-04-10, secret: .. }"
        );
    }

    proptest! {
        /// Whatever a phone hears from another on a date is among the elements of its key.
        #[test]
        fn what_is_heard_is_found(secret: [u8; 32], day in 0u32..40_000, at in 0usize..96, seconds in 0u64..86_400, skew in 0u64..240) {
            let key = DayKey::new(date(day), secret);
            let heard = key.ephemeral_ids().nth(at).unwrap();
            let time = (date(day).start() + seconds + skew).saturating_sub(120);
            let elements: Vec<_> = key.elements().collect();
            prop_assert!(low_cost_sighting_elements(&heard, time).any(|probe| elements.contains(&probe)));
            let other = low_cost_element(&heard, date(day + 2));
            prop_assert!(!elements.contains(&other));
        }
    }
}

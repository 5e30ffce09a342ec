//! Keys and seeds as lists of seeds hold them.

use core::iter;

use super::{DayKey, HybridSeed, HybridWindow};
use crate::date::Date;
use crate::seeds::{NoteError, Seed};

/// The keys of one phone for some days in a row, as a list holds them: the first key, and how many
/// days the phone used it and those that follow from it.
///
/// Whoever has a key can compute, and broadcast, what follows from it for ever. The number of days
/// ends what others test for it: what is heard later is not the patient. List only days that are over.
///
/// ```
/// use gcs_core::identifiers::dp3t::{self, DayKey, DayKeys};
///
/// let first = DayKey::new("2020-04-10".parse()?, [7; 32]);
/// let published = DayKeys::new(first.clone(), 5)?;
/// assert_eq!(published.elements().count(), 5 * 96);
///
/// let next = first.next().unwrap();
/// let heard = next.ephemeral_ids().nth(40).unwrap();
/// let element = dp3t::low_cost_element(&heard, next.date());
/// assert!(published.elements().any(|other| other == element));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayKeys {
    first: DayKey,
    days: u8,
}

impl DayKeys {
    /// Most days of one key: as many as a publication has dates.
    pub const MAX_DAYS: u8 = 32;

    /// The key of the first day, and the number of days, 1 to [`DayKeys::MAX_DAYS`].
    ///
    /// # Errors
    /// [`NoteError`] for another number of days, and for days after [`Date::MAX`].
    pub fn new(first: DayKey, days: u8) -> Result<DayKeys, NoteError> {
        NoteError::unless_within("number of days", 1..=DayKeys::MAX_DAYS.into(), days.into())?;
        let last = i64::from(first.date().days()) + i64::from(days) - 1;
        NoteError::unless_within("last date", 0..=Date::MAX.days().into(), last)?;
        Ok(DayKeys { first, days })
    }

    /// The key of the first day.
    pub fn first(&self) -> &DayKey {
        &self.first
    }

    /// The number of days, 1 to [`DayKeys::MAX_DAYS`].
    pub fn days(&self) -> u8 {
        self.days
    }

    /// The key of each day.
    pub fn keys(&self) -> impl Iterator<Item = DayKey> + use<> {
        iter::successors(Some(self.first.clone()), DayKey::next).take(self.days.into())
    }

    /// The elements of all days, 96 each.
    pub fn elements(&self) -> impl Iterator<Item = [u8; 20]> + use<> {
        self.keys().flat_map(|key| key.elements())
    }
}

/// A seed of the hybrid design, and the window in which it was used.
///
/// ```
/// use gcs_core::identifiers::dp3t::{HybridSeed, HybridWindow, WindowSeed};
///
/// let windows = HybridWindow::TwoHours;
/// let window = windows.of_time(1_586_502_900).unwrap();
/// let published = WindowSeed { windows, window, seed: HybridSeed::new([7; 16]) };
/// assert_eq!(published.elements().count(), 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSeed {
    /// How long its window is.
    pub windows: HybridWindow,
    /// The number of its window.
    pub window: u32,
    /// The seed.
    pub seed: HybridSeed,
}

impl WindowSeed {
    /// Its 8 or 16 elements.
    pub fn elements(&self) -> impl Iterator<Item = [u8; 20]> + use<> {
        self.seed.elements(self.windows, self.window)
    }
}

/// The note is the first date, days since 1970 as a big-endian u32, then the number of days.
impl Seed for DayKeys {
    const KIND: u16 = 1;
    type Note = [u8; 5];
    type Bytes = [u8; 32];

    fn to_parts(&self) -> Result<([u8; 5], [u8; 32]), NoteError> {
        let [a, b, c, d] = self.first.date().days().to_be_bytes();
        Ok(([a, b, c, d, self.days], self.first.to_bytes()))
    }

    fn from_parts([a, b, c, d, days]: [u8; 5], bytes: [u8; 32]) -> Result<DayKeys, NoteError> {
        let date = u32::from_be_bytes([a, b, c, d]);
        let (most, got) = (i64::from(Date::MAX.days()), i64::from(date));
        let error = NoteError { field: "date", least: 0, most, none: None, got };
        let date = Date::from_days(date).map_err(|_| error)?;
        DayKeys::new(DayKey::new(date, bytes), days)
    }
}

/// The note is 1 for a window of two hours and 2 for one of four, then its number as a big-endian
/// u32.
impl Seed for WindowSeed {
    const KIND: u16 = 2;
    type Note = [u8; 5];
    type Bytes = [u8; 16];

    fn to_parts(&self) -> Result<([u8; 5], [u8; 16]), NoteError> {
        let [a, b, c, d] = self.window.to_be_bytes();
        let length = match self.windows {
            HybridWindow::TwoHours => 1,
            HybridWindow::FourHours => 2,
        };
        Ok(([length, a, b, c, d], self.seed.to_bytes()))
    }

    fn from_parts(note: [u8; 5], bytes: [u8; 16]) -> Result<WindowSeed, NoteError> {
        let [length, window @ ..] = note;
        NoteError::unless_within("length of a window", 1..=2, length.into())?;
        let windows = if length == 1 { HybridWindow::TwoHours } else { HybridWindow::FourHours };
        let (window, seed) = (u32::from_be_bytes(window), HybridSeed::new(bytes));
        Ok(WindowSeed { windows, window, seed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::SeedList;
    use alloc::vec::Vec;

    fn day_keys(date: u32, days: u8, byte: u8) -> Result<DayKeys, NoteError> {
        DayKeys::new(DayKey::new(Date::from_days(date).unwrap(), [byte; 32]), days)
    }

    #[test]
    fn keys_of_days_are_listed_by_first_date_then_number_of_days() {
        let last = Date::MAX.days();
        let keys = [
            (0, 1, 9),
            (255, 2, 2),
            (256, 1, 8),
            (256, 32, 1),
            (256, 32, 3),
            (last - 31, 32, 4),
            (last, 1, 0),
        ];
        let keys = keys.map(|(date, days, byte)| day_keys(date, days, byte).unwrap());
        let list = SeedList::<DayKeys>::build(keys.iter().rev()).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), keys);
    }

    #[test]
    fn dates_and_numbers_of_days_out_of_bounds_are_refused() {
        let last = Date::MAX.days();
        let of_note = |date: u32, days| {
            let [a, b, c, d] = date.to_be_bytes();
            DayKeys::from_parts([a, b, c, d, days], [0; 32])
        };
        let error = |field, least, most: u32, got: u32| {
            Err(NoteError { field, least, most: most.into(), none: None, got: got.into() })
        };
        for date in [last + 1, u32::MAX] {
            assert_eq!(of_note(date, 1), error("date", 0, last, date));
        }
        for days in [0, 33, 255] {
            let expected = error("number of days", 1, 32, days.into());
            assert_eq!(of_note(5, days), expected);
            assert_eq!(day_keys(5, days, 0), expected);
        }
        let expected = error("last date", 0, last, last + 1);
        assert_eq!(of_note(last - 30, 32), expected);
        assert_eq!(day_keys(last, 2, 0), expected);
    }

    /// What a listed key brings begins and ends with its days.
    #[test]
    fn a_listed_key_is_tested_for_its_days_alone() {
        let listed = day_keys(18_362, 3, 7).unwrap();
        let all: Vec<DayKey> =
            iter::successors(Some(listed.first().clone()), DayKey::next).take(5).collect();
        assert_eq!((listed.days(), listed.keys().collect::<Vec<_>>()), (3, all[..3].to_vec()));
        let elements: Vec<_> = listed.elements().collect();
        assert_eq!(elements.len(), 3 * 96);
        for (at, key) in all.iter().enumerate() {
            assert!(key.elements().all(|element| elements.contains(&element) == (at < 3)), "{at}");
        }
    }

    #[test]
    fn seeds_of_windows_are_listed_by_window() {
        let seed = |windows, window, byte| {
            let seed = HybridSeed::new([byte; 16]);
            WindowSeed { windows, window, seed }
        };
        let (two, four) = (HybridWindow::TwoHours, HybridWindow::FourHours);
        let seeds =
            [seed(two, 0, 9), seed(two, 70_000, 1), seed(two, u32::MAX, 1), seed(four, 3, 0)];
        let list = SeedList::<WindowSeed>::build(seeds.iter().rev()).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), seeds);
        for length in [0, 3, 255] {
            let (field, got) = ("length of a window", length.into());
            let error = NoteError { field, least: 1, most: 2, none: None, got };
            assert_eq!(WindowSeed::from_parts([length, 0, 0, 0, 1], [0; 16]), Err(error));
        }
    }
}

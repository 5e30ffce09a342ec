//! Keys and seeds as lists of seeds hold them.

use super::{DayKey, HybridSeed, HybridWindow};
use crate::date::Date;
use crate::seeds::{NoteError, Seed};

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

/// The note is the date: days since 1970 as a big-endian u32.
impl Seed for DayKey {
    const KIND: u16 = 1;
    type Note = [u8; 4];
    type Bytes = [u8; 32];

    fn to_parts(&self) -> Result<([u8; 4], [u8; 32]), NoteError> {
        Ok((self.date().days().to_be_bytes(), self.to_bytes()))
    }

    fn from_parts(note: [u8; 4], bytes: [u8; 32]) -> Result<DayKey, NoteError> {
        let days = u32::from_be_bytes(note);
        let (most, got) = (i64::from(Date::MAX.days()), i64::from(days));
        let error = NoteError { field: "date", least: 0, most, got };
        Date::from_days(days).map(|date| DayKey::new(date, bytes)).map_err(|_| error)
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

    #[test]
    fn keys_of_days_are_listed_by_date() {
        let date = |days| Date::from_days(days).unwrap();
        let keys = [(0, 9), (255, 2), (256, 1), (256, 3), (Date::MAX.days(), 0)];
        let keys = keys.map(|(days, byte)| DayKey::new(date(days), [byte; 32]));
        let list = SeedList::<DayKey>::build(keys.iter().rev()).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), keys);
        for days in [Date::MAX.days() + 1, u32::MAX] {
            let (most, got) = (Date::MAX.days().into(), days.into());
            let error = NoteError { field: "date", least: 0, most, got };
            assert_eq!(DayKey::from_parts(days.to_be_bytes(), [0; 32]), Err(error));
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
            let error = NoteError { field, least: 1, most: 2, got };
            assert_eq!(WindowSeed::from_parts([length, 0, 0, 0, 1], [0; 16]), Err(error));
        }
    }
}

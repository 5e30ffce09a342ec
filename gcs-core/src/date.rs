//! UTC dates as day numbers.

use core::fmt;
use core::str::FromStr;

use crate::error::DateError;

/// Seconds of one UTC day (Unix time has no leap seconds).
pub const DAY_SECONDS: u64 = 86_400;

/// Time from the end of a date until it may first be published, in seconds. The date's salt
/// becomes known only then, when nothing is broadcast on that date any more.
pub const ENTRY_DELAY: u64 = 2 * 3600;

/// A UTC date as the number of days since 1970-01-01.
///
/// Shown and parsed as `YYYY-MM-DD` (proleptic Gregorian), for years 1970 to 9999.
///
/// ```
/// use gcs_core::Date;
///
/// let date: Date = "2020-04-02".parse()?;
/// assert_eq!(date, Date::of_time(1_585_785_600));
/// assert_eq!(date.to_string(), "2020-04-02");
/// # Ok::<(), gcs_core::DateError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(u32);

impl Date {
    /// 9999-12-31.
    pub const MAX: Date = Date(2_932_896);

    /// The date `days` after 1970-01-01.
    ///
    /// # Errors
    /// [`DateError`] after 9999-12-31.
    pub fn from_days(days: u32) -> Result<Date, DateError> {
        if days > Date::MAX.0 { Err(DateError) } else { Ok(Date(days)) }
    }

    /// The date of a Unix time in seconds; times after 9999 give [`Date::MAX`].
    pub fn of_time(seconds: u64) -> Date {
        Date(u32::try_from(seconds / DAY_SECONDS).map_or(Date::MAX.0, |days| days.min(Date::MAX.0)))
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> u32 {
        self.0
    }

    /// Unix time at which the date begins.
    pub const fn start(self) -> u64 {
        self.0 as u64 * DAY_SECONDS
    }

    /// Unix time at which the date has ended.
    pub const fn end(self) -> u64 {
        self.start() + DAY_SECONDS
    }

    /// Unix time from which the date may be published: [`ENTRY_DELAY`] after its end.
    pub const fn entry(self) -> u64 {
        self.end() + ENTRY_DELAY
    }

    /// Whether the date ended `retention_days` days ago or earlier, at a Unix time.
    pub const fn is_expired(self, now: u64, retention_days: u32) -> bool {
        self.end() + retention_days as u64 * DAY_SECONDS <= now
    }

    /// The date before, if there is one.
    pub fn previous(self) -> Option<Date> {
        self.0.checked_sub(1).map(Date)
    }

    /// The date after, if there is one.
    pub fn next(self) -> Option<Date> {
        (self < Date::MAX).then_some(Date(self.0 + 1))
    }
}

impl fmt::Display for Date {
    /// Howard Hinnant's `civil_from_days`, for days since 1970 only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shifted = self.0 + 719_468; // days since 0000-03-01
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153; // from March
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = era * 400 + year_of_era + u32::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Date {
    type Err = DateError;

    /// Howard Hinnant's `days_from_civil`.
    fn from_str(text: &str) -> Result<Date, DateError> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(DateError);
        }
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0u32, |sum, digit| match digit {
                b'0'..=b'9' => Ok(sum * 10 + u32::from(digit - b'0')),
                _ => Err(DateError),
            })
        };
        let (year, month, day) =
            (number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(DateError);
        }
        let march_year = year - u32::from(month <= 2);
        let (era, year_of_era) = (march_year / 400, march_year % 400);
        let month_index = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * month_index + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let date = Date((era * 146_097 + day_of_era).checked_sub(719_468).ok_or(DateError)?);
        // A day that the month does not have would be shown as a day of the next month.
        let mut shown = alloc::string::String::new();
        fmt::write(&mut shown, format_args!("{date}")).map_err(|_| DateError)?;
        if shown == text { Ok(date) } else { Err(DateError) }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = alloc::string::String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_day_round_trips_in_order() {
        let mut previous = "1969-12-31".to_string();
        for days in 0..=Date::MAX.days() {
            let text = Date::from_days(days).unwrap().to_string();
            assert!(text > previous);
            assert_eq!(text.parse::<Date>().unwrap().days(), days);
            previous = text;
        }
        assert_eq!(previous, "9999-12-31");
        assert!(Date::from_days(Date::MAX.days() + 1).is_err());
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "2021-02-29",
            "2021-13-01",
            "2021-00-10",
            "2021-04-31",
            "1969-12-31",
            "2021-4-01",
            "21-04-01",
            "2021/04/01",
            "",
        ] {
            assert_eq!(text.parse::<Date>(), Err(DateError), "{text}");
        }
    }
}

//! Times as people read and write them: RFC 3339 in UTC.

use gcs_core::Date;
use jiff::Timestamp;

/// Reads a UTC date, a time as RFC 3339 has it, or a Unix time in seconds. A date counts as its
/// first second, and parts of a second are left out.
///
/// # Errors
/// A sentence for people that says which forms can be read.
pub fn parse(text: &str) -> Result<u64, String> {
    if text.parse::<u64>().is_ok()
        && let Some(date) = without_hyphens(text)
    {
        return Err(format!(
            "as Unix seconds that is early in the 1970s; write the date as {date}"
        ));
    }
    let of_number = || text.parse().ok().filter(|seconds| timestamp(*seconds).is_some());
    let of_date = || text.parse().ok().map(|date: Date| date.start());
    let of_time = || u64::try_from(text.parse::<Timestamp>().ok()?.as_second()).ok();
    of_number().or_else(of_date).or_else(of_time).ok_or_else(|| {
        "say a UTC date as 2026-01-31, a UTC time as 2026-01-31T12:00:00Z, or Unix seconds"
            .to_owned()
    })
}

/// The date that was meant by 20260131, which somebody may write instead of 2026-01-31.
fn without_hyphens(digits: &str) -> Option<Date> {
    let (year, month, day) = (digits.get(..4)?, digits.get(4..6)?, digits.get(6..)?);
    format!("{year}-{month}-{day}").parse().ok()
}

/// A Unix time in seconds; `None` after the year 9999.
fn timestamp(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// A Unix time in seconds as RFC 3339 in UTC. A time after the year 9999 is shown as the end of
/// that year.
pub fn utc(seconds: u64) -> String {
    // Seconds alone: the last moment has a fraction.
    let last = || Timestamp::from_second(Timestamp::MAX.as_second()).unwrap_or_default();
    timestamp(seconds).unwrap_or_else(last).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for time in [0, 1_767_571_199, 1_767_571_200] {
            assert_eq!(parse(&utc(time)), Ok(time));
            assert_eq!(parse(&time.to_string()), Ok(time));
        }
        assert_eq!(utc(1_767_571_199), "2026-01-04T23:59:59Z");
        assert_eq!(parse("2026-01-05"), Ok(1_767_571_200));
        assert_eq!(parse("2026-01-05T01:00:00.5+01:00"), Ok(1_767_571_200));
        assert!(utc(u64::MAX).starts_with("9999-12-3"));
        for bad in [
            "",
            "today",
            "2026-01-32",
            "2026-01-05T24:00:00Z",
            "2026-01-05T1:00:00Z",
            "2026-01-05T10:00:00",
            "-1",
            "1969-12-31T23:59:59Z",
            // Milliseconds, and a time without its punctuation.
            "1767571199000",
            "20260131120000",
        ] {
            assert!(parse(bad).unwrap_err().contains("2026-01-31T12:00:00Z"), "{bad}");
        }
        // A date without hyphens is no number of seconds; what cannot be a date is one.
        assert!(parse("20260131").unwrap_err().ends_with("write the date as 2026-01-31"));
        for number in [20_261_331, 2_026_013, 202_601_310] {
            assert_eq!(parse(&number.to_string()), Ok(number));
        }
    }
}

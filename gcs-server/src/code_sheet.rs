//! Sheets of codes to print.

use std::fmt::Write as _;

use gcs_core::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use gcs_core::report::Code;

/// Form of a sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One code a line, below what they are.
    #[default]
    Text,
    /// Columns code and expires.
    Csv,
    /// A JSON object.
    Json,
}

impl Format {
    /// Its media type.
    pub fn mime(self) -> &'static str {
        match self {
            Format::Text => "text/plain; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/json",
        }
    }
}

/// Codes that expire together. Whoever has one can report: show it to nobody else.
#[derive(Serialize, ToSchema)]
pub struct Sheet {
    /// UTC time from which they do not count any more.
    #[schema(example = "2026-02-04T12:00:00Z")]
    pub expires: String,
    /// The codes.
    pub codes: Vec<String>,
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("codes", &self.codes.len()).finish_non_exhaustive()
    }
}

impl Sheet {
    /// A sheet of codes that expire at a Unix time.
    pub fn new(codes: impl Iterator<Item = Code>, expires: u64) -> Sheet {
        Sheet { expires: utc(expires), codes: codes.map(|code| code.to_string()).collect() }
    }

    /// The sheet as text.
    pub fn print(&self, format: Format) -> String {
        let Sheet { expires, codes } = self;
        let mut text = match format {
            Format::Text => {
                format!("# {} codes, each for one report before {expires}\n", codes.len())
            }
            Format::Csv => "code,expires\n".to_owned(),
            Format::Json => return serde_json::to_string(self).unwrap_or_default() + "\n",
        };
        for code in codes {
            // Writing to a string does not fail.
            let _written = match format {
                Format::Csv => writeln!(text, "{code},{expires}"),
                _ => writeln!(text, "{code}"),
            };
        }
        text
    }
}

/// Reads a Unix time in seconds, a UTC date, or a UTC time as RFC 3339 has it.
///
/// # Errors
/// What is asked for.
pub fn parse_time(text: &str) -> Result<u64, String> {
    let asked = || {
        "say a UTC date as 2026-01-31, a UTC time as 2026-01-31T12:00:00Z, or Unix seconds"
            .to_owned()
    };
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let date: Date = date.parse().map_err(|_| asked())?;
    let fields: Vec<&str> = time.strip_suffix('Z').ok_or_else(asked)?.split(':').collect();
    let number = |field: &str, bound: u64| {
        let is_number = field.len() == 2 && field.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u64> = field.parse().ok().filter(|_| is_number);
        number.filter(|number| *number < bound).ok_or_else(asked)
    };
    match fields.as_slice() {
        [hour, minute, second] => {
            let time = number(hour, 24)? * 3600 + number(minute, 60)? * 60 + number(second, 60)?;
            Ok(date.start() + time)
        }
        _ => Err(asked()),
    }
}

/// A Unix time as RFC 3339 in UTC.
pub fn utc(time: u64) -> String {
    let second = time % gcs_core::DAY_SECONDS;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", Date::of_time(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcs_core::report::ProviderKey;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for time in [0, 1_767_571_199, 1_767_571_200] {
            assert_eq!(parse_time(&utc(time)), Ok(time));
            assert_eq!(parse_time(&time.to_string()), Ok(time));
        }
        assert_eq!(parse_time("2026-01-05"), Ok(1_767_571_200));
        for bad in [
            "",
            "today",
            "2026-01-32",
            "2026-01-05T24:00:00Z",
            "2026-01-05T1:00:00Z",
            "2026-01-05T10:00:00",
            "-1",
        ] {
            assert!(parse_time(bad).unwrap_err().contains("2026-01-31T12:00:00Z"), "{bad}");
        }
    }

    #[test]
    fn sheets_have_every_code_and_the_expiry() {
        let key = ProviderKey::derive(&[7; 32], 1, 1);
        let codes = (0..3).filter_map(|serial| Code::issue(&key, 1, serial));
        let sheet = Sheet::new(codes, 1_767_571_199);
        assert_eq!(sheet.expires, "2026-01-04T23:59:59Z");
        let text = sheet.print(Format::Text);
        assert_eq!(text.lines().count(), 4);
        let csv = sheet.print(Format::Csv);
        assert!(csv.starts_with("code,expires\n") && csv.lines().count() == 4);
        let first = csv.lines().nth(1).unwrap().split(',').next().unwrap();
        assert!(text.contains(first) && first.parse::<Code>().unwrap().is_authentic(&key));
        let json: serde_json::Value = serde_json::from_str(&sheet.print(Format::Json)).unwrap();
        assert_eq!(json["codes"].as_array().unwrap().len(), 3);
    }
}

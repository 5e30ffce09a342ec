//! Sheets of codes to print.

use std::fmt::Write as _;

use gcs_core::report::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time;

/// The form in which a sheet of codes is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One code a line, below a line with their number and expiry.
    #[default]
    Text,
    /// CSV with the columns `code` and `expires`.
    Csv,
    /// A JSON object.
    Json,
}

/// Codes that expire together. Anyone who has a code can report with it: show it to its patient
/// only.
#[derive(Serialize)]
pub struct Sheet {
    /// UTC time, in RFC 3339, from which the codes are not accepted any more.
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
    pub fn new(codes: impl IntoIterator<Item = Code>, expires: u64) -> Sheet {
        Sheet {
            expires: time::utc(expires),
            codes: codes.into_iter().map(|code| code.to_string()).collect(),
        }
    }

    /// The sheet written in a form.
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

#[cfg(test)]
mod tests {
    use super::*;
    use gcs_core::report::ProviderKey;

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

//! What the environment sets.

use std::fmt;

use crate::plan::Plan;

/// Variable of the numbers of elements, such as `100k,1M`.
pub const N: &str = "GCS_BENCH_N";
/// Variable of the rate: Rice parameter of BIP 158's rule, such as `19`.
pub const RATE_BITS: &str = "GCS_BENCH_RATE_BITS";
/// Variable that says whether hashing is `included` or `excluded`.
pub const HASHING: &str = "GCS_BENCH_HASHING";
/// Variable of the number of passes of the report.
pub const PASSES: &str = "GCS_BENCH_PASSES";
/// Variable of the milliseconds that a measurement takes in each pass of the report.
pub const MILLIS: &str = "GCS_BENCH_MILLIS";
/// Variable of the number of absent elements by which the report counts false positives.
pub const ABSENT: &str = "GCS_BENCH_ABSENT";

/// What is measured, for criterion and for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Numbers of elements, ascending. Default 100k, 1M, 10M.
    pub lens: Vec<usize>,
    /// See [`Plan::rate_bits`]. Default 19.
    pub rate_bits: u32,
    /// Whether hashing is part of what is measured. Default yes.
    pub is_hashing: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lens: vec![100_000, 1_000_000, 10_000_000],
            rate_bits: Plan::RATE_BITS,
            is_hashing: true,
        }
    }
}

/// A variable that does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The variable.
    pub name: &'static str,
    /// What it may say.
    pub expected: String,
    /// What it says.
    pub got: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {:?}", self.name, self.expected, self.got)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// The settings of the environment, over the given ones.
    ///
    /// # Errors
    /// A variable that is set and does not say what it should.
    pub fn with_env(self) -> Result<Settings, SettingsError> {
        self.with_variables(|name| std::env::var(name).ok())
    }

    /// The settings for benchmarks with criterion; ends the program if a variable is wrong.
    pub fn of_criterion() -> Settings {
        Settings::default().with_env().unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(2)
        })
    }

    fn with_variables(
        mut self,
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Settings, SettingsError> {
        if let Some(got) = variable(N) {
            self.lens = lens(&got).ok_or_else(|| SettingsError {
                name: N,
                expected: "numbers from 1 to 10M such as 100k,1M".into(),
                got,
            })?;
        }
        if let Some(got) = variable(RATE_BITS) {
            let bits = got.parse().ok().filter(|bits| (4..=Plan::MAX_RATE_BITS).contains(bits));
            self.rate_bits = bits.ok_or_else(|| SettingsError {
                name: RATE_BITS,
                expected: format!("a number from 4 to {}", Plan::MAX_RATE_BITS),
                got,
            })?;
        }
        if let Some(got) = variable(HASHING) {
            self.is_hashing = match got.as_str() {
                "included" => true,
                "excluded" => false,
                _ => {
                    let expected = "included or excluded".into();
                    return Err(SettingsError { name: HASHING, expected, got });
                }
            };
        }
        Ok(self)
    }

    /// The plan of a number of elements at this rate.
    pub fn plan(&self, len: usize) -> Plan {
        Plan { len, rate_bits: self.rate_bits }
    }

    /// The largest number of elements up to a million, for what is measured at one only.
    pub fn middle(&self) -> usize {
        let fits = self.lens.iter().rev().find(|len| **len <= 1_000_000);
        fits.or(self.lens.first()).copied().unwrap_or(1)
    }
}

/// A number that a variable sets, or the default.
///
/// # Errors
/// It is set and no positive number.
pub fn number(name: &'static str, default: usize) -> Result<usize, SettingsError> {
    let Ok(got) = std::env::var(name) else { return Ok(default) };
    count(&got).ok_or_else(|| SettingsError { name, expected: "a positive number".into(), got })
}

/// The largest number of elements.
const MAX_LEN: usize = 10_000_000;

fn lens(text: &str) -> Option<Vec<usize>> {
    let counts = text.split(',').map(|part| count(part).filter(|count| *count <= MAX_LEN));
    let mut lens = counts.collect::<Option<Vec<usize>>>()?;
    lens.sort_unstable();
    lens.dedup();
    Some(lens)
}

/// A positive number, with `k` or `M` for thousands or millions.
fn count(text: &str) -> Option<usize> {
    let text = text.trim();
    let (digits, unit) = match text.strip_suffix(['k', 'M']) {
        Some(digits) => (digits, if text.ends_with('k') { 1_000 } else { 1_000_000 }),
        None => (text, 1),
    };
    let count = digits.replace('_', "").parse::<usize>().ok()?.checked_mul(unit)?;
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Result<Settings, SettingsError> {
        Settings::default().with_variables(|asked| (asked == name).then(|| value.into()))
    }

    #[test]
    fn variables_set_what_they_name() {
        assert_eq!(Settings::default().with_variables(|_| None), Ok(Settings::default()));
        let settings = read(N, "1M, 2_000,100k").unwrap();
        assert_eq!(settings.lens, [2_000, 100_000, 1_000_000]);
        assert_eq!((settings.middle(), Settings::default().middle()), (1_000_000, 1_000_000));
        assert_eq!(read(N, "10M").unwrap().middle(), 10_000_000);
        assert_eq!(read(RATE_BITS, "8").unwrap().plan(5), Plan { len: 5, rate_bits: 8 });
        assert!(!read(HASHING, "excluded").unwrap().is_hashing);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        for (name, got) in [
            (N, ""),
            (N, "0"),
            (N, "1G"),
            (N, "11M"),
            (N, "1,,2"),
            (N, "99999999999999999M"),
            (RATE_BITS, "3"),
            (RATE_BITS, "32"),
            (RATE_BITS, "x"),
            (HASHING, "no"),
        ] {
            let error = read(name, got).unwrap_err();
            assert_eq!((error.name, error.got.as_str()), (name, got));
            assert!(error.to_string().starts_with(&format!("{name}: expected ")), "{error}");
        }
    }
}

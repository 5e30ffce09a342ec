//! Sections 1 and 11: dates as text, digests as text, and paths.

use data_encoding::HEXLOWER;

use super::{Digest, LAST_DATE};

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// All digits, and that many of them.
fn digits(text: &str, count: usize) -> Option<u32> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

/// `YYYY-MM-DD`, counted day by day.
pub(crate) fn date(text: &str) -> Option<u32> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] else { return None };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=days(year, month)).contains(&day) {
        return None;
    }
    let years: u32 =
        (1970..year).flat_map(|year| (1..=12).map(move |month| days(year, month))).sum();
    let months: u32 = (1..month).map(|month| days(year, month)).sum();
    let date = years + months + day - 1;
    (date <= LAST_DATE).then_some(date)
}

/// The text of a date, counted month by month.
pub(crate) fn date_text(date: u32) -> Option<String> {
    let mut left = date;
    for year in 1970..=9999 {
        for month in 1..=12 {
            if left < days(year, month) {
                return Some(format!("{year:04}-{month:02}-{:02}", left + 1));
            }
            left -= days(year, month);
        }
    }
    None
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn digest(text: &str) -> Option<Digest> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn number(text: &str) -> Option<u32> {
    let leading = text.len() > 1 && text.starts_with('0');
    if leading { None } else { digits(text, text.len()) }
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let (first, second) = text.split_once('-')?;
    Some((number(first)?, number(second)?))
}

/// A path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    Manifest,
    /// Series, tick.
    Past(u32, u32),
    Index(Digest),
    /// Date, the set's identity.
    Set(u32, Digest),
    /// Span, series, to.
    Bundle(u32, u32, u32),
    /// Date, the check root.
    Checks(u32, Digest),
    Seeds(Digest),
    /// Date, SHA-256.
    Export(u32, Digest),
    ExportList(Digest),
    ExportIndex,
}

/// Reads a path.
pub(crate) fn path(text: &str) -> Option<Path> {
    match text.split('/').collect::<Vec<_>>()[..] {
        ["", "v1", "manifest"] => Some(Path::Manifest),
        ["", "v1", "manifests", at] => pair(at).map(|(series, tick)| Path::Past(series, tick)),
        ["", "v1", "index", name] => digest(name).map(Path::Index),
        ["", "v1", "sets", day, name] => Some(Path::Set(date(day)?, digest(name)?)),
        ["", "v1", "bundles", span @ ("1" | "4" | "24" | "96"), at] => {
            let (series, to) = pair(at)?;
            Some(Path::Bundle(number(span)?, series, to))
        }
        ["", "v1", "seeds", name] => digest(name).map(Path::Seeds),
        ["", "v1", "exports", "index.txt"] => Some(Path::ExportIndex),
        ["", "v1", "exports", name] => digest(name).map(Path::ExportList),
        ["", "v1", "exports", day, name] => {
            Some(Path::Export(date(day)?, digest(name.strip_suffix(".zip")?)?))
        }
        ["", "v1", "checks", day, name] => Some(Path::Checks(date(day)?, digest(name)?)),
        _ => None,
    }
}

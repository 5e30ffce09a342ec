//! The list of exports.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::ExportListError;
use super::path::Path;
use crate::date::Date;
use crate::digest::Digest;

/// Most export files that a publication names: more than 32 dates can have that change every quarter
/// of an hour for 32 days.
pub const MAX_EXPORTS: usize = 100_000;

/// Length of a line: all paths of export files are equally long.
const LINE_LEN: usize = 91;

/// Which export files there are, by their dates and SHA-256, in the order in which phones must
/// take them: a key that a file adds may be revoked by a later one.
///
/// As bytes it is text, of each file its path without the first `/`, as apps of Exposure Notification put it behind the
/// address of their server, and a line feed.
///
/// ```
/// use gcs_core::Digest;
/// use gcs_core::files::{ExportList, Path};
///
/// let (date, sha256) = ("2026-01-05".parse()?, Digest::of(b"a file"));
/// let list = ExportList { files: vec![(date, sha256)] };
/// assert_eq!(list.paths().next(), Some(Path::Export { date, sha256 }));
/// assert!(list.to_bytes().starts_with(b"v1/exports/2026-01-05/"));
/// assert_eq!(ExportList::parse(&list.to_bytes())?, list);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportList {
    /// Date and SHA-256 of each file, the oldest first.
    pub files: Vec<(Date, Digest)>,
}

impl ExportList {
    /// Reads a list.
    ///
    /// # Errors
    /// An [`ExportListError`] for any other bytes.
    pub fn parse(bytes: &[u8]) -> Result<ExportList, ExportListError> {
        let (lines, rest) = bytes.as_chunks::<LINE_LEN>();
        if !rest.is_empty() {
            return Err(ExportListError::Length { each: LINE_LEN, got: bytes.len() });
        }
        if lines.len() > MAX_EXPORTS {
            return Err(ExportListError::Limit { max: MAX_EXPORTS, got: lines.len() });
        }
        let file = |(line, text): (usize, &[u8; LINE_LEN])| {
            let got = || String::from_utf8_lossy(text).into_owned();
            read_line(text).ok_or_else(|| ExportListError::Path { line, got: got() })
        };
        Ok(ExportList { files: (1..).zip(lines).map(file).collect::<Result<_, _>>()? })
    }

    /// The list as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.paths().flat_map(|path| alloc::format!("{path}\n").into_bytes().split_off(1)).collect()
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = Path> {
        self.files.iter().map(|(date, sha256)| Path::Export { date: *date, sha256: *sha256 })
    }
}

fn read_line(line: &[u8]) -> Option<(Date, Digest)> {
    let path = core::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    match alloc::format!("/{path}").parse() {
        Ok(Path::Export { date, sha256 }) => Some((date, sha256)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Date;
    use proptest::prelude::*;

    fn line(date: &str, content: &[u8]) -> String {
        alloc::format!("v1/exports/{date}/{}.zip\n", Digest::of(content))
    }

    #[test]
    fn other_bytes_are_refused() {
        let whole = line("2026-01-05", b"a") + &line("2026-01-06", b"b");
        assert_eq!(ExportList::parse(whole.as_bytes()).unwrap().files.len(), 2);
        assert_eq!(ExportList::parse(b""), Ok(ExportList::default()));
        for got in [1, 90, 92, 181] {
            let error = ExportListError::Length { each: 91, got };
            assert_eq!(ExportList::parse(&whole.as_bytes()[..got]), Err(error), "{got}");
        }
        let bad = [
            line("2026-01-05", b"a").replace('\n', " "),
            line("2026-02-30", b"a"),
            line("2026-01-05", b"a").replace(".zip\n", "\n.zip"),
            line("2026-01-05", b"a").replace("exports", "Exports"),
            line("2026-01-05", b"a").replace(".zip", ".ZIP"),
            " ".repeat(LINE_LEN),
        ];
        for bad in bad {
            let bytes = whole.clone() + &bad;
            let error = ExportListError::Path { line: 3, got: bad };
            assert_eq!(ExportList::parse(bytes.as_bytes()), Err(error));
        }
        let many = line("2026-01-05", b"a").repeat(MAX_EXPORTS + 1);
        let error = ExportListError::Limit { max: MAX_EXPORTS, got: MAX_EXPORTS + 1 };
        assert_eq!(ExportList::parse(many.as_bytes()), Err(error));
        assert!(ExportList::parse(&many.as_bytes()[LINE_LEN..]).is_ok());
    }

    proptest! {
        #[test]
        fn lists_round_trip(files in prop::collection::vec((0..=Date::MAX.days(), any::<[u8; 32]>()), 0..9)) {
            let file = |(days, sha256)| (Date::from_days(days).unwrap(), Digest(sha256));
            let list = ExportList { files: files.into_iter().map(file).collect() };
            let bytes = list.to_bytes();
            prop_assert_eq!(bytes.len(), list.files.len() * LINE_LEN);
            prop_assert_eq!(ExportList::parse(&bytes), Ok(list));
        }
    }
}

//! Where each file is served.

use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use super::error::PathError;
use super::index::SPANS;
use crate::date::Date;
use crate::digest::Digest;

/// The path of a file, which also gives its kind. It begins with `/`, to be appended to a
/// server's address. For the name of a file in a local folder, leave the first `/` out.
///
/// ```
/// use gcs_core::files::Path;
///
/// let path = Path::Bundle { span: 4, series: 1, to: 96 };
/// assert_eq!(path.to_string(), "/v1/bundles/4/1-96");
/// assert_eq!("/v1/bundles/4/1-96".parse(), Ok(path));
/// assert!("/v1/bundles/4/01-96".parse::<Path>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// The present manifest.
    Manifest,
    /// A manifest as it was published.
    KeptManifest {
        /// Series of the publication.
        series: u32,
        /// Tick of the publication.
        tick: u32,
    },
    /// The index with this SHA-256.
    Index(Digest),
    /// One date's set.
    Set {
        /// The date.
        date: Date,
        /// The set's identity.
        identity: Digest,
    },
    /// What changed between ticks `to - span` and `to`.
    Bundle {
        /// 1, 4, 24 or 96 ticks.
        span: u32,
        /// Series of both ticks.
        series: u32,
        /// The later tick.
        to: u32,
    },
    /// The check records of a date, one after the other.
    Checks {
        /// The date.
        date: Date,
        /// Merkle root of the records.
        root: Digest,
    },
    /// The file of seeds with this SHA-256: an index, a list or a bundle.
    Seeds(Digest),
    /// A file of keys of one date, as the systems of Apple and Google take them.
    Export {
        /// The date.
        date: Date,
        /// SHA-256 of the file.
        sha256: Digest,
    },
    /// The list of exports with this SHA-256.
    ExportList(Digest),
    /// The present list of exports once more, under the name that apps of Google's server know.
    ExportIndex,
}

impl Path {
    /// Whether the bytes at this path never change.
    pub fn is_immutable(&self) -> bool {
        !matches!(self, Path::Manifest | Path::ExportIndex)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Manifest => f.write_str("/v1/manifest"),
            Path::KeptManifest { series, tick } => write!(f, "/v1/manifests/{series}-{tick}"),
            Path::Index(digest) => write!(f, "/v1/index/{digest}"),
            Path::Set { date, identity } => write!(f, "/v1/sets/{date}/{identity}"),
            Path::Bundle { span, series, to } => write!(f, "/v1/bundles/{span}/{series}-{to}"),
            Path::Checks { date, root } => write!(f, "/v1/checks/{date}/{root}"),
            Path::Seeds(digest) => write!(f, "/v1/seeds/{digest}"),
            Path::Export { date, sha256 } => write!(f, "/v1/exports/{date}/{sha256}.zip"),
            Path::ExportList(digest) => write!(f, "/v1/exports/{digest}"),
            Path::ExportIndex => f.write_str("/v1/exports/index.txt"),
        }
    }
}

impl FromStr for Path {
    type Err = PathError;

    /// Accepts only the text that `Display` writes.
    fn from_str(text: &str) -> Result<Path, PathError> {
        parse(text)
            .filter(|path| path.to_string() == text)
            .ok_or_else(|| PathError { path: text.chars().take(200).collect() })
    }
}

fn parse(text: &str) -> Option<Path> {
    let mut parts = text.strip_prefix("/v1/")?.split('/');
    let (kind, first, second) = (parts.next()?, parts.next(), parts.next());
    match (kind, first, second) {
        ("manifest", None, None) => Some(Path::Manifest),
        ("manifests", Some(numbers), None) => {
            let (series, tick) = numbers.split_once('-')?;
            Some(Path::KeptManifest { series: series.parse().ok()?, tick: tick.parse().ok()? })
        }
        ("index", Some(digest), None) => Some(Path::Index(digest.parse().ok()?)),
        ("sets", Some(date), Some(identity)) => {
            Some(Path::Set { date: date.parse().ok()?, identity: identity.parse().ok()? })
        }
        ("bundles", Some(span), Some(numbers)) => {
            let (series, to) = numbers.split_once('-')?;
            let span = SPANS.into_iter().find(|known| span.parse() == Ok(*known))?;
            Some(Path::Bundle { span, series: series.parse().ok()?, to: to.parse().ok()? })
        }
        ("checks", Some(date), Some(root)) => {
            Some(Path::Checks { date: date.parse().ok()?, root: root.parse().ok()? })
        }
        ("seeds", Some(digest), None) => Some(Path::Seeds(digest.parse().ok()?)),
        ("exports", Some("index.txt"), None) => Some(Path::ExportIndex),
        ("exports", Some(digest), None) => Some(Path::ExportList(digest.parse().ok()?)),
        ("exports", Some(date), Some(name)) => {
            let sha256 = name.strip_suffix(".zip")?;
            Some(Path::Export { date: date.parse().ok()?, sha256: sha256.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_round_trips_and_nothing_else_parses() {
        let digest = Digest::of(b"x");
        let date = Date::of_time(1_600_000_000);
        for path in [
            Path::Manifest,
            Path::KeptManifest { series: 1, tick: u32::MAX },
            Path::Index(digest),
            Path::Set { date, identity: digest },
            Path::Bundle { span: 96, series: 3, to: 192 },
            Path::Checks { date, root: digest },
            Path::Seeds(digest),
            Path::Export { date, sha256: digest },
            Path::ExportList(digest),
            Path::ExportIndex,
        ] {
            assert_eq!(path.to_string().parse(), Ok(path));
            assert!(alloc::format!("{path}/").parse::<Path>().is_err());
            let changes = [Path::Manifest, Path::ExportIndex].contains(&path);
            assert_eq!(path.is_immutable(), !changes, "{path}");
        }
        for text in [
            "",
            "/",
            "/v1/",
            "/v1/manifest/",
            "/v2/manifest",
            "/v1/manifests/1",
            "/v1/manifests/+1-2",
            "/v1/bundles/2/1-2",
            "/v1/sets/2020-01-01/..",
            "/v1/../manifest",
            "/v1/exports/2020-01-01/index.txt",
            "/v1/exports/2020-01-01",
            "/v1/exports/index.html",
        ] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }
}

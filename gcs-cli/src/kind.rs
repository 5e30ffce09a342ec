//! Which kind of file something is, by its first bytes.

use std::fmt;

use crate::input::Layout;

/// A kind of file: of this format, of another one that people mistake for lines, or none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Set,
    Delta,
    Index,
    Table,
    Publication,
    Bundle,
    Checks,
    Seeds,
    SeedDelta,
    Gzip,
    Zip,
    Xz,
    Zstd,
    Bzip2,
    SevenZip,
    Utf16,
    Empty,
    Foreign,
}

/// So many first bytes tell every kind.
pub(crate) const HEAD_LEN: usize = 10;

/// What files of each kind begin with. Those of this format go on with a version below 256.
const MAGICS: [(&[u8], Kind); 17] = [
    (b"GCSSET", Kind::Set),
    (b"GCSDLT", Kind::Delta),
    (b"GCSSIX", Kind::Index),
    (b"GCSTBL", Kind::Table),
    (b"GCSIDX", Kind::Publication),
    (b"GCSBDL", Kind::Bundle),
    (b"GCSCHK", Kind::Checks),
    (b"GCSSED", Kind::Seeds),
    (b"GCSSDD", Kind::SeedDelta),
    (b"\x1f\x8b", Kind::Gzip),
    (b"PK\x03\x04", Kind::Zip),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"BZh", Kind::Bzip2),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"\xff\xfe", Kind::Utf16),
    (b"\xfe\xff", Kind::Utf16),
];

impl Kind {
    /// The kind of a file that begins with these bytes, [`HEAD_LEN`] or more if it has so many.
    pub(crate) fn of(head: &[u8]) -> Kind {
        let found = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
        match found {
            Some(&(_, kind)) => kind,
            None if head.is_empty() => Kind::Empty,
            None => Kind::Foreign,
        }
    }

    /// The kind of input that begins so and certainly has no elements; none if it may have some.
    pub(crate) fn that_is_no_input(head: &[u8], layout: Layout) -> Option<Kind> {
        let kind = Kind::of(head);
        let is_sure = match kind {
            Kind::Empty | Kind::Foreign => false,
            // Records are any bytes, and some begin with two certain ones by accident.
            Kind::Gzip | Kind::Utf16 => layout == Layout::Lines,
            Kind::Zip | Kind::Xz | Kind::Zstd | Kind::SevenZip => true,
            // A line of text may begin with these letters, but does not go on so.
            Kind::Bzip2 => head.get(4..HEAD_LEN) == Some(b"1AY&SY"),
            _ => head.get(7) == Some(&0),
        };
        is_sure.then_some(kind)
    }

    /// Its name with an article.
    pub(crate) fn named(self) -> &'static str {
        match self {
            Kind::Set => "a set",
            Kind::Delta => "a delta",
            Kind::Index => "an index of a set",
            Kind::Table => "a table of a publication",
            Kind::Publication => "an index of a publication",
            Kind::Bundle => "a bundle of a publication",
            Kind::Checks => "a file of check records",
            Kind::Seeds => "a list of seeds",
            Kind::SeedDelta => "a delta of a list of seeds",
            Kind::Gzip => "a file that is compressed with gzip",
            Kind::Zip => "a zip archive",
            Kind::Xz => "a file that is compressed with xz",
            Kind::Zstd => "a file that is compressed with zstd",
            Kind::Bzip2 => "a file that is compressed with bzip2",
            Kind::SevenZip => "a 7z archive",
            Kind::Utf16 => "text in UTF-16",
            Kind::Empty => "an empty file",
            Kind::Foreign => "a file that gcs does not know",
        }
    }

    /// What makes lines of the file of this name, as a command.
    pub(crate) fn to_lines(self, file: &str) -> Option<String> {
        let command = match self {
            Kind::Gzip => "zcat",
            Kind::Zip => "unzip -p",
            Kind::Xz => "xzcat",
            Kind::Zstd => "zstdcat",
            Kind::Bzip2 => "bzcat",
            Kind::SevenZip => "7z e -so",
            Kind::Utf16 => "iconv -f UTF-16 -t UTF-8",
            _ => return None,
        };
        Some(format!("{command} {file}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.named())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_magic() {
        assert_eq!(Kind::of(b"GCSSET\x01\0"), Kind::Set);
        assert_eq!(Kind::of(b"GCSDLT"), Kind::Delta);
        assert_eq!(Kind::of(b"GCSSIX"), Kind::Index);
        assert_eq!(Kind::of(b"GCSSED\x01\0"), Kind::Seeds);
        assert_eq!(Kind::of(b"GCSSDD\x01\0"), Kind::SeedDelta);
        assert_eq!(Kind::of(b"\x1f\x8b\x08"), Kind::Gzip);
        assert_eq!(Kind::of(b"GCSSE"), Kind::Foreign);
        assert_eq!(Kind::of(b"5BAA61E4C9B93F3F"), Kind::Foreign);
        assert_eq!(Kind::of(b""), Kind::Empty);
    }

    #[test]
    fn lines_and_records_that_only_look_alike_are_input() {
        let refused = |head: &[u8], layout| Kind::that_is_no_input(head, layout);
        for text in [&b"BZh91 is a name"[..], b"GCSSET is a name", b"PK", b"7z", b"", b"00ff"] {
            assert_eq!(refused(text, Layout::Lines), None, "{text:?}");
        }
        for record in [&b"\x1f\x8b\x08\0"[..], b"\xff\xfe\0\0"] {
            assert_eq!(refused(record, Layout::Records(4)), None, "{record:?}");
            assert!(refused(record, Layout::Lines).is_some(), "{record:?}");
        }
        assert_eq!(refused(b"BZh91AY&SY", Layout::Lines), Some(Kind::Bzip2));
        assert_eq!(refused(b"GCSSET\x01\0", Layout::Records(4)), Some(Kind::Set));
    }
}

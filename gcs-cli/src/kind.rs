//! Which kind of file something is, by its first bytes.

use std::fmt;

/// A kind of file of this format, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Set,
    Delta,
    Index,
    Table,
    Publication,
    Bundle,
    Checks,
    Empty,
    Foreign,
}

/// Length of the magic in bytes.
pub(crate) const MAGIC_LEN: usize = 6;

impl Kind {
    /// The kind of a file that begins with these bytes, at least [`MAGIC_LEN`] if it has so many.
    pub(crate) fn of(head: &[u8]) -> Kind {
        match head.get(..MAGIC_LEN) {
            Some(b"GCSSET") => Kind::Set,
            Some(b"GCSDLT") => Kind::Delta,
            Some(b"GCSSIX") => Kind::Index,
            Some(b"GCSTBL") => Kind::Table,
            Some(b"GCSIDX") => Kind::Publication,
            Some(b"GCSBDL") => Kind::Bundle,
            Some(b"GCSCHK") => Kind::Checks,
            _ if head.is_empty() => Kind::Empty,
            _ => Kind::Foreign,
        }
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
            Kind::Empty => "an empty file",
            Kind::Foreign => "a file that gcs does not know",
        }
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
        assert_eq!(Kind::of(b"GCSSE"), Kind::Foreign);
        assert_eq!(Kind::of(b"5BAA61E4C9B93F3F"), Kind::Foreign);
        assert_eq!(Kind::of(b""), Kind::Empty);
    }
}

//! How long files may be cached.

use super::path::Path;

/// How long a file may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// For ever, since the content at its path never changes.
    Immutable,
    /// For a minute; ask again with its ETag after that.
    Minute,
}

impl Cache {
    /// How long the file at a path may be cached.
    pub fn of(path: &Path) -> Cache {
        if path.is_immutable() { Cache::Immutable } else { Cache::Minute }
    }

    /// The value of the Cache-Control header (RFC 9111, RFC 8246).
    pub fn header(self) -> &'static str {
        match self {
            Cache::Immutable => "public, max-age=31536000, immutable",
            Cache::Minute => "public, max-age=60",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn what_changes_is_not_kept_for_long() {
        for path in [Path::Manifest, Path::ExportIndex] {
            assert_eq!(Cache::of(&path).header(), "public, max-age=60");
        }
        let index = Cache::of(&Path::Index(Digest::ZERO));
        assert_eq!(index.header(), "public, max-age=31536000, immutable");
    }
}

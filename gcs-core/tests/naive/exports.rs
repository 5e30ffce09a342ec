//! Section 23: the list of exports.

use super::paths::{Path, path};
use super::{Digest, Outcome, expect};

/// Reads a list: dates and digests of the files, in order.
pub(crate) fn list(file: &[u8]) -> Outcome<Vec<(u32, Digest)>> {
    // 1
    expect(file.len().is_multiple_of(91), "Length")?;
    // 2. The vector of this rule would have 9 MB; second_decoder.rs makes it.
    if file.len() / 91 > 100_000 {
        return Err("Limit".into());
    }
    // 3
    let mut files = Vec::new();
    for line in file.chunks_exact(91) {
        expect(line[90] == b'\n', "Path")?;
        let named = str::from_utf8(&line[..90]).ok().and_then(|line| path(&format!("/{line}")));
        let Some(Path::Export(date, sha256)) = named else {
            return Err("Path".into());
        };
        files.push((date, sha256));
    }
    Ok(files)
}

//! The directory at the end of a zip archive, looked at before the library reads it: that one
//! takes memory for every file an archive names, and counts two of one name as one.

use super::error::ExportError;

/// Most bytes of the directory. That of two files has some 130.
const MAX_DIRECTORY_BYTES: u32 = 4096;

/// Fails if an archive has not exactly two files, the first of them at its begin; or has a
/// comment, or ends in the way of archives that are too large for this one (zip64). O(1) time.
pub(super) fn expect_two_files(zip: &[u8]) -> Result<(), ExportError> {
    let wrong = |what: &str| ExportError::Archive(what.into());
    let (rest, end) = zip.split_last_chunk::<22>().ok_or(wrong("it is too short"))?;
    let [b'P', b'K', 5, 6, 0, 0, 0, 0, a, b, c, d, counted @ .., 0, 0] = *end else {
        return Err(wrong("it does not end with a directory of files and no comment"));
    };
    let (here, all) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    if (here, all) != (2, 2) {
        return Err(ExportError::Files { got: usize::from(here.max(all)) });
    }
    let [s0, s1, s2, s3, o0, o1, o2, o3] = counted;
    let size = u32::from_le_bytes([s0, s1, s2, s3]);
    let offset = u32::from_le_bytes([o0, o1, o2, o3]);
    let is_last = u64::from(offset) + u64::from(size) == rest.len() as u64;
    let directory = rest.get(offset as usize..).filter(|_| is_last && size <= MAX_DIRECTORY_BYTES);
    let directory = directory.ok_or(wrong("its directory is too long or in the wrong place"))?;
    let first = take_header(directory);
    let second = first.and_then(|(_, rest)| take_header(rest));
    match (first, second) {
        (Some((first, _)), Some((second, []))) if first.min(second) == 0 => Ok(()),
        _ => Err(wrong("its directory is not that of two files")),
    }
}

/// Where the first file of a directory begins, and what comes behind its header.
fn take_header(directory: &[u8]) -> Option<(u32, &[u8])> {
    let (header, rest) = directory.split_first_chunk::<46>()?;
    let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let rest = rest.get(length(28) + length(30) + length(32)..)?;
    let offset = u32::from_le_bytes([header[42], header[43], header[44], header[45]]);
    header.starts_with(b"PK\x01\x02").then_some((offset, rest))
}

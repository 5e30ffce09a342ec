//! Reading sets and deltas whole, validated.

use std::io::Read as _;
use std::path::Path;

use gcs_core::{Delta, Set};

use crate::cli::Context;
use crate::error::Error;
use crate::input;
use crate::kind::{Kind, MAGIC_LEN};
use crate::progress::Progress;

/// A file of one of the kinds that commands show.
pub(crate) enum Loaded {
    Set(Set),
    Delta(Delta),
}

/// Reads a set.
pub(crate) fn set(context: Context, path: &Path) -> Result<Set, Error> {
    let bytes = read(context, path, |got| expect(path, Kind::Set, got))?;
    Set::parse(bytes).map_err(|error| Error::damaged(path, error))
}

/// Reads a delta.
pub(crate) fn delta(context: Context, path: &Path) -> Result<Delta, Error> {
    let bytes = read(context, path, |got| expect(path, Kind::Delta, got))?;
    Delta::parse(bytes).map_err(|error| Error::damaged(path, error))
}

/// Reads a set or a delta.
pub(crate) fn any(context: Context, path: &Path) -> Result<Loaded, Error> {
    let mut kind = Kind::Empty;
    let bytes = read(context, path, |got| match got {
        Kind::Set | Kind::Delta => {
            kind = got;
            Ok(())
        }
        _ => {
            let path = path.to_owned();
            Err(Error::UnknownKind { path, got, expected: "a set or a delta" })
        }
    })?;
    let loaded = match kind {
        Kind::Delta => Delta::parse(bytes).map(Loaded::Delta),
        _ => Set::parse(bytes).map(Loaded::Set),
    };
    loaded.map_err(|error| Error::damaged(path, error))
}

fn expect(path: &Path, expected: Kind, got: Kind) -> Result<(), Error> {
    match got == expected {
        true => Ok(()),
        false => Err(Error::Kind { path: path.to_owned(), expected, got }),
    }
}

/// Reads a whole file, if its kind is the right one.
fn read(
    context: Context,
    path: &Path,
    expect: impl FnOnce(Kind) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    const PIECE: u64 = 1 << 20;
    let failed = |error| Error::read(path, error);
    let mut file = input::open(path)?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|about| about.len());
    let mut bytes = Vec::new();
    file.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut bytes).map_err(failed)?;
    expect(Kind::of(&bytes))?;
    // The length of an ordinary file is what is there, not what the file declares.
    bytes.reserve_exact(length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0));
    let progress = Progress::new(context, "reading", length);
    loop {
        let read = file.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(failed)?;
        if read == 0 {
            return Ok(bytes);
        }
        progress.advance(read as u64);
    }
}

//! Opening a set's file and its index file.

use alloc::vec::Vec;
use std::io;

use sha2::{Digest as _, Sha256};

use crate::bytes::TRAILER_LEN;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::index_file::{INDEX_HEADER_LEN, IndexError, IndexHeader};
use crate::set::read_at::{ReadAt, Window};
use crate::set::set::{HEADER_LEN, Header};

/// Reads the header and the trailer of a set.
pub(super) fn open_set(set: &impl ReadAt) -> Result<(Header, Digest), IndexError> {
    let (size, front) = read_front::<HEADER_LEN>(set).map_err(IndexError::ReadSet)?;
    let header = Header::parse(&front).map_err(IndexError::Set)?;
    expect_size(header.file_len(), size).map_err(IndexError::Set)?;
    let mut identity = [0; TRAILER_LEN];
    let trailer_at = size - TRAILER_LEN as u64;
    set.read_exact_at(&mut identity, trailer_at).map_err(IndexError::ReadSet)?;
    Ok((header, Digest(identity)))
}

/// Reads the header of an index.
pub(super) fn open_index(index: &impl ReadAt) -> Result<IndexHeader, IndexError> {
    let (size, front) = read_front::<INDEX_HEADER_LEN>(index).map_err(IndexError::ReadIndex)?;
    let header = IndexHeader::parse(&front).map_err(IndexError::Index)?;
    expect_size(header.file_len(), size).map_err(IndexError::Index)?;
    Ok(header)
}

/// The size of a file, and its first N bytes, or all if they are fewer.
fn read_front<const N: usize>(file: &impl ReadAt) -> io::Result<(u64, Vec<u8>)> {
    let size = file.size()?;
    let mut front = alloc::vec![0; size.min(N as u64) as usize];
    file.read_exact_at(&mut front, 0)?;
    Ok((size, front))
}

/// Fails if a byte of an index has changed, as its trailer tells.
pub(super) fn expect_whole(index: &impl ReadAt, header: &IndexHeader) -> Result<(), IndexError> {
    let end = header.file_len() - TRAILER_LEN as u64;
    let mut hasher = Sha256::new();
    let mut bytes = Window::new(index, end);
    bytes.show(0..end, |piece| hasher.update(piece)).map_err(IndexError::ReadIndex)?;
    let mut trailer = [0; TRAILER_LEN];
    index.read_exact_at(&mut trailer, end).map_err(IndexError::ReadIndex)?;
    let (expected, got) = (Digest(trailer), Digest(hasher.finalize().into()));
    if expected == got {
        return Ok(());
    }
    Err(IndexError::Index(ParseError::Digest { field: "trailer", expected, got }))
}

fn expect_size(expected: u64, got: u64) -> Result<(), ParseError> {
    if got == expected { Ok(()) } else { Err(ParseError::Length { expected, got }) }
}

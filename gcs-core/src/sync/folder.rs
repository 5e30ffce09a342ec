//! A driver whose files are a folder on disk.

use alloc::vec::Vec;
use core::fmt::Display;
use core::ops::Range;
use std::io;

use thiserror::Error;

use super::driver::Driver;
use crate::folder::Folder;

/// Fetches published files: the part of a [`Driver`] that an app provides itself, usually as a
/// closure around its HTTP client.
///
/// A closure must name the types of its arguments:
/// `|path: &str, byte_range: Option<Range<u64>>, limit: u64| …`. A [`Folder`] implements it too,
/// for published files on the same disk.
pub trait Fetch {
    /// Why a file cannot be fetched.
    type Error: Display;

    /// As [`Driver::fetch`].
    ///
    /// # Errors
    /// When it is not known whether the file is there, because the network or the server failed.
    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<F, E> Fetch for F
where
    F: FnMut(&str, Option<Range<u64>>, u64) -> Result<Option<Vec<u8>>, E>,
    E: Display,
{
    type Error = E;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, E> {
        self(path, byte_range, limit)
    }
}

impl Fetch for Folder {
    type Error = io::Error;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        match byte_range {
            Some(byte_range) => self.read_part(path, byte_range),
            None => self.read_part(path, 0..limit.saturating_add(1)),
        }
    }
}

/// A driver that keeps the client's own files in a [`Folder`], and fetches published files
/// with `F`.
#[derive(Clone, Debug)]
pub struct FolderDriver<F> {
    folder: Folder,
    fetch: F,
}

impl<F: Fetch> FolderDriver<F> {
    /// A driver for the client whose own files are in `folder`. Each client needs a folder of
    /// its own.
    pub fn new(folder: Folder, fetch: F) -> FolderDriver<F> {
        FolderDriver { folder, fetch }
    }
}

/// Why a [`FolderDriver`] could not do a step.
#[derive(Debug, Error)]
pub enum FolderDriverError<E> {
    /// A file of the client's own folder could not be read or written.
    #[error("{0}")]
    Folder(io::Error),
    /// A published file could not be fetched.
    #[error("{0}")]
    Fetch(E),
}

impl<F: Fetch> Driver for FolderDriver<F> {
    type Error = FolderDriverError<F::Error>;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Self::Error> {
        self.fetch.fetch(path, byte_range, limit).map_err(FolderDriverError::Fetch)
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Self::Error> {
        self.folder.read(name).map_err(FolderDriverError::Folder)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Self::Error> {
        self.folder.write(name, bytes).map_err(FolderDriverError::Folder)
    }

    fn delete(&mut self, name: &str) -> Result<(), Self::Error> {
        self.folder.delete(name).map_err(FolderDriverError::Folder)
    }
}

//! A driver whose files are a folder on disk.

use alloc::vec::Vec;
use core::fmt::Display;
use core::ops::Range;
use std::io;

use thiserror::Error;

use super::driver::Driver;
use crate::folder::Folder;

/// Fetches published files: the half of a [`Driver`] that an app brings itself, mostly a
/// closure around its HTTP client.
///
/// A closure must name its arguments' types:
/// `|path: &str, byte_range: Option<Range<u64>>, limit: u64| …`. A [`Folder`] is one too:
/// the published files on the same disk.
pub trait Fetch {
    /// Why a file cannot be fetched.
    type Error: Display;

    /// As [`Driver::fetch`].
    ///
    /// # Errors
    /// When nothing can be said about the file: no network, a server in trouble.
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
    /// A driver for the client whose own files are in `folder`. One client has a folder,
    /// and one folder one client.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Date;
    use crate::keys::SigningKey;
    use crate::publish::{Day, FolderPlace, Keys, Publisher, PublisherSettings};
    use crate::sync::{ClientSettings, Outcome, Session, SyncError, Wake};
    use alloc::string::ToString as _;
    use std::fs;

    fn wake(driver: &mut impl Driver, settings: &ClientSettings, now: u64) -> Outcome {
        let wake = Wake { now, entropy: [7; 32], heard: Vec::new() };
        Session::new(settings, wake).run(driver)
    }

    #[test]
    fn a_client_goes_on_from_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let open = |name: &str| Folder::open(home.path().join(name)).unwrap();
        let date = Date::from_days(20_000).unwrap();
        let keys = Keys::from_secret([1; 32], date.end() + 9_000_000);
        let days = [Day { date, elements: Vec::from([[1; 16]]) }];
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        let publication = publisher.publish_next(date.entry(), &days, &keys).unwrap();
        publication.write(&mut FolderPlace::new(open("public"), open("private"))).unwrap();

        let settings = ClientSettings::new(keys.root);
        let driver = || FolderDriver::new(open("phone"), open("public"));
        let first = wake(&mut driver(), &settings, date.entry());
        assert!(first.error.is_none() && first.up_to_date, "{first:?}");
        // It was told to come back later, and asks nobody until then.
        let offline =
            |path: &str, _: Option<Range<u64>>, _: u64| Err::<Option<Vec<u8>>, _>(path.to_string());
        let mut offline = FolderDriver::new(open("phone"), offline);
        let second = wake(&mut offline, &settings, date.entry() + 1);
        assert_eq!((second.error, second.held), (None, first.held));
        let third = wake(&mut offline, &settings, first.next_wake);
        let path = "/v1/manifest".to_string();
        let error = SyncError::Network { path: path.clone(), message: path };
        assert_eq!((third.error, third.held), (Some(error), first.held));
    }

    #[test]
    fn a_folder_that_fails_is_named() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path().join("phone")).unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let mut driver = FolderDriver::new(folder.clone(), folder);
        let settings = ClientSettings::new(SigningKey::from_seed([1; 32]).public());
        let outcome = wake(&mut driver, &settings, 1_767_225_600);
        let error = outcome.error.unwrap();
        assert!(matches!(&error, SyncError::Storage { name, .. } if name == "state"), "{error}");
        assert_eq!(outcome.contacts, None);
    }
}

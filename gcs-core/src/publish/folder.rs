//! A place whose files are in folders on disk.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use std::io;

use super::Publisher;
use super::write::{Place, WriteError};
use crate::files::Path;
use crate::folder::Folder;

/// Name of the file with the publisher.
const SAVED: &str = "publisher";

/// Two folders on disk: one of published files, which any web server can serve as they
/// are, and a private one for the publisher, which must not be served.
#[derive(Clone, Debug)]
pub struct FolderPlace {
    public: Folder,
    private: Folder,
}

impl FolderPlace {
    /// A place in these two folders. They must be different ones.
    pub fn new(public: Folder, private: Folder) -> FolderPlace {
        FolderPlace { public, private }
    }

    /// The publisher that was saved last, to go on from; `None` if none was saved yet. Its
    /// last publication is finished first ([`Publisher::finish`]), so this is what to call
    /// before every publication: after a restart, and after one that could not be written.
    ///
    /// # Errors
    /// When the publisher cannot be read or is damaged ([`io::ErrorKind::InvalidData`]), and
    /// the errors of [`Publisher::finish`].
    pub fn resume(&mut self) -> Result<Option<Publisher>, WriteError<io::Error>> {
        let Some(bytes) = self.private.read(SAVED).map_err(WriteError::Place)? else {
            return Ok(None);
        };
        let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let publisher =
            Publisher::from_bytes(&bytes).map_err(damaged).map_err(WriteError::Place)?;
        publisher.finish(self)?;
        Ok(Some(publisher))
    }
}

impl Place for FolderPlace {
    type Error = io::Error;

    fn get(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.public.read(&path.to_string())
    }

    fn put(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.public.write(&path.to_string(), bytes)
    }

    fn create(&mut self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        self.public.create(&path.to_string(), bytes)
    }

    fn settle(&mut self, path: &Path) -> io::Result<()> {
        self.public.settle(&path.to_string())
    }

    fn delete(&mut self, path: &Path) -> io::Result<()> {
        self.public.delete(&path.to_string())
    }

    fn save(&mut self, publisher: &Publisher) -> io::Result<()> {
        self.private.write(SAVED, &publisher.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::{DAY_SECONDS, Date};
    use crate::publish::{Day, Keys, PublisherSettings};
    use std::fs;

    #[test]
    fn a_publisher_goes_on_from_what_its_folder_has() {
        let home = tempfile::tempdir().unwrap();
        let open = |name: &str| Folder::open(home.path().join(name)).unwrap();
        let mut place = FolderPlace::new(open("public"), open("private"));
        assert!(place.resume().unwrap().is_none());
        let date = Date::from_days(20_000).unwrap();
        let keys = Keys::from_secret([1; 32], date.start() + 400 * DAY_SECONDS);
        for number in 1..=3 {
            let publisher = place.resume().unwrap();
            let publisher =
                publisher.unwrap_or_else(|| Publisher::new(PublisherSettings::default(), 1));
            let day = Day { date, elements: Vec::from([[number; 16]]) };
            let now = date.entry() + u64::from(number) * 900;
            let publication = publisher.publish_next(now, &[day], &keys).unwrap();
            publication.write(&mut place).unwrap();
            publication.write(&mut place).unwrap();
            for file in publication.files {
                let path = home.path().join("public").join(&file.path.to_string()[1..]);
                assert_eq!(fs::read(path).unwrap(), file.bytes, "{}", file.path);
            }
        }
        assert_eq!(place.resume().unwrap().unwrap().last_tick(), Some(3));
        fs::write(home.path().join("private/publisher"), "damaged").unwrap();
        let WriteError::Place(error) = place.resume().unwrap_err() else { panic!("other error") };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

//! Until gcs-core has them.

use core::fmt::Display;
use core::ops::Range;

use gcs_core::sync::{Answer, Outcome, Session, Step};

/// Fetches published files.
pub trait Fetch {
    /// Why a fetch did not work.
    type Error: Display;

    /// A file or a part of it, `None` if there is no such file.
    ///
    /// # Errors
    /// If it did not work.
    fn fetch(
        &mut self,
        path: &str,
        bytes: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// All the I/O of a session.
pub trait Driver {
    /// Why something did not work.
    type Error: Display;

    /// See [`Fetch`].
    ///
    /// # Errors
    /// If it did not work.
    fn fetch(
        &mut self,
        path: &str,
        bytes: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Self::Error>;
    /// Reads.
    ///
    /// # Errors
    /// If it did not work.
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Self::Error>;
    /// Writes.
    ///
    /// # Errors
    /// If it did not work.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Deletes.
    ///
    /// # Errors
    /// If it did not work.
    fn delete(&mut self, name: &str) -> Result<(), Self::Error>;
}

/// Runs a session.
pub fn run(mut session: Session, driver: &mut impl Driver) -> Outcome {
    fn bytes<E: Display>(result: Result<Option<Vec<u8>>, E>) -> Answer {
        match result {
            Ok(Some(bytes)) => Answer::Bytes(bytes),
            Ok(None) => Answer::Missing,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
    fn done<E: Display>(result: Result<(), E>) -> Answer {
        match result {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
    let mut answer = Answer::Start;
    loop {
        answer = match session.resume(answer) {
            Step::Fetch { path, range, limit } => {
                bytes(driver.fetch(&path, range.map(|(from, len)| from..from + len), limit))
            }
            Step::Get { name } => bytes(driver.get(&name)),
            Step::Put { name, bytes } => done(driver.put(&name, &bytes)),
            Step::Delete { name } => done(driver.delete(&name)),
            Step::Done(outcome) => return *outcome,
        }
    }
}

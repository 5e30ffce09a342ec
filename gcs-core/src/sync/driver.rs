//! The I/O of a client, as one trait.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Display;
use core::ops::Range;

use super::Outcome;
use super::session::Session;
use super::step::{Answer, Step};

/// The I/O of a client: it fetches published files, and keeps the client's own files in a
/// folder.
///
/// Calls may block. A program that cannot block, or is not written in Rust, answers the
/// steps of [`Session::resume`] itself.
pub trait Driver {
    /// The error of a call that failed. Its text becomes part of a [`SyncError`](super::SyncError).
    type Error: Display;

    /// Fetches a published file from the server or a mirror: `Ok(None)` if there is no such
    /// file (HTTP 404, 410).
    ///
    /// `path` begins with `/` and is to be appended to the server's address. With a
    /// `byte_range`, for which
    /// [`range_header`] has the text, the answer is that part alone, also when the server sends the whole
    /// file: then cut the part out. `limit` is the length of the longest legal answer in bytes.
    /// A driver should stop reading one byte beyond it and answer with the bytes that it has, so
    /// that an endless file does no harm. The session refuses an answer that is too long.
    ///
    /// # Errors
    /// When it is not known whether the file is there, because the network or the server failed.
    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Reads a file of the client's own folder: `Ok(None)` if there is no such file. Names
    /// are of lower-case letters, digits and `-`.
    ///
    /// # Errors
    /// When the file cannot be read. A missing file is not an error.
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Writes or replaces a file of the client's own folder, whole or not at all; it is
    /// durable when the call returns.
    ///
    /// # Errors
    /// When the file may not have been written.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Deletes a file of the client's own folder. It is no error if there is none.
    ///
    /// # Errors
    /// When the file may still be there.
    fn delete(&mut self, name: &str) -> Result<(), Self::Error>;
}

impl Session {
    /// Does everything that is due, with a driver that answers every step.
    pub fn run<D: Driver + ?Sized>(mut self, driver: &mut D) -> Outcome {
        let mut answer = Answer::Start;
        loop {
            answer = match self.resume(answer) {
                Step::Fetch { path, byte_range, limit } => {
                    found(driver.fetch(&path, byte_range, limit))
                }
                Step::Get { name } => found(driver.get(&name)),
                Step::Put { name, bytes } => done(driver.put(&name, &bytes)),
                Step::Delete { name } => done(driver.delete(&name)),
                Step::Done(outcome) => return *outcome,
            };
        }
    }
}

fn found(answer: Result<Option<Vec<u8>>, impl Display>) -> Answer {
    match answer {
        Ok(Some(bytes)) => Answer::Bytes(bytes),
        Ok(None) => Answer::Missing,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn done(answer: Result<(), impl Display>) -> Answer {
    match answer {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// The value of the `Range` field (RFC 9110, section 14.2) for a part of a file. All positions
/// have twelve digits, so that requests for different records are equally long. Takes O(1)
/// time.
///
/// ```
/// assert_eq!(gcs_core::sync::range_header(&(16_824..33_648)), "bytes=000000016824-000000033647");
/// ```
#[must_use]
pub fn range_header(part: &Range<u64>) -> String {
    format!("bytes={:012}-{:012}", part.start, part.end.saturating_sub(1))
}

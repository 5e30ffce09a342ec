//! The steps that a session asks of its driver, and their answers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::Outcome;

/// One request of a session to its driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Fetch a file from the server or a mirror. Answer with its bytes (HTTP 200 and 206),
    /// with [`Answer::Missing`] if there is no such file (404, 410), or else with
    /// [`Answer::Failed`].
    Fetch {
        /// Its path, to append to the server's address.
        path: String,
        /// The bytes to ask for with a Range header, or `None` for the whole file. The
        /// answer is that part alone, also when a server sends the whole file: then the
        /// driver cuts the part out.
        byte_range: Option<Range<u64>>,
        /// The length of the longest legal answer in bytes. A driver should stop reading one
        /// byte beyond it and answer with the bytes that it has, so that an endless file does
        /// no harm. The session refuses an answer that is too long.
        limit: u64,
    },
    /// Read a file of the client's own folder. Answer with its bytes, or with
    /// [`Answer::Missing`].
    Get {
        /// Its name: lower-case letters, digits and `-`.
        name: String,
    },
    /// Write or replace a file of the client's own folder, whole or not at all, and
    /// durably before [`Answer::Done`].
    Put {
        /// Its name.
        name: String,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// Delete a file of the client's own folder. It is no error if there is none.
    Delete {
        /// Its name.
        name: String,
    },
    /// The session has ended.
    Done(Box<Outcome>),
}

/// The answer to a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Begin: there is no step to answer yet.
    Start,
    /// The bytes asked for.
    Bytes(Vec<u8>),
    /// There is no such file.
    Missing,
    /// Written or deleted.
    Done,
    /// The step failed, for this reason. That says nothing about whether the file is there.
    Failed(String),
}

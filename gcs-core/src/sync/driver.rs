//! What engine and driver say to each other.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;

use spin::Mutex;

use super::Outcome;

/// What the driver is to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Fetch a file from the server or a mirror. Answer with its bytes (HTTP 200 and 206),
    /// with [`Answer::Missing`] if there is no such file (404, 410), or else with
    /// [`Answer::Failed`].
    Fetch {
        /// Its path, to append to the server's address.
        path: String,
        /// Offset and length in bytes of the part to ask for with a Range header, or
        /// everything. The answer is that part alone, also when a server sends the whole
        /// file: then the driver cuts the part out.
        range: Option<(u64, u64)>,
        /// The longest legal answer in bytes. A driver that stops reading just behind it,
        /// and answers with what it has, is safe from endless files; the engine refuses
        /// what is too long.
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
    /// Delete a file of the client's own folder; that there is none is fine.
    Delete {
        /// Its name.
        name: String,
    },
    /// The session has ended.
    Done(Box<Outcome>),
}

/// What came of a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To the step that has not been made yet: begin.
    Start,
    /// The bytes asked for.
    Bytes(Vec<u8>),
    /// There is no such file.
    Missing,
    /// Written or deleted.
    Done,
    /// It did not work, for this reason; nothing can be said about the file.
    Failed(String),
}

/// Where engine and driver leave things for each other. Only one of them runs at a time,
/// so the lock is never contended; it makes a session `Send`.
#[derive(Default)]
pub(super) struct Mailbox {
    pub step: Option<Step>,
    pub answer: Option<Answer>,
}

/// The engine's side of the conversation.
pub(super) struct Driver(pub Arc<Mutex<Mailbox>>);

impl Driver {
    async fn ask(&self, step: Step) -> Answer {
        *self.0.lock() = Mailbox { step: Some(step), answer: None };
        poll_fn(|_| match self.0.lock().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    /// The file's bytes, `None` if there is no such file, or why it did not work.
    pub(super) async fn fetch(
        &self,
        path: String,
        range: Option<(u64, u64)>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, String> {
        bytes(self.ask(Step::Fetch { path, range, limit }).await)
    }

    pub(super) async fn get(&self, name: String) -> Result<Option<Vec<u8>>, String> {
        bytes(self.ask(Step::Get { name }).await)
    }

    pub(super) async fn put(&self, name: String, bytes: Vec<u8>) -> Result<(), String> {
        match self.ask(Step::Put { name, bytes }).await {
            Answer::Done => Ok(()),
            answer => Err(reason(answer)),
        }
    }

    pub(super) async fn delete(&self, name: String) -> Result<(), String> {
        match self.ask(Step::Delete { name }).await {
            Answer::Done | Answer::Missing => Ok(()),
            answer => Err(reason(answer)),
        }
    }
}

fn bytes(answer: Answer) -> Result<Option<Vec<u8>>, String> {
    match answer {
        Answer::Bytes(bytes) => Ok(Some(bytes)),
        Answer::Missing => Ok(None),
        answer => Err(reason(answer)),
    }
}

/// Why an answer is a failure.
fn reason(answer: Answer) -> String {
    match answer {
        Answer::Failed(reason) => reason,
        _ => "the driver's answer does not fit its step".into(),
    }
}
